package acp

import (
	"context"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// The options of a request for permission.
const (
	optionAllow  = "allow"
	optionReject = "reject"
)

// approval asks the client's user about a call that waits. It may be decided elsewhere first, such as in the console.
func (t *telling) approval(ctx context.Context, a core.Approval) {
	if a.Status != core.ApprovalPending {
		return
	}
	if a.Reason == core.ReasonQuestion {
		t.chunk(t.ctx, acp.AgentChunk, question(a))
		return
	}
	t.asking.Go(func() {
		decision, ok := t.ask(ctx, a)
		if !ok {
			return
		}
		err := t.server.opts.Runs.Decide(t.ctx, a.ID, core.Verdict{Decision: decision})
		if err != nil && core.CodeOf(err) != core.CodeConflict { // decided meanwhile
			t.chunk(t.ctx, acp.AgentChunk, "\n\n(The decision could not be recorded: "+core.MessageOf(err)+")\n\n")
		}
	})
}

// ask returns the user's decision; false: there is none, the approval stays open.
func (t *telling) ask(ctx context.Context, a core.Approval) (core.Decision, bool) {
	name, allow := title(a.Tool, a.Arguments), "Allow"
	switch a.Reason {
	case core.ReasonInterrupted:
		name, allow = "Was interrupted, and may have been done already: "+name, "Do it again"
	case core.ReasonFlow:
		name = "May send private data out: " + name
	}
	kind := kindOf(a.Tool)
	r := acp.PermissionRequest{
		SessionID: t.id,
		ToolCall:  acp.ToolCall{ID: a.ID, Title: &name, Kind: &kind, RawInput: object(a.Arguments)},
		Options:   []acp.PermissionOption{{ID: optionAllow, Name: allow, Kind: acp.AllowOnce}, {ID: optionReject, Name: "Reject", Kind: acp.RejectOnce}},
	}
	var answer acp.PermissionResponse
	if err := t.server.rpc.Call(ctx, acp.RequestPermission, r, &answer); err != nil {
		if ctx.Err() == nil {
			why := core.MessageOf(err)
			if e, ok := err.(*jsonrpc.Error); ok { //nolint:errorlint // Call wraps nothing
				why = e.Message
			}
			t.chunk(t.ctx, acp.AgentChunk, "\n\n(“"+name+"” waits for a decision that this client cannot give: "+why+". Decide it in the console, or with `sutazai runs approve "+a.ID+"`.)\n\n")
		}
		return "", false
	}
	switch answer.Outcome.OptionID {
	case optionAllow:
		return core.DecideApprove, answer.Outcome.Outcome == "selected"
	case optionReject:
		return core.DecideDeny, answer.Outcome.Outcome == "selected"
	}
	return "", false
}
