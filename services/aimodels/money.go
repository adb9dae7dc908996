package aimodels

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

// Money reserves what a call may cost before it is made and accounts for it after. *budget.Ledger implements it.
type Money interface {
	// Reserve fails with core.CodeLimit where a budget has not so much left.
	Reserve(ctx context.Context, c core.Caller, most core.Amount) (*budget.Reservation, error)
	// Settle is called once for each reservation; it never waits for the database.
	Settle(e core.UsageEntry, r *budget.Reservation)
}

// TokenLimit bounds how many tokens an API key uses a minute. *ratelimit.Limiter implements it.
type TokenLimit interface {
	Take(key string, n int64) ratelimit.Verdict
	Correct(key string, n int64)
}

// bound is what is known of a call before it is made.
type bound struct {
	input  int64 // tokens
	output int   // tokens that the caller allows; 0 = not said
	cost   int64 // what the call may cost at most, in millionths of a US dollar; 0 = no limit of its own
}

// account is the reservation of one call.
type account struct {
	g        *Gateway
	caller   core.Caller
	route    string
	cap      int // tokens that the answer may have so that the reservation holds; 0 = as the caller says
	reserved *budget.Reservation
	tokens   int64 // taken from the key's limit; 0 = it has none
	began    time.Time
	settled  bool
}

// account reserves the most that the call can cost at any target of its route. Where money is limited, the answer's
// length is too, so that the reservation is enough.
func (g *Gateway) account(ctx context.Context, r *route, c core.Caller, b bound) (*account, error) {
	a := &account{g: g, caller: c, route: r.name, began: time.Now()}
	output := min(b.output, maxTokens)
	if output <= 0 {
		output = g.cfg.MaxOutput
	}
	price := g.dearest(r)
	if b.cost > 0 && price.Output > 0 {
		most := int((float64(b.cost) - price.Input*float64(b.input)) / price.Output)
		if most < 1 {
			return nil, core.Errorf(core.CodeLimit, "what is left of the cost limit does not pay for a call of %q; raise the limit or choose a cheaper model", r.title())
		}
		if most < output {
			output = most
			a.cap = output
		}
	}
	asked := output
	if r.Hedge > 0 && len(r.targets) > 1 { // two targets may work for one answer
		b.input *= 2
		output *= 2
	}
	if err := a.take(b.input + int64(output)); err != nil {
		return nil, err
	}
	if g.cfg.Money == nil {
		return a, nil
	}
	most := core.Amount{Tokens: b.input + int64(output), CostMicroUSD: price.of(core.Usage{InputTokens: b.input, OutputTokens: int64(output)})}
	var err error
	if a.reserved, err = g.cfg.Money.Reserve(ctx, c, most); err != nil {
		a.correct(0)
		return nil, err
	}
	if a.reserved.Limited() {
		a.cap = asked
	}
	return a, nil
}

// take takes the most tokens that the call may use from what the caller's key has for this minute. A run's calls are not
// held up: they are paced by its own limits.
func (a *account) take(n int64) error {
	if a.g.cfg.Tokens == nil || a.caller.Key == "" || a.caller.Run != "" {
		return nil
	}
	v := a.g.cfg.Tokens.Take(a.caller.Key, n)
	if !v.OK {
		e := core.Errorf(core.CodeRateLimited, "this API key has used its tokens of this minute, and the call may need %d; try again in %d s, or ask for a shorter answer", n, v.RetryAfter)
		e.RetryAfter = time.Duration(v.RetryAfter) * time.Second
		return e
	}
	a.tokens = n
	return nil
}

// correct makes what was taken what was used.
func (a *account) correct(used int64) {
	if a.tokens > 0 {
		a.g.cfg.Tokens.Correct(a.caller.Key, used-a.tokens)
		a.tokens = 0
	}
}

// settle accounts for the call, once; the fields that the account knows itself are filled in.
func (a *account) settle(e core.UsageEntry) {
	if a.settled {
		return
	}
	a.settled = true
	if e.Cache == core.CacheHit {
		a.correct(0)
	} else {
		a.correct(e.Usage.Tokens())
	}
	if a.g.cfg.Money == nil {
		return
	}
	now := time.Now()
	e.At, e.Took, e.Caller, e.Route = now.UTC(), now.Sub(a.began), a.caller, a.route
	if e.Kind == "" {
		e.Kind = core.UsageChat
	}
	if e.Cache == "" {
		e.Cache = core.CacheBypass
	}
	a.g.cfg.Money.Settle(e, a.reserved)
}

// dearest returns the highest prices among a route's targets.
func (g *Gateway) dearest(r *route) Price {
	var most Price
	for _, t := range r.targets {
		p := g.cfg.price(t)
		most.Input, most.Output = max(most.Input, p.Input), max(most.Output, p.Output)
	}
	return most
}

func (r *route) title() string {
	if r.name != "" {
		return r.name
	}
	return r.targets[0].String()
}
