package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

const evalID = "019ab3c1-7c2e-7a3b-9f00-1234567890ab"

// evalServer plays a server with one evaluation, which ends at the second look.
func evalServer(t *testing.T, status core.EvaluationStatus) *fake {
	t.Helper()
	f := newFake(t)
	try := func(n int, failures ...string) core.EvaluationTry {
		return core.EvaluationTry{Try: n, Run: "run-" + string(rune('0'+n)), Passed: len(failures) == 0, Failures: failures, Seconds: 1.5, CostUSD: 0.01}
	}
	e := core.Evaluation{ID: evalID, Agent: "clerk", Version: "abc", Status: core.EvaluationRunning, Repeats: 2, Pass: 0.9, High: 1, Cases: []core.EvaluationResult{{Name: "adds up", Tries: []core.EvaluationTry{try(1)}}}}
	done := e
	done.Status, done.Passed, done.Tried, done.Low, done.High = status, 1, 2, 0.09, 0.91
	done.Cases = []core.EvaluationResult{{Name: "adds up", Tries: []core.EvaluationTry{try(1), try(2, "the answer\nis 390")}}}
	looks := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/evaluations", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Agent   string
			Repeats int
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Agent != "clerk@draft" || body.Repeats != 2 {
			t.Errorf("started %+v %v", body, err)
		}
		f.reply(w, 201, e)
	})
	mux.HandleFunc("GET /api/v1/evaluations/{id}", func(w http.ResponseWriter, _ *http.Request) {
		if looks++; looks > 1 {
			f.reply(w, 200, done)
			return
		}
		f.reply(w, 200, e)
	})
	mux.HandleFunc("POST /api/v1/evaluations/{id}/cancel", func(w http.ResponseWriter, _ *http.Request) { f.reply(w, 200, e) })
	mux.HandleFunc("GET /api/v1/evaluations", func(w http.ResponseWriter, r *http.Request) {
		if before := r.URL.Query().Get("before"); before != "" && before < evalID {
			f.reply(w, 200, page[core.Evaluation]{})
			return
		}
		f.reply(w, 200, page[core.Evaluation]{Items: []core.Evaluation{done}, Next: "e0"})
	})
	mux.HandleFunc("GET /api/v1/runs", func(w http.ResponseWriter, _ *http.Request) {
		f.reply(w, 200, page[core.Run]{Items: []core.Run{{ID: evalID, Agent: "clerk"}}})
	})
	mux.HandleFunc("POST /api/v1/evaluations/sets/clerk/cases", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Run, Name string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Run != evalID {
			t.Errorf("added %+v %v", body, err)
		}
		f.reply(w, 201, core.EvaluationSetStatus{Source: "agents", Set: core.EvaluationSet{Agent: "clerk", Cases: []core.EvaluationCase{{Name: body.Name}}}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func TestAnEvaluationIsFollowedToItsExitCode(t *testing.T) {
	t.Parallel()
	for status, exit := range map[core.EvaluationStatus]int{core.EvaluationPassed: exitOK, core.EvaluationFailed: exitFailed, core.EvaluationCancelled: exitFailed} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			f := evalServer(t, status)
			r := f.call(t.Context(), nil, terminals{}, "evals", "run", "clerk@draft", "--repeats", "2")
			r.want(t, exit, "✗ 2/2  adds up  1.5 s")
			for _, want := range []string{"1/2      1.5  $0.0200  adds up", "adds up, try 2 (run run-2)\n  the answer is 390", string(status) + ": 1 of 2 tries passed (50 %); 95 % interval 9 % to 91 %; 90 % needed"} {
				if !strings.Contains(r.out, want) {
					t.Errorf("%q is not in\n%s", want, r.out)
				}
			}
			if strings.Count(r.err, "adds up") != 2 {
				t.Errorf("each try is told once:\n%s", r.err)
			}
		})
	}
}

func TestEvaluationsAreListedShownCancelledAndMadeOfRuns(t *testing.T) {
	t.Parallel()
	f := evalServer(t, core.EvaluationPassed)
	call := func(args ...string) result {
		return f.call(t.Context(), nil, terminals{}, append([]string{"evals"}, args...)...)
	}
	r := call("list", "--agent", "clerk")
	r.want(t, exitOK, "more: sutazai evals list --before e0")
	if !strings.Contains(r.out, evalID) || !strings.Contains(r.out, "9 % to 91 %") {
		t.Errorf("listed\n%s", r.out)
	}
	call("show", "019ab3c1").want(t, exitOK, "")
	call("show", "0000").want(t, exitNotFound, `no evaluation has an id that begins with "0000"`)
	call("cancel", "019ab3c1").want(t, exitOK, "cancelled evaluation "+evalID)
	call("add", "019ab3c1", "--name", "sums").want(t, exitOK, `added the case "sums" to the set of clerk in agents`)
	call("list", "--limit", "0").want(t, exitUsage, "--limit is 0")
	call("run", "clerk", "--repeats", "-1").want(t, exitUsage, "--repeats is -1")
}
