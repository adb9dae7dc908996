package aimodelstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Server is a scripted model server: an http.Handler that speaks one dialect.
type Server struct {
	// Key is the API key that requests must carry; "" = any.
	Key string

	script  Script
	models  []string
	dialect dialect
	mux     *http.ServeMux

	active atomic.Int64
	mu     sync.Mutex
	seen   []Seen
}

// Seen is one chat request as it came.
type Seen struct {
	Header  http.Header
	Body    []byte
	Request core.ModelRequest
}

// dialect writes a turn's answer in one protocol.
type dialect interface {
	decode(body []byte) (req core.ModelRequest, stream bool, err error)
	contentType(stream bool) string
	delta(text string) []byte
	end(req core.ModelRequest, resp core.ModelResponse) []byte   // what ends a stream
	whole(req core.ModelRequest, resp core.ModelResponse) []byte // the answer that is not streamed
	errorBody(status int, message string) []byte
	garbage() []byte
	list(models []string) []byte
}

// A dialect may also have keyHeader() string, the header in which keys come (else Authorization), begin() []byte, what
// every stream starts with, reasoning(text string) []byte, a piece of what the model thinks, fresh() dialect, which
// writes one answer and may remember what it wrote, and address(r *http.Request) (model string, stream bool), for those
// whose requests tell this in their address and not in the body.

func newServer(script Script, models []string, d dialect, chat, list string) *Server {
	if len(models) == 0 {
		models = []string{"default"}
	}
	s := &Server{script: script, models: models, dialect: d, mux: http.NewServeMux()}
	s.mux.HandleFunc("POST "+chat, s.chat)
	s.mux.HandleFunc("GET "+list, func(w http.ResponseWriter, r *http.Request) {
		if !s.authorized(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(d.list(s.models))
	})
	return s
}

// ServeHTTP serves the dialect.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Requests returns the chat requests so far.
func (s *Server) Requests() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.seen...)
}

// Active is the number of chat requests in flight.
func (s *Server) Active() int { return int(s.active.Load()) }

func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	sent := r.Header.Get("Authorization")
	if named, ok := s.dialect.(interface{ keyHeader() string }); ok {
		sent = "Bearer " + r.Header.Get(named.keyHeader())
	}
	if s.Key == "" || sent == "Bearer "+s.Key {
		return true
	}
	s.fail(w, http.StatusUnauthorized, "wrong key: "+sent)
	return false
}

func (s *Server) fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(s.dialect.errorBody(status, message))
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	s.active.Add(1)
	defer s.active.Add(-1)
	if !s.authorized(w, r) {
		return
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, 64<<20)); err != nil {
		s.fail(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	req, stream, err := s.dialect.decode(body.Bytes())
	if err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if d, ok := s.dialect.(interface {
		address(r *http.Request) (model string, stream bool)
	}); ok {
		req.Model, stream = d.address(r)
	}
	s.mu.Lock()
	n := len(s.seen)
	s.seen = append(s.seen, Seen{Header: r.Header.Clone(), Body: body.Bytes(), Request: req})
	s.mu.Unlock()

	out := &writer{w: w, d: s.dialect, stream: stream}
	if d, ok := s.dialect.(interface{ fresh() dialect }); ok {
		out.d = d.fresh()
	}
	// The context of a request ends when the client goes away; a Turn that waits for it must notice as in the process.
	resp, err := s.script(n, req)(r.Context(), req, out.delta)
	if r.Context().Err() != nil {
		return
	}
	if err != nil {
		s.playFault(r.Context(), out, err)
		return
	}
	resp = complete(req, resp)
	if !stream {
		out.start()
		_, _ = w.Write(out.d.whole(req, resp))
		return
	}
	out.start()
	out.write(out.d.end(req, resp))
}

// playFault makes an error happen on the wire.
func (s *Server) playFault(ctx context.Context, out *writer, err error) {
	f, ok := errors.AsType[Fault](err)
	switch {
	case !ok:
		s.fail(out.w, statusOf(err), core.MessageOf(err))
	case f.Garbage:
		out.start()
		out.write(out.d.garbage())
	case f.Endless:
		out.start()
		for ctx.Err() == nil && out.err == nil {
			out.write(out.d.delta("and on and on "))
		}
	case f.Reset:
		out.start()
		out.write(nil)
		panic(http.ErrAbortHandler)
	default:
		if f.RetryAfter > 0 {
			out.w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
		}
		s.fail(out.w, f.Status, f.Message)
	}
}

func statusOf(err error) int {
	switch core.CodeOf(err) {
	case core.CodeUnavailable:
		return http.StatusServiceUnavailable
	case core.CodeUnauthorized:
		return http.StatusUnauthorized
	case core.CodeNotFound:
		return http.StatusNotFound
	case core.CodeInvalid, core.CodeContextFull, core.CodeRefused:
		return http.StatusBadRequest
	default:
		return http.StatusInternalServerError
	}
}

// writer streams a turn's deltas.
type writer struct {
	w       http.ResponseWriter
	d       dialect
	stream  bool
	started bool
	err     error
}

func (o *writer) start() {
	if o.started {
		return
	}
	o.started = true
	o.w.Header().Set("Content-Type", o.d.contentType(o.stream))
	o.w.WriteHeader(http.StatusOK)
	if d, ok := o.d.(interface{ begin() []byte }); ok && o.stream {
		o.write(d.begin())
	}
}

func (o *writer) delta(d core.Delta) {
	if !o.stream {
		return
	}
	if thinks, ok := o.d.(interface{ reasoning(text string) []byte }); ok && d.Reasoning != "" {
		o.start()
		o.write(thinks.reasoning(d.Reasoning))
	}
	if d.Text != "" {
		o.start()
		o.write(o.d.delta(d.Text))
	}
}

func (o *writer) write(b []byte) {
	if _, err := o.w.Write(b); err != nil {
		o.err = err
		return
	}
	o.err = http.NewResponseController(o.w).Flush()
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}
