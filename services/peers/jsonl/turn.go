package jsonl

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/jsonrpc"
	"github.com/sutazai/sutazai/services/peers"
)

// Bounds of an answer.
const (
	maxText  = 8 << 20  // bytes
	maxFiles = 64 << 20 // bytes of all together
	maxNotes = 200      // lines in the log
)

// turn is one turn of work.
type turn struct {
	peer   *Peer
	call   core.PeerCall
	events core.PeerEvents
	dir    string
	now    session
	peers.Turn

	mu     sync.Mutex // now.Task is read by whoever cancels
	text   strings.Builder
	apart  string // artifact that the text ends with
	files  []core.File
	bytes  int
	notes  int
	usage  core.Usage
	status status
}

// with makes the turn over a connection.
func (t *turn) with(ctx context.Context, c *conn) (core.PeerAnswer, error) {
	defer c.unfollow(t)
	t.text.Reset()
	t.apart, t.files, t.bytes, t.status = "", nil, 0, status{}
	if t.Begun {
		return t.lookUp(ctx, c)
	}
	request := sendRequest{Message: t.message(), Metadata: map[string]any{"run": t.call.Run, "workspace": t.dir}}
	next := session{Context: t.now.Context, Turn: t.call.IdempotencyKey, Task: request.Message.Task}
	if err := t.record(ctx, next); err != nil {
		return core.PeerAnswer{}, err
	}
	t.Begun = true
	if next.Task != "" {
		if err := c.follow(next.Task, t); err != nil {
			return core.PeerAnswer{}, err
		}
	}
	err := t.stoppable(ctx, c, func(ctx context.Context) error {
		return c.rpc.Stream(ctx, methodSend, request, func(raw json.RawMessage) (bool, error) { return t.take(ctx, c, raw) })
	})
	if err != nil {
		return core.PeerAnswer{}, t.refused(methodSend, err)
	}
	return t.answer(ctx)
}

// message is what the program is told.
func (t *turn) message() message {
	m := message{ID: t.call.IdempotencyKey, Role: "ROLE_USER", Context: t.now.Context}
	if t.now.Waits {
		m.Task = t.now.Task
	}
	say := func(text string) { m.Parts = append(m.Parts, part{Text: &text}) }
	if t.call.Session == "" && t.call.Instructions != "" {
		say(t.call.Instructions)
	}
	say(t.call.Text)
	for _, name := range t.call.Files {
		url := peers.FileURL(t.dir, name)
		m.Parts = append(m.Parts, part{URL: &url, Filename: name})
	}
	return m
}

// record keeps how the turn is found again.
func (t *turn) record(ctx context.Context, s session) error {
	if s == t.now {
		return nil
	}
	t.mu.Lock()
	t.now = s
	t.mu.Unlock()
	return t.events.Session(ctx, s.String())
}

// stoppable calls do. When ctx ends it asks the program to cancel the task, and waits a little for do's end.
func (t *turn) stoppable(ctx context.Context, c *conn, do func(ctx context.Context) error) error {
	staying, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace := time.AfterFunc(t.peer.opts.Grace, leave)
		t.mu.Lock()
		task := t.now.Task
		t.mu.Unlock()
		if task == "" || peers.Leaving(ctx) {
			leave() // there is nothing to call off: the program is ended
		} else {
			_ = c.rpc.Call(staying, methodCancel, taskRequest{ID: task}, nil) // it may not answer: then it is ended
		}
		<-staying.Done()
		grace.Stop()
	})
	err := do(staying)
	leave()
	if !unwatch() {
		<-stopped
		t.Deaf = err != nil
		return ctx.Err()
	}
	return err
}

// take reads one answer. last: the turn is over.
func (t *turn) take(ctx context.Context, c *conn, raw json.RawMessage) (last bool, err error) {
	var r response
	if err := jsonrpc.Decode("result", raw, &r); err != nil {
		return true, err
	}
	if err := r.check(); err != nil {
		return true, err
	}
	switch {
	case r.Message != nil: // an answer without a task
		t.status = status{State: stateCompleted, Message: r.Message}
		if err := t.knows(ctx, c, "", r.Message.Context); err != nil {
			return true, err
		}
		return true, t.add("", r.Message.Parts, "result.message.parts")
	case r.Task != nil:
		if err := t.knows(ctx, c, r.Task.ID, r.Task.Context); err != nil {
			return true, err
		}
		return t.whole(*r.Task)
	case r.Status != nil:
		if err := t.knows(ctx, c, r.Status.Task, r.Status.Context); err != nil {
			return true, err
		}
		t.stands(r.Status.Status, r.Status.Metadata)
		return r.Status.Status.State.last(), nil
	}
	if err := t.knows(ctx, c, r.Artifact.Task, r.Artifact.Context); err != nil {
		return true, err
	}
	return false, t.add(r.Artifact.Artifact.ID, r.Artifact.Artifact.Parts, "result.artifactUpdate.artifact.parts")
}

// knows records the names of the task and conversation as soon as the program says them.
func (t *turn) knows(ctx context.Context, c *conn, task, conversation string) error {
	s := t.now
	if task != "" && s.Task != "" && s.Task != task {
		return jsonrpc.Wrong("result.taskId", "changes in the middle of a turn")
	}
	s.Task, s.Context = cmp.Or(task, s.Task), cmp.Or(conversation, s.Context)
	if task != "" {
		if err := c.follow(task, t); err != nil {
			return err
		}
	}
	return t.record(ctx, s)
}

// whole takes a task as it stands. Its artifacts are what was not told piece by piece before.
func (t *turn) whole(k task) (last bool, err error) {
	t.stands(k.Status, k.Metadata)
	if t.text.Len() == 0 && len(t.files) == 0 {
		for _, a := range k.Artifacts {
			if err := t.add(a.ID, a.Parts, "result.task.artifacts.parts"); err != nil {
				return true, err
			}
		}
	}
	return k.Status.State.last(), nil
}

// stands notes where the task stands.
func (t *turn) stands(s status, m *metadata) {
	t.status = s
	if m != nil && m.Usage != nil {
		t.usage = core.Usage{InputTokens: max(m.Usage.Input, 0), OutputTokens: max(m.Usage.Output, 0)}
	}
	if t.notes++; t.notes <= maxNotes {
		t.peer.programs.Log("run " + t.call.Run + ": task " + peers.Clip(t.now.Task, 60) + " " + string(s.State) + " " + peers.Clip(s.text(), 200))
	}
}

func (s status) text() string {
	if s.Message == nil {
		return ""
	}
	var all []string
	for _, p := range s.Message.Parts {
		if p.Text != nil {
			all = append(all, *p.Text)
		}
	}
	return strings.Join(all, "\n\n")
}

// add takes the parts of an artifact or message: text becomes the answer's, files are kept.
func (t *turn) add(id string, parts []part, at string) error {
	for _, p := range parts {
		text := ""
		switch {
		case p.Text != nil && p.Filename == "":
			text = *p.Text
		case p.Text != nil:
			if err := t.file(p.Filename, []byte(*p.Text), at); err != nil {
				return err
			}
		case p.Raw != nil:
			content, err := base64.StdEncoding.DecodeString(*p.Raw)
			if err != nil {
				return jsonrpc.Wrong(at+".raw", "must be base64")
			}
			if p.Filename == "" {
				return jsonrpc.Wrong(at+".filename", "is missing; what is raw becomes a file")
			}
			if err := t.file(p.Filename, content, at); err != nil {
				return err
			}
		case p.URL != nil:
			text = *p.URL
		default:
			text = string(p.Data)
		}
		if text == "" {
			continue
		}
		if t.text.Len() > 0 && t.apart != id {
			text = "\n\n" + text
		}
		t.apart = id
		if t.text.Len()+len(text) > maxText {
			return &core.Error{Code: core.CodeTooLarge, Message: at + ".text: the answer has more than 8 MB of text; large results belong into files"}
		}
		t.text.WriteString(text)
		t.events.Delta(text)
	}
	return nil
}

func (t *turn) file(name string, content []byte, at string) error {
	if t.bytes += len(content); t.bytes > maxFiles {
		return &core.Error{Code: core.CodeTooLarge, Message: at + ".raw: the files have more than 64 MB together; write them into the workspace"}
	}
	t.files = append(t.files, core.File{Name: name, Content: content})
	return nil
}

// lookUp finds out what became of a turn that was cut off, and waits for its end.
func (t *turn) lookUp(ctx context.Context, c *conn) (core.PeerAnswer, error) {
	name := t.peer.opts.Program.Name
	if t.now.Task == "" {
		return core.PeerAnswer{}, core.Errorf(core.CodeConflict, "%s had not named a task yet when it was cut off; the turn may or may not be done", name)
	}
	if err := c.follow(t.now.Task, t); err != nil {
		return core.PeerAnswer{}, err
	}
	err := t.stoppable(ctx, c, func(ctx context.Context) error {
		look := time.NewTicker(t.peer.opts.Poll)
		defer look.Stop()
		for {
			var raw json.RawMessage
			if err := c.rpc.Call(ctx, methodGet, taskRequest{ID: t.now.Task}, &raw); err != nil {
				return err
			}
			var k task
			if err := jsonrpc.Decode("result", raw, &k); err != nil {
				return err
			}
			if err := k.check("result"); err != nil {
				return err
			}
			if k.ID != t.now.Task {
				return jsonrpc.Wrong("result.id", "is another task than the one that was asked for")
			}
			if k.Status.State.last() {
				_, err := t.whole(k)
				return err
			}
			select {
			case <-look.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		why := "does not know the task any more"
		if e.Code != codeTaskNotFound {
			why = "cannot say what became of the task (" + peers.Clip(e.Message, 200) + ")"
		}
		return core.PeerAnswer{}, core.Wrap(core.CodeConflict, err, "%s %s; the turn that was cut off may or may not be done", name, why)
	}
	if err != nil {
		return core.PeerAnswer{}, err
	}
	return t.answer(ctx)
}

// answer says how the turn ended.
func (t *turn) answer(ctx context.Context) (core.PeerAnswer, error) {
	name, said := t.peer.opts.Program.Name, t.status.text()
	next := t.now
	next.Waits = t.status.State == stateInput
	if !next.Waits {
		next.Task = ""
	}
	a := core.PeerAnswer{Text: strings.TrimSpace(t.text.String()), Files: t.files, Session: next.String(), Usage: t.usage}
	switch t.status.State {
	case stateCompleted:
		if a.Text == "" && said != "" {
			a.Text = said
			t.events.Delta(said)
		}
		return a, nil
	case stateInput:
		a.Needs = true
		a.Text = cmp.Or(said, a.Text, "(it asks for input and does not say what)")
		return a, nil
	case stateAuth:
		return core.PeerAnswer{}, core.Errorf(core.CodeUnauthorized, "%s wants a login: %s", name, peers.Clip(said, 500))
	case stateRejected:
		return core.PeerAnswer{}, core.Errorf(core.CodeRefused, "%s declined: %s", name, peers.Clip(said, 500))
	case stateCanceled:
		if ctx.Err() != nil {
			return core.PeerAnswer{}, ctx.Err()
		}
		return core.PeerAnswer{}, core.Errorf(core.CodeCancelled, "%s says that its task was cancelled, and nobody here did that", name)
	}
	return core.PeerAnswer{}, core.Errorf(core.CodeRefused, "%s failed: %s", name, peers.Clip(cmp.Or(said, a.Text, "it does not say why"), 500))
}

// refused says a program's error answer to the named method.
func (t *turn) refused(method string, err error) error {
	e, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok {
		return err
	}
	name := t.peer.opts.Program.Name
	if e.Code == jsonrpc.CodeMethodNotFound {
		return core.Wrap(core.CodeInvalid, err, "%s does not know the method %s; docs/peers.md says what it must answer", name, method)
	}
	return core.Wrap(core.CodeRefused, err, "%s refused the message: %s", name, peers.Clip(e.Message, 500))
}

// permission asks a person for the program.
func (t *turn) permission(ctx context.Context, r permissionRequest) (any, error) {
	defer t.Pause()()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.Context(), cancel)()
	v, err := t.events.Ask(ctx, core.PeerQuestion{Tool: peers.Clip(r.Tool, 300), Arguments: r.Arguments, Effect: cmp.Or(r.Effect, core.EffectUnsafe)})
	if ctx.Err() != nil {
		return nil, core.Errorf(core.CodeCancelled, "the turn of params.taskId has ended")
	}
	if err != nil {
		return nil, err
	}
	out := permissionResponse{Decision: v.Decision, Comment: v.Comment}
	switch v.Decision {
	case core.DecideRetry:
		out.Decision = core.DecideApprove
	case core.DecideDone:
		out.Result = v.Result
	}
	if v.Decision != core.DecideDeny && v.Decision != core.DecideDone {
		if out.Arguments = v.Arguments; len(out.Arguments) == 0 {
			out.Arguments = r.Arguments
		}
	}
	return out, nil
}
