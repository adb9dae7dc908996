//go:build bench

package bench

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
	"github.com/sutazai/sutazai/services/database"
)

const (
	messageBytes = 2048
	aimHistory   = 2.0
)

// TestHistory measures how the database grows with a conversation: bytes stored for every byte said.
func TestHistory(t *testing.T) {
	onEach(t, "history", func(t *testing.T, backend string, o func() database.Options) {
		empty := o()
		talk(t, empty, 0)
		emptySize := sizeOf(t, empty)
		var before, saidBefore int64 // of the conversation of fewer turns
		for _, turns := range []int{10, 100, 1000} {
			t.Run(fmt.Sprint(turns), func(t *testing.T) {
				opts := o()
				said := talk(t, opts, turns)
				stored := sizeOf(t, opts) - emptySize
				ratio, marginal := float64(stored)/float64(said), float64(stored-before)/float64(said-saidBefore)
				fmt.Printf("RESULT history backend=%s turns=%d bytes_per_message_byte=%.2f aim=%.0f met=%t marginal=%.2f stored_bytes=%d message_bytes=%d\n",
					backend, turns, ratio, aimHistory, ratio <= aimHistory, marginal, stored, said)
				before, saidBefore = stored, said
				tellTables(t, opts)
			})
		}
	})
}

// talk has a conversation of so many turns, each a question and an answer, and returns how many bytes were said.
func talk(t *testing.T, o database.Options, turns int) (said int64) {
	t.Helper()
	b := open(t, o, unlike(0), false)
	var run core.Run
	for turn := range turns {
		var err error
		if turn == 0 {
			run, _, err = b.runs.Start(t.Context(), core.StartRun{Agent: "a", Input: unlike(1), Actor: "bench"})
		} else {
			_, err = b.runs.Message(t.Context(), run.ID, unlike(turn+1), "bench")
		}
		if err != nil {
			t.Fatalf("turn %d: %v", turn, err)
		}
		said += 2 * messageBytes
		awaitEnd(t, b, run.ID)
	}
	if err := b.close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return said
}

func awaitEnd(t *testing.T, b *bench, id string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(500 * time.Microsecond) {
		r, err := b.runs.Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Status == core.RunSucceeded:
			<-b.count.ended
			return
		case r.Status.Final() || time.Now().After(deadline):
			t.Fatalf("the turn ended as %s: %+v", r.Status, r.Error)
		}
	}
}

// unlike is a message that cannot be compressed, different for every n.
func unlike(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < messageBytes; i++ {
		sum := sha256.Sum256(fmt.Append(nil, n, i))
		b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	}
	return b.String()[:messageBytes]
}

// tellTables logs which tables hold the most bytes, their indexes counted apart on SQLite and with them on PostgreSQL.
func tellTables(t *testing.T, o database.Options) {
	t.Helper()
	query := `SELECT name, SUM(pgsize) AS bytes FROM dbstat GROUP BY name ORDER BY bytes DESC LIMIT 8`
	if o.URL != "" {
		query = `SELECT relname, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables ORDER BY bytes DESC LIMIT 8`
	}
	db, err := database.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Querier().Query(t.Context(), query)
	if err != nil {
		t.Logf("the size of each table cannot be told: %v", err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var (
			name  string
			bytes int64
		)
		if err := rows.Scan(&name, &bytes); err != nil {
			t.Fatal(err)
		}
		t.Logf("%9d bytes in %s", bytes, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// sizeOf is the size of a closed database, with everything in its main file.
func sizeOf(t *testing.T, o database.Options) int64 {
	t.Helper()
	if o.URL == "" {
		files, err := filepath.Glob(filepath.Join(o.DataDir, "sutazai.db*"))
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, f := range files { // the last connection has moved the log into the main file and removed it
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			sum += info.Size()
		}
		return sum
	}
	db, err := database.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return postgresSize(t, db.Querier())
}

// postgresSize is the size of every table with its indexes, after removing dead rows as autovacuum does in time.
func postgresSize(t *testing.T, q dbtx.Querier) (size int64) {
	t.Helper()
	if _, err := q.Exec(t.Context(), "VACUUM"); err != nil {
		t.Fatal(err)
	}
	if err := q.QueryRow(t.Context(), "SELECT pg_database_size(current_database())").Scan(&size); err != nil {
		t.Fatal(err)
	}
	return size
}
