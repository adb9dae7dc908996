package budget_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// world is what a budget with several servers should do: its limit, what was settled, and what each call in flight holds.
type world struct {
	t       *rapid.T
	clock   *clock
	store   *database.Budgets
	id      string
	caller  core.Caller
	limit   int64
	settled int64
	calls   int64
	servers []*server
}

type server struct {
	name   string
	dir    string
	ledger *budget.Ledger
	flying []flying
}

type flying struct {
	r      *budget.Reservation
	amount int64
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatalf("%v", err)
	}
}

func (w *world) start(s *server) {
	l, err := budget.Open(w.t.Context(), w.store, budget.Options{Dir: s.dir, Replica: s.name, Now: w.clock.now})
	w.must(err)
	s.ledger, s.flying = l, nil
}

func (w *world) state() core.BudgetState {
	all, err := w.store.BudgetStates(w.t.Context(), w.clock.now())
	w.must(err)
	for _, b := range all {
		if b.ID == w.id {
			return b
		}
	}
	w.t.Fatalf("the budget is gone")
	return core.BudgetState{}
}

func (w *world) server() *server { return rapid.SampledFrom(w.servers).Draw(w.t, "server") }

func (w *world) held() (sum int64) {
	for _, s := range w.servers {
		for _, f := range s.flying {
			sum += f.amount
		}
	}
	return sum
}

func (w *world) reserve(t *rapid.T) {
	s, amount := w.server(), rapid.Int64Range(0, w.limit).Draw(t, "amount")
	if rapid.Bool().Draw(t, "small") {
		amount %= 20
	}
	r, err := s.ledger.Reserve(t.Context(), w.caller, usd(amount))
	switch {
	case err == nil:
		s.flying = append(s.flying, flying{r, amount})
	case core.CodeOf(err) != core.CodeLimit:
		t.Fatalf("reserve: %v", err)
	}
	if w.settled+w.held() > w.limit {
		t.Fatalf("%d settled and %d held exceed the limit %d", w.settled, w.held(), w.limit)
	}
}

// end takes a call in flight of a server, if there is one.
func (w *world) end(t *rapid.T) (*server, flying) {
	s := w.server()
	if len(s.flying) == 0 {
		t.Skip("nothing is in flight")
	}
	i := rapid.IntRange(0, len(s.flying)-1).Draw(t, "call")
	f := s.flying[i]
	s.flying = append(s.flying[:i:i], s.flying[i+1:]...)
	return s, f
}

func (w *world) settle(t *rapid.T) {
	s, f := w.end(t)
	cost := rapid.Int64Range(0, f.amount).Draw(t, "cost")
	s.ledger.Settle(entry(w.caller, w.clock.now(), cost), f.r)
	w.settled += cost
	w.calls++
}

func (w *world) check(t *rapid.T) {
	s := w.state()
	if s.Spent.CostMicroUSD+s.Leased.CostMicroUSD > w.limit || s.Overspent != (core.Amount{}) || s.Spent.CostMicroUSD > w.settled {
		t.Fatalf("%+v, settled %d", s, w.settled)
	}
}

// finish ends every call, and uses the budget up.
func (w *world) finish() {
	for _, s := range w.servers {
		for _, f := range s.flying {
			s.ledger.Release(f.r)
		}
		s.flying = nil
	}
	w.clock.advance(time.Minute)
	for _, s := range w.servers {
		w.must(s.ledger.Refresh(w.t.Context()))
	}
	if s := w.state(); s.Spent.CostMicroUSD != w.settled || s.Leased != (core.Amount{}) {
		w.t.Fatalf("nothing is in flight: %+v, settled %d", s, w.settled)
	}
	s := w.servers[0]
	for w.settled < w.limit {
		cost := min(7, w.limit-w.settled)
		r, err := s.ledger.Reserve(w.t.Context(), w.caller, usd(cost))
		w.must(err)
		s.ledger.Settle(entry(w.caller, w.clock.now(), cost), r)
		w.settled += cost
	}
	if _, err := s.ledger.Reserve(w.t.Context(), w.caller, usd(1)); core.CodeOf(err) != core.CodeLimit {
		w.t.Fatalf("a budget that is used up gives more: %v", err)
	}
	for _, s := range w.servers {
		w.must(s.ledger.Close())
	}
	if s := w.state(); s.Spent.CostMicroUSD != w.limit || s.Leased != (core.Amount{}) || s.Overspent != (core.Amount{}) {
		w.t.Fatalf("at the end: %+v", s)
	}
}

// mostChecks bounds how often everything may happen: each time costs dozens of commits that wait for the disk.
const mostChecks = 30

func TestWhateverHappensNoBudgetIsOverspentAndNothingLeaks(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			if n++; n > mostChecks {
				return
			}
			w := &world{
				t: rt, clock: noon(), store: database.NewBudgets(db), id: fmt.Sprintf("b%d", n),
				caller: core.Caller{Project: fmt.Sprintf("p%d", n)}, limit: rapid.Int64Range(1, 2000).Draw(rt, "limit"),
			}
			b := core.Budget{ID: w.id, Scope: core.BudgetProject, ScopeID: w.caller.Project, Window: core.WindowMonth, Limit: usd(w.limit)}
			_, err := w.store.PutBudget(rt.Context(), b, w.clock.now())
			w.must(err)
			for i := range rapid.IntRange(1, 3).Draw(rt, "servers") {
				dir, err := os.MkdirTemp(t.TempDir(), "")
				w.must(err)
				s := &server{name: fmt.Sprintf("r%d-%d", n, i), dir: dir}
				w.start(s)
				w.servers = append(w.servers, s)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"reserve": w.reserve,
				"settle":  w.settle,
				"release": func(t *rapid.T) { s, f := w.end(t); s.ledger.Release(f.r) },
				"flush":   func(t *rapid.T) { w.must(w.server().ledger.Flush(t.Context())) },
				"refresh": func(t *rapid.T) { w.must(w.server().ledger.Refresh(t.Context())) },
				"time": func(t *rapid.T) {
					w.clock.advance(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "passes")))
				},
				"crash": func(*rapid.T) {
					s := w.server()
					s.ledger.Abandon()
					w.start(s)
				},
				"restart": func(*rapid.T) {
					s := w.server()
					for _, f := range s.flying {
						s.ledger.Release(f.r)
					}
					w.must(s.ledger.Close())
					w.start(s)
				},
				"raise": func(t *rapid.T) {
					w.limit += rapid.Int64Range(0, 100).Draw(t, "more")
					b.Limit = usd(w.limit)
					_, err := w.server().ledger.SetBudget(t.Context(), b)
					w.must(err)
				},
				"": w.check,
			})
			w.finish()
		})
	})
}
