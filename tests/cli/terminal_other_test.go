//go:build !linux

package cli

import "github.com/rogpeppe/go-internal/testscript"

// terminal needs a pseudo-terminal, which the tests make on Linux only.
func terminal(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("terminals are tested on Linux")
}
