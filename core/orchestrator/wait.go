package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const (
	outageFirst = 5 * time.Second
	outageMost  = time.Minute
)

// awaitModel parks the run until its model may be back, or fails it when it has waited long enough.
func (s *segment) awaitModel(st core.Step, started core.Event, cause error) (parked bool, err error) {
	r := &s.state.Run
	now := s.o.Now()
	since := now
	if r.OutageSince != nil {
		since = *r.OutageSince
	}
	waited := now.Sub(since)
	if waited > s.o.cfg.OutagePatience {
		st.Status, st.Error = core.StepFailed, core.MessageOf(cause)
		if err := s.checkpoint("model "+st.Name, func(c *change) { s.completeStep(c, st, started) }); err != nil {
			return false, err
		}
		return true, s.finish(core.RunFailed, core.Errorf(core.CodeUnavailable, "%s; the run waited %s for it", core.MessageOf(cause), waited.Round(time.Second)), nil)
	}
	err = s.checkpoint("wait for the model", func(c *change) {
		st.Status, st.Error, st.FinishedAt = core.StepWaiting, core.MessageOf(cause), nil
		s.addStep(c, st)
		wake := now.Add(min(outageMost, max(outageFirst, waited/2)))
		r.Status, r.WaitReason, r.WaitDetail, r.WakeAt = core.RunWaiting, core.WaitModel, core.MessageOf(cause), &wake
		if r.OutageSince == nil {
			r.OutageSince = &since
			c.event(core.EventRunWaiting, "")
		}
		c.done = func(core.Event) bool { return true }
	})
	if err == nil && r.CancelledBy != "" { // the wish came before the wait
		err = s.stop(cancelledBy(r.CancelledBy))
	}
	return true, err
}

// wait is what a tool call waits for.
type wait struct {
	step     core.Step
	approval *core.Approval  // new question to a person
	child    *core.RunRecord // new sub-run
	agent    core.Agent      // that executes it
	messages []core.Message  // of the child
	old      bool            // was waiting before
	detail   string
	reason   core.WaitReason
}

// park ends the segment because calls wait for people or sub-agents. It does not when one of them was settled in the
// meantime: then the run goes on at once.
func (s *segment) park(waits []wait, approvals map[int]core.Approval) (parked bool, err error) {
	r := &s.state.Run
	err = s.checkpoint("wait", func(c *change) {
		c.unsaved = true
		c.then(func(ctx context.Context, q dbtx.Querier) error {
			if _, err := s.o.Journal.Lock(ctx, q, r.ID); err != nil { // whoever settles a wait locks the run too
				return err
			}
			settled, err := s.settledMeanwhile(ctx, q, waits, approvals)
			if err != nil {
				return err
			}
			parked = !settled
			return s.writeWaits(ctx, q, waits, settled)
		})
	})
	if err != nil {
		return false, err
	}
	for _, w := range waits {
		s.steps[w.step.Index] = w.step
	}
	if parked && r.CancelledBy != "" { // the wish came before the wait
		return true, s.stop(cancelledBy(r.CancelledBy))
	}
	s.o.nudge() // sub-runs may be queued
	return parked, nil
}

func (s *segment) settledMeanwhile(ctx context.Context, q dbtx.Querier, waits []wait, approvals map[int]core.Approval) (bool, error) {
	for _, w := range waits {
		if !w.old {
			continue
		}
		if w.step.ChildRun != "" {
			child, err := s.o.Journal.Get(ctx, q, w.step.ChildRun)
			if err != nil || child.Status.Final() {
				return true, err
			}
			continue
		}
		a, err := s.o.Journal.Approval(ctx, q, approvals[w.step.Index].ID)
		if err != nil || a.Status != core.ApprovalPending {
			return true, err
		}
	}
	return false, nil
}

func (s *segment) writeWaits(ctx context.Context, q dbtx.Querier, waits []wait, settled bool) error {
	r := &s.state.Run
	var events []core.StoredEvent
	for _, w := range waits {
		if w.old {
			continue
		}
		if err := s.o.Journal.PutStep(ctx, q, w.step, r.Segment); err != nil {
			return err
		}
		if w.approval != nil {
			if err := s.o.Journal.AddApproval(ctx, q, *w.approval); err != nil {
				return err
			}
			events = append(events, core.StoredEvent{Type: core.EventApprovalRequested, Ref: w.approval.ID})
		}
		if w.child != nil {
			if err := s.o.insertRun(ctx, q, *w.child, w.agent, w.messages); err != nil {
				return err
			}
		}
	}
	r.Status, r.WaitReason, r.WaitDetail = core.RunRunning, "", ""
	if !settled {
		r.Status, r.WaitReason, r.WaitDetail = core.RunWaiting, waits[0].reason, waits[0].detail
		events = append(events, core.StoredEvent{Type: core.EventRunWaiting})
	}
	_, err := s.o.saveWithEvents(ctx, q, r, events)
	return err
}

// askPerson makes the question that parks a call.
func (s *segment) askPerson(st core.Step, arguments json.RawMessage, reason core.ApprovalReason) wait {
	now := s.o.Now()
	st.Status = core.StepWaiting
	a := core.Approval{
		ID: newID(), Run: st.Run, Step: st.Index, Agent: s.state.Run.Agent, Tool: st.Name, Effect: st.Effect, Arguments: arguments,
		Reason: reason, Status: core.ApprovalPending, Queue: s.state.Definition.Queue, CreatedAt: now, ExpiresAt: now.Add(s.o.cfg.ApprovalExpiry),
	}
	return describe(wait{step: st, approval: &a}, a)
}

func describe(w wait, a core.Approval) wait {
	switch a.Reason {
	case core.ReasonQuestion:
		w.reason, w.detail = core.WaitQuestion, question(a.Arguments)
	case core.ReasonInterrupted:
		w.reason, w.detail = core.WaitApproval, fmt.Sprintf("%s was interrupted while it was being called; it may have had its effect", a.Tool)
	case core.ReasonFlow:
		w.reason, w.detail = core.WaitApproval, fmt.Sprintf("%s sends data out, and the run has read private data and what strangers wrote", a.Tool)
	default:
		w.reason, w.detail = core.WaitApproval, fmt.Sprintf("%s needs approval", a.Tool)
	}
	return w
}

// question is what an agent wants to know of the user.
func question(arguments json.RawMessage) string {
	var q struct {
		Question string `json:"question"`
	}
	if json.Unmarshal(arguments, &q) != nil {
		return ""
	}
	return strings.TrimSpace(core.CleanText(q.Question))
}

// lesser is a sub-run's limit: its own, or its share of what is left of its parent's. Zero means no limit.
func lesser(own, parent, used int64, among int) int64 {
	if parent == 0 {
		return own
	}
	left := max(1, (parent-used)/int64(max(1, among)))
	if own == 0 {
		return left
	}
	return min(own, left)
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
