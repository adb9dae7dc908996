//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/tests/testserver"
)

// modelsAsked are what the clients of the OpenAI API talk to: an agent and the plain model.
const modelsAsked = "agent/assistant,default"

// answerPatience bounds one run of the command line with a small model on two cores.
const answerPatience = 5 * time.Minute

func TestConsole(t *testing.T) {
	var (
		chromium string
		l        *lab
	)
	prepare(t, func() {
		nodePackages(t)
		chromium = browser(t)
		l = newLab(t)
	})
	runScript(t, "console", []string{"E2E_SETUP_URL=" + l.server.SetupURL, "E2E_TOOL_TASK=" + toolTask, "CHROMIUM=" + chromium}, "node", "console.mjs")
	check(t, "console: the approved call is recorded as made by the person", func(t *testing.T) {
		approvals, err := testserver.List[core.Approval](t.Context(), l.client(), "/api/v1/approvals?status=approved")
		if err != nil {
			t.Fatal(err)
		}
		if len(approvals) != 1 || approvals[0].DecidedBy != "user:ann" || approvals[0].Tool != "calculator" {
			t.Fatalf("got %+v", approvals)
		}
		wantToolStep(t, l, approvals[0].Run)
	})
}

func TestOpenAI(t *testing.T) {
	var (
		interpreter string
		l           *lab
	)
	prepare(t, func() {
		nodePackages(t)
		interpreter = python(t)
		l = newLab(t)
	})
	env := []string{"E2E_URL=" + l.server.URL, "E2E_KEY=" + l.key, "E2E_MODELS=" + modelsAsked}
	interop(t, "openai-npm", func(t *testing.T) { runScript(t, "npm openai", env, "node", "openai.mjs") })
	interop(t, "openai-python", func(t *testing.T) { runScript(t, "Python openai", env, interpreter, "openai_client.py") })
}

func TestCommandLine(t *testing.T) {
	var l *lab
	prepare(t, func() { l = newLab(t) })
	check(t, "sutazai run answers on standard output alone", func(t *testing.T) {
		stdout, stderr := l.command(t, "run", "assistant", "What is the capital of France?")
		if !strings.Contains(stdout, "Paris") {
			t.Errorf("the answer is %q", stdout)
		}
		if strings.Contains(stdout, "finished") || !strings.Contains(stderr, "finished") {
			t.Errorf("progress belongs to standard error: out %q, err %q", stdout, stderr)
		}
	})
	check(t, "sutazai run --json prints the run", func(t *testing.T) {
		run := l.run(t, "assistant", "Say hello.")
		if run.Status != core.RunSucceeded || strings.TrimSpace(run.Output) == "" || run.Usage.OutputTokens == 0 {
			t.Errorf("got %+v", run)
		}
	})
	check(t, "the real model calls a tool", func(t *testing.T) {
		run := l.run(t, "assistant", toolTask)
		if run.Status != core.RunSucceeded {
			t.Fatalf("got %s: %+v", run.Status, run.Error)
		}
		wantToolStep(t, l, run.ID)
	})
	check(t, "a detached run goes on and can be watched", func(t *testing.T) {
		stdout, _ := l.command(t, "run", "assistant", "Name three colours.", "--detach")
		id := strings.TrimSpace(stdout)
		watched, _ := l.command(t, "runs", "watch", id)
		var run core.Run
		if err := l.client().Call(t.Context(), "GET", "/api/v1/runs/"+id, nil, nil, &run); err != nil {
			t.Fatal(err)
		}
		if run.Status != core.RunSucceeded || strings.TrimSpace(watched) != strings.TrimSpace(run.Output) {
			t.Errorf("the run is %s and answered %q; watched was %q", run.Status, run.Output, watched)
		}
	})
}

// command runs the command line, which must exit with 0.
func (l *lab) command(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerPatience)
	defer cancel()
	cmd := testserver.Command(ctx, l.options, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("sutazai %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String()
}

func (l *lab) run(t *testing.T, agent, task string) (run core.Run) {
	t.Helper()
	stdout, _ := l.command(t, "run", agent, task, "--json")
	if err := json.Unmarshal([]byte(stdout), &run); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return run
}

// wantToolStep wants a run in which the model called the calculator and went on with its result.
func wantToolStep(t *testing.T, l *lab, run string) {
	t.Helper()
	steps, err := testserver.List[core.Step](t.Context(), l.client(), "/api/v1/runs/"+run+"/steps")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(steps, func(s core.Step) bool {
		return s.Kind == core.StepTool && s.Name == "calculator" && s.Status == core.StepSucceeded
	}) {
		t.Errorf("run %s has no calculator step that succeeded: %+v", run, steps)
	}
}
