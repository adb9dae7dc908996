package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/internal/budget"
)

// countLedger shows the ledger's counters at /metrics.
func countLedger(r prometheus.Registerer, stats func() budget.Stats) error {
	for _, c := range []struct {
		name, help string
		value      func(budget.Stats) int64
	}{
		{"sutazai_usage_settled_total", "Model calls that were accounted for.", func(s budget.Stats) int64 { return s.Settled }},
		{"sutazai_usage_journal_errors_total", "Failures to write the usage journal.", func(s budget.Stats) int64 { return s.JournalErrors }},
		{"sutazai_usage_commit_errors_total", "Failures to write usage and leases to the database; they are tried again.", func(s budget.Stats) int64 { return s.CommitErrors }},
		{"sutazai_budget_overruns_total", "Model calls that cost more than was reserved for them.", func(s budget.Stats) int64 { return s.Overruns }},
		{"sutazai_budget_refused_total", "Model calls that a budget refused.", func(s budget.Stats) int64 { return s.Refused }},
	} {
		counter := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.value(stats())) })
		if err := r.Register(counter); err != nil {
			return fmt.Errorf("register the ledger's metrics: %w", err)
		}
	}
	return nil
}
