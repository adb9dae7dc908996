package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script for a shell",
		Long: long(`completion prints a script that lets a shell complete commands, flags and the names of agents.
SHELL is bash, zsh, fish or powershell.`, exitOK, exitUsage),
		Example: `  source <(sutazai completion bash)
  sutazai completion zsh > "${fpath[1]}/_sutazai"
  sutazai completion fish > ~/.config/fish/completions/sutazai.fish`,
		Args:      arguments(1, 1, "SHELL"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.out, true)
			case "zsh":
				return root.GenZshCompletion(c.out)
			case "fish":
				return root.GenFishCompletion(c.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.out)
			}
			return usagef(cmd.CommandPath(), "unknown shell %q; the shells are %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// completeAgents offers the agents of a running server. A press of the tab key starts no server and prints no error.
func (c *cli) completeAgents(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	cl := c.client()
	cl.conn.start = nil
	agents, err := list[core.AgentStatus](ctx, cl, "/agents", nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, a := range agents {
		names = append(names, cobra.CompletionWithDesc(a.Agent.Name, oneLine(a.Agent.Description)))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
