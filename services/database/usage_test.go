package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

const large = int64(3_000_000_000) // beyond 32 bits

func insertRun(t *testing.T, db *database.DB, n int, agent, parent string, at time.Time) {
	t.Helper()
	r := core.RunRecord{Run: core.Run{
		ID:    fmt.Sprintf("%08x-%04x-7000-8000-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, n),
		Agent: agent, Status: core.RunQueued, CreatedAt: at, Parent: parent,
	}}
	if err := db.Runs().Insert(t.Context(), db.Querier(), r); err != nil {
		t.Fatal(err)
	}
}

func TestUsageSumsUpCallsAndCountsRootRuns(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		insertRun(t, db, 1, "clerk", "", from.Add(-time.Millisecond))
		insertRun(t, db, 2, "clerk", "", from)
		insertRun(t, db, 3, "writer", "", from.Add(24*time.Hour-time.Millisecond))
		insertRun(t, db, 4, "clerk", "", from.Add(24*time.Hour))
		insertRun(t, db, 5, "writer", "some-run", from.Add(25*time.Hour))
		insertRun(t, db, 6, "idle", "", from.Add(30*24*time.Hour))
		key := core.APIKey{ID: "key-1", Name: "bot", Prefix: "p", Project: "team", CreatedAt: from}
		if err := database.NewKeys(db).Create(t.Context(), key, "hash"); err != nil {
			t.Fatal(err)
		}
		hour := from.Unix() / 3600
		call := func(hour int64, project, key, agent, model string, tokens int64) core.UsageRecord {
			return core.UsageRecord{
				UsageKey: core.UsageKey{Hour: hour, Project: project, Key: key, Agent: agent, Model: model, Kind: core.UsageChat},
				UsageSum: core.UsageSum{Requests: 2, Errors: 1, Usage: core.Usage{InputTokens: tokens, OutputTokens: 1, CachedTokens: 1, CostMicroUSD: tokens}, SavedMicroUSD: 5, TookMS: 7},
			}
		}
		commit := core.LedgerCommit{Replica: "a", From: 1, To: 4, Now: from, Usage: []core.UsageRecord{
			call(hour-1, "team", "key-1", "", "m/before", large),
			call(hour, "team", "key-1", "", "m/one", large),
			call(hour+23, "team", "key-2", "clerk", "m/one", large),
			call(hour+24, "default", "", "clerk", "m/two", 8),
		}}
		for range 2 { // the same calls again are not counted again
			if _, err := database.NewBudgets(db).Commit(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
		}
		sum := func(calls, tokens int64) core.UsageSum {
			return core.UsageSum{
				Requests: 2 * calls, Errors: calls, Usage: core.Usage{InputTokens: tokens, OutputTokens: calls, CachedTokens: calls, CostMicroUSD: tokens},
				SavedMicroUSD: 5 * calls, TookMS: 7 * calls,
			}
		}
		usage := database.NewUsage(db)
		for _, c := range []struct {
			group string
			from  time.Time
			want  []core.UsageRow
		}{
			{core.UsageByDay, from, []core.UsageRow{
				{Key: "2026-03-31", Runs: 1},
				{Key: "2026-03-02", Runs: 1, UsageSum: sum(1, 8)},
				{Key: "2026-03-01", Runs: 2, UsageSum: sum(2, 2*large)},
			}},
			{core.UsageByAgent, from, []core.UsageRow{
				{Key: "clerk", Runs: 2, UsageSum: sum(2, large+8)},
				{Key: "idle", Runs: 1},
				{Key: "writer", Runs: 1},
			}},
			{core.UsageByModel, from, []core.UsageRow{{Key: "m/one", UsageSum: sum(2, 2*large)}, {Key: "m/two", UsageSum: sum(1, 8)}}},
			{core.UsageByKey, from, []core.UsageRow{{Key: "key-1", Name: "bot", UsageSum: sum(1, large)}, {Key: "key-2", UsageSum: sum(1, large)}}},
			{core.UsageByProject, from, []core.UsageRow{{Key: "default", UsageSum: sum(1, 8)}, {Key: "team", UsageSum: sum(2, 2*large)}}},
			{core.UsageByDay, from.Add(48 * 24 * time.Hour), []core.UsageRow{}},
		} {
			got, err := usage.Usage(t.Context(), c.group, c.from)
			if err != nil || got == nil || !slices.Equal(got, c.want) {
				t.Errorf("by %s since %s: %+v (%v), want %+v", c.group, c.from, got, err, c.want)
			}
		}
		if _, err := usage.Usage(t.Context(), "colour", from); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("a group that does not exist: %v", err)
		}
	})
}

// before makes a database as it was before usage was kept, and returns how to write into it.
func before(t *testing.T, o database.Options) func(query string, args ...any) {
	t.Helper()
	kind := "sqlite"
	var exec func(query string, args ...any) error
	if o.URL != "" {
		kind = "postgres"
		conn, err := pgx.Connect(t.Context(), o.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		exec = func(query string, args ...any) error {
			_, err := conn.Exec(t.Context(), query, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
			return err
		}
	} else {
		db, err := sql.Open("sqlite", filepath.Join(o.DataDir, "sutazai.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		exec = func(query string, args ...any) error {
			_, err := db.ExecContext(t.Context(), query, args...)
			return err
		}
	}
	must := func(query string, args ...any) {
		t.Helper()
		if err := exec(query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	must(`CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
	for i, name := range []string{"common/0001_runs.sql", "common/0002_auth.sql", kind + "/0003_run_events.sql"} {
		b, err := os.ReadFile(filepath.Join("migrations", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		must(string(b))
		must(`INSERT INTO schema_migrations (number, name, applied_at) VALUES ($1, $2, 0)`, i+1, filepath.Base(name))
	}
	return must
}

func TestTheHistoryOfRunsBecomesUsage(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, o database.Options) {
		write := before(t, o)
		at := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC).UnixMilli()
		write(`INSERT INTO api_keys (id, name, prefix, hash, scopes, created_at) VALUES ('k1', 'bot', 'p', 'h', '["run"]', $1)`, at)
		for _, r := range []struct{ id, agent, by string }{{"r1", "clerk", "key:k1"}, {"r2", "writer", "user:ada"}} {
			write(`INSERT INTO runs (id, agent, agent_version, status, wait_reason, wait_detail, error_code, error_message, input_tokens, output_tokens,
				cost_micro_usd, steps, messages, input_message, files, created_at, parent, parent_step, root, depth, forked_from, metadata, limits, created_by,
				request_hash, segment, event_seq, recoveries, active_ms, turn_message, turn_steps, turn_tokens, turn_cost, turn_active_ms, cancel_requested)
				VALUES ($1, $2, '', 'succeeded', '', '', '', '', 0, 0, 0, 0, 0, 0, '[]', $4, '', 0, '', 0, '', '{}', '{}', $3, '', 1, 0, 0, 0, 0, 0, 0, 0, 0, '')`, r.id, r.agent, r.by, at)
		}
		for i, s := range []struct {
			run, kind, name, status string
			start, end              any
		}{
			{"r1", "model", "openai/gpt", "succeeded", at, at + 100},
			{"r1", "model", "openai/gpt", "failed", at + 1000, at + 1050},
			{"r1", "tool", "calculator", "succeeded", at, at + 7},
			{"r1", "model", "openai/gpt", "pending", nil, nil},
			{"r2", "model", "local/tiny", "running", at + 3_600_000, nil},
		} {
			write(`INSERT INTO steps (run, idx, segment, kind, name, effect, status, attempts, input_ref, output_ref, call_id, child_run,
				input_tokens, output_tokens, cost_micro_usd, error, started_at, finished_at) VALUES ($1, $2, 1, $3, $4, '', $5, '[]', '', '', '', '', 10, 1, 5, '', $6, $7)`,
				s.run, i, s.kind, s.name, s.status, s.start, s.end)
		}
		db, err := database.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		gpt := core.UsageSum{Requests: 2, Errors: 1, Usage: core.Usage{InputTokens: 20, OutputTokens: 2, CostMicroUSD: 10}, TookMS: 150}
		tiny := core.UsageSum{Requests: 1, Usage: core.Usage{InputTokens: 10, OutputTokens: 1, CostMicroUSD: 5}}
		for group, want := range map[string][]core.UsageRow{
			core.UsageByModel:   {{Key: "local/tiny", UsageSum: tiny}, {Key: "openai/gpt", UsageSum: gpt}},
			core.UsageByAgent:   {{Key: "clerk", UsageSum: gpt}, {Key: "writer", UsageSum: tiny}},
			core.UsageByKey:     {{Key: "k1", Name: "bot", UsageSum: gpt}},
			core.UsageByProject: {{Key: "default", UsageSum: gpt.Add(tiny)}},
		} {
			got, err := database.NewUsage(db).Usage(t.Context(), group, time.UnixMilli(at-1000))
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i].Runs = 0 // these runs have no ids that hold a time
			}
			if !slices.Equal(got, want) {
				t.Errorf("by %s: %+v, want %+v", group, got, want)
			}
		}
		if k, err := database.NewKeys(db).Get(t.Context(), "k1"); err != nil || k.Project != core.DefaultProject {
			t.Errorf("the key is of the project %q (%v)", k.Project, err)
		}
	})
}
