package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
)

type requestKey struct{}

// internalText is what a client reads of an error that is the server's fault.
const internalText = "internal error; the server's log has the details"

// extraKey is where the SDK carries a request beside a message.
const extraKey = "request"

// request is what is known of the HTTP request that brought a message.
type request struct {
	principal auth.Principal
	addr      string
	stateless bool

	mu    sync.Mutex
	ended error // why the server ended it; nil while it has not
}

func (q *request) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended == nil {
		q.ended = err
	}
}

func (q *request) endedBy() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

// requestOf returns the request that brought a message: of a session, every message has its own.
func requestOf(ctx context.Context, req sdk.Request) *request {
	if extra := req.GetExtra(); extra != nil && extra.TokenInfo != nil {
		if q, ok := extra.TokenInfo.Extra[extraKey].(*request); ok {
			return q
		}
	}
	if q, ok := ctx.Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{}
}

// receive stands before every handler: rights, sessions, and errors in words that a client may read.
func (s *Server) receive(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (res sdk.Result, err error) {
		// Handlers run in goroutines of the SDK: what the HTTP server does about a panic does not reach them.
		defer func() {
			if p := recover(); p != nil {
				s.d.Logger.Error("panic in a request", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				res, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: internalText}
			}
		}()
		q := requestOf(ctx, req)
		params, err := json.Marshal(req.GetParams())
		if err != nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "params: cannot be read"}
		}
		if err := s.allowed(q, method, params); err != nil {
			s.denied(ctx, q, method+" "+nameIn(params))
			return nil, &jsonrpc.Error{Code: codeForbidden, Message: core.MessageOf(err)}
		}
		s.sync()
		ctx = auth.WithPrincipal(context.WithValue(ctx, requestKey{}, q), q.principal)
		ss, _ := req.GetSession().(*sdk.ServerSession)
		if method == "initialize" && ss != nil && ss.ID() != "" {
			s.sessions.add(q.principal.Actor(), ss, func() { s.watches.forget(ss) })
		}
		if ss != nil && !strings.HasPrefix(method, "notifications/") {
			var done func()
			ctx, done = s.sessions.begin(ctx, ss.ID())
			defer done()
		}
		res, err = s.answer(ctx, next, method, req)
		if err != nil {
			return nil, s.explain(ctx, method, err)
		}
		return s.visible(q, res), nil
	}
}

// answer lists runs among the resources, and leaves everything else to the SDK.
func (s *Server) answer(ctx context.Context, next sdk.MethodHandler, method string, req sdk.Request) (sdk.Result, error) {
	if p, ok := req.GetParams().(*sdk.ListResourcesParams); ok && method == "resources/list" {
		return s.listResources(ctx, next, req, p)
	}
	return next(ctx, method, req)
}

// scopesOf returns what a caller needs one of, to send a message. The tools know their own.
func scopesOf(method, name string, tools map[string]*tool) []core.Scope {
	switch method {
	case "tools/call":
		if t := tools[name]; t != nil {
			return []core.Scope{t.scope}
		}
		return []core.Scope{core.ScopeRun} // an agent
	case "resources/read", "resources/subscribe":
		return []core.Scope{core.ScopeRead}
	default:
		return nil // who may come in at all; lists hold what the caller may use
	}
}

// allowed says whether the caller may send a message. CodeForbidden.
func (s *Server) allowed(q *request, method string, params json.RawMessage) error {
	need := scopesOf(method, nameIn(params), s.tools)
	if q.principal.HasAny(need...) {
		return nil
	}
	return core.Errorf(core.CodeForbidden, "%s needs the scope %q, which the credential does not have", strings.TrimSpace(method+" "+nameIn(params)), need[0])
}

// visible takes out of a list what the caller could not use.
func (s *Server) visible(q *request, res sdk.Result) sdk.Result {
	reads := q.principal.HasAny(core.ScopeRead)
	switch r := res.(type) {
	case *sdk.ListToolsResult:
		r.Tools = slices.DeleteFunc(r.Tools, func(t *sdk.Tool) bool {
			return !q.principal.HasAny(scopesOf("tools/call", t.Name, s.tools)...)
		})
	case *sdk.ListResourcesResult:
		if !reads {
			r.Resources, r.NextCursor = []*sdk.Resource{}, ""
		}
	case *sdk.ListResourceTemplatesResult:
		if !reads {
			r.ResourceTemplates, r.NextCursor = []*sdk.ResourceTemplate{}, ""
		}
	case *sdk.CompleteResult:
		if !reads {
			r.Completion = sdk.CompletionResultDetails{Values: []string{}}
		}
	}
	return res
}

// explain turns an error into one of the protocol. Internals go to the log.
func (s *Server) explain(ctx context.Context, method string, err error) error {
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok {
		if wire.Code == jsonrpc.CodeInvalidParams && strings.HasSuffix(method, "/list") && wire.Data == nil {
			return &jsonrpc.Error{Code: wire.Code, Message: "params.cursor: is not one that this server has given"}
		}
		return err
	}
	if e, ok := errors.AsType[*core.Error](err); ok {
		backend.LogFault(ctx, s.d.Logger, err)
		code := int64(codeServer)
		switch e.Code {
		case core.CodeInvalid, core.CodeNotFound, core.CodeTooLarge:
			code = jsonrpc.CodeInvalidParams
		case core.CodeForbidden:
			code = codeForbidden
		case core.CodeInternal:
			code = jsonrpc.CodeInternalError
		}
		data, mErr := json.Marshal(map[string]any{"code": e.Code, "errors": e.Fields})
		if mErr != nil { // texts only: it cannot happen
			data = nil
		}
		return &jsonrpc.Error{Code: code, Message: e.Message, Data: data}
	}
	if ctx.Err() != nil {
		return &jsonrpc.Error{Code: codeServer, Message: "the request was given up"}
	}
	switch {
	case strings.HasPrefix(method, "notifications/"):
		s.d.Logger.Debug("notification not taken", "method", method, "error", err)
		return err // nobody is told
	case method == "initialize":
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "this session was initialized before"}
	}
	s.d.Logger.Error("request failed", "method", method, "error", err)
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: internalText}
}

// denied writes a refusal to the audit log.
func (s *Server) denied(ctx context.Context, q *request, what string) {
	if !s.auditRate.Allow(q.principal.Actor()).OK {
		return
	}
	s.record(ctx, q, core.AuditEvent{Action: "auth.forbidden", Target: fmt.Sprintf("%s %s", Path, strings.TrimSpace(what)), Result: audit.Denied})
}

// record writes an audit event about a caller. The log itself reports events that cannot be stored.
func (s *Server) record(ctx context.Context, q *request, e core.AuditEvent) {
	e.Actor, e.Addr = q.principal.Actor(), q.addr
	_ = s.d.Audit.Record(context.WithoutCancel(ctx), e)
}
