package aimodels

import (
	"log/slog"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Config holds the gateway's settings. Zero fields take the defaults named beside them.
type Config struct {
	Routes map[string][]string // route's name -> "provider/model" targets, the preferred first
	Prices map[string]Price    // "provider/model", or "provider/*" for all models of a provider; none = free

	Attempts     int           // tries of one target in one call; 3
	BaseDelay    time.Duration // upper bound of the first wait; doubles with each try; 500ms
	MaxDelay     time.Duration // no wait is longer; a server that asks for more is left for the next target; 20s
	Timeout      time.Duration // longest time of one try, streaming included; 30m
	ListTimeout  time.Duration // longest time that one provider may take to list its models; 5s
	BreakerAfter uint          // failures in a row that open a target's circuit breaker; 5
	BreakerDelay time.Duration // how long it stays open before one try probes; 15s

	Logger  *slog.Logger      // nil = none
	Observe func(Observation) // called after every try, for metrics; nil = none
}

// Price is what a model's tokens cost, in US dollars for a million tokens.
type Price struct {
	Input  float64
	Output float64
}

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
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) cost(target Target, u core.Usage) int64 {
	p, ok := c.Prices[target.String()]
	if !ok {
		p = c.Prices[target.Provider+"/*"]
	}
	// Dollars for a million tokens are millionths of a dollar for one token.
	return int64(p.Input*float64(u.InputTokens) + p.Output*float64(u.OutputTokens) + 0.5)
}
