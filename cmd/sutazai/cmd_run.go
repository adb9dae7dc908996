package main

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// maxTask bounds a task read from standard input, in bytes.
const maxTask = 4 << 20

// runFlags are the flags of `sutazai run`.
type runFlags struct {
	watchOptions
	detach bool
	files  []string
	limits []string
	meta   []string
}

func (c *cli) runCommand() *cobra.Command {
	var o runFlags
	cmd := &cobra.Command{
		Use:   "run AGENT [TASK]",
		Short: "Give an agent a task and watch it work",
		Long: long(`run gives an agent a task, shows its work and prints its answer.

The answer goes to standard output, everything about the work to standard error. The task is read from standard
input when it is "-", or when it is missing and standard input is a pipe or a file. The run is durable: it goes on
when this command is interrupted and a server runs, and is resumed after a crash.

When the run waits for a person, run asks on a terminal; elsewhere, or with --no-wait, it prints the commands that
decide and ends with 7. When the model cannot be reached it says so and ends with 5; the run is kept and goes on by
itself. --wait keeps waiting in both cases.`,
			clientExits(exitLimit, exitWaiting)...),
		Example: `  sutazai run assistant "Summarise README.md in one sentence" --file README.md
  sutazai run coder --limit steps=20 --limit time=10m < task.md
  id=$(sutazai run researcher "Compare the two offers" --file a.pdf --file b.pdf --detach)`,
		Args:              arguments(1, 2, "AGENT [TASK]"),
		ValidArgsFunction: c.completeAgents,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.runAgent(cmd, args, o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.detach, "detach", "d", false, "print the run's id and leave")
	f.StringArrayVarP(&o.files, "file", "f", nil, "attach a `file`; may be repeated")
	f.StringArrayVar(&o.limits, "limit", nil, "bound the run: `name=value` with steps, tokens, cost_usd, time or depth; may be repeated")
	f.StringArrayVar(&o.meta, "metadata", nil, "remember `key=value` with the run; may be repeated")
	addWaitFlags(cmd, &o.watchOptions)
	return cmd
}

// addWaitFlags adds the flags that say what to do when a run waits.
func addWaitFlags(cmd *cobra.Command, o *watchOptions) {
	cmd.Flags().BoolVar(&o.wait, "wait", false, "keep waiting for a person who decides elsewhere, or for an unreachable model")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "never ask here: end with 7 when a person must decide")
}

// checkWaitFlags refuses both at once.
func checkWaitFlags(cmd *cobra.Command, o watchOptions) error {
	if o.wait && o.noWait {
		return usagef(cmd.CommandPath(), "--wait and --no-wait contradict each other")
	}
	return nil
}

func (c *cli) runAgent(cmd *cobra.Command, args []string, o runFlags) error {
	ctx := cmd.Context()
	if err := checkWaitFlags(cmd, o.watchOptions); err != nil {
		return err
	}
	request := newRun{Agent: args[0]}
	var err error
	if request.Limits, err = parseLimits(cmd, o.limits); err != nil {
		return err
	}
	if request.Metadata, err = parsePairs(cmd, "--metadata", o.meta); err != nil {
		return err
	}
	if request.Files, err = readFiles(o.files); err != nil {
		return err
	}
	if request.Input, err = c.readTask(cmd, args[1:]); err != nil {
		return err
	}
	cl := c.client()
	cl.conn.work = !o.detach
	run, err := cl.startRun(ctx, request, uuid.NewString())
	if err != nil {
		return err
	}
	if !o.detach {
		return c.watch(ctx, cl, run, o.watchOptions)
	}
	return c.detached(cl, run)
}

// detached prints what a script needs to find the run again.
func (c *cli) detached(cl *client, run core.Run) error {
	if cl.conn.hosts() {
		c.note("no server is running: the run is kept, and works while `sutazai serve` or `sutazai runs watch %s` runs", shortID(run.ID))
	}
	if c.flags.json {
		return printJSON(c.out, run)
	}
	_, err := io.WriteString(c.out, run.ID+"\n")
	return err
}

// readTask is the task from the command line, or from standard input where the command line has none.
func (c *cli) readTask(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 1 && args[0] != "-" {
		if strings.TrimSpace(args[0]) == "" {
			return "", usagef(cmd.CommandPath(), "the task is empty")
		}
		return args[0], nil
	}
	if len(args) == 0 && !c.piped() {
		return "", usagef(cmd.CommandPath(), "TASK is missing: write it in quotes, or pipe it in")
	}
	text, err := io.ReadAll(io.LimitReader(c.in, maxTask+1))
	if err != nil {
		return "", invalid("cannot read the task from standard input: %v", err)
	}
	if len(text) > maxTask {
		return "", core.Errorf(core.CodeTooLarge, "the task is larger than 4 MB; attach it with --file")
	}
	if !utf8.Valid(text) {
		return "", invalid("the task on standard input is not UTF-8 text; attach it with --file")
	}
	task := strings.TrimRight(string(text), "\n")
	if strings.TrimSpace(task) == "" {
		return "", usagef(cmd.CommandPath(), "the task is empty")
	}
	return task, nil
}

// piped says whether standard input is something that a person or script put there.
func (c *cli) piped() bool {
	if c.inTerminal {
		return false
	}
	if f, ok := c.in.(*os.File); ok {
		info, err := f.Stat()
		return err == nil && (info.Mode()&os.ModeNamedPipe != 0 || info.Mode().IsRegular())
	}
	return c.in != nil
}

// readFiles reads the attached files. Two of one name would overwrite each other in the workspace.
func readFiles(paths []string) ([]newFile, error) {
	var files []newFile
	seen := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, invalid("cannot read --file %s: %v", path, rootCause(err))
		}
		name := filepath.Base(path)
		if other, twice := seen[name]; twice {
			return nil, invalid("--file %s and --file %s have the same name; the agent would see only one", other, path)
		}
		seen[name] = path
		files = append(files, newFile{Name: name, Content: content})
	}
	return files, nil
}

// parsePairs reads repeated key=value flags.
func parsePairs(cmd *cobra.Command, flag string, pairs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usagef(cmd.CommandPath(), "%s takes key=value, but this is %q", flag, pair)
		}
		out[key] = value
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// parseLimits reads --limit name=value.
func parseLimits(cmd *cobra.Command, pairs []string) (*core.Limits, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	var j core.LimitsJSON
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef(cmd.CommandPath(), "--limit takes name=value, such as steps=20, but this is %q", pair)
		}
		var err error
		switch name {
		case "steps":
			j.Steps, err = strconv.Atoi(value)
		case "tokens":
			j.Tokens, err = strconv.ParseInt(value, 10, 64)
		case "cost_usd":
			j.CostUSD, err = strconv.ParseFloat(value, 64)
		case "depth":
			j.Depth, err = strconv.Atoi(value)
		case "time":
			j.Time = value
		default:
			return nil, usagef(cmd.CommandPath(), "unknown limit %q; the limits are steps, tokens, cost_usd, time and depth", name)
		}
		if err != nil {
			return nil, usagef(cmd.CommandPath(), "--limit %s: %q is not a number", name, value)
		}
	}
	limits, err := j.Limits()
	if err != nil {
		return nil, usagef(cmd.CommandPath(), "--limit: %s", core.MessageOf(err))
	}
	return &limits, nil
}
