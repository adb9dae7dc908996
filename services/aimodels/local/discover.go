package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// found is a model server that can be used: one that runs (url), or a program from which one is started.
type found struct {
	kind  string
	url   string // "" = to be started
	path  string // of the program
	model string // name of the model where the server runs already
}

// howToMend ends the message when there is no model server.
const howToMend = "run scripts/deployment/local-model.sh (it installs a small one), or install llama-server and fetch a model with " +
	"`sutazai models pull owner/model/file.gguf`, or name another model server under models.providers"

// discover looks for a server, the cheap and the ready ones first. Its error has the code core.CodeUnavailable and says
// what was looked for and how to get one.
func (c Config) discover(ctx context.Context) (found, error) {
	var why []string
	try := func(kind string, look func(context.Context) (found, error)) (found, bool) {
		if c.Runtime != Auto && c.Runtime != kind {
			return found{}, false
		}
		f, err := look(ctx)
		if err != nil {
			if text := core.MessageOf(err); len(why) == 0 || why[len(why)-1] != text {
				why = append(why, text)
			}
			return found{}, false
		}
		f.kind = kind
		return f, true
	}
	for _, step := range []struct {
		kind string
		look func(context.Context) (found, error)
	}{
		{LlamaServer, c.runningLlama}, {Ollama, c.runningOllama},
		{LlamaServer, c.llamaProgram}, {Ollama, c.ollamaProgram}, {XLlamaCpp, c.pythonPackage},
	} {
		if f, ok := try(step.kind, step.look); ok {
			return f, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return found{}, err
	}
	return found{}, core.Errorf(core.CodeUnavailable, "no local model can be used: %s. To mend it: %s", strings.Join(why, "; "), howToMend)
}

// llamaProps is what llama.cpp's server tells of itself.
type llamaProps struct {
	Slots    int    `json:"total_slots"`
	Alias    string `json:"model_alias"`
	Path     string `json:"model_path"`
	Template string `json:"chat_template"`
	Caps     *struct {
		Tools bool `json:"supports_tools"`
	} `json:"chat_template_caps"` // absent in old versions
}

func (c Config) runningLlama(ctx context.Context) (found, error) {
	none := core.Errorf(core.CodeUnavailable, "no llama-server that can be used without a key answers at %s", c.LlamaURL)
	client, err := aimodels.NewHTTPClient(c.http(c.LlamaURL, ""))
	if err != nil {
		return found{}, err
	}
	defer client.Close()
	ctx, cancel := probe(ctx)
	defer cancel()
	var props llamaProps
	if client.Get(ctx, "/props", &props) != nil || props.Slots == 0 {
		return found{}, none // also another program that has the port
	}
	name := props.Alias
	if name == "" {
		name = filepath.Base(props.Path)
	}
	if c.Model != "" && name != c.Model && filepath.Base(props.Path) != filepath.Base(c.Model) {
		return found{}, core.Errorf(core.CodeUnavailable, "the llama-server at %s serves %q, not the model of models.local.model", c.LlamaURL, name)
	}
	return found{url: c.LlamaURL, model: name}, nil
}

func (c Config) runningOllama(ctx context.Context) (found, error) {
	p, err := c.Ollama(c.http(c.OllamaURL, ""), c.Context)
	if err != nil {
		return found{}, err
	}
	defer closeProvider(p)
	ctx, cancel := probe(ctx)
	defer cancel()
	list, err := p.Models(ctx)
	if err != nil {
		return found{}, core.Errorf(core.CodeUnavailable, "no Ollama answers at %s", c.OllamaURL)
	}
	name, err := c.ollamaModel(list)
	return found{url: c.OllamaURL, model: name}, err
}

// ollamaModel chooses the configured model, or the first.
func (c Config) ollamaModel(list []core.Model) (string, error) {
	for _, m := range list {
		if c.Model == "" || m.ID == c.Model || m.ID == c.Model+":latest" {
			return m.ID, nil
		}
	}
	if c.Model != "" {
		return "", core.Errorf(core.CodeUnavailable, "Ollama does not have the model %q of models.local.model; `ollama pull` fetches it", c.Model)
	}
	return "", core.Errorf(core.CodeUnavailable, "Ollama has no model; `ollama pull` fetches one")
}

func (c Config) llamaProgram(context.Context) (found, error) {
	path, err := c.LookPath("llama-server")
	if err != nil {
		return found{}, core.Errorf(core.CodeUnavailable, "llama-server is not installed")
	}
	_, err = c.modelFile()
	return found{path: path}, err
}

func (c Config) ollamaProgram(context.Context) (found, error) {
	path, err := c.LookPath("ollama")
	if err != nil {
		return found{}, core.Errorf(core.CodeUnavailable, "Ollama is not installed")
	}
	if !ollamaHasModels() {
		return found{}, core.Errorf(core.CodeUnavailable, "Ollama is installed but has no model; `ollama pull` fetches one")
	}
	return found{path: path}, nil
}

// ollamaHasModels looks into Ollama's own folder: it is cheap, while starting Ollama to ask it is not.
func ollamaHasModels() bool {
	dir := os.Getenv("OLLAMA_MODELS")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return false
		}
		dir = filepath.Join(home, ".ollama", "models")
	}
	has := false
	err := filepath.WalkDir(filepath.Join(dir, "manifests"), func(_ string, d fs.DirEntry, err error) error { //nolint:gosec // Ollama's own variable names the folder
		if err == nil && d.Type().IsRegular() {
			has = true
			return fs.SkipAll
		}
		return nil
	})
	return has && err == nil
}

func (c Config) pythonPackage(ctx context.Context) (found, error) {
	if _, err := c.modelFile(); err != nil {
		return found{}, err
	}
	python, err := c.python()
	if err != nil {
		return found{}, err
	}
	ctx, cancel := probe(ctx)
	defer cancel()
	check := exec.CommandContext(ctx, python, "-I", "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('xllamacpp') is None)")
	check.Env = childEnv()
	if err := check.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return found{}, core.Errorf(core.CodeUnavailable, "%s did not start in time", python)
		}
		return found{}, core.Errorf(core.CodeUnavailable, "%s does not have the Python package xllamacpp", python)
	}
	return found{path: python}, nil
}

func (c Config) python() (string, error) {
	if c.Python != "" {
		path, err := c.LookPath(c.Python)
		if err != nil {
			return "", core.Errorf(core.CodeUnavailable, "models.local.python: %s cannot be run", c.Python)
		}
		return path, nil
	}
	if path := filepath.Join(ModelsDir(c.DataDir), "runtime", "bin", "python3"); runnable(path) {
		return path, nil
	}
	path, err := c.LookPath("python3")
	if err != nil {
		return "", core.Errorf(core.CodeUnavailable, "Python is not installed")
	}
	return path, nil
}

func runnable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
