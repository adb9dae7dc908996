package core

// Usage is what a model call, a step or a run has consumed. Cost is in millionths of a US dollar.
type Usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	CostMicroUSD int64 `json:"-"`
}

// CostUSD is the cost in US dollars.
func (u Usage) CostUSD() float64 { return float64(u.CostMicroUSD) / 1e6 }

// Tokens is the sum of both directions.
func (u Usage) Tokens() int64 { return u.InputTokens + u.OutputTokens }

// UsageRow is what the runs of one day or one agent have consumed. Sub-agents' usage is part of their root run's, which
// alone is counted.
type UsageRow struct {
	Key   string // the day in UTC as 2006-01-02, or the agent
	Runs  int    // root runs that were made
	Usage Usage
}

// What usage can be grouped by.
const (
	UsageByDay   = "day"
	UsageByAgent = "agent"
)

// Add returns the sum of both usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		InputTokens:  u.InputTokens + v.InputTokens,
		OutputTokens: u.OutputTokens + v.OutputTokens,
		CostMicroUSD: u.CostMicroUSD + v.CostMicroUSD,
	}
}
