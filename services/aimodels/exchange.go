package aimodels

import (
	"context"
	"errors"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// ModelForwarder is a Forwarder whose answer depends on the model; it is asked instead of Forwards.
type ModelForwarder interface {
	ForwardsModel(model string, c *dialect.Call) bool
}

// Exchange answers a call in its client's dialect. A provider that speaks it gets the client's own bytes; any other one
// gets the call translated. Nothing has been given to out where the error came before the first word; afterwards no other
// attempt is made, since what a client has read cannot be taken back.
//
// Errors are as Chat's; *dialect.UnknownModel for a name that is not configured.
func (g *Gateway) Exchange(ctx context.Context, c *dialect.Call, out dialect.Answer) error {
	r, err := g.resolve(c.Model)
	if err != nil {
		return &dialect.UnknownModel{Err: err}
	}
	x := &exchange{g: g, call: c, out: out}
	if x.guard, err = g.guardCall(ctx, r, c); err != nil {
		return err
	}
	size := int64(len(c.Body.Bytes)) // a token is a byte long at least; images and files may count otherwise
	if c.Translate {
		if size, err = x.expand(ctx, r); err != nil {
			return err
		}
	}
	x.cached = g.answers.lookup(ctx, cacheQuery{Call: c, Route: c.Model, Revision: r.revision, Rule: r.rule()})
	x.cached.header(out)
	if x.cached.State == cacheHit {
		return x.replay(ctx, r)
	}
	x.heard = x.cached.recorder()
	answers := max(1, int(min(c.Body.Int("n"), maxAnswers))) // several answers to one call cost so many times as much
	output := min(max(c.MaxOutput, 0), maxTokens)
	if output == 0 {
		output = g.cfg.MaxOutput
	}
	a, err := g.account(ctx, r, c.Caller, bound{input: size, output: output * answers})
	if err != nil {
		return err
	}
	defer func() { a.settle(core.UsageEntry{Code: core.CodeInternal}) }() // of a defect; else it has been settled
	c.CapOutput = a.cap / answers
	if x.most = a.cap; x.most == 0 {
		x.most = min(max(c.MaxOutput, 0), maxTokens) * answers
	}
	session := c.Session
	if session == "" && r.Sticky {
		session = beginning(c)
	}
	j := &job{g: g, route: r, session: session, try: x.try, once: true, input: x.input}
	err = j.run(ctx)
	code := codeOf(err)
	if told, ok := errors.AsType[*toldError](err); ok {
		err, code = nil, codeOf(told.err) // the client has read it in its own dialect
	}
	if err != nil && j.used.Tokens() == 0 && ctx.Err() != nil && len(j.attempts) > 0 {
		// The client left while a provider worked for it, which is not for nothing.
		j.used = g.priced(g.asked(j), core.Usage{InputTokens: j.input()})
	}
	a.settle(core.UsageEntry{Model: g.asked(j), Usage: j.used, Code: code, Cache: core.CacheState(x.cached.State)})
	if code == "" {
		x.cached.storeRaw(x.heard, g.asked(j), j.used)
	}
	return err
}

// expand translates a call that means more here than its body says, such as one that goes on from an earlier answer, and
// checks what it then holds. It returns the size of that in bytes.
func (x *exchange) expand(ctx context.Context, r *route) (size int64, err error) {
	req, err := x.request()
	if err != nil {
		return 0, err
	}
	guard, err := x.g.guardRequest(ctx, r, &req)
	if err != nil {
		return 0, err
	}
	x.guard, x.req = guard, &req
	return sizeOf(req), nil
}

// input estimates how many tokens are sent.
func (x *exchange) input() int64 {
	if x.call.Translate { // its body does not hold all of it; it has been translated by now
		return estimateInput(*x.req)
	}
	return tokensOf(x.call.Body.Asked())
}

// replay answers from the cache, which costs nothing.
func (x *exchange) replay(ctx context.Context, r *route) error {
	a, err := x.g.account(ctx, &route{name: r.name}, x.call.Caller, bound{output: 1})
	if err != nil {
		return err
	}
	e := x.cached.Entry
	x.out.Header(modelHeader, e.Model)
	err = e.replay(x.out, x.call.Stream)
	used := core.Usage{InputTokens: e.Usage.InputTokens, OutputTokens: e.Usage.OutputTokens}
	a.settle(core.UsageEntry{Model: e.Model, Usage: used, Cache: core.CacheHit, SavedMicroUSD: e.Usage.CostMicroUSD})
	return err
}

// beginning is what a conversation has in common with its own earlier calls: all up to the user's first message.
func beginning(c *dialect.Call) string {
	for _, key := range []string{"messages", "input", "prompt"} {
		if v := c.Body.Get(key); v != nil {
			return string(dialect.Opening(v))
		}
	}
	return ""
}

// toldError is a failure that the provider has told in the middle of a stream, in the client's dialect.
type toldError struct{ err error }

func (e *toldError) Error() string { return e.err.Error() }
func (e *toldError) Unwrap() error { return e.err }

// exchange is the state of one Exchange.
type exchange struct {
	g     *Gateway
	call  *dialect.Call
	out   dialect.Answer
	guard *outputGuard
	most  int // tokens that the answer may have, for estimates; 0 = not bounded

	decoding sync.Once // races have two attempts at once
	req      *core.ModelRequest
	reqErr   error

	cached *cacheLookup
	heard  *cacheRecorder // nil where the answer is not kept
}

// maxAnswers is how many answers one call may ask for (OpenAI's own bound of n).
const maxAnswers = 128

// maxTokens bounds what a client says that an answer may have, so that sums stay sums.
const maxTokens = 1 << 31

// modelHeader tells which model answered.
const modelHeader = "X-SutazAI-Model"

func (x *exchange) try(ctx context.Context, a *attempt) error {
	p := x.g.providers[a.target.Provider].Provider
	if f, ok := p.(Forwarder); ok && x.guard == nil && !x.call.Translate && forwards(p, f, a.target.Model, x.call) {
		return x.forward(ctx, a, f)
	}
	req, err := x.request()
	if err != nil {
		return err
	}
	if x.call.CapOutput > 0 {
		req.MaxTokens = x.call.CapOutput
	}
	return x.translated(ctx, a, req)
}

// request translates the call, once for all attempts.
func (x *exchange) request() (core.ModelRequest, error) {
	x.decoding.Do(func() {
		req, err := x.call.Decode(x.call.Body.Bytes)
		req.Caller, req.Session = x.call.Caller, x.call.Session
		x.req, x.reqErr = &req, err
	})
	return *x.req, x.reqErr
}

func forwards(p Provider, f Forwarder, model string, c *dialect.Call) bool {
	if m, ok := p.(ModelForwarder); ok {
		return m.ForwardsModel(model, c)
	}
	return f.Forwards(c)
}

// translated makes one try through the project's own words.
func (x *exchange) translated(ctx context.Context, a *attempt, req core.ModelRequest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var undelivered error
	var onDelta func(core.Delta)
	if x.call.Stream {
		onDelta = func(d core.Delta) {
			if undelivered != nil {
				return
			}
			x.head(a)
			if undelivered = x.out.Delta(d); undelivered != nil {
				cancel() // nobody reads: the model need not go on
			}
		}
	}
	resp, err := x.g.chatOnce(ctx, a, req, x.guard, onDelta)
	if undelivered != nil {
		return &clientError{undelivered}
	}
	if err != nil {
		return err
	}
	x.head(a)
	x.cached.storeResponse(&resp)
	if err := x.out.Done(resp); err != nil {
		return &clientError{err}
	}
	return nil
}

// head sets the header that is known once a target answers.
func (x *exchange) head(a *attempt) { x.out.Header(modelHeader, a.target.String()) }
