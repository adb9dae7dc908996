package budget_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// clock is a clock that only a test moves.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.at.Store(t.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }
func (c *clock) open(t testing.TB, s budget.Store, dir, replica string) *budget.Ledger {
	t.Helper()
	l, err := budget.Open(t.Context(), s, budget.Options{Dir: dir, Replica: replica, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func noon() *clock { return newClock(time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)) }

func closing(t *testing.T, l *budget.Ledger) *budget.Ledger {
	t.Helper()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

var (
	team = core.Caller{Project: "team", Key: "key-1", Agent: "clerk"}
	solo = core.Caller{Project: "other", Key: "key-2"}
)

func dayBudget(limit core.Amount) core.Budget {
	return core.Budget{ID: "team-day", Scope: core.BudgetProject, ScopeID: "team", Window: core.WindowDay, Limit: limit}
}

func usd(micro int64) core.Amount { return core.Amount{CostMicroUSD: micro} }

func entry(c core.Caller, at time.Time, cost int64) core.UsageEntry {
	return core.UsageEntry{
		At: at, Caller: c, Model: "openai/gpt", Kind: core.UsageChat, Cache: core.CacheMiss, Took: 20 * time.Millisecond,
		Usage: core.Usage{InputTokens: cost, OutputTokens: 2 * cost, CostMicroUSD: cost},
	}
}

func set(t *testing.T, l *budget.Ledger, b core.Budget) {
	t.Helper()
	if _, err := l.SetBudget(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// reserve holds an amount or fails the test.
func reserve(t *testing.T, l *budget.Ledger, c core.Caller, a core.Amount) *budget.Reservation {
	t.Helper()
	r, err := l.Reserve(t.Context(), c, a)
	if err != nil {
		t.Fatalf("reserve %+v: %v", a, err)
	}
	return r
}

func refused(t *testing.T, l *budget.Ledger, c core.Caller, a core.Amount, words ...string) {
	t.Helper()
	_, err := l.Reserve(t.Context(), c, a)
	if core.CodeOf(err) != core.CodeLimit {
		t.Fatalf("%+v was not refused by a limit: %v", a, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the refusal does not say %q: %v", w, err)
		}
	}
}

func state(t *testing.T, l *budget.Ledger, id string) core.BudgetState {
	t.Helper()
	all, err := l.Budgets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("there is no budget %s", id)
	return core.BudgetState{}
}

// total is what model_usage knows of all calls.
func total(t *testing.T, db *database.DB) (sum core.UsageSum) {
	t.Helper()
	rows, err := database.NewUsage(db).Usage(t.Context(), core.UsageByProject, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		sum = sum.Add(r.UsageSum)
	}
	return sum
}

func TestABudgetIsUsedUpToTheLastMicroDollarAndNoFurther(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		a := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, a, dayBudget(usd(1000)))
		for range 100 {
			a.Settle(entry(team, c.now(), 9), reserve(t, a, team, usd(10)))
		}
		refused(t, a, team, usd(101), `"team-day"`, "$0.000100 of $0.001000 are left", "$0.000101", "2026-04-01 00:00 UTC")
		for range 100 {
			a.Settle(entry(team, c.now(), 1), reserve(t, a, team, usd(1)))
		}
		refused(t, a, team, usd(1))
		reserve(t, a, solo, usd(1<<40)) // no budget of theirs
		reserve(t, a, team, usd(0))     // what costs nothing is not stopped
		if err := a.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := state(t, a, "team-day"); s.Spent != (core.Amount{CostMicroUSD: 1000, Tokens: 3000}) || s.Leased != (core.Amount{}) || s.Overspent != (core.Amount{}) {
			t.Errorf("%+v", s)
		}
		if sum := total(t, db); sum.Requests != 200 || sum.Usage.CostMicroUSD != 1000 || sum.TookMS != 200*20 {
			t.Errorf("usage %+v", sum)
		}
	})
}

func TestEveryBudgetOfACallerHolds(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		l := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, l, core.Budget{ID: "all", Scope: core.BudgetAll, Window: core.WindowTotal, Limit: core.Amount{Tokens: 100}})
		set(t, l, core.Budget{ID: "clerk", Scope: core.BudgetAgent, ScopeID: "clerk", Window: core.WindowWeek, Limit: core.Amount{CostMicroUSD: 50, Tokens: 1000}})
		set(t, l, core.Budget{ID: "key", Scope: core.BudgetKey, ScopeID: "key-1", Window: core.WindowMonth, Limit: usd(40)})
		set(t, l, dayBudget(usd(60)))
		r := reserve(t, l, team, core.Amount{CostMicroUSD: 30, Tokens: 20})
		refused(t, l, team, core.Amount{CostMicroUSD: 11, Tokens: 1}, `"key"`)
		refused(t, l, solo, core.Amount{Tokens: 81}, `"all"`, "80 of 100 tokens", "may use 81")
		l.Release(r)
		l.Release(r) // twice is once
		l.Release(reserve(t, l, team, core.Amount{CostMicroUSD: 40, Tokens: 100}))
		refused(t, l, team, core.Amount{CostMicroUSD: 40, Tokens: 101}, `"all"`)
		if s := l.Stats(); s.Refused != 3 || s.Settled != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatCostsMoreThanReservedIsChargedInFullAndCounted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		l := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, l, dayBudget(usd(100)))
		first, second := reserve(t, l, team, usd(50)), reserve(t, l, team, usd(30))
		l.Settle(entry(team, c.now(), 65), first) // 20 are free, of which 15 are leased or left
		l.Settle(entry(team, c.now(), 42), second)
		l.Settle(entry(team, c.now(), 42), second) // settled before: nothing
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := state(t, l, "team-day"); s.Spent.CostMicroUSD != 107 || s.Overspent.CostMicroUSD != 7 || s.Left() != (core.Amount{}) {
			t.Errorf("%+v", s)
		}
		if s := l.Stats(); s.Overruns != 2 || s.Settled != 2 {
			t.Errorf("%+v", s)
		}
		refused(t, l, team, usd(1))
	})
}

func TestWhatCostsMoreThanReservedComesFromWhatElseIsLeased(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		l := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, l, dayBudget(usd(10_000)))
		r := reserve(t, l, team, usd(100))
		leased := state(t, l, "team-day").Leased.CostMicroUSD
		l.Settle(entry(team, c.now(), 150), r)
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := state(t, l, "team-day"); s.Spent.CostMicroUSD != 150 || s.Leased.CostMicroUSD != leased-150 || s.Overspent != (core.Amount{}) {
			t.Errorf("of %d leased: %+v", leased, s)
		}
	})
}

func TestALeaseWhoseGrantIsLostIsSetRight(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		store := &faulty{Store: database.NewBudgets(db)}
		l := closing(t, c.open(t, store, t.TempDir(), "a"))
		set(t, l, dayBudget(usd(1000)))
		store.fail(func(commit func() error) error { return errors.Join(commit(), errors.New("the answer was lost")) })
		if _, err := l.Reserve(t.Context(), team, usd(100)); err == nil {
			t.Fatal("the failure was not told")
		}
		store.fail(nil)
		if s := state(t, l, "team-day"); s.Leased.CostMicroUSD < 100 {
			t.Fatalf("nothing was leased: %+v", s)
		}
		if err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := state(t, l, "team-day"); s.Leased != (core.Amount{}) {
			t.Errorf("a lease that nobody knows of stays: %+v", s)
		}
	})
}

func TestAHitOfTheCacheIsCountedAndChargesNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		l := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, l, dayBudget(usd(100)))
		hit := entry(team, c.now(), 10)
		hit.Cache, hit.SavedMicroUSD = core.CacheHit, 10
		l.Settle(hit, reserve(t, l, team, usd(100)))
		failed := entry(solo, c.now(), 0)
		failed.Code = core.CodeUnavailable
		l.Settle(failed, nil)
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sum := total(t, db); sum != (core.UsageSum{Requests: 2, Errors: 1, CacheHits: 1, SavedMicroUSD: 10, TookMS: 40}) {
			t.Errorf("%+v", sum)
		}
		reserve(t, l, team, usd(100))
	})
}

func TestACallBelongsToTheWindowInWhichItBegan(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC))
		l := closing(t, c.open(t, database.NewBudgets(db), t.TempDir(), "a"))
		set(t, l, dayBudget(usd(100)))
		r := reserve(t, l, team, usd(100))
		refused(t, l, team, usd(1), "2026-03-01 00:00 UTC")
		c.advance(time.Second)
		next := reserve(t, l, team, usd(100))
		l.Settle(entry(team, c.now(), 80), r)
		l.Settle(entry(team, c.now(), 30), next)
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := state(t, l, "team-day"); s.Spent.CostMicroUSD != 30 {
			t.Errorf("the new day has %+v", s)
		}
		c.advance(-time.Second) // the old day, to be looked at
		if s := state(t, l, "team-day"); s.Spent.CostMicroUSD != 80 || s.Leased != (core.Amount{}) {
			t.Errorf("the old day has %+v", s)
		}
		refused(t, l, team, usd(71), "$0.000070") // a clock that is set back does not reopen the old day
	})
}

func TestAThousandRequestsAtOnceOnTwoServersSpendTheLimitExactly(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		const limit, requests = 5000, 1000
		c := noon()
		store := database.NewBudgets(db)
		ledgers := []*budget.Ledger{c.open(t, store, t.TempDir(), "a"), c.open(t, store, t.TempDir(), "b")}
		set(t, ledgers[0], dayBudget(usd(limit)))
		if err := ledgers[1].Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		var settled, charged, denied atomic.Int64
		var all sync.WaitGroup
		for i := range requests {
			all.Go(func() {
				l := ledgers[i%2]
				r, err := l.Reserve(context.Background(), team, usd(20))
				if core.CodeOf(err) == core.CodeLimit {
					denied.Add(1)
					return
				}
				if err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
				cost := int64(1 + i%20)
				l.Settle(entry(team, c.now(), cost), r)
				settled.Add(1)
				charged.Add(cost)
			})
		}
		all.Wait()
		for range 2 { // what one holds back for calls to come, the other may need: refreshing passes it on
			for _, l := range ledgers {
				c.advance(2 * time.Second)
				for {
					r, err := l.Reserve(t.Context(), team, usd(1))
					if err != nil {
						break
					}
					l.Settle(entry(team, c.now(), 1), r)
					settled.Add(1)
					charged.Add(1)
				}
				for _, l := range ledgers {
					if err := l.Refresh(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, l := range ledgers {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		states, err := store.BudgetStates(t.Context(), c.now())
		if err != nil {
			t.Fatal(err)
		}
		if s := states[0]; s.Spent.CostMicroUSD != limit || charged.Load() != limit || s.Leased != (core.Amount{}) || s.Overspent != (core.Amount{}) {
			t.Errorf("settled %d calls for %d, refused %d: %+v", settled.Load(), charged.Load(), denied.Load(), s)
		}
		if sum := total(t, db); sum.Requests != settled.Load() || sum.Usage.CostMicroUSD != limit {
			t.Errorf("usage %+v, settled %d", sum, settled.Load())
		}
	})
}

func TestACrashLosesNoSettledCallAndDoublesNone(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		dir, store := t.TempDir(), database.NewBudgets(db)
		l := c.open(t, store, dir, "a")
		set(t, l, dayBudget(usd(1_000_000)))
		want := int64(0)
		for round := range 4 {
			for i := range 100 {
				r := reserve(t, l, team, usd(20))
				l.Settle(entry(team, c.now(), 10), r)
				want++
				if i == 50 && round%2 == 1 {
					if err := l.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			reserve(t, l, team, usd(500)) // in flight when the process dies
			l.Abandon()
			l = c.open(t, store, dir, "a")
			if s := state(t, l, "team-day"); s.Spent.CostMicroUSD != want*10 || s.Leased != (core.Amount{}) || s.Overspent != (core.Amount{}) {
				t.Fatalf("round %d: %+v, want %d calls", round, s, want)
			}
			if sum := total(t, db); sum.Requests != want {
				t.Fatalf("round %d: %d calls, want %d", round, sum.Requests, want)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(dir, "usage.journal")); err != nil || st.Size() != 0 {
			t.Errorf("the journal is not empty after Close: %v", err)
		}
	})
}

func TestALargeJournalIsSetAsideAndRemovedOnceItIsCommitted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		dir, store := t.TempDir(), &faulty{Store: database.NewBudgets(db)}
		l := c.open(t, store, dir, "a")
		want := int64(0)
		fill := func() {
			for range 20_000 {
				l.Settle(entry(team, c.now(), 1), nil)
				want++
			}
		}
		fill()
		store.fail(func(func() error) error { return errors.New("the database is away") })
		if err := l.Flush(t.Context()); err == nil {
			t.Fatal("the failure was not told")
		}
		fill()
		if _, err := os.Stat(filepath.Join(dir, "usage.journal.1")); err != nil {
			t.Errorf("nothing was set aside: %v", err)
		}
		l.Abandon()
		store.fail(nil)
		l = closing(t, c.open(t, store, dir, "a"))
		if sum := total(t, db); sum.Requests != want {
			t.Errorf("%d calls, want %d", sum.Requests, want)
		}
		fill()
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "usage.journal.1")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what was set aside is still there: %v", err)
		}
		if sum := total(t, db); sum.Requests != want {
			t.Errorf("%d calls, want %d", sum.Requests, want)
		}
	})
}

// faulty lets a test decide what becomes of commits.
type faulty struct {
	budget.Store
	mu  sync.Mutex
	via func(commit func() error) error
}

func (f *faulty) fail(via func(func() error) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.via = via
}

func (f *faulty) Commit(ctx context.Context, c core.LedgerCommit) (g []core.BudgetGrant, err error) {
	f.mu.Lock()
	via := f.via
	f.mu.Unlock()
	if via == nil {
		return f.Store.Commit(ctx, c)
	}
	err = via(func() error { g, err = f.Store.Commit(ctx, c); return err })
	return g, err
}

func TestACommitWhoseAnswerIsLostIsNotCountedTwice(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		store := &faulty{Store: database.NewBudgets(db)}
		l := closing(t, c.open(t, store, t.TempDir(), "a"))
		set(t, l, dayBudget(usd(1000)))
		lost := func(commit func() error) error { return errors.Join(commit(), errors.New("the answer was lost")) }
		away := func(func() error) error { return core.Errorf(core.CodeUnavailable, "the database is away") }
		spent := int64(0)
		for i, via := range []func(func() error) error{lost, away, lost} {
			l.Settle(entry(team, c.now(), 90), reserve(t, l, team, usd(100)))
			spent += 90
			store.fail(via)
			if err := l.Flush(t.Context()); err == nil {
				t.Fatalf("failure %d was not told", i)
			}
			if _, err := l.Reserve(t.Context(), team, usd(900)); err == nil || core.CodeOf(err) == core.CodeLimit {
				t.Fatalf("without a database nothing may be handed out that is not leased: %v", err)
			}
			store.fail(nil)
			if err := l.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		c.advance(time.Minute)
		if err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := state(t, l, "team-day"); s.Spent.CostMicroUSD != spent || s.Leased != (core.Amount{}) {
			t.Errorf("%+v, want %d spent and nothing leased", s, spent)
		}
		if sum := total(t, db); sum.Requests != 3 || sum.Usage.CostMicroUSD != spent {
			t.Errorf("%+v", sum)
		}
		reserve(t, l, team, usd(1000-spent))
	})
}

func TestAJournalThatCannotBeWrittenStopsNoCall(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		dir := filepath.Join(t.TempDir(), "later")
		l := closing(t, c.open(t, database.NewBudgets(db), dir, "a"))
		l.Settle(entry(team, c.now(), 1), nil)
		if err := os.Mkdir(dir, 0o700); err != nil { // the disk is back
			t.Fatal(err)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		failures := l.Stats().JournalErrors
		l.Settle(entry(team, c.now(), 1), nil)
		if now := l.Stats().JournalErrors; failures < 2 || now != failures {
			t.Errorf("%d failures, then %d", failures, now)
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sum := total(t, db); sum.Requests != 2 {
			t.Errorf("%+v", sum)
		}
	})
}

func TestCallsAreCommittedInTheBackground(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := noon()
		committed := make(chan struct{}, 1)
		store := &faulty{Store: database.NewBudgets(db)}
		store.fail(func(commit func() error) error {
			err := commit()
			committed <- struct{}{}
			return err
		})
		l := c.open(t, store, t.TempDir(), "a")
		l.Settle(entry(team, c.now(), 7), nil)
		<-committed
		if sum := total(t, db); sum.Requests != 1 || sum.Usage.CostMicroUSD != 7 {
			t.Errorf("%+v", sum)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkReserveAndSettle(b *testing.B) {
	for _, budgets := range []int{0, 1, 3} {
		b.Run(fmt.Sprintf("budgets=%d", budgets), func(b *testing.B) {
			db, err := database.Open(b.Context(), database.Options{DataDir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			l, err := budget.Open(b.Context(), database.NewBudgets(db), budget.Options{Dir: b.TempDir(), Replica: "a"})
			if err != nil {
				b.Fatal(err)
			}
			scopes := []core.Budget{
				{ID: "all", Scope: core.BudgetAll, Window: core.WindowDay, Limit: usd(1 << 50)},
				{ID: "project", Scope: core.BudgetProject, ScopeID: "team", Window: core.WindowMonth, Limit: usd(1 << 50)},
				{ID: "key", Scope: core.BudgetKey, ScopeID: "key-1", Window: core.WindowTotal, Limit: usd(1 << 50)},
			}
			for _, s := range scopes[:budgets] {
				if _, err := l.SetBudget(b.Context(), s); err != nil {
					b.Fatal(err)
				}
			}
			e := entry(team, time.Now(), 10)
			b.Run("reserve", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, err := l.Reserve(b.Context(), team, usd(20))
					if err != nil {
						b.Fatal(err)
					}
					l.Release(r)
				}
			})
			b.Run("reserve+settle", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					r, err := l.Reserve(b.Context(), team, usd(20))
					if err != nil {
						b.Fatal(err)
					}
					l.Settle(e, r)
				}
			})
			if err := errors.Join(l.Close(), db.Close()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
