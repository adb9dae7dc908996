package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

func (c *cli) agentsCommand() *cobra.Command {
	return groupCommand("agents", "List, check, make and publish agents", "  sutazai agents list\n  sutazai agents new invoice-clerk",
		c.agentsListCommand(), c.agentsShowCommand(), c.agentsValidateCommand(), c.agentsNewCommand(),
		c.agentsPublishCommand(), c.agentsVersionsCommand(), c.agentsUseCommand(), c.agentsDiffCommand())
}

func (c *cli) agentsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List agents",
		Long: long(`list prints the agents that a server knows, with how many runs of each are active, and whether an agent's file
is broken (the last good version stays in use).`, clientExits()...),
		Example: "  sutazai agents list",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			agents, err := list[core.AgentStatus](cmd.Context(), c.client(), "/agents", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.AgentStatus]{Items: agents})
			}
			t := newTable("AGENT", "VERSION", "MODEL", "ACTIVE", "FILE", "DESCRIPTION").alignRight(3)
			for _, a := range agents {
				file := "ok"
				if len(a.Errors) > 0 {
					file = "broken"
				}
				t.add(a.Agent.Name, a.Agent.Version, a.Agent.Model, number(int64(a.Active)), file, a.Agent.Description)
			}
			c.printTable(t)
			for _, a := range agents {
				for _, e := range a.Errors {
					c.note("%s %s", c.errStyle().yellow("warning:"), oneLine(e))
				}
			}
			return nil
		},
	}
}

func (c *cli) agentsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show AGENT",
		Short:   "Show an agent",
		Long:    long("show prints an agent's definition as the server uses it, and what is wrong with its file, if anything is.", clientExits()...),
		Example: "  sutazai agents show assistant",
		Args:    arguments(1, 1, "AGENT"),

		ValidArgsFunction: c.completeAgents,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.client().agent(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, a)
			}
			c.printAgent(a)
			return nil
		},
	}
}

func (c *cli) printAgent(a core.AgentStatus) {
	st := c.outStyle()
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(c.out, "%s  %s\n", st.dim(fmt.Sprintf("%-11s", name)), oneLine(value))
		}
	}
	field("agent", a.Agent.Name)
	field("description", a.Agent.Description)
	field("version", a.Agent.Version)
	field("model", a.Agent.Model)
	var tools []string
	for _, t := range a.Agent.Tools {
		name := t.Name
		if t.Approval == core.ApprovalAlways || t.Approval == core.ApprovalNever {
			name += " (approval " + string(t.Approval) + ")"
		}
		tools = append(tools, name)
	}
	field("tools", strings.Join(tools, ", "))
	field("delegates", strings.Join(a.Agent.Agents, ", "))
	field("limits", limitsLine(a.Agent.Limits))
	field("active runs", number(int64(a.Active)))
	for _, e := range a.Errors {
		fmt.Fprintf(c.out, "%s  %s\n", st.red(fmt.Sprintf("%-11s", "problem")), oneLine(e))
	}
	if a.Agent.Instructions != "" {
		fmt.Fprintf(c.out, "\n%s\n", c.safe(strings.TrimSpace(a.Agent.Instructions)))
	}
}

// limitsLine is an agent's own limits; those that it leaves to the settings are not listed.
func limitsLine(l core.Limits) string {
	var parts []string
	if l.Steps > 0 {
		parts = append(parts, count(int64(l.Steps), "step"))
	}
	if l.Tokens > 0 {
		parts = append(parts, count(l.Tokens, "token"))
	}
	if l.CostMicroUSD > 0 {
		parts = append(parts, dollars(core.Usage{CostMicroUSD: l.CostMicroUSD}))
	}
	if l.Time > 0 {
		parts = append(parts, duration(l.Time))
	}
	if l.Depth > 0 {
		parts = append(parts, fmt.Sprintf("depth %d", l.Depth))
	}
	return strings.Join(parts, ", ")
}

func (c *cli) agentsValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE|FOLDER…]",
		Short: "Check agent files",
		Long: long(`validate checks agent files as the server would load them and prints every problem as file:line: message.
Without an argument it checks the agents folder of the settings. It needs no server.`, exitOK, exitFailed, exitUsage),
		Example: `  sutazai agents validate
  sutazai agents validate agents/invoice-clerk.md`,
		Args: arguments(0, -1, "[FILE|FOLDER…]"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			problems, files, err := c.program.checkAgents(cfg, args)
			if err != nil {
				return err
			}
			return c.printProblems(problems, files, "agent file")
		},
	}
}

// printProblems prints what is wrong with files that were checked; kind is what one is called.
func (c *cli) printProblems(problems []string, files int, kind string) error {
	if c.flags.json {
		if problems == nil {
			problems = []string{}
		}
		if err := printJSON(c.out, map[string]any{"files": files, "problems": problems}); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			fmt.Fprintln(c.out, oneLine(p))
		}
	}
	if len(problems) > 0 {
		c.note("%s in %s", count(int64(len(problems)), "problem"), count(int64(files), "file"))
		return exitError(exitUsage)
	}
	c.note("%s, no problem", count(int64(files), kind))
	return nil
}
