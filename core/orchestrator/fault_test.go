package orchestrator_test

import (
	"context"
	"database/sql"
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
	// Every third message makes its transaction fail once, at the commit: a deferred constraint that the retry finds met.
	prepare := func(db *sql.DB) {
		for _, q := range []string{
			`CREATE TABLE fault_parent (id INTEGER PRIMARY KEY)`,
			`CREATE TABLE fault (id INTEGER REFERENCES fault_parent(id) DEFERRABLE INITIALLY DEFERRED)`,
		} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := 0
	b := newBench(t, dbo, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
		turn := 0
		for _, m := range req.Messages {
			if m.Role == core.RoleAssistant {
				turn++
			}
		}
		if turn == 6 {
			return answer(fmt.Sprintf("done after %d messages", len(req.Messages)-1)), nil
		}
		c := call("pay", fmt.Sprintf(`{"n":%d}`, turn))
		return calls(c), nil
	}})
	b.agents["a"] = core.Agent{Tools: grants("pay")}
	db, err := database.Open(t.Context(), dbo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	prepare(db.SQLite())
	blocked, dead := make(chan struct{}), make(chan struct{})
	defer close(dead)
	var mu sync.Mutex
	b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult {
		mu.Lock()
		n++
		this := n
		mu.Unlock()
		switch this {
		case 2: // the commit of this call's result fails
			if _, err := db.SQLite().Exec(`CREATE TRIGGER fail_once AFTER INSERT ON messages BEGIN INSERT INTO fault VALUES (1); END`); err != nil {
				t.Error(err)
			}
			time.AfterFunc(300*time.Millisecond, func() { // the disk has space again
				if _, err := db.SQLite().Exec(`DROP TRIGGER fail_once`); err != nil {
					t.Error(err)
				}
			})
		case 4: // the process dies
			close(blocked)
			<-dead
		}
		return core.ToolResult{Text: fmt.Sprint("paid ", this)}
	}
	o, _ := b.open()
	id := b.start(o, "a", "go").ID
	<-blocked
	o2, _ := b.open()
	b.waiting(o2, id)
	b.decide(o2, b.approval(o2, id).ID, core.Verdict{Decision: core.DecideDone, Result: "paid by hand"})
	r := b.ended(o2, id)
	wantOutput(t, r, "done after 13 messages")
	messages, err := o2.Messages(t.Context(), id)
	if err != nil || len(messages) != 14 {
		t.Fatalf("%d messages (%v)", len(messages), err)
	}
	for i, m := range messages {
		if m.Index != i {
			t.Errorf("message %d has index %d", i, m.Index)
		}
	}
	if made := b.tools.made("pay"); made != 6 {
		t.Errorf("paid %d times, want 6", made)
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
