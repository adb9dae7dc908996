package local

import (
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sutazai/sutazai/services/aimodels"
)

// The kinds of server.
const (
	Auto        = "auto"         // the first that is found
	LlamaServer = "llama-server" // llama.cpp's own server
	Ollama      = "ollama"
	XLlamaCpp   = "xllamacpp" // llama.cpp's server in a Python package
	Off         = "off"
)

// Name is the server's name in lists of services, and of its log.
const Name = "local-model"

// Config holds the settings. Zero fields take the defaults named beside them.
type Config struct {
	Provider     string        // the provider's name in messages and targets; "local"
	DataDir      string        // model files are in its folder models, logs in its folder logs
	Runtime      string        // auto
	Model        string        // path or name of a GGUF file, or a name of Ollama's; "" = the first one there is
	Python       string        // interpreter that has xllamacpp; "" = the one in models/runtime of the data folder, else python3
	Threads      int           // 0 = one less than there are cores, so that the machine is not starved
	Context      int           // tokens of one conversation; 8192
	Parallel     int           // conversations answered at once, further ones wait; 2
	ReadyTimeout time.Duration // how long a starting server may take, and how long a call waits for it; 2m
	Silence      time.Duration // how long a call may stay without a byte; HTTPConfig's defaults
	Idle         bool          // start no program

	OpenAI func(aimodels.HTTPConfig) (aimodels.Provider, error)      // how llama.cpp's servers are spoken to
	Ollama func(aimodels.HTTPConfig, int) (aimodels.Provider, error) // the same for Ollama; the number is Context
	Logger *slog.Logger                                              // nil = none

	LlamaURL  string                       // where a running llama-server is looked for; its own default port
	OllamaURL string                       // where a running Ollama is looked for; its own default port
	LookPath  func(string) (string, error) // how programs are found; exec.LookPath
	Every     time.Duration                // between checks of a server; 10s
	Again     time.Duration                // a search is not repeated sooner; 2s
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	text(&c.Provider, "local")
	text(&c.Runtime, Auto)
	text(&c.LlamaURL, "http://127.0.0.1:8080")
	text(&c.OllamaURL, "http://127.0.0.1:11434")
	if c.Threads <= 0 {
		c.Threads = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if c.Context <= 0 {
		c.Context = 8192
	}
	if c.Parallel <= 0 {
		c.Parallel = 2
	}
	if c.ReadyTimeout <= 0 {
		c.ReadyTimeout = 2 * time.Minute
	}
	if c.Every <= 0 {
		c.Every = 10 * time.Second
	}
	if c.Again <= 0 {
		c.Again = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LookPath == nil {
		c.LookPath = exec.LookPath
	}
	return c
}

// ModelsDir is the folder of model files in a data folder.
func ModelsDir(dataDir string) string { return filepath.Join(dataDir, "models") }

func (c Config) logFile() string { return filepath.Join(c.DataDir, "logs", Name+".log") }

func (c Config) http(url, key string) aimodels.HTTPConfig {
	return aimodels.HTTPConfig{Name: c.Provider, BaseURL: url, APIKey: key, FirstByteTimeout: c.Silence, IdleTimeout: c.Silence}
}

// probe bounds a question to a server that may not be there.
func probe(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*time.Second)
}
