package database_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func TestMigratingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, o database.Options) {
		for range 2 {
			db, err := database.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestADatabaseOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, o database.Options) {
		db, err := database.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Querier().Exec(t.Context(), `INSERT INTO schema_migrations (number, name, applied_at) VALUES (9999, 'future', 0)`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err = database.Open(t.Context(), o); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "newer SutazAI") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAFailedTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		boom := errors.New("boom")
		err := db.Tx(t.Context(), func(ctx context.Context, q dbtx.Querier) error {
			if _, err := q.Exec(ctx, `INSERT INTO agent_versions (agent, version, definition, created_at) VALUES ('a','1','{}',0)`); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v", err)
		}
		var n int
		if err := db.Querier().QueryRow(t.Context(), `SELECT COUNT(*) FROM agent_versions`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows stayed (%v)", n, err)
		}
	})
}

// Without turns, writers poll SQLite's lock and some of them starve.
func TestManyWritersAllGetTheirTurn(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		if _, err := db.Querier().Exec(t.Context(), `CREATE TABLE counter (n BIGINT)`); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Querier().Exec(t.Context(), `INSERT INTO counter VALUES (0)`); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 20 {
					var n int
					if err := db.Querier().QueryRow(t.Context(), `UPDATE counter SET n=n+1 RETURNING n`).Scan(&n); err != nil {
						t.Errorf("update: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		var n int
		if err := db.Querier().QueryRow(t.Context(), `SELECT n FROM counter`).Scan(&n); err != nil || n != 320 {
			t.Errorf("counted %d (%v), want 320", n, err)
		}
	})
}

func TestAWriterWhoseCallerGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	db, err := database.Open(t.Context(), database.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	inside, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Tx(t.Context(), func(context.Context, dbtx.Querier) error {
			close(inside)
			<-release
			return nil
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Querier().Exec(ctx, `DELETE FROM messages`); !errors.Is(err, context.Canceled) {
		t.Errorf("a writer that gave up got %v", err)
	}
	if _, err := db.Querier().Query(t.Context(), `SELECT 1`); err != nil {
		t.Errorf("a reader had to wait: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := db.Querier().Exec(t.Context(), `DELETE FROM messages`); err != nil {
		t.Errorf("the queue is stuck: %v", err)
	}
}

func TestADamagedFileIsNamedAndLeftAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, content string }{
		{"not a database", "this is a text file, long enough to be looked at\n"},
		{"a damaged first page", "SQLite format 3\x00" + strings.Repeat("garbage ", 2000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "sutazai.db")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := database.Open(t.Context(), database.Options{DataDir: dir})
			if err == nil || !strings.Contains(core.MessageOf(err), "damaged") || !strings.Contains(core.MessageOf(err), "nothing was changed") {
				t.Fatalf("got %v", err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != c.content {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAnUnreachablePostgresSaysWhere(t *testing.T) {
	t.Parallel()
	_, err := database.Open(t.Context(), database.Options{URL: "postgres://u:secret@127.0.0.1:1/db"})
	if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(core.MessageOf(err), "127.0.0.1:1/db") || strings.Contains(core.MessageOf(err), "secret") {
		t.Errorf("got %v", err)
	}
}

// Lists must not scan: the plans are what keeps them fast with millions of runs.
func TestListsUseIndexes(t *testing.T) {
	t.Parallel()
	db, err := database.Open(t.Context(), database.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, args := range map[string][]any{
		`SELECT id FROM runs WHERE agent=$1 AND id<$2 ORDER BY id DESC LIMIT 50`:                   {"a", "b"},
		`SELECT id FROM runs WHERE status=$1 AND id<$2 ORDER BY id DESC LIMIT 50`:                  {"a", "b"},
		`SELECT id FROM runs WHERE id<$1 ORDER BY id DESC LIMIT 50`:                                {"a"},
		`SELECT id FROM runs WHERE wake_at <= $1 AND status='waiting' ORDER BY wake_at LIMIT 50`:   {1},
		`SELECT id FROM approvals WHERE status='pending' AND expires_at <= $1 ORDER BY expires_at`: {1},
		`SELECT n FROM run_events WHERE run=$1 AND n>$2 ORDER BY n`:                                {"a", 1},
		`SELECT id FROM runs WHERE created_by=$1 AND idempotency_key=$2`:                           {"a", "b"},
	} {
		rows, err := db.Querier().Query(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		plan, err := dbtx.Collect(rows, err, func(r dbtx.Row) (detail string, err error) {
			var id, parent, unused int
			return detail, r.Scan(&id, &parent, &unused, &detail)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range plan {
			if strings.HasPrefix(line, "SCAN") || strings.Contains(line, "TEMP B-TREE") {
				t.Errorf("%s\n  %s", query, line)
			}
		}
	}
}
