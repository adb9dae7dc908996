package budget

import (
	"context"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Estimate is the most that a call may cost and use.
type Estimate = core.Amount

// Reservation holds a part of every budget of a caller for one call. It ends with Settle or Release.
type Reservation struct {
	holds []hold
	room  [2]hold // of holds, where they are few
	done  bool    // Ledger.mu guards it
}

// Limited says whether some budget holds a part of the estimate.
func (r *Reservation) Limited() bool { return len(r.holds) > 0 }

type hold struct {
	account *account
	amount  core.Amount // of what the budget limits
}

// Reserve holds the estimate in every budget of the caller, or in none: CodeLimit names the budget that has too little,
// how much is left and when its window ends. Codes: CodeLimit, CodeCancelled, CodeUnavailable where the database does
// not answer and nothing is leased. A caller without a budget costs neither a lock nor the database.
func (l *Ledger) Reserve(ctx context.Context, c core.Caller, e Estimate) (*Reservation, error) {
	var room [4]*core.Budget
	budgets := l.budgets.Load().match(c, room[:0])
	if len(budgets) == 0 {
		return l.none, nil
	}
	e = e.Positive()
	r := &Reservation{}
	r.holds = r.room[:0]
	now := l.now()
	l.mu.Lock()
	short := l.take(r, budgets, e, now, false)
	if short == nil {
		l.mu.Unlock()
		return r, nil
	}
	if err := l.knownRefusal(short, e, now); err != nil {
		l.mu.Unlock()
		return nil, err
	}
	queued := make([]hold, 0, len(budgets))
	for _, b := range budgets {
		q := hold{l.account(b, now), b.Limited(e)}
		q.account.waiting = q.account.waiting.Add(q.amount)
		queued = append(queued, q)
	}
	l.mu.Unlock()
	err := l.lease(ctx, r, c, e)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range queued {
		q.account.waiting = q.account.waiting.Sub(q.amount)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// lease waits for its turn to ask the store for more, unless what another call asked for is enough. Calls that come
// meanwhile wait too, so that what is granted for this one is still there.
func (l *Ledger) lease(ctx context.Context, r *Reservation, c core.Caller, e core.Amount) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	for range 3 { // once is enough, unless a window ends or a budget changes meanwhile
		budgets := l.budgets.Load().match(c, nil)
		now := l.now()
		l.mu.Lock()
		short := l.take(r, budgets, e, now, true)
		var err error
		if short != nil {
			err = l.knownRefusal(short, e, now)
		}
		asks := map[accountKey]core.BudgetChange{}
		if short != nil && err == nil {
			for _, b := range budgets {
				a := l.account(b, now)
				if need := b.Limited(e); !need.Within(a.free) || a.stale(now) {
					asks[keyOf(a.ref)] = a.ask(need, now)
				}
			}
		}
		l.mu.Unlock()
		if short == nil || err != nil {
			return err
		}
		if err := l.exchange(ctx, false, asks); err != nil {
			return err
		}
	}
	return core.Errorf(core.CodeUnavailable, "the budgets of this call are being changed; try again")
}

// take holds the estimate in every budget, or returns an account that has too little or, unless it is this call's turn,
// one for which others wait. l.mu is held.
func (l *Ledger) take(r *Reservation, budgets []*core.Budget, e core.Amount, now time.Time, myTurn bool) *account {
	r.holds = r.holds[:0]
	for _, b := range budgets {
		a, amount := l.account(b, now), b.Limited(e)
		a.used = now
		mustWait := !myTurn && amount != (core.Amount{}) && a.waiting != (core.Amount{})
		if !amount.Within(a.free) || mustWait || a.stale(now) {
			return a
		}
		r.holds = append(r.holds, hold{a, amount})
	}
	for _, h := range r.holds {
		h.account.free = h.account.free.Sub(h.amount)
		h.account.reserved = h.account.reserved.Add(h.amount)
	}
	return nil
}

// account returns the account of the budget's window at now. A clock that is set back does not reopen a window.
func (l *Ledger) account(b *core.Budget, now time.Time) *account {
	if a := l.current[b.ID]; a != nil && a.ref.Made.Equal(b.CreatedAt) && !a.ended(now) {
		return a
	}
	start, end := b.Window.Bounds(now)
	a := &account{ref: core.BudgetRef{ID: b.ID, Made: b.CreatedAt, Window: start}, budget: b, end: end, renewed: now}
	if old := l.accounts[keyOf(a.ref)]; old != nil {
		a = old
	}
	l.current[b.ID] = a
	l.accounts[keyOf(a.ref)] = a
	return a
}

// knownRefusal refuses a call that needs more than a request was refused a moment ago. l.mu is held.
func (l *Ledger) knownRefusal(a *account, e core.Amount, now time.Time) error {
	need := a.budget.Limited(e)
	if a.refused.IsZero() || now.Sub(a.refused) >= refuseFor || need.Sub(a.free).Positive().Within(a.left) {
		return nil
	}
	l.stats.refused.Add(1)
	return refusal(a, need, now)
}

func refusal(a *account, need core.Amount, now time.Time) error {
	left := a.budget.Limited(a.left.Add(a.free))
	what := fmt.Sprintf("%s of %s are left and this call may cost %s", dollars(left.CostMicroUSD), dollars(a.budget.Limit.CostMicroUSD), dollars(need.CostMicroUSD))
	if need.CostMicroUSD <= left.CostMicroUSD {
		what = fmt.Sprintf("%d of %d tokens are left and this call may use %d", left.Tokens, a.budget.Limit.Tokens, need.Tokens)
	}
	e := core.Errorf(core.CodeLimit, "the budget %q stops this call: %s", a.ref.ID, what)
	if !a.end.IsZero() {
		e.Message += "; it begins anew at " + a.end.Format("2006-01-02 15:04 UTC")
		e.RetryAfter = a.end.Sub(now)
	}
	if a.others {
		e.Message += "; other servers hold a part of it for calls of theirs, so that trying again in a few seconds may help"
		e.RetryAfter = 2 * refreshEvery
	}
	return e
}

func dollars(micro int64) string { return fmt.Sprintf("$%d.%06d", micro/1e6, micro%1e6) }

// Release gives back what was reserved for a call that cost nothing and is not to be counted.
func (l *Ledger) Release(r *Reservation) {
	if r == nil || len(r.holds) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.done {
		return
	}
	r.done = true
	for _, h := range r.holds {
		h.account.reserved = h.account.reserved.Sub(h.amount)
		h.account.free = h.account.free.Add(h.amount)
	}
}
