package tests

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the path of this module; paths below it are written without it.
const module = "github.com/sutazai/sutazai"

// A layer is a folder of packages and what they may import of this project. In a pattern, * is one name that does not
// end with "test" and *test one that does. {parent} is the folder above. The first layer that matches holds.
type layer struct {
	pattern string
	may     []string
}

// layers is the table of docs/architecture.md. A package that is in none of them fails the test.
func layers() []layer {
	return []layer{
		{"core", nil},
		{"cmd/sutazai", []string{"core", "config", "internal/app"}},
		{"config", []string{"core"}},

		{"core/agents", []string{"core"}},
		{"core/agents/shipped", nil},
		{"core/agents/*test", []string{"core", "{parent}"}},
		{"core/agents/*", []string{"core", "{parent}"}},
		{"core/orchestrator", []string{"core", "core/agents", "core/agents/*", "internal/*"}},
		{"core/orchestrator/*test", []string{"core", "core/agents", "{parent}", "internal/*"}},
		{"core/backend", []string{"core", "internal/*"}},
		{"core/backend/*test", []string{"core", "{parent}", "internal/*"}},
		{"core/backend/*", []string{"core", "{parent}", "internal/*"}},
		{"core/frontend", nil},

		{"services/database", []string{"core", "internal/dbtx", "internal/telemetry"}},
		{"services/database/*test", []string{"core", "{parent}", "internal/dbtx"}},
		{"services/*", []string{"core", "internal/*"}},
		{"services/*/*test", []string{"core", "{parent}", "internal/*"}},
		{"services/*/*", []string{"core", "{parent}", "internal/*"}},

		{"internal/app", []string{"config", "core", "core/*", "core/*/*", "services/*", "services/*/*", "internal/*"}},
		{"internal/*", []string{"core", "internal/telemetry"}},
		{"internal/*/*test", []string{"core", "{parent}"}},

		{"tests", []string{"config", "core", "internal/app"}},
		{"tests/mutate", []string{"config", "core", "internal/app", "services/*/*test", "services/peers", "services/peers/*"}},
		{"tests/*", []string{"config", "core", "internal/app", "core/*/*test", "services/*/*test", "internal/*/*test"}},
		{"tests/bench/*", nil},
		{"tests/mcp/clientprogram", []string{"core", "internal/*", "services/database"}},
		{"tests/mcp/*", []string{"config", "core", "internal/app"}},
	}
}

// An exception lets one package import another against the table. One that nobody needs any more fails the test.
type exception struct{ from, to, why string }

func exceptions() []exception {
	return []exception{
		{"config", "internal/nearest", "the nearest valid key in a message"},
		{"core/agents", "internal/schema", "an agent's output schema; pure, it reads nothing"},
		{"core/agents", "internal/yamlnode", "the lines of agent files; pure, it reads nothing"},
		{"core/agents/team", "internal/schema", "the choice of who speaks next; pure, it reads nothing"},
		{"internal/acp", "internal/jsonrpc", "how what is wrong with a message is told"},
		{"internal/evaluations", "internal/schema", "a check of an answer's form; pure, it reads nothing"},
		{"internal/evaluations", "internal/yamlnode", "the lines of evaluation sets; pure, it reads nothing"},
		{"internal/tools", "internal/schema", "the arguments of a call"},
		{"internal/a2acheck", "internal/schema", "the form of messages"},
		{"internal/tools", "internal/sandbox", "commands that agents run"},
		{"services/aimodels/azure", "services/aimodels/openaicompat", "the same dialect at Azure's addresses"},
		{"services/aimodels/bedrock", "services/aimodels/anthropic", "what Claude models take, wherever they are reached"},
	}
}

// pkg is what the checks need of a package.
type pkg struct {
	Path    string // below the module
	Imports []string
	Doc     string
	Dir     string
	Files   []string // every Go file, whatever its build tags
}

// checkLayers holds the packages against the table.
func checkLayers(pkgs []pkg, table []layer, except []exception) []string {
	var problems []string
	used := make([]bool, len(except))
	for _, p := range pkgs {
		i := slices.IndexFunc(table, func(l layer) bool { return matches(l.pattern, p.Path) })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("%s is in no layer; docs/architecture.md says where packages belong", p.Path))
			continue
		}
		for _, imported := range p.Imports {
			if imported == p.Path || allowed(table[i], p.Path, imported) {
				continue
			}
			if j := slices.IndexFunc(except, func(e exception) bool { return e.from == p.Path && e.to == imported }); j >= 0 {
				used[j] = true
				continue
			}
			problems = append(problems, fmt.Sprintf("%s must not import %s (it may import: %s)", p.Path, imported, strings.Join(table[i].may, ", ")))
		}
	}
	for j, e := range except {
		if !used[j] {
			problems = append(problems, fmt.Sprintf("the exception %s → %s is not needed; remove it", e.from, e.to))
		}
	}
	return problems
}

func allowed(l layer, from, imported string) bool {
	if from != "cmd/sutazai" && !strings.HasPrefix(from, "tests") && imported == "internal/app" {
		return false // the composition root is above everything but the command line
	}
	return slices.ContainsFunc(l.may, func(pattern string) bool {
		if pattern == "{parent}" {
			return imported == path.Dir(from)
		}
		return matches(pattern, imported)
	})
}

// matches says whether a path has the form of a pattern.
func matches(pattern, name string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(want) != len(have) {
		return false
	}
	for i, w := range want {
		helper := strings.HasSuffix(have[i], "test")
		switch {
		case w == "*" && !helper, w == "*test" && helper, w == have[i]:
		default:
			return false
		}
	}
	return true
}
