package app

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend/mcp"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/egress"
)

// newMCPServer makes what answers at /mcp. It ends with life, and before the engine does.
func (a *App) newMCPServer(life context.Context, auditLog *audit.Log) *mcp.Server {
	oauth := a.opts.Config.Server.OAuth
	roles := oauth.Core()
	s := mcp.New(mcp.Deps{
		Runs: a.runs, Agents: a.agents, Auth: a.auth, Audit: auditLog, Limits: a.limits, Logger: a.opts.Logger,
		Version: a.opts.Version, PublicURL: a.publicURL, Extend: a.opts.ExtendMCP,
		OAuth: mcp.OAuth{Issuer: oauth.Issuer, Scopes: func(need ...core.Scope) []string { return rolesFor(oauth, roles, need) }},
	})
	a.goDo(func() { s.Watch(life) })
	a.onDrained(s.Close)
	return s
}

// rolesFor names what a client asks the authorization server for, to get some rights here: the roles that hold one of them
// and not the right to everything. Where no authorization server is set, they are the names of the rights.
func rolesFor(o config.OAuth, roles map[string][]core.Scope, need []core.Scope) []string {
	var names []string
	if o.Issuer == "" {
		for _, s := range need {
			names = append(names, string(s))
		}
		return names
	}
	if o.Claim != "scope" && o.Claim != "scp" {
		return nil // roles that are given to people, not asked for by clients
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		has := func(s core.Scope) bool { return slices.Contains(roles[name], s) }
		if slices.ContainsFunc(need, has) && !has(core.ScopeAdmin) {
			names = append(names, name)
		}
	}
	return names
}

// newOAuth makes the check of access tokens, nil where none are taken. The authorization server is the administrator's
// choice, and may be in a private network.
func (a *App) newOAuth(cfg *config.Config) (*auth.OAuth, error) {
	o := cfg.Server.OAuth
	if o.Issuer == "" {
		return nil, nil
	}
	hosts := slices.Clone(o.AllowHosts)
	for _, address := range []string{o.Issuer, o.JWKSURL} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	client, err := egress.New(egress.Config{AllowHosts: hosts, Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	a.onClose(func() error { client.Close(); return nil })
	return auth.NewOAuth(auth.OAuthOptions{
		Issuer: o.Issuer, Audience: cfg.Server.Aud(), JWKS: o.JWKSURL, Claim: o.Claim, Roles: o.Core(), Client: client.HTTPClient(),
	}), nil
}
