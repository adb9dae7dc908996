package aimodels

import (
	"encoding/json"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// responseComplete says whether a translated answer came to its own end: only such ones are kept. What a limit cut off or
// a filter refused might be different next time.
func responseComplete(r *core.ModelResponse) bool {
	return r.Finish == core.FinishStop || r.Finish == core.FinishTools
}

// rawComplete is responseComplete of an answer in a dialect's own bytes: a whole body, or all events of a stream. What it
// cannot read is not complete.
func rawComplete(n dialect.Name, stream bool, raw []byte) bool {
	var check func(name, data []byte) bool // false = it must not be kept
	var ended func() bool
	switch n {
	case dialect.OpenAIChat:
		c := chatEnd{open: map[int]bool{}}
		check, ended = c.see, c.ended
	case dialect.OpenAIResponses:
		c := responsesEnd{stream: stream}
		check, ended = c.see, func() bool { return c.done }
	case dialect.Anthropic:
		c := anthropicEnd{stream: stream}
		check, ended = c.see, func() bool { return c.done }
	case dialect.OllamaChat, dialect.OllamaGenerate:
		c := ollamaEnd{}
		check, ended = c.see, func() bool { return c.done }
	default:
		return false
	}
	if !stream {
		return check(nil, raw) && ended()
	}
	for len(raw) > 0 {
		var name, data []byte
		name, data, _, raw = n.Next(raw)
		if len(data) > 0 && !check(name, data) {
			return false
		}
	}
	return ended()
}

type chatEnd struct{ open map[int]bool }

func (c *chatEnd) see(_, data []byte) bool {
	if string(data) == "[DONE]" {
		return true
	}
	type said struct {
		Refusal string `json:"refusal"`
	}
	var m struct {
		Error   json.RawMessage `json:"error"`
		Choices []struct {
			Index   int    `json:"index"`
			Finish  string `json:"finish_reason"`
			Message said   `json:"message"`
			Delta   said   `json:"delta"`
		} `json:"choices"`
	}
	if json.Unmarshal(data, &m) != nil || present(m.Error) {
		return false
	}
	for _, choice := range m.Choices {
		if choice.Message.Refusal != "" || choice.Delta.Refusal != "" {
			return false
		}
		switch choice.Finish {
		case "stop", "tool_calls", "function_call":
			c.open[choice.Index] = false
		case "":
			if _, seen := c.open[choice.Index]; !seen {
				c.open[choice.Index] = true
			}
		default:
			return false
		}
	}
	return true
}

func (c *chatEnd) ended() bool {
	for _, open := range c.open {
		if open {
			return false
		}
	}
	return len(c.open) > 0
}

type responsesEnd struct{ stream, done bool }

func (c *responsesEnd) see(_, data []byte) bool {
	type answer struct {
		Status string          `json:"status"`
		Error  json.RawMessage `json:"error"`
		Output []struct {
			Content []struct {
				Type string `json:"type"`
			} `json:"content"`
		} `json:"output"`
	}
	a := &answer{}
	if c.stream {
		var event struct {
			Type     string  `json:"type"`
			Response *answer `json:"response"`
		}
		if json.Unmarshal(data, &event) != nil {
			return string(data) == "[DONE]"
		}
		switch event.Type {
		case "error", "response.failed", "response.incomplete":
			return false
		case "response.completed":
		default:
			return true
		}
		if a = event.Response; a == nil {
			return false
		}
	} else if json.Unmarshal(data, a) != nil {
		return false
	}
	if a.Status != "completed" || present(a.Error) {
		return false
	}
	for _, item := range a.Output {
		for _, part := range item.Content {
			if part.Type == "refusal" {
				return false
			}
		}
	}
	c.done = true
	return true
}

type anthropicEnd struct{ stream, stopped, done bool }

func (c *anthropicEnd) see(_, data []byte) bool {
	var m struct {
		Type  string `json:"type"`
		Stop  string `json:"stop_reason"`
		Delta struct {
			Stop string `json:"stop_reason"`
		} `json:"delta"`
	}
	if json.Unmarshal(data, &m) != nil {
		return false
	}
	switch {
	case m.Type == "error":
		return false
	case !c.stream:
		c.done = anthropicStop(m.Stop)
		return c.done
	case m.Type == "message_delta" && m.Delta.Stop != "":
		c.stopped = anthropicStop(m.Delta.Stop)
		return c.stopped
	case m.Type == "message_stop":
		c.done = c.stopped
	}
	return true
}

func anthropicStop(reason string) bool {
	return reason == "end_turn" || reason == "tool_use" || reason == "stop_sequence"
}

type ollamaEnd struct{ done bool }

func (c *ollamaEnd) see(_, data []byte) bool {
	var m struct {
		Error  string `json:"error"`
		Done   bool   `json:"done"`
		Reason string `json:"done_reason"`
	}
	if json.Unmarshal(data, &m) != nil || m.Error != "" {
		return false
	}
	if m.Done {
		c.done = m.Reason == "stop" || m.Reason == ""
		return c.done
	}
	return true
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
