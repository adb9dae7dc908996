package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
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

// A commit that fails leaves no trace in the engine, whose next attempt has another number. Whoever resumes the run
// must not take one checkpoint for another because of that.
func TestACommitThatFailedAndThenACrashLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	dbo := database.Options{DataDir: t.TempDir()}
	db, err := database.Open(t.Context(), dbo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	exec := func(statements ...string) {
		for _, q := range statements {
			if _, err := db.SQLite().Exec(q); err != nil {
				t.Error(err)
			}
		}
	}
	exec(`CREATE TABLE fault_parent (id INTEGER PRIMARY KEY)`,
		`CREATE TABLE fault (id INTEGER REFERENCES fault_parent(id) DEFERRABLE INITIALLY DEFERRED)`)
	b := newBench(t, dbo, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
		switch len(req.Messages) { // with the system prompt
		case 2:
			return calls(call("look", `{"n":1}`)), nil
		case 4:
			return calls(call("look", `{"n":2}`), call("look", `{"n":3}`), call("look", `{"n":4}`)), nil
		}
		return answer(fmt.Sprintf("done after %d messages", len(req.Messages)-1)), nil
	}})
	blocked, dead := make(chan struct{}), make(chan struct{})
	defer close(dead)
	var once sync.Once
	b.tools.do = func(_ context.Context, inv core.ToolInvocation) core.ToolResult {
		switch string(inv.Arguments) {
		case `{"n":1}`: // every commit of its result fails for a moment, at the very end, where a full disk strikes too
			exec(`CREATE TRIGGER fail AFTER INSERT ON messages BEGIN INSERT INTO fault VALUES (1); END`)
			time.AfterFunc(300*time.Millisecond, func() { exec(`DROP TRIGGER fail`) })
		case `{"n":2}`, `{"n":3}`:
			once.Do(func() { close(blocked) })
		case `{"n":4}`: // the process dies while this call is being made, after the other two were recorded
			first := b.tools.made("look") <= 4
			if first {
				<-dead
			}
		}
		return core.ToolResult{Text: "saw " + string(inv.Arguments)}
	}
	o, _ := b.open()
	id := b.start(o, "a", "go").ID
	<-blocked
	b.until(o, id, "two of three recorded", func(core.Run) bool {
		steps, _ := o.Steps(t.Context(), id)
		return len(steps) == 6 && steps[3].Status == core.StepSucceeded && steps[4].Status == core.StepSucceeded
	})
	o2, _ := b.open()
	r := b.ended(o2, id)
	wantOutput(t, r, "done after 7 messages")
	messages, err := o2.Messages(t.Context(), id)
	if err != nil || len(messages) != 8 {
		t.Fatalf("%d messages (%v)", len(messages), err)
	}
	for i, m := range messages {
		if m.Index != i {
			t.Errorf("message %d has index %d", i, m.Index)
		}
	}
	steps, err := o2.Steps(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range steps {
		if st.Status != core.StepSucceeded {
			t.Errorf("step %s", describe(st))
		}
	}
	if made := b.tools.made("look"); made != 5 { // four, and the one that the crash cut again
		t.Errorf("looked %d times, want 5", made)
	}
}

func TestAWatcherOfParallelCallsMissesNothing(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		var cs []core.ToolCall
		for i := range 12 {
			cs = append(cs, call("look", fmt.Sprintf(`{"n":%d}`, i)))
		}
		b := newBench(t, db, scripted(cs...))
		o, _ := b.open()
		for range 5 {
			id := b.start(o, "a", "go").ID
			var live []int64
			for e, err := range o.Events(t.Context(), id, 0) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Type != core.EventMessageDelta {
					live = append(live, e.N)
				}
				if e.Type == core.EventStepStarted && e.Step.Status != core.StepRunning {
					t.Errorf("a started step is %s", e.Step.Status)
				}
			}
			var stored []int64
			for e := range o.Events(t.Context(), id, 0) {
				stored = append(stored, e.N)
			}
			if !slices.Equal(live, stored) {
				t.Errorf("live %v\nstored %v", live, stored)
			}
		}
	})
}

func TestACancelThatMeetsAParkIsNotLost(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("look", `{}`), call("put", `{}`)))
		b.agents["a"] = core.Agent{Tools: []core.ToolGrant{{Name: "look"}, {Name: "put", Approval: core.ApprovalAlways}}}
		id := make(chan string, 1)
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
			// As another replica would: the wish is noted, and nothing here is interrupted.
			run := <-id
			if err := b.noteCancel(run, "user:ann"); err != nil {
				t.Error(err)
			}
			return core.ToolResult{Text: "ok"}
		}
		o, _ := b.open()
		run := b.start(o, "a", "go").ID
		id <- run
		if r := b.ended(o, run); r.Status != core.RunCancelled {
			t.Errorf("the run is %s", r.Status)
		}
		if open, err := o.Approvals(t.Context(), core.ApprovalPending, run); err != nil || len(open) != 0 {
			t.Errorf("%d approvals stay open (%v)", len(open), err)
		}
		if _, err := o.Cancel(t.Context(), run, "x"); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("cancel of an ended run: %v", err)
		}
	})
}

func TestResumeUsesTheAnswerOfASubRunThatHasEnded(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		var mu sync.Mutex
		var helped int
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			switch m := last(req); {
			case m.Role == core.RoleTool:
				return answer("helper said: " + m.Text), nil
			case m.Text == "go":
				return calls(call(agents.DelegatePrefix+"helper", `{"task":"sub"}`), call("put", `{}`)), nil
			}
			mu.Lock()
			defer mu.Unlock()
			helped++
			return answer(fmt.Sprint("help ", helped)), nil
		}})
		b.agents["a"] = core.Agent{Agents: []string{"helper"}, Tools: []core.ToolGrant{{Name: "put", Approval: core.ApprovalAlways}}}
		b.agents["helper"] = core.Agent{}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		b.until(o, id, "helped", func(r core.Run) bool {
			steps, _ := o.Steps(t.Context(), id)
			return r.Status == core.RunWaiting && len(steps) == 3 && steps[1].Status == core.StepSucceeded
		})
		if _, err := o.Cancel(t.Context(), id, "user:ann"); err != nil {
			t.Fatal(err)
		}
		b.ended(o, id)
		if _, err := o.Resume(t.Context(), id, "user:ann"); err != nil {
			t.Fatal(err)
		}
		b.waiting(o, id)
		b.decide(o, b.approval(o, id).ID, core.Verdict{Decision: core.DecideApprove})
		if r := b.ended(o, id); r.Status != core.RunSucceeded || !strings.HasPrefix(r.Output, "helper said:") {
			t.Errorf("got %s %q %+v", r.Status, r.Output, r.Error)
		}
		if helped != 1 {
			t.Errorf("the helper worked %d times", helped)
		}
	})
}

func TestAnUnsafeCallOfUnknownOutcomeIsAsked(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("pay", `{}`)))
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
			return core.ToolResult{Text: "it took too long", IsError: true, Unknown: true}
		}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		b.waiting(o, id)
		a := b.approval(o, id)
		if a.Reason != core.ReasonInterrupted {
			t.Errorf("reason %s", a.Reason)
		}
		b.decide(o, a.ID, core.Verdict{Decision: core.DecideDone, Result: "it was paid"})
		wantOutput(t, b.ended(o, id), "results: it was paid")
	})
}

// noteCancel notes the wish to stop a run as another replica does.
func (b *bench) noteCancel(run, actor string) (err error) {
	db, err := database.Open(b.t.Context(), b.dbo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Runs().RequestCancel(b.t.Context(), db.Querier(), run, actor)
}

// However often a run is cancelled and resumed, a call whose outcome is unknown is not repeated unless a person says so.
func TestAnUnknownOutcomeIsNotForgotten(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, scripted(call("pay", `{}`)))
		entered := make(chan struct{}, 1)
		b.tools.do = func(ctx context.Context, _ core.ToolInvocation) core.ToolResult {
			entered <- struct{}{}
			<-ctx.Done()
			return core.ToolResult{Text: "cut", IsError: true}
		}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		<-entered
		for round := range 3 {
			if _, err := o.Cancel(t.Context(), id, "user:ann"); err != nil {
				t.Fatal(err)
			}
			b.ended(o, id)
			if _, err := o.Resume(t.Context(), id, "user:ann"); err != nil {
				t.Fatal(err)
			}
			b.waiting(o, id)
			if a := b.approval(o, id); a.Reason != core.ReasonInterrupted {
				t.Errorf("round %d: reason %s", round, a.Reason)
			}
		}
		b.decide(o, b.approval(o, id).ID, core.Verdict{Decision: core.DecideDeny})
		b.ended(o, id)
		if n := b.tools.made("pay"); n != 1 {
			t.Errorf("paid %d times", n)
		}
	})
}

func TestOddTextFromModelsAndToolsIsStoredEverywhere(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			if last(req).Role == core.RoleUser {
				c := call("look", `{}`)
				c.ID = "id\x00"
				r := calls(c)
				r.Message.Text = "nul \x00 and \xff"
				return r, nil
			}
			return answer(last(req).Text), nil
		}})
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult { return core.ToolResult{Text: "a\x00b\xff"} }
		o, _ := b.open()
		r := b.ended(o, b.start(o, "a", "go\x00").ID)
		wantOutput(t, r, "a\uFFFDb\uFFFD")
		messages, err := o.Messages(t.Context(), r.ID)
		if err != nil || len(messages) != 4 {
			t.Fatalf("%d messages (%v)", len(messages), err)
		}
		if messages[0].Text != "go\uFFFD" || messages[1].Text != "nul \uFFFD and \uFFFD" {
			t.Errorf("stored %q, %q", messages[0].Text, messages[1].Text)
		}
		if id := messages[1].ToolCalls[0].ID; id != messages[2].ToolCallID || id != core.CleanText(id) {
			t.Errorf("the call %q is answered as %q", id, messages[2].ToolCallID)
		}
	})
}

func TestAnImpossibleUsageDoesNotOverflow(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
			r := calls(call("look", `{}`))
			r.Usage = core.Usage{InputTokens: 1<<63 - 1, OutputTokens: 1<<63 - 1, CostMicroUSD: -5}
			return r, nil
		}})
		o, _ := b.open()
		r := b.ended(o, b.start(o, "a", "go").ID)
		wantFailed(t, r, core.CodeLimit) // it claims more tokens than the run may use
		if r.Usage.Tokens() <= 0 || r.Usage.CostMicroUSD < 0 {
			t.Errorf("usage %+v", r.Usage)
		}
	})
}

func TestOddTextInADelegatedTaskIsStored(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			switch m := last(req); {
			case m.Role == core.RoleTool:
				return answer(m.Text), nil
			case m.Text == "go":
				return calls(call(agents.DelegatePrefix+"helper", `{"task":"a\u0000b"}`)), nil
			default:
				return answer("got " + m.Text), nil
			}
		}})
		b.agents["a"] = core.Agent{Agents: []string{"helper"}}
		b.agents["helper"] = core.Agent{}
		o, _ := b.open()
		wantOutput(t, b.ended(o, b.start(o, "a", "go").ID), "got a\uFFFDb")
	})
}
