package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// withRuns adds n finished runs whose ids share their first eight characters.
func withRuns(f *fake, n int) {
	for i := range n {
		f.add(core.Run{ID: fmt.Sprintf("019ab3c1-%04x-7000-8000-00000000000f", i), Agent: "assistant", Status: core.RunSucceeded,
			Input: fmt.Sprintf("task %d", i), CreatedAt: time.Unix(1764000000, 0)})
	}
}

func TestRunsListShowsAPageAndHowToGetTheNext(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	withRuns(f, 5)
	r := f.call(t.Context(), nil, terminals{}, "runs", "list", "--limit", "2", "--status", "succeeded")
	r.want(t, exitOK, "more: sutazai runs list --status succeeded --limit 2 --before 019ab3c1-0003-7000-8000-00000000000f")
	if lines := strings.Split(strings.TrimSpace(r.out), "\n"); len(lines) != 3 || !strings.Contains(lines[1], "task 4") || !strings.Contains(lines[2], "task 3") {
		t.Errorf("printed\n%s", r.out)
	}
	r = f.call(t.Context(), nil, terminals{}, "runs", "list", "--json", "--before", "019ab3c1-0001")
	var p page[core.Run]
	if err := json.Unmarshal([]byte(r.out), &p); err != nil || len(p.Items) != 1 {
		t.Errorf("printed %s", r.out)
	}
	r = newFake(t).call(t.Context(), nil, terminals{}, "runs", "list", "--json")
	if strings.Contains(r.out, "null") {
		t.Errorf("an empty list is %s", r.out)
	}
}

func TestARunIsFoundByTheBeginningOfItsID(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	withRuns(f, 5)
	r := f.call(t.Context(), nil, terminals{}, "runs", "show", "019AB3C1-0002", "--json")
	var d runDetails
	if err := json.Unmarshal([]byte(r.out), &d); err != nil || d.Input != "task 2" || d.Approvals == nil {
		t.Errorf("printed %s %s", r.out, r.err)
	}
	f.call(t.Context(), nil, terminals{}, "runs", "show", "019ab3c1").want(t, exitUsage, "more than one run")
	f.call(t.Context(), nil, terminals{}, "runs", "show", "029").want(t, exitNotFound, "sutazai runs list")
	f.call(t.Context(), nil, terminals{}, "runs", "show", "not-an-id").want(t, exitNotFound, "no such run")
	f.call(t.Context(), nil, terminals{}, "runs", "cancel", "019ab3c1-0004").want(t, exitOK, "is cancelled")
}

func TestRunsShowPrintsStepsAnswerAndWhatIsPending(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	from := time.Unix(1764000000, 0)
	to := from.Add(1500 * time.Millisecond)
	f.add(core.Run{ID: runID, Agent: "clerk", AgentVersion: "abc", Status: core.RunRunning, Input: "pay", Output: "so far", CreatedAt: from, StartedAt: &from})
	f.steps[runID] = []core.Step{{Index: 0, Kind: core.StepModel, Name: "local/default", Status: core.StepSucceeded, Attempts: make([]core.Attempt, 2),
		Usage: core.Usage{InputTokens: 10, OutputTokens: 2}, StartedAt: &from, FinishedAt: &to}}
	f.wait(pay(core.ReasonPolicy), core.WaitApproval)
	r := f.call(t.Context(), nil, terminals{}, "runs", "show", runID)
	r.want(t, exitOK)
	for _, part := range []string{"waiting for approval", "local/default", "1.5 s", "so far", "erp.pay", "sutazai runs approve 019ab3c1-7c2e"} {
		if !strings.Contains(r.out, part) {
			t.Errorf("does not show %q:\n%s", part, r.out)
		}
	}
}

func TestApproveDecidesByRunOrApproval(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.add(core.Run{ID: runID, Agent: "clerk", Status: core.RunRunning})
	f.wait(pay(core.ReasonPolicy), core.WaitApproval)
	second := pay(core.ReasonQuestion)
	second.ID, second.Arguments = "019ab3c1-8000-7000-8000-000000000009", json.RawMessage(`{"question":"Which one?"}`)
	f.wait(second, core.WaitQuestion)

	f.call(t.Context(), nil, terminals{}, "runs", "approve", runID).want(t, exitUsage, "2 approvals are pending", pay("").ID, second.ID)
	f.call(t.Context(), nil, terminals{}, "runs", "approve", pay("").ID, "--answer", "x").want(t, exitUsage, "--answer is for questions")
	f.call(t.Context(), nil, terminals{}, "runs", "approve", pay("").ID, "--edit", `{"amount":7}`, "--comment", "half").want(t, exitOK, "approved; run "+runID)
	if len(f.verdicts) != 1 || string(f.verdicts[0].Arguments) != `{"amount":7}` || f.verdicts[0].Decision != core.DecideEdit || f.verdicts[0].Comment != "half" {
		t.Errorf("decided %+v", f.verdicts)
	}
	f.call(t.Context(), nil, terminals{}, "runs", "deny", pay("").ID).want(t, exitFailed, "approved already")
	f.call(t.Context(), nil, terminals{}, "runs", "approve", "019ab3c1-7c2e").want(t, exitUsage, "Which one?", "--answer")
	f.call(t.Context(), nil, terminals{}, "runs", "approve", "019ab3c1-7c2e", "--answer", "the blue one").want(t, exitOK, "answered")
	if len(f.verdicts) != 2 || f.verdicts[1].Decision != core.DecideDone || f.verdicts[1].Result != "the blue one" {
		t.Errorf("decided %+v", f.verdicts)
	}
	f.call(t.Context(), nil, terminals{}, "runs", "deny", "ffff").want(t, exitNotFound, "no run")
}
