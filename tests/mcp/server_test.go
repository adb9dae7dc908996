//go:build mcp

package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/tests/testserver"
)

// suitePatience bounds one set of requirements.
const suitePatience = 10 * time.Minute

// revisions are the sets of requirements that are held, all at one address.
var revisions = []string{"2025-11-25", "2026-07-28"}

func TestServer(t *testing.T) {
	suite := officialSuite(t)
	url := fixtures(t)
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) { serverSet(t, suite, url, revision) })
	}
}

// fixtures starts the program that serves what the suite asks for, and returns its address.
func fixtures(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(testserver.Dir(t), "serverfixtures")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./serverfixtures")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the fixtures: %v\n%s", err, out)
	}
	cmd := exec.Command(binary)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already, which Wait tells
		if err := cmd.Wait(); err != nil {
			t.Errorf("the fixtures ended badly: %v\n%s", err, log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the fixtures did not start: %v\n%s", err, log.String())
	}
	return strings.TrimSpace(line)
}

// check is one line of what the suite leaves behind.
type suiteCheck struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"errorMessage"`
}

// serverSet runs a set of requirements against the server and prints its RESULT.
func serverSet(t *testing.T, suite officialProgram, url, revision string) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), suitePatience)
	defer cancel()
	cmd := suite.command(ctx, "server", "--url", url, "--requirements", revision, "-o", dir)
	out, err := cmd.CombinedOutput()
	unscored := unscoredIn(string(out))
	count := map[string]int{}
	scenarios := 0
	folders, globErr := filepath.Glob(filepath.Join(dir, "server-*", "checks.json"))
	if globErr != nil {
		t.Fatal(globErr)
	}
	for _, path := range folders {
		b, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		var checks []suiteCheck
		if err := json.Unmarshal(b, &checks); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		name := scenarioOf(path)
		if slices.Contains(unscored, name) {
			continue
		}
		scenarios++
		for _, c := range checks {
			count[c.Status]++
			if c.Status != "SUCCESS" && c.Status != "INFO" {
				t.Errorf("%s: %s: %s %s", name, c.ID, c.Status, c.Message)
			}
		}
	}
	fmt.Printf("RESULT interop suite=mcp-server set=%s scenarios=%d passed=%d failed=%d skipped=%d warnings=%d unscored=%d\n",
		revision, scenarios, count["SUCCESS"], count["FAILURE"], count["SKIPPED"], count["WARNING"], len(unscored))
	if err != nil {
		t.Errorf("the suite says no: %v\n%s", err, tail(out))
	}
	if scenarios == 0 || count["SUCCESS"] == 0 {
		t.Errorf("nothing was tested\n%s", tail(out))
	}
}

var resultFolder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// scenarioOf is the scenario whose results lie in a folder.
func scenarioOf(path string) string {
	if m := resultFolder.FindStringSubmatch(filepath.Base(filepath.Dir(path))); m != nil {
		return m[1]
	}
	return filepath.Base(filepath.Dir(path))
}

var unscoredLine = regexp.MustCompile(`(?m)^\s+[✓✗] (\S+) \((?:extension|added-after-release|pending)\)$`)

// unscoredIn lists the scenarios that the suite ran and did not count.
func unscoredIn(out string) (names []string) {
	for _, m := range unscoredLine.FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	return names
}

func tail(out []byte) string {
	lines := strings.Split(string(out), "\n")
	return strings.Join(lines[max(0, len(lines)-80):], "\n")
}

// TestStdio speaks with the release binary over its standard input and output, as desktop programs do, while the server
// behind it comes and goes.
func TestStdio(t *testing.T) {
	o := testserver.Options{Binary: testserver.Build(t), DataDir: testserver.Dir(t)}
	passed := 0
	for _, revision := range revisions {
		for _, running := range []bool{false, true} {
			t.Run(revision+" running="+strconv.FormatBool(running), func(t *testing.T) {
				if running {
					p, err := testserver.Start(t.Context(), o)
					if err != nil {
						t.Fatal(err)
					}
					defer func() {
						if err := p.Stop(); err != nil {
							t.Error(err)
						}
					}()
				}
				speak(t, o, revision)
				passed++
			})
		}
	}
	fmt.Printf("RESULT interop suite=mcp-stdio passed=%d failed=%d\n", passed, 2*len(revisions)-passed)
}

func speak(t *testing.T, o testserver.Options, revision string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := testserver.Command(context.WithoutCancel(ctx), o, "mcp")
	var log bytes.Buffer
	cmd.Stderr = &log
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(ctx, &sdk.CommandTransport{Command: cmd}, &sdk.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		t.Fatal(err)
	}
	if v := cs.InitializeResult().ProtocolVersion; v != revision {
		t.Errorf("they speak %s", v)
	}
	list, err := cs.ListTools(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(list.Tools, func(tool *sdk.Tool) bool { return tool.Name == "agent_assistant" }) {
		t.Error("there is no tool for the agent assistant")
	}
	started, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "start_run", Arguments: map[string]any{"agent": "assistant", "input": "Hello."}})
	if err != nil || started.IsError {
		t.Fatalf("%v %+v", err, started)
	}
	id := started.StructuredContent.(map[string]any)["run"].(map[string]any)["id"].(string)
	res, err := cs.ReadResource(ctx, &sdk.ReadResourceParams{URI: "sutazai://runs/" + id})
	if err != nil || !strings.Contains(res.Contents[0].Text, id) {
		t.Errorf("%v %+v", err, res)
	}
	if _, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "nothing"}); err == nil || !strings.Contains(err.Error(), "unknown tool") {
		t.Errorf("a tool that is not there: %v", err)
	}
	// The model cannot be reached: the agent's answer does not come, and giving up cancels its run.
	giveUp, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	if _, err := cs.CallTool(giveUp, &sdk.CallToolParams{Name: "agent_assistant", Arguments: map[string]any{"task": "Hello."}}); err == nil {
		t.Error("an agent without a model answered")
	}
	for cancelled := false; !cancelled; {
		list, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "list_runs", Arguments: map[string]any{"status": "cancelled", "limit": 1}})
		if err != nil {
			t.Fatalf("the run was not cancelled: %v", err)
		}
		runs := list.StructuredContent.(map[string]any)["runs"].([]any)
		cancelled = len(runs) == 1 && runs[0].(map[string]any)["input"] == "Hello."
	}
	if err := cs.Close(); err != nil {
		t.Errorf("it did not end by itself: %v", err)
	}
}
