package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// checkTogether reports what is impossible only in combination.
func checkTogether(c *Config, tree *node, found *findings) {
	for _, l := range []struct{ key, address string }{{"listen", c.Server.Listen}, {"ollama_listen", c.Server.OllamaListen}} {
		if c.Server.Auth == "none" && l.address != "" && !loopback(l.address) {
			found.add(tree.placeOf("server", "auth"), "server.auth",
				"is none while server.%s is %q (%s): anybody who reaches that address could run agents with your files and keys; set server.auth to required, or listen on loopback (127.0.0.1:8080) and put a proxy that authenticates in front",
				l.key, l.address, tree.placeOf("server", l.key))
		}
	}
	if c.Server.OllamaListen != "" && c.Server.OllamaListen == c.Server.Listen && !strings.HasSuffix(c.Server.Listen, ":0") {
		found.add(tree.placeOf("server", "ollama_listen"), "server.ollama_listen", "is %q, which server.listen (%s) has already; expected another address or port",
			c.Server.OllamaListen, tree.placeOf("server", "listen"))
	}
	checkOAuth(c, tree, found)
	checkModels(c, tree, found)
	checkPeers(c, tree, found)
	checkMCP(c, tree, found)
}

// Warning is something that works, but probably not as wished.
type Warning struct {
	Key     string `json:"key"` // "" when it concerns the whole file
	Origin  string `json:"origin"`
	Message string `json:"message"`
}

func (w Warning) String() string {
	if w.Key == "" {
		return w.Origin + ": " + w.Message
	}
	return w.Origin + ": " + w.Key + ": " + w.Message
}

// Check looks for what Load lets pass: secrets that are written out or cannot be read, connections that show them on the
// way, files that others may change. It reads what references point to and tells nothing of it.
func (c *Config) Check() []Warning {
	if c.origin == nil {
		return nil
	}
	warnings := c.checkFiles()
	warn := func(l leaf, format string, args ...any) {
		warnings = append(warnings, Warning{l.key, l.node.at.String(), fmt.Sprintf(format, args...)})
	}
	for _, l := range flatten(c.origin.tree, c.origin.root) {
		switch {
		case l.spec.kind == kindSecret:
			if message := checkSecret(l, c.origin.env); message != "" {
				warn(l, "%s", message)
			}
		case l.spec.kind == kindList && l.spec.elem.kind == kindSecret:
			for i, item := range l.node.items {
				item := leaf{fmt.Sprintf("%s[%d]", l.key, i), l.spec.elem, item}
				if message := checkSecret(item, c.origin.env); message != "" {
					warn(item, "%s", message)
				}
			}
		case l.key == "server.auth" && c.Server.Auth == "none":
			warn(l, "every program and person on this machine may run agents; set it to required unless that is wished")
		case l.key == "tools.fetch.allow_private" && c.Tools.Fetch.AllowPrivate:
			warn(l, "agents may reach this machine and the private network; a text that they read can make them do it")
		case l.key == "tools.sandbox.network" && c.Tools.Sandbox.Network == "host":
			warn(l, "commands of agents reach this machine's own services and the private network, and can send away what they read; set approval: always on run_shell and run_python")
		case l.key == "server.public_url" && strings.HasPrefix(c.Server.PublicURL, "http://") && !loopbackURL(c.Server.PublicURL):
			warn(l, "keys and sessions travel unencrypted; use an https address")
		case l.key == "server.trusted_proxies" && slices.ContainsFunc(c.Server.Proxies(), func(p netip.Prefix) bool { return p.Bits() == 0 }):
			warn(l, "every client may invent the address under which it is limited and audited; name only your proxies")
		case strings.HasPrefix(l.key, "models.providers.") && strings.HasSuffix(l.key, ".base_url"):
			name := strings.TrimSuffix(strings.TrimPrefix(l.key, "models.providers."), ".base_url")
			if len(c.Models.Providers[name].Keys()) > 0 && strings.HasPrefix(l.node.text, "http://") && !loopbackURL(l.node.text) {
				warn(l, "the API key travels unencrypted; use an https address")
			}
		case strings.HasPrefix(l.key, "peers.") && strings.HasSuffix(l.key, ".url"):
			name := strings.TrimSuffix(strings.TrimPrefix(l.key, "peers."), ".url")
			if p := c.Peers[name]; (p.Auth.Kind != "none" || len(p.Headers) > 0) && strings.HasPrefix(l.node.text, "http://") && !loopbackURL(l.node.text) {
				warn(l, "what lets it in travels unencrypted; use an https address")
			}
		case strings.HasPrefix(l.key, "mcp.servers.") && strings.HasSuffix(l.key, ".url"):
			name := strings.TrimSuffix(strings.TrimPrefix(l.key, "mcp.servers."), ".url")
			if m := c.MCP.Servers[name]; (m.Auth.Kind != "none" || len(m.Headers) > 0) && strings.HasPrefix(l.node.text, "http://") && !loopbackURL(l.node.text) {
				warn(l, "what lets it in travels unencrypted; use an https address")
			}
		case strings.HasPrefix(l.key, "models.routes.") && strings.HasSuffix(l.key, ".targets"):
			name := strings.TrimSuffix(strings.TrimPrefix(l.key, "models.routes."), ".targets")
			if route := c.Models.Routes[name]; route.Strategy != "weighted" && slices.ContainsFunc(route.Targets, func(t Target) bool { return t.Weight != 1 }) {
				warn(l, "the weights have no effect with the strategy %s; set strategy to weighted", route.Strategy)
			}
		}
	}
	return warnings
}

// checkFiles warns of settings files that somebody else may write.
func (c *Config) checkFiles() []Warning {
	warnings := []Warning{}
	for _, path := range c.origin.files {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o022 != 0 {
			warnings = append(warnings, Warning{"", path, fmt.Sprintf("others may change this file (mode %04o), and with it whom the server trusts; chmod go-w it", info.Mode().Perm())})
		}
	}
	return warnings
}

func checkSecret(l leaf, env *environ) string {
	secret := l.secret(env)
	if !secret.IsSet() {
		return ""
	}
	if _, err := secret.Resolve(); err != nil {
		return core.MessageOf(err)
	}
	if secret.Literal() {
		hasSecret := l.spec.format != "database" || secret.String() != *secret.value.text
		if hasSecret && !strings.HasPrefix(l.node.at.source, "env ") {
			return "the secret itself is written here; refer to it instead: env:NAME or file:/path"
		}
		return ""
	}
	if strings.HasPrefix(*secret.value.text, "file:") {
		path, err := secret.filePath()
		if err != nil {
			return core.MessageOf(err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			return fmt.Sprintf("others may read the file %s (mode %04o); chmod 600 it", path, info.Mode().Perm())
		}
	}
	return ""
}

func loopbackURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return loopback("[" + u.Hostname() + "]:" + port)
}
