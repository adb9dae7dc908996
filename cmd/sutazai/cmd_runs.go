package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// cancelPatience is how long cancel waits until the run has stopped.
const cancelPatience = 10 * time.Second

func (c *cli) runsCommand() *cobra.Command {
	return groupCommand("runs", "List, inspect and steer runs", "  sutazai runs list --status waiting\n  sutazai runs show 019ab3c1-7c2e",
		c.runsListCommand(), c.runsShowCommand(), c.runsWatchCommand(), c.runsCancelCommand(), c.runsResumeCommand(),
		c.runsApproveCommand(), c.runsDenyCommand())
}

func (c *cli) runsWatchCommand() *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Follow a run from its beginning to its end",
		Long: long(`watch shows a run's work from its beginning and follows it until it ends, as run does.
RUN is a run's id or the beginning of one.`, clientExits(exitLimit, exitWaiting)...),
		Example: `  sutazai runs watch 019ab3c1-7c2e
  sutazai runs watch "$id" --wait > answer.txt`,
		Args: arguments(1, 1, "RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkWaitFlags(cmd, o); err != nil {
				return err
			}
			cl := c.workingClient()
			run, err := cl.findRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.watch(cmd.Context(), cl, run, o)
		},
	}
	addWaitFlags(cmd, &o)
	return cmd
}

func (c *cli) runsCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cancel RUN",
		Short:   "Stop a run, the step in flight included",
		Long:    long("cancel stops a run, the step in flight included. What it has done so far stays on record.", clientExits()...),
		Example: "  sutazai runs cancel 019ab3c1-7c2e",
		Args:    arguments(1, 1, "RUN"),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.actOnRun(cmd, args[0], "cancel") },
	}
}

func (c *cli) runsResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume RUN",
		Short: "Let a failed, cancelled or parked run go on where it stopped",
		Long: long(`resume lets a failed or cancelled run, or one that waits for an unreachable model, go on where it stopped.
Steps that are finished are not executed again.`, clientExits()...),
		Example: "  sutazai runs resume 019ab3c1-7c2e",
		Args:    arguments(1, 1, "RUN"),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.actOnRun(cmd, args[0], "resume") },
	}
}

// actOnRun cancels or resumes a run and says where it stands then.
func (c *cli) actOnRun(cmd *cobra.Command, typed, action string) error {
	cl := c.client()
	cl.conn.work = action == "cancel" // who executes a run is who can stop it
	run, err := cl.findRun(cmd.Context(), typed)
	if err != nil {
		return err
	}
	if run, err = cl.act(cmd.Context(), run.ID, action); err != nil {
		return err
	}
	if action == "cancel" && !run.Status.Final() {
		if run, err = cl.settled(cmd.Context(), run); err != nil {
			return err
		}
	}
	if c.flags.json {
		return printJSON(c.out, run)
	}
	if action == "cancel" && !run.Status.Final() {
		c.note("run %s was told to stop; it stops as soon as its step in flight allows", run.ID)
	} else {
		c.note("run %s is %s", run.ID, run.Status)
	}
	if action == "resume" && cl.conn.hosts() {
		c.noteNoServer(run)
	}
	return nil
}

// settled waits a while for a run that was told to stop: the step in flight ends first.
func (c *client) settled(ctx context.Context, run core.Run) (core.Run, error) {
	waiting, cancel := context.WithTimeout(ctx, cancelPatience)
	defer cancel()
	for range c.stream(waiting, run.ID, 0, func(error) {}) { //nolint:errcheck // whatever happens, the run is asked for below
	}
	if ctx.Err() != nil {
		return run, ctx.Err()
	}
	return c.run(ctx, run.ID)
}

// noteNoServer says how a run gets to work when only this short command served it.
func (c *cli) noteNoServer(run core.Run) {
	c.note("no server is running: it goes on while `sutazai serve` or `sutazai runs watch %s` runs", shortID(run.ID))
}
