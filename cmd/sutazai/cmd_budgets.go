package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// budgetItem is a budget as the server shows it.
type budgetItem struct {
	ID              string     `json:"id"`
	Scope           string     `json:"scope"`
	ScopeID         string     `json:"scope_id"`
	Window          string     `json:"window"`
	WindowStart     *time.Time `json:"window_start,omitempty"`
	WindowEnd       *time.Time `json:"window_end,omitempty"`
	LimitUSD        float64    `json:"limit_usd"`
	LimitTokens     int64      `json:"limit_tokens"`
	SpentUSD        float64    `json:"spent_usd"`
	SpentTokens     int64      `json:"spent_tokens"`
	ReservedUSD     float64    `json:"reserved_usd"`
	ReservedTokens  int64      `json:"reserved_tokens"`
	LeftUSD         float64    `json:"left_usd"`
	LeftTokens      int64      `json:"left_tokens"`
	OverspentUSD    float64    `json:"overspent_usd"`
	OverspentTokens int64      `json:"overspent_tokens"`
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
}

// newBudget is the body of PUT /budgets/{id}.
type newBudget struct {
	Scope       string  `json:"scope"`
	ScopeID     string  `json:"scope_id,omitempty"`
	Window      string  `json:"window"`
	LimitUSD    float64 `json:"limit_usd,omitempty"`
	LimitTokens int64   `json:"limit_tokens,omitempty"`
}

func (c *client) setBudget(ctx context.Context, id string, b newBudget) (budgetItem, error) {
	var out budgetItem
	err := c.do(ctx, call{method: http.MethodPut, path: "/budgets/" + url.PathEscape(id), body: b}, &out)
	return out, err
}

func (c *client) removeBudget(ctx context.Context, id string) (budgetItem, error) {
	var out budgetItem
	err := c.do(ctx, call{method: http.MethodDelete, path: "/budgets/" + url.PathEscape(id)}, &out)
	return out, err
}

func (c *cli) budgetsCommand() *cobra.Command {
	return groupCommand("budgets", "List, set and remove budgets of model calls", "  sutazai budgets set team-a --project team-a --window month --usd 50",
		c.budgetsListCommand(), c.budgetsSetCommand(), c.budgetsRemoveCommand())
}

func (c *cli) budgetsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List budgets with what is left of them",
		Long: long(`list prints the budgets with what their current windows have used. RESERVED is handed out to servers for calls in
flight and to come; what calls do not need of it comes back. LEFT is neither spent nor reserved.`, clientExits()...),
		Example: "  sutazai budgets list",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			items, err := list[budgetItem](cmd.Context(), c.client(), "/budgets", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[budgetItem]{Items: items})
			}
			if len(items) == 0 {
				c.note("no budgets; make one with `sutazai budgets set NAME`")
				return nil
			}
			t := newTable("NAME", "OF", "WINDOW", "LIMIT", "SPENT", "RESERVED", "LEFT", "BEGINS ANEW").alignRight(3, 4, 5, 6)
			for _, b := range items {
				t.add(b.ID, b.of(), b.Window, b.amount(b.LimitUSD, b.LimitTokens), b.amount(b.SpentUSD, b.SpentTokens),
					b.amount(b.ReservedUSD, b.ReservedTokens), b.amount(b.LeftUSD, b.LeftTokens), never(b.WindowEnd))
			}
			c.printTable(t)
			return nil
		},
	}
}

func (c *cli) budgetsSetCommand() *cobra.Command {
	var (
		b                   newBudget
		project, key, agent string
		all                 bool
	)
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Make or change a budget",
		Long: long(`set makes the budget NAME or changes it. A call of a model is refused when a budget of its project, key or agent, or
the budget of all, has too little left for what the call may cost at most. A new budget, and one whose project, key, agent or
window changes, begins with what has been used in its current window. A day ends at midnight UTC, a week on Sunday.`, clientExits()...),
		Example: `  sutazai budgets set team-a --project team-a --window month --usd 50
  sutazai budgets set nightly-bot --agent researcher --window day --tokens 2000000
  sutazai budgets set everything --all --window month --usd 500`,
		Args: arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 0
			for scope, id := range map[string]string{"project": project, "key": key, "agent": agent} {
				if id != "" {
					b.Scope, b.ScopeID = scope, id
					n++
				}
			}
			if all {
				b.Scope = "all"
				n++
			}
			if n != 1 {
				return usagef(cmd.CommandPath(), "say whose calls the budget counts, with one of --project, --key, --agent and --all")
			}
			if b.LimitUSD < 0 || b.LimitTokens < 0 || b.LimitUSD == 0 && b.LimitTokens == 0 {
				return usagef(cmd.CommandPath(), "give a limit above 0 with --usd, --tokens or both")
			}
			made, err := c.client().setBudget(cmd.Context(), args[0], b)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, made)
			}
			c.note("the budget %s gives %s %s a %s; %s are left", made.ID, made.of(), made.amount(made.LimitUSD, made.LimitTokens), made.Window, made.amount(made.LeftUSD, made.LeftTokens))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&project, "project", "", "count the calls of this `project` of keys")
	f.StringVar(&key, "key", "", "count the calls of the API key with this `id`")
	f.StringVar(&agent, "agent", "", "count the calls of this `agent`")
	f.BoolVar(&all, "all", false, "count all calls")
	f.StringVar(&b.Window, "window", "month", "when it begins anew: every `day`, week or month, or total for never")
	f.Float64Var(&b.LimitUSD, "usd", 0, "how many US `dollars` may be spent in a window")
	f.Int64Var(&b.LimitTokens, "tokens", 0, "how many tokens may be used in a window, both directions together")
	return cmd
}

func (c *cli) budgetsRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a budget",
		Long:    long("remove ends a budget: it limits nothing any more. What was used stays in `models usage`.", clientExits()...),
		Example: "  sutazai budgets remove team-a",
		Args:    arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := c.client().removeBudget(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, b)
			}
			c.note("the budget %s is removed", b.ID)
			return nil
		},
	}
}

// of says whose calls the budget counts.
func (b budgetItem) of() string { return strings.TrimSpace(b.Scope + " " + b.ScopeID) }

// amount is money and tokens as far as the budget limits them.
func (b budgetItem) amount(usd float64, tokens int64) string {
	var parts []string
	if b.LimitUSD > 0 {
		parts = append(parts, fmt.Sprintf("$%.4f", usd))
	}
	if b.LimitTokens > 0 {
		parts = append(parts, count(tokens, "token"))
	}
	return strings.Join(parts, ", ")
}
