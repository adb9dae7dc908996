package backend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Headers of calls to models, the same in every dialect, as http.Header has their names.
const (
	sessionHeader = "X-Sutazai-Session"
	cacheHeader   = "X-Sutazai-Cache-Control"
	maxSession    = 200 // bytes of a session's name that count
)

// NewCall reads the body of a model call in a dialect and finds its fields. The dialect sets what it knows better: what
// the answer may hold, headers that go on, and how the body is translated. Codes: CodeTooLarge, CodeTimeout, CodeInvalid.
func NewCall(r *http.Request, n dialect.Name) (*dialect.Call, error) {
	body, err := ReadBody(r)
	if err != nil {
		return nil, err
	}
	if err := dialect.Text(body); err != nil {
		return nil, err
	}
	o, err := dialect.Scan(body)
	if err != nil {
		return nil, err
	}
	if err := o.Spelled(policyFields()...); err != nil {
		return nil, err
	}
	// Some servers take "yes" for true: an answer of the other kind would count as their failure.
	if v := string(o.Get("stream")); v != "" && v != "true" && v != "false" {
		return nil, &core.Error{Code: core.CodeInvalid, Message: "Invalid type for 'stream': expected a boolean.", Fields: []core.FieldError{{Field: "stream", Message: "expected a boolean"}}}
	}
	model, _ := o.Text("model")
	session := r.Header.Get(sessionHeader)
	return &dialect.Call{
		Dialect: n, Body: o, Model: model, Stream: o.True("stream"), Caller: CallerOf(r.Context()),
		Session: session[:min(len(session), maxSession)], CacheControl: CacheControlOf(r),
		IdempotencyKey: r.Header.Get("Idempotency-Key"),
	}, nil
}

// policyFields are those that decide what a call may do and cost. Servers differ in whether "Model" is "model" to them: what
// is checked here must be what runs there.
func policyFields() []string {
	return []string{
		"model", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens", "options",
		"messages", "input", "prompt", "system", "tools", "previous_response_id",
	}
}

// ReadBody reads a request's body, whose size the guard bounds. Codes: CodeTooLarge, CodeTimeout.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := readAll(r)
	_ = r.Body.Close() // it has been read; closing lets the next large body in
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, core.Errorf(core.CodeTooLarge, "the body is larger than the %d bytes that this call takes", tooLarge.Limit)
		}
		return nil, core.Wrap(core.CodeTimeout, err, "the body did not arrive in full")
	}
	return body, nil
}

// readAll allocates once where the length is known. The length is a client's word: only so much is taken on trust.
func readAll(r *http.Request) ([]byte, error) {
	const trusted = 1 << 20
	if r.ContentLength <= 0 || r.ContentLength > trusted {
		return io.ReadAll(r.Body)
	}
	b := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, b); err != nil {
		return nil, err
	}
	// The end has to be seen too: the guard's reader frees its deadline there.
	var one [1]byte
	if n, err := r.Body.Read(one[:]); n == 0 && (err == nil || errors.Is(err, io.EOF)) {
		return b, nil
	}
	return nil, core.Errorf(core.CodeInvalid, "the body is longer than its Content-Length")
}

// wholeTime is how long a client may take to read an answer that is written at once.
const wholeTime = 60 * time.Second

// WriteBody writes a whole answer whose bytes are ready. Its error is the client's leaving, or its not reading.
func WriteBody(w http.ResponseWriter, status int, contentType string, b []byte) error {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Cache-Control"] = []string{"no-store"}
	// A writer without deadlines is a test's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wholeTime))
	w.WriteHeader(status)
	_, err := w.Write(b)
	return err
}

// CacheControlOf returns what the caller says of the caches.
func CacheControlOf(r *http.Request) string { return r.Header.Get(cacheHeader) }

// CallerOf says for whom a request calls models.
func CallerOf(ctx context.Context) core.Caller {
	p, ok := auth.PrincipalOf(ctx)
	if !ok {
		return core.Caller{}
	}
	return p.Caller()
}
