package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const (
	dispatchPage = 256
	decidePage   = 100
	rescuePolls  = 15 // stranded runs are rare; they are looked for at every so many polls
)

// dispatch hands queued runs to the engine while there is room, wakes runs whose time has come and expires
// approvals. It is told of new work at once; the poll finds what other replicas queued.
func (o *Orchestrator) dispatch() {
	defer close(o.stopped)
	tick := time.NewTicker(o.cfg.Poll)
	defer tick.Stop()
	rescue := time.NewTicker(rescuePolls * o.cfg.Poll)
	defer rescue.Stop()
	for {
		ctx := o.draining
		if err := o.startQueued(ctx); err != nil && ctx.Err() == nil {
			o.Log.Error("queued runs cannot be started; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-o.kick:
		case <-rescue.C:
			if err := o.rescueStranded(ctx); err != nil && ctx.Err() == nil {
				o.Log.Error("stranded runs cannot be looked for; trying again", "error", err)
			}
		case <-tick.C:
			if err := errors.Join(o.wakeDue(ctx), o.expireApprovals(ctx)); err != nil && ctx.Err() == nil {
				o.Log.Error("waiting runs cannot be looked at; trying again", "error", err)
			}
		}
	}
}

func (o *Orchestrator) room() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cfg.MaxActive - len(o.started)
}

func (o *Orchestrator) startQueued(ctx context.Context) error {
	room := o.room()
	if room <= 0 {
		return nil
	}
	queued, err := o.Journal.Queued(ctx, o.Database.Querier(), dispatchPage)
	if err != nil {
		return err
	}
	for _, p := range queued {
		if room <= 0 || ctx.Err() != nil {
			break
		}
		in := segmentInput{p.ID, p.Segment}
		o.mu.Lock()
		_, known := o.started[in.workflowID()]
		o.started[in.workflowID()] = struct{}{}
		o.mu.Unlock()
		if known {
			continue
		}
		// The workflow's id is the claim: when another replica was first, the engine refuses it here.
		_, err := dbos.RunWorkflow(o.engine.ctx, o.execute, in, dbos.WithWorkflowID(in.workflowID()),
			dbos.WithWorkflowIDReusePolicy(dbos.WorkflowIDReusePolicyReject))
		if err != nil {
			o.mu.Lock()
			delete(o.started, in.workflowID())
			o.mu.Unlock()
		}
		switch {
		case err == nil:
			room--
		case !errors.Is(err, dbos.ErrWorkflowIDInUse):
			return err
		}
	}
	return nil
}

// wakeDue queues waiting runs whose wake-up time has come: their model may be back.
func (o *Orchestrator) wakeDue(ctx context.Context) error {
	due, err := o.Journal.Due(ctx, o.Database.Querier(), o.Now(), decidePage)
	if err != nil {
		return err
	}
	for _, id := range due {
		err = errors.Join(err, o.Database.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
			return o.requeue(ctx, q, id)
		}))
		o.nudge()
	}
	return err
}

// requeue lets a waiting run go on in a new segment; the caller nudges once it is committed. A run that does not wait is left alone: its executor looks at
// what it waited for before it would park.
func (o *Orchestrator) requeue(ctx context.Context, q dbtx.Querier, id string) error {
	r, err := o.Journal.Lock(ctx, q, id)
	if err != nil {
		return err
	}
	if r.Status != core.RunWaiting {
		return nil
	}
	r.Status, r.WaitReason, r.WaitDetail, r.WakeAt = core.RunQueued, "", "", nil
	r.Segment++
	_, _, err = o.Journal.Save(ctx, q, r, 0, 0)
	return err
}

func (o *Orchestrator) expireApprovals(ctx context.Context) error {
	expired, err := o.Journal.ExpiredApprovals(ctx, o.Database.Querier(), o.Now(), decidePage)
	if err != nil {
		return err
	}
	for _, a := range expired {
		a.Status, a.DecidedBy = core.ApprovalExpired, "system"
		if _, e := o.settle(ctx, a); e != nil && core.CodeOf(e) != core.CodeConflict {
			err = errors.Join(err, e)
		}
	}
	return err
}

// rescueStranded looks for runs that the record calls queued or running while the engine has ended their workflow: it gave
// up because they crashed the process too often, or could not record the outcome. It also ends sub-runs whose parent
// has ended: a crash came between the two.
func (o *Orchestrator) rescueStranded(ctx context.Context) error {
	segments := map[string]segmentInput{}
	for _, status := range []core.RunStatus{core.RunQueued, core.RunRunning} {
		runs, err := o.Journal.List(ctx, o.Database.Querier(), core.RunFilter{Status: status, Limit: 1000})
		if err != nil {
			return err
		}
		for _, r := range runs {
			if in := (segmentInput{r.ID, r.Segment}); !o.executes(r.ID) {
				segments[in.workflowID()] = in
			}
		}
	}
	orphans, err := o.Journal.Orphans(ctx, o.Database.Querier(), decidePage)
	if err != nil {
		return err
	}
	for _, id := range orphans {
		if _, e := o.Cancel(ctx, id, "system"); e != nil && core.CodeOf(e) != core.CodeConflict {
			return e
		}
	}
	if len(segments) == 0 {
		return nil
	}
	workflows, err := dbos.ListWorkflows(o.engine.ctx, dbos.WithFilterWorkflowIDs(slices.Collect(maps.Keys(segments))...),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return fmt.Errorf("look for stranded runs: %w", err)
	}
	for _, w := range workflows {
		in := segments[w.ID]
		switch w.Status {
		case dbos.WorkflowStatusMaxRecoveryAttemptsExceeded:
			err = errors.Join(err, o.setAside(ctx, in))
		case dbos.WorkflowStatusError, dbos.WorkflowStatusSuccess, dbos.WorkflowStatusCancelled:
			err = errors.Join(err, o.takeUp(ctx, in))
		}
	}
	return err
}

func (o *Orchestrator) executes(run string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.active[run]
	return ok
}

// setAside fails a run that crashed the process too often.
func (o *Orchestrator) setAside(ctx context.Context, in segmentInput) error {
	_, err := o.update(ctx, in.Run, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		if r.Segment != in.Segment || r.Status != core.RunRunning && r.Status != core.RunQueued {
			return nil
		}
		r.EventSeq += eventGap // numbers of what the dead process streamed are not used again
		o.Log.Error("a run crashed the server too often and was set aside", "run", r.ID, "agent", r.Agent, "recoveries", o.cfg.MaxRecoveries)
		o.Observer.RunDeadLettered(r.ID)
		return o.end(ctx, q, r, ending{status: core.RunFailed, cause: core.Errorf(core.CodeInternal,
			"the server crashed %d times while it executed this run, so it was set aside; look at its last step, then resume it", o.cfg.MaxRecoveries)}, nil)
	})
	return err
}

// takeUp queues a run that no executor has.
func (o *Orchestrator) takeUp(ctx context.Context, in segmentInput) error {
	_, err := o.update(ctx, in.Run, func(ctx context.Context, q dbtx.Querier, r *core.RunRecord) error {
		if r.Segment != in.Segment || r.Status != core.RunRunning && r.Status != core.RunQueued || o.executes(in.Run) {
			return nil
		}
		o.Log.Warn("a run had lost its executor and is taken up again", "run", r.ID, "agent", r.Agent)
		r.Status = core.RunQueued
		r.Segment++
		_, _, err := o.Journal.Save(ctx, q, *r, r.EventSeq+eventGap, 0)
		return err
	})
	return err
}
