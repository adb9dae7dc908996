package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// askPoll is how often a person's decision is looked for while a peer waits for it.
const askPoll = 300 * time.Millisecond

// callPeer gives the agent that runs elsewhere a turn and records its answer. A turn that was interrupted is taken up
// where the peer knows of it; where it does not, one that may have changed the world waits for a person.
func (s *segment) callPeer(a agents.CallPeer) (parked bool, err error) {
	r, d := &s.state.Run, s.state.Definition
	st := s.openPeerStep(a)
	interrupted := st.Status == core.StepRunning
	if st.Status == core.StepWaiting {
		done, parked, err := s.decidedTurn(&st)
		if done || err != nil {
			return parked, err
		}
	}
	earlier := len(st.Attempts)
	s.startAttempt(&st)
	started := s.announce(st)
	if err := s.beginTurn(st, a.Text); err != nil {
		return false, err
	}
	deltas := &deltaWriter{s: s, message: r.Messages, earlier: earlier}
	call := core.PeerCall{
		Peer: d.Peer, Run: r.ID, IdempotencyKey: st.IdempotencyKey, Instructions: d.Instructions, Text: a.Text, Files: r.Files,
		Workspace: r.Root, Session: r.PeerSession, Interrupted: interrupted, Caller: callerOf(&r.Run),
	}
	answer, err := s.o.Peers.Talk(s.ask, call, core.PeerEvents{
		Delta:   func(text string) { deltas.add(core.Delta{Attempt: 1, Text: text}) },
		Session: func(_ context.Context, session string) error { return s.keepSession(session) },
		Ask:     func(ctx context.Context, q core.PeerQuestion) (core.Verdict, error) { return s.askForPeer(ctx, st, q) },
	})
	deltas.flush()
	if err != nil && s.ask.Err() != nil {
		return false, nil // cut by us: the loop knows why, and the turn is taken up later
	}
	now := s.o.Now()
	st.FinishedAt = &now
	last := &st.Attempts[len(st.Attempts)-1]
	last.FinishedAt, last.Error = &now, core.CleanText(core.MessageOf(err))
	if err == nil {
		last.Error = ""
	}
	switch code := core.CodeOf(err); {
	case code == core.CodeUnavailable || code == core.CodeRateLimited,
		(code == core.CodeTimeout || code == core.CodeConflict) && st.Effect != core.EffectUnsafe: // it may be made again
		return s.awaitModel(st, started, err)
	case code == core.CodeTimeout || code == core.CodeConflict:
		return s.unknownTurn(st, a.Text)
	}
	s.o.Observer.StepEnded(core.StepPeer, st.Name, stepStatus(err), now.Sub(*st.StartedAt), answer.Usage)
	if err != nil {
		st.Status, st.Error = core.StepFailed, core.MessageOf(err)
		if err := s.checkpoint("peer "+st.Name, func(c *change) { s.completeStep(c, st, started) }); err != nil {
			return false, err
		}
		return true, s.finish(core.RunFailed, core.Wrap(core.CodeOf(err), err, "%s", core.MessageOf(err)), nil)
	}
	if len(answer.Files) > 0 {
		if err := s.o.Tools.Attach(r.Root, answer.Files); err != nil {
			answer.Text += "\n\n[The files of the answer could not be kept: " + core.MessageOf(err) + "]"
		}
	}
	return s.answerTurn(st, started, answer)
}

// openPeerStep is the turn that an interruption or a wait left open, or a new one.
func (s *segment) openPeerStep(a agents.CallPeer) core.Step {
	if n := len(s.steps); n > 0 && s.steps[n-1].Kind == core.StepPeer && !s.steps[n-1].Status.Final() {
		return s.steps[n-1]
	}
	effect := s.state.Definition.Effect
	if effect == "" {
		effect = core.EffectUnsafe
	}
	st := s.newStep(core.StepPeer, s.state.Definition.Peer, effect, messageRef(s.state.Last().Index), "")
	if arguments, err := json.Marshal(map[string]string{"message": a.Text}); err == nil && a.Text != s.state.Last().Text {
		st.Arguments = arguments // the conversation holds no message with this text
	}
	return st
}

// beginTurn records that a turn is about to be made, and voids what an earlier attempt still asked people.
func (s *segment) beginTurn(st core.Step, text string) error {
	err := s.checkpoint("start "+st.Name, func(c *change) {
		s.addStep(c, st)
		c.then(func(ctx context.Context, q dbtx.Querier) error { return s.dropQuestions(ctx, q, st) })
	})
	if err != nil || st.Effect != core.EffectUnsafe {
		return err
	}
	return s.auditCall(st, "peer.call", json.RawMessage(text))
}

func (s *segment) dropQuestions(ctx context.Context, q dbtx.Querier, st core.Step) error {
	open, err := s.o.Journal.Approvals(ctx, q, core.ApprovalPending, st.Run, 1000)
	if err != nil {
		return err
	}
	now := s.o.Now()
	for _, a := range open {
		if a.Step == st.Index && a.Reason == core.ReasonPeer {
			a.Status, a.DecidedBy, a.DecidedAt = core.ApprovalCancelled, "system", &now
			if _, err := s.o.Journal.DecideApproval(ctx, q, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// decidedTurn looks at what a person decided about a turn of unknown outcome. done says that the step has its result, or
// that the run goes on waiting.
func (s *segment) decidedTurn(st *core.Step) (done, parked bool, err error) {
	var approvals map[int]core.Approval
	if err := s.patiently(func() (err error) { approvals, err = s.latestApprovals(); return err }); err != nil {
		return false, false, err
	}
	a, asked := approvals[st.Index]
	if !asked || a.Reason != core.ReasonInterrupted {
		return false, false, nil // it waited for the peer to come back
	}
	now := s.o.Now()
	switch a.Status {
	case core.ApprovalPending:
		parked, err = s.park([]wait{describe(wait{step: *st, old: true}, a)}, approvals)
		return true, parked, err
	case core.ApprovalApproved:
		return false, false, nil
	case core.ApprovalDone:
		st.FinishedAt = &now
		parked, err = s.answerTurn(*st, core.Event{}, core.PeerAnswer{Text: a.Result, Session: s.state.Run.PeerSession})
		return true, parked, err
	}
	st.Status, st.Error, st.FinishedAt = core.StepFailed, denial(a), &now
	if err := s.checkpoint("peer "+st.Name, func(c *change) { s.completeStep(c, *st, core.Event{}) }); err != nil {
		return true, false, err
	}
	return true, true, s.finish(core.RunFailed, core.Errorf(core.CodeRefused, "%s", st.Error), nil)
}

// unknownTurn asks a person about a turn that may or may not have had its effect.
func (s *segment) unknownTurn(st core.Step, text string) (parked bool, err error) {
	st.FinishedAt = nil
	arguments, err := json.Marshal(map[string]string{"message": text})
	if err != nil {
		return false, fmt.Errorf("question about the turn of %s: %w", st.Name, err)
	}
	return s.park([]wait{s.askPerson(st, arguments, core.ReasonInterrupted)}, nil)
}

// answerTurn records a peer's answer, or its question.
func (s *segment) answerTurn(st core.Step, started core.Event, answer core.PeerAnswer) (ended bool, err error) {
	r := &s.state.Run
	err = s.checkpoint("peer "+st.Name, func(c *change) {
		m := core.Message{Text: answer.Text, CreatedAt: s.o.Now()}
		if answer.Needs {
			arguments, _ := json.Marshal(map[string]string{"question": core.CleanText(answer.Text)}) // a map of texts has no error
			m = core.Message{CreatedAt: m.CreatedAt, ToolCalls: []core.ToolCall{{Name: agents.AskUser, Arguments: arguments}}}
		}
		usage := plausible(answer.Usage)
		st.Status, st.Error, st.Usage, st.OutputRef = core.StepSucceeded, "", usage, messageRef(r.Messages)
		r.Usage = r.Usage.Add(usage)
		r.PeerSession = answer.Session
		r.OutageSince = nil
		m = s.addAnswer(c, m, st.Index)
		s.completeStep(c, st, started)
		s.addCalls(c, m)
		ended = s.endWithAnswer(c)
	})
	if ended && err == nil {
		s.o.nudge() // a parent may have been queued
	}
	return ended, err
}

// keepSession records what is needed to take up the turn that is being made.
func (s *segment) keepSession(session string) error {
	s.mu.Lock()
	known := session == s.state.Run.PeerSession
	s.mu.Unlock()
	if known {
		return nil
	}
	return s.checkpoint("session", func(*change) { s.state.Run.PeerSession = session })
}

// askForPeer asks a person while the peer waits for the answer. The run goes on running; if the process dies, the question
// is void and the peer asks again.
func (s *segment) askForPeer(ctx context.Context, st core.Step, q core.PeerQuestion) (core.Verdict, error) {
	a := *s.askPerson(st, q.Arguments, core.ReasonPeer).approval
	a.Tool, a.Effect = st.Name+"/"+core.CleanText(q.Tool), q.Effect
	err := s.checkpoint("ask", func(c *change) {
		c.then(func(ctx context.Context, q dbtx.Querier) error { return s.o.Journal.AddApproval(ctx, q, a) })
		c.event(core.EventApprovalRequested, a.ID)
	})
	if err != nil {
		return core.Verdict{}, err
	}
	look := time.NewTicker(askPoll)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return core.Verdict{}, ctx.Err()
		case <-look.C:
		}
		var now core.Approval
		if err := s.patiently(func() (err error) {
			now, err = s.o.Journal.Approval(s.ctx, s.o.Database.Querier(), a.ID)
			return err
		}); err != nil {
			return core.Verdict{}, err
		}
		v := core.Verdict{Arguments: now.Arguments, Result: now.Result, Comment: now.Comment, Actor: now.DecidedBy}
		switch now.Status {
		case core.ApprovalPending:
			continue
		case core.ApprovalApproved:
			v.Decision = core.DecideApprove
		case core.ApprovalDone:
			v.Decision = core.DecideDone
		default:
			v.Decision = core.DecideDeny
		}
		return v, nil
	}
}
