package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/nearest"
)

// checkTogether reports what is impossible only in combination.
func checkTogether(c *Config, tree *node, found *findings) {
	at := func(path ...string) place {
		if n := tree.lookup(path...); n != nil {
			return n.at
		}
		return place{source: originDefault}
	}
	if c.Server.Auth == "none" && c.Server.Listen != "" && !loopback(c.Server.Listen) {
		found.add(at("server", "auth"), "server.auth",
			"is none while server.listen is %q (%s): anybody who reaches that address could run agents with your files and keys; set server.auth to required, or listen on loopback (127.0.0.1:8080) and put a proxy that authenticates in front",
			c.Server.Listen, at("server", "listen"))
	}
	if c.Models.Retry.Base > c.Models.Retry.Max && !found.about("models.retry") {
		found.add(at("models", "retry", "base"), "models.retry.base", "is %s, longer than models.retry.max (%s, %s); expected base to be at most max",
			c.Models.Retry.Base, c.Models.Retry.Max, at("models", "retry", "max"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models.Providers)) {
		key := "models.providers." + name
		if name == "agent" {
			found.add(at("models", "providers", name), key, "the name agent is taken: agent/<name> is an agent as a model; expected another name")
		}
		if p := c.Models.Providers[name]; p.Kind == "openai" && p.BaseURL == "" && !found.about(key+".base_url") {
			found.add(at("models", "providers", name), key+".base_url", "is missing; expected the address of the API, such as https://api.example.com/v1, since kind is openai")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models.Routes)) {
		checkRoute(c, name, at("models", "routes", name), tree.lookup("models", "routes", name), found)
	}
}

func checkRoute(c *Config, name string, at place, list *node, found *findings) {
	key := "models.routes." + name
	if len(c.Models.Routes[name]) == 0 {
		found.add(at, key, "is an empty list; expected at least one target, such as [{target: local/default}]")
	}
	for i, target := range c.Models.Routes[name] {
		provider, _, ok := strings.Cut(target.Target, "/")
		if _, known := c.Models.Providers[provider]; known || !ok {
			continue
		}
		key := fmt.Sprintf("%s[%d].target", key, i)
		if found.about("models.providers." + provider) {
			continue // it is there, and what is wrong with it is already said
		}
		names := slices.Sorted(maps.Keys(c.Models.Providers))
		found.add(list.items[i].fields["target"].at, key, "%q names the provider %q, which is not in models.providers; expected one of %s%s",
			target.Target, provider, strings.Join(names, ", "), didYouMean(nearest.Nearest(provider, names)))
	}
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
		case l.key == "server.auth" && c.Server.Auth == "none":
			warn(l, "every program and person on this machine may run agents; set it to required unless that is wished")
		case l.key == "tools.fetch.allow_private" && c.Tools.Fetch.AllowPrivate:
			warn(l, "agents may reach this machine and the private network; a text that they read can make them do it")
		case l.key == "server.public_url" && strings.HasPrefix(c.Server.PublicURL, "http://") && !loopbackURL(c.Server.PublicURL):
			warn(l, "keys and sessions travel unencrypted; use an https address")
		case l.key == "server.trusted_proxies" && slices.ContainsFunc(c.Server.Proxies(), func(p netip.Prefix) bool { return p.Bits() == 0 }):
			warn(l, "every client may invent the address under which it is limited and audited; name only your proxies")
		case strings.HasPrefix(l.key, "models.providers.") && strings.HasSuffix(l.key, ".base_url"):
			name := strings.TrimSuffix(strings.TrimPrefix(l.key, "models.providers."), ".base_url")
			if c.Models.Providers[name].APIKey.IsSet() && strings.HasPrefix(l.node.text, "http://") && !loopbackURL(l.node.text) {
				warn(l, "the API key travels unencrypted; use an https address")
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
