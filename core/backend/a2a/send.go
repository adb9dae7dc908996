package a2a

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// Bounds of what a new task is told of the conversation before it.
const (
	maxEarlier      = 100       // messages
	maxEarlierBytes = 256 << 10 // of text
	maxContext      = 255       // bytes of a context's id
)

var _ a2asrv.RequestHandler = (*Server)(nil)

// SendMessage implements a2asrv.RequestHandler. Unless the client wants the answer at once, it comes when the task rests.
func (s *Server) SendMessage(ctx context.Context, req *a2a.SendMessageRequest) (a2a.SendMessageResult, error) {
	run, err := s.take(ctx, req)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	v := view{artifacts: true}
	if req.Config != nil {
		v.history = req.Config.HistoryLength
	}
	if req.Config == nil || !req.Config.ReturnImmediately {
		if run, err = s.await(ctx, run); err != nil {
			return nil, s.fail(ctx, err)
		}
	}
	t, err := s.task(ctx, run, v)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return t, nil
}

// SendStreamingMessage implements a2asrv.RequestHandler.
func (s *Server) SendStreamingMessage(ctx context.Context, req *a2a.SendMessageRequest) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		run, err := s.take(ctx, req)
		if err != nil {
			yield(nil, s.fail(ctx, err))
			return
		}
		s.follow(ctx, run, yield)
	}
}

// take begins a task with a message, or hands it to the task that waits for it. A message that comes again changes nothing.
func (s *Server) take(ctx context.Context, req *a2a.SendMessageRequest) (core.Run, error) {
	m := req.Message
	switch {
	case m == nil:
		return core.Run{}, wrong("message", "it is missing")
	case m.ID == "" || len(m.ID) > 200 || m.ID != core.CleanText(m.ID):
		return core.Run{}, wrong("message.messageId", "expected an id of at most 200 characters")
	case m.Role != a2a.MessageRoleUser:
		return core.Run{}, wrong("message.role", "expected ROLE_USER: it is the client that speaks")
	case len(m.ContextID) > maxContext || m.ContextID != core.CleanText(m.ContextID):
		return core.Run{}, wrong("message.contextId", fmt.Sprintf("expected an id of at most %d characters", maxContext))
	case !accepts(req.Config):
		return core.Run{}, refuse(a2a.ErrUnsupportedContentType, "configuration.acceptedOutputModes: agents answer with text/plain, text/markdown or application/json, and hand over files")
	}
	var push *a2a.PushConfig
	if req.Config != nil && req.Config.PushConfig != nil {
		push = req.Config.PushConfig
		if err := s.checkPush(push, "configuration.taskPushNotificationConfig"); err != nil {
			return core.Run{}, err
		}
	}
	c, err := read(m)
	if err != nil {
		return core.Run{}, err
	}
	var run core.Run
	if m.TaskID != "" {
		run, err = s.answer(ctx, req, c)
	} else {
		run, err = s.start(ctx, req, c)
	}
	if err != nil || push == nil {
		return run, err
	}
	_, err = s.putPush(ctx, run, push)
	return run, err
}

// start begins a task.
func (s *Server) start(ctx context.Context, req *a2a.SendMessageRequest, c content) (core.Run, error) {
	m := req.Message
	agent, err := s.agent(ctx, req.Tenant)
	if err != nil {
		return core.Run{}, err
	}
	if strings.TrimSpace(c.text) == "" {
		if len(c.files) == 0 {
			return core.Run{}, wrong("message.parts", "they say nothing; give the task as text")
		}
		c.text = "Work on the attached files."
	}
	key := "a2a:" + m.ID
	if run, ok, err := s.begun(ctx, key, agent.Name, m.ContextID, c.text); ok || err != nil {
		return run, err
	}
	start := core.StartRun{
		Agent: agent.Name, Input: c.text, Files: c.files, IdempotencyKey: key, Actor: actor(ctx), Metadata: map[string]string{core.TaskMessage: m.ID},
	}
	if m.ContextID != "" {
		start.Metadata[core.TaskContext] = m.ContextID
		if start.History, err = s.earlier(ctx, agent.Name, m.ContextID); err != nil {
			return core.Run{}, err
		}
		if len(start.History) > 0 {
			start.Metadata[core.TaskHistory] = strconv.Itoa(len(start.History))
		}
	}
	run, _, err := s.d.Runs.Start(ctx, start)
	if core.CodeOf(err) == core.CodeConflict { // another one with this id was quicker
		if run, ok, e := s.begun(ctx, key, agent.Name, m.ContextID, c.text); ok || e != nil {
			return run, e
		}
	}
	return run, err
}

// begun finds the task that a message has begun already.
func (s *Server) begun(ctx context.Context, key, agent, contextID, text string) (core.Run, bool, error) {
	id, err := s.d.Store.Begun(ctx, actor(ctx), key)
	if err != nil || id == "" {
		return core.Run{}, false, err
	}
	run, err := s.d.Runs.Run(ctx, id)
	if err != nil {
		return run, false, err
	}
	if run.Agent != agent || run.Input != text || run.Metadata[core.TaskContext] != contextID {
		return run, false, wrong("message.messageId", "it was used for another message, which began the task "+run.ID+"; use a new one")
	}
	return run, true, nil
}

// earlier is the conversation that a new task goes on from: that of the latest task which has ended.
func (s *Server) earlier(ctx context.Context, agent, contextID string) ([]core.Message, error) {
	page, err := s.d.Store.List(ctx, core.TaskFilter{Owner: actor(ctx), Agent: agent, Context: contextID, Limit: 20})
	if err != nil {
		return nil, err
	}
	for _, id := range page.Runs {
		run, err := s.d.Runs.Run(ctx, id)
		if err != nil {
			return nil, err
		}
		if !run.Status.Final() {
			continue
		}
		messages, err := s.d.Runs.Messages(ctx, id)
		if err != nil {
			return nil, err
		}
		return spoken(messages), nil
	}
	return nil, nil
}

// spoken is what was said in a conversation, without what was done; the latest, as far as it fits.
func spoken(messages []core.Message) []core.Message {
	var (
		out  []core.Message
		size int
	)
	for i := len(messages) - 1; i >= 0 && len(out) < maxEarlier; i-- {
		m := messages[i]
		if m.Text == "" || m.Role != core.RoleUser && m.Role != core.RoleAssistant {
			continue
		}
		if size += len(m.Text); size > maxEarlierBytes {
			break
		}
		out = append(out, core.Message{Role: m.Role, Text: m.Text})
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// answer gives a task what it waits for.
func (s *Server) answer(ctx context.Context, req *a2a.SendMessageRequest, c content) (core.Run, error) {
	m := req.Message
	run, err := s.own(ctx, req.Tenant, m.TaskID)
	if err != nil {
		return run, err
	}
	if m.ContextID != "" && m.ContextID != contextOf(run) {
		return run, wrong("message.contextId", "the task belongs to another context; leave it out")
	}
	if len(c.files) > 0 {
		return run, refuse(a2a.ErrUnsupportedContentType, "message.parts: files come with the message that begins a task")
	}
	sum := sha256.Sum256([]byte(run.ID + "\n" + c.text))
	said := core.TaskAnswer{Owner: actor(ctx), Message: m.ID, Run: run.ID, Hash: hex.EncodeToString(sum[:8]), At: s.d.Now()}
	kept, again, err := s.d.Store.Answered(ctx, said.Owner, m.ID)
	if err != nil {
		return run, err
	}
	switch {
	case again && (kept.Run != run.ID || kept.Hash != said.Hash), m.ID == run.Metadata[core.TaskMessage]:
		return run, wrong("message.messageId", "it was used for another message; use a new one")
	case again && run.Status.Final():
		return run, nil
	case run.Status.Final():
		return run, refuse(a2a.ErrUnsupportedOperation, "the task has ended ("+string(core.TaskOf(run))+"); to go on with the conversation, send a message with its contextId and without taskId")
	}
	pending, err := s.pending(ctx, run)
	if err != nil {
		return run, err
	}
	if again {
		pending = only(pending, strings.Split(kept.Approval, ","))
		if len(pending) == 0 {
			return run, nil // it has been answered
		}
	}
	if len(pending) == 0 {
		return run, refuse(a2a.ErrUnsupportedOperation, "the task is "+string(core.TaskOf(run))+" and waits for no message; wait for its end, or cancel it")
	}
	verdicts, err := decide(pending, c)
	if err != nil {
		return run, err
	}
	if err := s.mayDecide(ctx, verdicts); err != nil {
		return run, err
	}
	if !again {
		said.Approval = ids(verdicts)
		// It is kept before anything is decided: the same message must never answer a later question.
		if kept, existed, err := s.d.Store.Answer(ctx, said); err != nil || existed && kept.Hash != said.Hash {
			if err == nil {
				err = wrong("message.messageId", "it was used for another message; use a new one")
			}
			return run, err
		}
	}
	for _, v := range verdicts {
		v.verdict.Actor = actor(ctx)
		_, err := s.d.Runs.Decide(ctx, v.approval.ID, v.verdict)
		s.record(ctx, "approval.decide", v.approval.ID, string(v.verdict.Decision)+" "+v.approval.Tool+" of run "+run.ID, err)
		if err != nil {
			return run, err
		}
	}
	return s.d.Runs.Run(ctx, run.ID)
}

// await waits until a task rests, its client leaves or the server stops.
func (s *Server) await(ctx context.Context, run core.Run) (core.Run, error) {
	if rests(run) {
		return run, nil
	}
	watch, stop := s.watched(ctx)
	defer stop()
	for e, err := range s.d.Runs.Events(watch, run.ID, 0) {
		if err != nil {
			return run, err
		}
		if e.RunData != nil && rests(*e.RunData) {
			break
		}
	}
	if ctx.Err() != nil {
		return run, ctx.Err()
	}
	return s.d.Runs.Run(ctx, run.ID) // the server may stop: then it shows how far the task is
}

// watched is a context for looking on: it ends with the client, with its credential, and when the server stops.
func (s *Server) watched(ctx context.Context) (context.Context, func()) {
	watch, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		recheck := time.NewTicker(recheckEvery)
		defer recheck.Stop()
		for {
			select {
			case <-backend.Draining(ctx):
				cancel()
				return
			case <-recheck.C:
				if !s.d.Auth.StillValid(ctx, principal(ctx)) {
					cancel()
					return
				}
			case <-watch.Done():
				return
			}
		}
	}()
	return watch, func() { cancel(); <-done }
}
