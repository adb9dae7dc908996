package evaluations_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/evaluations"
)

const oneCase = "agent: clerk\nrepeats: 2\ncases:\n  - {name: adds, input: 17 times 23, checks: [contains: 391]}\n"

// work lets a service work for as long as the test wants.
func work(t *testing.T, s *evaluations.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Work(ctx) }()
	return func() { cancel(); <-done }
}

// pass lets time pass, and everybody come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// evaluate starts an evaluation and returns what became of it an hour later.
func evaluate(t *testing.T, w *world, s *evaluations.Service) core.Evaluation {
	t.Helper()
	defer work(t, s)()
	e, err := s.Start(t.Context(), "clerk", 0, "key:k1")
	if err != nil {
		t.Fatal(err)
	}
	pass(time.Hour)
	if e, err = s.Evaluation(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEveryCaseIsTriedAndTheShareDecides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, pass string
		want       core.EvaluationStatus
	}{{"enough", "0.5", core.EvaluationPassed}, {"too few", "0.6", core.EvaluationFailed}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.behave = func(r *core.Run, _ int) {
					r.Status, r.Output = core.RunSucceeded, map[string]string{"1": "391", "2": "390"}[r.Metadata["try"]]
				}
				e := evaluate(t, w, w.service(t, "pass: "+c.pass+"\n"+oneCase, nil))
				if e.Status != c.want || e.Passed != 1 || e.Tried != 2 || e.FinishedAt == nil || e.CostUSD != 0.004 {
					t.Errorf("ended as %+v", e)
				}
				tries := e.Cases[0].Tries
				if len(tries) != 2 || !tries[0].Passed || tries[1].Passed || len(tries[1].Failures) != 1 || tries[0].Try != 1 {
					t.Errorf("the tries are %+v", tries)
				}
				if r := w.runs[tries[0].Run]; r.Agent != "clerk@aaaaaaaaaaaa" || r.CreatedBy != "key:k1" || r.Metadata["evaluation"] != e.ID {
					t.Errorf("the run is %+v", r)
				}
			})
		})
	}
}

func TestAnInterruptedEvaluationGoesOnWithTheRunsThatItHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		never := func(r *core.Run, _ int) { r.Status = core.RunRunning }
		usual := w.behave
		w.behave = never
		s := w.service(t, oneCase, nil)
		stop := work(t, s)
		e, err := s.Start(t.Context(), "clerk", 0, "socket")
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		stop() // as a shutdown does: the runs go on
		if len(w.runs) != 2 || len(w.cancelled) > 0 {
			t.Fatalf("%d runs, %d of them cancelled", len(w.runs), len(w.cancelled))
		}
		w.behave = usual
		again := w.service(t, "agent: clerk\ncases: [{name: other, input: other, checks: [contains: other]}]", nil) // the set has changed meanwhile
		defer work(t, again)()
		pass(time.Minute)
		if e, err = again.Evaluation(t.Context(), e.ID); err != nil || e.Status != core.EvaluationPassed || e.Tried != 2 {
			t.Errorf("ended as %+v %v", e, err)
		}
		if len(w.runs) != 2 || len(w.keys) != 4 || !slices.Contains(w.keys, "eval:"+e.ID+":1:2") {
			t.Errorf("%d runs by the keys %q", len(w.runs), w.keys)
		}
	})
}

func TestACancelledEvaluationCancelsItsRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.behave = func(r *core.Run, _ int) { r.Status = core.RunRunning }
		s := w.service(t, oneCase, nil)
		defer work(t, s)()
		e, err := s.Start(t.Context(), "clerk", 0, "socket")
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if e, err = s.Cancel(t.Context(), e.ID, "user:ann"); err != nil || e.Status != core.EvaluationCancelled || e.Error != "cancelled by user:ann" {
			t.Errorf("cancelled as %+v %v", e, err)
		}
		pass(time.Second)
		if len(w.cancelled) != 2 {
			t.Errorf("the cancelled runs are %q", w.cancelled)
		}
	})
}

func TestAnEvaluationThatAnotherProcessHasTakenOverStopsHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.behave = func(r *core.Run, _ int) { r.Status = core.RunRunning }
		s := w.service(t, oneCase, nil)
		defer work(t, s)()
		e, err := s.Start(t.Context(), "clerk", 0, "socket")
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		w.mu.Lock()
		w.holders[e.ID] = "b"
		w.mu.Unlock()
		pass(time.Minute)
		before := w.looks["run-1"]
		pass(time.Minute)
		if w.looks["run-1"] != before || len(w.cancelled) > 0 {
			t.Errorf("it is still looked at, or its runs were cancelled: %q", w.cancelled)
		}
	})
}

func TestAResultThatCannotBeStoredIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.putErr = errors.New("the disk is full")
		s := w.service(t, oneCase, nil)
		defer work(t, s)()
		e, err := s.Start(t.Context(), "clerk", 0, "socket")
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		w.mu.Lock()
		w.putErr = nil
		w.mu.Unlock()
		pass(time.Minute)
		if e, err = s.Evaluation(t.Context(), e.ID); err != nil || e.Status != core.EvaluationPassed || len(w.runs) != 2 {
			t.Errorf("ended as %+v %v with %d runs", e, err, len(w.runs))
		}
	})
}

func TestARunThatWaitsForAPersonIsCancelled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, checks, where string
		passed              bool
		part                string
	}{
		{"which the case expects", "[asks: erp.pay]", "run-1", true, ""},
		{"which a sub-run does", "[asks: erp.pay]", "child", true, ""},
		{"about another tool", "[asks: calculator]", "run-1", false, "a person was asked about erp.pay, not about calculator"},
		{"unexpectedly", "[contains: x]", "run-1", false, "the run waited for a person (erp.pay) and was cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.runs["child"] = &core.Run{ID: "child", Parent: "run-1x", Status: core.RunWaiting}
				if c.where == "child" {
					w.runs["child"].Parent = "run-2"
				}
				w.behave = func(r *core.Run, _ int) { r.Status = core.RunWaiting }
				w.approvals[map[string]string{"run-1": "run-2", "child": "child"}[c.where]] = []core.Approval{{Tool: "erp.pay", Status: core.ApprovalPending}}
				e := evaluate(t, w, w.service(t, "agent: clerk\ncases: [{name: a, input: b, checks: "+c.checks+"}]", nil))
				try := e.Cases[0].Tries[0]
				if try.Run != "run-2" || try.Passed != c.passed || !strings.Contains(strings.Join(try.Failures, ";"), c.part) {
					t.Errorf("the try is %+v", try)
				}
				if !slices.Equal(w.cancelled, []string{"run-2"}) {
					t.Errorf("the cancelled runs are %q", w.cancelled)
				}
			})
		})
	}
}

func TestAJudgeIsAskedOnlyWhereTheOtherChecksHold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, other string
		asked       int
	}{{"they hold", "391", 1}, {"they do not", "390", 0}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.judge.answers = []any{`{"true": false, "reason": "no"}`}
				set := "agent: clerk\njudge: j\ncases: [{name: a, input: b, checks: [contains: " + c.other + ", judge: It is right.]}]"
				e := evaluate(t, w, w.service(t, set, nil))
				if len(w.judge.asked) != c.asked || e.Cases[0].Tries[0].Passed {
					t.Errorf("asked %d times, %+v", len(w.judge.asked), e.Cases[0].Tries[0])
				}
				if c.asked > 0 {
					if req := w.judge.asked[0]; req.Model != "j" || req.Caller.Key != "k1" || e.CostUSD != 0.003 {
						t.Errorf("asked %q for %+v, cost %g", req.Model, req.Caller, e.CostUSD)
					}
				}
			})
		})
	}
}

func TestARunThatCannotBeStartedFailsItsTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.startErr = core.Errorf(core.CodeInvalid, "there is no model m")
		e := evaluate(t, w, w.service(t, oneCase, nil))
		if e.Status != core.EvaluationFailed || e.Tried != 2 || e.Cases[0].Tries[0].Failures[0] != "the run could not be started: there is no model m" {
			t.Errorf("ended as %+v", e)
		}
	})
}

func TestWhatCannotBeEvaluatedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.agents["lonely"] = core.Agent{Name: "lonely"}
	s := w.service(t, oneCase, nil)
	for _, c := range []struct {
		agent   string
		repeats int
		code    core.Code
		part    string
	}{
		{"nobody", 0, core.CodeNotFound, "no agent"},
		{"lonely", 0, core.CodeNotFound, "write lonely.eval.yaml beside its file"},
		{"clerk", 51, core.CodeInvalid, "repeats is 51"},
	} {
		if _, err := s.Start(t.Context(), c.agent, c.repeats, ""); core.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v", c.agent, err)
		}
	}
	broken := w.service(t, "agent: clerk\ncases: 3\n", nil)
	if _, err := broken.Start(t.Context(), "clerk", 0, ""); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "agents/clerk.eval.yaml:2") {
		t.Errorf("a broken set: %v", err)
	}
}

func TestPublishingCanNeedAPassedEvaluation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		required := true
		s := w.service(t, oneCase, func(o *evaluations.Options) { o.Required = func() bool { return required } })
		a := w.agents["clerk"]
		refused := func(a core.Agent, part string) {
			t.Helper()
			if err := s.Ready(t.Context(), a); core.CodeOf(err) != core.CodeConflict || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want %q", a.Name, err, part)
			}
		}
		refused(a, "run `sutazai evals run clerk@draft`")
		refused(core.Agent{Name: "lonely"}, "there is no evaluation set")
		e := evaluate(t, w, s)
		if err := s.Ready(t.Context(), a); err != nil {
			t.Errorf("refused though its evaluation has passed: %v", err)
		}
		refused(core.Agent{Name: "clerk", Version: "bbbbbbbbbbbb"}, "was not evaluated")
		e.Status, e.Passed = core.EvaluationFailed, 1
		w.evals[e.ID] = e
		refused(a, "only 1 of 2 tries passed: see `sutazai evals show "+e.ID+"`")
		required = false
		if err := s.Ready(t.Context(), core.Agent{Name: "lonely"}); err != nil {
			t.Errorf("refused though nothing is required: %v", err)
		}
	})
}

func TestTheLastFolderWinsAndBrokenSetsAreShown(t *testing.T) {
	t.Parallel()
	s := evaluations.Sets{Known: known, Sources: []evaluations.Source{
		{Name: "shipped", FS: fstest.MapFS{"clerk.eval.yaml": {Data: []byte(oneCase)}, "researcher.eval.yaml": {Data: []byte(strings.Replace(oneCase, "clerk", "researcher", 1))}}},
		{Name: "mine", FS: fstest.MapFS{
			"clerk.eval.yaml": {Data: []byte("agent: clerk\n")}, "_draft.eval.yaml": {Data: []byte("x")}, "clerk.md": {Data: []byte("x")}, "pipe.eval.yaml": {Mode: fs.ModeNamedPipe},
		}},
	}}
	list, err := s.List()
	if err != nil || len(list) != 3 {
		t.Fatalf("%d sets: %+v %v", len(list), list, err)
	}
	if c := list[0]; c.Source != "mine" || len(c.Errors) != 1 || !strings.HasPrefix(c.Errors[0], "mine/clerk.eval.yaml:1: ") {
		t.Errorf("the clerk's is %+v", c)
	}
	if p := list[1]; p.Set.Agent != "pipe" || len(p.Errors) != 1 || !strings.Contains(p.Errors[0], "not a regular file") {
		t.Errorf("the pipe is %+v", p)
	}
	if r := list[2]; r.Source != "shipped" || len(r.Errors) != 0 || len(r.Set.Cases) != 1 {
		t.Errorf("the researcher's is %+v", r)
	}
	for _, name := range []string{"../clerk", "", "a/b", "none"} {
		if _, err := s.Of(name); core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
}
