package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// runDetails is what `runs show --json` prints.
type runDetails struct {
	core.Run
	StepList  []core.Step     `json:"step_list"`
	Approvals []core.Approval `json:"approvals"`
}

func (c *cli) runsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run with its steps",
		Long: long(`show prints a run, its steps and its answer. RUN is a run's id or the beginning of one.
With --json it prints the run with its steps (step_list) and pending approvals.`, clientExits()...),
		Example: "  sutazai runs show 019ab3c1-7c2e",
		Args:    arguments(1, 1, "RUN"),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.showRun(cmd.Context(), args[0]) },
	}
}

func (c *cli) showRun(ctx context.Context, typed string) error {
	cl := c.client()
	run, err := cl.findRun(ctx, typed)
	if err != nil {
		return err
	}
	d := runDetails{Run: run, Approvals: []core.Approval{}}
	if d.StepList, err = cl.steps(ctx, run.ID); err != nil {
		return err
	}
	if run.Status == core.RunWaiting {
		if d.Approvals, err = cl.approvals(ctx, core.ApprovalPending, run.ID); err != nil {
			return err
		}
	}
	if c.flags.json {
		return printJSON(c.out, d)
	}
	c.printRun(run)
	c.printSteps(d.StepList)
	if run.Output != "" {
		fmt.Fprintf(c.out, "\n%s\n", c.safe(run.Output))
	}
	w := watcher{cli: c, root: run.ID, screen: &screen{out: c.out, err: c.out, st: c.outStyle()}}
	for _, a := range d.Approvals {
		fmt.Fprintln(c.out)
		w.tellApproval(a)
		w.tellCommands(a, len(d.Approvals) == 1)
	}
	return nil
}

// safe is text for standard output: cleaned where a terminal would obey it, as it is elsewhere.
func (c *cli) safe(text string) string {
	if c.outTerminal {
		return clean(text)
	}
	return text
}

// printRun prints a run's own fields, one a line.
func (c *cli) printRun(run core.Run) {
	st := c.outStyle()
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(c.out, "%s  %s\n", st.dim(fmt.Sprintf("%-9s", name)), oneLine(value))
		}
	}
	field("run", run.ID)
	field("agent", run.Agent+" (version "+run.AgentVersion+")")
	status := string(run.Status)
	if run.Status == core.RunWaiting {
		status += " for " + string(run.WaitReason)
		if run.WaitDetail != "" {
			status += ": " + run.WaitDetail
		}
		if run.WakeAt != nil {
			status += ", next try " + momentOf(run.WakeAt)
		}
	}
	field("status", status)
	if run.Error != nil {
		field("error", run.Error.Message+" ("+string(run.Error.Code)+")")
	}
	field("task", shorten(oneLine(run.Input), 500))
	field("created", moment(run.CreatedAt))
	if run.CreatedBy != "" {
		field("by", run.CreatedBy)
	}
	field("took", span(run.StartedAt, run.FinishedAt, time.Now()))
	field("used", fmt.Sprintf("%s, %d tokens in, %d out, %s", count(int64(run.Steps), "step"), run.Usage.InputTokens, run.Usage.OutputTokens, dollars(run.Usage)))
	field("parent", run.Parent)
	field("forked", run.ForkedFrom)
	if run.Recoveries > 0 {
		field("resumed", count(int64(run.Recoveries), "time")+" after a crash")
	}
}

// printSteps prints the table of steps.
func (c *cli) printSteps(steps []core.Step) {
	if len(steps) == 0 {
		return
	}
	fmt.Fprintln(c.out)
	t := newTable("#", "KIND", "NAME", "STATUS", "TRIES", "TOKENS", "COST", "TIME", "NOTE").alignRight(0, 4, 5, 6, 7)
	for _, s := range steps {
		note := s.Error
		if s.ChildRun != "" {
			note = "run " + s.ChildRun + " " + note
		}
		tokens, cost := "", ""
		if s.Usage.Tokens() > 0 {
			tokens, cost = number(s.Usage.Tokens()), dollars(s.Usage)
		}
		t.add(number(int64(s.Index)), string(s.Kind), shorten(oneLine(s.Name), 40), string(s.Status), number(int64(len(s.Attempts))),
			tokens, cost, span(s.StartedAt, s.FinishedAt, time.Now()), note)
	}
	c.printTable(t)
}
