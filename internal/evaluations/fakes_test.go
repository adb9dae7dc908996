package evaluations_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/evaluations"
)

// world is runs, models, agents, workspaces and a store in memory.
type world struct {
	mu        sync.Mutex
	runs      map[string]*core.Run
	byKey     map[string]string
	keys      []string // of every start, repeated ones too
	steps     []core.Step
	messages  []core.Message
	approvals map[string][]core.Approval
	files     map[string]string
	cancelled []string
	agents    map[string]core.Agent
	evals     map[string]core.Evaluation
	sets      map[string]core.EvaluationSet
	holders   map[string]string
	behave    func(r *core.Run, look int) // at each look at a run that has not ended
	looks     map[string]int
	putErr    error
	startErr  error
	judge     judge
}

func newWorld() *world {
	return &world{
		runs: map[string]*core.Run{}, byKey: map[string]string{}, approvals: map[string][]core.Approval{}, files: map[string]string{}, looks: map[string]int{},
		agents: map[string]core.Agent{"clerk": {Name: "clerk", Version: "aaaaaaaaaaaa", Model: "m"}},
		evals:  map[string]core.Evaluation{}, sets: map[string]core.EvaluationSet{}, holders: map[string]string{},
		behave: func(r *core.Run, look int) {
			if r.Status = core.RunRunning; look >= 2 {
				r.Status, r.Output = core.RunSucceeded, "391"
			}
		},
		judge: judge{answers: []any{`{"true": true, "reason": ""}`}},
	}
}

func (w *world) Start(_ context.Context, in core.StartRun) (core.Run, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.startErr != nil {
		return core.Run{}, false, w.startErr
	}
	w.keys = append(w.keys, in.IdempotencyKey)
	if id, ok := w.byKey[in.IdempotencyKey]; ok {
		return *w.runs[id], true, nil
	}
	r := &core.Run{ID: fmt.Sprintf("run-%d", len(w.runs)+1), Agent: in.Agent, Status: core.RunQueued, Input: in.Input, Metadata: in.Metadata, CreatedBy: in.Actor, Usage: core.Usage{CostMicroUSD: 2000}}
	w.runs[r.ID], w.byKey[in.IdempotencyKey] = r, r.ID
	return *r, false, nil
}

func (w *world) Run(_ context.Context, id string) (core.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.runs[id]
	if !ok {
		return core.Run{}, core.Errorf(core.CodeNotFound, "there is no run %s", id)
	}
	if !r.Status.Final() {
		w.looks[id]++
		w.behave(r, w.looks[id])
	}
	return *r, nil
}

func (w *world) Runs(_ context.Context, f core.RunFilter) ([]core.Run, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []core.Run
	for _, r := range w.runs {
		if r.Parent == f.Parent {
			out = append(out, *r)
		}
	}
	return out, "", nil
}

func (w *world) Steps(context.Context, string) ([]core.Step, error)       { return w.steps, nil }
func (w *world) Messages(context.Context, string) ([]core.Message, error) { return w.messages, nil }

func (w *world) Approvals(_ context.Context, status core.ApprovalStatus, run string) ([]core.Approval, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.approvals[run]), func(a core.Approval) bool { return a.Status != status }), nil
}

func (w *world) Cancel(_ context.Context, id, _ string) (core.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled = append(w.cancelled, id)
	w.runs[id].Status = core.RunCancelled
	for _, list := range w.approvals {
		for i := range list {
			list[i].Status = core.ApprovalCancelled
		}
	}
	return *w.runs[id], nil
}

func (w *world) Chat(ctx context.Context, req core.ModelRequest, fn func(core.Delta)) (core.ModelResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.judge.Chat(ctx, req, fn)
}

func (w *world) Agent(name string) (core.Agent, error) {
	for _, a := range w.agents {
		if name == a.Name || name == a.Name+"@"+a.Version {
			return a, nil
		}
	}
	return core.Agent{}, core.Errorf(core.CodeNotFound, "there is no agent %q", name)
}

func (w *world) Read(_ context.Context, _, name string, _ int64) (core.File, error) {
	if content, ok := w.files[name]; ok {
		return core.File{Name: name, Content: []byte(content)}, nil
	}
	return core.File{}, core.Errorf(core.CodeNotFound, "there is no file %s", name)
}

func (w *world) Insert(_ context.Context, e core.Evaluation, set core.EvaluationSet, _ core.Agent, holder string, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.evals[e.ID], w.sets[e.ID], w.holders[e.ID] = e, set, holder
	return nil
}

func (w *world) Put(_ context.Context, e core.Evaluation, holder string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.putErr != nil {
		return false, w.putErr
	}
	if w.evals[e.ID].Status != core.EvaluationRunning || w.holders[e.ID] != holder {
		return false, nil
	}
	w.evals[e.ID] = e
	return true, nil
}

func (w *world) Claim(_ context.Context, holder string, _, _ time.Time) (ids []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, e := range w.evals {
		if e.Status == core.EvaluationRunning && w.holders[id] == holder {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (w *world) Work(ctx context.Context, id string) (core.Evaluation, core.EvaluationSet, error) {
	e, err := w.Get(ctx, id)
	return e, w.sets[id], err
}

func (w *world) Get(_ context.Context, id string) (core.Evaluation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, ok := w.evals[id]
	if !ok {
		return e, core.Errorf(core.CodeNotFound, "there is no evaluation %s", id)
	}
	return e, nil
}

func (w *world) List(context.Context, string, string, int) ([]core.Evaluation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []core.Evaluation
	for _, e := range w.evals {
		out = append(out, e)
	}
	return out, nil
}

func (w *world) Latest(_ context.Context, agent, version, set string) (core.Evaluation, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.evals {
		if e.Agent == agent && e.Version == version && e.SetVersion == set && (e.Status == core.EvaluationPassed || e.Status == core.EvaluationFailed) {
			return e, true, nil
		}
	}
	return core.Evaluation{}, false, nil
}

// store is world's Store: its Cancel is another one than that of runs.
type store struct{ *world }

func (s store) Cancel(_ context.Context, id, why string, now time.Time) (core.Evaluation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.evals[id]
	e.Status, e.Error, e.FinishedAt = core.EvaluationCancelled, why, &now
	s.evals[id] = e
	return e, nil
}

// service is a service over the world, with one set.
func (w *world) service(t *testing.T, set string, change func(*evaluations.Options)) *evaluations.Service {
	t.Helper()
	o := evaluations.Options{
		Sets: evaluations.Sets{Known: known, Sources: []evaluations.Source{{Name: "agents", FS: fstest.MapFS{"clerk.eval.yaml": {Data: []byte(set)}}}}},
		Runs: w, Models: w, Agents: w, Workspaces: w, Store: store{w}, Holder: "a", Required: func() bool { return true },
		Parallel: 2, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	return evaluations.New(o)
}
