package backend

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

// Config are the settings of the handler. The zero value of a field means its default.
type Config struct {
	Version        string
	PublicURL      string         // https://… where a proxy publishes the server; its host is allowed and its scheme decides about cookies
	AllowedHosts   []string       // further names that may stand in Host
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For is believed
	OpenMetrics    bool           // /metrics and /readyz?verbose without a credential; for loopback listeners
	OpenCards      bool           // the agents' cards (A2A) without a credential
	MaxBody        int64          // bytes; default 1 MiB
	MaxUpload      int64          // bytes of a request that carries files or a conversation; default 24 MiB
	Timeout        time.Duration  // of a request that does not stream; default 30 s
	Heartbeat      time.Duration  // of event streams; default 15 s
	WriteTimeout   time.Duration  // of one write of a stream; default 20 s
	Now            func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
	}
	if c.MaxUpload == 0 {
		c.MaxUpload = 24 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 20 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

type server struct {
	cfg              Config
	runs             Runs
	counts           RunCounts
	usage            Usage
	budgets          Budgets
	versions         Versions
	evaluations      Evaluations
	cache            Cache
	agents           Agents
	models           Models
	services         Services
	credentials      Credentials
	mcp              MCP
	auth             *auth.Service
	audit            *audit.Log
	limits           *ratelimit.Limits
	auditRate        *ratelimit.Limiter // of refusals written to the audit log, of one address or caller
	log              *slog.Logger
	metrics          *httpMetrics
	metricsAuditLost prometheus.Counter
	shield           *shield
	large            chan struct{}
	router           *router
	api              huma.API
}

// New builds the whole HTTP surface: API, protocols, console, health and metrics, behind every check. It fails when a
// route has no row in the access table.
func New(d Deps, c Config) (http.Handler, error) {
	s, err := newServer(d, c.withDefaults())
	if err != nil {
		return nil, err
	}
	return &surface{s, s.observe(s.shield.wrap(s.router.mux))}, nil
}

// surface is the finished handler; it keeps the server that it is made of.
type surface struct {
	s *server
	http.Handler
}

func newServer(d Deps, c Config) (*server, error) {
	s := &server{
		cfg: c, runs: d.Runs, counts: d.RunCounts, usage: d.Usage, budgets: d.Budgets, versions: d.Versions, evaluations: d.Evaluations, cache: d.Cache, agents: d.Agents, models: d.Models, services: d.Services, credentials: d.Credentials, mcp: d.MCP,
		auth: d.Auth, audit: d.Audit, limits: d.Limits, log: d.Logger, large: make(chan struct{}, largeAtOnce),
		auditRate: ratelimit.New("audit", ratelimit.Rate{PerSecond: 0.2, Burst: 20}, c.Now),
	}
	var err error
	if s.metrics, err = newHTTPMetrics(d.Metrics); err != nil {
		return nil, err
	}
	s.metricsAuditLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sutazai_audit_events_lost_total", Help: "Audit events of requests that could not be stored; they are in the log.",
	})
	if err := d.Metrics.Register(s.metricsAuditLost); err != nil {
		return nil, fmt.Errorf("register audit metric: %w", err)
	}
	if s.shield, err = newShield(s); err != nil {
		return nil, err
	}
	s.router = newRouter(s, accessTable(c))
	s.api = s.newAPI()
	s.runRoutes()
	s.approvalRoutes()
	s.catalogRoutes()
	s.modelRoutes()
	s.overviewRoute()
	s.usageRoute()
	s.budgetRoutes()
	s.versionRoutes()
	s.evaluationRoutes()
	s.cacheRoute()
	s.keyRoutes()
	s.credentialRoutes()
	s.mcpRoutes()
	s.auditRoute()
	s.sessionRoutes()
	s.finishSpec()
	if err := s.docRoutes(); err != nil {
		return nil, err
	}
	s.healthRoutes(d.Metrics)
	for _, r := range d.Routes {
		s.router.handle(r.Pattern, r.Handler, r.Problem)
	}
	s.fallbackRoutes(d.Console)
	return s, errors.Join(s.router.errs...)
}
