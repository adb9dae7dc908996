package orchestrator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const maxInput = 1 << 20 // bytes of a task

// Start records a run; it is acknowledged once it is durable, and executed as soon as there is room. A second start of
// the same actor with the same idempotency key and request returns the first run.
func (o *Orchestrator) Start(ctx context.Context, in core.StartRun) (run core.Run, existed bool, err error) {
	if strings.TrimSpace(in.Input) == "" {
		return run, false, &core.Error{Code: core.CodeInvalid, Message: "the task is empty; say what the agent should do", Fields: []core.FieldError{{Field: "input", Message: "must not be empty"}}}
	}
	if len(in.Input) > maxInput {
		return run, false, core.Errorf(core.CodeTooLarge, "the task has %d bytes, at most %d are allowed; attach long input as a file", len(in.Input), maxInput)
	}
	in.Input = core.CleanText(in.Input)
	hash, err := requestHash(in)
	if err != nil {
		return run, false, err
	}
	if in.IdempotencyKey != "" {
		if r, ok, err := o.sameRequest(ctx, in, hash); ok || err != nil {
			return r, ok, err
		}
	}
	agent, err := o.Agents.Agent(in.Agent)
	if err != nil {
		return run, false, err
	}
	if err := o.checkModel(agent); err != nil {
		return run, false, err
	}
	r := core.RunRecord{
		Run: core.Run{
			ID: newID(), Agent: agent.Name, AgentVersion: agent.Version, Status: core.RunQueued, CreatedAt: o.Now().UTC().Truncate(time.Millisecond), // as it is stored

			Metadata: in.Metadata, Limits: in.Limits.Or(agent.Limits).Or(o.Limits()), CreatedBy: in.Actor,
		},
		Segment: 1, IdempotencyKey: in.IdempotencyKey, RequestHash: hash,
		Messages: len(in.History) + 1, InputMessage: len(in.History),
	}
	r.Root = r.ID
	for _, f := range in.Files {
		r.Files = append(r.Files, f.Name)
	}
	if len(in.Files) > 0 {
		if err := o.Tools.Attach(r.Root, in.Files); err != nil {
			return run, false, err
		}
	}
	messages := append(in.History[:len(in.History):len(in.History)], core.Message{Role: core.RoleUser, Text: in.Input})
	for i := range messages {
		messages[i].CreatedAt = r.CreatedAt
	}
	err = o.Database.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		return o.insertRun(ctx, q, r, agent, messages)
	})
	if err != nil && len(in.Files) > 0 {
		if e := o.Tools.Remove(r.Root); e != nil {
			o.Log.Warn("files of a run that could not be recorded stay behind", "workspace", r.Root, "error", e)
		}
	}
	if err != nil && in.IdempotencyKey != "" {
		// Two at once with one key: the database lets one in, the other one gets its run.
		if r, ok, e := o.sameRequest(ctx, in, hash); ok || e != nil {
			return r, ok, e
		}
	}
	if err != nil {
		return run, false, fmt.Errorf("record the run: %w", err)
	}
	o.nudge()
	r.Input = in.Input
	return shown(r), false, nil
}

// checkModel says whether the agent's model is there, if it needs one.
func (o *Orchestrator) checkModel(a core.Agent) error {
	if kind := a.KindOf(); kind != core.AgentLLM && kind != core.AgentTeam {
		return nil
	}
	return o.Models.Check(a.Model)
}

func (o *Orchestrator) insertRun(ctx context.Context, q dbtx.Querier, r core.RunRecord, agent core.Agent, messages []core.Message) error {
	if err := o.Journal.PutAgentVersion(ctx, q, agent, r.CreatedAt); err != nil {
		return err
	}
	if err := o.Journal.Insert(ctx, q, r); err != nil {
		return err
	}
	for i, m := range messages {
		m.Index, m.Text = i, core.CleanText(m.Text)
		if err := o.Journal.AddMessage(ctx, q, r.ID, m); err != nil {
			return err
		}
	}
	return nil
}

func (o *Orchestrator) sameRequest(ctx context.Context, in core.StartRun, hash string) (core.Run, bool, error) {
	r, ok, err := o.Journal.ByIdempotencyKey(ctx, o.Database.Querier(), in.Actor, in.IdempotencyKey)
	if err != nil || !ok {
		return core.Run{}, false, err
	}
	if r.RequestHash != hash {
		return core.Run{}, false, core.Errorf(core.CodeConflict, "the idempotency key %q was used for another request (run %s); use a new key", in.IdempotencyKey, r.ID)
	}
	return shown(r), true, nil
}

func requestHash(in core.StartRun) (string, error) {
	in.IdempotencyKey = ""
	b, err := json.Marshal(in)
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// Message gives a run another message of the user: the answer to its question, or the next turn of a conversation
// that has come to an end.
func (o *Orchestrator) Message(ctx context.Context, id, text, actor string) (core.Run, error) {
	if strings.TrimSpace(text) == "" {
		return core.Run{}, &core.Error{Code: core.CodeInvalid, Message: "the message is empty", Fields: []core.FieldError{{Field: "text", Message: "must not be empty"}}}
	}
	if len(text) > maxInput {
		return core.Run{}, core.Errorf(core.CodeTooLarge, "the message has %d bytes, at most %d are allowed", len(text), maxInput)
	}
	text = core.CleanText(text)
	r, err := o.Journal.Get(ctx, o.Database.Querier(), id)
	if err != nil {
		return core.Run{}, err
	}
	if r.Status == core.RunWaiting {
		open, err := o.Journal.Approvals(ctx, o.Database.Querier(), core.ApprovalPending, id, 100)
		if err != nil {
			return core.Run{}, err
		}
		for _, a := range open {
			if a.Reason == core.ReasonQuestion {
				if _, err := o.Decide(ctx, a.ID, core.Verdict{Decision: core.DecideDone, Result: text, Actor: actor}); err != nil {
					return core.Run{}, err
				}
				return o.Run(ctx, id)
			}
		}
	}
	changed, err := o.update(ctx, id, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		if !r.Status.Final() {
			return core.Errorf(core.CodeConflict, "the run is %s; wait for its end, or cancel it, before you go on with the conversation", r.Status)
		}
		if r.Parent != "" {
			return core.Errorf(core.CodeConflict, "the run works for run %s; talk to that one", r.Parent)
		}
		events, err := o.answerOpenCalls(ctx, q, r)
		if err != nil {
			return err
		}
		r.Turn = core.TurnBase{Message: r.Messages, Steps: r.Steps, Tokens: r.Usage.Tokens(), CostMicroUSD: r.Usage.CostMicroUSD, ActiveMS: r.ActiveMS}
		events = append(events, core.StoredEvent{Type: core.EventMessageCompleted, Ref: fmt.Sprint(r.Messages)})
		if err := o.Journal.AddMessage(ctx, q, id, core.Message{Index: r.Messages, Role: core.RoleUser, Text: text, CreatedAt: o.Now()}); err != nil {
			return err
		}
		r.Messages++
		return o.reopen(ctx, q, r, events)
	})
	if err != nil {
		return core.Run{}, err
	}
	return o.Run(ctx, changed.ID)
}

// answerOpenCalls gives every call that a failed or cancelled run left without a result one that says so: models
// refuse a conversation in which a call has none.
func (o *Orchestrator) answerOpenCalls(ctx context.Context, q dbtx.Querier, r *core.RunRecord) ([]core.StoredEvent, error) {
	open, _, err := o.openCalls(ctx, q, r.ID)
	if err != nil {
		return nil, err
	}
	var events []core.StoredEvent
	for _, st := range open {
		text := "the call was not made: the run had ended"
		if st.Error != "" {
			text = st.Error
		}
		m := core.Message{Index: r.Messages, Role: core.RoleTool, Text: text, IsError: true, ToolCallID: st.CallID, CreatedAt: o.Now()}
		if err := o.Journal.AddMessage(ctx, q, r.ID, m); err != nil {
			return nil, err
		}
		r.Messages++
		events = append(events, core.StoredEvent{Type: core.EventMessageCompleted, Ref: fmt.Sprint(m.Index)})
	}
	return events, nil
}

// openCalls lists the steps of tool calls that have no tool message.
func (o *Orchestrator) openCalls(ctx context.Context, q dbtx.Querier, id string) (open, all []core.Step, err error) {
	messages, err := o.Journal.Messages(ctx, q, id, 0)
	if err != nil {
		return nil, nil, err
	}
	all, err = o.Journal.Steps(ctx, q, id)
	if err != nil {
		return nil, nil, err
	}
	answered := map[string]bool{}
	for _, m := range slices.Backward(messages) {
		if m.Role == core.RoleTool {
			answered[m.ToolCallID] = true
		}
		if len(m.ToolCalls) == 0 {
			continue
		}
		asked := messageRef(m.Index) + "#"
		for _, st := range all {
			if strings.HasPrefix(st.InputRef, asked) && !answered[st.CallID] {
				open = append(open, st)
			}
		}
		break // earlier calls have their results, or the conversation would not have gone on
	}
	return open, all, nil
}

// reopen queues a run that had ended.
func (o *Orchestrator) reopen(ctx context.Context, q dbtx.Querier, r *core.RunRecord, events []core.StoredEvent) error {
	r.Status, r.WaitReason, r.WaitDetail, r.WakeAt, r.OutageSince = core.RunQueued, "", "", nil, nil
	r.FinishedAt, r.OutputMessage, r.Error = nil, nil, nil
	r.Segment++
	if err := o.Journal.RequestCancel(ctx, q, r.ID, ""); err != nil {
		return err
	}
	_, err := o.saveWithEvents(ctx, q, r, events)
	return err
}

// Resume lets a failed or cancelled run go on where it stopped, with its limits counted anew, and a run that waits for
// its model try at once.
func (o *Orchestrator) Resume(ctx context.Context, id, actor string) (core.Run, error) {
	_, err := o.update(ctx, id, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		switch {
		case r.Status == core.RunWaiting && r.WaitReason == core.WaitModel:
			return o.requeue(ctx, q, id)
		case r.Status == core.RunFailed || r.Status == core.RunCancelled:
			return o.resume(ctx, q, r)
		case r.Status == core.RunSucceeded:
			return core.Errorf(core.CodeConflict, "the run has succeeded; there is nothing to resume. To go on with the conversation, send it a message")
		}
		return core.Errorf(core.CodeConflict, "the run is %s already", r.Status)
	})
	if err != nil {
		return core.Run{}, err
	}
	return o.Run(ctx, id)
}

// resume queues a failed or cancelled run, and with it the sub-runs on whose answer it waited.
func (o *Orchestrator) resume(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
	open, all, err := o.openCalls(ctx, q, r.ID)
	if err != nil {
		return err
	}
	for _, st := range open {
		switch {
		case st.ChildRun != "":
			st.Status = core.StepWaiting // for the answer that is there, or that the sub-run goes on to give
			if err := o.resumeChild(ctx, q, st.ChildRun); err != nil {
				return err
			}
		case st.Effect == core.EffectUnsafe && st.Status == core.StepFailed:
			// It failed without a result: the run ended while it was being made. A person will be asked.
			st.Status = core.StepRunning
		default:
			st.Status = core.StepPending
		}
		st.FinishedAt, st.Error = nil, ""
		if err := o.Journal.PutStep(ctx, q, st, r.Segment); err != nil {
			return err
		}
	}
	if err := o.resumeTurn(ctx, q, all, r.Segment); err != nil {
		return err
	}
	r.Turn = core.TurnBase{Message: r.Turn.Message, Steps: r.Steps, Tokens: r.Usage.Tokens(), CostMicroUSD: r.Usage.CostMicroUSD, ActiveMS: r.ActiveMS}
	return o.reopen(ctx, q, r, nil)
}

// resumeTurn lets a peer's turn that was cut off be taken up, not made a second time.
func (o *Orchestrator) resumeTurn(ctx context.Context, q dbtx.Querier, all []core.Step, segment int) error {
	if len(all) == 0 {
		return nil
	}
	st := all[len(all)-1]
	if st.Kind != core.StepPeer || st.Status != core.StepFailed && st.Status != core.StepCancelled || st.Error != "" && st.Error != unknownOutcome || len(st.Attempts) == 0 {
		return nil
	}
	st.Status, st.FinishedAt, st.Error = core.StepRunning, nil, ""
	return o.Journal.PutStep(ctx, q, st, segment)
}

func (o *Orchestrator) resumeChild(ctx context.Context, q dbtx.Querier, id string) error {
	child, err := o.Journal.Lock(ctx, q, id)
	if err != nil || child.Status != core.RunFailed && child.Status != core.RunCancelled {
		return err
	}
	return o.resume(ctx, q, &child)
}

// Cancel stops a run: at once, the call in flight included, when it is executed here; before its next step elsewhere.
// Its sub-runs are cancelled too. Cancelling a run that has ended is a conflict.
func (o *Orchestrator) Cancel(ctx context.Context, id, actor string) (core.Run, error) {
	_, err := o.update(ctx, id, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		if r.Status.Final() {
			return core.Errorf(core.CodeConflict, "the run has ended already: %s", r.Status)
		}
		if r.Status == core.RunRunning {
			return o.Journal.RequestCancel(ctx, q, id, actor)
		}
		return o.end(ctx, q, r, ending{status: core.RunCancelled, cause: core.Errorf(core.CodeCancelled, "%s", cancelledBy(actor).Error())}, nil)
	})
	if err != nil {
		return core.Run{}, err
	}
	o.mu.Lock()
	executing, here := o.active[id]
	o.mu.Unlock()
	if here {
		executing.cancel(cancelledBy(actor))
	}
	if err := o.cancelChildren(ctx, id); err != nil {
		return core.Run{}, err
	}
	return o.Run(ctx, id)
}

// cancelChildren cancels what works for a run that has ended.
func (o *Orchestrator) cancelChildren(ctx context.Context, id string) error {
	children, err := o.Journal.List(ctx, o.Database.Querier(), core.RunFilter{Parent: id, Limit: 1000})
	for _, c := range children {
		if c.Status.Final() {
			continue
		}
		if _, e := o.Cancel(ctx, c.ID, "run:"+id); e != nil && core.CodeOf(e) != core.CodeConflict {
			err = errors.Join(err, e)
		}
	}
	return err
}
