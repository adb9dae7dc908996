package a2a

import (
	"context"
	"errors"
	"slices"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// errUnknown is the cause of errors after which nobody knows what became of the turn.
var errUnknown = errors.New("the outcome of the turn is not known")

// failed gives an error the code by which the caller knows what it may do: with CodeTimeout, and with CodeConflict after an
// interruption, the turn may or may not have had its effect. That is recorded: the next attempt is one that somebody wants.
func (t *turn) failed(ctx context.Context, err error) error {
	code := core.CodeOf(err)
	unknown := code == core.CodeTimeout || errors.Is(err, errUnknown)
	if code == core.CodeUnavailable && t.s.Turn == t.call.IdempotencyKey && t.s.Task == "" && t.got != nil {
		unknown = true // it broke off before the peer said which task it is
	}
	if !unknown || t.s.Turn != t.call.IdempotencyKey {
		return err
	}
	t.s.Told = true
	if e := t.record(context.WithoutCancel(ctx)); e != nil {
		return errors.Join(err, e)
	}
	as := core.CodeTimeout
	if t.call.Interrupted {
		as = core.CodeConflict
	}
	return core.Wrap(as, err, "%s", core.MessageOf(err))
}

// resume takes up a turn whose message may have been sent. It is sent again only where the peer shows that it never came.
func (t *turn) resume(ctx context.Context) (*a2a.Task, error) {
	t.got = newProgress(t.ev.Delta)
	t.sent = 1
	if t.s.Task == "" {
		if err := t.find(ctx); err != nil {
			return nil, err
		}
	}
	task, err := t.look(ctx)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, t.lost()
	}
	if err != nil {
		return nil, err
	}
	if t.s.Open && resting(task.Status.State) && !task.Status.State.Terminal() && task.Status.Message != nil && t.s.Asked != "" && task.Status.Message.ID == t.s.Asked {
		t.sent = 0
		return t.begin(ctx) // it still asks the very same: our answer never came
	}
	if err := t.see(ctx, task); err != nil {
		return nil, err
	}
	if t.got.rests() {
		return t.got.task, nil
	}
	if !t.conn.card.Capabilities.Streaming {
		return t.poll(ctx)
	}
	ctx, e := t.expect(ctx, "Event")
	err = t.follow(ctx, e, t.conn.client.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: t.s.Task}))
	if ctx.Err() != nil {
		return nil, err
	}
	if t.got.rests() {
		return t.got.task, nil
	}
	return t.poll(ctx)
}

// find looks for the task that the turn's message led to.
func (t *turn) find(ctx context.Context) error {
	if t.conn.version != a2acheck.V10 {
		return t.lost() // that version cannot list
	}
	ctx, e := t.expect(ctx, "Tasks")
	all := 1000
	list, err := t.conn.client.ListTasks(ctx, &a2a.ListTasksRequest{ContextID: t.s.Context, PageSize: 50, HistoryLength: &all})
	if err != nil {
		if err := t.p.explain(ctx, e, err); core.CodeOf(err) == core.CodeUnavailable || ctx.Err() != nil {
			return err
		}
		return t.lost()
	}
	for _, task := range list.Tasks {
		if task != nil && slices.ContainsFunc(task.History, func(m *a2a.Message) bool { return m != nil && m.ID == t.s.Message }) {
			t.s.Task, t.s.Context, t.s.Open = task.ID, task.ContextID, false
			return t.record(ctx)
		}
	}
	return t.lost()
}

func (t *turn) lost() error {
	return core.Wrap(core.CodeConflict, errUnknown, "the peer %s knows nothing of the turn that was cut off; it may or may not have had its effect", t.p.o.Name)
}

// stop lets the peer know that nobody waits any more.
func (t *turn) stop(ctx context.Context) {
	if t.got == nil || t.got.rests() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer cancel()
	if t.s.Task == "" && t.find(ctx) != nil {
		return // it has not said yet which task it is, and does not tell now
	}
	ctx, e := t.expect(ctx, "Task")
	if _, err := t.conn.client.CancelTask(ctx, &a2a.CancelTaskRequest{ID: t.s.Task}); err != nil {
		t.p.o.Logger.Info("a task of a peer could not be cancelled", "peer", t.p.o.Name, "task", short(string(t.s.Task), 80), "error", core.MessageOf(t.p.explain(ctx, e, err)))
	}
}
