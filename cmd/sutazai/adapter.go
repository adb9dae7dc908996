package main

import (
	"context"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/internal/app"
)

const socketName = app.SocketName

// theProgram is the command line's view of internal/app.
func theProgram() program {
	return program{
		start: func(ctx context.Context, o startOptions) (server, error) {
			return app.Start(ctx, app.Options{Config: o.config, Logger: o.log, Level: o.level, Version: buildVersion().Version, SocketOnly: o.socketOnly})
		},
		reload: func(s server, cfg *config.Config) ([]string, []string) {
			if a, ok := s.(*app.App); ok {
				return a.Reload(cfg)
			}
			return nil, nil
		},
		checkAgents: app.ValidateAgents,
		pullModel:   app.PullModel,
	}
}
