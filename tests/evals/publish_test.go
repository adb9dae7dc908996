//go:build evals

package evals

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/tests/testserver"
)

// command runs the command line on the server's data folder and returns what it says and its exit code.
func (l *lab) command(t *testing.T, args ...string) (said string, exit int) {
	t.Helper()
	out, err := testserver.Command(t.Context(), l.options, args...).CombinedOutput()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		exit = ee.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return string(out), exit
}

func TestAPastRunBecomesACaseAndPublishingNeedsAPass(t *testing.T) {
	p := &player{}
	env := scripted(t, p, 0)
	l := newLab(t, testserver.Build(t), func(o testserver.Options) []string {
		return append(env(o), "SUTAZAI_AGENTS_EVALUATIONS=required")
	})
	for _, set := range l.sets(t) {
		p.learn(set)
	}
	want := func(exit int, part string, args ...string) {
		t.Helper()
		if said, got := l.command(t, args...); got != exit || !strings.Contains(said, part) {
			t.Errorf("%s: exit %d, want %d with %q:\n%s", strings.Join(args, " "), got, exit, part, said)
		}
	}
	want(1, "run `sutazai evals run assistant@draft`", "agents", "publish", "assistant")
	e, exit := l.evaluate(t, "assistant@draft", scriptedPatience)
	if exit != 0 {
		t.Fatalf("the evaluation ended with %d: %+v", exit, e)
	}
	want(0, "published version 1", "agents", "publish", "assistant")

	run := ""
	for _, c := range e.Cases {
		if c.Name == "reads a file" {
			run = c.Tries[0].Run
		}
	}
	want(0, `added the case "what the run did"`, "evals", "add", run, "--name", "what the run did")
	file := filepath.Join(l.options.DataDir, "agents", "assistant.eval.yaml")
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "# What the assistant must be able to do") {
		t.Errorf("the set in the agents folder: %v\n%s", err, text)
	}
	want(0, "no problem", "evals", "validate", file)
	again, exit := l.evaluate(t, "assistant", scriptedPatience)
	added := again.Cases[len(again.Cases)-1]
	if exit != 0 || len(again.Cases) != len(e.Cases)+1 || added.Name != "what the run did" || again.SetVersion == e.SetVersion {
		t.Errorf("with the new case: exit %d, %+v", exit, again)
	}

	l.breakAgent(t)
	want(1, "run `sutazai evals run assistant@draft`", "agents", "publish", "assistant")
	if e, exit := l.evaluate(t, "assistant@draft", scriptedPatience); exit != 1 || e.Status != core.EvaluationFailed || e.Passed == e.Tried {
		t.Errorf("an agent without its tools passes: exit %d, %+v", exit, e)
	}
	want(1, "tries passed: see `sutazai evals show ", "agents", "publish", "assistant")
	fmt.Printf("RESULT evals publishing refused=3 published=1 cases_made_of_runs=1 failed=%t\n", t.Failed())
}

// breakAgent replaces the assistant by one that can no longer do its work.
func (l *lab) breakAgent(t *testing.T) {
	t.Helper()
	const broken = "---\nname: assistant\ndescription: Has lost its tools.\n---\nAnswer.\n"
	if err := os.WriteFile(filepath.Join(l.options.DataDir, "agents", "assistant.md"), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	ok := func(a core.AgentStatus) bool { return a.Draft != "" && len(a.Agent.Tools) > 0 }
	l.untilAgent(t, "assistant", ok)
}
