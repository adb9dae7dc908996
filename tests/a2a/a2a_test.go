//go:build a2a

// Package a2a holds both ends of the Agent2Agent protocol against the official libraries: their clients call agents of this
// program, and this program calls agents that they serve. It knows the outside of the product.
package a2a

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/app"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	installPatience = 10 * time.Minute
	scriptPatience  = 10 * time.Minute
	runPatience     = 30 * time.Second
)

// script plays what the clients ask for.
func script(_ int, req core.ModelRequest) aimodelstest.Turn {
	last := req.Messages[len(req.Messages)-1]
	spoken := 0
	for _, m := range req.Messages {
		if m.Role == core.RoleUser {
			spoken++
		}
	}
	if last.Role == core.RoleTool {
		return aimodelstest.Text("The tool says: " + last.Text)
	}
	_, file, _ := strings.Cut(strings.SplitN(last.Text, "\n", 2)[0], "look at ")
	for word, turn := range map[string]aimodelstest.Turn{
		"ask":   aimodelstest.Calls(aimodelstest.Call("ask_user", map[string]string{"question": "Which colour?"})),
		"write": aimodelstest.Calls(aimodelstest.Call("write_file", map[string]string{"path": "report.txt", "content": "ink: 0"})),
		"look":  aimodelstest.Calls(aimodelstest.Call("read_file", map[string]string{"path": file})),
		"wait":  aimodelstest.Hang("Working "),
		"fail":  aimodelstest.Fail(core.Errorf(core.CodeInvalid, "no ink")),
		"count": aimodelstest.Text(fmt.Sprintf("You have spoken %d times.", spoken)),
	} {
		if strings.Contains(last.Text, word) {
			return turn
		}
	}
	return inPieces("Hello, ", "world.")
}

// inPieces answers in two pieces, with a moment between them.
func inPieces(first, second string) aimodelstest.Turn {
	return func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		onDelta(core.Delta{Text: first})
		resp, err := aimodelstest.Slowly(150*time.Millisecond, aimodelstest.Text(second))(ctx, req, onDelta)
		resp.Message.Text = first + second
		return resp, err
	}
}

// server starts a server with agents; more are added to its own. It returns its address and a key.
func server(t *testing.T, more map[string]string, set ...string) *testserver.Client {
	t.Helper()
	model := httptest.NewServer(aimodelstest.OpenAIServer(script, "m"))
	t.Cleanup(model.Close)
	dir := testserver.Dir(t)
	agents := filepath.Join(dir, "agents")
	if err := os.Mkdir(agents, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"clerk": "---\nname: clerk\ndescription: Files invoices.\nmodel: fake/m\ntools: [ask_user, write_file, read_file]\n---\nBe careful.\n",
		"payer": "---\nname: payer\ndescription: Pays.\nmodel: fake/m\ntools:\n  - name: write_file\n    approval: always\n---\nPay.\n",
	}
	for name, text := range more {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(agents, name+".md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(config.Options{NoFile: true, Env: []string{"HOME=" + dir}, Set: append([]string{
		"server.listen=127.0.0.1:0", "server.data_dir=" + dir, "agents.dir=" + agents, "models.local.runtime=off", "a2a.default_agent=clerk", "a2a.push.allow_private=true",
		"models.providers.fake.kind=openai", "models.providers.fake.base_url=" + model.URL + "/v1", "models.routes.default=[{target: fake/m}]",
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	owner := &testserver.Client{URL: func() string { return "http://localhost" }, HTTP: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", a.Socket())
		},
	}}}
	var made struct {
		Secret string `json:"secret"`
	}
	if err := owner.Call(t.Context(), http.MethodPost, "/api/v1/keys", nil, map[string]any{"name": "a2a", "scopes": []string{"run", "read", "approve"}}, &made); err != nil {
		t.Fatal(err)
	}
	return testserver.NewClient(a.URL(), made.Secret)
}

// tally counts cases and prints the RESULT line of a suite.
type tally struct{ passed, failed int }

func (c *tally) add(t *testing.T) {
	if t.Failed() {
		c.failed++
	} else {
		c.passed++
	}
}

// tell prints the line, and fails where nothing was tested.
func (c *tally) tell(t *testing.T, suite, role string) {
	fmt.Printf("RESULT interop suite=%s role=%s passed=%d failed=%d skipped=0\n", suite, role, c.passed, c.failed)
	if c.passed == 0 {
		t.Error("nothing was tested")
	}
}

func TestOfficialClients(t *testing.T) {
	npm(t)
	interpreter := python(t)
	s := server(t, nil)
	env := []string{"A2A_URL=" + s.URL(), "A2A_KEY=" + s.Key}
	for _, suite := range []struct{ name, program, script string }{{"a2a-js", "node", "client.mjs"}, {"a2a-python", interpreter, "client.py"}} {
		t.Run(suite.name, func(t *testing.T) {
			c := &tally{}
			defer c.tell(t, suite.name, "client")
			c.script(t, env, suite.program, suite.script)
		})
	}
}

// script runs cases that tell of themselves by lines of JSON.
func (c *tally) script(t *testing.T, env []string, name string, args ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var line struct{ Name, Error string }
		if json.Unmarshal(scan.Bytes(), &line) != nil {
			t.Logf("it says: %s", scan.Text())
			continue
		}
		t.Run(line.Name, func(t *testing.T) {
			if line.Error != "" {
				t.Error(line.Error)
			}
			c.add(t)
		})
	}
	if err := cmd.Wait(); err != nil && c.failed == 0 {
		t.Errorf("%v\n%s", err, stderr.String())
		c.failed++
	}
}

func TestOfficialAgents(t *testing.T) {
	npm(t)
	interpreter := python(t)
	for _, suite := range []struct{ name, program, script string }{{"a2a-js", "node", "agent.mjs"}, {"a2a-python", interpreter, "agent.py"}} {
		t.Run(suite.name, func(t *testing.T) {
			c := &tally{}
			defer c.tell(t, suite.name, "agent")
			base := serve(t, suite.program, suite.script)
			agents, set := map[string]string{}, []string{}
			for _, way := range ways() {
				agents[way] = "---\nname: " + way + "\ndescription: It runs elsewhere.\nkind: remote\npeer: " + way + "\n---\n"
				set = append(set, "peers."+way+".protocol=a2a", "peers."+way+".url="+base+"/"+way, "peers."+way+".card_keys="+base+"/keys.json")
			}
			s := server(t, agents, set...)
			for _, way := range ways() {
				for name, test := range map[string]func(*testing.T, *testserver.Client, string, string){
					"sent": sent, "streamed": streamed, "input required": inputRequired, "cancelled": cancelled, "files out": filesOut, "files in": filesIn, "failed": failed,
				} {
					t.Run(way+" "+name, func(t *testing.T) {
						defer c.add(t)
						test(t, s, way, base)
					})
				}
			}
		})
	}
}

// ways are the agents that the programs serve: by each transport, streaming and not.
func ways() []string {
	return []string{"jsonrpc", "rest", "grpc", "jsonrpc-whole", "rest-whole"}
}

// serve starts a program that serves agents, and returns its address.
func serve(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		ended := make(chan struct{})
		go func() { defer close(ended); _ = cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s %v wrote:\n%s", name, args, stderr.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s %v did not start: %v\n%s", name, args, err, stderr.String())
	}
	return strings.TrimSpace(line)
}

func start(t *testing.T, s *testserver.Client, agent, input string, files ...map[string]any) core.Run {
	t.Helper()
	var run core.Run
	if err := s.Call(t.Context(), http.MethodPost, "/api/v1/runs", nil, map[string]any{"agent": agent, "input": input, "files": files}, &run); err != nil {
		t.Fatal(err)
	}
	return run
}

// until waits until a run is in a status.
func until(t *testing.T, s *testserver.Client, id string, status core.RunStatus) core.Run {
	t.Helper()
	var run core.Run
	for deadline := time.Now().Add(runPatience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err := s.Call(t.Context(), http.MethodGet, "/api/v1/runs/"+id, nil, nil, &run); err != nil {
			t.Fatal(err)
		}
		if run.Status == status {
			return run
		}
		if run.Status.Final() {
			t.Fatalf("the run has %s: %+v", run.Status, run.Error)
		}
	}
	t.Fatalf("the run is %s (%s %s), and never %s", run.Status, run.WaitReason, run.WaitDetail, status)
	return run
}

func sent(t *testing.T, s *testserver.Client, agent, _ string) {
	run := until(t, s, start(t, s, agent, "Greet me.").ID, core.RunSucceeded)
	if run.Output != "Hello, world." {
		t.Errorf("it answered %q", run.Output)
	}
	// The conversation goes on in the same context.
	if err := s.Call(t.Context(), http.MethodPost, "/api/v1/runs/"+run.ID+"/messages", nil, map[string]string{"text": "Greet me again."}, nil); err != nil {
		t.Fatal(err)
	}
	if run = until(t, s, run.ID, core.RunSucceeded); run.Output != "Hello, world." {
		t.Errorf("then it answered %q", run.Output)
	}
}

func streamed(t *testing.T, s *testserver.Client, agent, _ string) {
	run := start(t, s, agent, "Greet me.")
	text, pieces := "", 0
	if err := s.Stream(t.Context(), "/api/v1/runs/"+run.ID+"/events", "", func(e testserver.SSE) bool {
		var d core.DeltaData
		if e.Event == "message.delta" && json.Unmarshal(e.Data, &d) == nil {
			text += d.Text
			pieces++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if run = until(t, s, run.ID, core.RunSucceeded); run.Output != "Hello, world." {
		t.Errorf("it answered %q", run.Output)
	}
	if pieces == 0 && !strings.HasSuffix(agent, "-whole") { // a client that connects late gets the message at once
		t.Logf("no piece was seen")
	}
	if pieces > 0 && text != "Hello, world." {
		t.Errorf("it wrote %q", text)
	}
}

func inputRequired(t *testing.T, s *testserver.Client, agent, _ string) {
	run := until(t, s, start(t, s, agent, "ask").ID, core.RunWaiting)
	if run.WaitReason != core.WaitQuestion || !strings.Contains(run.WaitDetail, "Which colour?") {
		t.Fatalf("it waits for %s: %s", run.WaitReason, run.WaitDetail)
	}
	if err := s.Call(t.Context(), http.MethodPost, "/api/v1/runs/"+run.ID+"/messages", nil, map[string]string{"text": "blue"}, nil); err != nil {
		t.Fatal(err)
	}
	if run = until(t, s, run.ID, core.RunSucceeded); run.Output != "You said blue" {
		t.Errorf("it answered %q", run.Output)
	}
}

func cancelled(t *testing.T, s *testserver.Client, agent, base string) {
	before := stopped(t, base)
	run := until(t, s, start(t, s, agent, "wait").ID, core.RunRunning)
	writing := false
	if err := s.Stream(t.Context(), "/api/v1/runs/"+run.ID+"/events", "", func(e testserver.SSE) bool {
		writing = e.Event == "message.delta" // so that the agent is known to work on it
		return !writing
	}); err != nil || !writing {
		t.Fatalf("it does not begin: %v", err)
	}
	if err := s.Call(t.Context(), http.MethodPost, "/api/v1/runs/"+run.ID+"/cancel", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	until(t, s, run.ID, core.RunCancelled)
	for deadline := time.Now().Add(runPatience); stopped(t, base) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the agent was not told to stop")
		}
	}
}

// stopped is how often the agents were told to stop.
func stopped(t *testing.T, base string) int {
	t.Helper()
	var n int
	if err := (&testserver.Client{URL: func() string { return base }, HTTP: &http.Client{}}).Call(t.Context(), http.MethodGet, "/stopped", nil, nil, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func filesOut(t *testing.T, s *testserver.Client, agent, _ string) {
	run := until(t, s, start(t, s, agent, "report").ID, core.RunSucceeded)
	if run.Output != "See the report." {
		t.Errorf("it answered %q", run.Output)
	}
	// The file is in the run's workspace, from which its task hands it on.
	var task struct {
		Artifacts []struct {
			Name  string
			Parts []struct{ Raw []byte }
		}
	}
	if err := s.Call(t.Context(), http.MethodGet, "/a2a/"+agent+"/tasks/"+run.ID, http.Header{"A2a-Version": {"1.0"}}, nil, &task); err != nil {
		t.Fatal(err)
	}
	for _, a := range task.Artifacts {
		if a.Name == "report.txt" && string(a.Parts[0].Raw) == "ink: 0" {
			return
		}
	}
	t.Errorf("the file is not there: %+v", task)
}

func filesIn(t *testing.T, s *testserver.Client, agent, _ string) {
	run := until(t, s, start(t, s, agent, "Read this.", map[string]any{"name": "mine.txt", "content_base64": []byte("of mine")}).ID, core.RunSucceeded)
	if run.Output != "I read mine.txt: of mine" {
		t.Errorf("it answered %q", run.Output)
	}
}

func failed(t *testing.T, s *testserver.Client, agent, _ string) {
	run := until(t, s, start(t, s, agent, "fail").ID, core.RunFailed)
	if run.Error == nil || !strings.Contains(run.Error.Message, "no ink") {
		t.Errorf("it failed with %+v", run.Error)
	}
}

// npm installs the JavaScript library.
func npm(t *testing.T) {
	t.Helper()
	if upToDate("node_modules/.package-lock.json", "package-lock.json") {
		return
	}
	run(t, ".", "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
}

// python returns an interpreter that has the Python library.
func python(t *testing.T) string {
	t.Helper()
	const stamp = ".venv/installed"
	interpreter, err := filepath.Abs(".venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if upToDate(stamp, "requirements.txt") {
		return interpreter
	}
	run(t, "../..", "scripts/maintenance/need.sh", "python3 -c 'import ensurepip'", "python3-venv") // Debian keeps it apart
	run(t, ".", "python3", "-m", "venv", "--clear", ".venv")
	run(t, ".", interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt")
	if err := os.WriteFile(stamp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return interpreter
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	t.Logf("progress a2a runs %s %v", name, args)
	ctx, cancel := context.WithTimeout(t.Context(), installPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
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
