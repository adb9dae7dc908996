package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// decideFlags are the flags of approve; those that are given say what the decision is.
type decideFlags struct {
	edit, done, answer, comment string
	retry                       bool
}

func (c *cli) runsApproveCommand() *cobra.Command {
	var o decideFlags
	cmd := &cobra.Command{
		Use:   "approve RUN|APPROVAL",
		Short: "Allow what a run waits for, or answer its question",
		Long: long(`approve decides what a run waits for. Name the approval, or the run where exactly one is pending.

Without a flag it allows the call as it is; --edit allows it with other arguments. A call that a crash interrupted is
made again with --retry, or recorded with --done and its result. A question is answered with --answer.`,
			clientExits()...),
		Example: `  sutazai runs approve 019ab3c1-7c2e
  sutazai runs approve 019ab3c1-7c2e --edit '{"amount": 12}' --comment "half of it"
  sutazai runs approve 019ab3c1-7c2e --answer "the second one"`,
		Args: arguments(1, 1, "RUN|APPROVAL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := o.verdict(cmd)
			if err != nil {
				return err
			}
			return c.decideRun(cmd, args[0], v, o.answer != "")
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.edit, "edit", "", "allow it with these arguments (`json` object)")
	f.StringVar(&o.done, "done", "", "do not make the call; this is its `result`")
	f.BoolVar(&o.retry, "retry", false, "make an interrupted call again")
	f.StringVar(&o.answer, "answer", "", "answer a question with this `text`")
	f.StringVar(&o.comment, "comment", "", "a `text` that is kept with the decision")
	return cmd
}

func (c *cli) runsDenyCommand() *cobra.Command {
	var comment string
	cmd := &cobra.Command{
		Use:     "deny RUN|APPROVAL",
		Short:   "Refuse what a run waits for",
		Long:    long("deny refuses a call. The agent learns that it was refused, and why, and goes on.", clientExits()...),
		Example: `  sutazai runs deny 019ab3c1-7c2e --comment "not this month"`,
		Args:    arguments(1, 1, "RUN|APPROVAL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.decideRun(cmd, args[0], verdict{Decision: core.DecideDeny, Comment: comment}, false)
		},
	}
	cmd.Flags().StringVar(&comment, "comment", "", "the reason, as a `text` for the agent")
	return cmd
}

// verdict turns the flags into the decision.
func (o decideFlags) verdict(cmd *cobra.Command) (verdict, error) {
	v := verdict{Decision: core.DecideApprove, Comment: o.comment}
	var given []string
	for _, name := range []string{"edit", "done", "retry", "answer"} {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) > 1 {
		return v, usagef(cmd.CommandPath(), "%s exclude each other", strings.Join(given, " and "))
	}
	switch {
	case cmd.Flags().Changed("edit"):
		arguments, err := parseArguments(o.edit)
		if err != nil {
			return v, usagef(cmd.CommandPath(), "--edit: %s", core.MessageOf(err))
		}
		v.Decision, v.Arguments = core.DecideEdit, arguments
	case cmd.Flags().Changed("done"):
		v.Decision, v.Result = core.DecideDone, o.done
	case o.retry:
		v.Decision = core.DecideRetry
	case cmd.Flags().Changed("answer"):
		if strings.TrimSpace(o.answer) == "" {
			return v, usagef(cmd.CommandPath(), "--answer is empty")
		}
		v = answerTo(o.answer)
		v.Comment = o.comment
	}
	return v, nil
}

// decideRun finds the pending approval that was meant and decides it.
func (c *cli) decideRun(cmd *cobra.Command, typed string, v verdict, answers bool) error {
	ctx, cl := cmd.Context(), c.client()
	a, err := cl.findApproval(ctx, typed)
	if err != nil {
		return err
	}
	if isQuestion := a.Reason == core.ReasonQuestion; isQuestion && v.Decision == core.DecideApprove {
		return usagef(cmd.CommandPath(), "the agent asks: %s; answer with --answer TEXT", oneLine(questionOf(a)))
	} else if !isQuestion && answers {
		return usagef(cmd.CommandPath(), "--answer is for questions, but this is a call of %s; approve or deny it", oneLine(a.Tool))
	}
	done, err := cl.decide(ctx, a.ID, v)
	if err != nil {
		return err
	}
	if c.flags.json {
		return printJSON(c.out, done)
	}
	c.note("%s; run %s goes on", map[bool]string{true: "answered", false: string(done.Status)}[answers], a.Run)
	if cl.conn.hosts() {
		c.noteNoServer(core.Run{ID: a.Run})
	}
	return nil
}

// findApproval is the pending approval with the id that was typed, or the only one of the run with that id.
func (c *client) findApproval(ctx context.Context, typed string) (core.Approval, error) {
	pending, err := c.approvals(ctx, core.ApprovalPending, "")
	if err != nil {
		return core.Approval{}, err
	}
	var hits []core.Approval
	for _, a := range pending {
		if a.ID == typed {
			return a, nil
		}
		if typed != "" && (strings.HasPrefix(a.Run, strings.ToLower(typed)) || strings.HasPrefix(a.ID, strings.ToLower(typed))) {
			hits = append(hits, a)
		}
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return core.Approval{}, c.nothingPending(ctx, typed)
	}
	var b strings.Builder
	for _, a := range hits {
		arguments := a.Arguments
		if arguments == nil {
			arguments = json.RawMessage("{}")
		}
		b.WriteString("\n  " + a.ID + "  " + oneLine(a.Tool) + " " + shorten(argumentsLine(arguments), 80))
	}
	return core.Approval{}, invalid("%d approvals are pending there; name one of them:%s", len(hits), b.String())
}

// nothingPending says why there is nothing to decide: no such run, or none that waits.
func (c *client) nothingPending(ctx context.Context, typed string) error {
	var a core.Approval
	if err := c.do(ctx, call{method: "GET", path: "/approvals/" + typed}, &a); err == nil && a.ID != "" {
		return core.Errorf(core.CodeConflict, "this approval is %s already", a.Status)
	}
	run, err := c.findRun(ctx, typed)
	if err != nil {
		return err
	}
	return core.Errorf(core.CodeConflict, "run %s is %s and waits for nobody", run.ID, run.Status)
}
