//go:build mcp

package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/tests/testserver"
)

// TestClient runs the official client scenarios against what gives agents tools.
func TestClient(t *testing.T) {
	suite := officialSuite(t)
	binary := filepath.Join(testserver.Dir(t), "clientprogram")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./clientprogram")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the client: %v\n%s", err, out)
	}
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) { clientSet(t, suite, binary, revision) })
	}
}

var clientFolder = regexp.MustCompile(`^(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// clientSet runs a set of requirements against the client and prints its RESULT.
func clientSet(t *testing.T, suite officialProgram, binary, revision string) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), suitePatience)
	defer cancel()
	cmd := suite.command(ctx, "client", "--command", binary, "--requirements", revision, "-o", dir)
	out, err := cmd.CombinedOutput()
	unscored := unscoredIn(string(out))
	count := map[string]int{}
	scenarios := 0
	walkErr := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var checks []suiteCheck
		if err := json.Unmarshal(b, &checks); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name, err := filepath.Rel(dir, filepath.Dir(path))
		if err != nil {
			return err
		}
		if m := clientFolder.FindStringSubmatch(name); m != nil {
			name = m[1]
		}
		if slices.Contains(unscored, name) {
			return nil
		}
		scenarios++
		for _, c := range checks {
			if c.Status == "SKIPPED" && notOurs(name, c.ID) {
				c.Status = "NOT OURS"
			}
			count[c.Status]++
			if c.Status != "SUCCESS" && c.Status != "INFO" && c.Status != "NOT OURS" {
				t.Errorf("%s: %s: %s %s", name, c.ID, c.Status, c.Message)
			}
		}
		return nil
	})
	if walkErr != nil {
		t.Fatal(walkErr)
	}
	fmt.Printf("RESULT interop suite=mcp-client set=%s scenarios=%d passed=%d failed=%d skipped=%d warnings=%d not_ours=%d unscored=%d\n",
		revision, scenarios, count["SUCCESS"], count["FAILURE"], count["SKIPPED"], count["WARNING"], count["NOT OURS"], len(unscored))
	if err != nil {
		t.Errorf("the suite says no: %v\n%s", err, tail(out))
	}
	if want := required(t, suite, revision); scenarios != want || want == 0 {
		t.Errorf("%d scenarios of %d were run\n%s", scenarios, want, tail(out))
	}
}

// notOurs are checks of messages that a client need not send and this one does not: it uses tools alone, and offers servers
// nothing.
func notOurs(scenario, check string) bool {
	switch scenario {
	case "http-standard-headers":
		return check == "sep-2243-client-includes-standard-headers" // of prompts and resources
	case "request-metadata":
		return slices.Contains([]string{"sep-2575-client-declares-roots-capability", "sep-2575-client-declares-sampling-capability", "sep-2575-client-declares-elicitation-capability"}, check)
	}
	return false
}

// required counts the client's scenarios of a set.
func required(t *testing.T, suite officialProgram, revision string) (n int) {
	t.Helper()
	out, err := suite.command(t.Context(), "list", "--client", "--requirements", revision).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(out), "Client scenarios")
	list, _, _ = strings.Cut(list, "never scored")
	for line := range strings.Lines(list) {
		if strings.HasPrefix(line, "  - ") {
			n++
		}
	}
	return n
}
