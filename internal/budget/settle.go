package budget

import (
	"time"

	"github.com/sutazai/sutazai/core"
)

// maxText bounds a name that is counted by, in bytes.
const maxText = 200

// Settle counts a call that has ended and charges what it cost, in full, even where that is more than was reserved. It
// does not wait for the database: the call is in the journal when Settle returns. A reservation that has ended already
// is a call that was settled before, and changes nothing.
func (l *Ledger) Settle(e core.UsageEntry, r *Reservation) {
	if e.Cache == core.CacheHit {
		e.Usage = core.Usage{} // nothing was used
	}
	if e.At.IsZero() {
		e.At = l.now()
	}
	rec := recordOf(e)
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	if r != nil && len(r.holds) > 0 {
		if r.done {
			l.mu.Unlock()
			return
		}
		r.done = true
		rec.charges = l.charge(r, core.Amount{CostMicroUSD: e.Usage.CostMicroUSD, Tokens: e.Usage.Tokens()}.Positive())
	}
	first := l.pending.empty()
	l.seq++
	rec.seq = l.seq
	l.pending.add(rec)
	l.mu.Unlock()
	if err := l.journal.append(rec); err != nil {
		l.journalFailed(err)
	}
	l.stats.settled.Add(1)
	if first {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// charge turns a reservation into what was spent. What exceeds it comes from what else is leased, then from nothing.
func (l *Ledger) charge(r *Reservation, spent core.Amount) []charge {
	l.charges = l.charges[:0]
	over := false
	for _, h := range r.holds {
		a := h.account
		due := a.budget.Limited(spent)
		drawn := due.Min(h.amount)
		over = over || drawn != due
		a.reserved = a.reserved.Sub(h.amount)
		a.free = a.free.Add(h.amount.Sub(drawn))
		more := due.Sub(drawn).Min(a.free)
		a.free = a.free.Sub(more)
		drawn = drawn.Add(more)
		if a.gone {
			continue
		}
		a.unflushed = a.unflushed.Add(drawn)
		l.charges = append(l.charges, charge{a.ref, spent, due.Sub(drawn)})
	}
	if over {
		l.stats.overruns.Add(1)
	}
	return l.charges
}

func recordOf(e core.UsageEntry) record {
	r := record{
		key: core.UsageKey{
			Hour: e.At.Unix() / 3600, Project: clip(e.Caller.Project), Key: clip(e.Caller.Key), Agent: clip(e.Caller.Agent), Model: clip(e.Model), Kind: e.Kind,
		},
		sum: core.UsageSum{Requests: 1, Usage: e.Usage, SavedMicroUSD: e.SavedMicroUSD, TookMS: (e.Took + time.Millisecond/2).Milliseconds()},
	}
	if r.key.Project == "" {
		r.key.Project = core.DefaultProject
	}
	if e.Code != "" {
		r.sum.Errors = 1
	}
	if e.Cache == core.CacheHit {
		r.sum.CacheHits = 1
	}
	return r
}

func clip(s string) string { return s[:min(len(s), maxText)] }
