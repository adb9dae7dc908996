package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// runStatuses are the values of --status.
func runStatuses() []string {
	return []string{string(core.RunQueued), string(core.RunRunning), string(core.RunWaiting),
		string(core.RunSucceeded), string(core.RunFailed), string(core.RunCancelled)}
}

func (c *cli) runsListCommand() *cobra.Command {
	var f core.RunFilter
	var status, before string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, newest first",
		Long: long(`list prints runs, newest first, one page at a time. When there are more, the command for the next page is
printed to standard error.`, clientExits()...),
		Example: `  sutazai runs list
  sutazai runs list --agent assistant --status failed --limit 100 --json`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Status = core.RunStatus(status)
			if status != "" && !slices.Contains(runStatuses(), status) {
				return usagef(cmd.CommandPath(), "unknown status %q; the statuses are %s", status, strings.Join(runStatuses(), ", "))
			}
			if f.Limit < 1 || f.Limit > 200 {
				return usagef(cmd.CommandPath(), "--limit is %d; it must be 1 to 200", f.Limit)
			}
			f.Before = before
			return c.listRuns(cmd, f)
		},
	}
	cmd.Flags().StringVar(&f.Agent, "agent", "", "only runs of this agent (`name`)")
	cmd.Flags().StringVar(&status, "status", "", "only runs with this `status`: "+strings.Join(runStatuses(), ", "))
	cmd.Flags().StringVar(&f.Parent, "parent", "", "only runs that this `run` delegated")
	cmd.Flags().StringVar(&before, "before", "", "only runs older than this `run`: the next page")
	cmd.Flags().IntVar(&f.Limit, "limit", 20, "how many at most (`n`)")
	return cmd
}

func (c *cli) listRuns(cmd *cobra.Command, f core.RunFilter) error {
	p, err := c.client().runs(cmd.Context(), f)
	if err != nil {
		return err
	}
	if c.flags.json {
		if p.Items == nil {
			p.Items = []core.Run{}
		}
		return printJSON(c.out, p)
	}
	if len(p.Items) == 0 {
		c.note("no runs%s", map[bool]string{true: " match"}[f.Agent != "" || f.Status != "" || f.Parent != "" || f.Before != ""])
		return nil
	}
	t := newTable("RUN", "AGENT", "STATUS", "STEPS", "TOKENS", "COST", "CREATED", "TASK").alignRight(3, 4, 5)
	for _, r := range p.Items {
		status := string(r.Status)
		if r.WaitReason != "" && r.Status == core.RunWaiting {
			status += " (" + string(r.WaitReason) + ")"
		}
		t.add(r.ID, r.Agent, status, number(int64(r.Steps)), number(r.Usage.Tokens()), dollars(r.Usage), moment(r.CreatedAt),
			shorten(oneLine(r.Input), 200))
	}
	c.printTable(t)
	if p.Next != "" {
		c.note("more: %s", nextPage(f, p.Next))
	}
	return nil
}

// nextPage is the command that lists what comes after the page.
func nextPage(f core.RunFilter, next string) string {
	parts := []string{"sutazai runs list"}
	if f.Agent != "" {
		parts = append(parts, "--agent "+f.Agent)
	}
	if f.Status != "" {
		parts = append(parts, "--status "+string(f.Status))
	}
	if f.Parent != "" {
		parts = append(parts, "--parent "+f.Parent)
	}
	return strings.Join(append(parts, "--limit "+number(int64(f.Limit)), "--before "+next), " ")
}
