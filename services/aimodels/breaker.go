package aimodels

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sutazai/sutazai/core"
)

// maxBreakers is how many targets' breakers are kept before the closed ones are forgotten.
const maxBreakers = 512

// record tells the breaker how the try went. Only failures that say something about the target's health count: a wrong
// request or a caller that went away says nothing, and a server that answers "wrong request" is alive.
func record(ctx context.Context, breaker circuitbreaker.CircuitBreaker[any], err error) {
	ce, ok := errors.AsType[*CallError](err)
	switch {
	case ok && ce.unwell():
		breaker.RecordFailure()
	case err != nil && ctx.Err() != nil && breaker.IsHalfOpen():
		breaker.Open() // the probe was cut short: nothing is known, so wait for the next one
	case err != nil && ctx.Err() != nil:
	default:
		breaker.RecordSuccess()
	}
}

func (g *Gateway) breaker(t Target) circuitbreaker.CircuitBreaker[any] {
	g.mu.Lock()
	defer g.mu.Unlock()
	b, ok := g.breakers[t]
	if !ok {
		if len(g.breakers) >= maxBreakers {
			// Names come from callers, so there is no end of them; those that work have nothing worth remembering.
			maps.DeleteFunc(g.breakers, func(_ Target, b circuitbreaker.CircuitBreaker[any]) bool { return b.IsClosed() })
			maps.DeleteFunc(g.failures, func(t Target, _ string) bool { return g.breakers[t] == nil })
		}
		b = circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(g.cfg.BreakerAfter).
			WithSuccessThreshold(1).
			WithDelay(g.cfg.BreakerDelay).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				g.cfg.Logger.Warn("circuit breaker changed", "target", t.String(), "from", e.OldState.String(), "to", e.NewState.String())
			}).
			Build()
		g.breakers[t] = b
	}
	return b
}

// state returns "closed", "open" or "half_open"; "" for a target that was not called yet.
func (g *Gateway) state(t Target) string {
	g.mu.Lock()
	b, ok := g.breakers[t]
	g.mu.Unlock()
	if !ok {
		return ""
	}
	switch b.State() {
	case circuitbreaker.OpenState:
		return "open"
	case circuitbreaker.HalfOpenState:
		return "half_open"
	default:
		return "closed"
	}
}

// noteFailure keeps why a target failed last, for whoever finds its breaker open.
func (g *Gateway) noteFailure(t Target, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil || g.breakers[t] == nil {
		delete(g.failures, t)
		return
	}
	if ce, ok := errors.AsType[*CallError](err); ok && ce.unwell() {
		g.failures[t] = core.MessageOf(err)
	}
}

func (g *Gateway) lastFailure(t Target) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failures[t]
}

func openError(t Target, remaining time.Duration, why string) *CallError {
	if why != "" {
		why = ": " + why
	}
	return &CallError{
		Err: core.Errorf(core.CodeUnavailable, "model %s failed repeatedly and is not called for another %s%s",
			t, max(remaining, time.Second).Round(time.Second), why),
		Retryable:  true,
		RetryAfter: max(remaining, time.Second),
	}
}
