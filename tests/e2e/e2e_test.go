//go:build e2e

// Package e2e uses the product as people and their programs do, with a real model: the console in a real browser, the
// command line, and unmodified OpenAI clients. What it needs and does not find it installs by the ordinary clients, and
// says so.
//
// SUTAZAI_E2E_MODEL_URL names a server with the OpenAI API to use in place of the local model, for work on the cases;
// SUTAZAI_E2E_MODEL_KEY is its key.
package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/tests/testserver"
)

// scriptPatience bounds one script of cases.
const scriptPatience = 20 * time.Minute

// tally counts the cases of every test.
type tally struct {
	mu                      sync.Mutex
	passed, failed, skipped int
}

var results tally

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("RESULT e2e passed=%d failed=%d skipped=%d\n", results.passed, results.failed, results.skipped)
	if results.passed+results.failed+results.skipped == 0 && code == 0 {
		fmt.Println("no case was run")
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
	results.mu.Lock()
	defer results.mu.Unlock()
	word := "passed"
	switch {
	case t.Failed():
		word = "failed"
		results.failed++
	case t.Skipped():
		word = "skipped"
		results.skipped++
	default:
		results.passed++
	}
	fmt.Printf("RESULT e2e case=%q outcome=%s seconds=%.1f\n", name, word, took.Seconds())
}

// interop runs the cases of one kind of client, and prints how many passed.
func interop(t *testing.T, suite string, fn func(t *testing.T)) {
	t.Helper()
	results.mu.Lock()
	passed, failed, skipped := results.passed, results.failed, results.skipped
	results.mu.Unlock()
	t.Run(suite, fn)
	results.mu.Lock()
	defer results.mu.Unlock()
	fmt.Printf("RESULT interop suite=%s passed=%d failed=%d skipped=%d\n", suite, results.passed-passed, results.failed-failed, results.skipped-skipped)
}

// prepare does what a test's cases need; when it cannot be done, that counts as a failed case.
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

// lab is a running server with a real model.
type lab struct {
	options testserver.Options
	server  *testserver.Process
	key     string
}

// toolTask is what a small model needs a calculator for.
const toolTask = "What is 17 * 23?"

// newLab starts a server on a folder of its own, with further settings. The model is answered for by `sutazai serve` itself,
// as for any user.
func newLab(t *testing.T, env ...string) *lab {
	t.Helper()
	l := &lab{options: testserver.Options{Binary: testserver.Build(t), DataDir: testserver.Dir(t)}}
	agents := filepath.Join(l.options.DataDir, "agents")
	if err := os.MkdirAll(agents, 0o700); err != nil {
		t.Fatal(err)
	}
	const clerk = "---\nname: clerk\ndescription: Calculates after approval.\ntools: [{name: calculator, approval: always}]\ntemperature: 0\n---\n" +
		"You are a clerk. Use the calculator for every calculation.\n"
	if err := os.WriteFile(filepath.Join(agents, "clerk.md"), []byte(clerk), 0o600); err != nil {
		t.Fatal(err)
	}
	l.options.Env = append(append(model(t, l.options), "SUTAZAI_AGENTS_DIR="+agents), env...)
	server, err := testserver.Start(t.Context(), l.options)
	if err != nil {
		t.Fatal(err)
	}
	l.server = server
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", testserver.LogTail(l.options.DataDir))
		}
	})
	if l.key, err = testserver.CreateKey(t.Context(), l.options, "e2e", "read", "run"); err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return l
}

// client calls the API.
func (l *lab) client() *testserver.Client { return testserver.NewClient(l.server.URL, l.key) }
