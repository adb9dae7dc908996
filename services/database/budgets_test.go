package database_test

import (
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func TestBudgetsAreStoredChangedAndRemoved(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewBudgets(db)
		now := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
		hour := now.Unix() / 3600
		if _, err := s.Commit(t.Context(), core.LedgerCommit{Replica: "a", From: 1, To: 3, Now: now, Usage: []core.UsageRecord{
			{UsageKey: core.UsageKey{Hour: hour - 24*30, Project: "team", Kind: core.UsageChat}, UsageSum: core.UsageSum{Requests: 1, Usage: core.Usage{CostMicroUSD: 1 << 40}}},
			{UsageKey: core.UsageKey{Hour: hour - 24*3, Project: "team", Kind: core.UsageChat}, UsageSum: core.UsageSum{Requests: 1, Usage: core.Usage{InputTokens: 2, OutputTokens: 3, CostMicroUSD: 40}}},
			{UsageKey: core.UsageKey{Hour: hour, Project: "other", Key: "team", Kind: core.UsageChat}, UsageSum: core.UsageSum{Requests: 1, Usage: core.Usage{CostMicroUSD: 1000}}},
		}}); err != nil {
			t.Fatal(err)
		}
		budget := core.Budget{ID: "b", Scope: core.BudgetProject, ScopeID: "team", Window: core.WindowMonth, Limit: core.Amount{CostMicroUSD: 100}}
		put := func(b core.Budget, at time.Time) core.Budget {
			t.Helper()
			b, err := s.PutBudget(t.Context(), b, at)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		state := func() core.BudgetState {
			t.Helper()
			all, err := s.BudgetStates(t.Context(), now)
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			return all[0]
		}
		made := put(budget, now)
		if st := state(); st.Budget != made || st.Spent != (core.Amount{CostMicroUSD: 40, Tokens: 5}) || st.Left().CostMicroUSD != 60 {
			t.Errorf("a new budget begins with %+v", st)
		}
		budget.Limit = core.Amount{CostMicroUSD: 200, Tokens: 9}
		if changed := put(budget, now.Add(time.Hour)); !changed.CreatedAt.Equal(made.CreatedAt) || state().Spent.CostMicroUSD != 40 {
			t.Errorf("another limit makes it another budget: %+v", changed)
		}
		budget.Window = core.WindowDay
		if changed := put(budget, now); !changed.CreatedAt.After(made.CreatedAt) || state().Spent != (core.Amount{}) {
			t.Errorf("another window leaves it as it was: %+v", changed)
		}
		budget.Scope = core.BudgetKey
		put(budget, now)
		if st := state(); st.Spent.CostMicroUSD != 1000 || st.Left().CostMicroUSD != 0 {
			t.Errorf("of a key it begins with %+v", st)
		}
		if b, err := s.RemoveBudget(t.Context(), "b"); err != nil || b.ID != "b" {
			t.Error(b, err)
		}
		if _, err := s.RemoveBudget(t.Context(), "b"); core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("removed twice: %v", err)
		}
	})
}

func TestLeasesNeverExceedALimit(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewBudgets(db)
		now := time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)
		b, err := s.PutBudget(t.Context(), core.Budget{ID: "b", Scope: core.BudgetAll, Window: core.WindowTotal, Limit: core.Amount{CostMicroUSD: 1000}}, now)
		if err != nil {
			t.Fatal(err)
		}
		usd := func(n int64) core.Amount { return core.Amount{CostMicroUSD: n} }
		ref := core.BudgetRef{ID: "b", Made: b.CreatedAt}
		for i, c := range []struct {
			name    string
			replica string
			later   time.Duration
			change  core.BudgetChange
			want    core.BudgetGrant
		}{
			{"with plenty, a part for calls to come", "a", 0, core.BudgetChange{Need: usd(40), Want: usd(40), Chunk: usd(900)}, core.BudgetGrant{Granted: usd(70), Available: usd(1000)}},
			{"held is set, not added", "a", 0, core.BudgetChange{Held: usd(70), Need: usd(10), Want: usd(20)}, core.BudgetGrant{Granted: usd(20), Available: usd(930)}},
			{"another server's leases count", "b", 0, core.BudgetChange{Need: usd(911), Want: usd(911)}, core.BudgetGrant{Available: usd(910), Others: true}},
			{"after a want, nothing for calls to come", "b", 9 * time.Second, core.BudgetChange{Need: usd(10), Want: usd(10), Chunk: usd(900)}, core.BudgetGrant{Granted: usd(10), Available: usd(910), Others: true}},
			{"until it is forgotten", "b", 10 * time.Second, core.BudgetChange{Held: usd(10), Need: usd(100), Want: usd(100), Chunk: usd(900)}, core.BudgetGrant{Granted: usd(125), Available: usd(900), Others: true}},
			{"given back", "b", 10 * time.Second, core.BudgetChange{}, core.BudgetGrant{Available: usd(910), Others: true}},
			{"what several need, as far as it goes", "c", 10 * time.Second, core.BudgetChange{Need: usd(900), Want: usd(2000)}, core.BudgetGrant{Granted: usd(910), Available: usd(910), Others: true}},
			{"too much is told", "b", 10 * time.Second, core.BudgetChange{Held: usd(7)}, core.BudgetGrant{Over: usd(7), Others: true}},
		} {
			c.change.BudgetRef = ref
			g, err := s.Commit(t.Context(), core.LedgerCommit{Replica: c.replica, Now: now.Add(c.later), LeaseUntil: now.Add(time.Hour), Budgets: []core.BudgetChange{c.change}})
			if err != nil || len(g) != 1 || g[0] != c.want {
				t.Fatalf("%d, %s: %+v (%v), want %+v", i, c.name, g, err, c.want)
			}
		}
		refs, err := s.Contested(t.Context(), "a", now)
		if err != nil || len(refs) != 1 || refs[0] != ref {
			t.Errorf("contested: %+v (%v)", refs, err)
		}
		if refs, err = s.Contested(t.Context(), "a", now.Add(time.Millisecond)); err != nil || len(refs) != 0 {
			t.Errorf("contested since: %+v (%v)", refs, err)
		}
		gone := core.BudgetChange{BudgetRef: core.BudgetRef{ID: "b", Made: b.CreatedAt.Add(time.Hour)}, Held: usd(1)}
		if g, err := s.Commit(t.Context(), core.LedgerCommit{Replica: "a", Now: now, Budgets: []core.BudgetChange{gone}}); err != nil || !g[0].Gone {
			t.Errorf("a budget made anew: %+v (%v)", g, err)
		}
	})
}
