// Command serverfixtures starts the whole of SutazAI with what the official suite of the Model Context Protocol wants to
// find at /mcp: tools, resources and prompts whose names and answers the suite fixes. It is for tests alone: the product has
// none of them. Everything else is the product's own.
//
//	go run ./tests/mcp/serverfixtures -listen 127.0.0.1:8090
//
// It prints the address of the endpoint on one line, and runs until it is told to stop. Callers need no credential.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	dir, err := os.MkdirTemp("", "mcp")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg, err := config.Load(config.Options{Set: []string{
		"server.listen=" + *listen, "server.data_dir=" + dir, "server.auth=none", "agents.dir=" + dir, "models.local.runtime=off",
		"server.rate_limit.per_key_per_minute=100000", "server.rate_limit.per_address_per_minute=100000",
	}})
	if err != nil {
		return err
	}
	f := &fixtures{}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := app.Start(ctx, app.Options{Config: cfg, Logger: log, Version: "test", ExtendMCP: func(s *sdk.Server) { f.add(s) }})
	if err != nil {
		return err
	}
	fmt.Println(a.URL() + "/mcp")
	f.touch(ctx)
	return errors.Join(a.Wait(ctx), a.Close(context.WithoutCancel(ctx)))
}
