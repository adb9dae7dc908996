package aimodels

import (
	"context"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sutazai/sutazai/core"
)

// record tells the breaker how a try went. Only failures that say something about the target's health count: a wrong
// request or a caller that went away says nothing, and a server that answers "wrong request" is alive.
func record(ctx context.Context, breaker circuitbreaker.CircuitBreaker[any], err error) {
	ce, ok := asCallError(err)
	switch {
	case ok && ce.unwell():
		breaker.RecordFailure()
	case ok && ce.theirs && breaker.IsHalfOpen():
		breaker.Open() // the probe was spoilt, and tells as little as one that was cut short
	case ok && ce.theirs:
	case err != nil && ctx.Err() != nil && breaker.IsHalfOpen():
		breaker.Open() // the probe was cut short: nothing is known, so wait for the next one
	case err != nil && ctx.Err() != nil:
	default:
		breaker.RecordSuccess()
	}
}

// permit says whether a target may be called. While probes are made in the background, no caller pays for finding out
// whether a broken target works again.
func (g *Gateway) permit(s *targetState) bool {
	if g.probing.Load() && s.breaker.IsOpen() {
		return false
	}
	return s.breaker.TryAcquirePermit()
}

// openError is what a call gets that is not made. A provider whose limit is reached stays one: clients slow down at 429.
func openError(s *targetState) *CallError {
	code := core.CodeUnavailable
	why, limited := s.lastFailure()
	if limited {
		code = core.CodeRateLimited
	}
	if why != "" {
		why = ": " + why
	}
	wait := max(s.breaker.RemainingDelay(), time.Second)
	e := core.Errorf(code, "model %s failed repeatedly and is not called for another %s%s", s.target, wait.Round(time.Second), why)
	e.RetryAfter = wait
	return &CallError{Err: e, Retryable: true, overload: true}
}

// Probe asks broken targets again in the background until ctx ends: a provider that lists its models gets one call to
// prove itself with, one that does not is left alone for another while. every is the time between looks.
func (g *Gateway) Probe(ctx context.Context, every time.Duration) {
	g.probing.Store(true)
	defer g.probing.Store(false)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := map[string][]*targetState{}
		for _, s := range g.targets.list() {
			if s.breaker.IsOpen() && s.breaker.RemainingDelay() <= 0 {
				due[s.target.Provider] = append(due[s.target.Provider], s)
			}
		}
		var wg sync.WaitGroup
		for name, states := range due {
			wg.Go(func() { g.probe(ctx, name, states) })
		}
		wg.Wait()
	}
}

// probe asks one provider on behalf of all its targets whose time has come.
func (g *Gateway) probe(ctx context.Context, name string, states []*targetState) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.ListTimeout)
	defer cancel()
	_, err := g.providers[name].Provider.Models(ctx)
	for _, s := range states {
		if err != nil {
			s.breaker.Close() // Open on an open breaker would not begin a new delay
			s.breaker.Open()
			continue
		}
		s.breaker.HalfOpen()
	}
}
