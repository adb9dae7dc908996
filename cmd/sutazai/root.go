package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
)

// program is what the command line needs of internal/app.
type program struct {
	// start starts a server and returns when it answers.
	start func(ctx context.Context, o startOptions) (server, error)
	// checkAgents checks agent files as the server would load them. paths are files and folders; none means the
	// configured folder together with the shipped agents. agents is how many files were read.
	checkAgents func(cfg *config.Config, paths []string) (problems []string, agents int, err error)
	// checkEvaluations checks evaluation sets in the same way.
	checkEvaluations func(cfg *config.Config, paths []string) (problems []string, sets int, err error)
	// pullModel downloads a model into the data folder and returns where it lies.
	pullModel func(ctx context.Context, cfg *config.Config, ref string, progress func(done, total int64)) (path string, err error)
	// newMasterKey makes a master key, as server.secret_key wants it.
	newMasterKey func() string
}

// startOptions say what server to start.
type startOptions struct {
	config     *config.Config
	log        *slog.Logger
	level      *slog.LevelVar // of log
	socketOnly bool           // listen on the data folder's socket and nothing else
	idle       bool           // accept and show runs, but execute none
}

// globals are the flags that every command takes.
type globals struct {
	configFile string
	set        []string
	server     string
	apiKey     string
	json       bool
	noColor    bool
}

// cli is one call of the program.
type cli struct {
	streams
	flags   globals
	env     environment
	program program

	cfg  *config.Config // loaded on first use
	conn *connector     // made on first use
	log  *os.File       // of the server in this process, if one was started
}

// run is the program without the process around it: tests call it as main does. It returns the exit code.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{streams: newStreams(stdin, stdout, stderr), env: env, program: theProgram()}
	return c.execute(ctx, args)
}

// execute runs one command line to its exit code.
func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.rootCommand()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	err := root.ExecuteContext(ctx)
	if closeErr := c.close(); err == nil {
		err = closeErr
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		c.note("interrupted")
		err = exitError(exitInterrupted)
	}
	exit := report(c.err, c.errStyle(), err)
	if c.log != nil && core.CodeOf(err) == core.CodeInternal {
		if _, ours := errors.AsType[*core.Error](err); ours {
			c.note("The log is %s", c.log.Name())
		}
	}
	return exit
}

// rootCommand builds the whole tree of commands.
func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sutazai",
		Short: "Run AI agents that finish their work, on hardware you own",
		Long: long(`SutazAI runs AI agents that finish their work: across crashes, model outages and restarts.

A command that needs a server talks to the one named by --server, else to the one that runs on the data folder
(through its socket), else it starts one in this process for as long as it needs.`,
			exitOK, exitFailed, exitUsage, exitNotFound, exitNotAllowed, exitUnreachable, exitLimit, exitWaiting, exitInterrupted),
		Example: `  sutazai serve
  sutazai run assistant "Summarise README.md in one sentence" --file README.md
  sutazai runs list`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:                       cobra.ArbitraryArgs,
		RunE:                       group,
	}
	f := root.PersistentFlags()
	f.StringVar(&c.flags.configFile, "config", "", "settings `file` (default: SUTAZAI_CONFIG, else sutazai.yaml here or in your configuration folder)")
	f.StringArrayVar(&c.flags.set, "set", nil, "one setting, as `key=value`; may be repeated")
	f.StringVar(&c.flags.server, "server", "", "`URL` of a server to talk to (SUTAZAI_SERVER)")
	f.StringVar(&c.flags.apiKey, "api-key", "", "API `key` for --server (better: SUTAZAI_API_KEY, which other users cannot see)")
	f.BoolVar(&c.flags.json, "json", false, "print JSON instead of text")
	f.BoolVar(&c.flags.noColor, "no-color", false, "print without colour (also NO_COLOR)")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		c.serveCommand(), c.runCommand(), c.runsCommand(), c.agentsCommand(), c.evalsCommand(), c.modelsCommand(), c.servicesCommand(),
		c.keysCommand(), c.credentialsCommand(), c.budgetsCommand(), c.mcpCommand(), c.acpCommand(), c.configCommand(), c.versionCommand(), c.completionCommand(),
	)
	root.SetHelpCommand(helpCommand())
	return root
}

// config loads the settings once.
func (c *cli) config() (*config.Config, error) {
	if c.cfg != nil {
		return c.cfg, nil
	}
	cfg, err := config.Load(c.configOptions())
	if err != nil {
		return nil, err
	}
	c.cfg = cfg
	return cfg, nil
}

func (c *cli) configOptions() config.Options {
	return config.Options{File: c.flags.configFile, Set: c.flags.set, Env: c.env}
}

// client returns the client of /api/v1. Nothing is connected or started before its first call.
func (c *cli) client() *client {
	if c.conn == nil {
		c.conn = &connector{
			serverURL: cmp.Or(c.flags.server, c.env.get("SUTAZAI_SERVER")),
			apiKey:    cmp.Or(c.flags.apiKey, c.env.get("SUTAZAI_API_KEY")),
			socket:    c.socketPath,
			start:     c.startHere,
			patience:  comeBack,
			warn:      func(text string) { fmt.Fprintf(c.err, "%s %s\n", c.errStyle().yellow("warning:"), text) },
		}
	}
	return &client{conn: c.conn}
}

// workingClient is client for commands that stay until a run's work is done: a server in this process executes runs.
func (c *cli) workingClient() *client {
	cl := c.client()
	cl.conn.work = true
	return cl
}

func (c *cli) socketPath() (string, error) {
	cfg, err := c.config()
	if err != nil {
		return "", err
	}
	return filepath.Join(cfg.Server.DataDir, socketName), nil
}

// startHere starts a server in this process that listens on the socket alone. It outlives ctx: an interrupted
// command closes it in order.
func (c *cli) startHere(ctx context.Context, work bool) (server, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	out, err := openLog(cfg)
	if err != nil {
		return nil, err
	}
	c.log = out
	var level slog.LevelVar
	level.Set(max(slog.LevelWarn, logLevel(cfg)))
	return c.program.start(context.WithoutCancel(ctx), startOptions{
		config: cfg, log: slog.New(newLogHandler(out, true, &level)), level: &level, socketOnly: true, idle: !work,
	})
}

// maxCommandLog is how long the log of short-lived servers may become, in bytes, before it starts again.
const maxCommandLog = 4 << 20

// openLog opens the log of the servers that commands start for themselves: a terminal is for the command's own words.
func openLog(cfg *config.Config) (*os.File, error) {
	dir := filepath.Join(cfg.Server.DataDir, "logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot make the folder %s; set server.data_dir to a folder that can be written", dir)
	}
	path := filepath.Join(dir, "command.log")
	mode := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxCommandLog {
		mode |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o600)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot write to the data folder: %s: %v", path, rootCause(err))
	}
	return f, nil
}

// close ends what the command line started.
func (c *cli) close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.close()
	if c.log != nil {
		err = errors.Join(err, c.log.Close())
	}
	return err
}

func (c *cli) outStyle() style { return style{wantColour(c.env, c.flags.noColor, c.outTerminal)} }
func (c *cli) errStyle() style { return style{wantColour(c.env, c.flags.noColor, c.errTerminal)} }

// printTable prints a table to standard output, fitted to the terminal where there is one.
func (c *cli) printTable(t *table) {
	limit := 0
	if c.outTerminal {
		limit = width(c.out)
	}
	t.print(c.out, c.outStyle(), limit)
}

// note prints a line about the work to standard error.
func (c *cli) note(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }

// invalid is an error of the kind "your input is wrong".
func invalid(format string, args ...any) error { return core.Errorf(core.CodeInvalid, format, args...) }
