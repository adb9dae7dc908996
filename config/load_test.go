package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// write puts a file into a fresh folder and returns the folder.
func write(t *testing.T, name, content string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// load loads with a home folder and nothing else from this machine.
func load(t *testing.T, o Options) *Config {
	t.Helper()
	o.Env = append([]string{"HOME=/home/u"}, o.Env...)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// setting returns one line of Show.
func setting(t *testing.T, c *Config, key string) Setting {
	t.Helper()
	for _, s := range c.Show() {
		if s.Key == key {
			return s
		}
	}
	t.Fatalf("there is no setting %s", key)
	return Setting{}
}

func TestTheBareBinaryIsSafeAndComplete(t *testing.T) {
	t.Parallel()
	c := load(t, Options{})
	if c.Environment() != "production" || len(c.Files()) != 0 {
		t.Errorf("environment %q, files %v", c.Environment(), c.Files())
	}
	if c.Server.Listen != "127.0.0.1:8080" || c.Server.Auth != "required" || c.Tools.Fetch.AllowPrivate {
		t.Errorf("the defaults are not safe: %+v %+v", c.Server, c.Tools.Fetch)
	}
	if c.Server.DataDir != "/home/u/.local/share/sutazai" || c.Agents.Dir != "/home/u/.local/share/sutazai/agents" {
		t.Errorf("folders %q, %q", c.Server.DataDir, c.Agents.Dir)
	}
	if c.Server.MaxBody != 10_000_000 || c.Tools.OutputMax != 64_000 || c.Runs.ApprovalExpiry != 72*time.Hour {
		t.Errorf("sizes and durations: %d %d %v", c.Server.MaxBody, c.Tools.OutputMax, c.Runs.ApprovalExpiry)
	}
	want := core.Limits{Steps: 50, Tokens: 200_000, CostMicroUSD: 2_000_000, Time: 30 * time.Minute, Depth: 3}
	if got := c.Agents.Limits.Core(); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	local := c.Models.Providers["local"]
	if local.Kind != "local" || local.Tools != "auto" || local.Timeout != 2*time.Minute || c.Models.Routes["default"].Targets[0].Target != "local/default" {
		t.Errorf("models %+v %+v", local, c.Models.Routes)
	}
	if warnings := c.Check(); len(warnings) != 0 {
		t.Errorf("the defaults give warnings: %v", warnings)
	}
}

func TestLaterLayersWinAndEachValueKnowsItsOrigin(t *testing.T) {
	t.Parallel()
	dir := write(t, "sutazai.yaml", strings.Join([]string{
		"server:",
		"  listen: 127.0.0.1:1111",
		"  allowed_hosts: [a.example.com, b.example.com]",
		"  max_body: 1MiB",
		"log: {level: warn, format: json}",
		"models:",
		"  providers:",
		"    my-openai:",
		"      kind: openai",
		"      base_url: https://api.example.com/v1",
		"      prices:",
		"        gpt-4.1: {input_usd_per_million: 2}",
	}, "\n"))
	c := load(t, Options{
		Dir: dir, Environment: "development",
		Env: []string{
			"SUTAZAI_SERVER_LISTEN=127.0.0.1:2222", "SUTAZAI_LOG_FORMAT=text", "SUTAZAI_SERVER_ALLOWED_HOSTS=c.example.com, d.example.com",
			"SUTAZAI_MODELS_PROVIDERS_MY_OPENAI_API_KEY=env:KEY", "SUTAZAI_MODELS_PROVIDERS_VLLM_BASE_URL=http://127.0.0.1:9/v1",
			"SUTAZAI_MODELS_PROVIDERS_VLLM_KIND=openai", "SUTAZAI_MODELS_ROUTES_FAST=[{target: vllm/m}, {target: local/default}]",
			"SUTAZAI_DATABASE_URL=", "SUTAZAI_SERVER=http://127.0.0.1:1", "SUTAZAI_API_KEY=k", "SUTAZAI_TEST_POSTGRES=x", "OTHER=1",
		},
		Set: []string{
			"log.format=auto", "models.providers.my-openai.prices.gpt-4.1.output_usd_per_million=8.5",
			"models.providers.my-openai.headers.X-Team=red", "tools.fetch.allow_hosts=[]", "agents.limits.tokens=1_000",
		},
	})
	for key, want := range map[string]string{
		"server.listen":                             "127.0.0.1:2222 | env SUTAZAI_SERVER_LISTEN",
		"server.allowed_hosts":                      `["c.example.com","d.example.com"] | env SUTAZAI_SERVER_ALLOWED_HOSTS`,
		"server.max_body":                           "1MiB | sutazai.yaml:4",
		"server.shutdown_grace":                     "3s | config/development/sutazai.yaml:6",
		"server.auth":                               "required | default",
		"log.level":                                 "warn | sutazai.yaml:5",
		"log.format":                                "auto | --set",
		"database.url":                              " | default",
		"models.providers.local.kind":               "local | default",
		"models.providers.my-openai.kind":           "openai | sutazai.yaml:9",
		"models.providers.my-openai.api_key":        "env:KEY | env SUTAZAI_MODELS_PROVIDERS_MY_OPENAI_API_KEY",
		"models.providers.my-openai.timeout":        "120s | default",
		"models.providers.my-openai.headers.X-Team": "*** | --set",
		"models.providers.my-openai.prices.gpt-4.1.input_usd_per_million":  "2 | sutazai.yaml:12",
		"models.providers.my-openai.prices.gpt-4.1.output_usd_per_million": "8.5 | --set",
		"models.providers.vllm.base_url":                                   "http://127.0.0.1:9/v1 | env SUTAZAI_MODELS_PROVIDERS_VLLM_BASE_URL",
		"models.routes.fast.targets":                                       `[{"target":"vllm/m","weight":1},{"target":"local/default","weight":1}] | env SUTAZAI_MODELS_ROUTES_FAST`,
		"models.routes.default.targets":                                    `[{"target":"local/default","weight":1}] | default`,
		"models.routes.default.fallback":                                   `["overload","timeout","error"] | default`,
		"agents.limits.tokens":                                             "1_000 | --set",
	} {
		if s := setting(t, c, key); s.Value+" | "+s.Origin != want {
			t.Errorf("%s: %s | %s, want %s", key, s.Value, s.Origin, want)
		}
	}
	if c.Server.MaxBody != 1<<20 || c.Agents.Limits.Tokens != 1000 || c.Models.Providers["my-openai"].Prices["gpt-4.1"].OutputUSDPerMillion != 8.5 {
		t.Errorf("typed values differ from the shown ones: %+v", c)
	}
	if !slices.Equal(c.Files(), []string{filepath.Join(dir, "sutazai.yaml")}) {
		t.Errorf("files %v", c.Files())
	}
}

func TestAnEmptyEntryRemovesOneOfALayerBelow(t *testing.T) {
	t.Parallel()
	dir := write(t, "sutazai.yaml", "server:\nmodels:\n  providers:\n    local:\n    x: {kind: ollama}\n  routes: {default: [{target: x/m}]}\n")
	c := load(t, Options{Dir: dir})
	if _, has := c.Models.Providers["local"]; has || len(c.Models.Providers) != 1 {
		t.Errorf("providers %v", c.Models.Providers)
	}
	if c = load(t, Options{Dir: dir, Set: []string{"models.routes.other=[{target: x/m}]", "models.routes.other=null"}}); len(c.Models.Routes) != 1 {
		t.Errorf("routes %v", c.Models.Routes)
	}
}

func TestWhereTheUsersFileIsLookedFor(t *testing.T) {
	t.Parallel()
	const content = "log: {level: warn}\n"
	here := write(t, "sutazai.yaml", content)
	home := write(t, ".config/sutazai/sutazai.yaml", content)
	xdg := write(t, "sutazai/sutazai.yaml", content)
	named := filepath.Join(write(t, "named.yaml", content), "named.yaml")
	for _, tc := range []struct {
		name string
		o    Options
		want string // the file that is read; "" = none
	}{
		{"the working folder first", Options{Dir: here, Env: []string{"HOME=" + home}}, here + "/sutazai.yaml"},
		{"then the home folder", Options{Dir: t.TempDir(), Env: []string{"HOME=" + home}}, home + "/.config/sutazai/sutazai.yaml"},
		{"XDG_CONFIG_HOME stands for .config", Options{Dir: t.TempDir(), Env: []string{"HOME=" + home, "XDG_CONFIG_HOME=" + xdg}}, xdg + "/sutazai/sutazai.yaml"},
		{"a named one instead of the others", Options{Dir: here, File: named, Env: []string{"HOME=" + home}}, named},
		{"a variable names one", Options{Dir: here, Env: []string{"HOME=" + home, "SUTAZAI_CONFIG=" + named}}, named},
		{"the flag before the variable", Options{Dir: here, File: named, Env: []string{"HOME=" + home, "SUTAZAI_CONFIG=/nowhere"}}, named},
		{"relative to the working folder", Options{Dir: filepath.Dir(named), File: "named.yaml", Env: []string{"HOME=" + home}}, named},
		{"none when none is wished", Options{Dir: here, NoFile: true, Env: []string{"HOME=" + home}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(c.Files(), " "); got != tc.want || (got != "") != (c.Log.Level == "warn") {
				t.Errorf("read %q (level %s), want %q", got, c.Log.Level, tc.want)
			}
		})
	}
}

func TestFoldersBecomeAbsolute(t *testing.T) {
	t.Parallel()
	project := write(t, "agents/x.md", "")
	c := load(t, Options{Dir: project, Env: []string{"XDG_DATA_HOME=/data"}})
	if c.Server.DataDir != "/data/sutazai" || c.Agents.Dir != filepath.Join(project, "agents") {
		t.Errorf("%q %q", c.Server.DataDir, c.Agents.Dir)
	}
	c = load(t, Options{Dir: project, Env: []string{"XDG_DATA_HOME=/data"}, Set: []string{"server.data_dir=~/s", "agents.dir=./other/"}})
	if c.Server.DataDir != "/home/u/s" || c.Agents.Dir != filepath.Join(project, "other") {
		t.Errorf("%q %q", c.Server.DataDir, c.Agents.Dir)
	}
}

func TestTrustingEveryProxyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proxies string
		warned  bool
	}{{"[10.0.0.5, 10.0.0.0/8]", false}, {"[0.0.0.0/0]", true}, {"[10.0.0.5, \"::/0\"]", true}} {
		warnings := load(t, Options{Set: []string{"server.trusted_proxies=" + c.proxies}}).Check()
		if warned := len(warnings) == 1 && warnings[0].Key == "server.trusted_proxies"; warned != c.warned {
			t.Errorf("%s: %v", c.proxies, warnings)
		}
	}
}

func TestDiffTellsWhatARunningServerCanTakeOver(t *testing.T) {
	t.Parallel()
	before := load(t, Options{Set: []string{"models.providers.x={kind: ollama}", "database.url=env:A"}})
	after := load(t, Options{Set: []string{
		"log.level=debug", "server.rate_limit.login_per_minute=5", "agents.limits.time=1800s", "models.retry.attempts=4",
		"tools.output_max=1MB", "server.listen=127.0.0.1:0", "database.url=env:B", "models.routes.fast=[{target: local/default}]",
	}})
	reloadable, restart := Diff(before, after)
	if want := []string{"log.level", "server.rate_limit.login_per_minute", "tools.output_max"}; !slices.Equal(reloadable, want) {
		t.Errorf("reloadable %v, want %v", reloadable, want)
	}
	for i, key := range restart { // of what comes or goes as a whole, the name is enough
		for _, whole := range []string{"models.providers.x", "models.routes.fast"} {
			if strings.HasPrefix(key, whole+".") {
				restart[i] = whole
			}
		}
	}
	restart = slices.Compact(restart)
	if want := []string{"database.url", "models.providers.x", "models.retry.attempts", "models.routes.fast", "server.listen"}; !slices.Equal(restart, want) {
		t.Errorf("restart %v, want %v", restart, want)
	}
	if r, s := Diff(after, after); r != nil || s != nil {
		t.Errorf("nothing differs from itself, but %v %v", r, s)
	}
}

func TestVariablesHaveNamesThatDoNotCollide(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range otherVariables() {
		seen[name] = "no setting"
	}
	describe().paths("", func(path string, s *spec) {
		name := envPrefix + envName(path)
		if s.kind == kindSection {
			return
		}
		if other, has := seen[name]; has {
			t.Errorf("%s stands for %s and for %s", name, other, path)
		}
		seen[name] = path
	})
}

func TestEverySettingCanBeGivenByVariableAndFlag(t *testing.T) {
	t.Parallel()
	base := load(t, Options{})
	for _, s := range base.Show() {
		if s.Value == "" || s.Value == "{}" {
			continue
		}
		c := load(t, Options{Env: []string{envPrefix + envName(s.Key) + "=" + s.Value}})
		if got := setting(t, c, s.Key); got.Value != s.Value || !strings.HasPrefix(got.Origin, "env ") {
			t.Errorf("by variable: %+v, want %+v", got, s)
		}
		c = load(t, Options{Set: []string{s.Key + "=" + s.Value}})
		if got := setting(t, c, s.Key); got.Value != s.Value || got.Origin != "--set" {
			t.Errorf("by flag: %+v, want %+v", got, s)
		}
	}
}

func TestVariablesOfKubernetesAreNoMistakes(t *testing.T) {
	t.Parallel()
	load(t, Options{Env: []string{
		"SUTAZAI_SERVICE_HOST=10.0.0.1", "SUTAZAI_SERVICE_PORT=80", "SUTAZAI_SERVICE_PORT_HTTP=80", "SUTAZAI_PORT=tcp://10.0.0.1:80",
		"SUTAZAI_PORT_80_TCP=tcp://10.0.0.1:80", "SUTAZAI_PORT_80_TCP_PROTO=tcp", "SUTAZAI_PORT_80_TCP_PORT=80", "SUTAZAI_PORT_80_TCP_ADDR=10.0.0.1",
		"SUTAZAI_POSTGRES_SERVICE_HOST=10.0.0.2", "SUTAZAI_POSTGRES_PORT=tcp://10.0.0.2:5432", "SUTAZAI_POSTGRES_PORT_5432_TCP_PORT=5432",
	}})
	for _, mistake := range []string{"SUTAZAI_PORT=8080", "SUTAZAI_SERVER_PORT=8080", "SUTAZAI_SERVICE=x"} {
		if _, err := Load(Options{NoFile: true, Env: []string{"HOME=/home/u", mistake}}); err == nil {
			t.Errorf("%s was passed over", mistake)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	o := Options{NoFile: true, Env: []string{"HOME=/home/u", "SUTAZAI_LOG_LEVEL=debug"}, Set: []string{"log.format=json"}}
	for b.Loop() {
		if _, err := Load(o); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAnErrorHasACodeAndFields(t *testing.T) {
	t.Parallel()
	_, err := Load(Options{Env: []string{"HOME=/home/u"}, NoFile: true, Set: []string{"log.level=loud", "log.format=xml"}})
	e, ok := errors.AsType[*core.Error](err)
	if !ok || e.Code != core.CodeInvalid || len(e.Fields) != 2 || e.Fields[0].Field != "log.level" || e.Fields[1].Field != "log.format" {
		t.Errorf("%#v", err)
	}
}
