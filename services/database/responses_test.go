package database_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

var responseTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func aResponse(owner, id, previous string) core.StoredResponse {
	return core.StoredResponse{
		ID: id, Owner: owner, State: core.ResponseWhole, Model: "local/default", Previous: previous,
		Input: json.RawMessage(`[{"type":"message"}]`), Response: json.RawMessage(`{"id":"` + id + `","output":[]}`),
		CreatedAt: responseTime, ExpiresAt: responseTime.Add(30 * 24 * time.Hour),
	}
}

func saveResponses(t *testing.T, s *database.Responses, list ...core.StoredResponse) {
	t.Helper()
	for _, r := range list {
		if err := s.Save(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func chainIDs(t *testing.T, s *database.Responses, owner, id string, now time.Time, maxBytes int64) string {
	t.Helper()
	list, err := s.Chain(t.Context(), owner, id, now, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func TestAResponseIsReadByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewResponses(db)
		want := aResponse("key:a", "r1", "")
		saveResponses(t, s, want, aResponse("key:a", "both", ""), aResponse("key:b", "both", ""))
		got, err := s.Get(t.Context(), "key:a", "r1", responseTime)
		if err != nil || got.Model != want.Model || string(got.Input) != string(want.Input) || string(got.Response) != string(want.Response) ||
			!got.CreatedAt.Equal(want.CreatedAt) || !got.ExpiresAt.Equal(want.ExpiresAt) || got.State != want.State {
			t.Errorf("got %+v, %v", got, err)
		}
		for _, c := range []struct {
			owner, id string
			now       time.Time
			code      core.Code
		}{
			{"key:b", "r1", responseTime, core.CodeForbidden},
			{"key:a", "r2", responseTime, core.CodeNotFound},
			{"key:a", "r1", want.ExpiresAt, core.CodeNotFound},
			{"key:a", "both", responseTime, ""},
			{"key:b", "both", responseTime, ""},
		} {
			if _, err := s.Get(t.Context(), c.owner, c.id, c.now); core.CodeOf(err) != c.code {
				t.Errorf("%s asks for %s: %v, want %q", c.owner, c.id, err, c.code)
			}
		}
		if ids := chainIDs(t, s, "key:b", "r1", responseTime, 1<<20); ids != "" {
			t.Errorf("another's conversation is read: %s", ids)
		}
		if err := s.Delete(t.Context(), "key:b", "r1", responseTime); core.CodeOf(err) != core.CodeForbidden {
			t.Errorf("another deletes it: %v", err)
		}
	})
}

func TestADeletedResponseIsGoneAndItsIDStaysTaken(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewResponses(db)
		saveResponses(t, s, aResponse("key:a", "r1", ""), aResponse("key:a", "r2", "r1"))
		if err := s.Delete(t.Context(), "key:a", "r1", responseTime); err != nil {
			t.Fatal(err)
		}
		saveResponses(t, s, aResponse("key:a", "r1", "")) // a late save changes nothing
		for _, owner := range []string{"key:a", "key:b"} {
			if _, err := s.Get(t.Context(), owner, "r1", responseTime); core.CodeOf(err) != core.CodeForbidden {
				t.Errorf("%s: %v", owner, err)
			}
		}
		if err := s.Delete(t.Context(), "key:a", "r1", responseTime); core.CodeOf(err) != core.CodeForbidden {
			t.Errorf("deleting again: %v", err)
		}
		if err := s.Delete(t.Context(), "key:a", "never", responseTime); core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("deleting what was never there: %v", err)
		}
		if ids := chainIDs(t, s, "key:a", "r2", responseTime, 1<<20); ids != "r2" {
			t.Errorf("the chain is %q", ids)
		}
	})
}

func TestAChainIsReadOldestFirstWithinItsBound(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewResponses(db)
		saveResponses(t, s, aResponse("key:a", "r1", ""), aResponse("key:a", "r2", "r1"), aResponse("key:a", "r3", "r2"), aResponse("key:b", "r2", "other"))
		size := int64(len(aResponse("key:a", "r1", "").Input) + len(aResponse("key:a", "r1", "").Response))
		for bytes, want := range map[int64]string{1 << 20: "r1 r2 r3", 3 * size: "r1 r2 r3", 3*size - 1: "r2 r3", size: "r3", size - 1: ""} {
			if ids := chainIDs(t, s, "key:a", "r3", responseTime, bytes); ids != want {
				t.Errorf("within %d bytes: %q, want %q", bytes, ids, want)
			}
		}
	})
}

func TestExpiredResponsesAreDeletedAndALivingConversationKeepsItsBeginning(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewResponses(db)
		later := aResponse("key:a", "r2", "r1")
		later.CreatedAt, later.ExpiresAt = responseTime.Add(20*24*time.Hour), responseTime.Add(50*24*time.Hour)
		saveResponses(t, s, aResponse("key:a", "r1", ""), aResponse("key:a", "lone", ""), aResponse("key:a", "lone2", ""), later)
		now := responseTime.Add(40 * 24 * time.Hour)
		if ids := chainIDs(t, s, "key:a", "r2", now, 1<<20); ids != "r1 r2" {
			t.Errorf("the chain is %q", ids)
		}
		for _, want := range []int64{1, 1, 0} {
			if n, err := s.DeleteExpired(t.Context(), now, 1); err != nil || n != want {
				t.Errorf("deleted %d (%v), want %d", n, err, want)
			}
		}
		if ids := chainIDs(t, s, "key:a", "r2", now, 1<<20); ids != "r1 r2" {
			t.Errorf("the chain is %q", ids)
		}
	})
}
