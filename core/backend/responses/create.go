package responses

import (
	"net/http"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// create answers POST /v1/responses.
func (h *handler) create(w http.ResponseWriter, r *http.Request) {
	call, err := newCall(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	d, err := h.decoder(r.Context(), call)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	call.Decode = d.decode
	a := &answer{h: h, w: w, r: r, call: call}
	a.enc = encoder{obj: newObject(call, h.Now()), now: h.Now, save: a.keepTranslated}
	if call.Stream {
		a.stream = backend.NewStream(w, backend.StreamForm{
			ContentType: "text/event-stream; charset=utf-8", KeepAlive: []byte(": keep-alive\n\n"),
		})
		defer a.stream.Close()
		a.enc.out = a.stream
	}
	if err := h.Chats.Exchange(r.Context(), call, a); err != nil && r.Context().Err() == nil {
		a.fail(err)
	}
}

// newCall reads a call and checks what must be right whoever answers it.
func newCall(r *http.Request) (*dialect.Call, error) {
	call, err := backend.NewCall(r, dialect.OpenAIResponses)
	if err != nil {
		return nil, err
	}
	body := call.Body
	switch {
	case call.Model == "":
		return nil, backend.OpenAIBadRequest("model", "you must provide a model parameter")
	case body.True("background"):
		return nil, backend.OpenAIBadRequest("background", "Responses in the background are not supported; send the request without 'background', or run an agent (POST /api/v1/runs), which goes on when you leave.")
	}
	for _, field := range []string{"store", "background"} {
		if v := string(body.Get(field)); v != "" && v != "true" && v != "false" {
			return nil, backend.OpenAIBadRequest(field, "Invalid type for '%s': expected a boolean.", field)
		}
	}
	if n := body.Int("max_output_tokens"); n > 0 {
		call.MaxOutput = int(n)
	}
	if call.Session == "" {
		call.Session, _ = body.Text("prompt_cache_key")
	}
	if m, err := dialect.Scan(body.Get("metadata")); err == nil {
		call.Metadata = texts(m)
	}
	return call, nil
}

// answer is where the gateway puts one answer.
type answer struct {
	h      *handler
	w      http.ResponseWriter
	r      *http.Request
	call   *dialect.Call
	stream *backend.Stream // nil for a whole answer
	enc    encoder         // of a translated answer

	events int  // that were passed on
	ended  bool // the answer has come to an end, its own or a failure's
}

// Header sets a field of the answer.
func (a *answer) Header(name, value string) {
	if a.stream != nil {
		a.stream.Header(name, value)
		return
	}
	a.w.Header().Set(name, value)
}

// Raw passes on what a provider of the same dialect says, and keeps the complete response on its way.
func (a *answer) Raw(b []byte) error {
	if a.stream == nil {
		a.ended = true
		if o, err := dialect.Scan(b); err == nil {
			a.keepRaw(o)
		}
		return backend.WriteBody(a.w, http.StatusOK, "application/json", b)
	}
	for rest := b; len(rest) > 0; {
		var name, data []byte
		name, data, _, rest = dialect.OpenAIResponses.Next(rest)
		if len(data) > 0 {
			a.see(string(name), data)
		}
	}
	_, err := a.stream.Write(b)
	return err
}

// see takes note of an event that is passed on.
func (a *answer) see(name string, data []byte) {
	a.events++
	switch name {
	case "error", "response.failed":
		a.ended = true
	case "response.completed", "response.incomplete":
		a.ended = true
		o, err := dialect.Scan(data)
		if err != nil {
			return
		}
		if inner, err := dialect.Scan(o.Get("response")); err == nil {
			a.keepRaw(inner)
		}
	}
}

// Delta streams a piece.
func (a *answer) Delta(d core.Delta) error {
	if a.stream == nil {
		return nil
	}
	return a.enc.delta(d)
}

// Done writes the whole answer, or what is left of a stream.
func (a *answer) Done(res core.ModelResponse) error {
	if err := a.enc.done(res); err != nil {
		return err
	}
	a.ended = true
	if a.stream == nil {
		backend.WriteOpenAIJSON(a.w, http.StatusOK, a.enc.obj)
	}
	return nil
}

// fail tells of an error: with its status while nothing has gone out, else as the stream's last event. An answer that has
// ended, also by a failure that its provider told of, gets no second end.
func (a *answer) fail(err error) {
	switch {
	case a.ended:
		backend.LogFault(a.r.Context(), a.h.Logger, err)
	case a.stream == nil || !a.stream.Started():
		if a.stream != nil {
			a.stream.Close() // no keep-alive into the error's body
		}
		a.h.fail(a.w, a.r, err)
	default:
		a.failStream(err)
	}
}

func (a *answer) failStream(err error) {
	backend.LogFault(a.r.Context(), a.h.Logger, err)
	e := backend.ToOpenAIError(err)
	code := e.Code
	if e.Status >= http.StatusInternalServerError {
		code = "server_error"
	} else if code == "" {
		code = "invalid_prompt"
	}
	// An error of a write says that the client has left, and then nobody is told.
	if a.enc.began {
		_ = a.enc.fail(code, e.Message)
		return
	}
	a.enc.seq = a.events
	_ = a.enc.event("error", map[string]any{"code": code, "message": e.Message, "param": nil})
	_ = a.enc.flush()
}
