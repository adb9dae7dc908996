package app

import (
	"context"
	"log/slog"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
)

// ValidateAgents checks agent files as the server would load them. paths are files and folders; none means the configured
// folder together with the shipped agents. It starts nothing.
func ValidateAgents(cfg *config.Config, paths []string) (problems []string, read int, err error) {
	log := slog.New(slog.DiscardHandler)
	tools, outside, err := newTools(cfg, log)
	if err != nil {
		return nil, 0, err
	}
	outside.Close()
	specs := tools.Specs()
	if err := tools.Close(); err != nil {
		return nil, 0, core.Wrap(core.CodeInternal, err, "cannot close the workspaces")
	}
	check := func(model string) error { return checkModel(cfg, model) }
	return newAgentFolder(cfg.Agents.Dir, specs, check, log).validate(paths)
}

// PullModel downloads a model into the data folder and returns where it lies.
func PullModel(ctx context.Context, cfg *config.Config, ref string, progress func(done, total int64)) (path string, err error) {
	return "", core.Errorf(core.CodeInternal, "pull %s", ref)
}
