package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
)

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: long(`serve starts the server and runs until it is told to stop. It prints its address, and a one-time link to set up
the first administrator while there is none. Runs that a crash or a stop interrupted go on by themselves.

SIGINT or SIGTERM stops it in order: requests and steps may finish for as long as server.shutdown_grace; a second
signal stops it at once. SIGHUP reads the settings again and takes over those that need no restart.`,
			exitOK, exitFailed, exitUsage, exitNotAllowed, exitUnreachable),
		Example: `  sutazai serve
  sutazai serve --set server.listen=127.0.0.1:9000 --config /etc/sutazai.yaml`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context()) },
	}
}

// The collector's work is a tenth to a fifth of a model call's time at Go's default, and the live heap is small: letting
// it grow to five times before a collection halves that, and the soft limit keeps a flood from using it up.
const (
	gcPercent   = 400
	memoryLimit = 384 << 20 // bytes
)

// tuneMemory sets the collector, unless the environment says otherwise.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

func (c *cli) serve(ctx context.Context) error {
	tuneMemory()
	cfg, err := c.config()
	if err != nil {
		return err
	}
	var level slog.LevelVar
	level.Set(logLevel(cfg))
	log := slog.New(newLogHandler(c.err, cfg.Log.Format == "text" || (cfg.Log.Format == "auto" && c.errTerminal), &level))
	hangups := make(chan os.Signal, 1) // before the start, so that an early SIGHUP does not end the process
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	s, err := c.program.start(context.WithoutCancel(ctx), startOptions{config: cfg, log: log, level: &level})
	if err != nil {
		return err
	}
	c.greet(cfg, s)
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Wait(serving) }()
	for {
		select {
		case <-hangups:
			c.reload(s, log)
		case err := <-ended:
			return errorOr(c.drain(s, cfg, log), err, ctx)
		case <-ctx.Done():
			return c.drain(s, cfg, log)
		}
	}
}

// errorOr is why the server ended by itself; a wait that our own cancellation ended is no failure.
func errorOr(closeErr, waitErr error, ctx context.Context) error {
	if waitErr != nil && ctx.Err() == nil {
		return waitErr
	}
	return closeErr
}

// greet says where the server is, in the form that a person can click.
func (c *cli) greet(cfg *config.Config, s server) {
	st := c.outStyle()
	fmt.Fprintf(c.out, "SutazAI %s serves %s\n", buildVersion().Version, st.bold(s.URL()))
	fmt.Fprintf(c.out, "  console:  %s/\n", s.URL())
	if link := s.SetupURL(); link != "" {
		fmt.Fprintf(c.out, "  set up:   %s\n            (one time, while there is no administrator)\n", link)
	}
	fmt.Fprintf(c.out, "  data:     %s\n", cfg.Server.DataDir)
}

// reload reads the settings again. When they are wrong the server keeps those that it has.
func (c *cli) reload(s server, log *slog.Logger) {
	next, err := config.Load(c.configOptions())
	if err != nil {
		log.Error("settings not reloaded: they are wrong; the server keeps the old ones", "error", core.MessageOf(err))
		return
	}
	applied, restart := s.Reload(next)
	log.Info("settings reloaded", "applied", applied, "need_restart", restart)
}

// drain stops the server in order.
func (c *cli) drain(s server, cfg *config.Config, log *slog.Logger) error {
	log.Info("stopping", "grace", cfg.Server.ShutdownGrace.String())
	// A little more than the grace: the server itself bounds the waiting, this bounds the server.
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Server.ShutdownGrace+10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// newLogHandler writes a log as text for people or as JSON for machines.
func newLogHandler(w io.Writer, text bool, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if text {
		return slog.NewTextHandler(w, options)
	}
	return slog.NewJSONHandler(w, options)
}

func logLevel(cfg *config.Config) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}
