package main

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/app"
)

// acpLatest is how many of an agent's runs are looked through for a session that an editor wants to take up again.
const acpLatest = 200

func (c *cli) acpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "acp AGENT",
		Short: "Use an agent from an editor, by the Agent Client Protocol",
		Long: long(`acp speaks the Agent Client Protocol on standard input and output, so that an editor such as Zed can start it and use
the agent. A session is a run: it is streamed, its approvals are asked for in the editor, and it can be taken up again
later, also by the id of a run. Runs go on when the editor ends, where a server runs.

It ends when its input ends. Standard error has messages for people; standard output has the protocol alone.`, clientExits()...),
		Example: `  sutazai acp coder
  sutazai acp coder --server https://sutazai.example`,
		Args:              arguments(1, 1, "AGENT"),
		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			runs := acpRuns{c.workingClient()}
			return app.ServeACP(cmd.Context(), c.in, c.out, app.ACPOptions{
				Agent: args[0], Version: buildVersion().Version, Runs: runs, Logger: slog.New(newLogHandler(c.err, true, slog.LevelWarn)),
				Ready: func(ctx context.Context) error {
					_, err := runs.agent(ctx, args[0])
					return err
				},
			})
		},
	}
}

// acpRuns is the server's runs as the protocol's sessions need them.
type acpRuns struct{ *client }

func (r acpRuns) Start(ctx context.Context, agent, input string, metadata map[string]string, key string) (core.Run, error) {
	return r.startRun(ctx, newRun{Agent: agent, Input: input, Metadata: metadata}, key)
}

func (r acpRuns) Run(ctx context.Context, id string) (core.Run, error) { return r.run(ctx, id) }

func (r acpRuns) Latest(ctx context.Context, agent string) ([]core.Run, error) {
	p, err := r.runs(ctx, core.RunFilter{Agent: agent, Limit: acpLatest})
	return p.Items, err
}

func (r acpRuns) Messages(ctx context.Context, run string) ([]core.Message, error) {
	return list[core.Message](ctx, r.client, "/runs/"+url.PathEscape(run)+"/messages", nil)
}

func (r acpRuns) Steps(ctx context.Context, run string) ([]core.Step, error) {
	return r.steps(ctx, run)
}

func (r acpRuns) Message(ctx context.Context, run, text string) (core.Run, error) {
	var out core.Run
	err := r.do(ctx, call{method: http.MethodPost, path: "/runs/" + url.PathEscape(run) + "/messages", body: map[string]string{"text": text}}, &out)
	return out, err
}

func (r acpRuns) Cancel(ctx context.Context, run string) error {
	_, err := r.act(ctx, run, "cancel")
	return err
}

func (r acpRuns) Decide(ctx context.Context, approval string, v core.Verdict) error {
	_, err := r.decide(ctx, approval, verdict{Decision: v.Decision, Comment: v.Comment})
	return err
}

func (r acpRuns) Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error] {
	return r.stream(ctx, run, after, func(error) {})
}
