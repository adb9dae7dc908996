package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
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
	errDraining  = errors.New("the server is stopping")
)

func cancelledBy(actor string) error { return fmt.Errorf("cancelled by %s", actor) }

// eventGap is added to a run's event numbers when it is resumed after a crash: numbers given to text that was streamed and
// not stored are thereby never used twice. A model call streams fewer pieces than this.
const eventGap = 100_000

// segment executes one stretch of a run between two waits.
type segment struct {
	o   *Orchestrator
	in  segmentInput
	ctx dbos.Context    // of the engine; checkpoints go through it
	run context.Context // ends when the run is cancelled or out of time; tool calls go through it
	ask context.Context // ends with run, or when the server can wait no longer; model calls go through it

	state  agents.State
	steps  []core.Step
	began  time.Time
	before int64      // ActiveMS when the segment began
	mu     sync.Mutex // one checkpoint at a time: the engine numbers them in order
}

// execute is the engine's workflow. It returns an error only to let the engine know that it let go of the run.
func (o *Orchestrator) execute(ctx dbos.Context, in segmentInput) (_ string, err error) {
	run, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	ask, cut := context.WithCancelCause(run)
	defer cut(nil)
	defer context.AfterFunc(o.ends, func() { cut(errDraining) })()
	o.enter(in.Run, cancel)
	defer o.leave(in)
	defer o.hub.Open(in.Run)()

	s := &segment{o: o, in: in, ctx: ctx, run: run, ask: ask, began: o.Now()}
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
	o, q := s.o, s.o.Database.Querier()
	done, err := o.engine.recorded(s.in)
	if err != nil {
		return false, err
	}
	for _, name := range done {
		if err := o.engine.checkpoint(s.ctx, name, nothing); err != nil && lost(err) {
			return false, err
		}
	}
	r, err := o.Journal.Get(s.ctx, q, s.in.Run)
	if err != nil {
		return false, err
	}
	if r.Segment != s.in.Segment || r.Status.Final() {
		return true, nil // it went on elsewhere, or ended
	}
	if len(done) > 0 && r.Status != core.RunRunning {
		return true, nil // the segment had parked the run; only the engine did not get to know
	}
	s.state.Run = r
	if s.state.Definition, err = o.Journal.AgentVersion(s.ctx, q, r.Agent, r.AgentVersion); err != nil {
		return false, err
	}
	if s.state.Messages, err = o.Journal.Messages(s.ctx, q, r.ID, 0); err != nil {
		return false, err
	}
	if s.steps, err = o.Journal.Steps(s.ctx, q, r.ID); err != nil {
		return false, err
	}
	s.state.MaxRepeats = o.cfg.MaxRepeats
	s.state.Tools = s.tools()
	s.before = r.ActiveMS
	if len(done) == 0 {
		return false, s.begin()
	}
	o.Log.Info("a run resumes after an interruption", "run", r.ID, "agent", r.Agent, "segment", r.Segment)
	return false, o.Database.Tx(s.ctx, func(ctx context.Context, q dbtx.Querier) error {
		s.state.Run.Recoveries++
		_, _, err := o.Journal.Save(ctx, q, s.state.Run, r.EventSeq+eventGap, 0)
		o.hub.Stored(r.ID, r.EventSeq+eventGap, nil)
		return err
	})
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

// tools lists what the agent may call: its tools, and a tool for each agent that it may give work to.
func (s *segment) tools() []core.ToolSpec {
	var out []core.ToolSpec
	for _, g := range s.state.Definition.Tools {
		if spec, ok := s.o.Tools.Spec(g.Name); ok {
			out = append(out, spec)
		}
	}
	for _, name := range s.state.Definition.Agents {
		if to, err := s.o.Agents.Agent(name); err == nil {
			out = append(out, agents.DelegateSpec(to))
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
		switch a := s.o.brain.Next(s.state).(type) {
		case agents.CallModel:
			parked, err = s.callModel(a)
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

// limitTime cuts the run's calls when its running time is over.
func (s *segment) limitTime() (stop func() bool) {
	limit := s.state.Run.Limits.Time
	if limit <= 0 {
		return func() bool { return false }
	}
	used := time.Duration(s.before-s.state.Run.Turn.ActiveMS) * time.Millisecond
	t := time.AfterFunc(limit-used, func() {
		s.o.mu.Lock()
		cancel := s.o.active[s.in.Run]
		s.o.mu.Unlock()
		if cancel != nil {
			cancel(errTimeLimit)
		}
	})
	return t.Stop
}

// stop ends the segment because the run's context ended.
func (s *segment) stop(cause error) error {
	if errors.Is(cause, errTimeLimit) {
		return s.finish(core.RunFailed, core.Errorf(core.CodeLimit, "the limit of %s running time was reached; raise limits.time of the agent or of the run, and resume it", s.state.Run.Limits.Time), nil)
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
	r := &s.state.Run
	s.o.Observer.RunEnded(r.Agent, status, core.CodeOf(orNil(cause)), s.o.Now().Sub(r.CreatedAt))
	err := s.checkpoint("finish", func(c *change) { c.end(status, cause, answer) })
	s.o.nudge() // a parent may have been queued
	if err == nil && status != core.RunSucceeded {
		err = s.o.cancelChildren(s.ctx, r.ID)
	}
	return err
}

func orNil(e *core.Error) error {
	if e == nil {
		return nil
	}
	return e
}
