package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// agentDiff is the difference between two versions of an agent.
type agentDiff struct {
	From string `json:"from"`
	To   string `json:"to"`
	Diff string `json:"diff"`
}

func (c *client) publishAgent(ctx context.Context, name, note string) (core.AgentVersion, error) {
	var out core.AgentVersion
	err := c.do(ctx, call{method: http.MethodPost, path: "/agents/" + url.PathEscape(name) + "/versions", body: map[string]string{"note": note}}, &out)
	return out, err
}

func (c *client) useAgentVersion(ctx context.Context, name string, number int) (page[core.AgentVersion], error) {
	var out page[core.AgentVersion]
	err := c.do(ctx, call{method: http.MethodPut, path: "/agents/" + url.PathEscape(name) + "/version", body: map[string]int{"number": number}}, &out)
	return out, err
}

func (c *client) diffAgent(ctx context.Context, name, from, to string) (agentDiff, error) {
	var out agentDiff
	err := c.do(ctx, call{method: http.MethodGet, path: "/agents/" + url.PathEscape(name) + "/diff", query: url.Values{"from": {from}, "to": {to}}}, &out)
	return out, err
}

func (c *cli) agentsPublishCommand() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "publish AGENT",
		Short: "Publish an agent's file as a version that does not change",
		Long: long(`publish keeps the agent's file as it is now under the next number. From then on new runs use the published version,
and the file is the draft of the next one: try it as AGENT@draft. Runs under way keep the version that they began with. With
agents.evaluations set to "required", a file is published only once its evaluation set has passed with it.`, clientExits()...),
		Example: `  sutazai agents publish invoice-clerk --note "asks before it pays"
  sutazai run invoice-clerk@draft "File the invoices"`,
		Args:              arguments(1, 1, "AGENT"),
		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := c.client().publishAgent(cmd.Context(), args[0], note)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, v)
			}
			c.note("published version %d of %s (%s)", v.Number, v.Agent, v.Version)
			return nil
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "what has changed, as one line of `text`")
	return cmd
}

func (c *cli) agentsVersionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "versions AGENT",
		Short:             "List the published versions of an agent",
		Long:              long("versions prints the published versions of an agent, newest first. The one in use is marked.", clientExits()...),
		Example:           "  sutazai agents versions invoice-clerk",
		Args:              arguments(1, 1, "AGENT"),
		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := list[core.AgentVersion](cmd.Context(), c.client(), "/agents/"+url.PathEscape(args[0])+"/versions", nil)
			if err != nil {
				return err
			}
			return c.printVersions(args[0], page[core.AgentVersion]{Items: items})
		},
	}
}

func (c *cli) printVersions(agent string, items page[core.AgentVersion]) error {
	if c.flags.json {
		return printJSON(c.out, items)
	}
	if len(items.Items) == 0 {
		c.note("no version of %s has been published; its file is used. Publish it with `sutazai agents publish %s`", agent, agent)
		return nil
	}
	t := newTable("NUMBER", "VERSION", "IN USE", "PUBLISHED", "BY", "NOTE").alignRight(0)
	inUse := false
	for _, v := range items.Items {
		mark := ""
		if v.Current {
			mark, inUse = "yes", true
		}
		t.add(strconv.Itoa(v.Number), v.Version, mark, v.PublishedAt.Local().Format("2006-01-02 15:04"), v.PublishedBy, v.Note)
	}
	c.printTable(t)
	if !inUse {
		c.note("none of them is in use: new runs use the file of %s", agent)
	}
	return nil
}

func (c *cli) agentsUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "use AGENT NUMBER|draft",
		Short: "Choose the version that new runs use, such as to roll back",
		Long: long(`use makes a published version the one that new runs use. With "draft" they use the agent's file again, whatever it
says. Runs under way keep the version that they began with.`, clientExits()...),
		Example: `  sutazai agents use invoice-clerk 2
  sutazai agents use invoice-clerk draft`,
		Args:              arguments(2, 2, "AGENT NUMBER|draft"),
		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			number := 0
			if args[1] != "draft" {
				n, err := strconv.Atoi(args[1])
				if err != nil || n < 1 {
					return usagef(cmd.CommandPath(), "%q is neither the number of a published version nor draft", args[1])
				}
				number = n
			}
			items, err := c.client().useAgentVersion(cmd.Context(), args[0], number)
			if err != nil {
				return err
			}
			return c.printVersions(args[0], items)
		},
	}
}

func (c *cli) agentsDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff AGENT [FROM [TO]]",
		Short: "Compare two versions of an agent",
		Long: long(`diff prints what is different between two versions of an agent: numbers of published versions, the 12 characters
that a run names, or draft for the file. Without FROM it is the version in use, without TO the file.`, clientExits()...),
		Example: `  sutazai agents diff invoice-clerk
  sutazai agents diff invoice-clerk 1 2`,
		Args:              arguments(1, 3, "AGENT [FROM [TO]]"),
		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			args = append(args, "", "")
			d, err := c.client().diffAgent(cmd.Context(), args[0], args[1], args[2])
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, d)
			}
			if d.Diff == "" {
				c.note("%s and %s are the same", d.From, d.To)
				return nil
			}
			fmt.Fprint(c.out, c.safe(d.Diff))
			return nil
		},
	}
}
