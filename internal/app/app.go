// Package app puts SutazAI together: it builds every part from the settings, starts them in order and stops them in the
// opposite one. It is the only place that knows all parts, and holds no rule of any of them.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	mcpsdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/orchestrator"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/internal/egress"
	"github.com/sutazai/sutazai/internal/evaluations"
	"github.com/sutazai/sutazai/internal/mcp"
	"github.com/sutazai/sutazai/internal/metrics"
	"github.com/sutazai/sutazai/internal/ratelimit"
	"github.com/sutazai/sutazai/internal/sandbox"
	"github.com/sutazai/sutazai/internal/secrets"
	"github.com/sutazai/sutazai/internal/skills"
	"github.com/sutazai/sutazai/internal/tools"
	"github.com/sutazai/sutazai/internal/versions"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/peers"
)

// SocketName is the unix socket in the data folder through which its owner's command line talks to the server.
const SocketName = "sutazai.sock"

// optimizeEvery is how often the database's statistics are refreshed: without them some queries scan after growth.
const optimizeEvery = time.Hour

// Options say what to start.
type Options struct {
	Config     *config.Config
	Logger     *slog.Logger
	Level      *slog.LevelVar // of Logger, so that a reload can change it; nil = it cannot
	Version    string
	Idle       bool // execute no runs and start no model server: for commands that only look or ask
	SocketOnly bool // no TCP listener: for a command that needs a server only for as long as it runs
	// SandboxHelper is a program that begins with SandboxHelper: the running one. Without it agents cannot run commands.
	SandboxHelper string
	// ExtendMCP adds features to the MCP server before it serves. Only tests do: the official suite asks for fixtures.
	ExtendMCP func(*mcpsdk.Server)
}

// App is a running server.
type App struct {
	opts     Options
	settings atomic.Pointer[config.Config]
	url      string
	setupURL string

	db      *database.DB
	auth    *auth.Service
	runs    *orchestrator.Orchestrator
	models  *models
	agents  *versions.Agents
	tools   *tools.Registry
	peers   *peers.Peers
	sandbox *sandbox.Sandbox
	egress  *egress.Client
	limits  *ratelimit.Limits
	answers *cache.Cache
	ledger  *budget.Ledger
	vault   *secrets.Vault
	mcp     *mcp.Manager
	evals   *evaluations.Service

	background sync.WaitGroup
	quit       context.CancelFunc // ends background work and the listeners
	failed     chan error         // a listener died
	drained    []func() error     // write what is left when no call is in flight: the engine, which closes the database, comes after them
	closers    []func() error     // in the order in which the parts were opened
	closed     sync.Once
	closeErr   error
}

// Start builds and starts everything and returns when the server answers. On an error nothing is left running.
func Start(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{opts: o, failed: make(chan error, 2)}
	a.settings.Store(o.Config)
	life, quit := context.WithCancel(context.WithoutCancel(ctx))
	a.quit = quit
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close(time.Second))
		}
	}()
	cfg := o.Config
	release, err := lockDataDir(cfg.Server.DataDir)
	if err != nil {
		return nil, err
	}
	a.onClose(release)
	databaseURL, err := cfg.Database.URL.Resolve()
	if err != nil {
		return nil, err
	}
	a.db, err = database.Open(ctx, database.Options{URL: databaseURL, DataDir: cfg.Server.DataDir, MaxConns: cfg.Database.MaxConns, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	a.onClose(a.db.Close)

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	observer, err := metrics.New(registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if a.sandbox, err = newSandbox(cfg, o.SandboxHelper, o.Logger); err != nil {
		return nil, err
	}
	know := newSkills(cfg)
	if a.tools, a.egress, err = newTools(cfg, a.sandbox, know, o.Logger); err != nil {
		return nil, err
	}
	a.onClose(func() error { a.egress.Close(); return a.tools.Close() })
	a.onClose(addPrograms(a.tools, cfg, o.Logger))
	executor, err := executorID(cfg.Server.DataDir, a.db)
	if err != nil {
		return nil, err
	}
	a.ledger, err = budget.Open(ctx, database.NewBudgets(a.db), budget.Options{Dir: cfg.Server.DataDir, Replica: executor, Now: time.Now, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	a.onDrained(a.ledger.Close)
	if err := countLedger(registry, a.ledger.Stats); err != nil {
		return nil, err
	}
	a.answers = cache.New(cache.Options{Memory: cfg.Models.Cache.Memory, TTL: cfg.Models.Cache.TTL, Store: database.NewCache(a.db), Logger: o.Logger,
		Observe: func(c cache.Observation) { observer.CacheLooked(c.Kind, string(c.Result)) }})
	a.onDrained(func() error { a.answers.Close(); return nil })
	a.limits = ratelimit.NewLimits(rates(cfg), time.Now)
	rings, err := newKeyRings(cfg)
	if err != nil {
		return nil, err
	}
	if a.vault, err = openVault(ctx, cfg, a.db, rings, o.Logger); err != nil {
		return nil, err
	}
	a.goDo(func() { a.vault.Watch(life, credentialsEvery) })
	if err := a.newMCP(ctx); err != nil {
		return nil, err
	}
	a.onDrained(a.mcp.Close)
	a.models, err = startModels(life, cfg, modelParts{keys: rings, money: a.ledger, tokens: a.limits.Tokens, cache: a.answers, metrics: observer, log: o.Logger, idle: o.Idle})
	if err != nil {
		return nil, err
	}
	a.onClose(a.models.close)
	folder := newAgentFolder(cfg, a.tools.Specs(), a.models.Check, o.Logger)
	folder.load()
	a.goDo(func() { folder.watch(life) })
	a.agents, err = versions.New(ctx, versions.Options{Files: folder, Store: database.NewVersions(a.db), Text: agents.Format, Now: time.Now, Logger: o.Logger,
		Ready: func(ctx context.Context, draft core.Agent) error { return a.evals.Ready(ctx, draft) }})
	if err != nil {
		return nil, a.db.Explain(err, "read the published versions of agents")
	}
	a.goDo(func() { a.agents.Watch(life, agentsPoll) })

	if a.peers, err = newPeers(cfg, a.tools, o.Version, o.Logger); err != nil {
		return nil, err
	}
	a.onClose(a.peers.Close)

	auditLog := audit.New(database.NewAudit(a.db), o.Logger, time.Now)
	owners := &projects{keys: database.NewKeys(a.db)}
	a.runs, err = orchestrator.New(ctx, orchestrator.Deps{
		Database: a.db, Journal: a.db.Runs(), Handles: orchestrator.Handles{SQLite: a.db.SQLite(), Postgres: a.db.Postgres()},
		Models: &runModels{a.models, owners}, Tools: &runTools{a.tools, owners}, Peers: &runPeers{a.peers, owners}, Skills: know, Agents: a.agents, Audit: auditLog, Observer: observer,
		Limits: func() core.Limits { return a.settings.Load().Agents.Limits.Core() }, Log: o.Logger, Now: time.Now,
	}, orchestrator.Config{
		Executor: executor, MaxActive: cfg.Runs.MaxActive, MaxParallelTools: cfg.Runs.MaxParallelTools, MaxRepeats: cfg.Runs.RepeatedCalls,
		MaxRecoveries: cfg.Runs.MaxRecoveries, ApprovalExpiry: cfg.Runs.ApprovalExpiry, OutagePatience: cfg.Runs.OutagePatience,
	})
	if err != nil {
		return nil, a.db.Explain(err, "start the durable engine")
	}
	a.evals = a.newEvaluations(folder, owners, executor)
	a.startMCP(life)
	if err := a.serve(ctx, life, auditLog, registry); err != nil {
		return nil, err
	}
	if !o.Idle {
		if err := a.runs.Launch(ctx); err != nil {
			return nil, a.db.Explain(err, "start the durable engine")
		}
	}
	if !o.Idle {
		a.goDo(func() { a.evals.Work(life) })
	}
	a.goDo(func() { a.keepStatistics(life) })
	a.goDo(func() { a.models.Probe(life, time.Second) })
	return a, nil
}

func (a *App) onClose(fn func() error) { a.closers = append(a.closers, fn) }

func (a *App) onDrained(fn func() error) { a.drained = append(a.drained, fn) }

func (a *App) goDo(fn func()) { a.background.Go(fn) }

func newTools(cfg *config.Config, commands tools.Commands, know *skills.Skills, log *slog.Logger) (*tools.Registry, *egress.Client, error) {
	fetch := cfg.Tools.Fetch
	client, err := egress.New(egress.Config{AllowPrivate: fetch.AllowPrivate, OnlyHosts: fetch.AllowHosts, MaxBytes: fetch.MaxBytes, Timeout: fetch.Timeout})
	if err != nil {
		return nil, nil, err
	}
	r, err := tools.New(toolLimits(cfg), tools.Deps{Egress: client, Sandbox: commands, Skills: know, Now: time.Now, Logger: log})
	if err != nil {
		return nil, nil, err
	}
	for _, t := range extraTools() {
		if err := r.Register(t); err != nil {
			return nil, nil, errors.Join(err, r.Close())
		}
	}
	return r, client, nil
}

func toolLimits(cfg *config.Config) tools.Config {
	return tools.Config{
		Dir: filepath.Join(cfg.Server.DataDir, "workspaces"), WorkspaceMax: cfg.Tools.WorkspaceMax, OutputMax: int(cfg.Tools.OutputMax), Timeout: cfg.Tools.Timeout,
	}
}

// executorID names this process to the engine: the same after a restart, so that it takes up its own runs, and different
// from every other replica. On SQLite there is only one.
func executorID(dir string, db *database.DB) (string, error) {
	if db.SQLite() != nil {
		return "main", nil
	}
	path := filepath.Join(dir, "replica-id")
	b, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(b)) != "" {
		return strings.TrimSpace(string(b)), nil
	}
	id := uuid.NewString()
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", core.Wrap(core.CodeInvalid, err, "cannot write %s; check the permissions of the data folder", path)
	}
	return id, nil
}

// keepStatistics refreshes what the database's query planner knows.
func (a *App) keepStatistics(ctx context.Context) {
	t := time.NewTicker(optimizeEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := a.db.Optimize(ctx); err != nil && ctx.Err() == nil {
				a.opts.Logger.Warn("the database's statistics could not be refreshed", "error", err)
			}
			a.forgetResponses(ctx)
		}
	}
}

// forgetResponses deletes stored answers of the Responses dialect whose time is over, in small steps.
func (a *App) forgetResponses(ctx context.Context) {
	const atOnce = 500
	store := database.NewResponses(a.db)
	for {
		n, err := store.DeleteExpired(ctx, time.Now(), atOnce)
		if err != nil && ctx.Err() == nil {
			a.opts.Logger.Warn("old responses could not be deleted", "error", err)
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// URL is where the console and the API are; "" when the server listens on its socket alone.
func (a *App) URL() string { return a.url }

// SetupURL is the one-time link to make the administrator; "" once there is one.
func (a *App) SetupURL() string { return a.setupURL }

// Socket is the unix socket for the owner's command line.
func (a *App) Socket() string { return filepath.Join(a.opts.Config.Server.DataDir, SocketName) }

// Wait returns when ctx ends, with nil, or when a listener fails.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Close stops the server: requests and runs in flight get the configured grace to come to a step's end; runs go on at
// the next start.
func (a *App) Close(context.Context) error { return a.close(a.opts.Config.Server.ShutdownGrace) }

func (a *App) close(grace time.Duration) error {
	a.closed.Do(func() {
		if a.runs != nil {
			a.runs.Drain(grace)
		}
		a.quit()
		a.background.Wait()
		for _, drained := range a.drained {
			a.closeErr = errors.Join(a.closeErr, drained())
		}
		if a.runs != nil {
			a.closeErr = errors.Join(a.closeErr, a.runs.Close())
		}
		for i := len(a.closers) - 1; i >= 0; i-- {
			a.closeErr = errors.Join(a.closeErr, a.closers[i]())
		}
	})
	return a.closeErr
}

// Reload takes over what changed of the settings that can change while the server runs, and names the others.
func (a *App) Reload(next *config.Config) (applied, needRestart []string) {
	before := a.settings.Load()
	applied, needRestart = config.Diff(before, next)
	if a.opts.Level != nil {
		var level slog.Level
		if err := level.UnmarshalText([]byte(next.Log.Level)); err == nil {
			a.opts.Level.Set(level)
		}
	}
	a.settings.Store(next)
	a.reloadRates(next)
	a.tools.SetLimits(toolLimits(next))
	a.sandbox.SetLimits(commandLimits(next))
	a.egress.SetLimits(next.Tools.Fetch.MaxBytes, next.Tools.Fetch.Timeout)
	return applied, needRestart
}
