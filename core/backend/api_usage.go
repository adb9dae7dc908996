package backend

import (
	"context"
	"time"
)

type usageInput struct {
	Group string `query:"group" enum:"day,model,key,agent,project" default:"day" doc:"What one item is about."`
	Days  int    `query:"days" minimum:"1" maximum:"366" default:"30" doc:"How many days (UTC) to look at, today included."`
}

type usageRow struct {
	Key          string  `json:"key" doc:"The day (2026-03-01), the model, the id of the API key, the agent or the project."`
	Name         string  `json:"name,omitempty" doc:"Of the API key."`
	Runs         int     `json:"runs" doc:"Runs that were started, not those that other runs started; by day and by agent only."`
	Requests     int64   `json:"requests" doc:"Model calls, of agents and of clients."`
	Errors       int64   `json:"errors" doc:"Model calls that failed."`
	CacheHits    int64   `json:"cache_hits" doc:"Model calls that a cache answered; they use no tokens and cost nothing."`
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
	CachedTokens int64   `json:"cached_tokens" doc:"Of the input, what providers read from their prompt caches."`
	CostUSD      float64 `json:"cost_usd" doc:"By the prices in the settings; a model without a price costs nothing."`
	SavedUSD     float64 `json:"saved_usd" doc:"What the answers from the cache would have cost."`
	MeanMS       float64 `json:"mean_ms" doc:"How long a model call took in the mean, in milliseconds."`
}

func (s *server) usageRoute() {
	op := operation(get, "/usage", "usage", "Overview", "What model calls have consumed, by day, model, key, agent or project")
	op.Description = "Days newest first, all else in the order of keys; those without calls or runs are left out, as are calls without an agent or a key " +
		"from the lists by agent and by key. A call counts on the day on which it ended. Calls of the last moment may be missing. There are no further pages."
	register(s, op, func(ctx context.Context, in *usageInput) (*output[page[usageRow]], error) {
		today := s.cfg.Now().UTC().Truncate(24 * time.Hour)
		rows, err := s.usage.Usage(ctx, in.Group, today.AddDate(0, 0, 1-in.Days))
		if err != nil {
			return nil, err
		}
		items := make([]usageRow, 0, len(rows))
		for _, r := range rows {
			items = append(items, usageRow{
				Key: r.Key, Name: r.Name, Runs: r.Runs, Requests: r.Requests, Errors: r.Errors, CacheHits: r.CacheHits,
				InputTokens: r.Usage.InputTokens, OutputTokens: r.Usage.OutputTokens, CachedTokens: r.Usage.CachedTokens,
				CostUSD: r.Usage.CostUSD(), SavedUSD: float64(r.SavedMicroUSD) / 1e6, MeanMS: float64(r.TookMS) / float64(max(1, r.Requests)),
			})
		}
		return listOf(items, ""), nil
	})
}
