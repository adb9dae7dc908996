package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

// modelAnswer is the answer of a test call.
type modelAnswer struct {
	Model       string         `json:"model"`
	Text        string         `json:"text"`
	Usage       core.UsageJSON `json:"usage"`
	FirstWordMS float64        `json:"first_word_ms"`
	TookMS      float64        `json:"took_ms"`
	Attempts    []core.Attempt `json:"attempts"`
}

func (c *cli) modelsTestCommand() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use:   "test MODEL [PROMPT]",
		Short: "Ask a model once and show how it did",
		Long: long(`test makes one short call of a model or route, through the server's routes, retries, budgets and limits. The
answer goes to standard output; which model answered, how fast, and what it cost to standard error.`, clientExits()...),
		Example: "  sutazai models test default\n  sutazai models test openai/gpt-5-mini \"What is 7 times 6?\"",
		Args:    arguments(1, 2, "MODEL [PROMPT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"model": args[0], "max_tokens": most}
			if len(args) > 1 {
				body["prompt"] = args[1]
			}
			var a modelAnswer
			if err := c.client().do(cmd.Context(), call{method: http.MethodPost, path: "/models/test", body: body}, &a); err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, a)
			}
			fmt.Fprintln(c.out, strings.TrimSpace(a.Text))
			for _, try := range a.Attempts {
				if try.Error != "" {
					c.note("%s failed: %s", try.Target, try.Error)
				}
			}
			c.note("%s · first word after %.0f ms · %.0f ms in all · %d tokens in, %d out · $%.4f", a.Model, a.FirstWordMS, a.TookMS,
				a.Usage.InputTokens, a.Usage.OutputTokens, a.Usage.CostUSD)
			return nil
		},
	}
	cmd.Flags().IntVar(&most, "max-tokens", 64, "longest answer, in tokens")
	return cmd
}

func (c *cli) modelsRoutesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "routes",
		Short: "Show how each route chooses among its models, and how those have done",
		Long: long(`routes prints a line for each target of each route: its share, the state of its circuit breaker, how soon its first
word came of late, how often it was called and failed since the server started, and why it failed last.`, clientExits()...),
		Example: "  sutazai models routes",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			routes, err := list[core.ModelRoute](cmd.Context(), c.client(), "/models/routes", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.ModelRoute]{Items: routes})
			}
			health, err := list[core.ModelHealth](cmd.Context(), c.client(), "/models/health", nil)
			if err != nil {
				return err
			}
			of := map[string]core.ModelHealth{}
			for _, h := range health {
				of[h.Target] = h
			}
			t := newTable("ROUTE", "STRATEGY", "TARGET", "WEIGHT", "STATE", "FIRST WORD", "CALLS", "FAILED", "LAST ERROR")
			for _, r := range routes {
				for _, target := range r.Targets {
					h := of[target.Target]
					first := "—"
					if h.FirstWordMS > 0 {
						first = fmt.Sprintf("%.0f ms", h.FirstWordMS)
					}
					t.add(r.Name, r.Strategy, target.Target, strconv.Itoa(target.Weight), h.State, first,
						strconv.FormatInt(h.Calls, 10), strconv.FormatInt(h.Failures, 10), h.LastError)
				}
			}
			c.printTable(t)
			return nil
		},
	}
}

// usageItem is what the calls of one day, model, key, agent or project have consumed.
type usageItem struct {
	Key          string  `json:"key"`
	Name         string  `json:"name,omitempty"`
	Requests     int64   `json:"requests"`
	Errors       int64   `json:"errors"`
	CacheHits    int64   `json:"cache_hits"`
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
	CostUSD      float64 `json:"cost_usd"`
	SavedUSD     float64 `json:"saved_usd"`
}

func (c *cli) modelsUsageCommand() *cobra.Command {
	var (
		by   string
		days int
	)
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show what model calls have used and cost",
		Long: long(`usage sums up every model call of the last days, of clients and agents alike, by day, model, key, agent or project.
SAVED is what answers from the cache would have cost.`, clientExits()...),
		Example: "  sutazai models usage\n  sutazai models usage --by model --days 7",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if groups := []string{core.UsageByDay, core.UsageByModel, core.UsageByKey, core.UsageByAgent, core.UsageByProject}; !slices.Contains(groups, by) {
				return usagef(cmd.CommandPath(), "--by takes day, model, key, agent or project, not %q", by)
			}
			query := url.Values{"group": {by}, "days": {strconv.Itoa(days)}}
			items, err := list[usageItem](cmd.Context(), c.client(), "/usage", query)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[usageItem]{Items: items})
			}
			t := newTable(strings.ToUpper(by), "CALLS", "FAILED", "FROM CACHE", "TOKENS IN", "TOKENS OUT", "COST", "SAVED")
			for _, u := range items {
				key := u.Key
				if u.Name != "" {
					key = u.Name
				}
				if key == "" {
					key = "—"
				}
				t.add(key, strconv.FormatInt(u.Requests, 10), strconv.FormatInt(u.Errors, 10), strconv.FormatInt(u.CacheHits, 10),
					strconv.FormatInt(u.InputTokens, 10), strconv.FormatInt(u.OutputTokens, 10), fmt.Sprintf("$%.4f", u.CostUSD), fmt.Sprintf("$%.4f", u.SavedUSD))
			}
			c.printTable(t)
			return nil
		},
	}
	cmd.Flags().StringVar(&by, "by", "day", "day, model, key, agent or project")
	cmd.Flags().IntVar(&days, "days", 30, "how many days to look at, today included")
	return cmd
}
