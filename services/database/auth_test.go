package database_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth/authtest"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func TestCredentialStoresBehaveAsAuthNeeds(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		authtest.Stores(t, database.NewKeys(db), database.NewUsers(db), database.NewSessions(db))
	})
}

func TestOfRacingSetupsOneWins(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		users := database.NewUsers(db)
		for i := range 4 { // as of four replicas
			if err := users.AddSetupLink(t.Context(), fmt.Sprint("link", i), time.Now().Add(time.Hour), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs { // connections are made first, so that the race is not theirs
			wg.Go(func() { _, errs[i] = users.Count(t.Context()) })
		}
		wg.Wait()
		for i := range errs {
			wg.Go(func() {
				u := core.User{ID: fmt.Sprint(i), Name: fmt.Sprint("user", i), Scopes: []core.Scope{core.ScopeAdmin}, CreatedAt: time.Now()}
				errs[i] = users.CreateFirst(t.Context(), u, "pw", fmt.Sprint("link", i%4))
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch core.CodeOf(err) {
			case "":
				won++
			case core.CodeUnauthorized, core.CodeConflict:
			default:
				t.Errorf("unexpected error: %v", err)
			}
		}
		if n, err := users.Count(t.Context()); won != 1 || n != 1 || err != nil {
			t.Errorf("%d set-ups won, %d users (%v)", won, n, err)
		}
	})
}

func TestAuditEventsKeepTheirOrderAndPage(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store, replica := database.NewAudit(db), database.NewAudit(db)
		at := time.UnixMilli(1_700_000_000_000)
		for i := range 6 { // all in one millisecond, by two writers that know nothing of each other
			s := store
			if i%2 == 1 {
				s = replica
			}
			e := core.AuditEvent{At: at, Actor: "user:ada", Action: "key.create", Target: fmt.Sprint(i), Result: "ok"}
			if i == 5 {
				e.Actor, e.Action = "socket", "run.cancel"
			}
			if _, err := s.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		targets := func(f core.AuditFilter) (out []string) {
			t.Helper()
			events, err := store.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				out = append(out, e.Target)
				if !e.At.Equal(at) {
					t.Errorf("time %v", e.At)
				}
			}
			return out
		}
		if got := targets(core.AuditFilter{Limit: 10}); !slices.Equal(got, []string{"5", "4", "3", "2", "1", "0"}) {
			t.Errorf("order: %v", got)
		}
		first, err := store.List(t.Context(), core.AuditFilter{Limit: 2})
		if err != nil || len(first) != 2 {
			t.Fatal(first, err)
		}
		if got := targets(core.AuditFilter{Limit: 2, Before: first[1].ID}); !slices.Equal(got, []string{"3", "2"}) {
			t.Errorf("second page: %v", got)
		}
		if got := targets(core.AuditFilter{Limit: 10, Actor: "socket"}); !slices.Equal(got, []string{"5"}) {
			t.Errorf("by actor: %v", got)
		}
		if got := targets(core.AuditFilter{Limit: 10, Action: "key.create' OR '1'='1"}); len(got) != 0 {
			t.Errorf("by hostile action: %v", got)
		}
	})
}
