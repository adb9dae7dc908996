//go:build evals

// Package evals is the gate of the agents that ship: each one's evaluation set must pass with a scripted model, which shows
// that the set, its checks, the agent's tools and the engine fit together; then the sets run with a real model for its
// figures, without a bound.
//
// EVALS_MODEL=scripted leaves the real model out. SUTAZAI_E2E_MODEL_URL names a server with the OpenAI API to use in place of
// the local model; SUTAZAI_E2E_MODEL_KEY is its key. EVALS_TIME bounds the evaluation of one agent by the real model.
package evals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/tests/testserver"
)

// The longest that an evaluation of one agent may take.
const (
	scriptedPatience = 3 * time.Minute
	realPatience     = 10 * time.Minute
)

// lab is a running server.
type lab struct {
	options testserver.Options
	server  *testserver.Process
	key     string
}

func newLab(t *testing.T, binary string, env func(testserver.Options) []string) *lab {
	t.Helper()
	l := &lab{options: testserver.Options{Binary: binary, DataDir: testserver.Dir(t)}}
	l.options.Env = append(env(l.options), "SUTAZAI_AGENTS_DIR="+filepath.Join(l.options.DataDir, "agents"))
	l.start(t)
	t.Cleanup(func() {
		if err := l.server.Stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", testserver.LogTail(l.options.DataDir))
		}
	})
	key, err := testserver.CreateKey(t.Context(), l.options, "evals", "read", "run")
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	l.key = key
	return l
}

func (l *lab) start(t *testing.T) {
	t.Helper()
	server, err := testserver.Start(t.Context(), l.options)
	if err != nil {
		t.Fatal(err)
	}
	l.server = server
}

func (l *lab) client() *testserver.Client { return testserver.NewClient(l.server.URL, l.key) }

// sets are the evaluation sets of the server.
func (l *lab) sets(t *testing.T) []core.EvaluationSet {
	t.Helper()
	list, err := testserver.List[core.EvaluationSetStatus](t.Context(), l.client(), "/api/v1/evaluations/sets")
	if err != nil {
		t.Fatal(err)
	}
	agents, err := testserver.List[core.AgentStatus](t.Context(), l.client(), "/api/v1/agents")
	if err != nil {
		t.Fatal(err)
	}
	var sets []core.EvaluationSet
	tested := map[string]bool{}
	for _, s := range list {
		for _, e := range s.Errors {
			t.Error(e)
		}
		sets = append(sets, s.Set)
		tested[s.Set.Agent] = true
	}
	for _, a := range agents {
		if !tested[a.Agent.Name] {
			t.Errorf("the agent %s ships without an evaluation set", a.Agent.Name)
		}
	}
	if len(sets) == 0 {
		t.Fatal("no evaluation set is there")
	}
	return sets
}

// evaluate runs the command line as a person does.
func (l *lab) evaluate(t *testing.T, agent string, patience time.Duration) (e core.Evaluation, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := testserver.Command(ctx, l.options, "evals", "run", agent, "--json").Output()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		exit = ee.ExitCode()
		if len(out) == 0 && ctx.Err() == nil {
			t.Fatalf("evals run %s: exit %d: %s", agent, exit, ee.Stderr)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		return l.cutShort(t, agent), exit
	}
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatalf("evals run %s printed %q: %v", agent, out, err)
	}
	return e, exit
}

// cutShort cancels the latest evaluation of an agent, whose figures are those of the tries that were made.
func (l *lab) cutShort(t *testing.T, agent string) core.Evaluation {
	t.Helper()
	list, err := testserver.List[core.Evaluation](t.Context(), l.client(), "/api/v1/evaluations?limit=1&agent="+agent)
	if err != nil || len(list) == 0 {
		t.Fatalf("the evaluation of %s is not there: %v", agent, err)
	}
	var e core.Evaluation
	if err := l.client().Call(t.Context(), http.MethodPost, "/api/v1/evaluations/"+list[0].ID+"/cancel", nil, nil, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// scripted is the environment of a server whose model plays the scripts of p.
func scripted(t *testing.T, p *player, delay time.Duration) func(testserver.Options) []string {
	t.Helper()
	model := httptest.NewServer(aimodelstest.OpenAIServer(func(n int, req core.ModelRequest) aimodelstest.Turn {
		return aimodelstest.Slowly(delay, p.play(n, req))
	}, "default"))
	t.Cleanup(model.Close)
	return func(testserver.Options) []string { return endpoint(model.URL+"/v1", "none") }
}

// endpoint makes the local provider a server with the OpenAI API.
func endpoint(url, key string) []string {
	return []string{
		"SUTAZAI_MODELS_PROVIDERS_LOCAL_KIND=openai", "SUTAZAI_MODELS_PROVIDERS_LOCAL_BASE_URL=" + url,
		"SUTAZAI_MODELS_PROVIDERS_LOCAL_API_KEY=env:MODEL_KEY", "MODEL_KEY=" + key,
	}
}

func TestEveryShippedSetPassesWithTheScriptedModel(t *testing.T) {
	p := &player{}
	l := newLab(t, testserver.Build(t), scripted(t, p, 0))
	sets := l.sets(t)
	for _, set := range sets {
		p.learn(set)
	}
	for _, set := range sets {
		e, exit := l.evaluate(t, set.Agent, scriptedPatience)
		fmt.Printf("RESULT evals agent=%s cases=%d passed=%d failed=%d model=scripted\n", set.Agent, len(set.Cases), e.Passed, e.Tried-e.Passed)
		if e.Status != core.EvaluationPassed || exit != 0 || e.Tried != len(set.Cases)*set.Repeats || e.Passed != e.Tried {
			t.Errorf("the evaluation of %s is %s with exit code %d: %d of %d passed, %d were to be tried", set.Agent, e.Status, exit, e.Passed, e.Tried, len(set.Cases)*set.Repeats)
		}
		for _, c := range e.Cases {
			for _, try := range c.Tries {
				for _, f := range try.Failures {
					t.Errorf("%s, %s: %s", set.Agent, c.Name, f)
				}
			}
		}
	}
}

// TestAnEvaluationGoesOnAfterKills kills the server in the middle of an evaluation: every try is made, by one run.
func TestAnEvaluationGoesOnAfterKills(t *testing.T) {
	const kills, repeats = 3, 6
	p := &player{}
	l := newLab(t, testserver.Build(t), scripted(t, p, 100*time.Millisecond))
	for _, set := range l.sets(t) {
		p.learn(set)
	}
	var e core.Evaluation
	if err := l.client().Call(t.Context(), http.MethodPost, "/api/v1/evaluations", nil, map[string]any{"agent": "assistant", "repeats": repeats}, &e); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for range kills {
		e = l.until(t, e.ID, func(e core.Evaluation) bool { return e.Tried > tried })
		tried = e.Tried
		l.server.Kill()
		l.start(t)
	}
	if e.Status != core.EvaluationRunning {
		t.Errorf("the evaluation is %s before the last kill: nothing was interrupted", e.Status)
	}
	e = l.until(t, e.ID, func(e core.Evaluation) bool { return e.Status != core.EvaluationRunning })
	want := len(e.Cases) * repeats
	runs, err := testserver.List[core.Run](t.Context(), l.client(), "/api/v1/runs?limit=500&agent=assistant")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, r := range runs {
		if r.Metadata["evaluation"] == e.ID {
			seen[r.Metadata["case"]+"\n"+r.Metadata["try"]]++
		}
	}
	repeated := 0
	for _, n := range seen {
		repeated += n - 1
	}
	fmt.Printf("RESULT evals resumed kills=%d tries=%d lost=%d repeated=%d status=%s\n", kills, e.Tried, want-e.Tried, repeated, e.Status)
	if e.Status != core.EvaluationPassed || e.Tried != want || len(seen) != want || repeated != 0 {
		t.Errorf("%d of %d tries, %d of them with a run, %d runs too many: %s", e.Tried, want, len(seen), repeated, e.Status)
	}
}

// until asks for an evaluation until it is as wanted.
func (l *lab) until(t *testing.T, id string, wanted func(core.Evaluation) bool) (e core.Evaluation) {
	t.Helper()
	for deadline := time.Now().Add(scriptedPatience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := l.client().Call(t.Context(), http.MethodGet, "/api/v1/evaluations/"+id, nil, nil, &e); err != nil {
			t.Fatal(err)
		}
		if wanted(e) {
			return e
		}
	}
	t.Fatalf("the evaluation stays %s with %d tries", e.Status, e.Tried)
	return e
}

// untilAgent asks for an agent until it is as wanted: its file is read again every few seconds.
func (l *lab) untilAgent(t *testing.T, name string, wanted func(core.AgentStatus) bool) {
	t.Helper()
	var a core.AgentStatus
	for deadline := time.Now().Add(scriptedPatience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err := l.client().Call(t.Context(), http.MethodGet, "/api/v1/agents/"+name, nil, nil, &a); err != nil {
			t.Fatal(err)
		}
		if wanted(a) {
			return
		}
	}
	t.Fatalf("the agent %s stays %+v", name, a)
}

func TestShippedSetsWithTheRealModel(t *testing.T) {
	if os.Getenv("EVALS_MODEL") == "scripted" {
		t.Skip("EVALS_MODEL=scripted")
	}
	patience := realPatience
	if text := os.Getenv("EVALS_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("EVALS_TIME: %v", err)
		}
		patience = d
	}
	l := newLab(t, testserver.Build(t), func(o testserver.Options) []string { return realModel(t, o) })
	for _, set := range l.sets(t) {
		e, _ := l.evaluate(t, set.Agent, patience)
		fmt.Printf("RESULT evals agent=%s cases=%d passed=%d tries=%d low=%.2f high=%.2f status=%s model=local\n", set.Agent, len(set.Cases), e.Passed, e.Tried, e.Low, e.High, e.Status)
	}
}

// realModel is the environment of a server with a real model, which is brought up where it is not there, as for any user.
func realModel(t *testing.T, o testserver.Options) []string {
	t.Helper()
	if url := os.Getenv("SUTAZAI_E2E_MODEL_URL"); url != "" {
		return endpoint(url, os.Getenv("SUTAZAI_E2E_MODEL_KEY"))
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "scripts/deployment/local-model.sh", "--data-dir", o.DataDir)
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no local model is there and none can be brought up: %v\n%s", err, strings.TrimSpace(string(out)))
	}
	return []string{"SUTAZAI_MODELS_LOCAL_RUNTIME=auto"}
}
