// Package orchestrator executes runs so that they finish. A run is a record (its messages, steps, approvals); an agent
// decides from the record what comes next; the outcome of each action is written, together with the durable engine's
// checkpoint, in one transaction. Whoever holds the record can go on with the run. It is the only package that knows
// the engine; it knows no HTTP, no SQL beyond its ports' transactions, and no provider of models or tools.
package orchestrator

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/agents/human"
	"github.com/sutazai/sutazai/core/agents/llm"
	"github.com/sutazai/sutazai/core/agents/peer"
	"github.com/sutazai/sutazai/core/agents/team"
	"github.com/sutazai/sutazai/internal/events"
)

// engineGrace is how long the engine has to end its polls.
const engineGrace = 3 * time.Second

// Config bounds what the orchestrator does.
type Config struct {
	Executor         string        // stable and unique among the replicas that share a database
	MaxActive        int           // runs executed at once; the rest stay queued
	MaxParallelTools int           // calls of one run made side by side
	MaxRepeats       int           // how often a turn may make the same call
	MaxRecoveries    int           // crashes after which a run is set aside
	ApprovalExpiry   time.Duration // how long a person has
	OutagePatience   time.Duration // how long a run waits for its model to come back
	Poll             time.Duration // how often due waits are looked for; 0 = 1 s
}

// Deps are the parts that the orchestrator works with.
type Deps struct {
	Database Database
	Journal  Journal
	Handles  Handles
	Models   Models
	Tools    Tools
	Peers    Peers
	Skills   Skills
	Agents   Agents
	Audit    Audit
	Observer Observer
	Limits   func() core.Limits // the configured defaults, as they are now
	Log      *slog.Logger
	Now      func() time.Time
}

// Orchestrator is made by New, started by Launch and ended by Close.
type Orchestrator struct {
	Deps
	cfg    Config
	engine *engine
	hub    *events.Hub
	brains map[core.AgentKind]agents.Agent

	launched atomic.Bool
	left     atomic.Bool   // Drain gave up on some calls
	kick     chan struct{} // something is queued
	stopped  chan struct{} // closed when the dispatcher has ended
	draining context.Context
	drain    context.CancelFunc
	ends     context.Context // model calls in flight are cut when it ends
	cut      context.CancelFunc

	mu      sync.Mutex
	active  map[string]executing // runs executed here
	started map[string]struct{}  // segments handed to the engine and not begun yet
	idle    chan struct{}        // closed when active becomes empty while draining
}

// New prepares the engine; nothing runs before Launch.
func New(ctx context.Context, d Deps, cfg Config) (*Orchestrator, error) {
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	o := &Orchestrator{
		Deps: d, cfg: cfg, hub: events.NewHub(),
		kick: make(chan struct{}, 1), stopped: make(chan struct{}),
		brains: map[core.AgentKind]agents.Agent{
			core.AgentLLM: llm.Agent{}, core.AgentRemote: peer.Agent{}, core.AgentProcess: peer.Agent{}, core.AgentHuman: human.Agent{}, core.AgentTeam: team.Agent{},
		},
		active: map[string]executing{}, started: map[string]struct{}{},
	}
	base := context.WithoutCancel(ctx)
	o.draining, o.drain = context.WithCancel(base)
	o.ends, o.cut = context.WithCancel(base)
	var err error
	if o.engine, err = newEngine(base, d.Handles, cfg.Executor, cfg.MaxRecoveries, d.Log, o.execute); err != nil {
		o.drain()
		o.cut()
		return nil, err
	}
	return o, nil
}

// Launch resumes what a crash interrupted and begins to execute queued runs.
func (o *Orchestrator) Launch(ctx context.Context) error {
	if err := dbos.Launch(o.engine.ctx); err != nil {
		return fmt.Errorf("launch the durable engine: %w", err)
	}
	if err := o.rescueStranded(ctx); err != nil {
		return err
	}
	o.launched.Store(true)
	go o.dispatch()
	return nil
}

// Drain lets no segment start and waits until those under way have come to the end of a step; their runs stay queued
// for the next start or another replica. Model calls still in flight after two thirds of the grace are cut (they are
// made again later); tool calls are not. Watching and starting runs still works.
func (o *Orchestrator) Drain(grace time.Duration) {
	o.mu.Lock()
	o.idle = make(chan struct{})
	if len(o.active) == 0 {
		close(o.idle)
	}
	idle := o.idle
	o.mu.Unlock()
	o.drain()
	if o.launched.Load() {
		<-o.stopped
	}
	patience := time.NewTimer(grace * 2 / 3)
	defer patience.Stop()
	select {
	case <-idle:
		return
	case <-patience.C:
	}
	o.cut()
	last := time.NewTimer(grace / 3)
	defer last.Stop()
	select {
	case <-idle:
	case <-last.C:
		o.left.Store(true)
		o.Log.Warn("some tool calls did not end in time; their runs resume at the next start", "grace", grace.String())
	}
}

// Close ends the engine, and with it the database handles that it shares. Drain first.
func (o *Orchestrator) Close() error {
	o.drain()
	o.cut()
	err := dbos.Shutdown(o.engine.ctx, engineGrace)
	if err != nil && o.left.Load() {
		o.Log.Warn("the engine was left with calls in flight, as announced", "error", err)
		return nil
	}
	return err
}

// executing is a segment under way. A run's next segment may begin before the last one has left.
type executing struct {
	segment int
	cancel  context.CancelCauseFunc
}

func (o *Orchestrator) enter(in segmentInput, cancel context.CancelCauseFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.active[in.Run] = executing{in.Segment, cancel}
	o.started[in.workflowID()] = struct{}{} // also when the engine recovered it by itself
}

func (o *Orchestrator) leave(in segmentInput) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.active[in.Run].segment == in.Segment {
		delete(o.active, in.Run)
	}
	delete(o.started, in.workflowID())
	if len(o.active) == 0 && o.idle != nil {
		select {
		case <-o.idle:
		default:
			close(o.idle)
		}
	}
	o.nudge()
}

// nudge tells the dispatcher that something is queued, or that there is room.
func (o *Orchestrator) nudge() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}
