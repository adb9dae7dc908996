package budget

import (
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	// leaseTTL is how long a lease stands after its server was last heard of; renewAfter is when it is renewed, and
	// staleAfter when this process no longer trusts one that it could not renew.
	leaseTTL   = time.Hour
	renewAfter = 10 * time.Minute
	staleAfter = 45 * time.Minute
	// idleAfter is when what was leased for calls to come goes back.
	idleAfter = 10 * time.Second
	// refuseFor is how long it is believed without asking that nothing came free.
	refuseFor = time.Second
	// busy is how soon after a lease the next one counts as too soon, so that more is asked for.
	busy = 2 * time.Second
)

// accountKey names an account. (A time.Time in a map's key would also compare its zone.)
type accountKey struct {
	id           string
	made, window int64
}

func keyOf(r core.BudgetRef) accountKey {
	return accountKey{r.ID, r.Made.UnixMilli(), r.Window.UnixMilli()}
}

// account is this process's part of one window of a budget. Ledger.mu guards it.
type account struct {
	ref       core.BudgetRef
	budget    *core.Budget
	end       time.Time   // of the window; zero = never
	free      core.Amount // leased and not in use
	reserved  core.Amount // for calls in flight
	unflushed core.Amount // taken from the lease by calls that are not committed yet
	waiting   core.Amount // what calls need that wait for a lease
	chunk     core.Amount // what to ask for beyond
	used      time.Time   // when a call last reserved
	asked     time.Time   // when more was last asked for
	renewed   time.Time   // when the database last heard of the lease
	left      core.Amount // what a refused request found, at refused
	others    bool        // so did other servers' leases
	refused   time.Time
	dirty     bool // the database may believe in another lease
	gone      bool // the budget was removed
}

// held is what the lease must be in the database once the frozen calls are committed. Reserving, settling and releasing
// do not change it: only leasing and giving back do.
func (a *account) held() core.Amount { return a.free.Add(a.reserved).Add(a.unflushed) }

func (a *account) ended(now time.Time) bool { return !a.end.IsZero() && !now.Before(a.end) }

func (a *account) stale(now time.Time) bool {
	return now.Sub(a.renewed) > staleAfter && a.held() != core.Amount{}
}

// ask says how much to ask for, for a call that needs so much; the more often, the more.
func (a *account) ask(need core.Amount, now time.Time) core.BudgetChange {
	c := core.BudgetChange{Need: need.Sub(a.free).Positive(), Want: a.waiting.Sub(a.free).Positive()}
	grow := func(chunk, need int64) int64 {
		const most = 1 << 40
		if now.Sub(a.asked) < busy {
			chunk *= 2
		} else {
			chunk /= 2
		}
		return min(max(chunk, 4*min(need, most/4)), most)
	}
	a.chunk = core.Amount{CostMicroUSD: grow(a.chunk.CostMicroUSD, need.CostMicroUSD), Tokens: grow(a.chunk.Tokens, need.Tokens)}
	a.asked = now
	c.Chunk = a.chunk
	return c
}
