package main

import (
	"context"

	"github.com/spf13/cobra"
)

const mcpText = `speaks the Model Context Protocol on standard input and output, so that a program such as Claude Code, Cursor or VS
Code can start it as one of its MCP servers. It passes every message on to the server's /mcp: the running server of the
data folder, the one named by --server, or one that it starts for as long as it runs. Agents and runs are its tools.

In Claude Code, claude mcp add sutazai -- sutazai mcp adds it. It ends when its input ends. Standard error has messages
for people; standard output has the protocol alone.`

// mcpCommand is the server over standard input and output; its children are about servers whose tools agents use.
func (c *cli) mcpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "mcp",
		Short:   "Serve agents to MCP clients over standard input and output",
		Long:    long("mcp "+mcpText+"\n\nIt is the same as mcp serve.", clientExits()...),
		Example: "  sutazai mcp\n  sutazai mcp --server https://sutazai.example",
		Args:    cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(cmd, args)
			}
			return c.serveMCP(cmd.Context())
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "serve",
		Short:   "Serve agents to MCP clients over standard input and output",
		Long:    long("serve "+mcpText, clientExits()...),
		Example: "  sutazai mcp serve",
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.serveMCP(cmd.Context()) },
	})
	cmd.AddCommand(c.mcpServerCommands()...)
	return cmd
}

func (c *cli) serveMCP(ctx context.Context) error {
	b := newMCPBridge(c.workingClient().conn, c.out)
	return b.run(ctx, c.in)
}
