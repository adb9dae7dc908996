package database

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const dayMS = 24 * 60 * 60 * 1000

// Usage sums up what runs have consumed. It only reads.
type Usage struct{ db *DB }

// NewUsage returns the store of usage.
func NewUsage(db *DB) *Usage { return &Usage{db} }

// Usage returns what the root runs made at or after from have consumed, grouped by core.UsageByDay, the newest first, or by
// core.UsageByAgent, in the order of names. A run counts with all that it has used so far on the day on which it was made.
// CodeInvalid: there is no such group.
func (s *Usage) Usage(ctx context.Context, group string, from time.Time) ([]core.UsageRow, error) {
	// The primary key narrows what is read: it begins with the time. created_at decides, since ids of a clock that was set
	// back meanwhile may lie a little before it.
	low := idAt(from.Add(-time.Hour))
	var (
		rows dbtx.Rows
		err  error
	)
	switch group {
	case core.UsageByDay:
		rows, err = s.db.Querier().Query(ctx, `SELECT CAST(created_at / 86400000 AS TEXT), COUNT(*), CAST(SUM(input_tokens) AS BIGINT),
			CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_micro_usd) AS BIGINT) FROM runs
			WHERE parent = '' AND id >= $1 AND created_at >= $2 GROUP BY created_at / 86400000`, low, ms(from))
	case core.UsageByAgent:
		rows, err = s.db.Querier().Query(ctx, `SELECT agent, COUNT(*), CAST(SUM(input_tokens) AS BIGINT),
			CAST(SUM(output_tokens) AS BIGINT), CAST(SUM(cost_micro_usd) AS BIGINT) FROM runs
			WHERE parent = '' AND id >= $1 AND created_at >= $2 GROUP BY agent`, low, ms(from))
	default:
		return nil, core.Errorf(core.CodeInvalid, "usage cannot be grouped by %q; it can by day or agent", group)
	}
	out, err := dbtx.Collect(rows, err, func(row dbtx.Row) (r core.UsageRow, err error) {
		if err := row.Scan(&r.Key, &r.Runs, &r.Usage.InputTokens, &r.Usage.OutputTokens, &r.Usage.CostMicroUSD); err != nil || group != core.UsageByDay {
			return r, err
		}
		day, err := strconv.ParseInt(r.Key, 10, 64)
		r.Key = time.UnixMilli(day * dayMS).UTC().Format(time.DateOnly)
		return r, err
	})
	slices.SortFunc(out, func(a, b core.UsageRow) int {
		if group == core.UsageByDay {
			a, b = b, a
		}
		return cmp.Compare(a.Key, b.Key)
	})
	return out, explain(err, "sum up the usage")
}

// idAt is below every UUIDv7 that was made at or after a time.
func idAt(at time.Time) string {
	return fmt.Sprintf("%08x-%04x", at.UnixMilli()>>16, at.UnixMilli()&0xffff)
}
