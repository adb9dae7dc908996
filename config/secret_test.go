package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sutazai/sutazai/core"
)

const canary = "CANARYcanary"

// leakySettings holds a secret in every place where one may be written out.
const leakySettings = `database:
  url: postgres://me:CANARYcanary@db.example.com/x?sslpassword=CANARYcanary
models:
  providers:
    cloud:
      kind: openai
      base_url: https://api.example.com/v1
      api_key: CANARYcanary
      headers:
        X-Key: "CANARYcanary"
        Y-Key: CANARYcanary
`

// verbs renders a value in every way that fmt knows.
func verbs(v any) string {
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%c", "%U", "%10v", "%T"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	return b.String()
}

func TestNoRenderingShowsASecret(t *testing.T) {
	t.Parallel()
	c := load(t, Options{Dir: write(t, "sutazai.yaml", leakySettings)})
	cloud := c.Models.Providers["cloud"]
	if got, err := cloud.APIKey.Resolve(); got != canary || err != nil {
		t.Fatalf("the secret does not arrive: %q %v", got, err)
	}
	if got, err := c.Database.URL.Resolve(); !strings.Contains(got, "me:"+canary+"@") || err != nil {
		t.Fatalf("the database URL does not arrive: %v", err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&logs, nil)), slog.New(slog.NewJSONHandler(&logs, nil))} {
		logger.Info("settings", "config", c, "value", *c, "key", cloud.APIKey, "headers", cloud.Headers, "url", c.Database.URL)
	}
	type hidden struct{ secret Secret } // fmt calls no methods on unexported fields
	other := load(t, Options{})
	_, restart := Diff(other, c)
	for name, text := range map[string]string{
		"fmt of the config":            verbs(c) + verbs(*c),
		"fmt of a secret":              verbs(cloud.APIKey) + verbs(&cloud.APIKey) + verbs([]Secret{cloud.APIKey}) + verbs(cloud.Headers) + verbs(NewSecret(canary)),
		"fmt of an unexported field":   verbs(hidden{cloud.APIKey}) + verbs(&hidden{cloud.APIKey}),
		"JSON":                         string(asJSON),
		"YAML":                         string(asYAML),
		"logs":                         logs.String(),
		"config show":                  fmt.Sprint(c.Show()),
		"config check":                 fmt.Sprint(c.Check()),
		"the difference of two":        fmt.Sprint(restart),
		"an error that wraps a secret": fmt.Errorf("no access with %v", cloud.APIKey).Error(),
	} {
		low, hex := strings.ToLower(text), fmt.Sprintf("%x", canary)
		if strings.Contains(low, strings.ToLower(canary)) || strings.Contains(low, hex) || strings.Contains(low, fmt.Sprint([]byte(canary))) {
			t.Errorf("%s shows a secret:\n%s", name, text)
		}
	}
	for key, want := range map[string]string{
		"database.url":                         "postgres://me:***@db.example.com/x?***",
		"models.providers.cloud.api_key":       "***",
		"models.providers.cloud.headers.X-Key": "***",
	} {
		if got := setting(t, c, key).Value; got != want {
			t.Errorf("%s is shown as %q, want %q", key, got, want)
		}
	}
}

// Every damage of one place by one sign must give settings or an error that show no secret. One kind cannot be seen
// through: without its colon, a password is the end of the user name.
func TestNoErrorShowsASecretHoweverTheFileIsBroken(t *testing.T) {
	t.Parallel()
	variants, root := 0, describe()
	for i := range leakySettings {
		for _, sign := range []string{"", "{", "}", "[", "]", ":", ": ", "\"", "'", "\n", "\t", " ", "&", "*", "!", "|", ">", "#", "- ", "%", "@", ",", "/", "?", "\x00", "\xff", "1", "---\n"} {
			content := leakySettings[:i] + sign + leakySettings[i:]
			if sign == "" && strings.HasPrefix(leakySettings[i:], ":"+canary+"@") {
				continue
			}
			if sign == "" {
				content = leakySettings[:i] + leakySettings[i+1:]
			}
			found := &findings{}
			l := loader{root: root, found: found}
			tree := newMapping(place{source: originDefault})
			tree.merge(l.layer([]byte(content), place{source: "sutazai.yaml", line: 1}))
			variants++
			for _, text := range []string{fmt.Sprint(found.err()), fmt.Sprint((&Config{origin: &layered{root: root, tree: tree}}).Show())} {
				if strings.Contains(text, canary) {
					t.Fatalf("%q before %q shows a secret:\n%s", sign, leakySettings[i:min(i+20, len(leakySettings))], text)
				}
			}
		}
	}
	if variants < 5000 {
		t.Errorf("only %d variants were tried", variants)
	}
}

func TestWrongTypesOfSecretsAreDescribedNotShown(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Set: []string{"models.providers.x=" + canary}},
		{Set: []string{"models.providers.x.headers=" + canary}},
		{Set: []string{"models.providers.x.headers=[" + canary + "]"}},
		{Set: []string{"models.providers.x.headers={A: [" + canary + "]}"}},
		{Set: []string{"models.providers.x={api_key: [" + canary + "]}"}},
		{Set: []string{"models.providers.x={api_key: " + canary}},
		{Set: []string{"models.providers.x.api_key=" + canary + "\n"}},
		{Set: []string{canary}},
		{Env: []string{"SUTAZAI_DATABASE_URL=" + canary}},
		{Env: []string{"SUTAZAI_DATABASE_URL=mysql://u:" + canary + "@h/x"}},
		{Env: []string{"SUTAZAI_DATABSE_URL=" + canary}},
		{Env: []string{"SUTAZAI_SERVER_PUBLIC_URL=ftp://u:" + canary + "@h/"}},
	} {
		o.NoFile = true
		o.Env = append(o.Env, "HOME=/home/u")
		_, err := Load(o)
		if err == nil {
			t.Errorf("%v %v was accepted", o.Set, o.Env)
		} else if strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
			t.Errorf("a secret is shown: %v", err)
		}
	}
}

func TestReferencesAreReadOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	const name = "SECRET_OF_THE_TEST"
	home := write(t, "key", "at home\n")
	env := []string{name + "=from the environment", "HOME=" + home}
	dir := write(t, "sutazai.yaml", "database: {url: file:url.txt}\n")
	for file, content := range map[string]string{"key.txt": " two\nlines \n\n", "crlf.txt": "x\r\n", "empty.txt": "\n", "big.txt": strings.Repeat("x", maxSecretFile+1)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	header := func(reference string) Secret {
		c := load(t, Options{Dir: dir, Env: env, Set: []string{"models.providers.x={kind: ollama, headers: {A: \"" + reference + "\"}}"}})
		return c.Models.Providers["x"].Headers["A"]
	}
	path := func(file string) string { return "file:" + filepath.Join(dir, file) }
	for reference, want := range map[string]string{
		"":               "",
		"literal":        "literal",
		"env:" + name:    "from the environment",
		path("key.txt"):  " two\nlines \n", // one line break at the end is trimmed, no more
		path("crlf.txt"): "x",
	} {
		s := header(reference)
		if got, err := s.Resolve(); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", reference, got, err, want)
		}
		if s.IsSet() != (reference != "") || s.Literal() != (reference == "literal") {
			t.Errorf("%s: set %t, literal %t", reference, s.IsSet(), s.Literal())
		}
	}
	const key = "models.providers.x.headers.A refers to the "
	for reference, want := range map[string]string{
		"env:NOT_SET_ANYWHERE": key + "environment variable NOT_SET_ANYWHERE, which is not set or empty; set it or change the setting",
		path("missing.txt"):    key + "file " + dir + "/missing.txt, which cannot be read; create it, make it readable to this user, or change the setting",
		path("empty.txt"):      key + "file " + dir + "/empty.txt, which is empty",
		path("big.txt"):        key + "file " + dir + "/big.txt, which is larger than a secret may be (64 KiB)",
	} {
		_, err := header(reference).Resolve()
		if core.CodeOf(err) != core.CodeInvalid || core.MessageOf(err) != want {
			t.Errorf("%s: %v, want %s", reference, err, want)
		}
	}
	if got, err := header("file:~/key").Resolve(); got != "at home" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	// A relative reference is relative to the file that holds it, and what is missing does not stop Load.
	c := load(t, Options{Dir: dir})
	if _, err := c.Database.URL.Resolve(); err == nil {
		t.Error("a missing file was read")
	}
	if err := os.WriteFile(filepath.Join(dir, "url.txt"), []byte("postgres://db/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Database.URL.Resolve(); got != "postgres://db/x" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestCheckWarnsOfWhatWorksButShouldNotBe(t *testing.T) {
	t.Parallel()
	dir := write(t, "sutazai.yaml", leakySettings+"    plain:\n      kind: openai\n      base_url: http://api.example.com\n      api_key: env:NOT_SET_ANYWHERE\n"+
		"    fine:\n      kind: openai\n      base_url: http://127.0.0.1:1/v1\n      api_key: file:key\n"+
		"server: {auth: none, public_url: http://agents.example.com}\ntools: {fetch: {allow_private: true}}\n")
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, mode := range map[string]os.FileMode{"sutazai.yaml": 0o666, "key": 0o644} {
		if err := os.Chmod(filepath.Join(dir, file), mode); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for _, w := range load(t, Options{Dir: dir, Env: []string{"SUTAZAI_MODELS_PROVIDERS_FINE_HEADERS={A: literal-in-the-environment}"}}).Check() {
		got += w.String() + "\n"
	}
	want := dir + `/sutazai.yaml: others may change this file (mode 0666), and with it whom the server trusts; chmod go-w it
sutazai.yaml:20: server.auth: every program and person on this machine may run agents; set it to required unless that is wished
sutazai.yaml:20: server.public_url: keys and sessions travel unencrypted; use an https address
sutazai.yaml:2: database.url: the secret itself is written here; refer to it instead: env:NAME or file:/path
sutazai.yaml:8: models.providers.cloud.api_key: the secret itself is written here; refer to it instead: env:NAME or file:/path
sutazai.yaml:10: models.providers.cloud.headers.X-Key: the secret itself is written here; refer to it instead: env:NAME or file:/path
sutazai.yaml:11: models.providers.cloud.headers.Y-Key: the secret itself is written here; refer to it instead: env:NAME or file:/path
sutazai.yaml:19: models.providers.fine.api_key: others may read the file ` + dir + `/key (mode 0644); chmod 600 it
sutazai.yaml:14: models.providers.plain.base_url: the API key travels unencrypted; use an https address
sutazai.yaml:15: models.providers.plain.api_key: models.providers.plain.api_key refers to the environment variable NOT_SET_ANYWHERE, which is not set or empty; set it or change the setting
sutazai.yaml:21: tools.fetch.allow_private: agents may reach this machine and the private network; a text that they read can make them do it
`
	if got != want {
		t.Errorf("warned\n%s\nwant\n%s", got, want)
	}
}

func TestWithoutAGivenEnvironmentReferencesLookIntoTheProcess(t *testing.T) {
	t.Setenv("SECRET_OF_THE_TEST", "from the process")
	if got, err := NewSecret("env:SECRET_OF_THE_TEST").Resolve(); got != "from the process" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	t.Setenv("HOME", t.TempDir())
	c, err := Load(Options{NoFile: true, Set: []string{"models.providers.x={kind: ollama, api_key: env:SECRET_OF_THE_TEST}"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Models.Providers["x"].APIKey.Resolve(); got != "from the process" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}
