package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	eventPage = 500
	// watchPoll is how often a watcher looks at the database although nothing was heard: a run may be executed by
	// another replica.
	watchPoll = 2 * time.Second
)

// Run returns a run.
func (o *Orchestrator) Run(ctx context.Context, id string) (core.Run, error) {
	r, err := o.Journal.Get(ctx, o.Database.Querier(), id)
	return shown(r), err
}

// shown is what the outside sees of a record.
func shown(r core.RunRecord) core.Run {
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	if r.Files == nil {
		r.Files = []string{}
	}
	return r.Run
}

// Runs lists runs, newest first; next is the id to give as Before for the following page, or "".
func (o *Orchestrator) Runs(ctx context.Context, f core.RunFilter) (items []core.Run, next string, err error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, 500)
	records, err := o.Journal.List(ctx, o.Database.Querier(), f)
	if err != nil {
		return nil, "", err
	}
	items = []core.Run{}
	for i, r := range records {
		if i == f.Limit {
			next = items[i-1].ID
			break
		}
		items = append(items, shown(r))
	}
	return items, next, nil
}

// Steps returns the steps of a run.
func (o *Orchestrator) Steps(ctx context.Context, run string) ([]core.Step, error) {
	if _, err := o.Journal.Get(ctx, o.Database.Querier(), run); err != nil {
		return nil, err
	}
	steps, err := o.Journal.Steps(ctx, o.Database.Querier(), run)
	for i := range steps {
		if steps[i].Attempts == nil {
			steps[i].Attempts = []core.Attempt{}
		}
	}
	return steps, err
}

// Messages returns the conversation of a run.
func (o *Orchestrator) Messages(ctx context.Context, run string) ([]core.Message, error) {
	if _, err := o.Journal.Get(ctx, o.Database.Querier(), run); err != nil {
		return nil, err
	}
	return o.Journal.Messages(ctx, o.Database.Querier(), run, 0)
}

// ActiveByAgent counts the runs of each agent that have not ended.
func (o *Orchestrator) ActiveByAgent(ctx context.Context) (map[string]int, error) {
	return o.Journal.ActiveByAgent(ctx, o.Database.Querier())
}

// CountSince counts the runs made since a time, by status.
func (o *Orchestrator) CountSince(ctx context.Context, from time.Time) (map[core.RunStatus]int, error) {
	return o.Journal.CountSince(ctx, o.Database.Querier(), from)
}

// Events yields what happened to a run after event number after, then what happens, until the run ends or ctx does.
func (o *Orchestrator) Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error] {
	return func(yield func(core.Event, error) bool) {
		defer o.hub.Open(run)()
		poll := time.NewTicker(watchPoll)
		defer poll.Stop()
		seen, look := 0, true
		for {
			view := o.hub.Watch(run, after)
			var (
				stored []core.Event
				err    error
			)
			look = look || view.Stores != seen
			for look {
				if stored, err = o.eventsAfter(ctx, run, after); err != nil {
					yield(core.Event{}, err)
					return
				}
				// What is live must be what it was around the reading: an event that was stored in between would be in neither.
				before := view.Stores
				view = o.hub.Watch(run, after)
				if seen = view.Stores; seen == before {
					break
				}
			}
			for _, e := range merge(stored, view.Live) {
				if e.N >= view.Below {
					break
				}
				after = e.N
				if !yield(e, nil) {
					return
				}
			}
			if look {
				if ended, err := o.endedAt(ctx, run, after); ended || err != nil {
					if err != nil {
						yield(core.Event{}, err)
					}
					return
				}
			}
			select {
			case <-view.Changed:
				look = view.Below != math.MaxInt64 // what was held back may have to be read again
			case <-poll.C:
				look = true
			case <-ctx.Done():
				return
			}
		}
	}
}

// endedAt says whether a run has ended and its watcher has seen everything.
func (o *Orchestrator) endedAt(ctx context.Context, run string, after int64) (bool, error) {
	r, err := o.Journal.Get(ctx, o.Database.Querier(), run)
	return err == nil && r.Status.Final() && r.EventSeq <= after, err
}

// merge puts stored and live events in order. A live event that has been stored meanwhile is the same one.
func merge(stored, live []core.Event) []core.Event {
	out := append(stored, live...)
	slices.SortStableFunc(out, func(a, b core.Event) int { return cmp.Compare(a.N, b.N) })
	return slices.CompactFunc(out, func(a, b core.Event) bool { return a.N == b.N })
}

// eventsAfter reads stored events and what they are about.
func (o *Orchestrator) eventsAfter(ctx context.Context, run string, after int64) ([]core.Event, error) {
	q := o.Database.Querier()
	var out []core.Event
	for {
		page, err := o.Journal.Events(ctx, q, run, after, eventPage)
		if err != nil {
			return nil, err
		}
		expanded, err := o.expand(ctx, run, page)
		if err != nil {
			return nil, err
		}
		out = append(out, expanded...)
		if len(page) < eventPage {
			return out, nil
		}
		after = page[len(page)-1].N
	}
}

// expand reads the messages, steps and approvals that events refer to.
func (o *Orchestrator) expand(ctx context.Context, run string, page []core.StoredEvent) ([]core.Event, error) {
	out := make([]core.Event, 0, len(page))
	var (
		record   *core.Run
		messages []core.Message
	)
	for _, s := range page {
		e := core.Event{Run: run, N: s.N, Type: s.Type, At: s.At}
		var err error
		switch s.Type {
		case core.EventMessageCompleted:
			if messages == nil {
				if messages, err = o.messagesFrom(ctx, run, s.Ref); err != nil {
					return nil, err
				}
			}
			e.Message, err = pick(messages, s.Ref)
		case core.EventStepStarted, core.EventStepCompleted:
			e.Step, err = o.stepAt(ctx, run, s)
		case core.EventApprovalRequested, core.EventApprovalDecided:
			var a core.Approval
			a, err = o.Approval(ctx, s.Ref)
			e.Approval = &a
		default:
			if record == nil {
				var r core.Run
				r, err = o.Run(ctx, run)
				record = &r
			}
			e.RunData = asOf(*record, s.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("event %s-%d: %w", run, s.N, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// asOf is the run as an event tells of it. Its start does not tell how it ended.
func asOf(r core.Run, t core.EventType) *core.Run {
	if t == core.EventRunStarted {
		r.Status, r.FinishedAt, r.Output, r.Error = core.RunRunning, nil, "", nil
		r.WaitReason, r.WaitDetail, r.WakeAt = "", "", nil
	}
	return &r
}

func (o *Orchestrator) messagesFrom(ctx context.Context, run, ref string) ([]core.Message, error) {
	index, err := strconv.Atoi(ref)
	if err != nil {
		return nil, err
	}
	return o.Journal.Messages(ctx, o.Database.Querier(), run, index)
}

func pick(messages []core.Message, ref string) (*core.Message, error) {
	index, err := strconv.Atoi(ref)
	if err != nil {
		return nil, err
	}
	i, ok := slices.BinarySearchFunc(messages, index, func(m core.Message, i int) int { return cmp.Compare(m.Index, i) })
	if !ok {
		return nil, core.Errorf(core.CodeNotFound, "there is no message %d", index)
	}
	return &messages[i], nil
}

// stepAt is the step that an event is about. For its start, what was known then: not how it ended.
func (o *Orchestrator) stepAt(ctx context.Context, run string, s core.StoredEvent) (*core.Step, error) {
	index, err := strconv.Atoi(s.Ref)
	if err != nil {
		return nil, err
	}
	st, err := o.Journal.Step(ctx, o.Database.Querier(), run, index)
	if err == nil && s.Type == core.EventStepStarted {
		st.Status, st.FinishedAt, st.OutputRef, st.Error, st.Usage = core.StepRunning, nil, "", "", core.Usage{}
	}
	return &st, err
}
