package ollama

import (
	"net/http"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// line is a whole answer, and each line of a stream. Message is of /api/chat, Response and Thinking of /api/generate.
type line struct {
	Model      string         `json:"model"`
	CreatedAt  string         `json:"created_at"`
	Message    *answerMessage `json:"message,omitempty"`
	Response   *string        `json:"response,omitempty"`
	Thinking   string         `json:"thinking,omitempty"`
	Done       bool           `json:"done"`
	DoneReason string         `json:"done_reason,omitempty"`
	*measures
}

type answerMessage struct {
	Role      string     `json:"role"`
	Content   string     `json:"content"`
	Thinking  string     `json:"thinking,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

// measures end an answer; durations are in nanoseconds, as this server measured them. No model is loaded by a call, and of
// an answer that came in one piece it is not known when the model had read the prompt: those durations are 0.
type measures struct {
	Total          int64 `json:"total_duration"`
	Load           int64 `json:"load_duration"`
	PromptCount    int64 `json:"prompt_eval_count"`
	PromptDuration int64 `json:"prompt_eval_duration"`
	Count          int64 `json:"eval_count"`
	Duration       int64 `json:"eval_duration"`
}

// say puts content into the form of the dialect.
func (l *line) say(n dialect.Name, text, thinking string, calls []toolCall) {
	if n == dialect.OllamaGenerate {
		l.Response, l.Thinking = &text, thinking
		return
	}
	l.Message = &answerMessage{Role: "assistant", Content: text, Thinking: thinking, ToolCalls: calls}
}

// answer is where the gateway puts one answer.
type answer struct {
	h      *handler
	w      http.ResponseWriter
	r      *http.Request
	call   *dialect.Call
	model  string          // as the client calls it
	stream *backend.Stream // nil for a whole answer
	done   bool            // a whole answer has gone out

	began    time.Time
	first    time.Time // when the first piece came
	silent   bool      // the client wants no thoughts
	text     int       // bytes of text that have been streamed
	thinking int       // the same of thoughts
}

func newAnswer(h *handler, w http.ResponseWriter, r *http.Request, call *dialect.Call) *answer {
	a := &answer{h: h, w: w, r: r, call: call, model: call.Model, began: h.Now(), silent: string(call.Body.Get("think")) == "false"}
	if call.Stream {
		// Nothing that a silent model's client would skip can be written: each line is read as a part of the answer.
		a.stream = backend.NewStream(w, backend.StreamForm{ContentType: "application/x-ndjson"})
	}
	return a
}

func (a *answer) close() {
	if a.stream != nil {
		a.stream.Close()
	}
}

// Header sets a field of the answer.
func (a *answer) Header(name, value string) {
	if a.stream != nil {
		a.stream.Header(name, value)
		return
	}
	a.w.Header().Set(name, value)
}

// Raw passes on what a provider of the same dialect says.
func (a *answer) Raw(b []byte) error {
	if a.stream != nil {
		_, err := a.stream.Write(b)
		return err
	}
	a.done = true
	writeBytes(a.w, http.StatusOK, b)
	return nil
}

// Delta streams a piece.
func (a *answer) Delta(d core.Delta) error {
	if a.stream == nil {
		return nil
	}
	if a.first.IsZero() {
		a.first = a.h.Now()
	}
	a.text += len(d.Text)
	a.thinking += len(d.Reasoning)
	if a.silent {
		d.Reasoning = ""
	}
	if d.Text+d.Reasoning == "" {
		return nil
	}
	return a.write(d.Text, d.Reasoning, nil)
}

// Done writes the whole answer, or what is left of a stream.
func (a *answer) Done(res core.ModelResponse) error {
	thinking := ""
	for _, p := range res.Message.Parts {
		if p.Kind == core.PartReasoning {
			thinking += p.Text
		}
	}
	text, calls := res.Message.Text, toolCalls(res.Message.ToolCalls)
	if a.stream == nil {
		if a.silent {
			thinking = ""
		}
		a.done = true
		writeJSON(a.w, http.StatusOK, a.last(res, text, thinking, calls))
		return nil
	}
	// Providers that do not stream give all of it here.
	rest := core.Delta{Text: text[min(a.text, len(text)):], Reasoning: thinking[min(a.thinking, len(thinking)):]}
	if err := a.Delta(rest); err != nil {
		return err
	}
	if len(calls) > 0 && a.call.Dialect == dialect.OllamaChat {
		if err := a.write("", "", calls); err != nil {
			return err
		}
	}
	return a.send(a.last(res, "", "", nil))
}

// last is the line that ends an answer.
func (a *answer) last(res core.ModelResponse, text, thinking string, calls []toolCall) line {
	l := a.line()
	l.Done, l.DoneReason, l.measures = true, doneReason(res.Finish), a.measure(res.Usage)
	l.say(a.call.Dialect, text, thinking, calls)
	return l
}

func (a *answer) write(text, thinking string, calls []toolCall) error {
	l := a.line()
	l.say(a.call.Dialect, text, thinking, calls)
	return a.send(l)
}

func (a *answer) line() line { return line{Model: a.model, CreatedAt: stamp(a.h.Now())} }

func (a *answer) send(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, err = a.stream.Write(b)
	return err
}

// measure ends the clock. The time to the first piece is the reading of the prompt.
func (a *answer) measure(u core.Usage) *measures {
	now := a.h.Now()
	m := &measures{Total: int64(now.Sub(a.began)), PromptCount: u.InputTokens, Count: u.OutputTokens}
	m.Duration = m.Total
	if !a.first.IsZero() {
		m.PromptDuration, m.Duration = int64(a.first.Sub(a.began)), int64(now.Sub(a.first))
	}
	return m
}

// fail tells of an error: with its status while nothing has gone out, else as the stream's last line, which is not marked
// as the end of an answer.
func (a *answer) fail(err error) {
	switch {
	case a.stream != nil && a.stream.Started():
		e := toAPIError(err)
		a.h.log(a.r, e, err)
		_ = a.send(errorBody{strings.TrimSpace(e.Message)}) // the client may have left, which may be the error
	case !a.done:
		a.h.fail(a.w, a.r, err)
	}
}

func toolCalls(calls []core.ToolCall) []toolCall {
	var out []toolCall
	for i, c := range calls {
		out = append(out, toolCall{ID: c.ID, Function: toolFunction{Index: i, Name: c.Name, Arguments: c.Arguments}})
	}
	return out
}

// doneReason is the dialect's word for why a model stopped; it has none for calls of tools, which end an answer like others.
func doneReason(f core.FinishReason) string {
	switch f {
	case core.FinishLength, core.FinishRefusal:
		return string(f)
	default:
		return "stop"
	}
}
