package budget

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	commitEvery  = 250 * time.Millisecond
	refreshEvery = 2 * time.Second
	retryAfter   = time.Second
	// storeTime bounds one transaction. It does not end with the request that caused it: others wait for its result.
	storeTime = 10 * time.Second
)

// Options are the settings of a Ledger.
type Options struct {
	Dir     string // data folder of this process alone: two must not share a journal
	Replica string // name of this process, the same after a restart on the same folder
	Now     func() time.Time
	Logger  *slog.Logger
}

// Ledger keeps the account of model calls. It is safe for concurrent use.
type Ledger struct {
	store   Store
	replica string
	now     func() time.Time
	log     *slog.Logger
	budgets atomic.Pointer[index]
	none    *Reservation // of callers without a budget
	stats   counters

	order   sync.Mutex // held while a call is numbered, counted and journalled; taken before mu
	journal *journal
	charges []charge // of the call that is being settled

	mu       sync.Mutex
	seq      int64 // of the last call; changed under order too
	pending  *batch
	accounts map[accountKey]*account // all that hold something
	current  map[string]*account     // by budget: the one of the window that now is

	turn       chan struct{} // holds a token while somebody talks to the store; guards what follows
	committing *batch        // the calls whose commit is not known to have succeeded; nil = none
	contested  time.Time     // since when contested windows have not been looked for

	wake     chan struct{} // there are calls to commit
	quit     context.CancelFunc
	stopped  chan struct{}
	lastWarn atomic.Int64 // when a failure was last logged, in Unix seconds
}

type counters struct{ settled, journalErrors, commitErrors, overruns, refused atomic.Int64 }

// Stats counts what has happened since the start.
type Stats struct {
	Settled       int64 // calls
	JournalErrors int64 // failures of the journal: a crash before the next commit would have lost calls
	CommitErrors  int64 // commits that failed; they are tried again
	Overruns      int64 // calls that cost more than was reserved for them
	Refused       int64 // calls that a budget refused
}

// Open counts the calls that a crash left in the journal, frees the leases of the earlier process and starts to commit
// in the background until Close.
func Open(ctx context.Context, s Store, o Options) (*Ledger, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Ledger{
		store: s, replica: o.Replica, now: o.Now, log: o.Logger, none: &Reservation{}, journal: newJournal(o.Dir), pending: newBatch(),
		accounts: map[accountKey]*account{}, current: map[string]*account{}, turn: make(chan struct{}, 1), contested: o.Now(),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	if err := l.replay(ctx); err != nil {
		return nil, err
	}
	budgets, err := s.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	l.budgets.Store(newIndex(budgets))
	life, quit := context.WithCancel(context.WithoutCancel(ctx))
	l.quit = quit
	go l.run(life)
	return l, nil
}

// replay commits what the journal holds beyond what has been committed.
func (l *Ledger) replay(ctx context.Context) error {
	done, err := l.store.Journalled(ctx, l.replica)
	if err != nil {
		return err
	}
	l.seq = done
	left := newBatch()
	torn, err := l.journal.read(func(r record) {
		if r.seq > l.seq {
			l.seq = r.seq
			left.add(r)
		}
	})
	if err != nil {
		return core.Wrap(core.CodeInvalid, err, "cannot read %s, which holds calls that are not counted yet; check its permissions", l.journal.path)
	}
	if torn > 0 {
		l.log.Warn("the usage journal ends in the middle of a record, which is skipped", "bytes", torn)
	}
	if !left.empty() {
		c := core.LedgerCommit{Replica: l.replica, From: left.from, To: left.to, Usage: left.records(), Budgets: l.changes(left, nil), Now: l.now(), LeaseUntil: l.now()}
		if _, err := l.store.Commit(ctx, c); err != nil {
			return err
		}
		l.log.Info("calls of the usage journal counted that a crash had left", "calls", left.to-left.from+1)
	}
	if err := l.store.FreeLeases(ctx, l.replica); err != nil {
		return err
	}
	if err := l.journal.open(); err != nil {
		l.journalFailed(err)
		return nil
	}
	if err := l.journal.reset(); err != nil {
		l.journalFailed(err)
	}
	return nil
}

// run commits and refreshes until ctx ends.
func (l *Ledger) run(ctx context.Context) {
	defer close(l.stopped)
	refresh := time.NewTicker(refreshEvery)
	defer refresh.Stop()
	commit := time.NewTimer(0)
	commit.Stop()
	defer commit.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			commit.Reset(commitEvery)
		case <-commit.C:
			if l.Flush(ctx) != nil && ctx.Err() == nil {
				commit.Reset(retryAfter)
			}
		case <-refresh.C:
			if err := l.Refresh(ctx); err != nil && ctx.Err() == nil {
				l.warn("budgets could not be refreshed; it is tried again", err)
			}
		}
	}
}

// Close commits what is left, gives the leases back and ends the background work. Calls must have ended before.
func (l *Ledger) Close() error {
	l.quit()
	<-l.stopped
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	err := l.flush(ctx, func(*account, time.Time) bool { return true })
	l.order.Lock()
	defer l.order.Unlock()
	if err != nil {
		// The journal keeps the calls for the next start.
		return fmt.Errorf("commit the last calls: %w", joinClose(err, l.journal))
	}
	l.mu.Lock()
	all := l.pending.empty()
	l.mu.Unlock()
	if all {
		err = l.journal.reset()
	}
	return joinClose(err, l.journal)
}

// Stats returns the counters.
func (l *Ledger) Stats() Stats {
	c := &l.stats
	return Stats{c.settled.Load(), c.journalErrors.Load(), c.commitErrors.Load(), c.overruns.Load(), c.refused.Load()}
}

// Budgets returns every budget with its current window, in the order of names.
func (l *Ledger) Budgets(ctx context.Context) ([]core.BudgetState, error) {
	return l.store.BudgetStates(ctx, l.now())
}

// SetBudget makes or changes a budget. CodeInvalid: it makes no sense.
func (l *Ledger) SetBudget(ctx context.Context, b core.Budget) (core.Budget, error) {
	if err := b.Check(); err != nil {
		return b, err
	}
	b, err := l.store.PutBudget(ctx, b, l.now())
	if err != nil {
		return b, err
	}
	return b, l.Refresh(ctx)
}

// RemoveBudget ends a budget; CodeNotFound when there is none.
func (l *Ledger) RemoveBudget(ctx context.Context, id string) (core.Budget, error) {
	b, err := l.store.RemoveBudget(ctx, id)
	if err != nil {
		return b, err
	}
	return b, l.Refresh(ctx)
}

// enter takes the turn to talk to the store about calls and leases.
func (l *Ledger) enter(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return core.Wrap(core.CodeCancelled, ctx.Err(), "the call ended while it waited for its budget")
	}
}

func (l *Ledger) leave() { <-l.turn }

func (l *Ledger) journalFailed(err error) {
	l.stats.journalErrors.Add(1)
	l.warn("the usage journal cannot be written: a crash before the next commit would lose calls", err)
}

// warn logs a failure that may come with every call at most once a minute.
func (l *Ledger) warn(what string, err error) {
	now := time.Now().Unix()
	if last := l.lastWarn.Load(); now-last >= 60 && l.lastWarn.CompareAndSwap(last, now) {
		l.log.Error(what, "error", err)
	}
}
