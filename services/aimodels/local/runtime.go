package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/supervisor"
	"github.com/sutazai/sutazai/services/aimodels"
)

// foreignFailures is how many bad checks in a row end the use of a server that somebody else runs.
const foreignFailures = 3

// patience is how long to wait for a server that somebody has to install before asking again.
const patience = 15 * time.Second

// phase is what the runtime is doing.
type phase int

const (
	searching phase = iota
	missing         // nothing was found; searched again when somebody asks
	foreign         // a server that somebody else runs
	own             // a server under our supervisor
	stopped
)

type state struct {
	phase   phase
	since   time.Time
	err     error // why it is missing
	backend *backend
	process *supervisor.Supervisor
	took    time.Duration // of the last check of a foreign server
	checked time.Time
}

// Runtime is the local model server as an aimodels.Provider: calls wait while it starts. Safe for many goroutines.
type Runtime struct {
	cfg   Config
	slots chan struct{} // one for each conversation at once; further calls wait here, where waiting is no silence of the server
	poke  chan struct{}
	stop  context.CancelFunc
	done  chan struct{}

	mu      sync.Mutex
	state   state
	changed chan struct{} // closed and replaced with each change of phase
}

// Start begins to look for a server, and runs it until Close or the end of ctx. It does not wait for it.
func Start(ctx context.Context, cfg Config) *Runtime {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	r := &Runtime{
		cfg: cfg, slots: make(chan struct{}, cfg.Parallel), poke: make(chan struct{}, 1), stop: cancel, done: make(chan struct{}),
		state: state{since: time.Now(), checked: time.Now()}, changed: make(chan struct{}),
	}
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
	return r
}

// Close stops the server if it is ours, and returns when it is gone.
func (r *Runtime) Close() {
	r.stop()
	<-r.done
}

func (r *Runtime) run(ctx context.Context) {
	defer r.set(state{phase: stopped, err: core.Errorf(core.CodeUnavailable, "the local model server is stopped")})
	if r.cfg.Runtime == Off {
		r.set(state{phase: missing, err: core.Errorf(core.CodeUnavailable, "the local model server is off; set models.local.runtime to auto, or name another model server under models.providers")})
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		began := time.Now()
		f, err := r.cfg.discover(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.miss(ctx, began, err)
		case f.url != "":
			r.useForeign(ctx, began, f)
		case r.cfg.Idle:
			r.miss(ctx, began, core.Errorf(core.CodeUnavailable, "the local model server is not started by this command; start `sutazai serve`"))
		default:
			r.runOwn(ctx, began, f)
		}
	}
}

// miss notes that there is no server and waits until somebody asks for one again. began is when the search began: who
// asked later has to wait for the next one.
func (r *Runtime) miss(ctx context.Context, began time.Time, err error) {
	if before := r.snapshot(); before.phase != missing || before.err.Error() != err.Error() {
		r.cfg.Logger.WarnContext(ctx, "no local model", "reason", core.MessageOf(err))
	}
	r.set(state{phase: missing, err: err, checked: began})
	select {
	case <-ctx.Done():
	case <-r.poke:
	}
}

// useForeign uses a server that somebody else runs, until it is gone.
func (r *Runtime) useForeign(ctx context.Context, began time.Time, f found) {
	b, err := r.cfg.backend(f, f.url, "", f.model)
	if err != nil {
		r.miss(ctx, began, err)
		return
	}
	defer b.close()
	r.cfg.Logger.InfoContext(ctx, "using a model server that runs already", "kind", f.kind, "url", f.url, "model", f.model)
	r.set(state{phase: foreign, backend: b})
	timer := time.NewTicker(r.cfg.Every)
	defer timer.Stop()
	for bad := 0; bad < foreignFailures; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		cctx, cancel := probe(ctx)
		err := b.check(cctx)
		cancel()
		if err != nil {
			bad++
			continue
		}
		bad = 0
		r.mu.Lock()
		r.state.took, r.state.checked = time.Since(began), time.Now()
		r.mu.Unlock()
	}
	r.cfg.Logger.WarnContext(ctx, "the model server is gone; looking for another", "url", f.url)
}

// runOwn keeps a server running until ctx ends.
func (r *Runtime) runOwn(ctx context.Context, began time.Time, f found) {
	sup := supervisor.New(supervisor.Spec{
		Name: Name, LogDir: filepath.Dir(r.cfg.logFile()), Logger: r.cfg.Logger,
		ReadyTimeout: r.cfg.ReadyTimeout, CheckEvery: r.cfg.Every, BackoffMax: 30 * time.Second,
		Command: func(ctx context.Context) (supervisor.Command, error) {
			command, b, err := r.cfg.launch(f)
			if err != nil {
				return command, err
			}
			r.cfg.Logger.InfoContext(ctx, "starting the local model server", "kind", f.kind, "model", b.model, "threads", r.cfg.Threads, "url", b.url)
			r.replace(b)
			return command, nil
		},
		Check: func(ctx context.Context) error { return r.snapshot().backend.check(ctx) },
	})
	r.set(state{phase: own, process: sup, backend: &backend{kind: f.kind}})
	defer r.replace(nil)
	if err := sup.Run(ctx); err != nil {
		r.miss(ctx, began, err)
	}
}

// replace puts the backend of a new start in the place of the last one.
func (r *Runtime) replace(b *backend) {
	r.mu.Lock()
	old := r.state.backend
	r.state.backend = b
	r.mu.Unlock()
	if old != nil && old.provider != nil {
		old.close()
	}
}

func (r *Runtime) snapshot() state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *Runtime) set(s state) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.since = time.Now()
	if s.checked.IsZero() {
		s.checked = s.since
	}
	if s.phase == r.state.phase {
		s.since = r.state.since
	}
	r.state = s
	close(r.changed)
	r.changed = make(chan struct{})
}

var errNotReady = errors.New("the local model server did not become ready in time")

// ready waits for a server that can be called, at most as long as ctx and Config.ReadyTimeout allow. Where there is none
// it looks once more.
func (r *Runtime) ready(ctx context.Context) (*backend, error) {
	began := time.Now()
	wait, cancel := context.WithTimeoutCause(ctx, r.cfg.ReadyTimeout, errNotReady)
	defer cancel()
	for {
		r.mu.Lock()
		s, changed := r.state, r.changed
		r.mu.Unlock()
		switch s.phase {
		case foreign:
			return s.backend, nil
		case own:
			if err := s.process.WaitReady(wait); err != nil {
				return nil, r.explain(ctx, wait, err)
			}
			b := r.snapshot().backend
			if b != nil && b.provider != nil && (!b.suspect.Load() || answers(wait, b)) {
				return b, nil
			}
			pause(wait, soon) // it is gone, which its supervisor is about to notice
			if wait.Err() == nil {
				continue
			}
		case missing:
			if s.checked.After(began) || time.Since(s.checked) < r.cfg.Again || r.cfg.Runtime == Off {
				return nil, r.explain(ctx, wait, s.err)
			}
			r.ask()
		case stopped:
			return nil, r.explain(ctx, wait, s.err)
		}
		select {
		case <-wait.Done():
			return nil, r.explain(ctx, wait, wait.Err())
		case <-changed:
		}
	}
}

// soon is the time between two looks at a server whose end is about to be noticed.
const soon = 50 * time.Millisecond

func answers(ctx context.Context, b *backend) bool {
	ctx, cancel := probe(ctx)
	defer cancel()
	return b.check(ctx) == nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// ask has the search made again.
func (r *Runtime) ask() {
	select {
	case r.poke <- struct{}{}:
	default: // somebody asked already
	}
}

// explain makes the gateway's error. It asks for patience where another try at once would be in vain.
func (r *Runtime) explain(ctx, wait context.Context, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	message := core.MessageOf(err)
	switch {
	case errors.Is(context.Cause(wait), errNotReady):
		message = fmt.Sprintf("the local model server did not become ready within %s (models.local.ready_timeout); its log is %s", r.cfg.ReadyTimeout, r.cfg.logFile())
	case r.snapshot().phase == own:
		message += "; its log is " + r.cfg.logFile()
	}
	e := aimodels.Retryable(core.Wrap(core.CodeUnavailable, err, "%s", message))
	e.Err.RetryAfter = patience
	return e
}

// Service tells the server's state for the list of services; false when it is off. It also has a missing one looked for.
func (r *Runtime) Service() (core.Service, bool) {
	s := r.snapshot()
	svc := core.Service{Name: Name, Kind: "process", State: core.ServiceStarting, Since: s.since, CheckedAt: s.checked}
	switch s.phase {
	case searching:
		svc.Detail = "looking for a model server"
	case foreign:
		svc.Kind, svc.State, svc.LatencyMS = "external", core.ServiceHealthy, float64(s.took.Microseconds())/1000
		svc.Detail = fmt.Sprintf("%s at %s: %s", s.backend.kind, s.backend.url, s.backend.model)
	case own:
		svc = s.process.Status()
		if svc.State == core.ServiceHealthy && s.backend != nil {
			svc.Detail = s.backend.kind + ": " + s.backend.model
		}
	case missing, stopped:
		svc.State, svc.Detail = core.ServiceDown, core.MessageOf(s.err)
		if s.phase == missing && time.Since(s.checked) >= r.cfg.Again {
			r.ask()
		}
	}
	return svc, r.cfg.Runtime != Off
}
