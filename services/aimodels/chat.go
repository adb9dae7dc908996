package aimodels

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sutazai/sutazai/core"
)

// Chat answers one request. It resolves req.Model, tries its targets in order, repeats a failed try with exponential
// backoff and full jitter (never sooner than the server asked by Retry-After), and skips a target whose circuit breaker
// is open. Every try is in Response.Attempts, which is filled also when err is not nil, and in the *AttemptsError.
//
// The next target is taken when one cannot be reached, is overloaded or takes too long; an error that another server
// would give as well (a wrong request, a full context, a refusal) or that a person must mend (a wrong key, an unknown
// model) ends the call. Text that a broken try has streamed is void: the next try's deltas carry a larger Attempt.
//
// Codes: CodeUnavailable (nothing can be reached now), CodeTimeout (longer than Config.Timeout), CodeInvalid,
// CodeNotFound, CodeUnauthorized, CodeRefused, CodeContextFull, CodeTooLarge. When ctx ends, the error is ctx's.
//
// Usage comes from the server; where it reports none, tokens are estimated as one for every four characters, rounded up.
func (g *Gateway) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	targets, err := g.resolve(req.Model)
	if err != nil {
		return core.ModelResponse{}, err
	}
	c := call{g: g, req: req, onDelta: onDelta}
	var last error
	for _, t := range targets {
		resp, err := c.target(ctx, t)
		if err == nil {
			return resp, nil
		}
		last = err
		if !c.next(err) {
			break
		}
	}
	return core.ModelResponse{Attempts: c.attempts}, &AttemptsError{Err: last, Attempts: c.attempts}
}

// call is the state of one Chat.
type call struct {
	g        *Gateway
	req      core.ModelRequest
	onDelta  func(core.Delta)
	attempts []core.Attempt
}

// next says whether the next target may be tried after err.
func (c *call) next(err error) bool {
	if ce, ok := errors.AsType[*CallError](err); ok {
		return ce.unwell()
	}
	return false
}

// target tries one target until it answers, fails for good or has had its tries.
func (c *call) target(ctx context.Context, t Target) (core.ModelResponse, error) {
	breaker := c.g.breaker(t)
	var failed error
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return core.ModelResponse{}, err
		}
		if !breaker.TryAcquirePermit() {
			if failed != nil {
				return core.ModelResponse{}, failed // it opened during this call; the reason says more than that
			}
			return core.ModelResponse{}, openError(t, breaker.RemainingDelay(), c.g.lastFailure(t))
		}
		resp, err := c.try(ctx, t, breaker)
		if err == nil {
			return resp, nil
		}
		failed = err
		ce, ok := errors.AsType[*CallError](err)
		if !ok || !ce.Retryable || n >= c.g.cfg.Attempts {
			return resp, err
		}
		wait, ok := c.g.backoff(n, ce.RetryAfter)
		if !ok {
			return resp, err // the server asks for more patience than a call has; the caller may park
		}
		c.g.cfg.Logger.WarnContext(ctx, "model call failed, trying again", "target", t.String(), "try", n, "wait", wait, "error", err)
		if err := sleep(ctx, wait); err != nil {
			return resp, err
		}
	}
}

// try makes one attempt and records it.
func (c *call) try(ctx context.Context, t Target, breaker circuitbreaker.CircuitBreaker[any]) (core.ModelResponse, error) {
	start := time.Now()
	number := len(c.attempts) + 1
	var firstDelta time.Duration
	forward := func(d core.Delta) {
		if d.Text == "" {
			return
		}
		if firstDelta == 0 {
			firstDelta = max(time.Since(start), 1)
		}
		if c.onDelta != nil {
			c.onDelta(core.Delta{Attempt: number, Text: d.Text})
		}
	}
	req := c.req
	req.Model = t.Model
	tctx, cancel := context.WithTimeout(ctx, c.g.cfg.Timeout)
	defer cancel()
	resp, err := c.g.providers[t.Provider].Provider.Chat(tctx, req, forward)
	if err != nil {
		err = c.explain(ctx, t, err)
	}
	record(ctx, breaker, err)
	c.g.noteFailure(t, err)

	end := time.Now()
	attempt := core.Attempt{StartedAt: start.UTC(), FinishedAt: new(end.UTC()), Target: t.String()}
	if err != nil {
		attempt.Error = attemptText(err)
	}
	c.attempts = append(c.attempts, attempt)
	if err == nil {
		resp.Model, resp.Attempts = t.String(), c.attempts
		resp.Usage = c.g.usage(t, c.req, resp)
	}
	if c.g.cfg.Observe != nil {
		o := Observation{Target: t.String(), Took: end.Sub(start), FirstDelta: firstDelta, Usage: resp.Usage}
		if err != nil {
			o.Code = codeOf(err)
		}
		c.g.cfg.Observe(o)
	}
	return resp, err
}

// explain turns the end of a context into what it means: the caller's own end stays as it is, ours is a timeout.
func (c *call) explain(ctx context.Context, t Target, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &CallError{Err: core.Wrap(core.CodeTimeout, err, "model %s did not finish its answer within %s; ask for a shorter one", t, c.g.cfg.Timeout)}
	}
	return err
}

// backoff returns the wait before try n+1, and false when the server asks for more than Config.MaxDelay.
// Full jitter: a random time between 0 and the doubling bound, so that many callers do not come back together.
func (g *Gateway) backoff(n int, retryAfter time.Duration) (time.Duration, bool) {
	if retryAfter > g.cfg.MaxDelay {
		return 0, false
	}
	bound := g.cfg.BaseDelay << min(n-1, 16)
	if bound <= 0 || bound > g.cfg.MaxDelay {
		bound = g.cfg.MaxDelay
	}
	return max(rand.N(bound+1), retryAfter), true
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func attemptText(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && codeOf(err) == core.CodeCancelled {
		return "cancelled"
	}
	return core.MessageOf(err)
}

func codeOf(err error) core.Code {
	if _, ok := errors.AsType[*core.Error](err); !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return core.CodeCancelled
	}
	return core.CodeOf(err)
}
