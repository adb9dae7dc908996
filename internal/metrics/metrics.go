// Package metrics counts what the orchestrator and the gateway do, for Prometheus. It owns the names of those metrics
// and knows nothing of how they are served.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/core"
)

// Metrics implements the orchestrator's Observer.
type Metrics struct {
	runs       *prometheus.CounterVec
	runSeconds *prometheus.HistogramVec
	steps      *prometheus.CounterVec
	stepTime   *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
	cost       *prometheus.CounterVec
	dead       prometheus.Counter
	guarded    *prometheus.CounterVec
	looked     *prometheus.CounterVec
	cached     *prometheus.CounterVec
	calls      *prometheus.CounterVec
	callTime   *prometheus.HistogramVec
	firstText  *prometheus.HistogramVec
}

// New registers the metrics with r.
func New(r prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.01, 3, 11)}, labels)
	}
	m := &Metrics{
		runs:       counter("sutazai_runs_total", "Runs that have ended.", "agent", "status", "code"),
		runSeconds: histogram("sutazai_run_duration_seconds", "Time from the start of a run to its end, waits included.", "agent"),
		steps:      counter("sutazai_steps_total", "Steps that have ended.", "kind", "status"),
		stepTime:   histogram("sutazai_step_duration_seconds", "Time that a step took.", "kind"),
		tokens:     counter("sutazai_tokens_total", "Tokens used by steps.", "direction"),
		cost:       counter("sutazai_cost_dollars_total", "Money spent by steps, in US dollars.", "kind"),
		dead:       prometheus.NewCounter(prometheus.CounterOpts{Name: "sutazai_runs_dead_lettered_total", Help: "Runs set aside because they crashed the server too often."}),
		guarded:    counter("sutazai_guardrail_findings_total", "What guardrails found, and with the action error calls of checkers that failed.", "policy", "check", "direction", "action"),
		looked:     counter("sutazai_cache_results_total", "Lookups and mishaps of the cache by kind of entry: memory, table, miss, failure, damaged, dropped.", "kind", "result"),
		cached:     counter("sutazai_cache_lookups_total", "Model calls by what the cache of answers said.", "state"),
		calls:      counter("sutazai_model_calls_total", "Tries of model calls.", "target", "code"),
		callTime:   histogram("sutazai_model_call_duration_seconds", "Time of one try of a model call.", "target"),
		firstText:  histogram("sutazai_model_first_text_seconds", "Time until the first piece of text of a model call.", "target"),
	}
	for _, c := range []prometheus.Collector{m.runs, m.runSeconds, m.steps, m.stepTime, m.tokens, m.cost, m.dead, m.guarded, m.looked, m.cached, m.calls, m.callTime, m.firstText} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// RunEnded counts a run; code is "" for a success.
func (m *Metrics) RunEnded(agent string, status core.RunStatus, code core.Code, took time.Duration) {
	m.runs.WithLabelValues(agent, string(status), string(code)).Inc()
	m.runSeconds.WithLabelValues(agent).Observe(took.Seconds())
}

// StepEnded counts a step.
func (m *Metrics) StepEnded(kind core.StepKind, _ string, status core.StepStatus, took time.Duration, u core.Usage) {
	m.steps.WithLabelValues(string(kind), string(status)).Inc()
	m.stepTime.WithLabelValues(string(kind)).Observe(took.Seconds())
	if kind == core.StepModel { // a delegation's usage was counted in its own run
		m.tokens.WithLabelValues("input").Add(float64(u.InputTokens))
		m.tokens.WithLabelValues("output").Add(float64(u.OutputTokens))
		m.cost.WithLabelValues(string(kind)).Add(u.CostUSD())
	}
}

// RunDeadLettered counts a run that was set aside.
func (m *Metrics) RunDeadLettered(string) { m.dead.Inc() }

// GuardrailFound counts a finding of a guardrail.
func (m *Metrics) GuardrailFound(policy, check, direction, action string) {
	m.guarded.WithLabelValues(policy, check, direction, action).Inc()
}

// CacheLooked counts how a lookup in the cache went, or a mishap of it.
func (m *Metrics) CacheLooked(kind, result string) { m.looked.WithLabelValues(kind, result).Inc() }

// CacheAsked counts what the cache of answers said to a model call: hit, miss or bypass.
func (m *Metrics) CacheAsked(state string) { m.cached.WithLabelValues(state).Inc() }

// ModelCalled counts one try of a model call; firstText 0 means that no text came.
func (m *Metrics) ModelCalled(target string, code core.Code, took, firstText time.Duration) {
	m.calls.WithLabelValues(target, string(code)).Inc()
	m.callTime.WithLabelValues(target).Observe(took.Seconds())
	if firstText > 0 {
		m.firstText.WithLabelValues(target).Observe(firstText.Seconds())
	}
}
