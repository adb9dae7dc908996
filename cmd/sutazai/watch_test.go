package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// aRun emits the events of a run that reads a file and answers.
func aRun(f *fake) func(string) {
	return func(id string) {
		f.emitRun(id, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
		f.emit(id, core.Event{Type: core.EventMessageCompleted, Message: &core.Message{Index: 1, Role: core.RoleAssistant, Text: "Let me look.",
			ToolCalls: []core.ToolCall{{ID: "c1", Name: "read_file", Arguments: json.RawMessage(`{"path":"README.md"}`)}}}})
		from := time.Unix(1764000000, 0)
		to := from.Add(3 * time.Millisecond)
		f.emit(id, core.Event{Type: core.EventStepCompleted, Step: &core.Step{Index: 1, Kind: core.StepTool, Name: "read_file", CallID: "c1",
			Status: core.StepSucceeded, StartedAt: &from, FinishedAt: &to}})
		f.emit(id, core.Event{Type: core.EventStepStarted, Step: &core.Step{Index: 2, Kind: core.StepModel, Name: "local/default"}})
		f.emit(id, core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: 3, Attempt: 1, Text: "SutazAI runs "}})
		f.emit(id, core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: 3, Attempt: 1, Offset: 13, Text: "agents."}})
		f.emit(id, core.Event{Type: core.EventMessageCompleted, Message: &core.Message{Index: 3, Role: core.RoleAssistant, Text: "SutazAI runs agents."}})
		f.emitRun(id, core.EventRunSucceeded, func(r *core.Run) {
			r.Status, r.Output, r.Steps = core.RunSucceeded, "SutazAI runs agents.", 2
			r.Usage = core.Usage{InputTokens: 400, OutputTokens: 31}
			end := from.Add(4100 * time.Millisecond)
			r.StartedAt, r.FinishedAt = &from, &end
		})
	}
}

func TestRunPrintsTheAnswerAloneToAPipe(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = aRun(f)
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := f.call(t.Context(), nil, terminals{}, "run", "assistant", "Summarise", "--file", file, "--limit", "steps=3", "--limit", "time=2m", "--metadata", "a=b")
	want := `● run 019ab3c1-7c2e… · assistant · local/default
  ✓ read_file README.md                                  3 ms
✓ finished · 2 steps · 431 tokens · $0.0000 · 4.1 s · sutazai runs show 019ab3c1-7c2e
`
	r.want(t, exitOK)
	if r.out != "SutazAI runs agents.\n" {
		t.Errorf("standard output is %q", r.out)
	}
	if r.err != want {
		t.Errorf("standard error is\n%s\nwant\n%s", r.err, want)
	}
	got := f.started[0]
	if got.Input != "Summarise" || len(got.Files) != 1 || got.Files[0].Name != "README.md" || string(got.Files[0].Content) != "hello" ||
		got.Limits.Steps != 3 || got.Limits.Time != 2*time.Minute || got.Metadata["a"] != "b" || f.keys[0] == "" {
		t.Errorf("the server was asked for %+v with key %q", got, f.keys[0])
	}
}

func TestRunOnATerminalStreamsTextBetweenTheSteps(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = aRun(f)
	r := f.call(t.Context(), nil, terminals{out: true}, "run", "assistant", "Summarise")
	r.want(t, exitOK, "read_file README.md", "finished")
	if r.out != "  Let me look.\n  SutazAI runs agents.\n" {
		t.Errorf("standard output is %q", r.out)
	}
}

func TestRunPrintsOneJSONObject(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = aRun(f)
	r := f.call(t.Context(), nil, terminals{out: true, err: true, in: true}, "run", "assistant", "Summarise", "--json")
	r.want(t, exitOK)
	var run core.Run
	dec := json.NewDecoder(strings.NewReader(r.out))
	if err := dec.Decode(&run); err != nil || run.ID != runID || run.Status != core.RunSucceeded || run.Output != "SutazAI runs agents." {
		t.Errorf("standard output is %q (%v)", r.out, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Errorf("something follows the object: %q", r.out)
	}
}

func TestDetachPrintsTheIDAlone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.call(t.Context(), strings.NewReader("piped task\n"), terminals{}, "run", "assistant", "--detach")
	r.want(t, exitOK)
	if r.out != runID+"\n" || r.err != "" || f.started[0].Input != "piped task" {
		t.Errorf("stdout %q, stderr %q, input %q", r.out, r.err, f.started[0].Input)
	}
}

func TestAVoidAttemptLeavesNothingInAPipeAndIsToldOnATerminal(t *testing.T) {
	t.Parallel()
	script := func(f *fake) func(string) {
		return func(id string) {
			f.emit(id, core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: 1, Attempt: 1, Text: "Half a sen"}})
			f.emit(id, core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: 1, Attempt: 2, Text: "The answer"}})
			f.succeed(id, "The answer.")
		}
	}
	f := newFake(t)
	f.onStart = script(f)
	if r := f.call(t.Context(), nil, terminals{}, "run", "assistant", "x"); r.out != "The answer.\n" {
		t.Errorf("a pipe got %q", r.out)
	}
	g := newFake(t)
	g.onStart = script(g)
	r := g.call(t.Context(), nil, terminals{out: true}, "run", "assistant", "x")
	r.want(t, exitOK, "starts from the beginning")
	if r.out != "  Half a sen\n  The answer.\n" {
		t.Errorf("a terminal got %q", r.out)
	}
}

func TestControlSequencesOfAModelDoNotReachATerminal(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = func(id string) { f.succeed(id, "red \x1b[31m, title \x1b]0;x\x07, over\rwritten \u202eback") }
	r := f.call(t.Context(), nil, terminals{out: true, err: true}, "run", "assistant", "x")
	if strings.ContainsAny(r.out, "\x1b\x07\r\u202e") {
		t.Errorf("a terminal got %q", r.out)
	}
}

func TestALostConnectionIsTakenUpWhereItBroke(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.cut = 3
	f.onStart = aRun(f)
	r := f.call(t.Context(), nil, terminals{out: true}, "run", "assistant", "x")
	r.want(t, exitOK, "reconnecting")
	if r.out != "  Let me look.\n  SutazAI runs agents.\n" {
		t.Errorf("a terminal got %q", r.out)
	}
	if len(f.lastIDs) != 2 || f.lastIDs[0] != "" || f.lastIDs[1] != runID+"-3" {
		t.Errorf("Last-Event-ID were %q", f.lastIDs)
	}
}

func TestTheExitCodeSaysHowARunEnded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status core.RunStatus
		code   core.Code
		exit   int
	}{
		"failed":                      {core.RunFailed, core.CodeInternal, exitFailed},
		"failed by an invalid answer": {core.RunFailed, core.CodeInvalid, exitFailed},
		"limit":                       {core.RunFailed, core.CodeLimit, exitLimit},
		"model gone for good":         {core.RunFailed, core.CodeUnavailable, exitUnreachable},
		"cancelled":                   {core.RunCancelled, core.CodeCancelled, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.onStart = func(id string) {
				kind := map[core.RunStatus]core.EventType{core.RunFailed: core.EventRunFailed, core.RunCancelled: core.EventRunCancelled}[tc.status]
				f.emitRun(id, kind, func(r *core.Run) {
					r.Status, r.Error = tc.status, &core.RunError{Code: tc.code, Message: "the reason"}
				})
			}
			r := f.call(t.Context(), nil, terminals{}, "run", "assistant", "x")
			r.want(t, tc.exit, "the reason")
			if r.out != "" {
				t.Errorf("standard output is %q", r.out)
			}
		})
	}
}

func pay(reason core.ApprovalReason) core.Approval {
	return core.Approval{ID: "019ab3c1-8000-7000-8000-000000000001", Run: runID, Agent: "clerk", Tool: "erp.pay",
		Arguments: json.RawMessage(`{"amount":120}`), Reason: reason}
}

func TestWaitingForAPersonWithoutATerminalEndsWithTheCommands(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = func(id string) { f.wait(pay(core.ReasonPolicy), core.WaitApproval) }
	r := f.call(t.Context(), nil, terminals{}, "run", "clerk", "x")
	r.want(t, exitWaiting, "erp.pay", `"amount": 120`, "sutazai runs approve 019ab3c1-7c2e\n", "sutazai runs deny 019ab3c1-7c2e")
	g := newFake(t)
	g.onStart = func(id string) { g.wait(pay(core.ReasonInterrupted), core.WaitApproval) }
	r = g.call(t.Context(), nil, terminals{in: true, out: true, err: true}, "run", "clerk", "x", "--no-wait", "--json")
	r.want(t, exitWaiting, "interrupted by a crash", "--retry", "--done")
	var run core.Run
	if err := json.Unmarshal([]byte(r.out), &run); err != nil || run.Status != core.RunWaiting {
		t.Errorf("standard output is %q", r.out)
	}
}

func TestWaitForAPersonElsewhereTellsEachApprovalOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = func(id string) {
		f.wait(pay(core.ReasonPolicy), core.WaitApproval)
		f.emitRun(id, core.EventRunWaiting, func(*core.Run) {})
	}
	f.onStream = func(id string) {
		go func() { // decided elsewhere, once it was told here: the second question for the run's state
			for f.asked(id) < 2 {
				runtime.Gosched()
			}
			f.emitRun(id, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
			f.succeed(id, "done")
		}()
	}
	r := f.call(t.Context(), nil, terminals{}, "run", "clerk", "x", "--wait")
	r.want(t, exitOK)
	if n := strings.Count(r.err, "sutazai runs deny"); n != 1 || r.out != "done\n" {
		t.Errorf("told %d times\n%s", n, r.err)
	}
}

func TestAnApprovalIsAskedForOnATerminal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason core.ApprovalReason
		typed  string
		want   verdict
	}{
		"approve":    {core.ReasonPolicy, "what?\na\n", verdict{Decision: core.DecideApprove}},
		"edit":       {core.ReasonPolicy, "e\nnonsense\ne\n{\"amount\":5}\n", verdict{Decision: core.DecideEdit, Arguments: json.RawMessage(`{"amount":5}`)}},
		"deny":       {core.ReasonPolicy, "d\ntoo much\n", verdict{Decision: core.DecideDeny, Comment: "too much"}},
		"retry":      {core.ReasonInterrupted, "a\nr\n", verdict{Decision: core.DecideRetry}},
		"done":       {core.ReasonInterrupted, "m\npaid as 77\n", verdict{Decision: core.DecideDone, Result: "paid as 77"}},
		"a question": {core.ReasonQuestion, "the second\n", verdict{Decision: core.DecideDone, Result: "the second"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.onStart = func(id string) { f.wait(pay(tc.reason), core.WaitApproval) }
			finish := func() {
				f.emitRun(runID, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
				f.succeed(runID, "done")
			}
			f.onDecide = func(core.Approval, verdict) { finish() }
			r := f.call(t.Context(), strings.NewReader(tc.typed), terminals{in: true, out: true, err: true}, "run", "clerk", "x")
			r.want(t, exitOK, "finished")
			got, _ := json.Marshal(f.verdicts)
			want, _ := json.Marshal([]verdict{tc.want})
			if string(got) != string(want) {
				t.Errorf("decided %s, want %s\n%s", got, want, r.err)
			}
		})
	}
}

func TestTheEndOfTheInputLeavesAnApprovalForLater(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.onStart = func(id string) { f.wait(pay(core.ReasonPolicy), core.WaitApproval) }
	f.call(t.Context(), strings.NewReader(""), terminals{in: true, out: true, err: true}, "run", "clerk", "x").want(t, exitWaiting, "sutazai runs approve")
	if len(f.verdicts) != 0 {
		t.Errorf("decided %v", f.verdicts)
	}
}

func TestAnApprovalDecidedElsewhereEndsTheQuestion(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	in, typing := io.Pipe()
	defer typing.Close()
	f.onStart = func(id string) { f.wait(pay(core.ReasonPolicy), core.WaitApproval) }
	go func() {
		// The question is on the screen once somebody reads what is typed.
		_, _ = typing.Write([]byte("?\n"))
		a := f.approvals[0]
		a.Status, a.DecidedBy = core.ApprovalApproved, "user:ann"
		f.mu.Lock()
		f.approvals[0] = a
		f.mu.Unlock()
		f.emit(runID, core.Event{Type: core.EventApprovalDecided, Approval: &a})
		f.emitRun(runID, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
		f.succeed(runID, "done")
	}()
	f.call(t.Context(), in, terminals{in: true, out: true, err: true}, "run", "clerk", "x").want(t, exitOK, "approved meanwhile by user:ann")
}

func TestAnUnreachableModelIsToldAndTheRunIsKept(t *testing.T) {
	t.Parallel()
	park := func(f *fake) func(string) {
		return func(id string) {
			f.emitRun(id, core.EventRunWaiting, func(r *core.Run) {
				r.Status, r.WaitReason, r.WaitDetail = core.RunWaiting, core.WaitModel, "local/default: connection refused"
			})
		}
	}
	f := newFake(t)
	f.onStart = park(f)
	f.call(t.Context(), nil, terminals{}, "run", "assistant", "x").
		want(t, exitUnreachable, "local/default: connection refused", "kept", "sutazai runs watch 019ab3c1-7c2e --wait")
	g := newFake(t)
	g.onStart = park(g)
	g.onStream = func(id string) { // the model comes back
		g.emitRun(id, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
		g.succeed(id, "back")
	}
	if r := g.call(t.Context(), nil, terminals{}, "run", "assistant", "x", "--wait"); r.exit != exitOK || r.out != "back\n" {
		t.Errorf("%+v", r)
	}
}

func TestADelegatedRunIsFollowedAndItsApprovalsAsked(t *testing.T) {
	t.Parallel()
	const child = "019ab3c1-9999-7000-8000-000000000002"
	f := newFake(t)
	f.onStart = func(id string) {
		f.add(core.Run{ID: child, Agent: "researcher", Parent: id, Status: core.RunRunning})
		f.mu.Lock()
		f.steps[id] = []core.Step{{Index: 0, Kind: core.StepAgent, Name: "researcher", ChildRun: child, Status: core.StepWaiting}}
		f.mu.Unlock()
		f.emit(child, core.Event{Type: core.EventStepCompleted, Step: &core.Step{Kind: core.StepTool, Name: "fetch_url", Status: core.StepFailed, Error: "no route"}})
		a := pay(core.ReasonPolicy)
		a.Run = child
		f.wait(a, core.WaitApproval)
		f.emitRun(id, core.EventRunWaiting, func(r *core.Run) { r.Status, r.WaitReason = core.RunWaiting, core.WaitAgent })
	}
	f.onDecide = func(core.Approval, verdict) {
		f.emitRun(child, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
		f.succeed(child, "child's answer")
		f.emitRun(runID, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
		f.succeed(runID, "whole answer")
	}
	r := f.call(t.Context(), strings.NewReader("a\n"), terminals{in: true, err: true}, "run", "boss", "x")
	r.want(t, exitOK, "✗ researcher › fetch_url", "no route", "erp.pay")
	if r.out != "whole answer\n" {
		t.Errorf("standard output is %q", r.out)
	}
}

func TestCtrlCEndsWith130AndTellsHowToFindTheRun(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.onStart = func(id string) {
		f.emitRun(id, core.EventRunStarted, func(r *core.Run) { r.Status = core.RunRunning })
	}
	f.onStream = func(string) { cancel() }
	f.call(ctx, nil, terminals{}, "run", "assistant", "x").
		want(t, exitInterrupted, "the run goes on", "sutazai runs watch 019ab3c1-7c2e", "sutazai runs cancel 019ab3c1-7c2e")
}
