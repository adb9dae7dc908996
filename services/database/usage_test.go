package database_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func TestUsageCountsRootRunsByDayAndAgent(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		n := 0
		add := func(agent, parent string, at time.Time, use core.Usage) {
			t.Helper()
			n++
			r := core.RunRecord{Run: core.Run{
				ID:    fmt.Sprintf("%08x-%04x-7000-8000-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, n),
				Agent: agent, Status: core.RunQueued, CreatedAt: at, Parent: parent,
			}}
			if err := db.Runs().Insert(t.Context(), db.Querier(), r); err != nil {
				t.Fatal(err)
			}
			r.Status, r.Usage, r.Segment = core.RunRunning, use, 1
			if _, _, err := db.Runs().Save(t.Context(), db.Querier(), r, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		const large = int64(3_000_000_000) // beyond 32 bits
		add("clerk", "", from.Add(-time.Millisecond), core.Usage{InputTokens: 1 << 40})
		add("clerk", "", from, core.Usage{InputTokens: 1, OutputTokens: 2, CostMicroUSD: 3})
		add("writer", "", from.Add(24*time.Hour-time.Millisecond), core.Usage{InputTokens: large, OutputTokens: 20, CostMicroUSD: 30})
		add("clerk", "", from.Add(24*time.Hour), core.Usage{InputTokens: large, OutputTokens: 200, CostMicroUSD: 300})
		add("writer", "some-run", from.Add(25*time.Hour), core.Usage{InputTokens: 1 << 40})
		usage := database.NewUsage(db)
		for _, c := range []struct {
			group string
			from  time.Time
			want  []core.UsageRow
		}{
			{core.UsageByDay, from, []core.UsageRow{
				{Key: "2026-03-02", Runs: 1, Usage: core.Usage{InputTokens: large, OutputTokens: 200, CostMicroUSD: 300}},
				{Key: "2026-03-01", Runs: 2, Usage: core.Usage{InputTokens: large + 1, OutputTokens: 22, CostMicroUSD: 33}},
			}},
			{core.UsageByAgent, from, []core.UsageRow{
				{Key: "clerk", Runs: 2, Usage: core.Usage{InputTokens: large + 1, OutputTokens: 202, CostMicroUSD: 303}},
				{Key: "writer", Runs: 1, Usage: core.Usage{InputTokens: large, OutputTokens: 20, CostMicroUSD: 30}},
			}},
			{core.UsageByDay, from.Add(48 * time.Hour), []core.UsageRow{}},
		} {
			got, err := usage.Usage(t.Context(), c.group, c.from)
			if err != nil || got == nil || !slices.Equal(got, c.want) {
				t.Errorf("by %s since %s: %+v (%v), want %+v", c.group, c.from, got, err, c.want)
			}
		}
		if _, err := usage.Usage(t.Context(), "model", from); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("a group that does not exist: %v", err)
		}
	})
}
