package aimodels

import (
	"context"

	"github.com/sutazai/sutazai/core"
)

// Chat answers one request. It resolves req.Model, tries its targets as their route says, repeats a failed try with
// exponential backoff and full jitter (never sooner than the server asked by Retry-After), and skips a target whose
// circuit breaker is open. Every try is in Response.Attempts, which is filled also when err is not nil, and in the
// *AttemptsError.
//
// Text that a broken try has streamed is void: the next try's deltas carry a larger Attempt.
//
// Codes: CodeUnavailable (nothing can be reached now), CodeRateLimited, CodeTimeout (longer than Config.Timeout),
// CodeInvalid, CodeNotFound, CodeUnauthorized, CodeRefused, CodeContextFull, CodeTooLarge, CodeLimit (a budget). When ctx
// ends, the error is ctx's.
//
// Usage comes from the server; where it reports none, tokens are estimated as one for every four characters, rounded up.
func (g *Gateway) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	r, err := g.resolve(req.Model)
	if err != nil {
		return core.ModelResponse{}, err
	}
	guard, err := g.guardRequest(ctx, r, &req)
	if err != nil {
		return core.ModelResponse{}, err
	}
	account, err := g.account(ctx, r, req.Caller, bound{input: estimateInput(req), output: req.MaxTokens, cost: req.CostLimit})
	if err != nil {
		return core.ModelResponse{}, err
	}
	if account.cap > 0 {
		req.MaxTokens = account.cap
	}
	var resp core.ModelResponse
	j := &job{g: g, route: r, session: req.Session, try: func(ctx context.Context, a *attempt) error {
		var err error
		resp, err = g.chatOnce(ctx, a, req, guard, onDelta)
		return err
	}}
	err = j.run(ctx)
	resp.Attempts = j.attempts
	account.settle(core.UsageEntry{Model: lastTarget(j), Usage: resp.Usage, Code: codeOf(err)})
	if err != nil {
		return core.ModelResponse{Attempts: j.attempts}, err
	}
	return resp, nil
}

// chatOnce makes one try of a translated call.
func (g *Gateway) chatOnce(ctx context.Context, a *attempt, req core.ModelRequest, guard *outputGuard, onDelta func(core.Delta)) (core.ModelResponse, error) {
	forward := func(d core.Delta) {
		if d == (core.Delta{}) || !a.begin() {
			return
		}
		if onDelta != nil {
			d.Attempt = a.number
			onDelta(d)
		}
	}
	watched := guard.stream(ctx, forward)
	out := req
	out.Model = a.target.Model
	resp, err := g.providers[a.target.Provider].Provider.Chat(ctx, out, watched.delta)
	if err == nil {
		resp, err = watched.finish(resp)
	}
	if err == nil && !a.begin() {
		err = errLost
	}
	if err != nil {
		return core.ModelResponse{}, err
	}
	resp.Model = a.target.String()
	resp.Usage = g.usage(a.target, req, resp)
	a.usage = resp.Usage
	return resp, nil
}

func lastTarget(j *job) string {
	if n := len(j.attempts); n > 0 {
		return j.attempts[n-1].Target
	}
	return j.route.targets[0].String()
}
