package backend

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// runHeader tells the client which run its answer comes from.
const runHeader = "X-SutazAI-Run"

// agent runs an agent durably: it goes on when the client leaves, and is found under its id.
func (c *Chats) agent(ctx context.Context, name string, call *dialect.Call, out dialect.Answer) error {
	if _, err := c.Agents.Agent(name); err != nil {
		return &dialect.UnknownModel{Err: err}
	}
	req, err := call.Decode(call.Body.Bytes)
	if err != nil {
		return err
	}
	if err := agentTakes(req); err != nil {
		return err
	}
	last := len(req.Messages) - 1
	run, _, err := c.Runs.Start(ctx, core.StartRun{
		Agent: name, Input: req.Messages[last].Text, History: req.Messages[:last], Metadata: call.Metadata, Actor: call.Caller.Actor,
		IdempotencyKey: call.IdempotencyKey,
	})
	if err != nil {
		return err
	}
	out.Header(runHeader, run.ID)
	f := follower{c: c, stream: call.Stream, out: out}
	if err := f.follow(ctx, run.ID); err != nil {
		return err
	}
	return out.Done(f.response(ctx))
}

// agentTakes says what of a model's call means nothing to an agent, before anything is begun.
func agentTakes(req core.ModelRequest) error {
	wrong := func(field, format string, args ...any) error {
		e := core.Errorf(core.CodeInvalid, format, args...)
		e.Fields = []core.FieldError{{Field: field, Message: e.Message}}
		return e
	}
	switch {
	case len(req.Messages) == 0 || req.Messages[len(req.Messages)-1].Role != core.RoleUser:
		return wrong("messages", "the last message must have the role \"user\": it is the agent's task")
	case len(req.Tools) > 0:
		return wrong("tools", "an agent uses the tools of its own file; send no tools with the model %q", req.Model)
	case len(req.Schema) > 0 || req.JSONObject:
		return wrong("response_format", "the form of an agent's answer stands in its own file; ask for none with the model %q", req.Model)
	}
	for _, m := range req.Messages {
		for _, p := range m.Parts {
			if p.Kind != core.PartText && p.Kind != core.PartReasoning {
				return wrong("messages", "an agent takes text; attach an %s to its run instead (POST /api/v1/runs with files)", p.Kind)
			}
		}
	}
	return nil
}

// follower waits for a run on behalf of one client.
type follower struct {
	c      *Chats
	stream bool
	out    dialect.Answer

	run     core.Run
	waiting bool // for a person
	done    bool
	text    agentText
}

// follow returns when the run has ended, waits for a person, or cannot be followed any longer.
func (f *follower) follow(ctx context.Context, run string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	draining := make(chan struct{})
	go func() { // ends with ctx: the events below end with it too
		defer close(draining)
		select {
		case <-Draining(ctx):
			cancel(core.Errorf(core.CodeUnavailable, "the server stops; the run %s goes on after it has started again", run))
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(nil); <-draining }()
	for e, err := range f.c.Runs.Events(ctx, run, 0) {
		if err == nil {
			err = f.see(e)
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
		if f.done {
			return nil
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return core.Errorf(core.CodeUnavailable, "the events of run %s broke off; the run goes on, ask for it under that id", run)
}

// see passes on what an event says and takes note of one that ends the waiting.
func (f *follower) see(e core.Event) error {
	if f.stream {
		piece := ""
		switch {
		case e.Delta != nil:
			piece = f.text.delta(*e.Delta)
		case e.Message != nil && e.Message.Role == core.RoleAssistant:
			piece = f.text.whole(e.Message.Index, e.Message.Text)
		}
		if piece != "" {
			if err := f.out.Delta(core.Delta{Attempt: 1, Text: piece}); err != nil {
				return err
			}
		}
	}
	if e.RunData == nil {
		return nil
	}
	f.run = *e.RunData
	switch {
	case e.Type == core.EventRunSucceeded:
		f.done = true
	case e.Type == core.EventRunFailed && f.run.Error != nil:
		return core.Errorf(f.run.Error.Code, "%s (run %s)", f.run.Error.Message, f.run.ID)
	case e.Type == core.EventRunFailed:
		return core.Errorf(core.CodeInternal, "the run %s failed", f.run.ID)
	case e.Type == core.EventRunCancelled:
		return core.Errorf(core.CodeCancelled, "the run %s was cancelled", f.run.ID)
	case e.Type == core.EventRunWaiting && (f.run.WaitReason == core.WaitApproval || f.run.WaitReason == core.WaitQuestion):
		f.done, f.waiting = true, true
	}
	return nil
}

// response is the whole answer. What was streamed is its beginning.
func (f *follower) response(ctx context.Context) core.ModelResponse {
	text := f.run.Output
	if f.waiting {
		text = f.waitingText(ctx)
	}
	if f.stream && f.text.all != "" {
		if f.waiting {
			text = f.text.all + "\n\n" + text
		} else {
			text = f.text.all
		}
	}
	return core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: text}, Finish: core.FinishStop, Usage: f.run.Usage, Model: AgentPrefix + f.run.Agent,
	}
}

// waitingText is what an agent that waits for a person says to a client that knows no such thing.
func (f *follower) waitingText(ctx context.Context) string {
	link := strings.TrimSuffix(f.c.PublicURL(), "/") + "/runs/" + f.run.ID
	pending, err := f.c.Runs.Approvals(ctx, core.ApprovalPending, f.run.ID)
	if err != nil {
		f.c.Logger.Warn("approvals of a waiting run not read", "run", f.run.ID, "error", err)
	}
	var b strings.Builder
	if f.run.WaitReason == core.WaitQuestion {
		b.WriteString("The agent asks a question")
	} else {
		b.WriteString("The agent waits for approval")
	}
	if f.run.WaitDetail != "" {
		b.WriteString(": " + f.run.WaitDetail)
	}
	for _, a := range pending {
		if a.Reason != core.ReasonQuestion {
			fmt.Fprintf(&b, "\n- approval %s: %s %s", a.ID, a.Tool, a.Arguments)
		}
	}
	fmt.Fprintf(&b, "\n\nRun %s continues by itself once that is done: %s", f.run.ID, link)
	return b.String()
}

// agentText turns the deltas of a run, whose text may be cut back and written anew, into a text that only grows.
type agentText struct {
	message int
	open    bool
	current []uint16 // of the message being written, in the units in which offsets count
	sent    string   // of the message being written
	all     string   // everything
}

func (t *agentText) delta(d core.DeltaData) string {
	t.begin(d.Message)
	if d.Offset < len(t.current) {
		t.current = t.current[:max(0, d.Offset)]
	}
	t.current = append(t.current, utf16.Encode([]rune(d.Text))...)
	text := string(utf16.Decode(t.current))
	piece, ok := strings.CutPrefix(text, t.sent)
	if !ok || strings.HasSuffix(piece, "\uFFFD") {
		return "" // written anew, or half a character: the whole message settles it
	}
	return t.grow(piece)
}

// whole settles a message. Where it is not what was sent, it follows once more as a whole.
func (t *agentText) whole(message int, text string) string {
	if text == "" {
		return ""
	}
	t.begin(message)
	piece, ok := strings.CutPrefix(text, t.sent)
	if !ok {
		t.sent = ""
		piece = "\n\n(The answer was interrupted; here it is in full.)\n\n" + text
	}
	piece = t.grow(piece)
	t.open = false
	return piece
}

func (t *agentText) begin(message int) {
	if t.open && t.message == message {
		return
	}
	t.message, t.open, t.current, t.sent = message, true, nil, ""
}

func (t *agentText) grow(piece string) string {
	if piece == "" {
		return ""
	}
	if t.sent == "" && t.all != "" && !strings.HasPrefix(piece, "\n\n") {
		t.sent += piece
		piece = "\n\n" + piece
	} else {
		t.sent += piece
	}
	t.all += piece
	return piece
}
