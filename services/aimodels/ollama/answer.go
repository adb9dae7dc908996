package ollama

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// answer collects one answer.
type answer struct {
	p        *Provider
	onDelta  func(core.Delta)
	text     strings.Builder
	thinking strings.Builder
	calls    []wireCall
	last     wireChunk
}

type wireChunk struct {
	Message struct {
		Content   string     `json:"content"`
		Thinking  string     `json:"thinking"`
		ToolCalls []wireCall `json:"tool_calls"`
	} `json:"message"`
	Done       bool            `json:"done"`
	DoneReason string          `json:"done_reason"`
	Input      int64           `json:"prompt_eval_count"`
	Output     int64           `json:"eval_count"`
	Error      json.RawMessage `json:"error"`
}

func (a *answer) stream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var c wireChunk
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			if lines.Err() != nil {
				return lines.Err() // the last line is cut because the reading ended, not because it is wrong
			}
			return a.p.http.Malformed(err)
		}
		if len(c.Error) > 0 {
			return a.p.http.StreamError(c.Error)
		}
		a.add(c)
		if c.Done {
			a.last = c
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return a.p.http.Malformed(err)
		}
		return err
	}
	return io.ErrUnexpectedEOF
}

func (a *answer) add(c wireChunk) {
	text, thinking := c.Message.Content, c.Message.Thinking
	a.text.WriteString(text)
	a.thinking.WriteString(thinking)
	if a.onDelta != nil && text+thinking != "" {
		a.onDelta(core.Delta{Text: text, Reasoning: thinking})
	}
	a.calls = append(a.calls, c.Message.ToolCalls...)
}

// response makes the whole answer; with one, calls after the first are dropped, which the dialect cannot ask the model for.
func (a *answer) response(one bool) core.ModelResponse {
	resp := core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: a.text.String()},
		Finish:  core.FinishStop,
		Usage:   core.Usage{InputTokens: a.last.Input, OutputTokens: a.last.Output},
	}
	if a.thinking.Len() > 0 {
		resp.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: a.thinking.String()}}
		if resp.Message.Text != "" {
			resp.Message.Parts = append(resp.Message.Parts, core.Part{Kind: core.PartText, Text: resp.Message.Text})
		}
	}
	if a.last.DoneReason == "length" {
		resp.Finish = core.FinishLength
	}
	seen := map[string]bool{}
	for i, c := range a.calls {
		if one && i > 0 {
			break
		}
		if c.ID == "" || seen[c.ID] {
			c.ID = aimodels.NewCallID()
		}
		seen[c.ID] = true
		args := aimodels.Arguments(c.Function.Arguments)
		resp.Message.ToolCalls = append(resp.Message.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: args})
		resp.Finish = core.FinishTools
	}
	return resp
}
