package orchestrator_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func TestARunCallsToolsAndAnswers(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{"a":1}`), call("put", `{"b":2}`)))
		o, _ := b.open()
		r := b.ended(o, b.start(o, "a", "go").ID)
		if r.Status != core.RunSucceeded || !strings.Contains(r.Output, `look={"a":1}`) || !strings.Contains(r.Output, `put={"b":2}`) {
			t.Fatalf("got %s %q %+v", r.Status, r.Output, r.Error)
		}
		if r.Usage != (core.Usage{InputTokens: 20, OutputTokens: 10, CostMicroUSD: 200}) || r.Steps != 4 {
			t.Errorf("usage %+v, steps %d", r.Usage, r.Steps)
		}
		steps, err := o.Steps(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range steps {
			got = append(got, describe(s))
		}
		want := []string{"0 model fake/model succeeded x1", "1 tool look succeeded x1", "2 tool put succeeded x1", "3 model fake/model succeeded x1"}
		if !slices.Equal(got, want) {
			t.Errorf("steps\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestCallsOfOneMessageRunSideBySide(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{"n":1}`), call("look", `{"n":2}`), call("look", `{"n":3}`)))
		var all sync.WaitGroup
		all.Add(3)
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
			all.Done()
			all.Wait() // ends only if all three are being made at once
			return core.ToolResult{Text: "ok"}
		}
		o, _ := b.open()
		wantOutput(t, b.ended(o, b.start(o, "a", "go").ID), "results: ok ok ok")
	})
}

func TestEventsComeOnceInOrderAndResume(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`)))
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		var all []core.Event
		for e, err := range o.Events(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		var kinds []string
		for i, e := range all {
			if i > 0 && e.N <= all[i-1].N {
				t.Fatalf("event %d after %d", e.N, all[i-1].N)
			}
			if e.Type != core.EventMessageDelta {
				kinds = append(kinds, string(e.Type))
			}
		}
		want := []string{"run.started", "step.started", "message.completed", "step.completed", "step.started", "message.completed", "step.completed",
			"step.started", "message.completed", "step.completed", "run.succeeded"}
		if !slices.Equal(kinds, want) {
			t.Errorf("got %v\nwant %v", kinds, want)
		}
		for _, from := range all {
			var rest []int64
			for e := range o.Events(t.Context(), id, from.N) {
				rest = append(rest, e.N)
			}
			var wantRest []int64
			for _, e := range all {
				if e.N > from.N && e.Type != core.EventMessageDelta {
					wantRest = append(wantRest, e.N)
				}
			}
			if !slices.Equal(rest, wantRest) {
				t.Errorf("after %d: got %v, want %v", from.N, rest, wantRest)
			}
		}
	})
}

func TestARunSurvivesAStopOfTheServer(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`)))
		entered := make(chan struct{})
		release := make(chan struct{})
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
			close(entered)
			<-release
			return core.ToolResult{Text: "seen"}
		}
		o, stop := b.open()
		id := b.start(o, "a", "go").ID
		<-entered
		stopped := make(chan struct{})
		go func() { defer close(stopped); stop() }()
		close(release)
		<-stopped
		o2, _ := b.open()
		wantOutput(t, b.ended(o2, id), "results: seen")
		if n := b.tools.made("look"); n != 1 {
			t.Errorf("the call was made %d times", n)
		}
	})
}

// A crash is played by a second orchestrator with the same executor id: it takes the run over as a restarted process
// would, and the first one, still running, is the dead process whose writes must not count.
func TestARunSurvivesACrash(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`), call("put", `{}`)))
		putEntered, dead := make(chan struct{}), make(chan struct{})
		var once sync.Once
		b.tools.do = func(ctx context.Context, inv core.ToolInvocation) core.ToolResult {
			if inv.Name == "put" {
				first := false
				once.Do(func() { first = true; close(putEntered) })
				if first {
					<-dead
					return core.ToolResult{Text: "of the dead"}
				}
			}
			return core.ToolResult{Text: inv.Name + " " + inv.IdempotencyKey[37:]}
		}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		<-putEntered
		b.until(o, id, "past the first tool", func(core.Run) bool {
			steps, _ := o.Steps(t.Context(), id)
			return len(steps) == 3 && steps[1].Status == core.StepSucceeded
		})
		o2, _ := b.open()
		r := b.ended(o2, id)
		close(dead)
		wantOutput(t, r, "results: look 1 put 2")
		if n := b.tools.made("look"); n != 1 {
			t.Errorf("a completed call was made %d times", n)
		}
		if n := b.models.count(); n != 2 {
			t.Errorf("the model was called %d times, want 2", n)
		}
		if r.Recoveries != 1 {
			t.Errorf("recoveries %d", r.Recoveries)
		}
	})
}

func TestAnInterruptedUnsafeCallIsNotRepeatedButAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		verdict core.Verdict
		output  string
		made    int
	}{
		{"retry makes it again", core.Verdict{Decision: core.DecideRetry}, "results: paid", 2},
		{"done takes the given result", core.Verdict{Decision: core.DecideDone, Result: "paid by hand"}, "results: paid by hand", 1},
		{"deny tells the agent", core.Verdict{Decision: core.DecideDeny, Comment: "bank says no"}, "results: the call was interrupted, and a person decided that it failed: bank says no", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
				b := newBench(t, db, scripted(call("pay", `{"eur":5}`)))
				entered, dead := make(chan struct{}), make(chan struct{})
				defer close(dead)
				var once sync.Once
				b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
					first := false
					once.Do(func() { first = true; close(entered) })
					if first {
						<-dead
					}
					return core.ToolResult{Text: "paid"}
				}
				o, _ := b.open()
				id := b.start(o, "a", "pay the bill").ID
				<-entered
				o2, _ := b.open()
				if r := b.waiting(o2, id); r.WaitReason != core.WaitApproval {
					t.Fatalf("waits for %s", r.WaitReason)
				}
				a := b.approval(o2, id)
				if a.Reason != core.ReasonInterrupted || a.Tool != "pay" || string(a.Arguments) != `{"eur":5}` {
					t.Fatalf("asked %+v", a)
				}
				b.decide(o2, a.ID, c.verdict)
				wantOutput(t, b.ended(o2, id), c.output)
				if n := b.tools.made("pay"); n != c.made {
					t.Errorf("made %d times, want %d", n, c.made)
				}
			})
		})
	}
}

func TestApprovalBeforeACall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		verdict core.Verdict
		output  string
	}{
		{"approve", core.Verdict{Decision: core.DecideApprove}, `results: put={"n":1}`},
		{"edit", core.Verdict{Decision: core.DecideEdit, Arguments: []byte(`{"n":2}`)}, `results: put={"n":2}`},
		{"deny", core.Verdict{Decision: core.DecideDeny}, "results: the call was not made: a person denied it"},
		{"done", core.Verdict{Decision: core.DecideDone, Result: "did it"}, "results: did it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
				b := newBench(t, db, scripted(call("put", `{"n":1}`)))
				b.agents["a"] = core.Agent{Tools: []core.ToolGrant{{Name: "put", Approval: core.ApprovalAlways}}}
				o, stop := b.open()
				id := b.start(o, "a", "go").ID
				b.waiting(o, id)
				stop() // waiting needs no process
				o, _ = b.open()
				a := b.approval(o, id)
				if a.Reason != core.ReasonPolicy {
					t.Errorf("reason %s", a.Reason)
				}
				b.decide(o, a.ID, c.verdict)
				wantOutput(t, b.ended(o, id), c.output)
				if _, err := o.Decide(t.Context(), a.ID, c.verdict); core.CodeOf(err) != core.CodeConflict {
					t.Errorf("a second decision: %v", err)
				}
			})
		})
	}
}

func TestAnApprovalExpires(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("put", `{}`)))
		b.agents["a"] = core.Agent{Tools: []core.ToolGrant{{Name: "put", Approval: core.ApprovalAlways}}}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		b.waiting(o, id)
		a := b.approval(o, id)
		b.clock.advance(2 * time.Hour)
		wantOutput(t, b.ended(o, id), "results: nobody decided in time; the call was not made")
		if _, err := o.Decide(t.Context(), a.ID, core.Verdict{Decision: core.DecideApprove, Actor: "x"}); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("a decision after expiry: %v", err)
		}
	})
}

func TestAQuestionIsAnsweredByAMessage(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call(agents.AskUser, `{"question":"Which?"}`)))
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		if r := b.waiting(o, id); r.WaitReason != core.WaitQuestion || r.WaitDetail != "Which?" {
			t.Fatalf("waits for %s %q", r.WaitReason, r.WaitDetail)
		}
		if _, err := o.Message(t.Context(), id, "the blue one", "user:ann"); err != nil {
			t.Fatal(err)
		}
		wantOutput(t, b.ended(o, id), "results: the blue one")
	})
}

func TestAConversationGoesOn(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			return answer("you said " + last(req).Text), nil
		}})
		o, _ := b.open()
		id := b.start(o, "a", "one").ID
		wantOutput(t, b.ended(o, id), "you said one")
		if _, err := o.Message(t.Context(), id, "two", "user:ann"); err != nil {
			t.Fatal(err)
		}
		r := b.ended(o, id)
		wantOutput(t, r, "you said two")
		messages, err := o.Messages(t.Context(), id)
		if err != nil || len(messages) != 4 {
			t.Fatalf("%d messages (%v)", len(messages), err)
		}
	})
}

func TestTheSameIdempotencyKeyGivesTheSameRun(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`)))
		o, _ := b.open()
		in := core.StartRun{Agent: "a", Input: "go", Actor: "k", IdempotencyKey: "1"}
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			ids = map[string]int{}
		)
		for range 8 {
			wg.Go(func() {
				r, _, err := o.Start(t.Context(), in)
				if err != nil {
					t.Errorf("start: %v", err)
				}
				mu.Lock()
				ids[r.ID]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if len(ids) != 1 {
			t.Fatalf("one key gave %d runs", len(ids))
		}
		in.Input = "other"
		if _, _, err := o.Start(t.Context(), in); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("another request under the key: %v", err)
		}
	})
}

func TestARunThatCrashesTheServerAgainAndAgainIsSetAside(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`)))
		b.cfg.MaxRecoveries = 1
		entered, dead := make(chan struct{}, 8), make(chan struct{})
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
			entered <- struct{}{}
			<-dead
			return core.ToolResult{Text: "late"}
		}
		defer close(dead)
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		<-entered
		b.open() // the first crash: the run is resumed
		<-entered
		o3, _ := b.open() // the second one is too many
		r := b.ended(o3, id)
		wantFailed(t, r, core.CodeInternal)
		if !strings.Contains(r.Error.Message, "set aside") {
			t.Errorf("message %q", r.Error.Message)
		}
	})
}

func TestAWrongEditIsRefusedAndCanBeMended(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("put", `{"n":1}`)))
		b.agents["a"] = core.Agent{Tools: []core.ToolGrant{{Name: "put", Approval: core.ApprovalAlways}}}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		b.waiting(o, id)
		a := b.approval(o, id)
		for _, wrong := range []string{`{"n":"many"}`, `[1]`, `{`, ``} {
			_, err := o.Decide(t.Context(), a.ID, core.Verdict{Decision: core.DecideEdit, Arguments: []byte(wrong), Actor: "user:ann"})
			if core.CodeOf(err) != core.CodeInvalid {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		b.decide(o, b.approval(o, id).ID, core.Verdict{Decision: core.DecideEdit, Arguments: []byte(`{"n":3}`)})
		wantOutput(t, b.ended(o, id), `results: put={"n":3}`)
	})
}

func TestTheStartOfARunDoesNotTellItsEnd(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`)))
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		b.ended(o, id)
		for e, err := range o.Events(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if r := e.RunData; r != nil && (r.Status.Final() != e.Type.Final() || (r.Output != "") != e.Type.Final()) {
				t.Errorf("%s carries a run that is %s with output %q", e.Type, r.Status, r.Output)
			}
		}
	})
}
