package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// budgetServer keeps budgets as the real one shows them.
func budgetServer(t *testing.T) *fake {
	f := newFake(t)
	items := []budgetItem{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/budgets", func(w http.ResponseWriter, _ *http.Request) { f.reply(w, 200, page[budgetItem]{Items: items}) })
	mux.HandleFunc("PUT /api/v1/budgets/{id}", func(w http.ResponseWriter, r *http.Request) {
		var b newBudget
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		end := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
		items = append(items, budgetItem{
			ID: r.PathValue("id"), Scope: b.Scope, ScopeID: b.ScopeID, Window: b.Window, LimitUSD: b.LimitUSD, LimitTokens: b.LimitTokens,
			SpentUSD: 1.5, LeftUSD: b.LimitUSD - 1.5, LeftTokens: b.LimitTokens, WindowEnd: &end,
		})
		f.reply(w, 200, items[len(items)-1])
	})
	mux.HandleFunc("DELETE /api/v1/budgets/{id}", func(w http.ResponseWriter, r *http.Request) {
		for i, b := range items {
			if b.ID == r.PathValue("id") {
				items = append(items[:i], items[i+1:]...)
				f.reply(w, 200, b)
				return
			}
		}
		f.problem(w, 404, core.CodeNotFound, "there is no such budget")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func TestBudgetsAreSetListedAndRemoved(t *testing.T) {
	t.Parallel()
	f := budgetServer(t)
	call := func(args ...string) result { return f.call(t.Context(), nil, terminals{}, args...) }
	call("budgets", "list").want(t, exitOK, "sutazai budgets set NAME")
	call("budgets", "set", "team-a", "--project", "a", "--usd", "49.5").want(t, exitOK, "team-a gives project a $49.5000 a month; $48.0000 are left")
	call("budgets", "set", "all-day", "--all", "--window", "day", "--usd", "20", "--tokens", "1000").want(t, exitOK, "$20.0000, 1000 tokens")
	r := call("budgets", "list")
	for _, want := range []string{"team-a", "project a", "month", "$49.5000", "$1.5000", "$18.5000, 1000 tokens"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	var p page[budgetItem]
	if r = call("budgets", "list", "--json"); json.Unmarshal([]byte(r.out), &p) != nil || len(p.Items) != 2 {
		t.Errorf("printed %s", r.out)
	}
	call("budgets", "remove", "team-a").want(t, exitOK, "team-a is removed")
	call("budgets", "remove", "team-a").want(t, exitNotFound, "no such budget")
	for _, wrong := range [][]string{
		{"budgets", "set", "x", "--usd", "1"},
		{"budgets", "set", "x", "--all", "--agent", "clerk", "--usd", "1"},
		{"budgets", "set", "x", "--all"},
		{"budgets", "set", "x", "--all", "--tokens", "-1"},
		{"budgets", "set", "--all", "--usd", "1"},
	} {
		call(wrong...).want(t, exitUsage, "")
	}
}
