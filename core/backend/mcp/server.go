package mcp

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

// Path is where the protocol is served.
const Path = "/mcp"

// stateless is the first revision of the protocol without sessions.
const stateless = "2026-07-28"

const (
	syncEvery   = 2 * time.Second // how soon a client learns that agents came, went or changed
	sessionIdle = time.Hour       // how long a session lives without a request
	pageSize    = 200             // items of a page of a list
	maxBatch    = 50              // messages in one body, which only revision 2025-03-26 has
)

// Deps are the parts that the server calls. All are needed, except Extend.
type Deps struct {
	Runs   backend.Runs
	Agents backend.Agents
	Auth   interface {
		// StillValid says whether a caller's credential is still good. Long streams ask it.
		StillValid(ctx context.Context, p auth.Principal) bool
	}
	Audit     *audit.Log
	Limits    *ratelimit.Limits
	Logger    *slog.Logger
	Version   string        // of the program
	PublicURL func() string // address of the console and of the server; "" = as the request says
	OAuth     OAuth
	Extend    func(*sdk.Server) // adds features; only tests have any
}

// Server serves the protocol. Make it with New, and call Watch and Close.
type Server struct {
	d          Deps
	server     *sdk.Server
	tools      map[string]*tool // by name; those of agents are made from the registry
	agentInput input
	auditRate  *ratelimit.Limiter // of refusals written to the audit log, of one caller
	stateful   http.Handler
	stateless  http.Handler
	sessions   *sessions
	watches    *watches

	mu    sync.Mutex
	known map[string]string // agents that are served: name -> state of the definition
}

// New returns a server without sessions.
func New(d Deps) *Server {
	s := &Server{d: d, known: map[string]string{}, sessions: newSessions(), auditRate: ratelimit.New("audit", ratelimit.Rate{PerSecond: 0.2, Burst: 20}, time.Now)}
	s.watches = newWatches(d.Runs, s.updated)
	s.server = sdk.NewServer(
		&sdk.Implementation{Name: "sutazai", Title: "SutazAI", Version: d.Version},
		&sdk.ServerOptions{
			Instructions: instructions, Logger: slog.New(quiet{d.Logger.Handler()}), PageSize: pageSize, GetSessionID: rand.Text,
			CompletionHandler: s.complete, SubscribeHandler: s.subscribe, UnsubscribeHandler: s.unsubscribe,
			SetCacheable: private,
			Capabilities: &sdk.ServerCapabilities{
				Logging:   &sdk.LoggingCapabilities{},
				Tools:     &sdk.ToolCapabilities{ListChanged: true},
				Prompts:   &sdk.PromptCapabilities{ListChanged: true},
				Resources: &sdk.ResourceCapabilities{ListChanged: true, Subscribe: true},
			},
		})
	s.addTools()
	s.addResources()
	if d.Extend != nil {
		d.Extend(s.server)
	}
	s.sync()
	s.server.AddReceivingMiddleware(s.receive)
	serve := func(*http.Request) *sdk.Server { return s.server }
	// Host, origin and size have been checked before: see the shield and the guard of the backend.
	s.stateful = sdk.NewStreamableHTTPHandler(serve, &sdk.StreamableHTTPOptions{
		EventStore: newEventStore(), SessionTimeout: sessionIdle, DisableLocalhostProtection: true, MaxRequestBodyBytes: -1,
	})
	s.stateless = sdk.NewStreamableHTTPHandler(serve, &sdk.StreamableHTTPOptions{
		Stateless: true, PropagateRequestCancellation: true, DisableLocalhostProtection: true, MaxRequestBodyBytes: -1,
	})
	return s
}

const instructions = `SutazAI runs agents durably: a run goes on when the connection breaks or the server restarts.
Give a task to an agent with its tool agent_<name> and wait for the answer, or start one with start_run and look at it later with get_run.
A run may wait for a person: to approve a call (decide_approval) or to answer a question (send_message).`

// Routes returns the routes of the protocol for backend.Deps.Routes.
func (s *Server) Routes() []backend.Route {
	own := func(pattern string, h http.HandlerFunc) backend.Route {
		return backend.Route{Pattern: pattern, Handler: h, Problem: s.fail}
	}
	return []backend.Route{
		own("POST "+Path, s.serve),
		own("GET "+Path, s.serve),
		own("DELETE "+Path, s.serve),
		own(Path, s.wrongMethod),
		{Pattern: "GET " + metadataPath, Handler: http.HandlerFunc(s.metadata)},
		{Pattern: "GET " + metadataPath + Path, Handler: http.HandlerFunc(s.metadata)},
		{Pattern: "/.well-known/", Handler: http.HandlerFunc(s.unknownMetadata)},
	}
}

// Watch tells clients about agents that come, go and change, until ctx ends.
func (s *Server) Watch(ctx context.Context) {
	t := time.NewTicker(syncEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.sync()
		}
	}
}

// Close ends every session and waits for what it was doing. Runs go on.
func (s *Server) Close() error {
	s.sessions.close()
	s.watches.close()
	return nil
}

// private keeps answers out of caches that several callers share: what a list holds depends on its reader's rights.
func private(_ context.Context, _ sdk.Request, c *sdk.Cacheable) { c.CacheScope = "private" }

// quiet makes what the SDK logs a matter of debugging: its errors are those of clients.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}
