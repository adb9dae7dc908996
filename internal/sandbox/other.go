//go:build !linux || !(amd64 || arm64)

package sandbox

import (
	"context"
	"runtime"

	"github.com/sutazai/sutazai/core"
)

// HelperArgument is the first argument of a process that is the sandbox's helper.
const HelperArgument = "sandbox-helper"

// Helper is never started here.
func Helper([]string) int { return 2 }

func (s *Sandbox) probe(context.Context) Status {
	return Status{Level: None, Missing: []string{"there is no sandbox for " + runtime.GOOS + " on " + runtime.GOARCH}}
}

// Run refuses: nothing can keep a command in here.
func (s *Sandbox) Run(ctx context.Context, _ Command) (Result, error) {
	return Result{}, s.refused(s.Status(ctx))
}

// Find finds no program: none can be run.
func (s *Sandbox) Find(string) (string, error) {
	return "", core.Errorf(core.CodeUnavailable, "commands cannot be run on this system")
}
