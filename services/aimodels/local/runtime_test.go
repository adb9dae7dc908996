package local

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

func TestAServerIsStartedAndAnswersUnderBothNames(t *testing.T) {
	t.Setenv("SECRET_OF_OURS", "s3cret") // so not parallel
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	program(t, b.programs, "llama-server", "llama-server")
	r := b.start(t)
	for _, model := range []string{"default", "tiny.gguf", "tiny"} {
		if text, err := say(t, r, model, "hi"); err != nil || text != "tiny.gguf says hi" {
			t.Errorf("%s: got %q, %v", model, text, err)
		}
	}
	if _, err := say(t, r, "other", "hi"); core.CodeOf(err) != core.CodeNotFound || !strings.Contains(err.Error(), "local/tiny.gguf") {
		t.Errorf("got %v", err)
	}
	list, err := r.Models(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != "default" || !list[0].Loaded || list[1].ID != "tiny.gguf" {
		t.Errorf("got %+v, %v", list, err)
	}
	caps, err := r.Capabilities(t.Context(), "default")
	if err != nil || !caps.Tools || !caps.Small {
		t.Errorf("got %+v, %v", caps, err)
	}
	env, err := say(t, r, "default", "env")
	if err != nil || strings.Contains(env, "s3cret") || !strings.Contains(env, "LLAMA_API_KEY=") {
		t.Errorf("the server's environment: %q, %v", env, err)
	}
	svc, ok := r.Service()
	if !ok || svc.Name != Name || svc.Kind != "process" || svc.State != core.ServiceHealthy || svc.Detail != "llama-server: tiny.gguf" {
		t.Errorf("got %+v", svc)
	}
	if log, err := os.ReadFile(filepath.Join(b.cfg.DataDir, "logs", "local-model.log")); err != nil || !strings.Contains(string(log), "listening\n") {
		t.Errorf("log %q, %v", log, err)
	}
}

func TestAServerThatIsKilledIsRestartedAndCallsWaitForIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	program(t, b.programs, "llama-server", "llama-server")
	r := b.start(t)
	first := pidOf(t, r)
	g, err := aimodels.NewGateway(aimodels.Config{BaseDelay: time.Millisecond, Attempts: 3}, map[string]aimodels.Endpoint{"local": {Kind: "local", Provider: r}})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	resp, err := g.Chat(t.Context(), core.ModelRequest{Model: "local/default", Messages: []core.Message{{Role: core.RoleUser, Text: "pid"}}}, nil)
	if err != nil || resp.Message.Text == strconv.Itoa(first) {
		t.Fatalf("got %q, %v", resp.Message.Text, err)
	}
	if svc, _ := r.Service(); svc.Restarts != 1 || svc.State != core.ServiceHealthy {
		t.Errorf("got %+v", svc)
	}
}

func pidOf(t *testing.T, p aimodels.Provider) int {
	t.Helper()
	text, err := say(t, p, "default", "pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestWhereNothingIsInstalledTheErrorSaysHowToMendItAndALaterModelIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.start(t)
	for range 2 {
		_, err := say(t, r, "default", "hi")
		for _, want := range []string{"scripts/deployment/local-model.sh", "sutazai models pull", "models.providers", "llama-server is not installed"} {
			if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(core.MessageOf(err), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
		if core.RetryAfterOf(err) == 0 {
			t.Error("a try at once would be in vain, which the error does not say")
		}
	}
	if _, err := r.Models(t.Context()); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	if svc, ok := r.Service(); !ok || svc.State != core.ServiceDown {
		t.Errorf("got %+v", svc)
	}
	b.installModel(t, "tiny.gguf", "GGUF...")
	program(t, b.programs, "llama-server", "llama-server")
	if text, err := say(t, r, "default", "hi"); err != nil || text != "tiny.gguf says hi" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestTheModelFileIsChosenAndChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, model string
		files       map[string]string
		want, err   string
	}{
		{name: "the first by name", files: map[string]string{"b.gguf": "GGUF", "a.gguf": "GGUF"}, want: "a.gguf"},
		{name: "not what is no model", files: map[string]string{"a.gguf": "<html>", "b.gguf": "GGUF"}, want: "b.gguf"},
		{name: "nothing but what is no model", files: map[string]string{"a.gguf": "<h"}, err: "not a GGUF model file"},
		{name: "not a download under way", files: map[string]string{"a.gguf.part": "GGUF"}, err: "there is no model file"},
		{name: "the configured one", model: "b", files: map[string]string{"a.gguf": "GGUF", "b.gguf": "GGUF"}, want: "b.gguf"},
		{name: "a configured one that is no model", model: "b.gguf", files: map[string]string{"a.gguf": "GGUF", "b.gguf": "PK"}, err: "not a GGUF model file"},
		{name: "a configured one that is not there", model: "c", files: map[string]string{"a.gguf": "GGUF"}, err: `models.local.model: there is no file "c"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.cfg.DataDir += "/a [folder]*?"
			b.cfg.Model = c.model
			for name, content := range c.files {
				b.installModel(t, name, content)
			}
			path, err := b.cfg.modelFile()
			if c.err != "" {
				if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %q, %v", path, err)
				}
			} else if err != nil || filepath.Base(path) != c.want {
				t.Errorf("got %q, %v", path, err)
			}
		})
	}
}

func TestARunningOllamaIsUsedAndLeftWhenItIsGone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(aimodelstest.OllamaServer(aimodelstest.Always(aimodelstest.Text("hello")), "tiny:1b", "big:70b"))
	defer server.Close()
	b := setup(t)
	b.cfg.OllamaURL = server.URL
	r := b.start(t)
	if text, err := say(t, r, "default", "hi"); err != nil || text != "hello" {
		t.Fatalf("got %q, %v", text, err)
	}
	if text, err := say(t, r, "big:70b", "hi"); err != nil || text != "hello" {
		t.Fatalf("got %q, %v", text, err)
	}
	list, err := r.Models(t.Context())
	if err != nil || len(list) != 3 || list[0].Detail != "tiny:1b" {
		t.Errorf("got %+v, %v", list, err)
	}
	if caps, err := r.Capabilities(t.Context(), "default"); err != nil || !caps.Tools || caps.Small {
		t.Errorf("got %+v, %v", caps, err)
	}
	if svc, _ := r.Service(); svc.Kind != "external" || svc.State != core.ServiceHealthy {
		t.Errorf("got %+v", svc)
	}
	server.Close()
	waitFor(t, r, missing)
}

// waitFor waits for a phase, by the channel that tells of changes.
func waitFor(t *testing.T, r *Runtime, want phase) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		got, changed := r.state.phase, r.changed
		r.mu.Unlock()
		if got == want {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("phase %d did not come, it is %d", want, got)
		}
	}
}

func TestOllamaIsStartedWhereItHasModels(t *testing.T) {
	home := t.TempDir()
	t.Setenv("OLLAMA_MODELS", home) // so not parallel
	b := setup(t)
	b.cfg.Runtime = Ollama
	program(t, b.programs, "ollama", "ollama")
	if _, err := b.cfg.discover(t.Context()); err == nil || !strings.Contains(err.Error(), "has no model") {
		t.Errorf("got %v", err)
	}
	if err := os.MkdirAll(filepath.Join(home, "manifests", "registry", "tiny"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "manifests", "registry", "tiny", "1b"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := say(t, b.start(t), "default", "hi"); err != nil || text != "hello" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestServersThatCannotBeUsedAreNotTaken(t *testing.T) {
	t.Parallel()
	withKey := aimodelstest.OpenAIServer(aimodelstest.Always(aimodelstest.Text("x")))
	withKey.Key = "k"
	other := httptest.NewServer(withKey)
	defer other.Close()
	empty := httptest.NewServer(aimodelstest.OllamaServer(aimodelstest.Always(aimodelstest.Text("x")), "big:70b"))
	defer empty.Close()
	b := setup(t)
	b.cfg.LlamaURL, b.cfg.OllamaURL, b.cfg.Model = other.URL, empty.URL, "tiny"
	_, err := b.cfg.withDefaults().discover(t.Context())
	if err == nil || !strings.Contains(err.Error(), `Ollama does not have the model "tiny"`) || !strings.Contains(err.Error(), "no llama-server that can be used") {
		t.Errorf("got %v", err)
	}
}

func TestItCanBeOffAndIdle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	program(t, b.programs, "llama-server", "llama-server")
	b.cfg.Idle = true
	if _, err := say(t, b.start(t), "default", "hi"); core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), "sutazai serve") {
		t.Errorf("got %v", err)
	}
	b.cfg.Idle, b.cfg.Runtime = false, Off
	r := b.start(t)
	if _, err := say(t, r, "default", "hi"); core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), "models.local.runtime") {
		t.Errorf("got %v", err)
	}
	if _, ok := r.Service(); ok {
		t.Error("a server that is off is in the list of services")
	}
}

func TestAServerThatNeverStartsIsReportedWithItsLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	if err := os.WriteFile(filepath.Join(b.programs, "llama-server"), []byte("#!/bin/sh\nsleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.cfg.ReadyTimeout = 50 * time.Millisecond
	r := b.start(t)
	_, err := say(t, r, "default", "hi")
	if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(core.MessageOf(err), "local-model.log") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Chat(ctx, core.ModelRequest{Model: "default"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNoMoreCallsAtOnceThanParallel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	program(t, b.programs, "llama-server", "llama-server")
	b.cfg.Parallel = 1
	r := b.start(t)
	r.slots <- struct{}{} // another conversation
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Chat(ctx, core.ModelRequest{Model: "default"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call did not wait for its turn: %v", err)
	}
	<-r.slots
	pidOf(t, r)
	if len(r.slots) != 0 {
		t.Error("a slot is not given back")
	}
}

// aliveUntil makes a named pipe and returns a channel that gets what its writers wrote once the last of them is gone,
// which tells of a death without asking again and again.
func aliveUntil(t *testing.T) (path string, began <-chan string, gone <-chan struct{}) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	first, end := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(end)
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		buf := make([]byte, 64)
		n, _ := f.Read(buf)
		first <- string(buf[:n])
		_, _ = io.Copy(io.Discard, f)
	}()
	return path, first, end
}

func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not happen within 20 s", what)
	}
	return v
}

func TestNoServerIsLeftWhenItsOwnerIsKilledHard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	path, began, gone := aliveUntil(t)
	program(t, b.programs, "llama-server", "llama-server", "exec 9>'"+path+"'", "echo up >&9")
	self := exec.Command(os.Args[0], b.cfg.DataDir, b.programs)
	self.Env = append(os.Environ(), "LOCAL_TEST_ROLE=owner")
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	within(t, "the start of the server", began)
	if err := self.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = self.Wait()
	within(t, "the end of the server", gone)
}

func TestCloseEndsTheServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.installModel(t, "tiny.gguf", "GGUF...")
	path, began, gone := aliveUntil(t)
	program(t, b.programs, "llama-server", "llama-server", "exec 9>'"+path+"'", "echo up >&9")
	r := b.start(t)
	within(t, "the start of the server", began)
	r.Close()
	within(t, "the end of the server", gone)
	if _, err := say(t, r, "default", "hi"); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

// fakePackage stands for the Python package: it prints what it is told to serve.
const fakePackage = `
import json
class Any: pass
class llama_pooling_type:
    LLAMA_POOLING_TYPE_MEAN = "mean"
class CommonParams:
    def __init__(self):
        self.embedding, self.pooling_type, self.n_batch, self.n_ubatch = False, "own", 0, 0
        self.model, self.cpuparams, self.cpuparams_batch = Any(), Any(), Any()
class Server:
    def __init__(self, p):
        self.listening_address = json.dumps([p.model.path, sorted(p.model_alias), p.hostnames, p.port, p.api_keys, p.n_parallel, p.n_ctx,
            p.cpuparams.n_threads, p.cpuparams_batch.n_threads, p.use_jinja, p.ui,
            p.embedding, p.pooling_type, p.n_batch, p.n_ubatch])
`

func TestTheScriptServesWhatItIsToldAndEndsWithItsStandardInput(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "xllamacpp.py"), []byte(fakePackage), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(dir, dir)
	cfg.Parallel = 3
	command, err := cfg.llamaCommand(found{kind: XLlamaCpp, path: python}, "/m/x.gguf", "x.gguf", 4711, "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	if !command.WatchesStdin || strings.Contains(strings.Join(command.Args, " "), "s3cret") {
		t.Errorf("got %v", command.Args)
	}
	cmd := exec.Command(command.Path, command.Args[1:]...) // without -I, which would hide the fake package
	cmd.Env = append(command.Env, "PYTHONPATH="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	want := `listening on ["/m/x.gguf", ["x.gguf"], ["127.0.0.1"], 4711, ["s3cret"], 3, 1536, 1, 1, true, false, true, "mean", 0, 0]` + "\n"
	if err != nil || line != want {
		t.Errorf("got %q, %v\nwant %q", line, err, want)
	}
	ended := make(chan error, 1)
	stdin.Close()
	go func() { ended <- cmd.Wait() }()
	if err := within(t, "the end of the script", ended); err != nil {
		t.Error(err)
	}
}
