package database

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const hourMS = 60 * 60 * 1000

// Usage sums up what model calls have consumed, and counts runs. It only reads; Budgets.Commit writes.
type Usage struct{ db *DB }

// NewUsage returns the store of usage.
func NewUsage(db *DB) *Usage { return &Usage{db} }

// Usage returns what the model calls at or after from (to the hour) have consumed, grouped by core.UsageByDay, the newest
// first, or by one of the others, in the order of names. By day and by agent it counts the root runs that were made as well.
// CodeInvalid: there is no such group.
func (s *Usage) Usage(ctx context.Context, group string, from time.Time) ([]core.UsageRow, error) {
	rows, err := s.calls(ctx, group, ms(from)/hourMS)
	if err != nil {
		return nil, err
	}
	runs, err := s.runs(ctx, group, from)
	if err != nil {
		return nil, err
	}
	byKey := map[string]int{}
	for i, r := range rows {
		byKey[r.Key] = i
	}
	for _, r := range runs {
		if i, ok := byKey[r.Key]; ok {
			rows[i].Runs = r.Runs
		} else {
			rows = append(rows, r)
		}
	}
	if group == core.UsageByDay {
		for i := range rows {
			var day int64
			if _, err := fmt.Sscan(rows[i].Key, &day); err != nil {
				return nil, fmt.Errorf("decode a day of usage: %w", err)
			}
			rows[i].Key = time.Unix(day*24*60*60, 0).UTC().Format(time.DateOnly)
		}
	}
	slices.SortFunc(rows, func(a, b core.UsageRow) int {
		if group == core.UsageByDay {
			a, b = b, a
		}
		return cmp.Compare(a.Key, b.Key)
	})
	return rows, nil
}

const usageSums = `CAST(SUM(requests) AS BIGINT), CAST(SUM(errors) AS BIGINT), CAST(SUM(cache_hits) AS BIGINT), CAST(SUM(input_tokens) AS BIGINT),
	CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT), CAST(SUM(cost_micro_usd) AS BIGINT),
	CAST(SUM(saved_micro_usd) AS BIGINT), CAST(SUM(took_ms) AS BIGINT)`

// calls sums up model_usage. Calls outside runs have no agent, calls without a key no key: they are left out there.
func (s *Usage) calls(ctx context.Context, group string, fromHour int64) ([]core.UsageRow, error) {
	var (
		q    = s.db.Querier()
		rows dbtx.Rows
		err  error
	)
	switch group {
	case core.UsageByDay:
		rows, err = q.Query(ctx, `SELECT CAST(hour / 24 AS TEXT), '', `+usageSums+` FROM model_usage WHERE hour >= $1 GROUP BY hour / 24`, fromHour)
	case core.UsageByModel:
		rows, err = q.Query(ctx, `SELECT model, '', `+usageSums+` FROM model_usage WHERE hour >= $1 GROUP BY model`, fromHour)
	case core.UsageByKey:
		rows, err = q.Query(ctx, `SELECT key_id, COALESCE(MAX(name), ''), `+usageSums+` FROM model_usage LEFT JOIN api_keys ON id = key_id
			WHERE hour >= $1 AND key_id <> '' GROUP BY key_id`, fromHour)
	case core.UsageByAgent:
		rows, err = q.Query(ctx, `SELECT agent, '', `+usageSums+` FROM model_usage WHERE hour >= $1 AND agent <> '' GROUP BY agent`, fromHour)
	case core.UsageByProject:
		rows, err = q.Query(ctx, `SELECT model_usage.project, '', `+usageSums+` FROM model_usage WHERE hour >= $1 GROUP BY model_usage.project`, fromHour)
	default:
		return nil, core.Errorf(core.CodeInvalid, "usage cannot be grouped by %q; it can by day, model, key, agent or project", group)
	}
	out, err := dbtx.Collect(rows, err, func(row dbtx.Row) (r core.UsageRow, err error) {
		err = row.Scan(&r.Key, &r.Name, &r.Requests, &r.Errors, &r.CacheHits, &r.Usage.InputTokens, &r.Usage.OutputTokens,
			&r.Usage.CachedTokens, &r.Usage.CostMicroUSD, &r.SavedMicroUSD, &r.TookMS)
		return r, err
	})
	return out, explain(err, "sum up the usage")
}

// runs counts root runs: sub-agents' runs belong to theirs.
func (s *Usage) runs(ctx context.Context, group string, from time.Time) ([]core.UsageRow, error) {
	// The primary key narrows what is read: it begins with the time. created_at decides, since ids of a clock that was set
	// back meanwhile may lie a little before it.
	low := idAt(from.Add(-time.Hour))
	var (
		rows dbtx.Rows
		err  error
	)
	switch group {
	case core.UsageByDay:
		rows, err = s.db.Querier().Query(ctx, `SELECT CAST(created_at / 86400000 AS TEXT), COUNT(*) FROM runs
			WHERE parent = '' AND id >= $1 AND created_at >= $2 GROUP BY created_at / 86400000`, low, ms(from))
	case core.UsageByAgent:
		rows, err = s.db.Querier().Query(ctx, `SELECT agent, COUNT(*) FROM runs
			WHERE parent = '' AND id >= $1 AND created_at >= $2 GROUP BY agent`, low, ms(from))
	default:
		return nil, nil
	}
	out, err := dbtx.Collect(rows, err, func(row dbtx.Row) (r core.UsageRow, err error) {
		return r, row.Scan(&r.Key, &r.Runs)
	})
	return out, explain(err, "count the runs")
}

// idAt is below every UUIDv7 that was made at or after a time.
func idAt(at time.Time) string {
	return fmt.Sprintf("%08x-%04x", at.UnixMilli()>>16, at.UnixMilli()&0xffff)
}
