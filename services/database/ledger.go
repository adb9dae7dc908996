package database

import (
	"context"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// wantedFor is how long a window that ran short for some server is handed out to the exact amount only.
const wantedFor = 10 * time.Second

// chunkShare: of what is left, at most this part is handed out for calls to come. A server that dies keeps no more than
// that from the others, and near the limit nothing is held back.
const chunkShare = 32

// Commit writes what a server has counted and changes its leases, in one transaction; the grants are in the order of
// c.Budgets. It may be repeated with the same calls: they are counted once, and Held is set, not added.
func (s *Budgets) Commit(ctx context.Context, c core.LedgerCommit) ([]core.BudgetGrant, error) {
	var grants []core.BudgetGrant
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		fresh := false
		if c.To > 0 {
			n, err := q.Exec(ctx, `INSERT INTO usage_journals (replica, seq) VALUES ($1, $2)
				ON CONFLICT (replica) DO UPDATE SET seq = excluded.seq WHERE usage_journals.seq < $3`, c.Replica, c.To, c.From)
			if err != nil {
				return err
			}
			fresh = n > 0
		}
		if fresh {
			for _, r := range c.Usage {
				if err := addUsage(ctx, q, r); err != nil {
					return err
				}
			}
		}
		grants = make([]core.BudgetGrant, len(c.Budgets))
		for i, b := range c.Budgets {
			if !fresh {
				b.Spent, b.Uncovered = core.Amount{}, core.Amount{}
			}
			var err error
			if grants[i], err = changeBudget(ctx, q, c, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, explain(err, "store the usage")
	}
	return grants, nil
}

func addUsage(ctx context.Context, q dbtx.Querier, r core.UsageRecord) error {
	_, err := q.Exec(ctx, `INSERT INTO model_usage (hour, project, key_id, agent, model, kind, requests, errors, cache_hits, input_tokens, output_tokens,
			cached_tokens, cost_micro_usd, saved_micro_usd, took_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (hour, project, key_id, agent, model, kind) DO UPDATE SET requests = model_usage.requests + excluded.requests,
			errors = model_usage.errors + excluded.errors, cache_hits = model_usage.cache_hits + excluded.cache_hits,
			input_tokens = model_usage.input_tokens + excluded.input_tokens, output_tokens = model_usage.output_tokens + excluded.output_tokens,
			cached_tokens = model_usage.cached_tokens + excluded.cached_tokens, cost_micro_usd = model_usage.cost_micro_usd + excluded.cost_micro_usd,
			saved_micro_usd = model_usage.saved_micro_usd + excluded.saved_micro_usd, took_ms = model_usage.took_ms + excluded.took_ms`,
		r.Hour, core.CleanText(r.Project), core.CleanText(r.Key), core.CleanText(r.Agent), core.CleanText(r.Model), string(r.Kind),
		r.Requests, r.Errors, r.CacheHits, r.Usage.InputTokens, r.Usage.OutputTokens, r.Usage.CachedTokens, r.Usage.CostMicroUSD, r.SavedMicroUSD, r.TookMS)
	return err
}

// changeBudget charges a window and changes a lease of it. The first statement locks the window's row, so that of all
// servers one decides at a time.
func changeBudget(ctx context.Context, q dbtx.Querier, c core.LedgerCommit, b core.BudgetChange) (core.BudgetGrant, error) {
	var (
		g            core.BudgetGrant
		spent        core.Amount
		others       core.Amount
		limit        core.Budget
		wanted, held int64
	)
	err := q.QueryRow(ctx, `INSERT INTO budget_windows (budget, started_at, spent_micro_usd, spent_tokens, overspent_micro_usd, overspent_tokens, wanted_at)
		SELECT id, CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), 0, 0, 0 FROM budgets WHERE id = $1 AND created_at = $2
		ON CONFLICT (budget, started_at) DO UPDATE SET spent_micro_usd = budget_windows.spent_micro_usd + excluded.spent_micro_usd,
			spent_tokens = budget_windows.spent_tokens + excluded.spent_tokens
		RETURNING spent_micro_usd, spent_tokens, wanted_at`, b.ID, ms(b.Made), windowMS(b.Window), b.Spent.CostMicroUSD, b.Spent.Tokens).
		Scan(&spent.CostMicroUSD, &spent.Tokens, &wanted)
	if errors.Is(err, dbtx.ErrNoRows) {
		return core.BudgetGrant{Gone: true}, nil
	}
	if err != nil {
		return g, err
	}
	if err := q.QueryRow(ctx, `SELECT limit_micro_usd, limit_tokens FROM budgets WHERE id = $1`, b.ID).Scan(&limit.Limit.CostMicroUSD, &limit.Limit.Tokens); err != nil {
		return g, err
	}
	if err := q.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(left_micro_usd), 0) AS BIGINT), CAST(COALESCE(SUM(left_tokens), 0) AS BIGINT)
		FROM budget_leases WHERE budget = $1 AND started_at = $2 AND replica <> $3`, b.ID, windowMS(b.Window), c.Replica).
		Scan(&held, &others.CostMicroUSD, &others.Tokens); err != nil {
		return g, err
	}
	g.Others = held > 0
	free := limit.Limit.Sub(spent).Sub(others).Sub(b.Held)
	if over := limit.Limited(core.Amount{}.Sub(free)).Min(b.Uncovered).Positive(); over != (core.Amount{}) {
		if _, err := q.Exec(ctx, `UPDATE budget_windows SET overspent_micro_usd = overspent_micro_usd + $3, overspent_tokens = overspent_tokens + $4
			WHERE budget = $1 AND started_at = $2`, b.ID, windowMS(b.Window), over.CostMicroUSD, over.Tokens); err != nil {
			return g, err
		}
	}
	g.Available, g.Over = free.Positive(), limit.Limited(core.Amount{}.Sub(free)).Positive()
	contested := ms(c.Now)-wanted < wantedFor.Milliseconds()
	g.Granted = grant(limit, b, g.Available, contested)
	if g.Granted == (core.Amount{}) && limit.Limited(b.Need) != (core.Amount{}) && g.Others {
		if _, err := q.Exec(ctx, `UPDATE budget_windows SET wanted_at = $3 WHERE budget = $1 AND started_at = $2`, b.ID, windowMS(b.Window), ms(c.Now)); err != nil {
			return g, err
		}
	}
	return g, setLease(ctx, q, c, b, b.Held.Add(g.Granted))
}

// grant decides how much more a server gets of what is available: nothing where it would be of no use to it, otherwise
// what its waiting calls need, and where there is plenty something for calls to come.
func grant(limit core.Budget, b core.BudgetChange, available core.Amount, contested bool) core.Amount {
	need, want := limit.Limited(b.Need), limit.Limited(b.Want)
	if need == (core.Amount{}) || !need.Within(available) {
		return core.Amount{}
	}
	got := want.Min(available)
	if contested {
		return got
	}
	rest := limit.Limited(available.Sub(got))
	return got.Add(b.Chunk.Min(core.Amount{CostMicroUSD: rest.CostMicroUSD / chunkShare, Tokens: rest.Tokens / chunkShare}))
}

func setLease(ctx context.Context, q dbtx.Querier, c core.LedgerCommit, b core.BudgetChange, left core.Amount) error {
	if left == (core.Amount{}) {
		_, err := q.Exec(ctx, `DELETE FROM budget_leases WHERE budget = $1 AND started_at = $2 AND replica = $3`, b.ID, windowMS(b.Window), c.Replica)
		return err
	}
	_, err := q.Exec(ctx, `INSERT INTO budget_leases (budget, started_at, replica, left_micro_usd, left_tokens, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (budget, started_at, replica) DO UPDATE SET left_micro_usd = excluded.left_micro_usd, left_tokens = excluded.left_tokens,
			expires_at = excluded.expires_at`, b.ID, windowMS(b.Window), c.Replica, left.CostMicroUSD, left.Tokens, ms(c.LeaseUntil))
	return err
}
