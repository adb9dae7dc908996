package openai

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/auth"
)

// runHeader tells the client which run its answer comes from.
const runHeader = "X-SutazAI-Run"

// agent runs an agent durably: it goes on when the client leaves, and is found under its id.
func (h *handler) agent(w http.ResponseWriter, r *http.Request, q chatRequest, name string, messages []core.Message) {
	if _, err := h.Agents.Agent(name); err != nil {
		h.fail(w, r, noModel(q.Model, err))
		return
	}
	if len(q.Tools) > 0 {
		h.fail(w, r, badRequest("tools", "An agent uses the tools of its own file; send no tools with the model '%s'.", q.Model))
		return
	}
	if f := q.ResponseFormat; f != nil && f.Type != "" && f.Type != "text" {
		h.fail(w, r, badRequest("response_format", "The form of an agent's answer stands in its own file; send no response_format with the model '%s'.", q.Model))
		return
	}
	last := len(messages) - 1
	if messages[last].Role != core.RoleUser {
		h.fail(w, r, badRequest("messages", "The last message must have the role 'user': it is the agent's task."))
		return
	}
	p, _ := auth.PrincipalOf(r.Context())
	run, _, err := h.Runs.Start(r.Context(), core.StartRun{
		Agent: name, Input: messages[last].Text, History: messages[:last], Metadata: q.Metadata, Actor: p.Actor(),
		IdempotencyKey: r.Header.Get("Idempotency-Key"),
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set(runHeader, run.ID)
	if q.Stream {
		h.streamAgent(w, r, q, run.ID)
		return
	}
	out := outcome{}
	h.follow(r.Context(), run.ID, nil, func(e core.Event) error { return out.see(e) }, &out)
	if r.Context().Err() != nil {
		return // the client left; the run goes on
	}
	if out.err != nil {
		h.fail(w, r, out.err)
		return
	}
	text := out.run.Output
	if out.waiting {
		text = h.waitingText(r.Context(), out.run)
	}
	writeJSON(w, http.StatusOK, h.completion(q.Model, core.Message{Text: text}, core.FinishStop, out.run.Usage))
}

// outcome is how a run ended, as far as this client waits for it.
type outcome struct {
	run     core.Run
	waiting bool // for a person
	done    bool
	err     error
}

// see takes note of an event that ends the waiting.
func (o *outcome) see(e core.Event) error {
	if e.RunData == nil {
		return nil
	}
	o.run = *e.RunData
	switch {
	case e.Type == core.EventRunSucceeded:
		o.done = true
	case e.Type == core.EventRunFailed || e.Type == core.EventRunCancelled:
		o.done = true
		o.err = core.Errorf(core.CodeInternal, "the run %s failed", e.RunData.ID)
		if re := e.RunData.Error; re != nil {
			o.err = core.Errorf(re.Code, "%s (run %s)", re.Message, e.RunData.ID)
		} else if e.Type == core.EventRunCancelled {
			o.err = core.Errorf(core.CodeCancelled, "the run %s was cancelled", e.RunData.ID)
		}
	case e.Type == core.EventRunWaiting && (o.run.WaitReason == core.WaitApproval || o.run.WaitReason == core.WaitQuestion):
		o.done, o.waiting = true, true
	}
	return nil
}

// follow calls on for every event until out is done, the client leaves or the server stops; and idle now and then in
// between.
func (h *handler) follow(ctx context.Context, run string, idle func() error, on func(core.Event) error, out *outcome) {
	type item struct {
		e   core.Event
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	items, closed := make(chan item), make(chan struct{})
	go func() {
		defer close(closed)
		defer close(items)
		for e, err := range h.Runs.Events(ctx, run, 0) {
			select {
			case items <- item{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-closed }()
	tick := h.newTicker()
	defer tick.Stop()
	for !out.done {
		var err error
		select {
		case it, ok := <-items:
			switch {
			case !ok:
				err = core.Errorf(core.CodeUnavailable, "the events of run %s broke off; the run goes on, ask for it under that id", run)
			case it.err != nil:
				err = it.err
			default:
				err = on(it.e)
			}
		case <-tick.C:
			if idle != nil {
				err = idle()
			}
		case <-backend.Draining(ctx):
			err = core.Errorf(core.CodeUnavailable, "the server stops; the run %s goes on after it has started again", run)
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			out.done, out.err = true, err
		}
	}
}

func (h *handler) streamAgent(w http.ResponseWriter, r *http.Request, q chatRequest, run string) {
	s := h.newStream(w, q)
	out := outcome{}
	texts := agentText{}
	h.follow(r.Context(), run, s.keepAlive, func(e core.Event) error {
		piece := ""
		switch {
		case e.Delta != nil:
			piece = texts.delta(*e.Delta)
		case e.Message != nil && e.Message.Role == core.RoleAssistant:
			piece = texts.whole(e.Message.Index, e.Message.Text)
		}
		if piece != "" {
			if err := s.text(piece); err != nil {
				return err
			}
		}
		return out.see(e)
	}, &out)
	if r.Context().Err() != nil {
		return
	}
	if out.err != nil {
		s.fail(r, h, out.err)
		return
	}
	last := ""
	if out.waiting {
		last = h.waitingText(r.Context(), out.run)
	} else if texts.all == "" {
		last = out.run.Output
	}
	if last != "" {
		if texts.all != "" {
			last = "\n\n" + last
		}
		if s.text(last) != nil {
			return
		}
	}
	s.end(core.FinishStop, out.run.Usage)
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

// waitingText is what an agent that waits for a person says to a client that knows no such thing.
func (h *handler) waitingText(ctx context.Context, run core.Run) string {
	link := strings.TrimSuffix(h.PublicURL(), "/") + "/runs/" + run.ID
	pending, err := h.Runs.Approvals(ctx, core.ApprovalPending, run.ID)
	if err != nil {
		h.Logger.Warn("approvals of a waiting run not read", "run", run.ID, "error", err)
	}
	var b strings.Builder
	if run.WaitReason == core.WaitQuestion {
		b.WriteString("The agent asks a question")
	} else {
		b.WriteString("The agent waits for approval")
	}
	if run.WaitDetail != "" {
		b.WriteString(": " + run.WaitDetail)
	}
	for _, a := range pending {
		if a.Reason != core.ReasonQuestion {
			fmt.Fprintf(&b, "\n- approval %s: %s %s", a.ID, a.Tool, a.Arguments)
		}
	}
	fmt.Fprintf(&b, "\n\nRun %s continues by itself once that is done: %s", run.ID, link)
	return b.String()
}
