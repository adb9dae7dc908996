//go:build acp

// Package acp uses unmodified programs of others that speak the Agent Client Protocol, in both directions: coding agents and
// agents by the official libraries as peers of a real server, and the official client libraries with `sutazai acp`. Models are
// scripted. What it needs and does not find it installs by the ordinary clients, and says so.
package acp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	installPatience = 10 * time.Minute
	scriptPatience  = 5 * time.Minute
	runPatience     = 2 * time.Minute
)

// tally counts the cases.
var tally struct {
	mu                      sync.Mutex
	passed, failed, skipped int
}

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("RESULT interop suite=acp passed=%d failed=%d skipped=%d\n", tally.passed, tally.failed, tally.skipped)
	if code == 0 && (tally.passed == 0 || tally.failed+tally.skipped > 0) {
		code = 1
	}
	os.Exit(code)
}

// check runs one case, counts it and prints its line.
func check(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	began := time.Now()
	t.Run(name, func(t *testing.T) {
		t.Cleanup(func() { count(t, name, time.Since(began)) })
		fn(t)
	})
}

func count(t *testing.T, name string, took time.Duration) {
	tally.mu.Lock()
	defer tally.mu.Unlock()
	word := "passed"
	switch {
	case t.Failed():
		word = "failed"
		tally.failed++
	case t.Skipped():
		word = "skipped"
		tally.skipped++
	default:
		tally.passed++
	}
	fmt.Printf("RESULT acp case=%q outcome=%s seconds=%.1f\n", name, word, took.Seconds())
}

// prepare does what the cases need; when it cannot be done, that counts as a failed case.
func prepare(t *testing.T, fn func()) {
	t.Helper()
	began, done := time.Now(), false
	defer func() {
		if !done {
			count(t, t.Name()+": prepare", time.Since(began))
		}
	}()
	fn()
	done = true
}

func install(t *testing.T, name string, args ...string) {
	t.Helper()
	t.Logf("progress acp runs %s %v", name, args)
	ctx, cancel := context.WithTimeout(t.Context(), installPatience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// upToDate says whether what was made of a file is newer than it.
func upToDate(made, of string) bool {
	m, err := os.Stat(made)
	if err != nil {
		return false
	}
	o, err := os.Stat(of)
	return err == nil && !m.ModTime().Before(o.ModTime())
}

func nodePackages(t *testing.T) {
	t.Helper()
	if !upToDate("node_modules/.package-lock.json", "package-lock.json") {
		install(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	}
}

func python(t *testing.T) string {
	t.Helper()
	interpreter := absolute(t, ".venv/bin/python")
	if !upToDate(".venv/installed", "requirements.txt") {
		install(t, "python3", "-m", "venv", "--clear", ".venv")
		install(t, interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
		if err := os.WriteFile(".venv/installed", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return interpreter
}

// goAgent builds the example agent of the Go library.
func goAgent(t *testing.T) string {
	t.Helper()
	path := filepath.Join(testserver.Dir(t), "goagent")
	install(t, "go", "build", "-o", path, "github.com/coder/acp-go-sdk/example/agent")
	return path
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// model serves a scripted model.
func model(t *testing.T, s *aimodelstest.Server) string {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return web.URL
}

// lab is a running server.
type lab struct {
	options testserver.Options
	server  *testserver.Process
	key     string
}

// newLab starts a server with agent files and with peers as the settings have them.
func newLab(t *testing.T, modelURL string, agents map[string]string, peers map[string]any) *lab {
	t.Helper()
	l := &lab{options: testserver.Options{Binary: testserver.Build(t), DataDir: testserver.Dir(t)}}
	dir := filepath.Join(l.options.DataDir, "agents")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range agents {
		if err := os.WriteFile(filepath.Join(dir, name+".md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := json.Marshal(map[string]any{ // JSON is YAML
		"peers":  peers,
		"models": map[string]any{"providers": map[string]any{"local": map[string]any{"kind": "openai", "base_url": modelURL + "/v1", "models": []string{"m"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(l.options.DataDir, "sutazai.yaml")
	if err := os.WriteFile(config, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	l.options.Env = []string{"SUTAZAI_CONFIG=" + config, "SUTAZAI_AGENTS_DIR=" + dir}
	l.start(t)
	t.Cleanup(func() {
		if err := l.server.Stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", testserver.LogTail(l.options.DataDir))
			logs, _ := filepath.Glob(filepath.Join(l.options.DataDir, "logs", "peer-*.log"))
			for _, path := range logs {
				if text, err := os.ReadFile(path); err == nil {
					t.Logf("%s:\n%s", filepath.Base(path), text[max(0, len(text)-4000):])
				}
			}
		}
	})
	if l.key, err = testserver.CreateKey(t.Context(), l.options, "acp", "read", "run", "approve"); err != nil {
		t.Fatalf("make a key: %v", err)
	}
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

// begin starts a run.
func (l *lab) begin(t *testing.T, agent, task string) string {
	t.Helper()
	var run core.Run
	if err := l.client().Call(t.Context(), "POST", "/api/v1/runs", nil, map[string]string{"agent": agent, "input": task}, &run); err != nil {
		t.Fatal(err)
	}
	return run.ID
}

// until polls a run until it is as wanted.
func (l *lab) until(t *testing.T, id string, wanted func(core.Run) bool) core.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runPatience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var run core.Run
		err := l.client().Call(ctx, "GET", "/api/v1/runs/"+id, nil, nil, &run)
		if err == nil && wanted(run) {
			return run
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("run %s is %s (%s): %+v, %v", id, run.Status, run.WaitDetail, run.Error, err)
		}
	}
}

func final(r core.Run) bool { return r.Status.Final() || r.WaitReason == core.WaitModel }

// work gives an agent a task and wants it to be done.
func (l *lab) work(t *testing.T, agent, task string) core.Run {
	t.Helper()
	run := l.until(t, l.begin(t, agent, task), final)
	if run.Status != core.RunSucceeded {
		t.Fatalf("the run is %s (%s): %+v", run.Status, run.WaitDetail, run.Error)
	}
	return run
}

// pending waits for what a run asks a person, and fails when it ends before.
func (l *lab) pending(t *testing.T, id string) core.Approval {
	t.Helper()
	var open core.Approval
	l.until(t, id, func(r core.Run) bool {
		items, err := testserver.List[core.Approval](t.Context(), l.client(), "/api/v1/approvals?status=pending&run="+id)
		if err == nil && len(items) > 0 {
			open = items[0]
			return true
		}
		if r.Status.Final() {
			t.Fatalf("the run ended without a question: %s %q %+v", r.Status, r.Output, r.Error)
		}
		return false
	})
	return open
}

func (l *lab) decide(t *testing.T, a core.Approval, d core.Decision) {
	t.Helper()
	if err := l.client().Call(t.Context(), "POST", "/api/v1/approvals/"+a.ID, nil, map[string]any{"decision": d}, nil); err != nil {
		t.Fatal(err)
	}
}

// runScript runs a script that tells about its cases in lines of JSON, and makes a case of each.
func runScript(t *testing.T, group string, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := 0
	for scan := bufio.NewScanner(out); scan.Scan(); {
		var c struct {
			Name, Error string
			Seconds     float64
		}
		if json.Unmarshal(scan.Bytes(), &c) != nil {
			t.Logf("%s says: %s", group, scan.Text())
			continue
		}
		told++
		t.Run(c.Name, func(t *testing.T) {
			if c.Error != "" {
				t.Error(c.Error)
			}
			count(t, group+": "+c.Name, time.Duration(c.Seconds*float64(time.Second)))
		})
	}
	err = cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && (!ended || told == 0 || ctx.Err() != nil) {
		t.Errorf("%s: %v\n%s", group, err, stderr.String())
		count(t, group, scriptPatience)
	}
}
