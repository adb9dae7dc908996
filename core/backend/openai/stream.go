package openai

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

type chunk struct {
	ID      string        `json:"id"`
	Object  string        `json:"object"`
	Created int64         `json:"created"`
	Model   string        `json:"model"`
	Choices []chunkChoice `json:"choices"`
}

// chunkWithUsage is a chunk of a stream whose client asked for usage: null in all but the last.
type chunkWithUsage struct {
	chunk
	Usage *usage `json:"usage"`
}

type chunkChoice struct {
	Index        int                `json:"index"`
	Delta        chunkDelta         `json:"delta"`
	Logprobs     *struct{}          `json:"logprobs"`
	FinishReason *core.FinishReason `json:"finish_reason"`
}

type chunkDelta struct {
	Role      string         `json:"role,omitempty"`
	Content   *string        `json:"content,omitempty"`
	Reasoning string         `json:"reasoning_content,omitempty"`
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

// chatStream encodes a translated answer as chunks.
type chatStream struct {
	out       *backend.Stream
	base      chunk
	usage     bool
	opened    bool
	text      int // bytes of the answer's text that have been sent
	reasoning int
}

func (h *handler) newStream(w http.ResponseWriter, call *dialect.Call) *chatStream {
	return &chatStream{
		out: backend.NewStream(w, backend.StreamForm{
			ContentType: "text/event-stream; charset=utf-8", KeepAlive: []byte(": keep-alive\n\n"), Every: h.KeepAlive,
		}),
		base:  chunk{ID: newID(), Object: "chat.completion.chunk", Created: h.Now().Unix(), Model: call.Model},
		usage: !call.HideUsage,
	}
}

func (s *chatStream) open() error {
	if s.opened {
		return nil
	}
	s.opened = true
	empty := ""
	return s.chunk(chunkDelta{Role: "assistant", Content: &empty}, "")
}

func (s *chatStream) delta(d core.Delta) error {
	if err := s.open(); err != nil {
		return err
	}
	s.text += len(d.Text)
	s.reasoning += len(d.Reasoning)
	if d.Reasoning != "" {
		if err := s.chunk(chunkDelta{Reasoning: d.Reasoning}, ""); err != nil {
			return err
		}
	}
	if d.Text == "" {
		return nil
	}
	return s.chunk(chunkDelta{Content: &d.Text}, "")
}

func (s *chatStream) chunk(d chunkDelta, finish core.FinishReason) error {
	c := s.base
	c.Choices = []chunkChoice{{Delta: d}}
	if finish != "" {
		c.Choices[0].FinishReason = &finish
	}
	return s.send(c, nil)
}

func (s *chatStream) send(c chunk, u *usage) error {
	if s.usage {
		return s.data(chunkWithUsage{c, u})
	}
	return s.data(c)
}

// end writes what was not streamed, why the answer stopped, the usage if it was asked for, and the mark of the end.
func (s *chatStream) end(r core.ModelResponse) error {
	rest := core.Delta{Reasoning: after(reasoningOf(r.Message), s.reasoning), Text: after(r.Message.Text, s.text)}
	if err := s.delta(rest); err != nil {
		return err
	}
	if len(r.Message.ToolCalls) > 0 {
		if err := s.chunk(chunkDelta{ToolCalls: toolCalls(r.Message.ToolCalls, true)}, ""); err != nil {
			return err
		}
	}
	if err := s.chunk(chunkDelta{}, finishOf(r)); err != nil {
		return err
	}
	if s.usage {
		c := s.base
		c.Choices = []chunkChoice{}
		if err := s.send(c, usageOf(r.Usage)); err != nil {
			return err
		}
	}
	_, err := s.out.Write([]byte("data: [DONE]\n\n"))
	return err
}

// after returns the text behind the first n bytes, of which the deltas were made.
func after(text string, n int) string { return text[min(n, len(text)):] }

// fail ends a stream that has begun with an error in the dialect's form; clients raise it.
func (s *chatStream) fail(e *backend.OpenAIError) {
	_ = s.data(map[string]*backend.OpenAIError{"error": e}) // the client may have left, which may be the error
}

func (s *chatStream) data(v any) error {
	var b strings.Builder
	b.WriteString("data: ")
	e := json.NewEncoder(&b)
	if err := e.Encode(v); err != nil { // ends with a newline
		return err
	}
	b.WriteByte('\n')
	_, err := s.out.Write([]byte(b.String()))
	return err
}
