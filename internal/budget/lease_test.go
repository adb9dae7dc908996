package budget_test

import (
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func refresh(t *testing.T, ledgers ...*budget.Ledger) {
	t.Helper()
	for _, l := range ledgers {
		if err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatOneServerHoldsForCallsToComeGoesToOneThatNeedsIt(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		store := database.NewBudgets(db)
		a, b := closing(t, c.open(t, store, t.TempDir(), "a")), closing(t, c.open(t, store, t.TempDir(), "b"))
		set(t, a, dayBudget(usd(10_000)))
		refresh(t, b)
		a.Release(reserve(t, a, team, usd(100)))
		held := state(t, a, "team-day").Leased.CostMicroUSD
		if held <= 100 {
			t.Fatalf("nothing is leased for calls to come: %d", held)
		}
		refused(t, b, team, usd(10_000), "other servers hold a part", "$0.009")
		refresh(t, a)
		c.advance(2 * time.Second)
		b.Release(reserve(t, b, team, usd(10_000)))
		refused(t, a, team, usd(1), "other servers hold a part")
		refresh(t, b)
		c.advance(2 * time.Second)
		reserve(t, a, team, usd(1))
	})
}

func TestIdleLeasesGoBack(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		l := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, l, dayBudget(usd(10_000)))
		r := reserve(t, l, team, usd(100))
		c.advance(9 * time.Second)
		refresh(t, l)
		if s := state(t, l, "team-day"); s.Leased.CostMicroUSD <= 100 {
			t.Errorf("given back too early: %+v", s)
		}
		c.advance(time.Second)
		refresh(t, l)
		if s := state(t, l, "team-day"); s.Leased.CostMicroUSD != 100 {
			t.Errorf("a call is in flight, and %+v", s)
		}
		l.Release(r)
		refresh(t, l)
		if s := state(t, l, "team-day"); s.Leased.CostMicroUSD != 0 {
			t.Errorf("nothing is in flight, and %+v", s)
		}
	})
}

func TestChangedBudgetsHoldOnEveryServer(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		store := database.NewBudgets(db)
		a, b := closing(t, c.open(t, store, t.TempDir(), "a")), closing(t, c.open(t, store, t.TempDir(), "b"))
		reserve(t, b, team, usd(1<<40))
		set(t, a, dayBudget(usd(1000)))
		refresh(t, b)
		first := reserve(t, b, team, usd(600))
		set(t, a, dayBudget(usd(500))) // lower than what is in use
		refresh(t, b)
		c.advance(2 * time.Second)
		refused(t, b, team, usd(1))
		b.Settle(entry(team, c.now(), 450), first)
		refresh(t, b)
		c.advance(2 * time.Second)
		reserve(t, b, team, usd(50))
		refused(t, b, team, usd(1))
		set(t, a, dayBudget(usd(2000)))
		refresh(t, b)
		reserve(t, b, team, usd(1500))
		if _, err := a.RemoveBudget(t.Context(), "team-day"); err != nil {
			t.Fatal(err)
		}
		reserve(t, b, team, usd(5000)) // b learns by asking that it is gone
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.SetBudget(t.Context(), core.Budget{ID: "Odd Name", Scope: "nobody", Window: "year"}); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("a budget without sense: %v", err)
		}
	})
}

func TestTheLeaseOfAServerThatDiedStaysUntilItIsBackOrAnAdministratorActs(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		store := database.NewBudgets(db)
		dir := t.TempDir()
		dead, alive := c.open(t, store, dir, "dead"), closing(t, c.open(t, store, t.TempDir(), "alive"))
		total := dayBudget(usd(1000))
		total.Window = core.WindowTotal
		set(t, dead, total)
		refresh(t, alive)
		dead.Settle(entry(team, c.now(), 300), reserve(t, dead, team, usd(400)))
		dead.Abandon()
		refused(t, alive, team, usd(601))
		c.advance(30 * 24 * time.Hour)
		refused(t, alive, team, usd(601)) // only its journal knows what it has spent
		back := c.open(t, store, dir, "dead")
		if s := state(t, back, "team-day"); s.Spent.CostMicroUSD != 300 || s.Leased.CostMicroUSD != 0 {
			t.Errorf("the server is back, and %+v", s)
		}
		c.advance(2 * time.Second)
		alive.Release(reserve(t, alive, team, usd(700)))
		refresh(t, alive)
		reserve(t, back, team, usd(200))
		back.Abandon()
		c.advance(30 * time.Minute)
		set(t, alive, total)
		refused(t, alive, team, usd(600)) // it may still be there
		c.advance(31 * time.Minute)
		set(t, alive, total)
		reserve(t, alive, team, usd(700))
	})
}

func TestALeaseThatCouldNotBeRenewedIsNotUsed(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		store := &faulty{Store: database.NewBudgets(db)}
		l := closing(t, c.open(t, store, t.TempDir(), "a"))
		set(t, l, dayBudget(usd(1000)))
		held := reserve(t, l, team, usd(500))
		l.Release(reserve(t, l, team, usd(100)))
		store.fail(func(func() error) error { return core.Errorf(core.CodeUnavailable, "the database is away") })
		l.Release(reserve(t, l, team, usd(100)))
		c.advance(46 * time.Minute)
		if _, err := l.Reserve(t.Context(), team, usd(100)); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("an administrator may have given the lease to others: %v", err)
		}
		store.fail(nil)
		reserve(t, l, team, usd(100))
		l.Release(held)
	})
}
