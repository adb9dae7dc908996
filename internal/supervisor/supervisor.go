// Package supervisor keeps one process running: it starts it, waits until it is ready, checks its health, restarts it
// with growing waits, keeps its output in a log of bounded size, and stops it with everything that it started.
//
// It owns processes and their logs; it must not know what the process is for. Unix only.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Spec says what to run and how to watch it. Zero fields take the defaults named beside them.
type Spec struct {
	Name    string                                 // also the name of the log file
	Command func(context.Context) (Command, error) // asked before every start, so that each may take another port
	Check   func(context.Context) error            // nil error = ready and healthy; nil func = running is enough

	ReadyTimeout time.Duration // from the start to the first good check; 2m
	ReadyEvery   time.Duration // between checks until then; 200ms
	CheckEvery   time.Duration // between checks afterwards; 10s
	CheckTimeout time.Duration // longest time of one check; 5s
	FailAfter    int           // bad checks in a row after which a running process is restarted; 3
	DownAfter    int           // failed starts in a row after which the state is down instead of starting; 3
	BackoffMin   time.Duration // upper bound of the first wait before a restart; doubles each time; 1s
	BackoffMax   time.Duration // longest wait; 1m
	StableAfter  time.Duration // healthy for so long, the next wait is short again; 1m
	StopGrace    time.Duration // between the polite and the hard end; 5s

	LogDir   string // "" = output is dropped
	LogBytes int64  // size at which the log is put aside; 4 MiB
	LogKeep  int    // logs put aside that are kept; 2
	Logger   *slog.Logger

	Start Starter // nil = real processes; tests put their own
}

func (s Spec) withDefaults() Spec {
	dur := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	num := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	dur(&s.ReadyTimeout, 2*time.Minute)
	dur(&s.ReadyEvery, 200*time.Millisecond)
	dur(&s.CheckEvery, 10*time.Second)
	dur(&s.CheckTimeout, 5*time.Second)
	dur(&s.BackoffMin, time.Second)
	dur(&s.BackoffMax, time.Minute)
	dur(&s.StableAfter, time.Minute)
	dur(&s.StopGrace, 5*time.Second)
	num(&s.FailAfter, 3)
	num(&s.DownAfter, 3)
	num(&s.LogKeep, 2)
	if s.LogBytes <= 0 {
		s.LogBytes = 4 << 20
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Start == nil {
		s.Start = startProcess
	}
	if s.Check == nil {
		s.Check = func(context.Context) error { return nil }
	}
	return s
}

// Supervisor watches one process. Make it with New, give Run a goroutine.
type Supervisor struct {
	spec Spec

	mu      sync.Mutex
	status  core.Service
	changed chan struct{} // closed and replaced whenever the state changes
	failed  int           // starts in a row that did not become healthy
	lastErr error
}

// New makes a supervisor; nothing runs before Run.
func New(spec Spec) *Supervisor {
	now := time.Now()
	return &Supervisor{
		spec:    spec.withDefaults(),
		changed: make(chan struct{}),
		status:  core.Service{Name: spec.Name, Kind: "process", State: core.ServiceStarting, Detail: "not started yet", Since: now, CheckedAt: now},
	}
}

// Status returns the present state. It becomes healthy with the first good check, stays so through fewer than FailAfter
// bad ones, and becomes down after DownAfter failed starts in a row.
func (s *Supervisor) Status() core.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// WaitReady returns nil as soon as the process is healthy. It returns an error with code core.CodeUnavailable when the
// process is down, and ctx's error when ctx ends first.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	for {
		s.mu.Lock()
		status, changed, cause := s.status, s.changed, s.lastErr
		s.mu.Unlock()
		switch status.State {
		case core.ServiceHealthy, core.ServiceDegraded:
			return nil
		case core.ServiceDown:
			return core.Wrap(core.CodeUnavailable, cause, "%s is down: %s", status.Name, status.Detail)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Run starts the process and keeps it running until ctx ends; then it stops it and returns. It returns an error only
// when the log cannot be opened.
func (s *Supervisor) Run(ctx context.Context) error {
	var out io.Writer = io.Discard
	if s.spec.LogDir != "" {
		log, err := openLog(filepath.Join(s.spec.LogDir, s.spec.Name+".log"), s.spec.LogBytes, s.spec.LogKeep)
		if err != nil {
			err = core.Wrap(core.CodeInternal, err, "the log of %s cannot be opened in %s", s.spec.Name, s.spec.LogDir)
			s.set(core.ServiceDown, core.MessageOf(err), err)
			return err
		}
		defer log.Close()
		out = log
	}
	wait := s.spec.BackoffMin
	for ctx.Err() == nil {
		healthyFor, err := s.once(ctx, out)
		if ctx.Err() != nil {
			break
		}
		if healthyFor >= s.spec.StableAfter {
			wait = s.spec.BackoffMin
		}
		// Half of the wait is fixed, half is random: never at once, never all together.
		pause := wait/2 + rand.N(wait/2+1)
		wait = min(wait*2, s.spec.BackoffMax)
		s.failure(err, healthyFor > 0, pause)
		sleep(ctx, pause)
	}
	s.set(core.ServiceDown, "stopped", errStopped)
	return nil
}

var (
	errStopped  = errors.New("stopped")
	errTooSlow  = errors.New("it was not ready in time")
	errSickness = errors.New("it failed its health checks")
)

// once runs the process until it ends, fails or ctx ends, and leaves nothing of it behind.
func (s *Supervisor) once(ctx context.Context, out io.Writer) (healthyFor time.Duration, err error) {
	command, err := s.spec.Command(ctx)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "--- %s starts %s\n", time.Now().UTC().Format(time.RFC3339), command.Path)
	p, err := s.spec.Start(command, out)
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", command.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	gone := false
	defer func() {
		s.stop(p, ended, gone)
		p.Close()
	}()

	s.spec.Logger.InfoContext(ctx, "process started", "name", s.spec.Name, "pid", p.PID())
	began := time.Now()
	var healthySince time.Time
	bad := 0
	for {
		every := s.spec.CheckEvery
		if healthySince.IsZero() {
			every = s.spec.ReadyEvery
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return 0, ctx.Err()
		case err := <-ended:
			timer.Stop()
			gone = true
			if err == nil {
				err = errors.New("it ended by itself")
			}
			return since(healthySince), err
		case <-timer.C:
		}
		took, err := s.check(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			bad = 0
			if healthySince.IsZero() {
				healthySince = time.Now()
			}
			s.healthy(took)
		case healthySince.IsZero():
			if time.Since(began) >= s.spec.ReadyTimeout {
				return 0, fmt.Errorf("%w (%s): %w", errTooSlow, s.spec.ReadyTimeout, err)
			}
		default:
			bad++
			s.spec.Logger.WarnContext(ctx, "health check failed", "name", s.spec.Name, "in_a_row", bad, "error", err)
			if bad >= s.spec.FailAfter {
				return since(healthySince), fmt.Errorf("%w: %w", errSickness, err)
			}
		}
	}
}

func since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t), 1)
}

func (s *Supervisor) check(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, s.spec.CheckTimeout)
	defer cancel()
	start := time.Now()
	err := s.spec.Check(ctx)
	return time.Since(start), err
}

// stop ends the process and its whole group: politely, and after StopGrace hard.
func (s *Supervisor) stop(p Process, ended <-chan error, gone bool) {
	if !gone {
		p.Terminate()
		timer := time.NewTimer(s.spec.StopGrace)
		defer timer.Stop()
		select {
		case <-ended: //nolint:errcheck // how it ended is no news: it was told to
			gone = true
		case <-timer.C:
		}
	}
	p.Kill() // also after its end: what it started may still be there
	if !gone {
		<-ended //nolint:errcheck // as above
	}
}

func (s *Supervisor) healthy(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = 0
	s.status.LatencyMS = float64(took.Microseconds()) / 1000
	s.setLocked(core.ServiceHealthy, "running", nil)
}

// failure notes the end of a process and whether it had been healthy.
func (s *Supervisor) failure(err error, wasHealthy bool, pause time.Duration) {
	s.spec.Logger.Warn("process ended", "name", s.spec.Name, "error", err, "restart_in", pause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Restarts++
	if !wasHealthy {
		s.failed++
	}
	state := core.ServiceStarting
	if s.failed >= s.spec.DownAfter {
		state = core.ServiceDown
	}
	s.setLocked(state, describe(err), err)
}

// describe says what happened in words that may be shown: a core.Error's message, or how a process ended.
func describe(err error) string {
	if e, ok := errors.AsType[*core.Error](err); ok {
		return e.Message
	}
	switch {
	case errors.Is(err, errTooSlow):
		return "it was started and did not become ready in time; see its log"
	case errors.Is(err, errSickness):
		return "it stopped answering and is restarted"
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return "its program cannot be started; see its log"
	default:
		return "it ended (" + err.Error() + ") and is restarted; see its log"
	}
}

func (s *Supervisor) set(state core.ServiceState, detail string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(state, detail, err)
}

func (s *Supervisor) setLocked(state core.ServiceState, detail string, err error) {
	now := time.Now()
	s.status.CheckedAt, s.status.Detail, s.lastErr = now, detail, err
	if s.status.State == state {
		return
	}
	s.status.State, s.status.Since = state, now
	close(s.changed)
	s.changed = make(chan struct{})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
