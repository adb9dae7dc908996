package app

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/anthropic"
	"github.com/sutazai/sutazai/core/backend/ollama"
	"github.com/sutazai/sutazai/core/backend/openai"
	"github.com/sutazai/sutazai/core/backend/responses"
	"github.com/sutazai/sutazai/core/frontend"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/ratelimit"
	"github.com/sutazai/sutazai/services/database"
)

// serve listens and answers until life ends.
func (a *App) serve(ctx, life context.Context, auditLog *audit.Log, registry *prometheus.Registry) error {
	cfg := a.opts.Config
	oauth, err := a.newOAuth(cfg)
	if err != nil {
		return err
	}
	a.auth = auth.New(database.NewKeys(a.db), database.NewUsers(a.db), database.NewSessions(a.db), auth.Options{
		NoAuth: cfg.Server.Auth == "none", SessionTTL: cfg.Server.SessionTTL, OAuth: oauth, Logger: a.opts.Logger,
	})
	chats := &backend.Chats{Runs: a.runs, Agents: a.agents, Models: a.models, Logger: a.opts.Logger, PublicURL: a.publicURL}
	tasks, err := a.newA2A(cfg, auditLog)
	if err != nil {
		return err
	}
	handler, err := backend.New(backend.Deps{
		Runs: a.runs, RunCounts: a.runs, Usage: database.NewUsage(a.db), Budgets: a.ledger, Versions: a.agents, Evaluations: a.evals, Cache: a.answers, Agents: a.agents, Models: a.models, Services: a.newServices(), Credentials: a.vault, MCP: a.mcp,
		Auth: a.auth, Audit: auditLog, Limits: a.limits, Metrics: registry, Console: frontend.Handler(backend.Nonce), Logger: a.opts.Logger,
		Routes: slices.Concat(
			openai.Routes(openai.Deps{Chats: chats, Logger: a.opts.Logger}),
			responses.Routes(responses.Deps{Chats: chats, Store: database.NewResponses(a.db), Logger: a.opts.Logger}),
			anthropic.Routes(anthropic.Deps{Chats: chats, Logger: a.opts.Logger}),
			ollama.Routes(ollama.Deps{Chats: chats, Logger: a.opts.Logger}),
			a.newMCPServer(life, auditLog).Routes(),
			tasks.Routes(),
		),
	}, withCards(backendConfig(a.opts.Version, cfg.Server), cfg.A2A))
	if err != nil {
		return err
	}
	socket, err := backend.ListenSocket(ctx, a.Socket())
	if err != nil {
		return err
	}
	listeners := []net.Listener{socket}
	if !a.opts.SocketOnly {
		tcp, err := backend.ListenTCP(ctx, cfg.Server.Listen)
		if err != nil {
			_ = socket.Close() // the other error is the one to tell
			return err
		}
		listeners = append(listeners, tcp)
		a.url = localURL(tcp.Addr())
		if err := a.offerSetup(ctx); err != nil {
			_ = tcp.Close()
			_ = socket.Close()
			return err
		}
	}
	a.goDo(func() { a.listen(life, handler, listeners) })
	if cfg.A2A.Push.Enabled && !a.opts.Idle {
		a.goDo(func() { tasks.Tell(life) })
	}
	return a.serveOllama(ctx, life, handler)
}

// serveOllama listens where clients of Ollama look for it, if the settings say so. All guards stay on.
func (a *App) serveOllama(ctx, life context.Context, handler http.Handler) error {
	address := a.opts.Config.Server.OllamaListen
	if address == "" || a.opts.SocketOnly {
		return nil
	}
	l, err := backend.ListenTCP(ctx, address)
	if err != nil {
		return err
	}
	own := ollama.OwnListener(handler)
	a.goDo(func() { a.listen(life, own, []net.Listener{l}) })
	return nil
}

func backendConfig(version string, s config.Server) backend.Config {
	// Behind a proxy every caller comes from loopback, so that the address says nothing about who may see metrics.
	behindProxy := s.PublicURL != "" || len(s.TrustedProxies) > 0
	return backend.Config{
		Version: version, PublicURL: s.PublicURL, AllowedHosts: s.AllowedHosts, TrustedProxies: s.Proxies(),
		OpenMetrics: loopback(s.Listen) && !behindProxy, MaxUpload: s.MaxBody, Timeout: s.RequestTimeout,
	}
}

func (a *App) listen(life context.Context, h http.Handler, listeners []net.Listener) {
	if err := backend.Serve(life, h, a.opts.Logger, listeners...); err != nil {
		a.failed <- err
	}
}

// offerSetup makes the one-time link by which the first administrator is made, while there is none.
func (a *App) offerSetup(ctx context.Context) error {
	if a.opts.Config.Server.Auth == "none" {
		return nil
	}
	needed, err := a.auth.NeedsSetup(ctx)
	if err != nil || !needed {
		return err
	}
	token, err := a.auth.NewSetupToken(ctx)
	if err != nil {
		return err
	}
	a.setupURL = a.publicURL() + "/setup?token=" + token
	return nil
}

// publicURL is the address that people use.
func (a *App) publicURL() string {
	if public := a.opts.Config.Server.PublicURL; public != "" {
		return strings.TrimSuffix(public, "/")
	}
	return a.url
}

func localURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func rates(cfg *config.Config) ratelimit.Rates {
	perMinute := func(n int) ratelimit.Rate { return ratelimit.Rate{PerSecond: float64(n) / 60, Burst: n} }
	r, l := ratelimit.DefaultRates(), cfg.Server.RateLimit
	r.Key, r.Address, r.Login = perMinute(l.PerKeyPerMinute), perMinute(l.PerAddressPerMinute), perMinute(l.LoginPerMinute)
	r.Tokens = perMinute(l.TokensPerKey) // 0 = no limit
	return r
}

func (a *App) reloadRates(cfg *config.Config) {
	r := rates(cfg)
	a.limits.Key.SetRate(r.Key)
	a.limits.Address.SetRate(r.Address)
	a.limits.Login.SetRate(r.Login)
	a.limits.Tokens.SetRate(r.Tokens)
}

func (a *App) newServices() *services {
	kind := "builtin"
	if a.db.SQLite() == nil {
		kind = "external"
	}
	return &services{
		db: a.db, dbKind: kind, local: a.models.localService, remotes: a.models.remoteServices, sandbox: a.sandbox.Status, mcp: a.mcp.Health, peers: a.peers.Status,
		started: time.Now(), now: time.Now, since: map[string]stateSince{},
	}
}
