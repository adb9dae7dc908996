package aimodels

import (
	"log/slog"
	"math"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Config holds the gateway's settings. Zero fields take the defaults named beside them.
type Config struct {
	Routes  map[string]Route // by public name
	Prices  map[string]Price // "provider/model", or "provider/*" for all models of a provider; none = free
	Limits  map[string]Limit // by provider; none = adaptive, 64 waiting for 30 s
	Windows map[string]int   // tokens of a conversation and its answer, by "provider/model" or "provider/*"; none = not known

	MaxOutput         int        // tokens assumed of an answer whose caller sets no bound, where money is limited; 4096
	Money             Money      // budgets and usage; nil = none
	Tokens            TokenLimit // tokens a minute of each API key; nil = no limit
	Cache             CacheConfig
	Guards            Guards   // nil = none
	GuardsRevision    string   // changes with what the policies say, so that answers kept under older ones are not given
	DefaultGuardrails []string // policies that apply to every call

	Attempts     int                      // tries of one target in one call; 3
	BaseDelay    time.Duration            // upper bound of the first wait; doubles with each try; 500ms
	MaxDelay     time.Duration            // no wait is longer; a server that asks for more is left for the next target; 20s
	Timeout      time.Duration            // longest time of one try, streaming included; 30m
	ListTimeout  time.Duration            // longest time that one provider may take to list its models; 5s
	BreakerAfter uint                     // failures in a row that open a target's circuit breaker; 5
	BreakerDelay time.Duration            // how long it stays open before one try probes; 15s
	Probes       map[string]time.Duration // the same by provider, where it differs

	Logger  *slog.Logger      // nil = none
	Observe func(Observation) // called after every try, for metrics; nil = none
}

// Price is what a model's tokens cost, in US dollars for a million tokens.
type Price struct {
	Input       float64
	CachedInput float64 // of what the provider had in its own cache; 0 = as Input
	Output      float64
}

// of returns what usage costs, in millionths of a US dollar: dollars for a million tokens are millionths for one.
func (p Price) of(u core.Usage) int64 {
	cached := p.Input
	if p.CachedInput > 0 {
		cached = p.CachedInput
	}
	fresh := max(0, u.InputTokens-u.CachedTokens)
	return int64(math.Ceil(p.Input*float64(fresh) + cached*float64(min(u.CachedTokens, u.InputTokens)) + p.Output*float64(u.OutputTokens) - 1e-9))
}

func (p Price) sum() float64 { return p.Input + p.Output }

// Observation is one finished try.
type Observation struct {
	Target     string    // "provider/model"
	Code       core.Code // "" when it succeeded
	Took       time.Duration
	FirstDelta time.Duration // from the start to the first piece of text; 0 = none came
	Usage      core.Usage
}

func (c Config) withDefaults() Config {
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.BaseDelay, 500*time.Millisecond)
	def(&c.MaxDelay, 20*time.Second)
	def(&c.Timeout, 30*time.Minute)
	def(&c.ListTimeout, 5*time.Second)
	def(&c.BreakerDelay, 15*time.Second)
	if c.Attempts <= 0 {
		c.Attempts = 3
	}
	if c.BreakerAfter == 0 {
		c.BreakerAfter = 5
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = 4096
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) price(t Target) Price {
	if len(c.Prices) == 0 {
		return Price{}
	}
	p, ok := c.Prices[t.String()]
	if !ok {
		p = c.Prices[t.Provider+"/*"]
	}
	return p
}
