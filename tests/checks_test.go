package tests

import (
	"slices"
	"strings"
	"testing"
)

// A check that finds nothing is worth nothing: each is shown what it must find and what it must let pass.

func TestLayerCheckFindsWhatItForbids(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pkg  pkg
		want string // "" = allowed
	}{
		"nouns import nothing":                  {pkg{Path: "core", Imports: []string{"config"}}, "core must not import config"},
		"agents import nouns":                   {pkg{Path: "core/agents", Imports: []string{"core"}}, ""},
		"agents import no platform":             {pkg{Path: "core/agents", Imports: []string{"internal/egress"}}, "core/agents must not import internal/egress"},
		"a kind of agent imports its parent":    {pkg{Path: "core/agents/llm", Imports: []string{"core/agents"}}, ""},
		"a kind of agent imports no sibling":    {pkg{Path: "core/agents/llm", Imports: []string{"core/agents/remote"}}, "must not import core/agents/remote"},
		"the backend knows no orchestrator":     {pkg{Path: "core/backend", Imports: []string{"core/orchestrator"}}, "must not import core/orchestrator"},
		"a protocol imports its parent":         {pkg{Path: "core/backend/openai", Imports: []string{"core/backend", "internal/auth"}}, ""},
		"a protocol imports no other":           {pkg{Path: "core/backend/openai", Imports: []string{"core/backend/ollama"}}, "must not import core/backend/ollama"},
		"the orchestrator knows no store":       {pkg{Path: "core/orchestrator", Imports: []string{"services/database"}}, "must not import services/database"},
		"stores use transactions":               {pkg{Path: "services/database", Imports: []string{"internal/dbtx"}}, ""},
		"stores use nothing else":               {pkg{Path: "services/database", Imports: []string{"internal/auth"}}, "must not import internal/auth"},
		"providers import no provider":          {pkg{Path: "services/aimodels/ollama", Imports: []string{"services/aimodels/openaicompat"}}, "must not import services/aimodels/openaicompat"},
		"platform packages are leaves":          {pkg{Path: "internal/audit", Imports: []string{"internal/auth"}}, "internal/audit must not import internal/auth"},
		"platform packages know no store":       {pkg{Path: "internal/audit", Imports: []string{"services/database"}}, "must not import services/database"},
		"nobody imports the composition root":   {pkg{Path: "core/backend", Imports: []string{"internal/app"}}, "must not import internal/app"},
		"only the root and commands read files": {pkg{Path: "core/orchestrator", Imports: []string{"config"}}, "must not import config"},
		"the root imports everything":           {pkg{Path: "internal/app", Imports: []string{"config", "core/backend/openai", "services/database", "internal/tools"}}, ""},
		"the root imports no command":           {pkg{Path: "internal/app", Imports: []string{"cmd/sutazai"}}, "must not import cmd/sutazai"},
		"commands know no store":                {pkg{Path: "cmd/sutazai", Imports: []string{"services/database"}}, "must not import services/database"},
		"commands import the root":              {pkg{Path: "cmd/sutazai", Imports: []string{"internal/app"}}, ""},
		"helpers of tests import their parent":  {pkg{Path: "services/database/databasetest", Imports: []string{"services/database"}}, ""},
		"code imports no helpers of tests":      {pkg{Path: "internal/app", Imports: []string{"services/database/databasetest"}}, "must not import services/database/databasetest"},
		"a package must have a place":           {pkg{Path: "utils"}, "utils is in no layer"},
		"a place has no further depth":          {pkg{Path: "internal/auth/oidc"}, "internal/auth/oidc is in no layer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkLayers([]pkg{tc.pkg}, layers(), nil), tc.want)
		})
	}
}

func TestLayerCheckTakesNamedExceptionsAndFindsStaleOnes(t *testing.T) {
	t.Parallel()
	named := []exception{{"internal/tools", "internal/egress", "fetch_url"}}
	expect(t, checkLayers([]pkg{{Path: "internal/tools", Imports: []string{"internal/egress"}}}, layers(), named), "")
	expect(t, checkLayers([]pkg{{Path: "internal/tools"}}, layers(), named), "the exception internal/tools → internal/egress is not needed")
}

func TestSourceChecksFindWhatTheyForbid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pkg, text string
		want      string
	}{
		"engine outside":         {"core/backend", `import "github.com/dbos-inc/dbos-transact-golang/dbos"`, "only core/orchestrator may"},
		"engine inside":          {"core/orchestrator", `import "github.com/dbos-inc/dbos-transact-golang/dbos"`, ""},
		"agents read files":      {"core/agents", `import "os"`, "imports os"},
		"agents dial":            {"core/agents/remote", `import "net/http"`, "imports net/http"},
		"agents query":           {"core/agents", `import "database/sql"`, "imports database/sql"},
		"agents look at a clock": {"core/agents/llm", "import \"time\"\nfunc f() { _ = time.Now() }", "uses time.Now"},
		"agents sleep":           {"core/agents", "import clock \"time\"\nfunc f() { clock.Sleep(1) }", "uses time.Sleep"},
		"agents measure nothing": {"core/agents", "import \"time\"\nconst d = time.Minute", ""},
		"others read files":      {"internal/tools", `import "os"`, ""},
		"second server":          {"internal/metrics", "import \"net/http\"\nfunc f() { _ = (&http.Server{}).ListenAndServe() }", "uses http.Server"},
		"second listener":        {"services/aimodels", "import \"net\"\nfunc f() { _, _ = net.Listen(\"tcp\", \":1\") }", "uses net.Listen"},
		"the server":             {"core/backend", "import \"net/http\"\nvar _ http.Server", ""},
		"init":                   {"internal/auth", "func init() {}", "has an init function"},
		"method called init":     {"internal/auth", "type t struct{}\nfunc (t) init() {}", ""},
		"mutable map":            {"internal/auth", "var users = map[string]int{}", "package-level variable users"},
		"mutable without value":  {"internal/auth", "var last string", "package-level variable last"},
		"constructor called":     {"internal/auth", "import \"sync\"\nvar once = sync.OnceValue(f)\nfunc f() int { return 1 }", "package-level variable once"},
		"errors":                 {"internal/auth", "import \"errors\"\nvar ErrNo = errors.New(\"no\")", ""},
		"expressions":            {"internal/auth", "import \"regexp\"\nvar name = regexp.MustCompile(`a`)", ""},
		"embedded files":         {"internal/auth", "import \"embed\"\nvar files embed.FS", ""},
		"embedded text":          {"internal/auth", "import _ \"embed\"\n//go:embed a.txt\nvar text string", ""},
		"assertions":             {"internal/auth", "type t struct{}\nvar _ interface{} = t{}", ""},
		"version":                {"cmd/sutazai", `var version = ""`, ""},
		"built SQL": {"services/database",
			"func f(ctx, q, name any) { q.Exec(ctx, `SELECT * FROM ` + name) }", "runs SQL that is not a constant"},
		"formatted SQL": {"services/database",
			"import \"fmt\"\nfunc f(ctx, q, name any) { q.QueryRow(ctx, fmt.Sprintf(`SELECT '%s'`, name)) }", "runs SQL that is not a constant"},
		"constant SQL": {"services/database",
			"const columns = `a, b`\nfunc f(ctx, q any) { q.Query(ctx, `SELECT ` + columns + ` FROM t WHERE id = $1`, 1) }", ""},
		"SQL handed on": {"internal/dbtx",
			"type t struct{ q any }\nfunc (t t) Exec(ctx, query any) { t.q.Exec(ctx, query) }", ""},
		"SQL handed on with more": {"internal/dbtx",
			"type t struct{ q any }\nfunc (t t) Exec(ctx, query any) { t.q.Exec(ctx, query + `;`) }", "runs SQL that is not a constant"},
		"arguments of a prepared statement": {"services/database",
			"func f(ctx, q any, args []any) { q.ExecContext(ctx, args...) }", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, tc.pkg, "package p\n"+tc.text)
			problems := slices.Concat(checkEngine(s), checkPure(s), checkServers(s, servers()), checkState(s, mutableVars()),
				checkSQL(s, constsIn(s.File), nil, map[string]bool{}))
			expect(t, problems, tc.want)
		})
	}
}

// expect wants no problem, or one that holds a text.
func expect(t *testing.T, problems []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(problems) > 0:
		t.Errorf("found %q in what is allowed", problems)
	case want != "" && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }):
		t.Errorf("found %q, want %q", problems, want)
	}
}
