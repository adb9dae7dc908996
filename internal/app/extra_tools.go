//go:build !chaos

package app

import "github.com/sutazai/sutazai/internal/tools"

// extraTools are further tools of this build: none, except in the build that `make chaos` tests.
func extraTools() []tools.Tool { return nil }
