package openai

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

func (h *handler) chat(w http.ResponseWriter, r *http.Request) {
	call, err := backend.NewCall(r, dialect.OpenAIChat)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if err := checkCall(call); err != nil {
		h.fail(w, r, err)
		return
	}
	call.Decode = decode
	a := h.newAnswer(w, call)
	defer a.close()
	if err := h.Chats.Exchange(r.Context(), call, a); err != nil && r.Context().Err() == nil {
		a.fail(r, err)
	}
}

// checkCall looks at what must be right before a model is chosen, and notes what the gateway wants to know.
func checkCall(c *dialect.Call) error {
	if c.Model == "" {
		if c.Body.Has("model") {
			return backend.OpenAIBadRequest("model", "Invalid type for 'model': expected a string.")
		}
		return backend.OpenAIBadRequest("model", "you must provide a model parameter")
	}
	if v := c.Body.Get("messages"); len(v) == 0 || v[0] != '[' {
		return backend.OpenAIBadRequest("messages", "Invalid 'messages': expected an array with minimum length 1.")
	}
	if len(bytes.Trim(c.Body.Get("messages"), "[] \t\r\n")) == 0 { // some servers fail at it
		return backend.OpenAIBadRequest("messages", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	}
	for _, field := range []string{"n", "best_of"} { // each answer costs: what is counted must be what every server reads
		if v := c.Body.Get(field); v != nil && (c.Body.Int(field) < 1 || c.Body.Int(field) > 128 || strings.Trim(string(v), "0123456789") != "") {
			return backend.OpenAIBadRequest(field, "Invalid '%s': expected a whole number from 1 to 128.", field)
		}
	}
	if c.Body.Int("best_of") > max(1, c.Body.Int("n")) {
		return backend.OpenAIBadRequest("best_of", "Invalid 'best_of': it cannot be larger than 'n' here.")
	}
	c.MaxOutput = int(max(c.Body.Int("max_completion_tokens"), c.Body.Int("max_tokens")))
	if c.Session == "" {
		c.Session, _ = c.Body.Text("prompt_cache_key")
	}
	if c.Stream {
		c.HideUsage = true
		if v := c.Body.Get("stream_options"); v != nil {
			options, err := dialect.Scan(v)
			c.HideUsage = err != nil || !options.True("include_usage")
		}
	}
	if v := c.Body.Get("metadata"); v != nil {
		if err := decodeMetadata(v, c); err != nil {
			return err
		}
	}
	return nil
}

// answer writes what the gateway gives, as a stream or as one object.
type answer struct {
	h      *handler
	w      http.ResponseWriter
	call   *dialect.Call
	stream *chatStream // nil where the client wants one object
	done   bool        // the whole answer has been written
}

func (h *handler) newAnswer(w http.ResponseWriter, call *dialect.Call) *answer {
	a := &answer{h: h, w: w, call: call}
	if call.Stream {
		a.stream = h.newStream(w, call)
	}
	return a
}

func (a *answer) close() {
	if a.stream != nil {
		a.stream.out.Close()
	}
}

// Header sets a field of the header.
func (a *answer) Header(name, value string) {
	if a.stream != nil {
		a.stream.out.Header(name, value)
		return
	}
	a.w.Header().Set(name, value)
}

// Raw passes on the provider's own bytes.
func (a *answer) Raw(b []byte) error {
	if a.stream != nil {
		_, err := a.stream.out.Write(b)
		return err
	}
	a.done = true
	return backend.WriteBody(a.w, http.StatusOK, "application/json", b)
}

// Delta passes on a translated piece.
func (a *answer) Delta(d core.Delta) error {
	if a.stream == nil {
		return nil
	}
	return a.stream.delta(d)
}

// Done writes the whole answer, or what of it the stream has not had.
func (a *answer) Done(r core.ModelResponse) error {
	if a.stream != nil {
		return a.stream.end(r)
	}
	a.done = true
	b, err := json.Marshal(a.h.completion(a.call.Model, r))
	if err != nil {
		return err
	}
	return backend.WriteBody(a.w, http.StatusOK, "application/json", b)
}

// fail tells the client of an error: with its status, or in a stream that has begun as the dialect's error event.
func (a *answer) fail(r *http.Request, err error) {
	switch {
	case a.stream != nil && a.stream.out.Started():
		a.stream.fail(backend.ToOpenAIError(err))
	case !a.done:
		a.h.fail(a.w, r, err)
	}
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	backend.WriteOpenAIError(w, r, h.Logger, err)
}
