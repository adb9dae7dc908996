package a2a

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

// recheckEvery is how soon, at the latest, an open stream ends after its credential was revoked.
const recheckEvery = 5 * time.Second

// follower turns what happens to a run into what clients of the protocol are told.
type follower struct {
	s     *Server
	ctx   context.Context //nolint:containedctx // of one call, in which it is made and ends
	run   core.Run
	yield func(a2a.Event, error) bool
	known int // messages that the client has seen in the task
	last  string
	text  answerText
	over  bool // nobody listens any more, or there is nothing more to tell
}

// follow tells of a task: first all of it, then each change, until it rests.
func (s *Server) follow(ctx context.Context, run core.Run, yield func(a2a.Event, error) bool) {
	t, err := s.task(ctx, run, view{artifacts: true})
	if err != nil {
		yield(nil, s.fail(ctx, err))
		return
	}
	messages, err := s.d.Runs.Messages(ctx, run.ID)
	if err != nil {
		yield(nil, s.fail(ctx, err))
		return
	}
	if !yield(t, nil) || rests(run) {
		return
	}
	watch, stop := s.watched(ctx)
	defer stop()
	f := &follower{s: s, ctx: ctx, run: run, yield: yield, known: len(messages), last: news(run)}
	for e, err := range s.d.Runs.Events(watch, run.ID, 0) {
		if err == nil {
			err = f.see(e)
		}
		if watch.Err() != nil {
			return // the client has left, or the server stops: then the client subscribes again
		}
		if err != nil {
			yield(nil, s.fail(ctx, err))
			return
		}
		if f.over {
			return
		}
	}
}

// news tells states apart that are news to each other.
func news(r core.Run) string {
	return strings.Join([]string{string(core.TaskOf(r)), string(r.WaitReason), r.WaitDetail}, "\n")
}

// see passes on what an event means. Stored events come again from the beginning; what they say of the run is how it is now,
// so that only what differs from what was told is told.
func (f *follower) see(e core.Event) error {
	switch {
	case e.Delta != nil:
		if e.Delta.Message >= f.known {
			f.piece(f.text.delta(*e.Delta))
		}
	case e.Message != nil:
		f.message(*e.Message)
	case e.RunData != nil:
		return f.state(*e.RunData)
	}
	return nil
}

// piece tells of text: what follows, or all of it anew.
func (f *follower) piece(text string, follows bool) {
	if text == "" {
		return
	}
	e := a2a.NewArtifactUpdateEvent(info(f.run), answerID, a2a.NewTextPart(text))
	e.Append = follows
	e.Artifact.Name = "answer"
	f.tell(e)
}

func (f *follower) tell(e a2a.Event) {
	if !f.over && !f.yield(e, nil) {
		f.over = true
	}
}

// message settles what was told in pieces. A message with which the agent goes on working is no answer: it is told as one.
func (f *follower) message(m core.Message) {
	if m.Role != core.RoleAssistant || m.Index < f.known || m.Text == "" {
		return
	}
	f.piece(f.text.whole(m.Index, m.Text))
	if len(m.ToolCalls) > 0 {
		at := f.s.d.Now().UTC()
		f.tell(&a2a.TaskStatusUpdateEvent{TaskID: a2a.TaskID(f.run.ID), ContextID: contextOf(f.run), Status: a2a.TaskStatus{
			State: a2a.TaskStateWorking, Timestamp: &at, Message: f.s.message(f.run, m, false),
		}})
	}
}

// state tells of a change of state.
func (f *follower) state(r core.Run) error {
	now := news(r)
	if now == f.last {
		return nil
	}
	f.last, f.run = now, r
	if r.Status == core.RunSucceeded {
		if err := f.handOver(r); err != nil {
			return err
		}
	}
	status, err := f.s.status(f.ctx, r)
	if err != nil {
		return err
	}
	f.tell(&a2a.TaskStatusUpdateEvent{TaskID: a2a.TaskID(r.ID), ContextID: contextOf(r), Status: status})
	f.over = f.over || rests(r)
	return nil
}

// handOver tells of what a task that is done has brought, as far as it was not told in pieces.
func (f *follower) handOver(r core.Run) error {
	list, err := f.s.artifacts(f.ctx, r)
	if err != nil {
		return err
	}
	for _, a := range list {
		e := &a2a.TaskArtifactUpdateEvent{TaskID: a2a.TaskID(r.ID), ContextID: contextOf(r), Artifact: a, LastChunk: true}
		if a.ID == answerID && f.text.sent == r.Output {
			e.Append = true
			e.Artifact = &a2a.Artifact{ID: answerID, Name: a.Name, Parts: a2a.ContentParts{a2a.NewTextPart("")}}
		}
		f.tell(e)
	}
	return nil
}

// answerText is the text of the message that is being written, as the client has it.
type answerText struct {
	message int
	open    bool
	units   []uint16 // in which offsets count
	sent    string
}

// delta takes in a piece, and returns what to tell: text that follows what was sent, or all of it anew.
func (t *answerText) delta(d core.DeltaData) (text string, follows bool) {
	t.begin(d.Message)
	if d.Offset < len(t.units) {
		t.units = t.units[:max(0, d.Offset)]
	}
	t.units = append(t.units, utf16.Encode([]rune(d.Text))...)
	whole := string(utf16.Decode(t.units))
	if strings.HasSuffix(whole, "\uFFFD") {
		return "", true // half a character
	}
	return t.send(whole)
}

// whole takes in the message as it was recorded.
func (t *answerText) whole(message int, text string) (string, bool) {
	t.begin(message)
	t.open = false
	t.units = slices.Clip(utf16.Encode([]rune(text)))
	return t.send(text)
}

func (t *answerText) send(whole string) (text string, follows bool) {
	rest, ok := strings.CutPrefix(whole, t.sent)
	follows = ok && t.sent != ""
	t.sent = whole
	if follows {
		return rest, true
	}
	return whole, false
}

func (t *answerText) begin(message int) {
	if t.message == message && (t.open || t.sent != "") {
		return
	}
	*t = answerText{message: message, open: true}
}
