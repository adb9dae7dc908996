package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// loginPoll is how often a login is asked after while a person is at it.
const loginPoll = time.Second

// mcpServerCommands look after the servers that give agents tools.
func (c *cli) mcpServerCommands() []*cobra.Command {
	return []*cobra.Command{c.mcpListCommand(), c.mcpShowCommand(), c.mcpApproveCommand(), c.mcpLoginCommand(), c.mcpLogoutCommand()}
}

func (c *cli) mcpListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the MCP servers that give agents tools",
		Long:    long("list prints the servers of mcp.servers in the settings: how they do, how many of their tools agents can call, and how many wait for an administrator.", clientExits()...),
		Example: "  sutazai mcp list",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			items, err := list[core.MCPServer](cmd.Context(), c.client(), "/mcp/servers", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.MCPServer]{Items: items})
			}
			if len(items) == 0 {
				c.note("no MCP servers; name one in mcp.servers of the settings")
				return nil
			}
			t := newTable("SERVER", "BY", "STATE", "TOOLS", "PENDING", "LOGIN", "SOFTWARE", "DETAIL").alignRight(3, 4)
			for _, s := range items {
				t.add(s.Name, s.Transport, string(s.State), number(int64(s.Usable)), number(int64(s.Pending)), s.Login, s.Software, s.Detail)
			}
			c.printTable(t)
			return nil
		},
	}
}

func (c *client) mcpServer(ctx context.Context, name string) (core.MCPServerDetails, error) {
	var d core.MCPServerDetails
	err := c.do(ctx, call{method: http.MethodGet, path: "/mcp/servers/" + url.PathEscape(name)}, &d)
	return d, err
}

func (c *cli) mcpShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show an MCP server with its tools, and what changed of them",
		Long:    long("show prints the tools of a server: what a repeated call does, whether agents can call them, what the server says of them, and how that differs from what was approved.", clientExits()...),
		Example: "  sutazai mcp show erp",
		Args:    arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := c.client().mcpServer(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, d)
			}
			c.printMCPServer(d)
			return nil
		},
	}
}

func (c *cli) printMCPServer(d core.MCPServerDetails) {
	st := c.outStyle()
	fmt.Fprintf(c.out, "%s  %s, %s", st.bold(oneLine(d.Name)), d.Transport, d.State)
	for _, part := range []string{d.Software, d.Protocol, d.Detail} {
		if part != "" {
			fmt.Fprintf(c.out, ", %s", oneLine(part))
		}
	}
	fmt.Fprintln(c.out)
	for _, t := range d.Tools {
		c.printMCPTool(t)
	}
	for _, p := range d.Problems {
		fmt.Fprintf(c.out, "%s %s\n", st.yellow("!"), oneLine(p))
	}
	if d.Pending > 0 {
		c.note("%s; when you have read what they say: sutazai mcp approve %s", waiting(d.Pending), d.Name)
	}
}

func waiting(n int) string {
	if n == 1 {
		return "1 tool waits for approval"
	}
	return number(int64(n)) + " tools wait for approval"
}

func (c *cli) printMCPTool(t core.MCPTool) {
	st := c.outStyle()
	state := string(t.State)
	if t.State != core.MCPToolUsable {
		state = st.yellow(state)
	}
	fmt.Fprintf(c.out, "\n%s  %s, %s, %s\n", st.bold(oneLine(t.Name)), state, t.Effect, strings.Join(t.Flow, " "))
	for line := range strings.Lines(t.Description) {
		fmt.Fprintf(c.out, "  %s\n", strings.TrimRight(clean(line), "\n"))
	}
	for _, change := range t.Changes {
		fmt.Fprintf(c.out, "  %s\n", oneLine(change.Field))
		if change.Before != "" {
			fmt.Fprintf(c.out, "    %s\n", st.red("- "+clean(change.Before)))
		}
		if change.After != "" {
			fmt.Fprintf(c.out, "    %s\n", st.green("+ "+clean(change.After)))
		}
	}
}

// newApprovals is the body of POST /mcp/servers/{name}/approve.
type newApprovals struct {
	Tools []core.MCPApproval `json:"tools"`
}

func (c *cli) mcpApproveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "approve NAME [TOOL…]",
		Short: "Approve what an MCP server says of its tools",
		Long: long(`approve shows the tools of a server that are new or have changed, asks, and approves what it has shown: a description that
changes meanwhile is not approved. Without TOOL it takes all that wait. What a server says of a tool goes to models as it
is, so read it as you would read a program before you run it.`, clientExits()...),
		Example: `  sutazai mcp approve erp
  sutazai mcp approve erp pay --yes`,
		Args: arguments(1, -1, "NAME [TOOL…]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := c.client().mcpServer(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			body, err := c.chooseMCPTools(d, args[1:])
			if err != nil || len(body.Tools) == 0 {
				return err
			}
			if !yes {
				if ok, err := c.confirm("approve " + count(int64(len(body.Tools)), "tool") + "?"); err != nil || !ok {
					return err
				}
			}
			var after core.MCPServerDetails
			if err := c.client().do(cmd.Context(), call{method: http.MethodPost, path: "/mcp/servers/" + url.PathEscape(args[0]) + "/approve", body: body}, &after); err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, after)
			}
			c.note("approved %s; agents can call %s of %s now", count(int64(len(body.Tools)), "tool"), count(int64(after.Usable), "tool"), after.Name)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "approve without asking")
	return cmd
}

// chooseMCPTools shows the tools to approve: those that are named, or all that wait.
func (c *cli) chooseMCPTools(d core.MCPServerDetails, names []string) (newApprovals, error) {
	var body newApprovals
	missing := map[string]bool{}
	for _, name := range names {
		missing[d.Name+"."+strings.TrimPrefix(name, d.Name+".")] = true
	}
	for _, t := range d.Tools {
		named := missing[t.Name]
		delete(missing, t.Name)
		if !named && (len(names) > 0 || t.State != core.MCPToolNew && t.State != core.MCPToolChanged) {
			continue
		}
		body.Tools = append(body.Tools, core.MCPApproval{Tool: t.Name, Hash: t.Hash})
		if !c.flags.json {
			c.printMCPTool(t)
		}
	}
	for name := range missing {
		return body, core.Errorf(core.CodeNotFound, "the server %s has no tool %s; `sutazai mcp show %s` lists them", d.Name, name, d.Name)
	}
	if len(body.Tools) == 0 {
		c.note("no tool of %s waits for approval", d.Name)
	}
	return body, nil
}

// confirm asks a person; without one it is an error.
func (c *cli) confirm(question string) (bool, error) {
	if !c.inTerminal {
		return false, invalid("there is nobody to ask %q; say --yes if it is meant", question)
	}
	fmt.Fprintf(c.err, "%s [y/N] ", question)
	var answer string
	_, _ = fmt.Fscanln(c.in, &answer) // nothing is no
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		c.note("nothing was approved")
		return false, nil
	}
	return true, nil
}

func (c *cli) mcpLoginCommand() *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:   "login NAME",
		Short: "Log in at an MCP server, in a browser",
		Long: long(`login prints an address to open in a browser, and waits until the login there is done. What comes of it is stored encrypted
and used for calls of the server's tools: everybody's, a project's or your own, as mcp.servers.NAME.auth.per says.`, clientExits()...),
		Example: "  sutazai mcp login erp",
		Args:    arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := c.client()
			var l core.MCPLogin
			if err := client.do(cmd.Context(), call{method: http.MethodPost, path: "/mcp/servers/" + url.PathEscape(args[0]) + "/login", body: newLogin{project}}, &l); err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, l)
			}
			c.note("open this address in a browser:")
			fmt.Fprintln(c.out, clean(l.URL))
			for l.State == "pending" {
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(loginPoll):
				}
				if err := client.do(cmd.Context(), call{method: http.MethodGet, path: "/mcp/logins/" + url.PathEscape(l.ID)}, &l); err != nil {
					return err
				}
			}
			if l.State != "done" {
				return core.Errorf(core.CodeForbidden, "the login at %s failed: %s", l.Server, l.Error)
			}
			c.note("logged in at %s", l.Server)
			return nil
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "the `project` that logs in, where projects do")
	return cmd
}

// newLogin is the body of POST /mcp/servers/{name}/login.
type newLogin struct {
	Project string `json:"project,omitempty"`
}

func (c *cli) mcpLogoutCommand() *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:     "logout NAME",
		Short:   "Forget a login at an MCP server",
		Long:    long("logout deletes what is stored of a login; calls that need it fail until somebody logs in again.", clientExits()...),
		Example: "  sutazai mcp logout erp",
		Args:    arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if project != "" {
				query.Set("project", project)
			}
			if err := c.client().do(cmd.Context(), call{method: http.MethodDelete, path: "/mcp/servers/" + url.PathEscape(args[0]) + "/login", query: query}, nil); err != nil {
				return err
			}
			c.note("logged out at %s", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "the `project` that logs out, where projects log in")
	return cmd
}
