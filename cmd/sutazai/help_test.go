package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tree is every command, the root included.
func tree() []*cobra.Command {
	root := (&cli{}).rootCommand()
	all := []*cobra.Command{root}
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Commands()...)
	}
	return all
}

func TestEveryCommandDocumentsItself(t *testing.T) {
	t.Parallel()
	all := tree()
	if len(all) < 30 {
		t.Fatalf("only %d commands found", len(all))
	}
	for _, cmd := range all {
		path := strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "sutazai"), " ")
		r := callWith(t.Context(), nil, terminals{}, append(strings.Fields(path), "--help")...)
		if r.exit != exitOK {
			t.Errorf("%s --help ends with %d", cmd.CommandPath(), r.exit)
		}
		for _, part := range []string{"Exit codes:\n    0  done", "\n    2  wrong usage", "Examples:\n", "Usage:\n", "--server URL", "--json"} {
			if !strings.Contains(r.out, part) {
				t.Errorf("%s --help does not show %q:\n%s", cmd.CommandPath(), part, r.out)
			}
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short description is %q", cmd.CommandPath(), cmd.Short)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || !strings.Contains(r.out, "--"+f.Name) {
				t.Errorf("%s: flag --%s is not documented", cmd.CommandPath(), f.Name)
			}
		})
	}
}

// TestEveryExampleUsesRealCommandsAndFlags keeps the examples from rotting.
func TestEveryExampleUsesRealCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for _, cmd := range tree() {
		for line := range strings.Lines(cmd.Example) {
			_, call, ok := strings.Cut(line, "sutazai ")
			if !ok {
				t.Errorf("%s: example %q does not call sutazai", cmd.CommandPath(), line)
				continue
			}
			call, _, _ = strings.Cut(call, ")")
			words := strings.Fields(call)
			used, _, err := cmd.Root().Find(words)
			if err != nil || used == cmd.Root() {
				t.Errorf("%s: example %q: no such command", cmd.CommandPath(), line)
				continue
			}
			for _, w := range words {
				if name, ok := strings.CutPrefix(w, "--"); ok {
					name, _, _ = strings.Cut(name, "=")
					if used.Flag(name) == nil {
						t.Errorf("%s: example %q: no flag --%s", cmd.CommandPath(), line, name)
					}
				}
			}
		}
	}
}

func TestWrongUsageEndsWithTwoAndTheNearestName(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"rnu assistant x":                   "did you mean run",
		"runs lst":                          "did you mean list?",
		"config shw":                        "did you mean show?",
		"help runs aprove":                  "did you mean approve?",
		"run assistant x --fiel a":          "did you mean --file?",
		"runs list --agnet a":               "did you mean --agent?",
		"budgets set x --all --usd much":    `--usd is "much"; expected a number, such as 12.50`,
		"budgets set x --all --tokens 1.5":  `--tokens is "1.5"; expected a whole number`,
		"budgets set x --all=maybe --usd 1": `--all is "maybe"; expected true or false`,
		"run":                               "AGENT is missing",
		"run assistant":                     "TASK is missing",
		"run a b c":                         "needs quotes",
		"run a b --wait --no-wait":          "contradict",
		"run a b --limit stpes=3":           "steps, tokens, cost_usd, time and depth",
		"run a b --limit steps=many":        "not a number",
		"run a b --limit steps=-1":          "negative",
		"run a b --limit time=soon":         "duration",
		"run a b --metadata x":              "key=value",
		"runs list --status done":           "the statuses are",
		"runs list --limit 0":               "1 to 200",
		"runs list --limit x":               `--limit is "x"; expected a whole number`,
		"runs list more":                    "takes no argument",
		"runs approve x --edit 5":           "JSON object",
		"runs approve x --retry --done y":   "exclude each other",
		"keys create ci --scope everything": "read, run, approve and admin",
		"keys create ci --expires soon":     "duration",
		"completion tcsh":                   "bash, zsh, fish, powershell",
		"version extra":                     "takes no argument",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			callWith(t.Context(), nil, terminals{}, strings.Fields(line)...).want(t, exitUsage, says, "See sutazai", "--help")
		})
	}
}

func TestCompletionScriptsAreWrittenForEveryShell(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := callWith(t.Context(), nil, terminals{}, "completion", shell); r.exit != exitOK || !strings.Contains(r.out, "sutazai") {
			t.Errorf("%s: exit %d, %d bytes", shell, r.exit, len(r.out))
		}
	}
}

func TestCompletionOffersTheAgentsOfARunningServer(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	if r := f.call(t.Context(), nil, terminals{}, "__complete", "run", "a"); !strings.HasPrefix(r.out, "assistant\thelps\n") {
		t.Errorf("offered %q", r.out)
	}
	r := callWith(t.Context(), nil, terminals{}, "__complete", "--server", "http://127.0.0.1:1", "run", "a")
	if r.exit != exitOK || strings.Contains(r.out, "assistant") {
		t.Errorf("%+v", r)
	}
}
