package backend

import (
	"context"
	"encoding/json"

	"github.com/sutazai/sutazai/core"
)

type listApprovalsInput struct {
	Status core.ApprovalStatus `query:"status" enum:"pending,approved,done,denied,expired,cancelled" doc:"All of them when left out."`
	Run    string              `query:"run" maxLength:"64"`
}

type decideInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Decision  core.Decision   `json:"decision" enum:"approve,deny,edit,done,retry" doc:"edit approves with other arguments; done gives the result instead of making the call."`
		Arguments json.RawMessage `json:"arguments,omitempty" doc:"With edit: the arguments to use, a JSON object."`
		Result    string          `json:"result,omitempty" doc:"With done: what the call is to have answered."`
		Comment   string          `json:"comment,omitempty" maxLength:"4000"`
	}
}

func (s *server) approvalRoutes() {
	const tag = "Approvals"
	op := operation(get, "/approvals", "list-approvals", tag, "List what waits, or waited, for a person")
	op.Description = "Oldest first, at most 1,000 and without further pages; narrow a longer list by status or run."
	register(s, op, func(ctx context.Context, in *listApprovalsInput) (*output[page[core.Approval]], error) {
		items, err := s.runs.Approvals(ctx, in.Status, in.Run)
		if err != nil {
			return nil, err
		}
		return listOf(each(items, tidyApproval), ""), nil
	})
	register(s, operation(get, "/approvals/{id}", "get-approval", tag, "Show an approval"), func(ctx context.Context, in *byID) (*output[core.Approval], error) {
		a, err := s.runs.Approval(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &output[core.Approval]{tidyApproval(a)}, nil
	})
	register(s, operation(post, "/approvals/{id}", "decide-approval", tag, "Decide an approval"), s.decide)
}

func (s *server) decide(ctx context.Context, in *decideInput) (*output[core.Approval], error) {
	b := in.Body
	if b.Decision == core.DecideEdit {
		var object map[string]json.RawMessage
		if json.Unmarshal(b.Arguments, &object) != nil || object == nil {
			const message = "with edit, give the arguments as a JSON object"
			return nil, &core.Error{Code: core.CodeInvalid, Message: message, Fields: []core.FieldError{{Field: "arguments", Message: message}}}
		}
	}
	a, err := s.runs.Decide(ctx, in.ID, core.Verdict{Decision: b.Decision, Arguments: b.Arguments, Result: b.Result, Comment: b.Comment, Actor: actor(ctx)})
	detail := string(b.Decision)
	if err == nil {
		detail += " " + a.Tool + " of run " + a.Run
	}
	s.recordResult(ctx, "approval.decide", in.ID, detail, err)
	if err != nil {
		return nil, err
	}
	return &output[core.Approval]{tidyApproval(a)}, nil
}
