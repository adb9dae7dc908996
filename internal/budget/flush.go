package budget

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Flush commits the calls that were settled before and gives back what was leased and is idle.
func (l *Ledger) Flush(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return l.flush(ctx, idle)
}

// Refresh takes over budgets that were changed, also by other servers, and gives back what others need or is idle.
func (l *Ledger) Refresh(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	budgets, err := l.store.Budgets(ctx)
	if err != nil {
		return err
	}
	l.adopt(newIndex(budgets))
	wanted, err := l.wanted(ctx)
	if err != nil {
		return err
	}
	return l.flush(ctx, func(a *account, now time.Time) bool { return idle(a, now) || wanted[keyOf(a.ref)] })
}

// adopt replaces the budgets and tells the accounts.
func (l *Ledger) adopt(x *index) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budgets.Store(x)
	for k, a := range l.accounts {
		b := x.byID[a.ref.ID]
		if b == nil || !b.CreatedAt.Equal(a.ref.Made) {
			l.drop(k)
			continue
		}
		if b.Limit != a.budget.Limit {
			a.refused = time.Time{}
			a.dirty = true // the database says by how much the lease exceeds a lower limit
		}
		a.budget = b
	}
}

// drop ends an account whose budget was removed. Calls in flight still point to it.
func (l *Ledger) drop(k accountKey) {
	l.accounts[k].gone = true
	l.forget(k)
}

func (l *Ledger) forget(k accountKey) {
	a := l.accounts[k]
	delete(l.accounts, k)
	if l.current[a.ref.ID] == a {
		delete(l.current, a.ref.ID)
	}
}

// wanted returns the windows whose lease others need.
func (l *Ledger) wanted(ctx context.Context) (map[accountKey]bool, error) {
	l.mu.Lock()
	some := len(l.accounts) > 0
	l.mu.Unlock()
	if !some {
		return nil, nil
	}
	now := l.now()
	// The clocks of servers differ a little; giving back once too often does no harm.
	refs, err := l.store.Contested(ctx, l.replica, l.contested.Add(-refreshEvery))
	if err != nil {
		return nil, err
	}
	l.contested = now
	out := map[accountKey]bool{}
	for _, r := range refs {
		out[keyOf(r)] = true
	}
	return out, nil
}

func idle(a *account, now time.Time) bool { return now.Sub(a.used) >= idleAfter || a.ended(now) }

// flush commits everything that is pending, and takes from each account what is free where giveBack says so. The turn is held.
func (l *Ledger) flush(ctx context.Context, giveBack func(*account, time.Time) bool) error {
	if l.committing != nil { // the same calls must be committed again before others
		if err := l.exchange(ctx, false, nil); err != nil {
			return err
		}
	}
	now := l.now()
	l.mu.Lock()
	work := !l.pending.empty()
	for k, a := range l.accounts {
		if a.free != (core.Amount{}) && giveBack(a, now) {
			a.free, a.dirty = core.Amount{}, true
		}
		if a.held() != (core.Amount{}) && now.Sub(a.renewed) >= renewAfter {
			a.dirty = true
		}
		if !a.dirty && a.ended(now) && a.held() == (core.Amount{}) {
			l.forget(k)
		}
		work = work || a.dirty
	}
	l.mu.Unlock()
	if !work {
		return nil
	}
	return l.exchange(ctx, true, nil)
}

// exchange is the one conversation with the store: it commits calls (those whose commit has failed, or, where freeze
// says so, those that are pending), writes every lease that changed and asks for more. The turn is held.
func (l *Ledger) exchange(ctx context.Context, freeze bool, asks map[accountKey]core.BudgetChange) error {
	if freeze && l.committing == nil {
		l.freeze()
	}
	now := l.now()
	c := core.LedgerCommit{Replica: l.replica, Now: now, LeaseUntil: now.Add(leaseTTL)}
	l.mu.Lock()
	if b := l.committing; b != nil {
		c.From, c.To, c.Usage = b.from, b.to, b.records()
	}
	c.Budgets = l.changes(l.committing, asks)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	grants, err := l.store.Commit(ctx, c)
	if err != nil {
		l.stats.commitErrors.Add(1)
		l.warn("usage could not be committed; it is tried again", err)
		l.unsure(c.Budgets)
		return err
	}
	gone := l.granted(c.Budgets, grants, asks)
	if l.committing != nil {
		l.committing = nil
		l.order.Lock()
		if err := l.journal.committed(c.To); err != nil {
			l.journalFailed(err)
		}
		l.order.Unlock()
	}
	if !gone {
		return nil
	}
	budgets, err := l.store.Budgets(ctx)
	if err != nil {
		return err
	}
	l.adopt(newIndex(budgets))
	return nil
}

// freeze takes the pending calls to be committed.
func (l *Ledger) freeze() {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	if !l.pending.empty() {
		l.committing, l.pending = l.pending, newBatch()
		for _, a := range l.accounts {
			a.unflushed = core.Amount{}
		}
	}
	last := l.seq
	l.mu.Unlock()
	if err := l.journal.rotate(last); err != nil {
		l.journalFailed(err)
	}
}

// changes lists what is to be written of each account. l.mu is held.
func (l *Ledger) changes(b *batch, asks map[accountKey]core.BudgetChange) []core.BudgetChange {
	list := maps.Clone(asks)
	if list == nil {
		list = map[accountKey]core.BudgetChange{}
	}
	if b != nil {
		for k, c := range b.charges {
			v := list[k]
			v.BudgetRef, v.Spent, v.Uncovered = c.ref, c.spent, c.uncovered
			list[k] = v
		}
	}
	for k, a := range l.accounts {
		v, asked := list[k]
		if asked || a.dirty {
			v.BudgetRef, v.Held = a.ref, a.held()
			list[k] = v
		}
	}
	return slices.SortedFunc(maps.Values(list), func(x, y core.BudgetChange) int { return x.Compare(y.BudgetRef) })
}

// unsure marks the accounts of which it is not known what the database believes.
func (l *Ledger) unsure(changes []core.BudgetChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		if a := l.accounts[keyOf(c.BudgetRef)]; a != nil {
			a.dirty = true
		}
	}
}

// granted takes over what the store answered, and says whether a budget is gone that this process still knew.
func (l *Ledger) granted(changes []core.BudgetChange, grants []core.BudgetGrant, asks map[accountKey]core.BudgetChange) (gone bool) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, g := range grants {
		k := keyOf(changes[i].BudgetRef)
		a := l.accounts[k]
		if a == nil {
			continue
		}
		if g.Gone {
			l.drop(k)
			gone = true
			continue
		}
		a.dirty, a.renewed = false, now
		a.free = a.free.Add(g.Granted)
		if cut := g.Over.Min(a.free).Positive(); cut != (core.Amount{}) {
			a.free, a.dirty = a.free.Sub(cut), true
		}
		if _, asked := asks[k]; asked {
			a.refused = time.Time{}
			if need := a.budget.Limited(changes[i].Need); !need.Within(g.Granted) {
				a.refused, a.left, a.others = now, g.Available, g.Others
			}
		}
	}
	return gone
}

func joinClose(err error, j *journal) error { return errors.Join(err, j.close()) }
