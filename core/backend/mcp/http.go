package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	sdkauth "github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/auth"
)

// Headers of the protocol.
const (
	versionHeader = "Mcp-Protocol-Version"
	sessionHeader = "Mcp-Session-Id"
)

// recheckEvery is how soon, at the latest, an open stream ends after its credential was revoked.
const recheckEvery = 5 * time.Second

// serve answers one HTTP request of the protocol. Who sent it is known: the guard has let it in.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	out := newWriter(w)
	defer out.finish()
	p, _ := auth.PrincipalOf(r.Context())
	q := &request{principal: p, addr: backend.AddrOf(r.Context())}
	modern, streams := r.Header.Get(versionHeader) >= stateless, r.Method == http.MethodGet
	if r.Method == http.MethodPost {
		body, err := backend.ReadBody(r)
		if err != nil {
			s.fail(out, r, err)
			return
		}
		messages, batch, wrong := parse(body)
		if wrong != nil {
			writeError(out, http.StatusBadRequest, wrong.id, wrong.err.Code, wrong.err.Message)
			return
		}
		if r.Header.Get(versionHeader) == "" {
			modern = slices.ContainsFunc(messages, func(m message) bool { return m.meta[sdk.MetaKeyProtocolVersion] != nil })
		}
		if !modern && !s.hasSession(out, r, q, messages) || !s.admit(out, r, q, messages, batch, modern) {
			return
		}
		streams = slices.ContainsFunc(messages, func(m message) bool { return m.method == "subscriptions/listen" })
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if r.Method == http.MethodDelete && !modern {
		s.sessions.stop(p.Actor(), r.Header.Get(sessionHeader))
	}
	q.stateless = modern
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), requestKey{}, q))
	watched := make(chan struct{})
	go func() { // ends with the answer
		defer close(watched)
		s.watch(ctx, cancel, q, streams)
	}()
	defer func() { cancel(); <-watched }()
	h := s.stateful
	if modern {
		h = s.stateless
	}
	pass(q, h).ServeHTTP(out, withoutSecrets(r.WithContext(ctx)))
}

// hasSession says whether the messages may come in the session that they name or without one; it has answered where not.
func (s *Server) hasSession(w http.ResponseWriter, r *http.Request, q *request, messages []message) bool {
	id := r.Header.Get(sessionHeader)
	early := func(m message) bool {
		return m.method == "initialize" || m.method == "ping" || m.method == "server/discover"
	}
	switch {
	case id == "" && !slices.ContainsFunc(messages, early):
		writeError(w, http.StatusBadRequest, messages[0].id, jsonrpc.CodeInvalidRequest,
			"the header Mcp-Session-Id is missing: open a session with initialize first, or send the header Mcp-Protocol-Version with the revision "+stateless)
		return false
	case id != "" && !s.sessions.has(q.principal.Actor(), id):
		writeError(w, http.StatusNotFound, messages[0].id, codeNoSession, "there is no such session; open another with initialize")
		return false
	}
	return true
}

// admit checks each message and the caller's right to send it; it has answered where it returns false.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, q *request, messages []message, batch, modern bool) bool {
	known := false
	for i, m := range messages {
		if i > 0 && q.principal.Kind != auth.KindSocket { // the guard has counted the first
			if v := s.d.Limits.Key.Allow(q.principal.Actor()); !v.OK {
				s.fail(w, r, core.Errorf(core.CodeRateLimited, "too many requests with this credential; try again in %d s", v.RetryAfter))
				return false
			}
		}
		if err := m.check(modern); err != nil {
			writeError(w, statusOf(err.err.Code, modern, batch), err.id, err.err.Code, err.err.Message)
			return false
		}
		if err := s.allowed(q, m.method, m.params); err != nil {
			s.denied(r.Context(), q, m.method+" "+nameIn(m.params))
			w.Header().Set("WWW-Authenticate", s.challenge(r, `error="insufficient_scope"`, scopesOf(m.method, nameIn(m.params), s.tools)))
			writeError(w, http.StatusForbidden, m.id, codeForbidden, core.MessageOf(err))
			return false
		}
		known = known || m.method == "" || forms()[m.method].params != nil
	}
	if !known { // notifications that no method of ours waits for
		w.WriteHeader(http.StatusAccepted)
	}
	return known
}

// statusOf is the HTTP status of an error about one message. Until 2025-11-25 an error that answers a request came like
// any answer; later revisions give some a status of their own.
func statusOf(code int64, modern, batch bool) int {
	switch {
	case code == jsonrpc.CodeMethodNotFound && modern:
		return http.StatusNotFound
	case code == jsonrpc.CodeInvalidRequest || modern || batch:
		return http.StatusBadRequest
	default:
		return http.StatusOK
	}
}

// watch ends a stream when its credential is revoked and, where it would not end by itself, when the server stops.
func (s *Server) watch(ctx context.Context, end context.CancelFunc, q *request, streams bool) {
	draining := backend.Draining(ctx)
	if !streams {
		draining = nil // calls end by themselves, and tell what becomes of their runs
	}
	t := time.NewTicker(recheckEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-draining:
			q.end(core.Errorf(core.CodeUnavailable, "the server stops; connect again"))
		case <-t.C:
			if s.d.Auth.StillValid(ctx, q.principal) {
				continue
			}
			q.end(core.Errorf(core.CodeUnauthorized, "the credential of this connection is not valid any longer"))
		}
		end()
		return
	}
}

// pass gives the SDK the caller in the form that it knows: it holds a session to the caller who opened it.
func pass(q *request, h http.Handler) http.Handler {
	verified := func(context.Context, string, *http.Request) (*sdkauth.TokenInfo, error) {
		return &sdkauth.TokenInfo{UserID: q.principal.Actor(), Extra: map[string]any{extraKey: q}}, nil
	}
	return sdkauth.RequireBearerToken(verified, &sdkauth.RequireBearerTokenOptions{AllowMissingExpiration: true})(h)
}

// withoutSecrets returns a request whose header holds no credential, since sessions keep headers. The SDK wants a bearer
// token to be there; its text says nothing.
func withoutSecrets(r *http.Request) *http.Request {
	h := r.Header.Clone()
	h.Del("X-Api-Key")
	h.Del("Cookie")
	h.Set("Authorization", "Bearer verified")
	out := *r
	out.Header = h
	return &out
}

// wrongMethod answers methods that the protocol does not use.
func (s *Server) wrongMethod(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, POST, DELETE")
	writeError(w, http.StatusMethodNotAllowed, nil, codeOfStatus(http.StatusMethodNotAllowed), "this address takes POST, and up to revision 2025-11-25 GET and DELETE")
}

// fail writes an error of the way to the protocol: a credential, a limit, a size.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := backend.StatusOf(err)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", s.challenge(r, "", nil))
	}
	backend.LogFault(r.Context(), s.d.Logger, err)
	writeError(w, status, nil, codeOfStatus(status), core.MessageOf(err))
}

// Codes of errors that JSON-RPC leaves to the server.
const (
	codeServer       = -32000
	codeNoSession    = -32001
	codeForbidden    = -32003
	codeUnauthorized = -32004
	codeLimited      = -32005
)

func codeOfStatus(status int) int64 {
	switch status {
	case http.StatusUnauthorized:
		return codeUnauthorized
	case http.StatusForbidden:
		return codeForbidden
	case http.StatusNotFound:
		return codeNoSession
	case http.StatusTooManyRequests:
		return codeLimited
	case http.StatusMethodNotAllowed, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInsufficientStorage:
		return codeServer
	}
	if status >= 500 {
		return jsonrpc.CodeInternalError
	}
	return jsonrpc.CodeInvalidRequest
}

// writeError answers a request with an error of the protocol. Without the id of a message there is none in the answer.
func writeError(w http.ResponseWriter, status int, id json.RawMessage, code int64, message string) {
	b, err := json.Marshal(wireError{JSONRPC: "2.0", ID: id, Error: rpcError{Code: code, Message: message}})
	if err != nil { // the id was read from JSON: it cannot happen
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has left needs no answer
}

// nameIn is the tool, prompt or resource that a request is about.
func nameIn(params json.RawMessage) string {
	var p struct {
		Name string `json:"name"`
		URI  string `json:"uri"`
	}
	if json.Unmarshal(params, &p) != nil {
		return ""
	}
	return strings.TrimSpace(p.Name + p.URI)
}
