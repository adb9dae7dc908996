package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// change collects what one checkpoint writes besides the run's own row.
type change struct {
	events  []core.StoredEvent // N is set for those that were live before
	steps   []core.Step
	msgs    []core.Message
	after   []func(context.Context, dbtx.Querier) error
	done    func(core.Event) bool // which live events this makes void
	ending  *ending               // the run ends with this
	unsaved bool                  // the run's row is written by one of after
}

// ending is how a run ends.
type ending struct {
	status core.RunStatus
	cause  *core.Error
	answer *int // index of the message
}

// end makes the run final in this checkpoint.
func (c *change) end(status core.RunStatus, cause *core.Error, answer *int) {
	c.ending = &ending{status, cause, answer}
	c.done = func(core.Event) bool { return true }
}

func (c *change) event(t core.EventType, ref string) {
	c.events = append(c.events, core.StoredEvent{Type: t, Ref: ref})
}

// stored keeps an event that was live before, under its number.
func (c *change) stored(e core.Event, ref string) {
	if e.N > 0 {
		c.events = append(c.events, core.StoredEvent{N: e.N, Type: e.Type, Ref: ref, At: e.At})
	}
}

func (c *change) then(fn func(context.Context, dbtx.Querier) error) { c.after = append(c.after, fn) }

// checkpoint commits, in one transaction: the run's row, what build collects, and the engine's record. An executor that
// lost the run stops.
func (s *segment) checkpoint(name string, build func(*change)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &change{}
	build(c)
	r := &s.state.Run
	r.ActiveMS = s.before + s.o.Now().Sub(s.began).Milliseconds()
	return s.patiently(func() error {
		var last int64
		err := s.o.engine.checkpoint(s.ctx, name, func(ctx context.Context, q dbtx.Querier) (err error) {
			last, err = s.write(ctx, q, c)
			return err
		})
		if err != nil {
			s.o.hub.Abandon(r.ID, r)
			for i := range c.events {
				c.events[i].N = 0 // another replica may have used a number that was given out here
			}
			return err
		}
		s.o.hub.Stored(r.ID, r, last, c.done)
		if c.ending != nil {
			s.o.ended(*r)
		}
		return nil
	})
}

// ended tells the observer that a run is final.
func (o *Orchestrator) ended(r core.RunRecord) {
	var code core.Code
	if r.Error != nil {
		code = r.Error.Code
	}
	o.Observer.RunEnded(r.Agent, r.Status, code, o.Now().Sub(r.CreatedAt))
}

func (s *segment) write(ctx context.Context, q dbtx.Querier, c *change) (last int64, err error) {
	j, r := s.o.Journal, &s.state.Run
	for _, m := range c.msgs {
		if err := j.AddMessage(ctx, q, r.ID, m); err != nil {
			return 0, err
		}
	}
	for _, st := range c.steps {
		if err := j.PutStep(ctx, q, st, r.Segment); err != nil {
			return 0, err
		}
	}
	switch {
	case c.ending != nil:
		if err := s.o.end(ctx, q, r, *c.ending, c.events); err != nil {
			return 0, err
		}
	case !c.unsaved:
		if last, err = s.o.saveWithEvents(ctx, q, r, c.events); err != nil {
			return 0, err
		}
	}
	for _, fn := range c.after {
		if err := fn(ctx, q); err != nil {
			return 0, err
		}
	}
	return max(last, r.EventSeq), nil
}

// saveWithEvents writes the run's row and its new events, and returns the number of the latest.
func (o *Orchestrator) saveWithEvents(ctx context.Context, q dbtx.Querier, r *core.RunRecord, events []core.StoredEvent) (int64, error) {
	fresh := 0
	for _, e := range events {
		if e.N == 0 {
			fresh++
		}
	}
	n, cancelledBy, err := o.Journal.Save(ctx, q, *r, max(o.hub.Reserve(r.ID, r, fresh), r.EventSeq), fresh)
	if err != nil {
		return 0, fmt.Errorf("save run %s: %w", r.ID, err)
	}
	r.CancelledBy = cancelledBy
	r.EventSeq = n + int64(fresh) - 1
	out := make([]core.StoredEvent, len(events))
	for i, e := range events {
		if e.N == 0 {
			e.N = n
			n++
		}
		if e.At.IsZero() {
			e.At = o.Now()
		}
		out[i] = e
	}
	return r.EventSeq, o.Journal.AddEvents(ctx, q, r.ID, out)
}

// update changes a run from outside its executor, in one transaction, and tells those who watch it.
func (o *Orchestrator) update(ctx context.Context, id string, fn func(context.Context, dbtx.Querier, *core.RunRecord) error) (core.RunRecord, error) {
	var (
		r     core.RunRecord
		final bool
	)
	err := o.Database.Tx(ctx, func(ctx context.Context, q dbtx.Querier) (err error) {
		if r, err = o.Journal.Lock(ctx, q, id); err != nil {
			return err
		}
		final = r.Status.Final()
		return fn(ctx, q, &r)
	})
	if err != nil {
		o.hub.Abandon(id, &r)
		return r, err
	}
	o.hub.Stored(id, &r, r.EventSeq, nil)
	o.nudge()
	if !final && r.Status.Final() {
		o.ended(r)
	}
	return r, nil
}

// end makes a run final, cancels what it still waits for and lets its parent go on. r is the locked or owned record;
// events come before those of the end.
func (o *Orchestrator) end(ctx context.Context, q dbtx.Querier, r *core.RunRecord, e ending, events []core.StoredEvent) error {
	now := o.Now()
	r.Status, r.WaitReason, r.WaitDetail, r.WakeAt, r.OutageSince = e.status, "", "", nil, nil
	r.FinishedAt, r.OutputMessage = &now, e.answer
	r.Error = nil
	if e.cause != nil {
		r.Error = &core.RunError{Code: e.cause.Code, Message: e.cause.Message}
	}
	events = slices.Clone(events) // a transaction may be tried again
	if e.status != core.RunSucceeded {
		cancelled, err := o.dropOpen(ctx, q, r, now)
		if err != nil {
			return err
		}
		events = append(events, cancelled...)
	}
	events = append(events, core.StoredEvent{Type: map[core.RunStatus]core.EventType{
		core.RunSucceeded: core.EventRunSucceeded, core.RunFailed: core.EventRunFailed, core.RunCancelled: core.EventRunCancelled,
	}[e.status]})
	if _, err := o.saveWithEvents(ctx, q, r, events); err != nil {
		return err
	}
	if r.Parent != "" {
		if err := o.requeue(ctx, q, r.Parent); err != nil {
			return err
		}
	}
	return nil
}

// dropOpen ends the steps and approvals that an ended run leaves open. An unsafe call that was being made is said to be
// of unknown outcome.
func (o *Orchestrator) dropOpen(ctx context.Context, q dbtx.Querier, r *core.RunRecord, now time.Time) ([]core.StoredEvent, error) {
	var events []core.StoredEvent
	steps, err := o.Journal.Steps(ctx, q, r.ID)
	if err != nil {
		return nil, err
	}
	for _, st := range steps {
		if st.Status.Final() {
			continue
		}
		if (st.Kind == core.StepTool || st.Kind == core.StepPeer) && st.Effect == core.EffectUnsafe && len(st.Attempts) > 0 { // begun, perhaps asked about since
			st.Status, st.Error = core.StepFailed, unknownOutcome
		} else {
			st.Status = core.StepCancelled
		}
		st.FinishedAt = &now
		if err := o.Journal.PutStep(ctx, q, st, r.Segment); err != nil {
			return nil, err
		}
		events = append(events, core.StoredEvent{Type: core.EventStepCompleted, Ref: strconv.Itoa(st.Index)})
	}
	open, err := o.Journal.Approvals(ctx, q, core.ApprovalPending, r.ID, 1000)
	if err != nil {
		return nil, err
	}
	for _, a := range open {
		a.Status, a.DecidedBy, a.DecidedAt = core.ApprovalCancelled, "system", &now
		if _, err := o.Journal.DecideApproval(ctx, q, a); err != nil {
			return nil, err
		}
		events = append(events, core.StoredEvent{Type: core.EventApprovalDecided, Ref: a.ID})
	}
	return events, nil
}

const unknownOutcome = "the run ended while this call was being made; it may or may not have had its effect"
