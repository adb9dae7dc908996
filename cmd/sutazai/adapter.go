package main

import (
	"context"
	"fmt"
	"os"

	"github.com/sutazai/sutazai/internal/app"
)

// socketName is the file in the data folder through which the command line reaches a server.
const socketName = app.SocketName

// theProgram is the program itself; tests of the command line put their own in its place.
func theProgram() program {
	return program{
		start: func(ctx context.Context, o startOptions) (server, error) {
			self, err := os.Executable() // helps the sandbox; see main
			if err != nil {
				return nil, fmt.Errorf("find the program's own file: %w", err)
			}
			a, err := app.Start(ctx, app.Options{
				SandboxHelper: self,
				Config:        o.config, Logger: o.log, Level: o.level, Version: buildVersion().Version, SocketOnly: o.socketOnly, Idle: o.idle,
			})
			if err != nil {
				return nil, err // not a: an interface that holds a nil App is not nil
			}
			return a, nil
		},
		checkAgents:      app.ValidateAgents,
		checkEvaluations: app.ValidateEvaluations,
		pullModel:        app.PullModel,
		newMasterKey:     app.NewMasterKey,
	}
}
