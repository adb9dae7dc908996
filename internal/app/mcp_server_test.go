package app

import (
	"slices"
	"testing"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
)

func TestClientsAskForTheRolesThatTheyNeed(t *testing.T) {
	t.Parallel()
	roles := map[string][]string{"all": {"admin"}, "look": {"read"}, "work": {"read", "run"}, "decide": {"approve"}}
	for _, c := range []struct {
		name string
		o    config.OAuth
		need []core.Scope
		want []string
	}{
		{"without an authorization server", config.OAuth{}, []core.Scope{core.ScopeRead, core.ScopeRun}, []string{"read", "run"}},
		{"roles that hold the right", config.OAuth{Issuer: "https://id", Claim: "scope", Roles: roles}, []core.Scope{core.ScopeRead}, []string{"look", "work"}},
		{"one of several rights", config.OAuth{Issuer: "https://id", Claim: "scp", Roles: roles}, []core.Scope{core.ScopeRun, core.ScopeApprove}, []string{"decide", "work"}},
		{"roles that people have", config.OAuth{Issuer: "https://id", Claim: "roles", Roles: roles}, []core.Scope{core.ScopeRead}, nil},
	} {
		if have := rolesFor(c.o, c.o.Core(), c.need); !slices.Equal(have, c.want) {
			t.Errorf("%s: %v, want %v", c.name, have, c.want)
		}
	}
}
