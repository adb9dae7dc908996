package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Why a run's calls in flight are cut.
var (
	errTimeLimit = errors.New("the run's time limit was reached")
	// What is cut by this goes on later: by its code those who are cut know that nobody has given the work up.
	errDraining = core.Errorf(core.CodeUnavailable, "the server is stopping")
)

func cancelledBy(actor string) error { return fmt.Errorf("cancelled by %s", actor) }

// eventGap is added to a run's event numbers when it is resumed after a crash: numbers given to text that was streamed and
// not stored are thereby never used twice. A model call streams fewer pieces than this.
const eventGap = 100_000

// segment executes one stretch of a run between two waits.
type segment struct {
	o      *Orchestrator
	in     segmentInput
	ctx    dbos.Context            // of the engine; checkpoints go through it
	run    context.Context         // ends when the run is cancelled or out of time; tool calls go through it
	cancel context.CancelCauseFunc // ends run
	ask    context.Context         // ends with run, or when the server can wait no longer; model calls go through it

	state  agents.State
	steps  []core.Step
	began  time.Time
	before int64      // ActiveMS when the segment began
	mu     sync.Mutex // one checkpoint at a time: the engine numbers them in order
	perTok float64    // bytes of conversation that the model counted as one token, at the latest call; 0 = not known
	full   int        // bytes that did not fit the model; 0 = not known
}

// execute is the engine's workflow. It returns an error only to let the engine know that it let go of the run.
func (o *Orchestrator) execute(ctx dbos.Context, in segmentInput) (_ string, err error) {
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	ask, cut := context.WithCancelCause(run)
	defer cut(nil)
	defer context.AfterFunc(o.ends, func() { cut(errDraining) })()
	o.enter(in, cancel)
	defer o.leave(in)
	defer o.hub.Open(in.Run)()

	s := &segment{o: o, in: in, ctx: ctx, run: run, ask: ask, cancel: cancel, began: o.Now()}
	defer func() {
		if r := recover(); r != nil {
			o.Log.Error("a run met a defect", "run", in.Run, "panic", r, "stack", string(debug.Stack()))
			err = o.failDefect(in, fmt.Errorf("panic: %v", r))
		}
	}()
	stale, err := s.load()
	if err == nil && !stale {
		err = s.loop()
	}
	if err == nil || lost(err) {
		return "", err
	}
	o.Log.Error("a run met a defect", "run", in.Run, "error", err)
	return "", o.failDefect(in, err)
}

// failDefect ends a run whose execution failed for a reason that is ours.
func (o *Orchestrator) failDefect(in segmentInput, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ends), adminWait)
	defer cancel()
	_, err := o.update(ctx, in.Run, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		if r.Segment != in.Segment || r.Status.Final() {
			return nil
		}
		return o.end(ctx, q, r, ending{status: core.RunFailed, cause: core.Wrap(core.CodeInternal, cause, "the run met a defect of the server; its log has the details")}, nil)
	})
	return err
}

// load reads the record, repeats the checkpoints that an interrupted execution made, and begins the segment.
func (s *segment) load() (stale bool, err error) {
	o := s.o
	var done []string
	if err := s.patiently(func() (err error) { done, err = o.engine.recorded(s.in); return err }); err != nil {
		return false, err
	}
	for _, name := range done {
		if err := o.engine.checkpoint(s.ctx, name, nothing); err != nil && lost(err) {
			return false, err
		}
	}
	if err := s.patiently(s.read); err != nil {
		return false, err
	}
	r := &s.state.Run
	if r.Segment != s.in.Segment || r.Status.Final() {
		return true, nil // it went on elsewhere, or ended
	}
	if len(done) > 0 && r.Status != core.RunRunning && r.Status != core.RunQueued {
		return true, nil // the segment had parked the run; only the engine did not get to know
	}
	s.state.MaxRepeats = o.cfg.MaxRepeats
	for _, name := range s.state.Definition.Skills {
		if skill, ok := o.Skills.Skill(name); ok {
			s.state.Skills = append(s.state.Skills, skill)
		}
	}
	s.state.Guide = o.Tools.Guide(r.Root)
	s.state.Tools = s.tools()
	s.before = r.ActiveMS
	if r.Status == core.RunQueued {
		return false, s.begin()
	}
	o.Log.Info("a run resumes after an interruption", "run", r.ID, "agent", r.Agent, "segment", r.Segment)
	r.Recoveries++
	return false, s.patiently(func() error {
		return o.Database.Tx(s.ctx, func(ctx context.Context, q dbtx.Querier) error {
			_, _, err := o.Journal.Save(ctx, q, *r, r.EventSeq+eventGap, 0)
			o.hub.Stored(r.ID, s, r.EventSeq+eventGap, nil)
			return err
		})
	})
}

// read takes the run's record from the database.
func (s *segment) read() (err error) {
	j, q := s.o.Journal, s.o.Database.Querier()
	if s.state.Run, err = j.Get(s.ctx, q, s.in.Run); err != nil {
		return err
	}
	if s.state.Definition, err = j.AgentVersion(s.ctx, q, s.state.Run.Agent, s.state.Run.AgentVersion); err != nil {
		return err
	}
	if s.state.Messages, err = j.Messages(s.ctx, q, s.in.Run, 0); err != nil {
		return err
	}
	s.steps, err = j.Steps(s.ctx, q, s.in.Run)
	return err
}

const (
	patienceFirst = 200 * time.Millisecond
	patienceMost  = 5 * time.Second
	oddTries      = 3 // of what fails for a reason that is not known to go away
)

// patiently tries again while the database cannot do what it is asked, until it can or the engine stops: neither a full
// disk nor a restart of the database is a reason to give a run up.
func (s *segment) patiently(fn func() error) error {
	wait := patienceFirst
	for odd := 0; ; {
		err := fn()
		if err == nil || lost(err) {
			return err
		}
		if !s.o.Database.Transient(err) {
			if odd++; odd >= oddTries {
				return err
			}
		}
		s.o.Log.Error("the database cannot be used for a run; trying again", "run", s.in.Run, "error", err)
		select {
		case <-time.After(wait):
			wait = min(2*wait, patienceMost)
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

func nothing(context.Context, dbtx.Querier) error { return nil }

// begin marks the run as running.
func (s *segment) begin() error {
	r := &s.state.Run
	return s.checkpoint("begin", func(c *change) {
		if r.StartedAt == nil {
			now := s.o.Now()
			r.StartedAt = &now
		}
		if r.OutageSince == nil { // a try during an outage is no news
			c.event(core.EventRunStarted, "")
		}
		r.Status, r.WaitReason, r.WaitDetail, r.WakeAt = core.RunRunning, "", "", nil
	})
}

// tools lists what the agent may call: its tools, and a tool for each agent that it may give work or the conversation to.
func (s *segment) tools() []core.ToolSpec {
	var out []core.ToolSpec
	d := s.state.Definition
	for _, g := range d.Tools {
		if server, whole := strings.CutSuffix(g.Name, "*"); whole {
			for _, spec := range s.o.Tools.Family(server) {
				if own, _ := d.Grant(spec.Name); own == g {
					out = append(out, spec)
				}
			}
		} else if spec, ok := s.o.Tools.Spec(g.Name); ok {
			out = append(out, spec)
		}
	}
	if len(s.state.Skills) > 0 {
		if spec, ok := s.o.Tools.Spec(agents.LoadSkill); ok {
			out = append(out, spec)
		}
	}
	for _, name := range d.Agents {
		if to, err := s.o.Agents.Agent(name); err == nil {
			out = append(out, agents.DelegateSpec(to))
		}
	}
	for _, name := range d.Handoffs {
		if to, err := s.o.Agents.Agent(name); err == nil {
			out = append(out, agents.HandoffSpec(to))
		}
	}
	return out
}

// loop asks the agent what comes next and does it, until the run ends or waits.
func (s *segment) loop() error {
	stop := s.limitTime()
	defer stop()
	for {
		if cause := context.Cause(s.run); cause != nil {
			return s.stop(cause)
		}
		if s.state.Run.CancelledBy != "" {
			return s.stop(cancelledBy(s.state.Run.CancelledBy))
		}
		if s.o.draining.Err() != nil {
			return s.handOver()
		}
		var (
			parked bool
			err    error
		)
		switch a := s.next().(type) {
		case agents.CallModel:
			parked, err = s.callModel(a.Request, 0)
		case agents.Compact:
			parked, err = s.callModel(a.Request, a.To)
		case agents.CallPeer:
			parked, err = s.callPeer(a)
		case agents.Say:
			parked, err = s.say(a.Message)
		case agents.CallTools:
			parked, err = s.callTools(a)
		case agents.Finish:
			return s.finish(core.RunSucceeded, nil, &a.Message)
		case agents.Fail:
			return s.finish(core.RunFailed, a.Err, nil)
		}
		if err != nil || parked {
			return err
		}
	}
}

// next asks the agent what comes next.
func (s *segment) next() agents.Action {
	s.state.Room = s.room()
	kind := s.state.Definition.KindOf()
	brain, ok := s.o.brains[kind]
	if !ok {
		return agents.Fail{Err: core.Errorf(core.CodeInvalid, "this server knows no agents of the kind %q", kind)}
	}
	return brain.Next(s.state)
}

// say records a message that no model wrote, and ends the run if it is the answer.
func (s *segment) say(m core.Message) (ended bool, err error) {
	err = s.checkpoint("say", func(c *change) {
		m.CreatedAt = s.o.Now()
		s.addCalls(c, s.addAnswer(c, m, len(s.steps)))
		ended = s.endWithAnswer(c)
	})
	if ended && err == nil {
		s.o.nudge() // a parent may have been queued
	}
	return ended, err
}

// addAnswer adds a message of the assistant, whose calls get ids where they have none of their own.
func (s *segment) addAnswer(c *change, m core.Message, step int) core.Message {
	m.Index, m.Role, m.Text = s.state.Run.Messages, core.RoleAssistant, core.CleanText(m.Text)
	nameCalls(&m, step)
	s.addMessage(c, m)
	return m
}

// addCalls adds a step for each call that a message asks for.
func (s *segment) addCalls(c *change, m core.Message) {
	for _, call := range m.ToolCalls {
		s.addStep(c, s.callStep(call, m.Index))
	}
}

// endWithAnswer ends the run in this checkpoint if its latest message is the answer: both are one commit.
func (s *segment) endWithAnswer(c *change) bool {
	f, ok := s.next().(agents.Finish)
	if ok {
		c.end(core.RunSucceeded, nil, &f.Message)
	}
	return ok
}

// limitTime cuts the run's calls when its running time is over.
func (s *segment) limitTime() (stop func() bool) {
	limit := s.state.Run.Limits.Time
	if limit <= 0 {
		return func() bool { return false }
	}
	used := time.Duration(s.before-s.state.Run.Turn.ActiveMS) * time.Millisecond
	return time.AfterFunc(limit-used, func() { s.cancel(errTimeLimit) }).Stop
}

// stop ends the segment because the run's context ended.
func (s *segment) stop(cause error) error {
	if errors.Is(cause, errTimeLimit) {
		return s.finish(core.RunFailed, core.Errorf(core.CodeLimit, "the limit of %s running time was reached; resume the run to grant it as much again, or raise limits.time in the agent's file for new runs", s.state.Run.Limits.Time), nil)
	}
	return s.finish(core.RunCancelled, core.Errorf(core.CodeCancelled, "%s", cause.Error()), nil)
}

// handOver leaves the run queued for the next start or another replica.
func (s *segment) handOver() error {
	return s.checkpoint("hand over", func(*change) {
		s.state.Run.Status = core.RunQueued
		s.state.Run.Segment++
	})
}

// finish ends the run.
func (s *segment) finish(status core.RunStatus, cause *core.Error, answer *int) error {
	err := s.checkpoint("finish", func(c *change) { c.end(status, cause, answer) })
	s.o.nudge() // a parent may have been queued
	if err == nil && status != core.RunSucceeded {
		err = s.o.cancelChildren(s.ctx, s.in.Run)
	}
	return err
}
