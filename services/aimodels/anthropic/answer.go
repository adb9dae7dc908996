package anthropic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// maxLine is the longest line of a stream, in bytes.
const maxLine = 4 << 20

// maxBlocks bounds the blocks of one answer.
const maxBlocks = 1000

// wireEvent is an event of a stream, of any kind.
type wireEvent struct {
	Type    string          `json:"type"`
	Index   int             `json:"index"`
	Message *wireAnswer     `json:"message"`       // message_start
	Block   *wireContent    `json:"content_block"` // content_block_start
	Delta   *wireDelta      `json:"delta"`         // content_block_delta, message_delta
	Usage   *wireUsage      `json:"usage"`         // message_delta
	Error   json.RawMessage `json:"error"`
}

// wireAnswer is a whole answer; in message_start, its beginning.
type wireAnswer struct {
	Type    string          `json:"type"`
	Content []wireContent   `json:"content"`
	Usage   wireUsage       `json:"usage"`
	Error   json.RawMessage `json:"error"`
	wireStop
}

// wireContent is a block of an answer.
type wireContent struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	Data      string          `json:"data"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
}

type wireDelta struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	Thinking    string `json:"thinking"`
	Signature   string `json:"signature"`
	PartialJSON string `json:"partial_json"`
	wireStop
}

type wireStop struct {
	Reason   string `json:"stop_reason"`
	Sequence string `json:"stop_sequence"`
	Details  *struct {
		Explanation string `json:"explanation"`
	} `json:"stop_details"`
}

// wireUsage counts tokens. What was read from and written to the prompt cache is not part of the input. In a stream, later
// counts replace earlier ones where they are given.
type wireUsage struct {
	Input      *int64 `json:"input_tokens"`
	CacheWrite *int64 `json:"cache_creation_input_tokens"`
	CacheRead  *int64 `json:"cache_read_input_tokens"`
	Output     *int64 `json:"output_tokens"`
	Details    *struct {
		Thinking int64 `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

func (u *wireUsage) update(v wireUsage) {
	for _, f := range []struct{ have, got **int64 }{
		{&u.Input, &v.Input}, {&u.CacheWrite, &v.CacheWrite}, {&u.CacheRead, &v.CacheRead}, {&u.Output, &v.Output},
	} {
		if *f.got != nil {
			*f.have = *f.got
		}
	}
	if v.Details != nil {
		u.Details = v.Details
	}
}

func (u *wireUsage) usage() core.Usage {
	n := func(p *int64) int64 {
		if p == nil {
			return 0
		}
		return *p
	}
	out := core.Usage{InputTokens: n(u.Input) + n(u.CacheWrite) + n(u.CacheRead), OutputTokens: n(u.Output), CachedTokens: n(u.CacheRead)}
	if u.Details != nil {
		out.ReasoningTokens = u.Details.Thinking
	}
	return out
}

// answer collects one answer.
type answer struct {
	p       *Provider
	onDelta func(core.Delta)
	blocks  []*collected
	stop    wireStop
	usage   wireUsage
	ended   bool
}

// collected is a block as far as it has come.
type collected struct {
	index int
	text  strings.Builder // of text and thinking
	input strings.Builder // of a tool call
	wireContent
}

func (a *answer) whole(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var m wireAnswer
	if err := json.Unmarshal(b, &m); err != nil {
		return a.p.http.Malformed(err)
	}
	if len(m.Error) > 0 {
		return a.p.http.StreamError(m.Error)
	}
	if m.Type != "message" {
		return a.p.http.Malformed(errors.New("the answer is no message"))
	}
	for i := range m.Content {
		a.begin(i, &m.Content[i])
		a.close(i)
	}
	a.usage.update(m.Usage)
	a.stop, a.ended = m.wireStop, true
	return nil
}

// stream reads server-sent events. The type of each stands in its data too, so the event's name is not looked at. The
// stream is whole when message_stop or a stop reason came.
func (a *answer) stream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	var data []byte
	for !a.ended && lines.Scan() {
		line := lines.Bytes()
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(rest, []byte(" "))...)
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue
		}
		if err := a.event(data); err != nil {
			return err
		}
		data = data[:0]
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return a.p.http.Malformed(err)
		}
		return err
	}
	if !a.ended && a.stop.Reason == "" {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (a *answer) event(b []byte) error {
	var e wireEvent
	if err := json.Unmarshal(b, &e); err != nil {
		return a.p.http.Malformed(err)
	}
	switch e.Type {
	case "error":
		return a.p.http.StreamError(e.Error)
	case "message_start":
		if e.Message != nil {
			a.usage.update(e.Message.Usage)
		}
	case "content_block_start":
		if e.Block == nil || len(a.blocks) == maxBlocks {
			return a.p.http.Malformed(errors.New("a block that is none, or one too many"))
		}
		a.begin(e.Index, e.Block)
	case "content_block_delta":
		if e.Delta != nil {
			return a.delta(e.Index, e.Delta)
		}
	case "content_block_stop":
		a.close(e.Index)
	case "message_delta":
		if e.Delta != nil && e.Delta.Reason != "" {
			a.stop = e.Delta.wireStop
		}
		if e.Usage != nil {
			a.usage.update(*e.Usage)
		}
	case "message_stop":
		a.ended = true
	}
	return nil // ping, and what later versions add
}

// begin takes a block, which holds all of itself in a whole answer and nothing yet in a stream.
func (a *answer) begin(index int, w *wireContent) {
	c := &collected{index: index, wireContent: *w}
	a.blocks = append(a.blocks, c)
	switch w.Type {
	case "text":
		c.text.WriteString(w.Text)
		a.tell(core.Delta{Text: w.Text})
	case "thinking":
		c.text.WriteString(w.Thinking)
		a.tell(core.Delta{Reasoning: w.Thinking})
	}
}

// block finds the block that has an index, nil where none has begun.
func (a *answer) block(index int) *collected {
	for i := len(a.blocks) - 1; i >= 0; i-- {
		if a.blocks[i].index == index {
			return a.blocks[i]
		}
	}
	return nil
}

// close tells the signature of what was thought, now that it is complete.
func (a *answer) close(index int) {
	if c := a.block(index); c != nil && c.Type == "thinking" {
		a.tell(core.Delta{Signature: core.MakerAnthropic.Mark(c.Signature)})
	}
}

func (a *answer) delta(index int, d *wireDelta) error {
	c := a.block(index)
	if c == nil {
		return a.p.http.Malformed(errors.New("a delta of a block that has not begun"))
	}
	switch d.Type {
	case "text_delta":
		c.text.WriteString(d.Text)
		a.tell(core.Delta{Text: d.Text})
	case "thinking_delta":
		c.text.WriteString(d.Thinking)
		a.tell(core.Delta{Reasoning: d.Thinking})
	case "signature_delta":
		c.Signature += d.Signature
	case "input_json_delta":
		c.input.WriteString(d.PartialJSON)
	}
	return nil // citations, and what later versions add
}

func (a *answer) tell(d core.Delta) {
	if a.onDelta != nil && d != (core.Delta{}) {
		a.onDelta(d)
	}
}

func (a *answer) response() (core.ModelResponse, error) {
	m := core.Message{Role: core.RoleAssistant}
	var text strings.Builder
	seen := map[string]bool{}
	for _, c := range a.blocks {
		switch c.Type {
		case "text":
			text.WriteString(c.text.String())
		case "thinking":
			m.Parts = append(m.Parts, core.Part{Kind: core.PartReasoning, Text: c.text.String(), Signature: core.MakerAnthropic.Mark(c.Signature)})
		case "redacted_thinking":
			m.Parts = append(m.Parts, core.Part{Kind: core.PartReasoning, Data: []byte(core.MakerAnthropic.Mark(c.Data))})
		case "tool_use":
			input := []byte(c.input.String())
			if len(input) == 0 {
				input = c.Input
			}
			if c.ID == "" || seen[c.ID] {
				c.ID = aimodels.NewCallID()
			}
			seen[c.ID] = true
			m.ToolCalls = append(m.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Name, Arguments: aimodels.Arguments(input)})
		}
	}
	m.Text = text.String()
	if len(m.Parts) > 0 && m.Text != "" {
		m.Parts = append(m.Parts, core.Part{Kind: core.PartText, Text: m.Text})
	}
	finish := finishOf(a.stop.Reason, len(m.ToolCalls))
	if finish == core.FinishRefusal && m.Text == "" {
		why := "its safety filter stopped the answer"
		if d := a.stop.Details; d != nil && d.Explanation != "" {
			why = d.Explanation
		}
		return core.ModelResponse{}, &aimodels.CallError{Err: core.Errorf(core.CodeRefused, "the model of provider %s refuses to answer: %s", a.p.http.Name(), why)}
	}
	return core.ModelResponse{Message: m, Finish: finish, StopText: a.stop.Sequence, Usage: a.usage.usage()}, nil
}

func finishOf(reason string, calls int) core.FinishReason {
	switch {
	case reason == "refusal":
		return core.FinishRefusal
	case reason == "max_tokens" || reason == "model_context_window_exceeded":
		return core.FinishLength
	case calls > 0:
		return core.FinishTools
	default: // end_turn, stop_sequence, pause_turn
		return core.FinishStop
	}
}
