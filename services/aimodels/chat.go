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
	j := &job{g: g, route: r, session: req.Session, patient: req.Caller.Run != "", try: func(ctx context.Context, a *attempt) error {
		r, err := g.chatOnce(ctx, a, req, guard, onDelta)
		if err == nil { // of two that race, one at most
			resp = r
		}
		return err
	}}
	err = j.run(ctx)
	resp.Attempts = j.attempts
	account.settle(core.UsageEntry{Model: lastTarget(j), Usage: j.used, Code: codeOf(err)})
	if err != nil {
		return core.ModelResponse{Attempts: j.attempts}, err
	}
	return resp, nil
}

// chatOnce makes one try of a translated call.
func (g *Gateway) chatOnce(ctx context.Context, a *attempt, req core.ModelRequest, guard *outputGuard, onDelta func(core.Delta)) (core.ModelResponse, error) {
	came := int64(0) // bytes of the answer
	forward := func(d core.Delta) {
		if d == (core.Delta{}) || !a.begin() {
			return
		}
		came += int64(len(d.Text) + len(d.Reasoning))
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
		resp.Model, resp.Usage = a.target.String(), g.usage(a.target, req, resp)
		a.usage = resp.Usage // also where a guardrail then refuses the answer
		resp, err = watched.finish(resp)
	} else if came > 0 { // what broke has been paid for as far as it went
		a.usage = g.priced(a.target.String(), core.Usage{InputTokens: estimateInput(req), OutputTokens: (came + 3) / 4})
	}
	if err == nil && !a.begin() {
		err = errLost
	}
	if err != nil {
		return core.ModelResponse{}, err
	}
	return resp, nil
}

func lastTarget(j *job) string {
	if n := len(j.attempts); n > 0 {
		return j.attempts[n-1].Target
	}
	return j.route.targets[0].String()
}
