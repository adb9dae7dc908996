package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

func (c *cli) keysCommand() *cobra.Command {
	return groupCommand("keys", "Make, list and revoke API keys", "  sutazai keys create ci --scope run", c.keysCreateCommand(), c.keysListCommand(), c.keysRevokeCommand())
}

// scopes are the values of --scope.
func scopes() []core.Scope {
	return []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove, core.ScopeAdmin}
}

func (c *cli) keysCreateCommand() *cobra.Command {
	var wanted []string
	var expires, project string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key and print it, once",
		Long: long(`create makes an API key. The key goes to standard output, this once: only a hash of it is stored.

The rights: read (see runs, agents, services), run (start, cancel and continue runs; call models), approve (decide
approvals), admin (everything). Budgets and usage count the key's calls for its project.`, clientExits()...),
		Example: `  sutazai keys create ci --scope read --scope run --expires 90d
  sutazai keys create backup-job --scope admin > key.txt
  sutazai keys create team-a-bot --project team-a`,
		Args: arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key := newKey{Name: args[0], Project: project}
			for _, s := range wanted {
				if !slices.Contains(scopes(), core.Scope(s)) {
					return usagef(cmd.CommandPath(), "unknown scope %q; the scopes are read, run, approve and admin", s)
				}
				key.Scopes = append(key.Scopes, core.Scope(s))
			}
			if expires != "" {
				d, err := parseDays(expires)
				if err != nil {
					return usagef(cmd.CommandPath(), "--expires %q is not a duration such as 12h, 90d or 52w", expires)
				}
				at := time.Now().Add(d).UTC().Truncate(time.Second)
				key.ExpiresAt = &at
			}
			made, err := c.client().createKey(cmd.Context(), key)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, made)
			}
			c.note("key %s (%s) of the project %s may %s; it expires %s. It is shown this once:", made.Key.Name, made.Key.ID, made.Key.Project, joinScopes(made.Key.Scopes), never(made.Key.ExpiresAt))
			fmt.Fprintln(c.out, made.Secret)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&wanted, "scope", []string{"read", "run"}, "a right of the key: `read`, run, approve or admin; may be repeated")
	cmd.Flags().StringVar(&project, "project", "", "whose budgets and usage its calls count for: a `name` such as team-a (default \"default\")")
	cmd.Flags().StringVar(&expires, "expires", "", "when it stops working: a `duration` such as 12h, 90d or 52w (default never)")
	return cmd
}

func (c *cli) keysListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List API keys",
		Long:    long("list prints the keys, without their secrets: when each was used last, when it expires, whether it is revoked.", clientExits()...),
		Example: "  sutazai keys list",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := list[core.APIKey](cmd.Context(), c.client(), "/keys", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.APIKey]{Items: keys})
			}
			if len(keys) == 0 {
				c.note("no keys; make one with `sutazai keys create NAME`")
				return nil
			}
			t := newTable("ID", "NAME", "PROJECT", "PREFIX", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "REVOKED")
			for _, k := range keys {
				t.add(k.ID, k.Name, k.Project, k.Prefix+"…", joinScopes(k.Scopes), moment(k.CreatedAt), momentOf(k.LastUsedAt), never(k.ExpiresAt), momentOf(k.RevokedAt))
			}
			c.printTable(t)
			return nil
		},
	}
}

func (c *cli) keysRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "Stop an API key from working",
		Long:    long("revoke stops a key from working, at once and for good. ID is the key's id as `keys list` prints it.", clientExits()...),
		Example: "  sutazai keys revoke 019ab3c1-7c2e-7000-8000-0123456789ab",
		Args:    arguments(1, 1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := c.client().revokeKey(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, key)
			}
			c.note("key %s (%s) is revoked", key.Name, key.ID)
			return nil
		},
	}
}

func joinScopes(scopes []core.Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// never is a time that may not come.
func never(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return moment(*t)
}

// parseDays reads a Go duration, or whole days (d) or weeks (w).
func parseDays(text string) (time.Duration, error) {
	unit := map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[text[len(text)-1:]]
	if unit == 0 {
		d, err := time.ParseDuration(text)
		if err == nil && d <= 0 {
			err = fmt.Errorf("not positive")
		}
		return d, err
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || n <= 0 || n > 36500 {
		return 0, fmt.Errorf("not a number of days")
	}
	return time.Duration(n) * unit, nil
}
