package acp

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// maxResult is how much of a tool's result the client is shown, in bytes.
const maxResult = 4 << 10

// telling tells the client what happens to a run during one turn.
type telling struct {
	*session
	ctx    context.Context //nolint:containedctx // of what is sent: it outlives a stop
	asking sync.WaitGroup  // requests for permission, and what follows sub-runs
}

// follow reads the run's events to the end of the turn.
func (t *telling) follow(ctx context.Context) (acp.PromptResponse, error) {
	asking, leave := context.WithCancel(ctx)
	defer leave() // the turn's end ends the questions too
	for ev, err := range t.server.opts.Runs.Events(ctx, t.run, t.after) {
		if err != nil {
			return acp.PromptResponse{}, err
		}
		t.after = max(t.after, ev.N)
		over, end, err := t.event(asking, ev)
		if over || err != nil {
			return end, err
		}
	}
	if ctx.Err() != nil {
		return acp.PromptResponse{}, ctx.Err()
	}
	run, err := t.server.opts.Runs.Run(ctx, t.run)
	if err != nil {
		return acp.PromptResponse{}, err
	}
	return t.ended(ctx, run)
}

// event tells one event. over: the turn has ended.
func (t *telling) event(ctx context.Context, ev core.Event) (over bool, end acp.PromptResponse, err error) {
	switch ev.Type {
	case core.EventMessageDelta:
		if ev.Delta.Message >= t.told {
			t.say(t.part.apply(*ev.Delta))
		}
	case core.EventMessageCompleted:
		t.message(*ev.Message)
	case core.EventStepStarted:
		t.step(ctx, *ev.Step)
	case core.EventStepCompleted:
		t.mu.Lock()
		_, known := t.started[ev.Step.ID]
		t.mu.Unlock()
		if known {
			t.stepEnded(t.ctx, *ev.Step)
		}
	case core.EventApprovalRequested:
		t.approval(ctx, *ev.Approval)
	case core.EventRunWaiting:
		return t.waiting(ctx)
	case core.EventRunSucceeded, core.EventRunFailed, core.EventRunCancelled:
		run, err := t.server.opts.Runs.Run(ctx, t.run)
		if err != nil || !run.Status.Final() { // it was continued since
			return false, end, err
		}
		end, err = t.ended(ctx, run)
		return true, end, err
	}
	return false, end, nil
}

// say passes on text of the agent. void: what was passed on before is not part of it any more.
func (t *telling) say(text string, void bool) {
	if void {
		text = "\n\n(The text above is void: the step was tried again.)\n\n" + text
	}
	if text != "" {
		t.chunk(t.ctx, acp.AgentChunk, text)
	}
}

func (t *telling) message(m core.Message) {
	t.mu.Lock()
	if t.calls == nil {
		t.calls = map[string]core.ToolCall{}
	}
	for _, call := range m.ToolCalls {
		t.calls[call.ID] = call
	}
	known := m.Index < t.told
	t.told = max(t.told, m.Index+1)
	t.mu.Unlock()
	if known {
		return
	}
	switch m.Role {
	case core.RoleAssistant:
		t.say(t.part.complete(m))
	case core.RoleTool:
		t.result(m)
	}
}

// step tells that a tool or another agent is at work, and follows what a sub-run asks.
func (t *telling) step(ctx context.Context, st core.Step) {
	if st.Kind == core.StepModel {
		t.part.restart()
		return
	}
	if !t.stepStarted(t.ctx, st) {
		return
	}
	if st.ChildRun != "" {
		t.asking.Go(func() { t.child(ctx, st.ChildRun) })
	}
}

// child tells what a sub-run asks; the rest of it is its parent's to tell.
func (t *telling) child(ctx context.Context, run string) {
	for ev, err := range t.server.opts.Runs.Events(ctx, run, 0) {
		if err != nil {
			return // the parent's own events tell how it ends
		}
		switch ev.Type {
		case core.EventApprovalRequested:
			t.approval(ctx, *ev.Approval)
		case core.EventStepStarted:
			if ev.Step.ChildRun != "" {
				t.asking.Go(func() { t.child(ctx, ev.Step.ChildRun) })
			}
		}
	}
}

// toolUpdate is a tool_call or tool_call_update as it is sent.
type toolUpdate struct {
	Kind     string          `json:"sessionUpdate"`
	ID       string          `json:"toolCallId"`
	Title    string          `json:"title,omitempty"`
	ToolKind string          `json:"kind,omitempty"`
	Status   string          `json:"status,omitempty"`
	RawInput json.RawMessage `json:"rawInput,omitempty"`
	Content  []toolContent   `json:"content,omitempty"`
}

type toolContent struct {
	Type    string           `json:"type"`
	Content acp.ContentBlock `json:"content"`
}

// stepStarted tells of a step once; false: it was told before.
func (c *session) stepStarted(ctx context.Context, st core.Step) bool {
	c.mu.Lock()
	if c.started == nil {
		c.started = map[string]string{}
	}
	_, before := c.started[st.ID]
	c.started[st.ID] = st.CallID
	arguments := c.calls[st.CallID].Arguments
	c.mu.Unlock()
	if before {
		return false
	}
	if len(st.Arguments) > 0 { // a person edited them
		arguments = st.Arguments
	}
	c.update(ctx, toolUpdate{Kind: acp.ToolCallNew, ID: st.ID, Title: title(st.Name, arguments), ToolKind: kindOf(st.Name), Status: "in_progress", RawInput: object(arguments)})
	return true
}

func (c *session) stepEnded(ctx context.Context, st core.Step) {
	status := "completed"
	if st.Status != core.StepSucceeded {
		status = "failed"
	}
	u := toolUpdate{Kind: acp.ToolCallUpdate, ID: st.ID, Status: status}
	if st.Error != "" {
		u.Content = []toolContent{{"content", acp.TextBlock(st.Error)}}
	}
	c.update(ctx, u)
}

// result shows the beginning of what a tool gave.
func (t *telling) result(m core.Message) {
	t.mu.Lock()
	var step string
	for id, call := range t.started {
		if call == m.ToolCallID {
			step = id
		}
	}
	t.mu.Unlock()
	if step == "" || m.Text == "" {
		return
	}
	text := m.Text
	if len(text) > maxResult {
		text = strings.ToValidUTF8(text[:maxResult], "") + "…"
	}
	t.update(t.ctx, toolUpdate{Kind: acp.ToolCallUpdate, ID: step, Content: []toolContent{{"content", acp.TextBlock(text)}}})
}

// waiting looks what the run waits for: a question ends the turn, everything else goes on by itself.
func (t *telling) waiting(ctx context.Context) (over bool, end acp.PromptResponse, err error) {
	run, err := t.server.opts.Runs.Run(ctx, t.run)
	if err != nil || run.Status != core.RunWaiting {
		return false, end, err
	}
	switch run.WaitReason {
	case core.WaitQuestion:
		return true, acp.PromptResponse{StopReason: acp.StopEndTurn}, nil
	case core.WaitModel:
		t.chunk(t.ctx, acp.ThoughtChunk, "Waiting: "+run.WaitDetail+"\n")
	}
	return false, end, nil
}

// ended says how the run ended, after everything that it said.
func (t *telling) ended(ctx context.Context, run core.Run) (acp.PromptResponse, error) {
	messages, err := t.server.opts.Runs.Messages(ctx, t.run)
	if err != nil {
		return acp.PromptResponse{}, err
	}
	for _, m := range messages {
		t.message(m)
	}
	end := acp.PromptResponse{StopReason: acp.StopEndTurn, Usage: &acp.Usage{InputTokens: run.Usage.InputTokens, OutputTokens: run.Usage.OutputTokens, TotalTokens: run.Usage.Tokens()}}
	switch {
	case run.Status == core.RunCancelled:
		end.StopReason = acp.StopCancelled
	case run.Status == core.RunFailed && run.Error != nil:
		switch run.Error.Code {
		case core.CodeLimit:
			end.StopReason = acp.StopMaxTurns
		case core.CodeContextFull:
			end.StopReason = acp.StopMaxTokens
		case core.CodeRefused:
			end.StopReason = acp.StopRefusal
		default:
			return end, &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: run.Error.Message, Data: map[string]any{"code": run.Error.Code, "run": run.ID}}
		}
		t.say("\n\n"+run.Error.Message, false)
	}
	return end, nil
}

// partial is the message that is being written, and how much of it was passed on. What was passed on cannot be taken back.
type partial struct {
	message, attempt int
	text             []uint16 // as the events count it
	passed           string
}

// apply takes in a delta and returns what is to be passed on next.
func (p *partial) apply(d core.DeltaData) (text string, void bool) {
	if d.Message != p.message {
		*p = partial{message: d.Message, attempt: d.Attempt}
	}
	if d.Attempt < p.attempt || d.Attempt == p.attempt && d.Offset > len(p.text) {
		return "", false // late, or a piece is missing; the completed message will bring it
	}
	if d.Attempt > p.attempt {
		p.attempt, p.text = d.Attempt, nil
	}
	p.text = append(p.text[:min(max(d.Offset, 0), len(p.text))], utf16.Encode([]rune(d.Text))...)
	return p.catchUp(string(utf16.Decode(p.text)), false)
}

// restart voids the text because its step starts again.
func (p *partial) restart() { p.text = nil }

// complete takes in the whole message.
func (p *partial) complete(m core.Message) (text string, void bool) {
	if m.Index != p.message {
		*p = partial{message: m.Index}
	}
	return p.catchUp(m.Text, true)
}

func (p *partial) catchUp(text string, whole bool) (rest string, void bool) {
	if rest, ok := strings.CutPrefix(text, p.passed); ok {
		p.passed = text
		return rest, false
	}
	if !whole && strings.HasPrefix(p.passed, text) {
		return "", false
	}
	p.passed = text
	return text, true
}
