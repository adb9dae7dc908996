//go:build hostile

// Package hostile is the gate of attacks that must fail. The attacks are tests beside the code that they attack; this
// gate runs them, counts their cases by class and prints one RESULT line a class.
package hostile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sutazai/sutazai/"

// outcome is how one test ended: pass, fail or skip.
type outcome struct{ pkg, test string }

func TestHostile(t *testing.T) {
	byPackage := map[string][]string{}
	for _, c := range classes() {
		for pkg, names := range c.tests {
			byPackage[pkg] = append(byPackage[pkg], names...)
		}
	}
	ended := map[outcome]string{}
	for _, pkg := range slices.Sorted(maps.Keys(byPackage)) {
		run(t, pkg, byPackage[pkg], ended)
	}
	for _, c := range classes() {
		cases, failed, problems := count(c, ended)
		fmt.Printf("RESULT hostile class=%s attempts=%d successes=%d\n", c.name, cases, failed)
		for _, p := range problems {
			t.Error(p)
		}
	}
}

// count sums up a class. A test whose outcome is missing, and one that was skipped, is a problem: it attacked nothing.
func count(c class, ended map[outcome]string) (cases, failed int, problems []string) {
	for pkg, names := range c.tests {
		for _, name := range names {
			if ended[outcome{pkg, name}] == "" {
				failed++
				problems = append(problems, fmt.Sprintf("%s: %s did not run; was it renamed?", pkg, name))
				continue
			}
			for _, o := range leaves(pkg, name, ended) {
				cases++
				if how := ended[o]; how != "pass" {
					failed++
					problems = append(problems, fmt.Sprintf("%s: %s: %s", pkg, o.test, how))
				}
			}
		}
	}
	return cases, failed, problems
}

// leaves are a test's subtests that have none themselves, or the test.
func leaves(pkg, name string, ended map[outcome]string) []outcome {
	var out []outcome
	for o := range ended {
		if o.pkg != pkg || o.test != name && !strings.HasPrefix(o.test, name+"/") {
			continue
		}
		parent := false
		for other := range ended {
			parent = parent || other.pkg == pkg && strings.HasPrefix(other.test, o.test+"/")
		}
		if !parent {
			out = append(out, o)
		}
	}
	return out
}

// run runs the named tests of a package and notes how each ended.
func run(t *testing.T, pkg string, names []string, ended map[outcome]string) {
	t.Helper()
	slices.Sort(names)
	pattern := "^(" + strings.Join(slices.Compact(names), "|") + ")$"
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-json", "-run", pattern, module+pkg)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !(ok && exit.ExitCode() == 1) {
		t.Errorf("%s: %v\n%s", pkg, err, stderr.String())
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var e struct{ Action, Test, Output string }
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: the output of go test -json cannot be read: %v", pkg, err)
			return
		}
		switch {
		case e.Test == "" && e.Action == "output" && strings.Contains(e.Output, "FAIL"):
			t.Log(pkg + ": " + strings.TrimSpace(e.Output))
		case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			ended[outcome{pkg, e.Test}] = e.Action
		}
	}
}

func TestCountSeesFailedMissingAndSkippedTests(t *testing.T) {
	t.Parallel()
	ended := map[outcome]string{
		{"p", "TestA"}: "fail", {"p", "TestA/x"}: "pass", {"p", "TestA/y"}: "fail", {"p", "TestAB"}: "pass", {"p", "TestSkipped"}: "skip",
	}
	cases, failed, problems := count(class{"c", map[string][]string{"p": {"TestA", "TestSkipped", "TestGone"}}}, ended)
	if cases != 3 || failed != 3 || len(problems) != 3 {
		t.Errorf("cases=%d failed=%d problems=%q, want 3, 3 and 3 problems", cases, failed, problems)
	}
}
