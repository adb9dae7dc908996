package backend

import (
	"context"
	"time"
)

type usageInput struct {
	Group string `query:"group" enum:"day,agent" default:"day" doc:"What one item is about."`
	Days  int    `query:"days" minimum:"1" maximum:"366" default:"30" doc:"How many days (UTC) to look at, today included."`
}

type usageRow struct {
	Key          string  `json:"key" doc:"The day (2026-03-01) or the agent."`
	Runs         int     `json:"runs" doc:"Runs that were started; not those that other runs started."`
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
	CostUSD      float64 `json:"cost_usd" doc:"By the prices in the settings; a model without a price costs nothing."`
}

func (s *server) usageRoute() {
	op := operation(get, "/usage", "usage", "Overview", "What runs have consumed, by day or by agent")
	op.Description = "Days newest first, agents by name; those without runs are left out. A run counts with all that it has used so far, " +
		"that of its finished sub-agents included, on the day on which it was started. There are no further pages."
	register(s, op, func(ctx context.Context, in *usageInput) (*output[page[usageRow]], error) {
		today := s.cfg.Now().UTC().Truncate(24 * time.Hour)
		rows, err := s.usage.Usage(ctx, in.Group, today.AddDate(0, 0, 1-in.Days))
		if err != nil {
			return nil, err
		}
		items := make([]usageRow, 0, len(rows))
		for _, r := range rows {
			items = append(items, usageRow{r.Key, r.Runs, r.Usage.InputTokens, r.Usage.OutputTokens, r.Usage.CostUSD()})
		}
		return listOf(items, ""), nil
	})
}
