// Command sutazai is the command line of SutazAI: it starts the server, and talks to one over /api/v1.
//
// It owns what a person or a script types and reads: commands, flags, rendering, exit codes. It knows nothing of
// runs, models or storage beyond core's nouns; what a server does comes from internal/app, what it is told from
// config. One file holds one command.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sutazai/sutazai/internal/app"
)

// version is stamped by the build (-ldflags "-X main.version=…").
var version = ""

func main() {
	if code, is := app.SandboxHelper(os.Args[1:]); is { // before anything else is started: it must not see more than it needs
		os.Exit(code)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // lives as long as the process
		<-signals
		cancel() // the first asks for an orderly end
		<-signals
		os.Exit(exitInterrupted) // the second takes no more time; what is durable is on disk already
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
