package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// evalPoll is how often an evaluation that is followed is asked for.
const evalPoll = 300 * time.Millisecond

func (c *cli) evalsCommand() *cobra.Command {
	return groupCommand("evals", "Test agents with evaluation sets", "  sutazai evals run assistant\n  sutazai evals list",
		c.evalsRunCommand(), c.evalsListCommand(), c.evalsShowCommand(), c.evalsCancelCommand(), c.evalsAddCommand(), c.evalsValidateCommand())
}

func (c *client) startEvaluation(ctx context.Context, agent string, repeats int) (core.Evaluation, error) {
	var out core.Evaluation
	err := c.do(ctx, call{method: http.MethodPost, path: "/evaluations", body: map[string]any{"agent": agent, "repeats": repeats}}, &out)
	return out, err
}

func (c *client) evaluation(ctx context.Context, id string) (core.Evaluation, error) {
	var out core.Evaluation
	err := c.do(ctx, call{method: http.MethodGet, path: "/evaluations/" + url.PathEscape(id)}, &out)
	return out, err
}

func (c *client) cancelEvaluation(ctx context.Context, id string) (core.Evaluation, error) {
	var out core.Evaluation
	err := c.do(ctx, call{method: http.MethodPost, path: "/evaluations/" + url.PathEscape(id) + "/cancel"}, &out)
	return out, err
}

func (c *client) addCase(ctx context.Context, agent, run, name string) (core.EvaluationSetStatus, error) {
	var out core.EvaluationSetStatus
	err := c.do(ctx, call{method: http.MethodPost, path: "/evaluations/sets/" + url.PathEscape(agent) + "/cases", body: map[string]string{"run": run, "name": name}}, &out)
	return out, err
}

// findEvaluation turns a whole id, or the beginning of one, into an evaluation.
func (c *client) findEvaluation(ctx context.Context, typed string) (core.Evaluation, error) {
	const whole = "ffffffff-ffff-ffff-ffff-ffffffffffff"
	if typed == "" || len(typed) >= len(whole) || strings.Trim(strings.ToLower(typed), "0123456789abcdef-") != "" {
		return c.evaluation(ctx, typed)
	}
	prefix := strings.ToLower(typed)
	var p page[core.Evaluation]
	query := url.Values{"before": {prefix + whole[len(prefix):]}, "limit": {"2"}} // ids grow with time, as those of runs do
	if err := c.do(ctx, call{method: http.MethodGet, path: "/evaluations", query: query}, &p); err != nil {
		return core.Evaluation{}, err
	}
	p.Items = slices.DeleteFunc(p.Items, func(e core.Evaluation) bool { return !strings.HasPrefix(e.ID, prefix) })
	switch len(p.Items) {
	case 0:
		return core.Evaluation{}, core.Errorf(core.CodeNotFound, "no evaluation has an id that begins with %q; list them with `sutazai evals list`", typed)
	case 1:
		return p.Items[0], nil
	}
	return core.Evaluation{}, core.Errorf(core.CodeInvalid, "more than one evaluation's id begins with %q (%s, %s, …); type more of it", typed, p.Items[0].ID, p.Items[1].ID)
}

func (c *cli) evalsRunCommand() *cobra.Command {
	repeats := 0
	cmd := &cobra.Command{
		Use:   "run AGENT",
		Short: "Evaluate an agent and wait for the result",
		Long: long(`run tries each case of an agent's evaluation set as a run of its own and checks what became of it. AGENT is the agent as
new runs use it, or a version of it, such as AGENT@draft for its file or AGENT@2.

The evaluation goes on when this command is interrupted and a server runs, and after a crash. It ends with 0 when the
share of tries that the set asks for has passed, with 1 when it has not.`, clientExits()...),
		Example: `  sutazai evals run assistant
  sutazai evals run invoice-clerk@draft --repeats 5`,
		Args:              arguments(1, 1, "AGENT"),
		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if repeats < 0 {
				return usagef(cmd.CommandPath(), "--repeats is %d; it must be 1 or more", repeats)
			}
			cl := c.workingClient()
			e, err := cl.startEvaluation(cmd.Context(), args[0], repeats)
			if err != nil {
				return err
			}
			return c.followEvaluation(cmd.Context(), cl, e)
		},
	}
	cmd.Flags().IntVar(&repeats, "repeats", 0, "try each case so many times (`n`); 0 = as the set says")
	return cmd
}

// followEvaluation tells of each try as it ends, then prints the result.
func (c *cli) followEvaluation(ctx context.Context, cl *client, e core.Evaluation) (err error) {
	c.note("evaluation %s of %s (version %s): %s, %s each", e.ID, e.Agent, e.Version, count(int64(len(e.Cases)), "case"), tries(e.Repeats))
	told := map[string]bool{}
	tick := time.NewTicker(evalPoll)
	defer tick.Stop()
	for e.Status == core.EvaluationRunning {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if e, err = cl.evaluation(ctx, e.ID); err != nil {
			return err
		}
		c.tellTries(e, told)
	}
	return c.printEvaluation(e)
}

// tellTries tells of the tries that were not told of yet.
func (c *cli) tellTries(e core.Evaluation, told map[string]bool) {
	st := c.errStyle()
	all := len(e.Cases) * e.Repeats
	for _, r := range e.Cases {
		for _, t := range r.Tries {
			key := r.Name + "\n" + strconv.Itoa(t.Try)
			if told[key] {
				continue
			}
			told[key] = true
			mark := st.green("✓")
			if !t.Passed {
				mark = st.red("✗")
			}
			c.note("%s %d/%d  %s  %.1f s", mark, len(told), all, oneLine(r.Name), t.Seconds)
		}
	}
}

// tries is a number of tries in words.
func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

// printEvaluation prints a result; the error is the exit code where it has not passed.
func (c *cli) printEvaluation(e core.Evaluation) error {
	if c.flags.json {
		if err := printJSON(c.out, e); err != nil {
			return err
		}
	} else {
		c.printCases(e)
	}
	if e.Status == core.EvaluationFailed || e.Status == core.EvaluationCancelled {
		return exitError(exitFailed)
	}
	return nil
}

func (c *cli) printCases(e core.Evaluation) {
	t := newTable("PASSED", "SECONDS", "COST", "CASE").alignRight(0, 1, 2)
	for _, r := range e.Cases {
		passed, took, cost := 0, 0.0, 0.0
		for _, try := range r.Tries {
			if try.Passed {
				passed++
			}
			took, cost = took+try.Seconds, cost+try.CostUSD
		}
		mean := ""
		if len(r.Tries) > 0 {
			mean = fmt.Sprintf("%.1f", took/float64(len(r.Tries)))
		}
		t.add(fmt.Sprintf("%d/%d", passed, len(r.Tries)), mean, fmt.Sprintf("$%.4f", cost), r.Name)
	}
	c.printTable(t)
	for _, r := range e.Cases {
		for _, try := range r.Tries {
			for _, f := range try.Failures {
				run := "no run"
				if try.Run != "" {
					run = "run " + try.Run
				}
				fmt.Fprintf(c.out, "\n%s, try %d (%s)\n  %s\n", oneLine(r.Name), try.Try, run, oneLine(f))
			}
		}
	}
	fmt.Fprintf(c.out, "\n%s\n", evaluationLine(e, c.outStyle()))
}

// evaluationLine sums an evaluation up.
func evaluationLine(e core.Evaluation, st style) string {
	head := map[core.EvaluationStatus]string{
		core.EvaluationPassed: st.green("✓ passed"), core.EvaluationFailed: st.red("✗ failed"), core.EvaluationCancelled: st.yellow("■ cancelled"), core.EvaluationRunning: st.blue("● running"),
	}[e.Status]
	line := fmt.Sprintf("%s: %d of %s passed", head, e.Passed, tries(e.Tried))
	if e.Tried > 0 {
		line += fmt.Sprintf(" (%s); 95 %% interval %s to %s; %s needed", percent(float64(e.Passed)/float64(e.Tried)), percent(e.Low), percent(e.High), percent(e.Pass))
	}
	if e.Error != "" {
		line += "; " + oneLine(e.Error)
	}
	return line
}

// percent is a share for people.
func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func (c *cli) evalsListCommand() *cobra.Command {
	var agent, before string
	limit := 20
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List evaluations, newest first",
		Long:  long("list prints evaluations, newest first, one page at a time.", clientExits()...),
		Example: `  sutazai evals list
  sutazai evals list --agent assistant --limit 5`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 200 {
				return usagef(cmd.CommandPath(), "--limit is %d; it must be 1 to 200", limit)
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if agent != "" {
				query.Set("agent", agent)
			}
			if before != "" {
				query.Set("before", before)
			}
			var p page[core.Evaluation]
			if err := c.client().do(cmd.Context(), call{method: http.MethodGet, path: "/evaluations", query: query}, &p); err != nil {
				return err
			}
			return c.printEvaluations(p)
		},
	}
	cmd.Flags().StringVar(&agent, "agent", "", "only evaluations of this agent (`name`)")
	cmd.Flags().StringVar(&before, "before", "", "only evaluations older than this `id`: the next page")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many at most (`n`)")
	return cmd
}

func (c *cli) printEvaluations(p page[core.Evaluation]) error {
	if c.flags.json {
		return printJSON(c.out, p)
	}
	if len(p.Items) == 0 {
		c.note("no evaluations; make one with `sutazai evals run AGENT`")
		return nil
	}
	t := newTable("EVALUATION", "AGENT", "VERSION", "STATUS", "PASSED", "INTERVAL", "COST", "BEGAN").alignRight(4, 6)
	for _, e := range p.Items {
		t.add(e.ID, e.Agent, e.Version, string(e.Status), fmt.Sprintf("%d/%d", e.Passed, e.Tried), percent(e.Low)+" to "+percent(e.High), fmt.Sprintf("$%.4f", e.CostUSD), moment(e.CreatedAt))
	}
	c.printTable(t)
	if p.Next != "" {
		c.note("more: sutazai evals list --before %s", p.Next)
	}
	return nil
}

func (c *cli) evalsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show an evaluation: how often each case passed, and why it did not",
		Long:    long("show prints an evaluation as it stands. ID is its id or the beginning of one. It ends with 1 where the evaluation did not pass.", clientExits()...),
		Example: "  sutazai evals show 0199f0a1",
		Args:    arguments(1, 1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := c.client().findEvaluation(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.printEvaluation(e)
		},
	}
}

func (c *cli) evalsCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cancel ID",
		Short:   "Cancel an evaluation and its runs",
		Long:    long("cancel ends an evaluation and those of its runs that are under way. What it has found is kept.", clientExits()...),
		Example: "  sutazai evals cancel 0199f0a1",
		Args:    arguments(1, 1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl := c.client()
			e, err := cl.findEvaluation(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if e, err = cl.cancelEvaluation(cmd.Context(), e.ID); err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, e)
			}
			c.note("cancelled evaluation %s of %s", e.ID, e.Agent)
			return nil
		},
	}
}

func (c *cli) evalsAddCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "add RUN",
		Short: "Make a case of a past run",
		Long: long(`add appends a case to the evaluation set of a run's agent, in the agents folder of the server: the run's task and
files, a check for each tool that it called, and one that lets a model compare answers with this one. RUN is a run's id or
the beginning of one; it must have succeeded.`, clientExits()...),
		Example: `  sutazai evals add 0199f0a1 --name "adds the invoices up"`,
		Args:    arguments(1, 1, "RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cl := c.client()
			run, err := cl.findRun(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			st, err := cl.addCase(cmd.Context(), run.Agent, run.ID, name)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, st)
			}
			if len(st.Set.Cases) == 0 {
				return errors.New("the server did not say which case it has added")
			}
			c.note("added the case %q to the set of %s in %s", oneLine(st.Set.Cases[len(st.Set.Cases)-1].Name), st.Set.Agent, st.Source)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the case's name, as one line of `text`; without it, the beginning of the task")
	return cmd
}

func (c *cli) evalsValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE|FOLDER…]",
		Short: "Check evaluation sets",
		Long: long(`validate checks evaluation sets as the server would read them and prints every problem as file:line: message.
Without an argument it checks those of the agents folder and those that come with the program. It needs no server.`, exitOK, exitFailed, exitUsage),
		Example: `  sutazai evals validate
  sutazai evals validate agents/invoice-clerk.eval.yaml`,
		Args: arguments(0, -1, "[FILE|FOLDER…]"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			problems, files, err := c.program.checkEvaluations(cfg, args)
			if err != nil {
				return err
			}
			return c.printProblems(problems, files, "evaluation set")
		},
	}
}
