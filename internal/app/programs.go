package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/tools"
	"github.com/sutazai/sutazai/internal/wasm"
)

// addPrograms registers the WebAssembly programs of the data folder as tools and returns what frees them. What cannot be used is
// logged and left out.
func addPrograms(r *tools.Registry, cfg *config.Config, log *slog.Logger) (free func() error) {
	list, problems := wasm.Load(filepath.Join(cfg.Server.DataDir, "tools"), wasm.Deps{
		Workspace: func(name string) (*os.Root, error) {
			dir, err := r.Folder(name)
			if err != nil {
				return nil, err
			}
			return os.OpenRoot(dir)
		},
		OutputMax: r.OutputMax,
	})
	for _, t := range list {
		if err := r.Register(t); err != nil {
			problems = append(problems, err)
		}
	}
	for _, p := range problems {
		log.Warn("a program of the folder of tools cannot be used", "problem", core.MessageOf(p))
	}
	return func() error {
		var errs []error
		for _, t := range list {
			errs = append(errs, t.Close())
		}
		return errors.Join(errs...)
	}
}
