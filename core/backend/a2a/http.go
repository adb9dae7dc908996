package a2a

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/a2aproject/a2a-go/v2/log"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

const (
	keepAlive = 15 * time.Second // of silence in a stream
	writeTime = 20 * time.Second // of one write
)

// Routes serve the protocol. Their rights stand in the table of access.go.
func (s *Server) Routes() []backend.Route {
	handler := &a2asrv.InterceptedHandler{Handler: s, Logger: s.d.Logger}
	options := []a2asrv.TransportOption{a2asrv.WithTransportKeepAlive(keepAlive), a2asrv.WithTransportPanicHandler(s.panicked)}
	rpc := &rpcHandler{s, map[a2acheck.Version]http.Handler{
		a2acheck.V10: a2asrv.NewJSONRPCHandler(handler, options...), a2acheck.V03: a2av0.NewJSONRPCHandler(handler, options...),
	}}
	rest := &restHandler{s, a2asrv.NewRESTHandler(handler, options...), &restV03{s, handler}}
	routes := []backend.Route{
		{Pattern: "GET /.well-known/agent-card.json", Handler: http.HandlerFunc(s.servePlatformCard)},
		{Pattern: "GET /a2a/.well-known/agent-card.json", Handler: http.HandlerFunc(s.servePlatformCard)},
		{Pattern: "GET /a2a/{agent}/.well-known/agent-card.json", Handler: http.HandlerFunc(s.serveCard)},
		{Pattern: "GET /.well-known/jwks.json", Handler: http.HandlerFunc(s.serveKeys)},
		{Pattern: "POST /a2a", Handler: rpc, Problem: rpc.problem},
		{Pattern: "POST /a2a/{agent}", Handler: rpc, Problem: rpc.problem},
		{Pattern: "POST " + grpcPath + "{method}", Handler: s.newGRPC(handler), Problem: s.grpcProblem},
		{Pattern: "/a2a/", Handler: http.HandlerFunc(rest.nothing), Problem: rest.problem},
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		routes = append(routes, backend.Route{Pattern: method + " /a2a/{agent}/{rest...}", Handler: rest, Problem: rest.problem})
	}
	return routes
}

// panicked makes an error of a defect.
func (s *Server) panicked(r any) error {
	s.d.Logger.Error("panic in a call of A2A", "panic", r)
	return a2a.NewError(a2a.ErrInternalError, core.MessageOf(errors.New("")))
}

// versionOf is the version that a request asks for; "" for none, which means 0.3.
func versionOf(r *http.Request) string {
	if v := r.Header.Get(a2a.SvcParamVersion); v != "" {
		return strings.TrimSpace(v)
	}
	return strings.TrimSpace(r.URL.Query().Get(a2a.SvcParamVersion))
}

// known is the version that is spoken; false for one that is not.
func known(text string) (a2acheck.Version, bool) {
	switch {
	case text == string(a2acheck.V10) || strings.HasPrefix(text, "1.0."):
		return a2acheck.V10, true
	case text == "" || text == string(a2acheck.V03) || strings.HasPrefix(text, "0.3."):
		return a2acheck.V03, true
	}
	return "", false
}

func unknownVersion(text string) error {
	return refuse(a2a.ErrVersionNotSupported, a2a.SvcParamVersion+" is "+quote(text)+"; expected 1.0 or 0.3")
}

// hand gives a request to the library, with what it needs: a context that names the agent, a body that was checked, and a
// writer that flushes.
func (s *Server) hand(h http.Handler, w http.ResponseWriter, r *http.Request, path string, body []byte) {
	ctx := log.AttachLogger(withAgent(r.Context(), r.PathValue("agent")), s.d.Logger)
	r = r.Clone(ctx)
	r.URL.Path, r.URL.RawPath = path, ""
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	w.Header().Set("Cache-Control", "no-store")
	h.ServeHTTP(&flushing{ResponseWriter: w, rc: http.NewResponseController(w)}, r)
}

// flushing is a writer that can be flushed, and whose writes take their time only so long.
type flushing struct {
	http.ResponseWriter
	rc *http.ResponseController
}

// Write implements http.ResponseWriter.
func (f *flushing) Write(b []byte) (int, error) {
	// A writer without deadlines is a test's.
	_ = f.rc.SetWriteDeadline(time.Now().Add(writeTime))
	return f.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (f *flushing) Flush() { _ = f.rc.Flush() } // the next write tells that nobody reads

// Unwrap lets http.ResponseController find the real writer.
func (f *flushing) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// asked makes an error of the middleware, or of the check of a message, the protocol's.
func (s *Server) asked(ctx context.Context, err error) *a2a.Error {
	out, ok := errors.AsType[*a2a.Error](s.fail(ctx, err))
	if !ok {
		out = a2a.NewError(a2a.ErrInternalError, core.MessageOf(err))
	}
	return out
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // texts and numbers only: it cannot happen
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_ = backend.WriteBody(w, status, "application/json", append(b, '\n')) // a client that has left needs no answer
}
