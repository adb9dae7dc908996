package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// brokenModels are ways to get the settings of the model gateway wrong.
func brokenModels() []broken {
	route := func(rest string) string { return "models:\n  routes:\n    fast:\n      " + rest + "\n" }
	provider := func(rest string) string { return "models:\n  providers:\n    x:\n      " + rest + "\n" }
	check := func(rest string) string { return "models:\n  guardrails:\n    safe:\n      - " + rest + "\n" }
	return []broken{
		{
			name: "a route without targets", file: route("strategy: weighted"), loose: true,
			want: []string{`sutazai.yaml:3: models.routes.fast.targets: is missing; expected a list of mappings with target, weight, such as [{target: local/default}]`},
		},
		{
			name: "an unknown strategy", file: route("{targets: [{target: local/m}], strategy: cheapst}"),
			want: []string{`sutazai.yaml:4: models.routes.fast.strategy: is "cheapst"; expected one of ordered, weighted, least_latency, cheapest (did you mean "cheapest"?)`},
		},
		{
			name: "an unknown kind of failure", file: route("{targets: [{target: local/m}], fallback: [overload, timeouts]}"),
			want: []string{`sutazai.yaml:4: models.routes.fast.fallback[1]: is "timeouts"; expected one of overload, timeout, context, refusal, error (did you mean "timeout"?)`},
		},
		{
			name: "a wrong target of the long form", file: route("targets:\n        - {target: small}"),
			want: []string{`sutazai.yaml:5: models.routes.fast.targets[0].target: is "small"; expected provider/model, such as local/default`},
		},
		{
			name: "an unknown provider in the long form", file: route("targets:\n        - {target: locla/m}"), loose: true,
			want: []string{`sutazai.yaml:5: models.routes.fast.targets[0].target: "locla/m" names the provider "locla", which is not in models.providers; expected one of local (did you mean "local"?)`},
		},
		{
			name: "an empty long form", file: route("targets: []"), loose: true,
			want: []string{`sutazai.yaml:4: models.routes.fast.targets: is an empty list; expected at least one target, such as [{target: local/default}]`},
		},
		{
			name: "a negative weight in the short form", file: route("- {target: local/m, weight: -1}"),
			want: []string{`sutazai.yaml:4: models.routes.fast[0].weight: is the number -1; expected a whole number from 0 to 1000000`},
		},
		{
			name: "weights that leave nothing to choose", file: route("{targets: [{target: local/m, weight: 0}], strategy: weighted}"), loose: true,
			want: []string{`sutazai.yaml:4: models.routes.fast.targets: every weight is 0; expected at least one target with a weight, since strategy is weighted`},
		},
		{
			name: "a threshold beyond 1", file: route("{targets: [{target: local/m}], cache_threshold: 1.5}"),
			want: []string{`sutazai.yaml:4: models.routes.fast.cache_threshold: is the number 1.5; expected a number from 0 to 1`},
		},
		{
			name: "a semantic cache without an embedding model", file: route("cache: semantic\n      targets: [{target: local/m}]"), loose: true,
			want: []string{`sutazai.yaml:4: models.routes.fast.cache: is semantic, but there is no model that tells what means the same; set models.cache.semantic.model to an embedding model, or this to exact`},
		},
		{
			name: "an embedding model of no provider", file: "models:\n  cache:\n    semantic: {model: lokal/e}\n", loose: true,
			want: []string{`sutazai.yaml:3: models.cache.semantic.model: "lokal/e" names the provider "lokal", which is not in models.providers; expected one of local (did you mean "local"?)`},
		},
		{
			name: "a guardrail of a route that there is not", file: check("{kind: secrets}") + "  routes: {fast: {targets: [{target: local/m}], guardrails: [saef]}}\n", loose: true,
			want: []string{`sutazai.yaml:5: models.routes.fast.guardrails[0]: "saef" is not in models.guardrails; expected one of safe (did you mean "safe"?)`},
		},
		{
			name: "a default guardrail where there are none", file: "models:\n  default_guardrails:\n    - safe\n", loose: true,
			want: []string{`sutazai.yaml:3: models.default_guardrails[0]: "safe" is not in models.guardrails; expected none, since that has no entries`},
		},
		{
			name: "a check without a kind", file: check("{action: block}"),
			want: []string{`sutazai.yaml:4: models.guardrails.safe[0].kind: is missing; expected one of pattern, pii, secrets, size, models, http`},
		},
		{
			name: "a guardrail that is no list", file: "models: {guardrails: {safe: {kind: secrets}}}\n",
			want: []string{`sutazai.yaml:1: models.guardrails.safe: is a mapping; expected a list of mappings with kind, name, on, action, pattern, max_length, types, max, models, url, format, timeout, fail, such as [{kind: secrets}]`},
		},
		{
			name: "an empty guardrail", file: "models: {guardrails: {safe: []}}\n", loose: true,
			want: []string{`sutazai.yaml:1: models.guardrails.safe: is an empty list; expected at least one check, such as [{kind: secrets}]`},
		},
		{
			name: "a pattern that is none", file: check("{kind: pattern, pattern: \"a(b\"}"), loose: true,
			want: []string{"sutazai.yaml:4: models.guardrails.safe[0].pattern: is no regular expression: missing closing ): `a(b`; expected one of RE2, which knows no look-around and no back references"},
		},
		{
			name: "checks without what they need", file: check("{kind: pattern}\n      - {kind: size}\n      - {kind: models}\n      - {kind: http}"), loose: true,
			want: []string{
				`4 settings are wrong:`,
				`  sutazai.yaml:4: models.guardrails.safe[0].pattern: is missing; expected a value, since kind is pattern`,
				`  sutazai.yaml:5: models.guardrails.safe[1].max: is missing; expected a value, since kind is size`,
				`  sutazai.yaml:6: models.guardrails.safe[2].models: is missing; expected a value, since kind is models`,
				`  sutazai.yaml:7: models.guardrails.safe[3].url: is missing; expected a value, since kind is http`,
			},
		},
		{
			name: "a field of another kind of check", file: check("kind: secrets\n        types: [card]"), loose: true,
			want: []string{`sutazai.yaml:5: models.guardrails.safe[0].types: has no meaning where kind is secrets; expected none: it is for pii`},
		},
		{
			name: "redacting a size", file: check("{kind: size, max: 1KB, action: redact}"), loose: true,
			want: []string{`sutazai.yaml:4: models.guardrails.safe[0].action: is redact, but there is nothing to black out where kind is size; expected block or flag`},
		},
		{
			name: "personal data of an unknown kind", file: check("{kind: pii, types: [e-mail]}"),
			want: []string{`sutazai.yaml:4: models.guardrails.safe[0].types[0]: is "e-mail"; expected one of email, card, iban, phone, ip (did you mean "email"?)`},
		},
		{
			name: "Bedrock without a region", file: provider("kind: bedrock"), loose: true,
			want: []string{`sutazai.yaml:3: models.providers.x.region: is missing; expected a value, since kind is bedrock`},
		},
		{
			name: "a region that is none", file: provider("{kind: bedrock, region: Frankfurt}"),
			want: []string{`sutazai.yaml:4: models.providers.x.region: is "Frankfurt"; expected the name of a region, such as eu-central-1`},
		},
		{
			name: "Azure without an address", file: provider("kind: azure"), loose: true,
			want: []string{`sutazai.yaml:3: models.providers.x.base_url: is missing; expected the address of the API, such as https://name.openai.azure.com, since kind is azure`},
		},
		{
			name: "deployments elsewhere than at Azure", file: provider("kind: anthropic\n      deployments: {a: b}"), loose: true,
			want: []string{`sutazai.yaml:5: models.providers.x.deployments: has no meaning where kind is anthropic; expected none: it is for azure`},
		},
		{
			name: "negative concurrency", file: provider("{kind: ollama, concurrency: {max: -1}}"),
			want: []string{`sutazai.yaml:4: models.providers.x.concurrency.max: is the number -1; expected a whole number from 0 to 100000`},
		},
		{
			name: "one key where a list of them is expected", file: provider("{kind: anthropic, api_keys: hunter2}"),
			want: []string{`sutazai.yaml:4: models.providers.x.api_keys: is a text; expected a list of texts, such as [env:NAME, file:/path]`},
		},
		{
			name: "the Ollama API for the world without authentication", set: []string{"server.auth=none", "server.ollama_listen=0.0.0.0:11434"}, loose: true,
			want: []string{`--set: server.auth: is none while server.ollama_listen is "0.0.0.0:11434" (--set): anybody who reaches that address could run agents with your files and keys; set server.auth to required, or listen on loopback (127.0.0.1:8080) and put a proxy that authenticates in front`},
		},
		{
			name: "one address for both", set: []string{"server.ollama_listen=127.0.0.1:8080"}, loose: true,
			want: []string{`--set: server.ollama_listen: is "127.0.0.1:8080", which server.listen (default) has already; expected another address or port`},
		},
	}
}

const gatewaySettings = `
server: {ollama_listen: "127.0.0.1:11434", secret_key: "env:MASTER", rate_limit: {tokens_per_key_per_minute: 100_000}}
models:
  max_output_tokens: 2048
  providers:
    claude: {kind: anthropic, api_key: "env:A", api_keys: ["env:B", "file:c.key"], quirks: auto}
    azure: {kind: azure, base_url: "https://x.example.com", api_version: 2024-10-21, deployments: {gpt-4.1: prod}}
    aws: {kind: bedrock, region: eu-central-1, concurrency: {max: 8, wait: 5s}, probe: 3s}
    fast:
      kind: openai
      base_url: https://api.example.com/v1
      quirks: groq
      prices: {m: {input_usd_per_million: 2, cached_input_usd_per_million: 0.5, output_usd_per_million: 8}}
  cache: {memory: 128MB, semantic: {model: local/embed}}
  guardrails:
    private: [{kind: pii, types: [email, card], on: input, action: redact}, {kind: size, max: 64KB}]
    own: [{kind: http, url: "http://127.0.0.1:5002", format: presidio, timeout: 500ms, fail: open}, {kind: pattern, pattern: "(?i)secret-[0-9]+"}]
  default_guardrails: [private]
  routes:
    default: [{target: claude/m, weight: 3}, {target: local/default}]
    smart:
      targets: [{target: claude/m, weight: 3}, {target: azure/gpt-4.1, weight: 1}]
      strategy: weighted
      fallback: [overload, context]
      sticky: true
      hedge: 800ms
      cache: semantic
      cache_ttl: 10m
      cache_threshold: 0.9
      guardrails: [own]
`

func TestTheGatewaysSettingsAreRead(t *testing.T) {
	t.Parallel()
	c := load(t, Options{Dir: write(t, "sutazai.yaml", gatewaySettings), Env: []string{"MASTER=m", "A=a", "B=b"}})
	if err := schemaProblem(t, []byte(gatewaySettings)); err != nil {
		t.Errorf("the schema: %v", err)
	}
	m := c.Models
	short, long := m.Routes["default"], m.Routes["smart"]
	if !slices.Equal(short.Targets, []Target{{"claude/m", 3}, {"local/default", 1}}) || short.Strategy != "ordered" || short.Cache != "off" ||
		!slices.Equal(short.Fallback, []string{"overload", "timeout", "error"}) {
		t.Errorf("short form: %+v", short)
	}
	if len(long.Targets) != 2 || long.Strategy != "weighted" || !long.Sticky || long.Hedge != 800*time.Millisecond || long.Cache != "semantic" ||
		long.CacheTTL != 10*time.Minute || long.CacheThreshold != 0.9 || !slices.Equal(long.Guardrails, []string{"own"}) || !slices.Equal(long.Fallback, []string{"overload", "context"}) {
		t.Errorf("long form: %+v", long)
	}
	if p := m.Providers["aws"]; p.Region != "eu-central-1" || p.Concurrency != (Concurrency{8, 64, 5 * time.Second}) || p.Probe != 3*time.Second || p.Quirks != "auto" {
		t.Errorf("aws: %+v", p)
	}
	if m.Providers["azure"].Deployments["gpt-4.1"] != "prod" || m.Providers["fast"].Prices["m"].CachedInputUSDPerMillion != 0.5 || m.MaxOutputTokens != 2048 {
		t.Errorf("providers: %+v", m.Providers)
	}
	if m.Cache != (Cache{128_000_000, time.Hour, Semantic{"local/embed", 0.95}, true}) {
		t.Errorf("cache: %+v", m.Cache)
	}
	if g := m.Guardrails["private"]; len(g) != 2 || g[0].Action != "redact" || g[0].On != "input" || g[1].Max != 64_000 || g[1].Action != "block" || g[1].Timeout != 2*time.Second {
		t.Errorf("guardrails: %+v", g)
	}
	if c.Server.OllamaListen != "127.0.0.1:11434" || c.Server.RateLimit.TokensPerKey != 100_000 {
		t.Errorf("server: %+v", c.Server)
	}
	keys := m.Providers["claude"].Keys()
	if len(keys) != 3 || keys[0].String() != "env:A" {
		t.Fatalf("keys: %v", keys)
	}
	if text, err := keys[1].Resolve(); err != nil || text != "b" {
		t.Errorf("second key: %q, %v", text, err)
	}
	if _, err := keys[2].Resolve(); err == nil || !strings.HasPrefix(err.Error(), "models.providers.claude.api_keys[1] refers to the file ") {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestARoutesListAndMappingAddUp(t *testing.T) {
	t.Parallel()
	dir := write(t, "sutazai.yaml", "models:\n  routes:\n    default: {strategy: weighted}\n    fast: [{target: local/a}]\n")
	c := load(t, Options{Dir: dir, Env: []string{"SUTAZAI_MODELS_ROUTES_NEW=[{target: local/n}]", "SUTAZAI_MODELS_ROUTES_NEW_STICKY=true"},
		Set: []string{"models.routes.fast=[{target: local/b}]", "models.routes.gpt-4.1=[{target: local/c}]", "models.routes.gpt-4.1.hedge=1s"}})
	r := c.Models.Routes
	if d := r["default"]; d.Strategy != "weighted" || len(d.Targets) != 1 || d.Targets[0].Target != "local/default" {
		t.Errorf("a mapping over a list: %+v", d)
	}
	if n := r["new"]; !n.Sticky || len(n.Targets) != 1 || n.Targets[0].Target != "local/n" {
		t.Errorf("two variables: %+v", n)
	}
	if f := r["fast"]; len(f.Targets) != 1 || f.Targets[0].Target != "local/b" {
		t.Errorf("a list over a list: %+v", f)
	}
	if g := r["gpt-4.1"]; g.Hedge != time.Second || len(g.Targets) != 1 {
		t.Errorf("two flags: %+v", g)
	}
}

func TestKeysInAListAreHiddenAndWarnedOf(t *testing.T) {
	t.Parallel()
	settings := func(key string) *Config {
		return load(t, Options{Dir: write(t, "sutazai.yaml", "models:\n  providers:\n    x: {kind: openai, base_url: \"http://api.example.com\", api_keys: [\"env:K\", "+key+"]}\n"), Env: []string{"K=k"}})
	}
	c := settings("hunter2")
	if s := setting(t, c, "models.providers.x.api_keys"); s.Value != `["env:K","***"]` {
		t.Errorf("shown: %+v", s)
	}
	var warned []string
	for _, w := range c.Check() {
		warned = append(warned, w.Key)
		if strings.Contains(w.String(), "hunter2") {
			t.Errorf("the warning holds the key: %s", w)
		}
	}
	if !slices.Equal(warned, []string{"models.providers.x.base_url", "models.providers.x.api_keys[1]"}) {
		t.Errorf("warned of %v", warned)
	}
	if _, restart := Diff(c, settings("hunter3")); !slices.Equal(restart, []string{"models.providers.x.api_keys"}) {
		t.Errorf("a changed key: %v", restart)
	}
}

func TestWeightsWithoutEffectAreWarnedOf(t *testing.T) {
	t.Parallel()
	for settings, warned := range map[string]bool{
		"[{target: local/a, weight: 2}]":                                true,
		"{targets: [{target: local/a, weight: 2}], strategy: weighted}": false,
		"[{target: local/a}]":                                           false,
	} {
		warnings := load(t, Options{Set: []string{"models.routes.r=" + settings}}).Check()
		if (len(warnings) == 1 && warnings[0].Key == "models.routes.r.targets") != warned {
			t.Errorf("%s: %v", settings, warnings)
		}
	}
}
