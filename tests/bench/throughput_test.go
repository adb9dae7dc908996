//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

const (
	warmUp     = time.Second
	measureFor = 5 * time.Second
	rawFor     = 2 * time.Second // before and after each measurement
)

// onEach runs a measurement on SQLite, and on PostgreSQL where there is one, one after the other.
func onEach(t *testing.T, gate string, measure func(t *testing.T, backend string, o func() database.Options)) {
	t.Run("sqlite", func(t *testing.T) {
		measure(t, "sqlite", func() database.Options { return database.Options{DataDir: t.TempDir()} })
	})
	t.Run("postgres", func(t *testing.T) {
		if os.Getenv(databasetest.EnvPostgres) == "" {
			fmt.Printf("RESULT %s backend=postgres skipped=1 reason=%s_is_not_set\n", gate, databasetest.EnvPostgres)
			t.Skip("there is no PostgreSQL")
		}
		measure(t, "postgres", func() database.Options {
			return database.Options{DataDir: t.TempDir(), URL: databasetest.NewPostgres(t)}
		})
	})
}

// TestThroughput compares steps of runs with bare commits of the same handle, in the same minute.
func TestThroughput(t *testing.T) {
	onEach(t, "run", func(t *testing.T, backend string, o func() database.Options) {
		for _, runs := range []int{1, 16, 64} {
			t.Run(fmt.Sprint(runs), func(t *testing.T) {
				b := open(t, o(), strings.Repeat("an answer ", 100), true)
				makeRawTable(t, b.db)
				before := rawCommits(t, b.db, runs)
				steps := stepsPerSecond(t, b, runs)
				raw := (before + rawCommits(t, b.db, runs)) / 2
				fmt.Printf("RESULT run backend=%s steps_per_s=%.0f raw_commits_per_s=%.0f ratio=%.2f runs=%d\n", backend, steps, raw, steps/raw, runs)
			})
		}
	})
}

// stepsPerSecond keeps so many runs going, each started when another one ends.
func stepsPerSecond(t *testing.T, b *bench, runs int) float64 {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range runs {
		b.count.ended <- struct{}{}
	}
	var starter sync.WaitGroup
	for range min(runs, 4) {
		starter.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-b.count.ended:
				}
				if _, _, err := b.runs.Start(ctx, core.StartRun{Agent: "a", Input: "Look at the pages.", Actor: "bench"}); err != nil && ctx.Err() == nil {
					t.Errorf("start: %v", err)
					return
				}
			}
		})
	}
	time.Sleep(warmUp)
	began, first := time.Now(), b.count.steps.Load()
	time.Sleep(measureFor)
	n, took := b.count.steps.Load()-first, time.Since(began)
	stop()
	starter.Wait()
	settle(t, b)
	if failed := b.count.failed.Load(); failed > 0 || n == 0 {
		t.Fatalf("%d runs failed, %d steps were made", failed, n)
	}
	return float64(n) / took.Seconds()
}

// settle waits until every started run has ended.
func settle(t *testing.T, b *bench) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		active, err := b.runs.ActiveByAgent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if active["a"] == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d runs have not ended a minute after the load", active["a"])
		}
		select {
		case <-b.count.ended: // make room for the others
		default:
		}
	}
}

func makeRawTable(t *testing.T, db *database.DB) {
	t.Helper()
	if _, err := db.Querier().Exec(t.Context(), `CREATE TABLE bench_raw (id TEXT PRIMARY KEY, body TEXT NOT NULL)`); err != nil {
		t.Fatal(err)
	}
}

// rawCommits is how many transactions of one insert of 1 KB the same handle commits a second, from so many goroutines.
func rawCommits(t *testing.T, db *database.DB, writers int) float64 {
	t.Helper()
	body := strings.Repeat("x", 1024)
	var (
		wg sync.WaitGroup
		n  atomic.Int64
	)
	began := time.Now()
	for range writers {
		wg.Go(func() {
			for time.Since(began) < rawFor {
				err := db.Tx(t.Context(), func(ctx context.Context, q dbtx.Querier) error {
					_, err := q.Exec(ctx, `INSERT INTO bench_raw (id, body) VALUES ($1, $2)`, uuid.Must(uuid.NewV7()).String(), body)
					return err
				})
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}
