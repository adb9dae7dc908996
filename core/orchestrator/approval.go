package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
	"github.com/sutazai/sutazai/internal/schema"
)

// Approvals lists questions to people, oldest first. An empty status or run means any.
func (o *Orchestrator) Approvals(ctx context.Context, status core.ApprovalStatus, run string) ([]core.Approval, error) {
	return o.Journal.Approvals(ctx, o.Database.Querier(), status, run, 1000)
}

// Approval returns one of them.
func (o *Orchestrator) Approval(ctx context.Context, id string) (core.Approval, error) {
	return o.Journal.Approval(ctx, o.Database.Querier(), id)
}

// Decide records a person's decision, once, and lets the run go on.
func (o *Orchestrator) Decide(ctx context.Context, id string, v core.Verdict) (core.Approval, error) {
	a, err := o.Approval(ctx, id)
	if err != nil {
		return a, err
	}
	if a.Status != core.ApprovalPending {
		return a, decidedAlready(a)
	}
	a.DecidedBy, a.Comment = v.Actor, core.CleanText(v.Comment)
	question := a.Reason == core.ReasonQuestion
	switch v.Decision {
	case core.DecideDeny:
		a.Status = core.ApprovalDenied
	case core.DecideDone:
		if v.Result == "" && question {
			return a, field("result", "the answer is empty; give it as result")
		}
		a.Status, a.Result = core.ApprovalDone, core.CleanText(v.Result)
	case core.DecideApprove, core.DecideRetry:
		if question {
			return a, field("decision", "the agent asks a question; answer it with decision done and the answer as result")
		}
		a.Status = core.ApprovalApproved
	case core.DecideEdit:
		var object map[string]any
		if question || json.Unmarshal(v.Arguments, &object) != nil || object == nil {
			return a, field("arguments", "to edit a call, give its new arguments as a JSON object")
		}
		if err := o.checkEdit(a, v.Arguments); err != nil {
			return a, err
		}
		a.Status, a.Arguments = core.ApprovalApproved, v.Arguments
	default:
		return a, field("decision", "must be approve, deny, edit, done or retry")
	}
	return o.settle(ctx, a)
}

// checkEdit holds edited arguments to the tool's schema, while the person can still mend them.
func (o *Orchestrator) checkEdit(a core.Approval, arguments json.RawMessage) error {
	spec, ok := o.Tools.Spec(a.Tool)
	if !ok {
		return nil // a tool that is gone says so when it is called
	}
	s, err := schema.Compile(spec.Parameters)
	if err != nil {
		return fmt.Errorf("schema of tool %s: %w", a.Tool, err)
	}
	value, err := schema.Decode(arguments)
	if err != nil {
		return field("arguments", "the arguments are not JSON")
	}
	if err := s.Validate(value); err != nil {
		return field("arguments", schema.Explain(err))
	}
	return nil
}

func field(name, message string) error {
	return &core.Error{Code: core.CodeInvalid, Message: message, Fields: []core.FieldError{{Field: name, Message: message}}}
}

func decidedAlready(a core.Approval) error {
	if a.Status == core.ApprovalExpired || a.Status == core.ApprovalCancelled {
		return core.Errorf(core.CodeConflict, "the approval is %s; it can no longer be decided", a.Status)
	}
	return core.Errorf(core.CodeConflict, "%s has decided already: %s", a.DecidedBy, a.Status)
}

// settle moves a pending approval to the status that a has, and lets its run go on, in one transaction.
func (o *Orchestrator) settle(ctx context.Context, a core.Approval) (core.Approval, error) {
	now := o.Now()
	a.DecidedAt = &now
	_, err := o.update(ctx, a.Run, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		if a.Status != core.ApprovalExpired && now.After(a.ExpiresAt) {
			return core.Errorf(core.CodeConflict, "the approval has expired; it can no longer be decided")
		}
		ok, err := o.Journal.DecideApproval(ctx, q, a)
		if err != nil {
			return err
		}
		if !ok {
			current, err := o.Journal.Approval(ctx, q, a.ID)
			if err != nil {
				return err
			}
			return decidedAlready(current)
		}
		if r.Status == core.RunWaiting {
			r.Status, r.WaitReason, r.WaitDetail, r.WakeAt = core.RunQueued, "", "", nil
			r.Segment++
		}
		_, err = o.saveWithEvents(ctx, q, r, []core.StoredEvent{{Type: core.EventApprovalDecided, Ref: a.ID}})
		return err
	})
	return a, err
}
