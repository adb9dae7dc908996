package aimodels

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
)

// job is one call on its way through the targets of its route.
type job struct {
	g       *Gateway
	route   *route
	session string
	// try makes one attempt. It calls attempt.begin before its first output, and gives up where that returns false.
	try func(ctx context.Context, a *attempt) error
	// once says that output cannot be taken back: after an attempt has begun to give it, none follows.
	once bool
	// patient says that the call waits for its turn at a busy provider for as long as it takes.
	patient bool
	// input is how many tokens are sent, by estimate: what a target that was overtaken is taken to have cost.
	input func() int64
	// again is asked before another attempt after one that has used something; nil = always. Its error ends the call.
	again func(ctx context.Context, used core.Usage) error

	mu       sync.Mutex
	attempts []core.Attempt
	used     core.Usage // by all attempts, or those since again was asked last
	answered Target     // the target whose answer it is
	began    atomic.Bool
}

// attempt is one try of one target.
type attempt struct {
	job    *job
	number int // from 1, over all targets of the call
	target Target
	runner int   // of a race, which of its two
	race   *race // nil where only one target is asked
	start  time.Time
	first  time.Duration // until the first output; 0 = none yet
	usage  core.Usage    // set by the try, also by one that broke after it had begun to give output
}

// begin is called before an attempt's output goes out, each time. false: another target was faster.
func (a *attempt) begin() bool {
	if a.first == 0 {
		a.first = max(time.Since(a.start), 1)
		if a.race != nil && !a.race.win(a.runner) {
			a.first = 0
			return false
		}
		a.job.began.Store(true)
	}
	return true
}

// errLost ends an attempt that another one has overtaken.
var errLost = errors.New("another target was faster")

// clientError is an answer that could not be delivered: it says nothing about the target.
type clientError struct{ err error }

func (e *clientError) Error() string { return e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }

// run tries the targets until one answers. Its error is the last one, with every attempt.
func (j *job) run(ctx context.Context) error {
	targets := j.g.order(j.route, j.session)
	var last error
	for i := 0; i < len(targets); i++ {
		var err error
		if j.route.Hedge > 0 && i+1 < len(targets) {
			err = j.hedged(ctx, targets[i], targets[i+1])
			i++
		} else {
			err = j.target(ctx, targets[i], nil, 0)
		}
		if err == nil {
			return nil
		}
		last = err
		if j.settled() || !j.route.fallsBack(err) {
			break
		}
		if err := j.more(ctx); err != nil {
			last = err
			break
		}
	}
	if cerr := ctx.Err(); cerr != nil {
		last = cerr
	}
	return &AttemptsError{Err: last, Attempts: j.attempts}
}

// settled says that no further attempt is possible.
func (j *job) settled() bool { return j.once && j.began.Load() }

// target tries one target until it answers, fails for good or has had its tries.
func (j *job) target(ctx context.Context, t Target, r *race, runner int) error {
	g := j.g
	state := g.targets.get(t)
	limit := g.limiters[t.Provider]
	var failed error
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !g.permit(state) {
			if failed != nil {
				return failed // it opened during this call; the reason says more than that
			}
			return openError(state)
		}
		if err := limit.acquire(ctx, j.patient); err != nil {
			if state.breaker.IsHalfOpen() {
				state.breaker.Open() // the permit was not used
			}
			return err
		}
		err := j.held(ctx, limit, func() error { return j.attempt(ctx, t, state, r, runner) })
		if err == nil {
			return nil
		}
		failed = err
		ce, ok := asCallError(err)
		if !ok || !ce.Retryable || n >= g.cfg.Attempts || j.settled() {
			return err
		}
		wait, ok := g.backoff(n, ce.Err.RetryAfter)
		if !ok {
			return err // the server asks for more patience than a call has; the caller may park
		}
		g.cfg.Logger.WarnContext(ctx, "model call failed, trying again", "target", t.String(), "try", n, "wait", wait, "error", err)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if err := j.more(ctx); err != nil {
			return err
		}
	}
}

// held makes a try with a turn at the provider, which is given back whatever happens.
func (j *job) held(ctx context.Context, limit *limiter, try func() error) (err error) {
	ok := false
	defer func() {
		kind, known := failureOf(err)
		limit.release(ok && err == nil, known && kind == Overload, time.Now())
	}()
	err = try()
	ok = true
	return err
}

// more asks whether there may be another attempt after what the earlier ones have used.
func (j *job) more(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.again == nil || j.used.Tokens() == 0 {
		return nil
	}
	err := j.again(ctx, j.used)
	j.used = core.Usage{}
	return err
}

// attempt makes one try and records it.
func (j *job) attempt(ctx context.Context, t Target, state *targetState, r *race, runner int) error {
	g := j.g
	a := &attempt{job: j, target: t, race: r, runner: runner, start: time.Now()}
	j.mu.Lock()
	a.number = len(j.attempts) + 1
	j.attempts = append(j.attempts, core.Attempt{StartedAt: a.start.UTC(), Target: t.String()})
	j.mu.Unlock()

	tctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	err := j.try(tctx, a)
	if err != nil {
		err = g.explain(ctx, t, err)
	}
	lost := r != nil && r.lost(runner, err)
	if lost && a.usage.Tokens() == 0 { // it was cancelled while it worked
		a.usage = g.priced(t.String(), core.Usage{InputTokens: j.input()})
	}
	end := time.Now()
	record(ctx, state.breaker, err)
	state.note(err, a.first, a.usage.CostMicroUSD, end)

	j.mu.Lock()
	done := &j.attempts[a.number-1]
	done.FinishedAt = new(end.UTC())
	if err != nil {
		done.Error = attemptText(err)
	}
	j.used = j.used.Add(a.usage)
	if err == nil {
		j.answered = t
	}
	j.mu.Unlock()
	if g.cfg.Observe != nil && !lost {
		o := Observation{Target: g.label(t), Took: end.Sub(a.start), FirstDelta: a.first, Usage: a.usage}
		if err != nil {
			o.Code = codeOf(err)
		}
		g.cfg.Observe(o)
	}
	return err
}

// explain turns the end of a context into what it means: the caller's own end stays as it is, ours is a timeout.
func (g *Gateway) explain(ctx context.Context, t Target, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &CallError{Err: core.Wrap(core.CodeTimeout, err, "model %s did not finish its answer within %s; ask for a shorter one", t, g.cfg.Timeout)}
	}
	return err
}

// race is between two targets of which the first to give output answers.
type race struct {
	mu     sync.Mutex
	winner int           // which of the two; -1 = none yet
	won    chan struct{} // closed when there is one
}

func (r *race) win(runner int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.winner < 0 {
		r.winner = runner
		close(r.won)
	}
	return r.winner == runner
}

// lost says whether a try ended because the other target has won.
func (r *race) lost(runner int, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Is(err, errLost) || errors.Is(err, context.Canceled) && r.winner >= 0 && r.winner != runner
}

// hedged asks a second target when the first has given nothing for a while, or has failed. The slower one is cancelled.
func (j *job) hedged(ctx context.Context, first, second Target) error {
	type result struct {
		runner int
		err    error
	}
	r := &race{winner: -1, won: make(chan struct{})}
	results := make(chan result, 2)
	targets, running, answered := [2]Target{first, second}, 0, false
	var cancels [2]context.CancelFunc
	ask := func(runner int) {
		tctx, cancel := context.WithCancel(ctx)
		cancels[runner] = cancel
		running++
		go func() { results <- result{runner, j.target(tctx, targets[runner], r, runner)} }() // its end is waited for below
	}
	defer func() {
		for _, cancel := range cancels {
			if cancel != nil {
				cancel()
			}
		}
	}()
	ask(0)
	timer := time.NewTimer(j.route.Hedge)
	defer timer.Stop()
	var last error
	won := r.won
	for running > 0 {
		select {
		case <-timer.C:
			if cancels[1] == nil && won != nil { // after the first word nobody else is asked
				ask(1)
			}
		case <-won:
			won = nil
			if loser := 1 - r.winner; cancels[loser] != nil {
				cancels[loser]()
			}
		case got := <-results:
			running--
			switch {
			case got.err == nil:
				answered = true
			case r.lost(got.runner, got.err):
			default:
				last = got.err
				if cancels[1] == nil && ctx.Err() == nil && !j.settled() && j.route.fallsBack(got.err) {
					ask(1)
				}
			}
		}
	}
	if answered {
		return nil
	}
	if last == nil { // cannot be: one of two does not lose
		last = errLost
	}
	return last
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
	if errors.Is(err, errLost) {
		return errLost.Error()
	}
	return core.MessageOf(err)
}

func codeOf(err error) core.Code {
	if _, ok := errors.AsType[*core.Error](err); !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return core.CodeCancelled
	}
	return core.CodeOf(err)
}
