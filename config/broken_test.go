package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// broken is one way to get the settings wrong, with all that is said about it.
type broken struct {
	name  string
	file  string
	env   []string
	set   []string
	want  []string // one line each, exactly
	loose bool     // the schema cannot see it: wrong only in combination, out of a bound that is no pattern, or no file
}

func brokenSettings() []broken {
	const openai = "models:\n  providers:\n    cloud:\n      kind: openai\n      base_url: https://api.example.com/v1\n"
	return []broken{
		{
			name: "an unknown key with a near one", file: "server:\n  lisen: 127.0.0.1:1\n",
			want: []string{`sutazai.yaml:2: server.lisen: unknown key; expected one of listen, ollama_listen, data_dir, secret_key, auth, public_url, allowed_hosts, trusted_proxies, max_body, request_timeout, shutdown_grace, session_ttl, rate_limit, oauth (did you mean "listen"?)`},
		},
		{
			name: "access tokens for nobody", file: "server:\n  oauth:\n    issuer: http://id.example.com\n    claim: \"\"\n", loose: true,
			want: []string{
				`3 settings are wrong:`,
				`  sutazai.yaml:3: server.oauth.issuer: is "http://id.example.com"; expected an https address: whoever changes what comes from there can let anybody in`,
				`  sutazai.yaml:3: server.oauth.audience: is empty while server.public_url is too; expected one of them: tokens must be meant for this server`,
				`  sutazai.yaml:4: server.oauth.claim: is empty; expected the name of the claim that holds a caller's roles, such as scope`,
			},
		},
		{
			name: "a role of access tokens with a right that is none", file: "server:\n  oauth:\n    roles:\n      team: [read, write]\n", loose: true,
			want: []string{`sutazai.yaml:4: server.oauth.roles.team: holds "write"; expected some of read, run, approve and admin`},
		},
		{
			name: "an unknown section", file: "\n\nsrever: {}\n",
			want: []string{`sutazai.yaml:3: srever: unknown key; expected one of server, log, database, agents, runs, models, tools, peers, a2a, mcp (did you mean "server"?)`},
		},
		{
			name: "a key of another section", file: "listen: 127.0.0.1:1\n",
			want: []string{`sutazai.yaml:1: listen: unknown key; expected one of server, log, database, agents, runs, models, tools, peers, a2a, mcp (did you mean "server.listen"?)`},
		},
		{
			name: "a key that is like none", file: "log:\n  zzz: 1\n",
			want: []string{`sutazai.yaml:2: log.zzz: unknown key; expected one of level, format`},
		},
		{
			name: "an unknown key of a provider", file: openai + "      api_kye: env:K\n",
			want: []string{`sutazai.yaml:6: models.providers.cloud.api_kye: unknown key; expected one of kind, base_url, api_key, api_keys, region, api_version, deployments, quirks, tools, timeout, probe, concurrency, headers, models, context, prices (did you mean "api_key"?)`},
		},
		{
			name: "a number where a whole number is expected in quotes", file: "database:\n  max_conns: \"10\"\n",
			want: []string{`sutazai.yaml:2: database.max_conns: is "10"; expected a whole number from 1 to 1000`},
		},
		{
			name: "a fraction where a whole number is expected", file: "database: {max_conns: 1.5}\n",
			want: []string{`sutazai.yaml:1: database.max_conns: is the number 1.5; expected a whole number from 1 to 1000`},
		},
		{
			name: "a negative number", file: "runs:\n  max_active: -1\n",
			want: []string{`sutazai.yaml:2: runs.max_active: is the number -1; expected a whole number from 1 to 10000`},
		},
		{
			name: "no number at all", file: "agents: {limits: {cost_usd: .nan}}\n", loose: true,
			want: []string{`sutazai.yaml:1: agents.limits.cost_usd: is the number .nan; expected a number of at least 0.000001`},
		},
		{
			name: "a number where text is expected", file: "models: {local: {model: 7}}\n",
			want: []string{`sutazai.yaml:1: models.local.model: is the number 7; expected text: put it in quotes`},
		},
		{
			name: "a word where true or false is expected", file: "tools: {fetch: {allow_private: yes}}\n",
			want: []string{`sutazai.yaml:1: tools.fetch.allow_private: is "yes"; expected true or false`},
		},
		{
			name: "a duration without a unit", file: "server:\n  request_timeout: 30\n",
			want: []string{`sutazai.yaml:2: server.request_timeout: is the number 30; expected a duration such as 500ms, 30s or 15m, from 1s to 1h`},
		},
		{
			name: "a negative duration", file: "server: {shutdown_grace: -5s}\n",
			want: []string{`sutazai.yaml:1: server.shutdown_grace: is "-5s"; expected a duration such as 500ms, 30s or 15m, from 0s to 1h`},
		},
		{
			name: "a duration out of its bounds", file: "server: {request_timeout: 10ms}\n", loose: true,
			want: []string{`sutazai.yaml:1: server.request_timeout: is "10ms"; expected a duration such as 500ms, 30s or 15m, from 1s to 1h`},
		},
		{
			name: "a size with an unknown unit", file: "tools: {output_max: 64 potatoes}\n",
			want: []string{`sutazai.yaml:1: tools.output_max: is "64 potatoes"; expected a size such as 64KB or 10MB, from 1KB to 16MB`},
		},
		{
			name: "a size that is too large", file: "tools: {output_max: 1GB}\n", loose: true,
			want: []string{`sutazai.yaml:1: tools.output_max: is "1GB"; expected a size such as 64KB or 10MB, from 1KB to 16MB`},
		},
		{
			name: "an unknown word of a few", file: "log: {level: wran}\n",
			want: []string{`sutazai.yaml:1: log.level: is "wran"; expected one of debug, info, warn, error (did you mean "warn"?)`},
		},
		{
			name: "a key without a value", file: "server:\n  listen:\n",
			want: []string{`sutazai.yaml:2: server.listen: has no value; expected text; remove the line to keep the value of the layer below`},
		},
		{
			name: "a value where a section is expected", file: "server: 127.0.0.1:8080\n",
			want: []string{`sutazai.yaml:1: server: is a text; expected a mapping with some of listen, ollama_listen, data_dir, secret_key, auth, public_url, allowed_hosts, trusted_proxies, max_body, request_timeout, shutdown_grace, session_ttl, rate_limit, oauth`},
		},
		{
			name: "a list where a map is expected", file: "models:\n  providers:\n    - {kind: ollama}\n",
			want: []string{`sutazai.yaml:2: models.providers: is a list; expected a mapping of names to mappings with kind, base_url, api_key, api_keys, region, api_version, deployments, quirks, tools, timeout, probe, concurrency, headers, models, context, prices`},
		},
		{
			name: "one value where a list is expected", file: "server:\n  allowed_hosts: a.example.com\n",
			want: []string{`sutazai.yaml:2: server.allowed_hosts: is a text; expected a list of texts, such as [one, two]`},
		},
		{
			name: "a list where one value is expected", file: "log:\n  level: [info]\n",
			want: []string{`sutazai.yaml:2: log.level: is a list; expected one of debug, info, warn, error`},
		},
		{
			name: "a number where lists are expected", file: "models: {routes: 7}\n",
			want: []string{`sutazai.yaml:1: models.routes: is a number; expected a mapping of names to lists of mappings with target, weight, or mappings with targets, strategy, fallback, sticky, hedge, cache, cache_ttl, cache_threshold, guardrails`},
		},
		{
			name: "one target where a list of them is expected", file: "models: {routes: {default: local/default}}\n",
			want: []string{`sutazai.yaml:1: models.routes.default: is a text; expected a list of mappings with target, weight, such as [{target: local/default}], or a mapping with some of targets, strategy, fallback, sticky, hedge, cache, cache_ttl, cache_threshold, guardrails`},
		},
		{
			name: "an empty item of a list", file: "server:\n  allowed_hosts:\n    -\n",
			want: []string{`sutazai.yaml:3: server.allowed_hosts[0]: has no value; expected text; remove the line to keep the value of the layer below`},
		},
		{
			name: "a secret without a value", file: openai + "      api_key:\n",
			want: []string{`sutazai.yaml:6: models.providers.cloud.api_key: has no value; expected text such as env:NAME or file:/path; remove the line to keep the value of the layer below`},
		},
		{
			name: "a secret that is a number", file: openai + "      api_key: 12345\n",
			want: []string{`sutazai.yaml:6: models.providers.cloud.api_key: is a number; expected text such as env:NAME or file:/path: put it in quotes`},
		},
		{
			name: "a line break inside a value", file: "server: {data_dir: \"/a\\nb\"}\n", loose: true,
			want: []string{`sutazai.yaml:1: server.data_dir: holds a line break or control character; expected text`},
		},
		{
			name: "a host with a path where a wildcard may stand", file: "tools: {fetch: {allow_hosts: [\"*.example.com\", \"example.com/x\"]}}\n",
			want: []string{`sutazai.yaml:1: tools.fetch.allow_hosts[1]: "example.com/x" is not a host name; expected a name such as example.com or *.example.com, without scheme, port or path`},
		},
		{
			name: "a folder that is empty", file: "server: {data_dir: \"\"}\n", loose: true,
			want: []string{`sutazai.yaml:1: server.data_dir: is empty; expected the path of a folder`},
		},
		{
			name: "a merge key", file: "log:\n  <<: {level: info}\n", loose: true,
			want: []string{`sutazai.yaml:2: merge keys (<<) are not understood here; write the keys out`},
		},
		{
			name: "a list with a wrong item", file: "server:\n  allowed_hosts:\n    - a.example.com\n    - https://b.example.com/\n",
			want: []string{`sutazai.yaml:4: server.allowed_hosts[1]: "https://b.example.com/" is not a host name; expected a name such as agents.example.com, without scheme, port or path`},
		},
		{
			name: "a proxy with a port", file: "server: {trusted_proxies: [10.0.0.5, \"10.0.0.5:80\"]}\n", loose: true,
			want: []string{`sutazai.yaml:1: server.trusted_proxies[1]: "10.0.0.5:80" is not an address or network; expected one such as 10.0.0.5, 10.0.0.0/8 or fd00::/8`},
		},
		{
			name: "a proxy by name and networks that do not exist", loose: true, set: []string{"server.trusted_proxies=[proxy, 10.0.0.0/33, 10.0.0, \"::ffff:10.0.0.0/104\"]"},
			want: []string{
				`4 settings are wrong:`,
				`  --set: server.trusted_proxies[0]: "proxy" is not an address or network; expected one such as 10.0.0.5, 10.0.0.0/8 or fd00::/8`,
				`  --set: server.trusted_proxies[1]: "10.0.0.0/33" is not an address or network; expected one such as 10.0.0.5, 10.0.0.0/8 or fd00::/8`,
				`  --set: server.trusted_proxies[2]: "10.0.0" is not an address or network; expected one such as 10.0.0.5, 10.0.0.0/8 or fd00::/8`,
				`  --set: server.trusted_proxies[3]: "::ffff:10.0.0.0/104" is not an address or network; expected one such as 10.0.0.5, 10.0.0.0/8 or fd00::/8`,
			},
		},
		{
			name: "an address without a port", file: "server: {listen: localhost}\n",
			want: []string{`sutazai.yaml:1: server.listen: is "localhost"; expected an address and a port, such as 127.0.0.1:8080, or [::1]:8080 for IPv6`},
		},
		{
			name: "a port out of range", file: "server:\n  listen: 127.0.0.1:65536\n", loose: true,
			want: []string{`sutazai.yaml:2: server.listen: has the port "65536"; expected a number from 0 (any free one) to 65535`},
		},
		{
			name: "listening to the world without authentication", file: "server:\n  auth: none\n  listen: 0.0.0.0:8080\n", loose: true,
			want: []string{`sutazai.yaml:2: server.auth: is none while server.listen is "0.0.0.0:8080" (sutazai.yaml:3): anybody who reaches that address could run agents with your files and keys; set server.auth to required, or listen on loopback (127.0.0.1:8080) and put a proxy that authenticates in front`},
		},
		{
			name: "the same by an empty host and other layers", set: []string{"server.auth=none"}, env: []string{"SUTAZAI_SERVER_LISTEN=:8080"}, loose: true,
			want: []string{`--set: server.auth: is none while server.listen is ":8080" (env SUTAZAI_SERVER_LISTEN): anybody who reaches that address could run agents with your files and keys; set server.auth to required, or listen on loopback (127.0.0.1:8080) and put a proxy that authenticates in front`},
		},
		{
			name: "an unknown database", file: "database: {url: \"mysql://user:hunter2@db/x\"}\n",
			want: []string{`sutazai.yaml:1: database.url: is not a database that is known; expected nothing (SQLite in data_dir), postgres://user@host/name, or a reference to that: env:NAME or file:/path`},
		},
		{
			name: "a database password that is not escaped", file: "database: {url: \"postgres://me:12/hunter2@db/x\"}\n", loose: true,
			want: []string{`sutazai.yaml:1: database.url: is not a clear URL; expected postgres://user:password@host/name with any of / ? # @ : % in the password written as %2F %3F %23 %40 %3A %25`},
		},
		{
			name: "an OpenAI provider without an address", file: "models:\n  providers:\n    cloud: {kind: openai}\n", loose: true,
			want: []string{`sutazai.yaml:3: models.providers.cloud.base_url: is missing; expected the address of the API, such as https://api.example.com/v1, since kind is openai`},
		},
		{
			name: "a provider without a kind", file: "models:\n  providers:\n    cloud:\n      base_url: https://api.example.com\n", loose: true,
			want: []string{`sutazai.yaml:3: models.providers.cloud.kind: is missing; expected one of local, openai, responses, anthropic, gemini, azure, bedrock, ollama`},
		},
		{
			name: "credentials in an address", file: "models:\n  providers:\n    cloud: {kind: openai, base_url: \"https://me:hunter2@api.example.com\"}\n",
			want: []string{`sutazai.yaml:3: models.providers.cloud.base_url: holds a user name or password; expected a URL without one: credentials belong into api_key or headers`},
		},
		{
			name: "an address that is none", file: "server: {public_url: agents.example.com}\n",
			want: []string{`sutazai.yaml:1: server.public_url: is "agents.example.com"; expected a URL such as https://host.example.com/v1`},
		},
		{
			name: "a provider's name with a slash", file: "models:\n  providers:\n    a/b: {kind: ollama}\n",
			want: []string{`sutazai.yaml:3: models.providers.a/b: the name is not usable; expected one that matches ^[a-z0-9][a-z0-9_-]{0,62}$`},
		},
		{
			name: "a provider with the name of agents", file: "models:\n  providers:\n    agent: {kind: ollama}\n", loose: true,
			want: []string{`sutazai.yaml:3: models.providers.agent: the name agent is taken: agent/<name> is an agent as a model; expected another name`},
		},
		{
			name: "a route to an unknown provider", file: openai + "  routes:\n    fast:\n      - target: clodu/small\n", loose: true,
			want: []string{`sutazai.yaml:8: models.routes.fast[0].target: "clodu/small" names the provider "clodu", which is not in models.providers; expected one of cloud, local (did you mean "cloud"?)`},
		},
		{
			name: "a target that is no provider/model", file: "models: {routes: {fast: [{target: small}]}}\n",
			want: []string{`sutazai.yaml:1: models.routes.fast[0].target: is "small"; expected provider/model, such as local/default`},
		},
		{
			name: "a target without its key", file: "models: {routes: {fast: [local/default]}}\n",
			want: []string{`sutazai.yaml:1: models.routes.fast[0]: is a text; expected a mapping with some of target, weight`},
		},
		{
			name: "an item that is empty", file: "models: {routes: {fast: [{}]}}\n",
			want: []string{`sutazai.yaml:1: models.routes.fast[0].target: is missing; expected text`},
		},
		{
			name: "a route to nowhere", file: "models: {routes: {fast: []}}\n", loose: true,
			want: []string{`sutazai.yaml:1: models.routes.fast: is an empty list; expected at least one target, such as [{target: local/default}]`},
		},
		{
			name: "a first wait longer than the longest", file: "models:\n  retry:\n    base: 10s\n", loose: true,
			want: []string{`sutazai.yaml:3: models.retry.base: is 10s, longer than models.retry.max (5s, default); expected base to be at most max`},
		},
		{
			name: "no YAML", file: "server:\n  listen: [1\n", loose: true,
			want: []string{`sutazai.yaml:2: this is not YAML: sequence end token ']' not found; expected keys and values such as "log: {level: info}", indented by spaces`},
		},
		{
			name: "the same key twice", file: "log:\n  level: info\n  level: warn\n", loose: true,
			want: []string{`sutazai.yaml:3: this is not YAML: mapping key "level" already defined; expected keys and values such as "log: {level: info}", indented by spaces`},
		},
		{
			name: "two documents", file: "log: {level: info}\n---\nlog: {level: warn}\n", loose: true,
			want: []string{`sutazai.yaml:3: a second document begins here (after ---); expected one document`},
		},
		{
			name: "a list instead of keys", file: "- a\n",
			want: []string{`sutazai.yaml:1: is a list; expected a mapping with some of server, log, database, agents, runs, models, tools, peers, a2a, mcp`},
		},
		{
			name: "an anchor", file: "log: &l {level: info}\n", loose: true,
			want: []string{`sutazai.yaml:1: anchors, aliases and tags (&, *, !) are not understood here; write the value out`},
		},
		{
			name: "an unknown variable", env: []string{"SUTAZAI_SERVER_LISTN=127.0.0.1:1"}, loose: true,
			want: []string{`env SUTAZAI_SERVER_LISTN: unknown variable; expected the name of a setting, such as SUTAZAI_SERVER_LISTEN for server.listen (did you mean "SUTAZAI_SERVER_LISTEN"?)`},
		},
		{
			name: "a wrong value of a variable", env: []string{"SUTAZAI_LOG_LEVEL=loud"}, loose: true,
			want: []string{`env SUTAZAI_LOG_LEVEL: log.level: is "loud"; expected one of debug, info, warn, error`},
		},
		{
			name: "an unknown environment", env: []string{"SUTAZAI_ENV=produktion"}, loose: true,
			want: []string{`env SUTAZAI_ENV: is "produktion"; expected one of development, production (did you mean "production"?)`},
		},
		{
			name: "a flag without a value", set: []string{"log.level"}, loose: true,
			want: []string{`--set: there is no key=value in it; expected something such as --set log.level=debug`},
		},
		{
			name: "a flag with an unknown key", set: []string{"log.levle=debug"}, loose: true,
			want: []string{`--set: log.levle: unknown key; expected one of level, format (did you mean "level"?)`},
		},
		{
			name: "a flag that goes below a value", set: []string{"log.level.x=debug"}, loose: true,
			want: []string{`--set: log.level.x: unknown key; level is one value and has no keys below it`},
		},
		{
			name: "several at once, over several layers", file: "server:\n  auth: off\n  port: 1\n", env: []string{"SUTAZAI_NOPE=1"}, set: []string{"log.level=x"}, loose: false,
			want: []string{
				`4 settings are wrong:`,
				`  sutazai.yaml:2: server.auth: is "off"; expected one of required, none`,
				`  sutazai.yaml:3: server.port: unknown key; expected one of listen, ollama_listen, data_dir, secret_key, auth, public_url, allowed_hosts, trusted_proxies, max_body, request_timeout, shutdown_grace, session_ttl, rate_limit, oauth`,
				`  env SUTAZAI_NOPE: unknown variable; expected the name of a setting, such as SUTAZAI_SERVER_LISTEN for server.listen`,
				`  --set: log.level: is "x"; expected one of debug, info, warn, error`,
			},
		},
		{
			name: "a mistake that a later layer hides", file: "log: {level: loud}\n", set: []string{"log.level=debug"},
			want: []string{`sutazai.yaml:1: log.level: is "loud"; expected one of debug, info, warn, error`},
		},
	}
}

func TestWhatIsWrongIsSaidExactly(t *testing.T) {
	t.Parallel()
	for _, tc := range slices.Concat(brokenSettings(), brokenModels(), brokenMCP()) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "sutazai.yaml", tc.file)
			_, err := Load(Options{Dir: dir, Env: append([]string{"HOME=/home/u"}, tc.env...), Set: tc.set})
			if err == nil {
				t.Fatal("it was accepted")
			}
			if got, want := err.Error(), strings.Join(tc.want, "\n"); got != want {
				t.Errorf("said\n%s\nwant\n%s", got, want)
			}
			if core.CodeOf(err) != core.CodeInvalid {
				t.Errorf("code %q", core.CodeOf(err))
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the message holds a password")
			}
		})
	}
}

func TestTheSchemaRejectsWhatItCanSee(t *testing.T) {
	t.Parallel()
	for _, tc := range slices.Concat(brokenSettings(), brokenModels(), brokenMCP()) {
		if tc.loose {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := schemaProblem(t, []byte(tc.file)); err == nil {
				t.Errorf("the schema accepts:\n%s", tc.file)
			}
		})
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	dir := write(t, "sutazai.yaml/x", "")
	missing := filepath.Join(dir, "missing.yaml")
	for _, tc := range []struct {
		name string
		o    Options
		want string
	}{
		{"a missing file of the flag", Options{File: missing}, "--config: the settings file " + missing + " does not exist; create it or name another one"},
		{"a missing file of the variable", Options{Env: []string{"SUTAZAI_CONFIG=" + missing}}, "env SUTAZAI_CONFIG: the settings file " + missing + " does not exist; create it or name another one"},
		{"a folder", Options{}, "sutazai.yaml: the settings file cannot be read: is a directory"},
		{"~ without a home", Options{NoFile: true, Env: []string{"HOME="}}, "default: server.data_dir: begins with ~, but HOME is not set; expected the whole path of a folder, such as /var/lib/sutazai"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.o.Dir = dir
			tc.o.Env = append([]string{"HOME=/home/u"}, tc.o.Env...)
			if _, err := Load(tc.o); err == nil || err.Error() != tc.want {
				t.Errorf("said %v, want %s", err, tc.want)
			}
		})
	}
}
