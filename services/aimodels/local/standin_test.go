package local

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/ollama"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

func TestMain(m *testing.M) {
	switch os.Getenv("LOCAL_TEST_ROLE") {
	case "llama-server":
		standIn(os.Args[1:])
	case "ollama":
		standInOllama()
	case "owner":
		owner(os.Args[1:])
	default:
		goleak.VerifyTestMain(m)
	}
}

// standIn is llama-server as far as this package knows it: its arguments, key, health, props, models and chat.
func standIn(args []string) {
	var (
		f                            = flag.NewFlagSet("llama-server", flag.ExitOnError)
		model, alias, host           = f.String("model", "", ""), f.String("alias", "", ""), f.String("host", "", "")
		port, ctx, parallel          = f.Int("port", 0, ""), f.Int("ctx-size", 0, ""), f.Int("parallel", 0, "")
		threads, threadsBatch, jinja = f.Int("threads", 0, ""), f.Int("threads-batch", 0, ""), f.Bool("jinja", false, "")
		embeddings, batch, ubatch    = f.Bool("embeddings", false, ""), f.Int("batch-size", 0, ""), f.Int("ubatch-size", 0, "")
	)
	_ = f.Parse(args)
	if *embeddings && (*batch != *ubatch || *batch == 0) || *threads == 0 || *threadsBatch == 0 || !*jinja || *ctx == 0 {
		fmt.Println("missing arguments", args)
		os.Exit(2)
	}
	key := os.Getenv("LLAMA_API_KEY")
	chat := aimodelstest.OpenAIServer(func(_ int, req core.ModelRequest) aimodelstest.Turn {
		last := req.Messages[len(req.Messages)-1].Text
		switch last {
		case "pid":
			return aimodelstest.Text(strconv.Itoa(os.Getpid()))
		case "env":
			return aimodelstest.Text(strings.Join(os.Environ(), "\n"))
		}
		return aimodelstest.Text(req.Model + " says " + last)
	}, *alias)
	chat.Key = key
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, r *http.Request, v any) {
		if key != "" && r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status":"ok"}`) })
	mux.HandleFunc("GET /props", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, map[string]any{"total_slots": *parallel, "model_alias": *alias, "model_path": *model, "chat_template": "{% if tools %}"})
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, map[string]any{"data": []any{map[string]any{"id": *alias, "meta": map[string]any{"n_params": 135e6}}}})
	})
	if !*embeddings {
		mux.HandleFunc("POST /v1/embeddings", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, `{"error":{"code":501,"message":"This server does not support embeddings. Start it with `+"`--embeddings`"+`","type":"not_supported_error"}}`)
		})
	}
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		if *embeddings { // as some versions do
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		chat.ServeHTTP(w, r)
	})
	mux.Handle("/", chat)
	fmt.Println("listening")
	fmt.Println(http.ListenAndServe(net.JoinHostPort(*host, strconv.Itoa(*port)), mux))
	os.Exit(1)
}

func standInOllama() {
	addr := strings.TrimPrefix(os.Getenv("OLLAMA_HOST"), "http://")
	fmt.Println(http.ListenAndServe(addr, aimodelstest.OllamaServer(aimodelstest.Always(aimodelstest.Text("hello")), "tiny:1b")))
	os.Exit(1)
}

// program makes an executable that starts this test binary in a role, after some shell commands.
func program(t *testing.T, dir, name, role string, first ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s\nexport LOCAL_TEST_ROLE=%s\nexec '%s' \"$@\"\n", strings.Join(first, "\n"), role, self)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

// bundle is a data folder and a folder of programs, both empty, on a machine where no model server runs.
type bundle struct {
	cfg      Config
	programs string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{programs: t.TempDir()}
	b.cfg = testConfig(t.TempDir(), b.programs)
	return b
}

func testConfig(dataDir, programs string) Config {
	return Config{
		DataDir: dataDir, Threads: 1, Context: 512, ReadyTimeout: 20 * time.Second,
		OpenAI: func(http aimodels.HTTPConfig) (aimodels.Provider, error) {
			return openaicompat.New(openaicompat.Config{HTTP: http})
		},
		Ollama: func(http aimodels.HTTPConfig, context int) (aimodels.Provider, error) {
			return ollama.New(ollama.Config{HTTP: http, Context: context})
		},
		LlamaURL: "http://127.0.0.1:1", OllamaURL: "http://127.0.0.1:1",
		LookPath: func(name string) (string, error) { return exec.LookPath(filepath.Join(programs, filepath.Base(name))) },
		Every:    50 * time.Millisecond, Again: time.Nanosecond,
	}
}

// installModel puts a file in the models folder that looks like a model from outside.
func (b *bundle) installModel(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(ModelsDir(b.cfg.DataDir), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *bundle) start(t *testing.T) *Runtime {
	t.Helper()
	r := Start(t.Context(), b.cfg)
	var once sync.Once
	t.Cleanup(func() { once.Do(r.Close) })
	return r
}

// say makes one call and returns the answer's text.
func say(t *testing.T, p aimodels.Provider, model, text string) (string, error) {
	t.Helper()
	resp, err := p.Chat(t.Context(), core.ModelRequest{Model: model, Messages: []core.Message{{Role: core.RoleUser, Text: text}}}, nil)
	return resp.Message.Text, err
}

// owner runs a model server until it is killed: data folder and programs are its arguments.
func owner(args []string) {
	Start(context.Background(), testConfig(args[0], args[1]))
	select {}
}
