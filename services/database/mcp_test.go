package database_test

import (
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func TestPinsOfMCPTools(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s, ctx, at := database.NewMCP(db), t.Context(), time.UnixMilli(1_000).UTC()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		pin := func(tool, seen string) core.MCPPin {
			return core.MCPPin{Tool: tool, Seen: seen, SeenHash: "hash of " + seen}
		}
		must(s.SeeMCPTools(ctx, "erp", []core.MCPPin{pin("pay", "a"), pin("list", "b")}, at))
		must(s.SeeMCPTools(ctx, "other", []core.MCPPin{pin("pay", "z")}, at))
		if err := s.ApproveMCPTools(ctx, "erp", []core.MCPApproval{{Tool: "list", Hash: "hash of b"}, {Tool: "pay", Hash: "hash of x"}}, "user:ann", at); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("another description was approved: %v", err)
		}
		if err := s.ApproveMCPTools(ctx, "erp", []core.MCPApproval{{Tool: "nope", Hash: "h"}}, "user:ann", at); core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("a tool that is not there was approved: %v", err)
		}
		must(s.ApproveMCPTools(ctx, "erp", []core.MCPApproval{{Tool: "pay", Hash: "hash of a"}}, "user:ann", at))
		must(s.SeeMCPTools(ctx, "erp", []core.MCPPin{pin("pay", "c")}, at.Add(time.Second)))
		got, err := s.MCPPins(ctx, "erp")
		must(err)
		if len(got) != 2 || got[0].Tool != "list" || got[0].Offered || got[0].Approved != "" || got[0].ApprovedAt != nil {
			t.Fatalf("list: %+v", got)
		}
		p := got[1]
		if !p.Offered || p.Seen != "c" || p.Approved != "a" || p.ApprovedHash != "hash of a" || p.ApprovedBy != "user:ann" || !p.ApprovedAt.Equal(at) || !p.SeenAt.Equal(at.Add(time.Second)) {
			t.Errorf("pay: %+v", p)
		}
	})
}

func TestLoginsAtMCPServers(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s, ctx, at := database.NewMCP(db), t.Context(), time.UnixMilli(1_000)
		row := core.MCPToken{Server: "erp", Owner: "user:ann", URL: "https://erp/mcp", Sealed: "one"}
		put := func(t2 core.MCPToken, before string, want bool) {
			t.Helper()
			if ok, err := s.PutMCPToken(ctx, t2, before, at); err != nil || ok != want {
				t.Errorf("put after %q: %v, %v", before, ok, err)
			}
		}
		put(row, "", true)
		row.Sealed = "two"
		put(row, "zero", false) // somebody else was faster
		put(row, "one", true)
		if got, ok, err := s.MCPToken(ctx, "erp", "user:ann"); err != nil || !ok || got != row {
			t.Errorf("got %+v, %v, %v", got, ok, err)
		}
		if _, ok, err := s.MCPToken(ctx, "erp", "user:bob"); err != nil || ok {
			t.Errorf("a login of nobody: %v, %v", ok, err)
		}
		n, err := s.Reseal(ctx, func(sealed, place string) (string, error) {
			if sealed != "two" || place != row.Place() {
				t.Errorf("reseal of %q at %q", sealed, place)
			}
			return "three", nil
		})
		if err != nil || n != 1 {
			t.Errorf("resealed %d, %v", n, err)
		}
		if n, err := s.Sealed(ctx); err != nil || n != 1 {
			t.Errorf("%d sealed, %v", n, err)
		}
		if got, _, err := s.MCPToken(ctx, "erp", "user:ann"); err != nil || got.Sealed != "three" {
			t.Errorf("got %+v, %v", got, err)
		}
		if err := s.RemoveMCPToken(ctx, "erp", "user:ann"); err != nil {
			t.Error(err)
		}
		if _, ok, _ := s.MCPToken(ctx, "erp", "user:ann"); ok {
			t.Error("the login is still there")
		}
	})
}
