// Package sdk reads with the official Go clients of Anthropic and OpenAI what SutazAI writes in their dialects: the answers
// of core/backend and the requests of services/aimodels, from the files that their own tests hold them to. It is a module of
// its own, so that the clients and what they bring along are no part of the product's.
package sdk

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// tally counts the cases of each client, by its name.
type tally struct {
	mu     sync.Mutex
	suites map[string]*outcomes
}

type outcomes struct{ passed, failed, skipped int }

var results = tally{suites: map[string]*outcomes{}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, suite := range slices.Sorted(maps.Keys(results.suites)) {
		o := results.suites[suite]
		fmt.Printf("RESULT interop suite=%s passed=%d failed=%d skipped=%d\n", suite, o.passed, o.failed, o.skipped)
	}
	if len(results.suites) == 0 && code == 0 {
		fmt.Println("no case was run")
		code = 1
	}
	os.Exit(code)
}

// check runs one case of a client, beside the others, and counts it.
func check(t *testing.T, suite, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		t.Cleanup(func() { results.count(t, suite) })
		fn(t)
	})
}

func (r *tally) count(t *testing.T, suite string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.suites[suite]
	if o == nil {
		o = &outcomes{}
		r.suites[suite] = o
	}
	switch {
	case t.Failed():
		o.failed++
	case t.Skipped():
		o.skipped++
	default:
		o.passed++
	}
}

// files returns what a pattern matches, which is at least one.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return list
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serve starts a server that answers everything with a file, and returns its address.
func serve(t *testing.T, file string) string {
	t.Helper()
	body := read(t, file)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", map[string]string{".sse": "text/event-stream; charset=utf-8", ".json": "application/json"}[filepath.Ext(file)])
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// rewritten reads a request into a client's own type and writes it again: a field that the client does not know, or reads
// otherwise, is missing then.
func rewritten(t *testing.T, request []byte, params any) map[string]any {
	t.Helper()
	if err := json.Unmarshal(request, params); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	return object(t, again)
}

func object(t *testing.T, b []byte) (out map[string]any) {
	t.Helper()
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
