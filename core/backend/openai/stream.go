package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core"
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
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

// stream writes chunks. The header goes out with the first one, so that an early error can still have its status.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	base    chunk
	usage   bool
	started bool
}

func (h *handler) newStream(w http.ResponseWriter, q chatRequest) *stream {
	return &stream{
		w: w, rc: http.NewResponseController(w), timeout: h.Write,
		base:  chunk{ID: newID(), Object: "chat.completion.chunk", Created: h.Now().Unix(), Model: q.Model},
		usage: q.StreamOptions != nil && q.StreamOptions.IncludeUsage,
	}
}

func (h *handler) newTicker() *time.Ticker { return time.NewTicker(h.KeepAlive) }

func (s *stream) open() error {
	if s.started {
		return nil
	}
	s.started = true
	d := s.w.Header()
	d.Set("Content-Type", "text/event-stream; charset=utf-8")
	d.Set("Cache-Control", "no-store")
	d.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
	empty := ""
	return s.chunk(chunkDelta{Role: "assistant", Content: &empty}, "")
}

func (s *stream) text(t string) error { return s.chunk(chunkDelta{Content: &t}, "") }

func (s *stream) chunk(d chunkDelta, finish core.FinishReason) error {
	if err := s.open(); err != nil {
		return err
	}
	c := s.base
	c.Choices = []chunkChoice{{Delta: d}}
	if finish != "" {
		c.Choices[0].FinishReason = &finish
	}
	return s.send(c, nil)
}

func (s *stream) send(c chunk, u *usage) error {
	if s.usage {
		return s.data(chunkWithUsage{c, u})
	}
	return s.data(c)
}

// keepAlive writes a comment, which clients skip.
func (s *stream) keepAlive() error {
	if err := s.open(); err != nil {
		return err
	}
	return s.write(": keep-alive\n\n")
}

// end writes why the answer stopped, the usage if it was asked for, and the mark of the end. Nobody is left to tell
// about an error here.
func (s *stream) end(finish core.FinishReason, u core.Usage) {
	if finish == "" {
		finish = core.FinishStop
	}
	if s.chunk(chunkDelta{}, finish) != nil {
		return
	}
	if s.usage {
		c := s.base
		c.Choices = []chunkChoice{}
		if s.send(c, usageOf(u)) != nil {
			return
		}
	}
	_ = s.write("data: [DONE]\n\n")
}

// fail ends a stream that has begun with an error in the dialect's form; clients raise it.
func (s *stream) fail(r *http.Request, h *handler, err error) {
	if !s.started {
		h.fail(s.w, r, err)
		return
	}
	_ = s.data(map[string]*apiError{"error": toAPIError(err)}) // the client may have left, which may be the error
}

func (s *stream) data(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write("data: " + string(b) + "\n\n")
}

func (s *stream) write(t string) error {
	// A writer without deadlines or flushing is a test's: the write itself still tells.
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, err := io.WriteString(s.w, t); err != nil {
		return err
	}
	return s.rc.Flush()
}
