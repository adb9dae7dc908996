package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/local"
	"github.com/sutazai/sutazai/services/aimodels/ollama"
)

// ValidateAgents checks agent files as the server would load them. paths are files and folders; none means the configured
// folder together with the shipped agents. It starts nothing.
func ValidateAgents(cfg *config.Config, paths []string) (problems []string, read int, err error) {
	log := slog.New(slog.DiscardHandler)
	specs, err := toolSpecs(cfg, log)
	if err != nil {
		return nil, 0, err
	}
	check := func(model string) error { return checkModel(cfg, model) }
	folder := newAgentFolder(cfg, specs, check, log)
	return folder.validate(paths)
}

// toolSpecs lists the tools without leaving a trace in the data folder.
func toolSpecs(cfg *config.Config, log *slog.Logger) (_ []core.ToolSpec, err error) {
	dir, err := os.MkdirTemp("", "sutazai-")
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot make a temporary folder; check TMPDIR")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	elsewhere := *cfg
	elsewhere.Server.DataDir = dir
	box, err := newSandbox(cfg, "", log)
	if err != nil {
		return nil, err
	}
	tools, outside, err := newTools(&elsewhere, box, newSkills(cfg), log)
	if err != nil {
		return nil, err
	}
	outside.Close()
	closePrograms := addPrograms(tools, cfg, log) // those of the data folder itself
	return tools.Specs(), errors.Join(closePrograms(), tools.Close())
}

// PullModel downloads a model and returns where it lies. A name that is no file is one of Ollama's, and is left to an
// Ollama that runs on this machine; then what is returned is the name under which the model can be called.
func PullModel(ctx context.Context, cfg *config.Config, ref string, progress func(done, total int64)) (path string, err error) {
	if local.IsFile(ref) {
		return local.Pull(ctx, ref, local.ModelsDir(cfg.Server.DataDir), local.PullOptions{Hub: cfg.Models.Local.Hub}, progress)
	}
	provider, err := ollama.New(ollama.Config{HTTP: aimodels.HTTPConfig{Name: "ollama", ConnectTimeout: time.Second}})
	if err != nil {
		return "", err
	}
	defer provider.Close()
	if _, err := provider.Models(ctx); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", core.Wrap(core.CodeInvalid, err, "%q is neither owner/model/file.gguf nor an https URL of a .gguf file, and to pull it as one of Ollama's names an Ollama must run on this machine", ref)
	}
	if err := provider.Pull(ctx, ref, func(_ string, done, total int64) { progress(done, total) }); err != nil {
		return "", err
	}
	return "local/" + ref, nil
}
