package aimodels

import (
	"context"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
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
// ends, the error is ctx's. A name that is not configured is a *dialect.UnknownModel.
//
// Usage comes from the server; where it reports none, tokens are estimated as one for every four characters, rounded up.
func (g *Gateway) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	r, err := g.resolve(req.Model)
	if err != nil {
		return core.ModelResponse{}, &dialect.UnknownModel{Err: err}
	}
	guard, err := g.guardRequest(ctx, r, &req)
	if err != nil {
		return core.ModelResponse{}, err
	}
	limits := bound{input: sizeOf(req), output: req.MaxTokens, cost: req.CostLimit}
	a, err := g.account(ctx, r, req.Caller, limits)
	if err != nil {
		return core.ModelResponse{}, err
	}
	defer func() { a.settle(core.UsageEntry{Code: core.CodeInternal}) }() // of a defect; else it has been settled
	if a.cap > 0 {
		req.MaxTokens = a.cap
	}
	var resp core.ModelResponse
	j := &job{g: g, route: r, session: req.Session, patient: req.Caller.Run != "", input: func() int64 { return estimateInput(req) }}
	j.try = func(ctx context.Context, t *attempt) error {
		got, err := g.chatOnce(ctx, t, req, guard, onDelta)
		if err == nil { // of two that race, one at most
			resp = got
		}
		return err
	}
	j.again = func(ctx context.Context, used core.Usage) error {
		// What broke after it had begun has used up what was reserved: it is settled, and the next try has its own account.
		a.settle(core.UsageEntry{Model: g.asked(j), Usage: used, Code: core.CodeUnavailable})
		limits.cost = left(limits.cost, used.CostMicroUSD)
		next, err := g.account(ctx, r, req.Caller, limits)
		if err == nil {
			a = next
		}
		return err
	}
	err = j.run(ctx)
	a.settle(core.UsageEntry{Model: g.asked(j), Usage: j.used, Code: codeOf(err)})
	if err != nil {
		return core.ModelResponse{Attempts: j.attempts}, err
	}
	resp.Attempts = j.attempts
	return resp, nil
}

// left is what of a cost limit is left; 0 = there is none, and 1 where it has been used up.
func left(limit, used int64) int64 {
	if limit == 0 {
		return 0
	}
	return max(1, limit-used)
}

// chatOnce makes one try of a translated call.
func (g *Gateway) chatOnce(ctx context.Context, a *attempt, req core.ModelRequest, guard *outputGuard, onDelta func(core.Delta)) (core.ModelResponse, error) {
	came := int64(0) // characters of the answer
	forward := func(d core.Delta) {
		if d == (core.Delta{}) {
			return
		}
		came += int64(utf8.RuneCountInString(d.Text) + utf8.RuneCountInString(d.Reasoning))
		if onDelta != nil && a.begin() { // where nobody listens, the answer begins at its end
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
		a.usage = g.priced(a.target.String(), core.Usage{InputTokens: estimateInput(req), OutputTokens: atMost(tokensOf(came), req.MaxTokens)})
	}
	if err == nil && !a.begin() {
		err = errLost
	}
	if err != nil {
		return core.ModelResponse{}, err
	}
	return resp, nil
}

// asked is the target that answered, or else the one that was asked last.
func (g *Gateway) asked(j *job) string {
	t := j.answered
	if t == (Target{}) {
		t = j.route.targets[0]
		if n := len(j.attempts); n > 0 {
			t, _ = ParseTarget(j.attempts[n-1].Target)
		}
		if j.used.Tokens() == 0 { // a name that led to nothing may be anybody's invention
			return g.label(t)
		}
	}
	return t.String()
}
