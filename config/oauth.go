package config

import (
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// OAuth is whose access tokens are taken beside API keys.
type OAuth struct {
	Issuer     string              `yaml:"issuer" format:"url"` // "" = nobody's
	Audience   string              `yaml:"audience"`            // "" = <public_url>/mcp
	JWKSURL    string              `yaml:"jwks_url" format:"url"`
	Claim      string              `yaml:"claim"`
	Roles      map[string][]string `yaml:"roles" envkeys:"true" keys:"^[^\\s\"\\\\]{1,100}$"`
	AllowHosts []string            `yaml:"allow_hosts" format:"host"`
}

// Aud returns what tokens must be meant for.
func (s Server) Aud() string {
	if s.OAuth.Audience != "" {
		return s.OAuth.Audience
	}
	return strings.TrimSuffix(s.PublicURL, "/") + "/mcp"
}

// Core returns the roles as the rest of the program knows them.
func (o OAuth) Core() map[string][]core.Scope {
	out := map[string][]core.Scope{}
	for role, scopes := range o.Roles {
		for _, s := range scopes {
			out[role] = append(out[role], core.Scope(s))
		}
	}
	return out
}

// checkOAuth reports what is impossible in combination in the settings of access tokens.
func checkOAuth(c *Config, tree *node, found *findings) {
	o := c.Server.OAuth
	at := func(field string) place { return tree.placeOf("server", "oauth", field) }
	for role, scopes := range o.Roles {
		for _, s := range scopes {
			if !slices.Contains([]string{"read", "run", "approve", "admin"}, s) {
				found.add(tree.placeOf("server", "oauth", "roles", role), "server.oauth.roles."+role, "holds %q; expected some of read, run, approve and admin", s)
			}
		}
	}
	if o.Issuer == "" {
		return
	}
	for _, u := range []struct{ field, url string }{{"issuer", o.Issuer}, {"jwks_url", o.JWKSURL}} {
		if strings.HasPrefix(u.url, "http://") && !loopbackURL(u.url) {
			found.add(at(u.field), "server.oauth."+u.field, "is %q; expected an https address: whoever changes what comes from there can let anybody in", u.url)
		}
	}
	if o.Audience == "" && c.Server.PublicURL == "" {
		found.add(at("issuer"), "server.oauth.audience", "is empty while server.public_url is too; expected one of them: tokens must be meant for this server")
	}
	if o.Claim == "" {
		found.add(at("claim"), "server.oauth.claim", "is empty; expected the name of the claim that holds a caller's roles, such as scope")
	}
}
