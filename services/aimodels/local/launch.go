package local

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/supervisor"
	"github.com/sutazai/sutazai/services/aimodels"
)

//go:embed serve.py
var serveScript string

// launch makes the command for one start of a server, on a new port and with a new key, and the backend that speaks to it.
func (c Config) launch(f found) (supervisor.Command, *backend, error) {
	port, err := freePort()
	if err != nil {
		return supervisor.Command{}, nil, core.Wrap(core.CodeUnavailable, err, "there is no free port for the model server")
	}
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if f.kind == Ollama {
		b, err := c.backend(f, url, "", c.Model)
		return supervisor.Command{Path: f.path, Args: []string{"serve"}, Dir: c.DataDir, Env: append(childEnv(),
			"OLLAMA_HOST="+url, fmt.Sprintf("OLLAMA_NUM_PARALLEL=%d", c.Parallel), fmt.Sprintf("OLLAMA_CONTEXT_LENGTH=%d", c.Context))}, b, err
	}
	model, err := c.modelFile()
	if err != nil {
		return supervisor.Command{}, nil, err
	}
	if model, err = filepath.Abs(model); err != nil {
		return supervisor.Command{}, nil, core.Wrap(core.CodeInternal, err, "the model file %s has no path", model)
	}
	name, key := filepath.Base(model), rand.Text()
	b, err := c.backend(f, url, key, name)
	if err != nil {
		return supervisor.Command{}, nil, err
	}
	command, err := c.llamaCommand(f, model, name, port, key)
	return command, b, err
}

func (c Config) llamaCommand(f found, model, name string, port int, key string) (supervisor.Command, error) {
	if f.kind == XLlamaCpp {
		options, err := json.Marshal(map[string]any{
			"model": model, "alias": name, "port": port, "context": c.Context, "parallel": c.Parallel, "threads": c.Threads,
			"embedding": c.embedding(f.kind, model),
		})
		if err != nil {
			return supervisor.Command{}, core.Wrap(core.CodeInternal, err, "the model server's options cannot be written")
		}
		return supervisor.Command{
			Path: f.path, Args: []string{"-I", "-c", serveScript, string(options)}, Dir: c.DataDir,
			Env: append(childEnv(), "SUTAZAI_MODEL_KEY="+key), WatchesStdin: true,
		}, nil
	}
	threads := strconv.Itoa(c.Threads)
	args := []string{
		"--model", model, "--alias", name, "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"--ctx-size", strconv.Itoa(c.Context * c.Parallel), "--parallel", strconv.Itoa(c.Parallel),
		"--threads", threads, "--threads-batch", threads, "--jinja",
	}
	if e := c.embedding(f.kind, model); e.On {
		batch := strconv.Itoa(e.Batch)
		args = append(args, "--embeddings", "--batch-size", batch, "--ubatch-size", batch)
	}
	return supervisor.Command{
		Path: f.path, Dir: c.DataDir, Args: args,
		Env: append(childEnv(), "LLAMA_API_KEY="+key), // not an argument: other users see those
	}, nil
}

// backend makes what speaks to a server.
func (c Config) backend(f found, url, key, model string) (*backend, error) {
	b := &backend{kind: f.kind, url: url, model: model}
	var err error
	if f.kind == Ollama {
		b.provider, err = c.Ollama(c.http(url, key), c.Context)
		return b, err
	}
	if b.server, err = aimodels.NewHTTPClient(c.http(url, key)); err != nil {
		return nil, err
	}
	b.provider, err = c.OpenAI(c.http(url+"/v1", key))
	return b, err
}

// freePort finds one that nobody listens on. Another program could take it before the server does; then the server ends
// and its next start takes another.
func freePort() (int, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// childEnv is our environment without what a model server has no business with: above all the keys of other providers.
func childEnv() []string {
	names := []string{"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
	prefixes := []string{"LC_", "XDG_", "CUDA_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "GGML_", "VK_", "OMP_", "OLLAMA_", "LLAMA_ARG_"}
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(names, name) || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			env = append(env, kv)
		}
	}
	return env
}

// check asks a server whether it is ready.
func (b *backend) check(ctx context.Context) error {
	if b.server == nil {
		_, err := b.provider.Models(ctx)
		return err
	}
	var health struct {
		Status string `json:"status"`
	}
	return b.server.Get(ctx, "/health", &health)
}
