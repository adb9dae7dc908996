package database

import (
	"context"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Budgets stores budgets and what their windows have used.
type Budgets struct{ db *DB }

// NewBudgets returns the store of budgets.
func NewBudgets(db *DB) *Budgets { return &Budgets{db} }

const budgetColumns = `id, scope, scope_id, period, limit_micro_usd, limit_tokens, created_at, updated_at`

func scanBudget(r dbtx.Row) (b core.Budget, err error) {
	var created, updated int64
	err = r.Scan(&b.ID, &b.Scope, &b.ScopeID, &b.Window, &b.Limit.CostMicroUSD, &b.Limit.Tokens, &created, &updated)
	b.CreatedAt, b.UpdatedAt = fromMS(created), fromMS(updated)
	return b, err
}

// Budgets returns every budget in the order of names.
func (s *Budgets) Budgets(ctx context.Context) ([]core.Budget, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT `+budgetColumns+` FROM budgets ORDER BY id`)
	out, err := dbtx.Collect(rows, err, scanBudget)
	return out, explain(err, "list the budgets")
}

// BudgetStates returns every budget with its window at now, in the order of names.
func (s *Budgets) BudgetStates(ctx context.Context, now time.Time) ([]core.BudgetState, error) {
	budgets, err := s.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]core.BudgetState, 0, len(budgets))
	for _, b := range budgets {
		st := core.BudgetState{Budget: b}
		st.WindowStart, st.WindowEnd = b.Window.Bounds(now)
		err := s.db.Querier().QueryRow(ctx, `SELECT spent_micro_usd, spent_tokens, overspent_micro_usd, overspent_tokens,
			CAST((SELECT COALESCE(SUM(left_micro_usd), 0) FROM budget_leases l WHERE l.budget = w.budget AND l.started_at = w.started_at) AS BIGINT),
			CAST((SELECT COALESCE(SUM(left_tokens), 0) FROM budget_leases l WHERE l.budget = w.budget AND l.started_at = w.started_at) AS BIGINT)
			FROM budget_windows w WHERE budget = $1 AND started_at = $2`, b.ID, windowMS(st.WindowStart)).
			Scan(&st.Spent.CostMicroUSD, &st.Spent.Tokens, &st.Overspent.CostMicroUSD, &st.Overspent.Tokens, &st.Leased.CostMicroUSD, &st.Leased.Tokens)
		if err != nil && !errors.Is(err, dbtx.ErrNoRows) {
			return nil, explain(err, "read the budgets")
		}
		out = append(out, st)
	}
	return out, nil
}

// PutBudget makes or changes a budget. A new one, or one whose scope or window changes, begins with what model_usage
// knows of its current window. Leases of servers that have not been heard of are freed: whoever changes a budget by hand
// vouches that they will not come back.
func (s *Budgets) PutBudget(ctx context.Context, b core.Budget, now time.Time) (core.Budget, error) {
	b.CreatedAt, b.UpdatedAt = fromMS(ms(now)), fromMS(ms(now))
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		old, err := scanBudget(q.QueryRow(ctx, `SELECT `+budgetColumns+` FROM budgets WHERE id = $1`, b.ID))
		switch {
		case errors.Is(err, dbtx.ErrNoRows):
		case err != nil:
			return err
		case old.Scope == b.Scope && old.ScopeID == b.ScopeID && old.Window == b.Window:
			b.CreatedAt = old.CreatedAt
			if _, err := q.Exec(ctx, `DELETE FROM budget_leases WHERE budget = $1 AND expires_at < $2`, b.ID, ms(now)); err != nil {
				return err
			}
			_, err := q.Exec(ctx, `UPDATE budgets SET limit_micro_usd = $2, limit_tokens = $3, updated_at = $4 WHERE id = $1`,
				b.ID, b.Limit.CostMicroUSD, b.Limit.Tokens, ms(now))
			return err
		default:
			if !old.CreatedAt.Before(b.CreatedAt) { // it must be told from the one that it replaces
				b.CreatedAt = old.CreatedAt.Add(time.Millisecond)
			}
			if _, err := q.Exec(ctx, `DELETE FROM budgets WHERE id = $1`, b.ID); err != nil {
				return err
			}
		}
		n, err := q.Exec(ctx, `INSERT INTO budgets (`+budgetColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING`,
			b.ID, string(b.Scope), b.ScopeID, string(b.Window), b.Limit.CostMicroUSD, b.Limit.Tokens, ms(b.CreatedAt), ms(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return core.Errorf(core.CodeConflict, "somebody made the budget %q at the same time; look at it and try again", b.ID)
		}
		start, _ := b.Window.Bounds(now)
		_, err = q.Exec(ctx, `INSERT INTO budget_windows (budget, started_at, spent_micro_usd, spent_tokens, overspent_micro_usd, overspent_tokens, wanted_at)
			SELECT $1, CAST($2 AS BIGINT), CAST(COALESCE(SUM(cost_micro_usd), 0) AS BIGINT), CAST(COALESCE(SUM(input_tokens + output_tokens), 0) AS BIGINT), 0, 0, 0
			FROM model_usage WHERE hour >= $2 / 3600000 AND ($3 = 'all' OR $3 = 'project' AND project = $4 OR $3 = 'key' AND key_id = $4 OR $3 = 'agent' AND agent = $4)`,
			b.ID, windowMS(start), string(b.Scope), b.ScopeID)
		return err
	})
	return b, explain(err, "store the budget")
}

// RemoveBudget ends a budget; CodeNotFound when there is none.
func (s *Budgets) RemoveBudget(ctx context.Context, id string) (core.Budget, error) {
	b, err := scanBudget(s.db.Querier().QueryRow(ctx, `DELETE FROM budgets WHERE id = $1 RETURNING `+budgetColumns, id))
	if errors.Is(err, dbtx.ErrNoRows) {
		return b, core.Errorf(core.CodeNotFound, "there is no budget %q", id)
	}
	return b, explain(err, "remove the budget")
}

// Journalled returns the number of the last call of a server's journal that has been committed, 0 where none has.
func (s *Budgets) Journalled(ctx context.Context, replica string) (int64, error) {
	var seq int64
	err := s.db.Querier().QueryRow(ctx, `SELECT seq FROM usage_journals WHERE replica = $1`, replica).Scan(&seq)
	if errors.Is(err, dbtx.ErrNoRows) {
		return 0, nil
	}
	return seq, explain(err, "read how far the usage has been counted")
}

// Contested returns the windows of which a server holds a lease while others found too little at or after since.
func (s *Budgets) Contested(ctx context.Context, replica string, since time.Time) ([]core.BudgetRef, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT w.budget, b.created_at, w.started_at FROM budget_leases l
		JOIN budget_windows w ON w.budget = l.budget AND w.started_at = l.started_at JOIN budgets b ON b.id = w.budget
		WHERE l.replica = $1 AND w.wanted_at >= $2`, replica, ms(since))
	out, err := dbtx.Collect(rows, err, func(r dbtx.Row) (ref core.BudgetRef, err error) {
		var made, start int64
		err = r.Scan(&ref.ID, &made, &start)
		ref.Made, ref.Window = fromMS(made), fromWindowMS(start)
		return ref, err
	})
	return out, explain(err, "read the budgets")
}

// FreeLeases drops what a server holds of every window: one that starts has no call in flight.
func (s *Budgets) FreeLeases(ctx context.Context, replica string) error {
	_, err := s.db.Querier().Exec(ctx, `DELETE FROM budget_leases WHERE replica = $1`, replica)
	return explain(err, "free the budgets' leases")
}

// windowMS is the start of a window as it is stored: 0 for core.WindowTotal.
func windowMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return ms(t)
}

func fromWindowMS(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return fromMS(v)
}
