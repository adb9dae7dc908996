package orchestrator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// work is a call that can be made now, or whose result is known without making it.
type work struct {
	step   core.Step
	args   json.RawMessage
	result *core.ToolResult // set: do not call
	usage  core.Usage       // of a sub-run
	flow   core.Flow        // of a sub-run
}

// callTools makes every call that can be made, side by side, and records each as it ends. When calls are left that wait
// for people or sub-agents, the run parks.
func (s *segment) callTools(a agents.CallTools) (parked bool, err error) {
	var approvals map[int]core.Approval
	if err := s.patiently(func() (err error) { approvals, err = s.latestApprovals(); return err }); err != nil {
		return false, err
	}
	var (
		works []work
		waits []wait
	)
	for _, call := range a.Calls {
		st, ok := s.stepOf(call.ID)
		if !ok {
			return false, fmt.Errorf("run %s: call %s has no step", s.in.Run, call.ID)
		}
		w, wt, err := s.judge(call, st, approvals, newDelegations(a, s))
		if err != nil {
			return false, err
		}
		if wt != nil {
			waits = append(waits, *wt)
		} else {
			works = append(works, *w)
		}
	}
	var g errgroup.Group
	g.SetLimit(s.o.cfg.MaxParallelTools)
	for _, w := range works {
		g.Go(func() error { return s.do(w) })
	}
	if err := g.Wait(); err != nil || len(waits) == 0 || s.run.Err() != nil {
		return false, err
	}
	return s.park(waits, approvals)
}

func (s *segment) stepOf(callID string) (core.Step, bool) {
	for i := len(s.steps) - 1; i >= 0; i-- {
		if s.steps[i].CallID == callID {
			return s.steps[i], true
		}
	}
	return core.Step{}, false
}

// latestApprovals returns the newest approval of each step.
func (s *segment) latestApprovals() (map[int]core.Approval, error) {
	all, err := s.o.Journal.Approvals(s.ctx, s.o.Database.Querier(), "", s.in.Run, 10_000)
	out := make(map[int]core.Approval, len(all))
	for _, a := range all {
		if before, ok := out[a.Step]; !ok || !a.CreatedAt.Before(before.CreatedAt) {
			out[a.Step] = a
		}
	}
	return out, err
}

// judge says what to do about a call: make it, give its known result, or wait.
func (s *segment) judge(call agents.Call, st core.Step, approvals map[int]core.Approval, delegations int) (*work, *wait, error) {
	refuse := func(text string) (*work, *wait, error) {
		return &work{step: st, result: &core.ToolResult{Text: text, IsError: true}}, nil, nil
	}
	args := call.Arguments
	if len(st.Arguments) > 0 {
		args = st.Arguments
	}
	if call.Refusal != "" {
		return refuse(call.Refusal)
	}
	if st.Kind == core.StepAgent {
		return s.judgeAgent(call, st, args, delegations, refuse)
	}
	a, asked := approvals[st.Index]
	if asked && a.Status == core.ApprovalApproved && st.Status == core.StepRunning && st.Effect != core.EffectUnsafe {
		return &work{step: edited(st, call, a), args: a.Arguments}, nil, nil // interrupted after the approval; harmless to repeat
	}
	if asked && st.Status == core.StepWaiting {
		switch a.Status {
		case core.ApprovalPending:
			w := describe(wait{step: st, old: true}, a)
			return nil, &w, nil
		case core.ApprovalDone:
			return &work{step: st, result: &core.ToolResult{Text: a.Result}}, nil, nil
		case core.ApprovalApproved:
			return &work{step: edited(st, call, a), args: a.Arguments}, nil, nil
		case core.ApprovalDenied:
			return refuse(denial(a))
		default:
			return refuse("nobody decided in time; the call was not made")
		}
	}
	switch {
	case st.Name == agents.Recall:
		return &work{step: st, result: new(s.recall(args))}, nil, nil
	case st.Name == agents.AskUser && question(args) == "":
		return refuse(`the argument "question" is missing or empty: say in it what you want to know`)
	case st.Name == agents.AskUser:
		w := s.askPerson(st, args, core.ReasonQuestion)
		return nil, &w, nil
	case st.Effect == core.EffectUnsafe && st.Status == core.StepRunning:
		// Whatever the policy says: an author who wants no questions still gets no silent repetition.
		w := s.askPerson(st, args, core.ReasonInterrupted)
		return nil, &w, nil
	case s.policy(st.Name) == core.ApprovalAlways && st.Status == core.StepPending:
		w := s.askPerson(st, args, core.ReasonPolicy)
		return nil, &w, nil
	case s.leaks(st.Name) && st.Status == core.StepPending:
		w := s.askPerson(st, args, core.ReasonFlow)
		return nil, &w, nil
	}
	return &work{step: st, args: args}, nil, nil
}

// edited notes in the step that a person changed the arguments.
func edited(st core.Step, call agents.Call, a core.Approval) core.Step {
	if !bytes.Equal(a.Arguments, call.Arguments) {
		st.Arguments = a.Arguments
	}
	return st
}

func denial(a core.Approval) string {
	text := "the call was not made: a person denied it" // who it was is no business of the model's
	if a.Reason == core.ReasonInterrupted {
		text = "the call was interrupted, and a person decided that it failed"
	}
	if a.Comment != "" {
		text += ": " + a.Comment
	}
	return text
}

// newDelegations counts the calls that give new work to agents; they share what is left of the run's limits.
func newDelegations(a agents.CallTools, s *segment) int {
	n := 0
	for _, call := range a.Calls {
		if st, ok := s.stepOf(call.ID); ok && st.Kind == core.StepAgent && st.ChildRun == "" {
			n++
		}
	}
	return n
}

// leaks says whether a call could carry private data to where content of strangers wants it.
func (s *segment) leaks(tool string) bool {
	spec, _ := s.o.Tools.Spec(tool)
	return spec.Flow.Has(core.FlowEgress) && s.state.Run.Flow.Has(core.FlowPrivate|core.FlowUntrusted)
}

func (s *segment) policy(tool string) core.ApprovalPolicy {
	g, _ := s.state.Definition.Grant(tool)
	return g.Approval
}

func (s *segment) judgeAgent(call agents.Call, st core.Step, args json.RawMessage, delegations int, refuse func(string) (*work, *wait, error)) (*work, *wait, error) {
	if st.ChildRun == "" {
		w, refusal, err := s.delegate(call, st, args, delegations)
		if err != nil {
			return nil, nil, err
		}
		if refusal != "" {
			return refuse(refusal)
		}
		return nil, &w, nil
	}
	var child core.RunRecord
	err := s.patiently(func() (err error) {
		child, err = s.o.Journal.Get(s.ctx, s.o.Database.Querier(), st.ChildRun)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if !child.Status.Final() {
		return nil, &wait{step: st, old: true, reason: core.WaitAgent, detail: "the agent " + child.Agent + " works on it"}, nil
	}
	res := core.ToolResult{Text: child.Output}
	if child.Status != core.RunSucceeded {
		res = core.ToolResult{Text: fmt.Sprintf("the agent %s did not finish: %s", child.Agent, child.Error.Message), IsError: true}
	}
	return &work{step: st, result: &res, usage: child.Usage, flow: child.Flow}, nil, nil
}

// do makes a call and records its result. It records nothing when the run was stopped before the call ended.
func (s *segment) do(w work) error {
	st := w.step
	if w.result != nil {
		if st.StartedAt == nil {
			now := s.o.Now()
			st.StartedAt = &now
		}
		return s.record(st, *w.result, w.usage, w.flow, core.Event{})
	}
	if s.run.Err() != nil {
		return nil
	}
	s.startAttempt(&st)
	started := s.announce(st)
	stopMark := func() {}
	if st.Effect == core.EffectUnsafe {
		if err := s.journalUnsafe(st, w.args); err != nil {
			return err
		}
	} else {
		stopMark = s.markStarted(st)
	}
	res := s.o.Tools.Call(s.run, core.ToolInvocation{
		Run: st.Run, Name: st.Name, Arguments: w.args, IdempotencyKey: st.IdempotencyKey, Workspace: s.state.Run.Root,
		Caller: callerOf(&s.state.Run.Run), Skills: s.state.Definition.Skills,
	})
	stopMark()
	if res.IsError && s.run.Err() != nil {
		return nil
	}
	if res.Unknown && st.Effect == core.EffectUnsafe {
		return nil // as if it had been interrupted: a person is asked
	}
	spec, _ := s.o.Tools.Spec(st.Name)
	return s.record(st, res, core.Usage{}, spec.Flow&^core.FlowEgress, started)
}

// journalUnsafe records that an unsafe call is about to be made. If the process dies before the result is recorded,
// whoever resumes the run sees it and does not repeat the call by itself.
func (s *segment) journalUnsafe(st core.Step, args json.RawMessage) error {
	if err := s.checkpoint("start "+st.Name, func(c *change) { s.addStep(c, st) }); err != nil {
		return err
	}
	return s.auditCall(st, "tool.call", args)
}

// auditCall records who had an unsafe call made. The arguments themselves are in the conversation; here is what proves
// which they were.
func (s *segment) auditCall(st core.Step, action string, args json.RawMessage) error {
	event := core.AuditEvent{
		At: s.o.Now(), Actor: s.state.Run.CreatedBy, Action: action, Target: st.ID + " " + st.Name, Result: "ok",
		Detail: fmt.Sprintf("agent %s, arguments sha256 %x", s.state.Run.Agent, sha256.Sum256(args)),
	}
	return s.patiently(func() error { return s.o.Audit.Record(context.WithoutCancel(s.run), event) })
}

func (s *segment) record(st core.Step, res core.ToolResult, usage core.Usage, flow core.Flow, started core.Event) error {
	now := s.o.Now()
	st.FinishedAt, st.Status, st.Usage = &now, core.StepSucceeded, usage
	if res.IsError {
		st.Status, st.Error = core.StepFailed, core.CleanText(firstLine(res.Text))
	}
	if n := len(st.Attempts); n > 0 {
		st.Attempts[n-1].FinishedAt, st.Attempts[n-1].Error = &now, st.Error
	}
	s.o.Observer.StepEnded(st.Kind, st.Name, st.Status, now.Sub(*st.StartedAt), usage)
	return s.checkpoint(string(st.Kind)+" "+st.Name, func(c *change) {
		m := core.Message{Index: s.state.Run.Messages, Role: core.RoleTool, Text: core.CleanText(res.Text), IsError: res.IsError, ToolCallID: st.CallID, CreatedAt: now}
		st.OutputRef = messageRef(m.Index)
		s.state.Run.Usage = s.state.Run.Usage.Add(usage)
		s.state.Run.Flow |= flow
		s.addMessage(c, m)
		s.completeStep(c, st, started)
	})
}

// firstLine is what a list shows of an error; the whole text is in the message.
func firstLine(text string) string {
	const most = 200
	for i, r := range text {
		if r == '\n' || i >= most {
			return text[:i]
		}
	}
	return text
}
