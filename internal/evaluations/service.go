package evaluations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

const (
	// claimEvery is how often a replica says that it still executes its evaluations, and looks for those of others that no
	// longer do; holdFor is how long its word is good.
	claimEvery = 10 * time.Second
	holdFor    = 4 * claimEvery
	maxTries   = 2000 // of an evaluation
)

// errStopped is why an execution ends whose evaluation was cancelled, or is executed elsewhere.
var errStopped = errors.New("the evaluation was cancelled")

// Options are what a Service works with.
type Options struct {
	Sets       Sets
	Dir        string // folder in which cases are added to sets
	Runs       Runs
	Models     Models
	Agents     Agents
	Workspaces Workspaces
	Store      Store
	Holder     string      // names this process among replicas; the same after a restart
	Required   func() bool // whether only agents whose evaluation has passed may be published
	Parallel   int         // tries at the same time, of all evaluations together
	Now        func() time.Time
	Logger     *slog.Logger
}

// Service executes evaluations and answers for them. It is safe for use by several goroutines.
type Service struct {
	Options
	wake    chan struct{}
	slots   chan struct{}
	mu      sync.Mutex
	active  map[string]context.CancelCauseFunc
	writing sync.Mutex // held while a case is added
}

// New makes a service. Nothing is executed before Work.
func New(o Options) *Service {
	return &Service{Options: o, wake: make(chan struct{}, 1), slots: make(chan struct{}, max(1, o.Parallel)), active: map[string]context.CancelCauseFunc{}}
}

// Start begins an evaluation of an agent, "name" as new runs use it, "name@draft" or another version, with the set that its
// file holds now. repeats is the number of tries of each case; 0 = as the set says. CodeNotFound: there is no such agent, or
// no set.
func (s *Service) Start(ctx context.Context, agent string, repeats int, actor string) (core.Evaluation, error) {
	a, err := s.Agents.Agent(agent)
	if err != nil {
		return core.Evaluation{}, err
	}
	set, err := s.Sets.Of(a.Name)
	if err != nil {
		return core.Evaluation{}, err
	}
	if repeats != 0 {
		set.Repeats = repeats
	}
	if set.Repeats < 1 || set.Repeats > maxRepeats {
		return core.Evaluation{}, &core.Error{Code: core.CodeInvalid, Message: fmt.Sprintf("repeats is %d; it must be 1 to %d", set.Repeats, maxRepeats), Fields: []core.FieldError{{Field: "repeats", Message: fmt.Sprintf("must be 1 to %d", maxRepeats)}}}
	}
	if n := set.Repeats * len(set.Cases); n > maxTries {
		return core.Evaluation{}, core.Errorf(core.CodeInvalid, "%d cases with %d tries each are %d runs; at most %d are allowed: repeat less", len(set.Cases), set.Repeats, n, maxTries)
	}
	now := s.Now()
	e := core.Evaluation{
		ID: uuid.Must(uuid.NewV7()).String(), Agent: a.Name, Version: a.Version, SetVersion: set.Version, Status: core.EvaluationRunning,
		Repeats: set.Repeats, Pass: set.Pass, Low: 0, High: 1, Cases: newResult(set), CreatedAt: now.UTC().Truncate(time.Millisecond), CreatedBy: actor,
	}
	if err := s.Store.Insert(ctx, e, set, a, s.Holder, now.Add(holdFor)); err != nil {
		return core.Evaluation{}, err
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
	return e, nil
}

// Evaluation returns an evaluation as it stands.
func (s *Service) Evaluation(ctx context.Context, id string) (core.Evaluation, error) {
	return s.Store.Get(ctx, id)
}

// Evaluations lists evaluations, newest first; next is the id to give as before for the following page, or "".
func (s *Service) Evaluations(ctx context.Context, agent, before string, limit int) (items []core.Evaluation, next string, err error) {
	items, err = s.Store.List(ctx, agent, before, limit+1)
	if err == nil && len(items) > limit {
		items = items[:limit]
		next = items[limit-1].ID
	}
	return items, next, err
}

// SetList shows the sets of all agents.
func (s *Service) SetList() ([]core.EvaluationSetStatus, error) { return s.Sets.List() }

// Cancel ends an evaluation and its runs. CodeConflict: it has ended already.
func (s *Service) Cancel(ctx context.Context, id, actor string) (core.Evaluation, error) {
	e, err := s.Store.Cancel(ctx, id, "cancelled by "+actor, s.Now())
	if err != nil {
		return e, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, here := s.active[id]; here {
		cancel(errStopped)
	}
	return e, nil
}

// Ready says whether an agent may be published: where that is required, its latest evaluation with the present set must have
// passed. CodeConflict says what to do.
func (s *Service) Ready(ctx context.Context, a core.Agent) error {
	if !s.Required() {
		return nil
	}
	set, err := s.Sets.Of(a.Name)
	if core.CodeOf(err) == core.CodeNotFound {
		return core.Errorf(core.CodeConflict, "agents are published only once their evaluation has passed (agents.evaluations), and %s; then run `sutazai evals run %s@draft`", strings.Replace(core.MessageOf(err), ";", ":", 1), a.Name)
	}
	if err != nil {
		return err
	}
	e, found, err := s.Store.Latest(ctx, a.Name, a.Version, set.Version)
	switch {
	case err != nil:
		return err
	case !found:
		return core.Errorf(core.CodeConflict, "agents are published only once their evaluation has passed (agents.evaluations), and this version of %s (%s) was not evaluated with the present set: run `sutazai evals run %s@draft`", a.Name, a.Version, a.Name)
	case e.Status != core.EvaluationPassed:
		return core.Errorf(core.CodeConflict, "agents are published only once their evaluation has passed (agents.evaluations), and in the latest one of this version of %s only %d of %d tries passed: see `sutazai evals show %s`, then run `sutazai evals run %s@draft`", a.Name, e.Passed, e.Tried, e.ID, a.Name)
	}
	return nil
}

// Work executes evaluations until ctx ends, those first that were under way when the process died.
func (s *Service) Work(ctx context.Context) {
	var executions sync.WaitGroup
	defer executions.Wait()
	t := time.NewTicker(claimEvery)
	defer t.Stop()
	for {
		if err := s.claim(ctx, &executions); err != nil && ctx.Err() == nil {
			s.Logger.Warn("evaluations cannot be taken up", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-s.wake:
		}
	}
}

// claim starts the evaluations that are this process's and not executed yet, and stops those that are no longer.
func (s *Service) claim(ctx context.Context, executions *sync.WaitGroup) error {
	s.mu.Lock()
	before := map[string]context.CancelCauseFunc{}
	for id, cancel := range s.active {
		before[id] = cancel
	}
	s.mu.Unlock()
	now := s.Now()
	ids, err := s.Store.Claim(ctx, s.Holder, now, now.Add(holdFor))
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, here := before[id]; here {
			delete(before, id)
			continue
		}
		life, cancel := context.WithCancelCause(ctx)
		s.mu.Lock()
		s.active[id] = cancel
		s.mu.Unlock()
		executions.Go(func() {
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.active, id)
				cancel(nil)
			}()
			if err := s.execute(life, id); err != nil && life.Err() == nil {
				s.Logger.Warn("an evaluation stopped and is taken up again", "evaluation", id, "error", err)
			}
		})
	}
	for _, cancel := range before {
		cancel(errStopped) // it has ended, was cancelled or is executed elsewhere
	}
	return nil
}
