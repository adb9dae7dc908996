package database_test

import (
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// A cancelled run was revived by an executor that had read it just before; and a segment could write over a later one.
func TestAnExecutorThatCameTooLateChangesNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		runs, q := db.Runs(), db.Querier()
		for name, c := range map[string]struct {
			stored  core.RunStatus
			segment int // stored
			late    core.RunRecord
			refused bool
		}{
			"ended meanwhile":              {core.RunCancelled, 1, core.RunRecord{Run: core.Run{Status: core.RunRunning}, Segment: 1}, true},
			"went on in a later segment":   {core.RunQueued, 2, core.RunRecord{Run: core.Run{Status: core.RunRunning}, Segment: 1}, true},
			"its own segment":              {core.RunQueued, 1, core.RunRecord{Run: core.Run{Status: core.RunRunning}, Segment: 1}, false},
			"a finished run goes on":       {core.RunSucceeded, 1, core.RunRecord{Run: core.Run{Status: core.RunQueued}, Segment: 2}, false},
			"ends in a segment of its own": {core.RunRunning, 3, core.RunRecord{Run: core.Run{Status: core.RunFailed}, Segment: 3}, false},
		} {
			r := core.RunRecord{Run: core.Run{ID: name, Agent: "a", Status: core.RunQueued, CreatedAt: time.Now()}, Root: name, Segment: 1}
			if err := runs.Insert(t.Context(), q, r); err != nil {
				t.Fatal(err)
			}
			r.Status, r.Segment = c.stored, c.segment
			if _, _, err := runs.Save(t.Context(), q, r, 0, 1); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			c.late.ID = name
			_, _, err := runs.Save(t.Context(), q, c.late, 0, 1)
			if refused := core.CodeOf(err) == core.CodeConflict; refused != c.refused {
				t.Errorf("%s: got %v, want refused=%v", name, err, c.refused)
			}
			got, err := runs.Get(t.Context(), q, name)
			if err != nil {
				t.Fatal(err)
			}
			want := c.late.Status
			if c.refused {
				want = c.stored
			}
			if got.Status != want {
				t.Errorf("%s: the run is %s, want %s", name, got.Status, want)
			}
		}
	})
}
