package config

import (
	"maps"
	"slices"
)

// checkPeers reports what is impossible in combination in the settings of peers.
func checkPeers(c *Config, tree *node, found *findings) {
	m := kindChecker{found: found}
	for _, name := range slices.Sorted(maps.Keys(c.Peers)) {
		p, key, n := c.Peers[name], "peers."+name, tree.lookup("peers", name)
		if p.Protocol == "" { // missing or wrong, which is already said
			continue
		}
		remote, process := []string{"a2a"}, []string{"acp", "jsonl"}
		m.fields("protocol", p.Protocol, key, n, []fieldRule{
			{"url", p.URL != "", remote, true},
			{"transport", p.Transport != "auto", remote, false},
			{"hosts", len(p.Hosts) > 0, remote, false},
			{"card_keys", p.CardKeys != "", remote, false},
			{"auth", p.Auth.Kind != "none", remote, false},
			{"headers", len(p.Headers) > 0, remote, false},
			{"command", len(p.Command) > 0, process, true},
			{"env", len(p.Env) > 0, process, false},
			{"cwd", p.Cwd != "", process, false},
			{"per", p.Per != "run", process, false},
			{"login", p.Login != "", []string{"acp"}, false},
		})
		if len(p.Command) > 0 && p.Command[0] == "" {
			found.add(n.placeOf("command"), key+".command", "begins with an empty text; expected the program")
		}
		auth := n.lookup("auth")
		if auth == nil {
			continue
		}
		a := p.Auth
		m.fields("kind", a.Kind, key+".auth", auth, []fieldRule{
			{"token", a.Token.IsSet(), []string{"bearer", "api_key", "basic"}, true},
			{"header", a.Header != "", []string{"api_key"}, false},
			{"user", a.User != "", []string{"basic"}, true},
			{"token_url", a.TokenURL != "", []string{"oauth"}, true},
			{"client_id", a.ClientID != "", []string{"oauth"}, true},
			{"client_secret", a.ClientSecret.IsSet(), []string{"oauth"}, true},
			{"scopes", len(a.Scopes) > 0, []string{"oauth"}, false},
		})
	}
}
