package a2a

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

var errTurnTime = errors.New("the time of the turn is over")

// turn is one turn under way. One goroutine works on it.
type turn struct {
	p    *Peer
	conn *connection
	call core.PeerCall
	ev   core.PeerEvents
	s    session
	sent int // messages of this turn
	got  *progress
}

// Talk implements peers.Peer.
func (p *Peer) Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.o.Timeout, errTurnTime)
	defer cancel()
	conn, err := p.connect(ctx)
	if ctx.Err() != nil {
		return core.PeerAnswer{}, p.ended(ctx)
	}
	if err != nil {
		return core.PeerAnswer{}, err
	}
	t := &turn{p: p, conn: conn, call: call, ev: events, s: parseSession(call.Session)}
	task, err := t.run(ctx)
	if ctx.Err() != nil {
		if core.CodeOf(context.Cause(ctx)) != core.CodeUnavailable { // then this server stops, and takes the turn up again
			t.stop(ctx)
		}
		err = p.ended(ctx)
	}
	if err != nil {
		return core.PeerAnswer{}, t.failed(ctx, err)
	}
	return t.answer(ctx, task)
}

// run takes the turn to where the peer has answered, failed or asks for something.
func (t *turn) run(ctx context.Context) (*a2a.Task, error) {
	var (
		task *a2a.Task
		err  error
	)
	if t.s.Turn == t.call.IdempotencyKey && (t.call.Interrupted || !t.s.Told) {
		task, err = t.resume(ctx) // its message may have been sent: it is never sent on the off chance
	} else {
		task, err = t.begin(ctx)
	}
	for range maxQuestions {
		if err != nil {
			return nil, err
		}
		asked, ok := askedApproval(task)
		if !ok {
			return task, nil
		}
		verdict, err := t.ev.Ask(ctx, asked.question())
		if err != nil {
			return nil, err
		}
		if task, err = t.send(ctx, task, verdictParts(asked, verdict)); err != nil {
			return nil, err
		}
	}
	return nil, core.Errorf(core.CodeRefused, "the peer %s asked for more than %d approvals in one turn", t.p.o.Name, maxQuestions)
}

// begin sends the turn's task, or the answer to what the peer asked.
func (t *turn) begin(ctx context.Context) (*a2a.Task, error) {
	text := t.call.Text
	var files []string
	if t.s.Context == "" && t.s.Task == "" { // a new conversation
		files = t.call.Files
		if t.call.Instructions != "" {
			text = t.call.Instructions + "\n\n" + text
		}
	}
	parts := a2a.ContentParts{a2a.NewTextPart(text)}
	for _, name := range files {
		if t.p.o.File == nil {
			return nil, core.Errorf(core.CodeRefused, "files cannot be sent to the peer %s", t.p.o.Name)
		}
		f, err := t.p.o.File(ctx, t.call.Workspace, name)
		if err != nil {
			return nil, err
		}
		part := a2a.NewRawPart(f.Content)
		part.Filename, part.MediaType = f.Name, mediaType(f.Name)
		parts = append(parts, part)
	}
	var open *a2a.Task
	if t.s.Open {
		open = &a2a.Task{ID: t.s.Task, ContextID: t.s.Context}
	}
	return t.send(ctx, open, parts)
}

// send sends a message and follows the task that it leads to. open is the task that waits for it; nil = a new one.
func (t *turn) send(ctx context.Context, open *a2a.Task, parts a2a.ContentParts) (*a2a.Task, error) {
	before := t.s
	t.sent++
	id := t.call.IdempotencyKey
	if t.sent > 1 {
		id = fmt.Sprintf("%s-%d", id, t.sent)
	}
	m := &a2a.Message{ID: id, Role: a2a.MessageRoleUser, Parts: parts, ContextID: t.s.Context}
	t.s.Turn, t.s.Message, t.s.Told = t.call.IdempotencyKey, id, false
	t.got = newProgress(t.ev.Delta)
	if open != nil {
		m.TaskID = open.ID
		if t.got.answered = t.s.Asked; open.Status.Message != nil {
			t.got.answered = open.Status.Message.ID
		}
	} else {
		t.s.Task = ""
	}
	// It is recorded first that the message may be on its way: after a crash nobody else knows.
	if err := t.record(ctx); err != nil {
		return nil, err
	}
	task, err := t.exchange(ctx, m)
	if err != nil && t.s.Task == before.Task && nothingBegun(err) {
		t.s = before
		t.got = nil
		if e := t.record(context.WithoutCancel(ctx)); e != nil {
			return nil, errors.Join(err, e)
		}
	}
	return task, err
}

func (t *turn) record(ctx context.Context) error { return t.ev.Session(ctx, t.s.String()) }

// exchange sends a message and returns the task where it has come to rest.
func (t *turn) exchange(ctx context.Context, m *a2a.Message) (*a2a.Task, error) {
	if t.conn.card.Capabilities.Streaming {
		req := &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{AcceptedOutputModes: outputModes()}}
		ctx, e := t.expect(ctx, "Event")
		err := t.follow(ctx, e, t.conn.client.SendStreamingMessage(ctx, req))
		return t.settle(ctx, err)
	}
	req := &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{AcceptedOutputModes: outputModes(), ReturnImmediately: true}}
	ctx, e := t.expect(ctx, "Sent")
	result, err := t.conn.client.SendMessage(ctx, req)
	if err != nil {
		return nil, t.p.explain(ctx, e, err)
	}
	if err := t.see(ctx, result); err != nil {
		return nil, err
	}
	return t.settle(ctx, nil)
}

func outputModes() []string {
	return []string{"text/plain", "text/markdown", "application/json", "application/octet-stream"}
}

// expect prepares a call whose answer has a form.
func (t *turn) expect(ctx context.Context, form string) (context.Context, *expectation) {
	e := &expectation{form: form, version: t.conn.version, rpc: t.conn.transport == "jsonrpc"}
	if t.conn.transport == "rest" && t.conn.version == a2acheck.V03 {
		e.form = "" // another JSON, that of the old protocol buffers: the library reads it
	}
	return context.WithValue(ctx, expectationKey{}, e), e
}

// follow reads events until the task rests or they end.
func (t *turn) follow(ctx context.Context, e *expectation, events iter.Seq2[a2a.Event, error]) error {
	n := 0
	for event, err := range events {
		if err != nil {
			return t.p.explain(ctx, e, err)
		}
		if n++; n > maxEvents {
			return core.Errorf(core.CodeInvalid, "the peer %s sent more than %d events in one turn", t.p.o.Name, maxEvents)
		}
		if err := t.see(ctx, event); err != nil {
			return err
		}
		if t.got.rests() {
			return nil
		}
	}
	return nil
}

// see takes note of an event. What tells which task it is gets recorded at once.
func (t *turn) see(ctx context.Context, event a2a.Event) error {
	if event == nil {
		return core.Errorf(core.CodeInvalid, "the peer %s does not keep to A2A: an answer is empty", t.p.o.Name)
	}
	info := event.TaskInfo()
	switch {
	case len(info.TaskID) > 255 || len(info.ContextID) > 4096:
		return core.Errorf(core.CodeInvalid, "the peer %s does not keep to A2A: taskId or contextId is too long", t.p.o.Name)
	case t.s.Task != "" && info.TaskID != "" && info.TaskID != t.s.Task && !t.s.Open:
		return core.Errorf(core.CodeInvalid, "the peer %s does not keep to A2A: taskId changes within a turn", t.p.o.Name)
	}
	if err := t.got.see(event); err != nil {
		return t.p.malformed(err)
	}
	if info.TaskID != "" && info.TaskID != t.s.Task || info.ContextID != "" && info.ContextID != t.s.Context || t.s.Open {
		if info.TaskID != "" {
			t.s.Task = info.TaskID
		}
		if info.ContextID != "" {
			t.s.Context = info.ContextID
		}
		t.s.Open = false
		return t.record(ctx)
	}
	return nil
}

// settle returns the task once it rests. Where events broke off, it subscribes again, and else looks from time to time.
func (t *turn) settle(ctx context.Context, broken error) (*a2a.Task, error) {
	if t.got.rests() {
		return t.got.task, nil
	}
	if broken != nil && (t.s.Task == "" || core.CodeOf(broken) != core.CodeUnavailable && core.CodeOf(broken) != core.CodeTimeout) {
		return nil, broken
	}
	if t.s.Task == "" {
		return nil, core.Errorf(core.CodeInvalid, "the peer %s does not keep to A2A: its stream ended with neither a task nor a message", t.p.o.Name)
	}
	if broken != nil && t.conn.card.Capabilities.Streaming {
		ctx, e := t.expect(ctx, "Event")
		// How it ends does not matter: looking tells.
		_ = t.follow(ctx, e, t.conn.client.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: t.s.Task}))
		if t.got.rests() {
			return t.got.task, nil
		}
	}
	return t.poll(ctx)
}

// patience is how long a peer may be unreachable while a task of ours is with it.
const patience = 2 * time.Minute

// deafness is how long a task may show a question after the answer to it was taken. Then it counts as asked again.
const deafness = 30 * time.Second

// poll looks at the task until it rests.
func (t *turn) poll(ctx context.Context) (*a2a.Task, error) {
	wait := t.p.o.Poll
	var gone, asking time.Duration
	for {
		task, err := t.look(ctx)
		switch {
		case err == nil:
			gone = 0
			if err := t.see(ctx, task); err != nil {
				return nil, err
			}
			if t.got.rests() {
				return t.got.task, nil
			}
			if resting(task.Status.State) { // it shows the question that has its answer
				if asking += wait; asking > deafness {
					t.got.answered = ""
				}
			}
		case ctx.Err() != nil:
			return nil, err
		case core.CodeOf(err) == core.CodeNotFound:
			return nil, core.Wrap(core.CodeConflict, errUnknown, "the peer %s no longer knows the task %s; it may or may not have had its effect", t.p.o.Name, short(string(t.s.Task), 80))
		case core.CodeOf(err) != core.CodeUnavailable && core.CodeOf(err) != core.CodeTimeout && core.CodeOf(err) != core.CodeRateLimited:
			return nil, err
		default:
			if gone += wait; gone > patience {
				return nil, err
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, t.p.ended(ctx)
		}
		wait = min(wait*3/2, 5*time.Second)
	}
}

func (t *turn) look(ctx context.Context) (*a2a.Task, error) {
	ctx, e := t.expect(ctx, "Task")
	task, err := t.conn.client.GetTask(ctx, &a2a.GetTaskRequest{ID: t.s.Task})
	if err == nil {
		return task, nil
	}
	e.mu.Lock()
	gone := e.code == http.StatusNotFound
	e.mu.Unlock()
	if gone && ctx.Err() == nil {
		return nil, core.Wrap(core.CodeNotFound, err, "the peer %s does not know the task", t.p.o.Name)
	}
	return nil, t.p.explain(ctx, e, err)
}

// answer is how the turn ended.
func (t *turn) answer(ctx context.Context, task *a2a.Task) (core.PeerAnswer, error) {
	state := task.Status.State
	message := ""
	if task.Status.Message != nil {
		message = partsText(task.Status.Message.Parts)
	}
	switch state {
	case a2a.TaskStateFailed, a2a.TaskStateRejected:
		if message == "" {
			message = "without a reason"
		}
		return core.PeerAnswer{}, core.Errorf(core.CodeRefused, "the peer %s %s: %s", t.p.o.Name, map[a2a.TaskState]string{a2a.TaskStateFailed: "failed", a2a.TaskStateRejected: "declines"}[state], short(message, 1000))
	case a2a.TaskStateCanceled:
		return core.PeerAnswer{}, core.Errorf(core.CodeRefused, "the peer %s has cancelled the task", t.p.o.Name)
	}
	needs := state == a2a.TaskStateInputRequired || state == a2a.TaskStateAuthRequired
	t.s.Open = needs
	out := core.PeerAnswer{Needs: needs}
	if needs {
		if task.Status.Message != nil {
			t.s.Asked = task.Status.Message.ID
		}
		if out.Text = message; out.Text == "" {
			out.Text = "The agent needs an answer before it goes on."
		}
		if state == a2a.TaskStateAuthRequired {
			out.Text = "The agent needs to be let in somewhere before it goes on: " + out.Text
		}
	} else {
		files, text, err := t.p.outcome(ctx, task)
		if err != nil {
			return core.PeerAnswer{}, err
		}
		out.Files, out.Text = files, text
		t.s.Asked = ""
	}
	if len(out.Text) > maxText {
		return core.PeerAnswer{}, core.Errorf(core.CodeInvalid, "the peer %s answers with more than %d bytes of text", t.p.o.Name, maxText)
	}
	out.Text = core.CleanText(strings.ToValidUTF8(out.Text, "\uFFFD"))
	out.Session = t.s.String()
	return out, nil
}
