package peers

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// maxFresh is how often a turn is begun anew because the program ended before it had been given anything.
const maxFresh = 1

// Turn is how far a turn with a program has come.
type Turn struct {
	Begun bool // the program has been given the turn's message
	Deaf  bool // it did not stop when it was asked to

	clock *clock
}

// Pause stops the clock of the turn's time until the returned function is called: people are slow.
func (t *Turn) Pause() func() { return t.clock.pause() }

// Context ends with the turn.
func (t *Turn) Context() context.Context { return t.clock.ctx }

// Leaving says whether a turn is let go because this server stops: then it is not called off, but taken up again later.
func Leaving(ctx context.Context) bool {
	return core.CodeOf(context.Cause(ctx)) == core.CodeUnavailable
}

// Take makes a turn: try is called with a running program. It is called again when the program ends under it: once before
// Begun, once after it, so that it can look up what became of the turn. A begun turn that cannot be taken up is CodeConflict,
// one that takes too long CodeTimeout.
func (p *Programs[T]) Take(ctx context.Context, t *Turn, run, dir string, try func(ctx context.Context, conn T) error) error {
	name := p.spec.Name
	t.clock = newClock(ctx, p.spec.Timeout)
	defer t.clock.stop()
	recovered := false
	for fresh := 0; ; {
		err := p.attempt(t.clock.ctx, t, run, dir, try)
		unknown := t.Begun && (core.CodeOf(err) == core.CodeUnavailable)
		switch {
		case err == nil:
			return nil
		case errors.Is(context.Cause(t.clock.ctx), errTooLong):
			return core.Errorf(core.CodeTimeout, "%s did not finish its turn within %s (peers.%s.timeout); it was stopped", name, p.spec.Timeout, name)
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, errEnded) && !unknown:
			return err
		case !t.Begun && fresh < maxFresh:
			fresh++
		case errors.Is(err, errEnded) && t.Begun && !recovered:
			recovered = true
			p.Log("run " + run + ": the program ended in the middle of a turn; what became of it is looked up")
		case t.Begun:
			return core.Wrap(core.CodeConflict, err, "%s; what it had begun may or may not be done", core.MessageOf(err))
		default:
			return err
		}
	}
}

// errEnded says that the program is gone; it is wrapped in what is told of it.
var errEnded = errors.New("the program ended")

// attempt calls try with a running program.
func (p *Programs[T]) attempt(ctx context.Context, t *Turn, run, dir string, try func(ctx context.Context, conn T) error) error {
	use, err := p.get(ctx, run, dir)
	if err != nil {
		return err
	}
	err = p.explain(use, try(ctx, use.Conn))
	ended := false
	select {
	case <-use.Conn.Done():
		ended = true
	default:
	}
	switch {
	case ctx.Err() != nil: // stopped by us: a program that does not answer is not used again
		use.done(ended || t.Deaf, nil)
		return ctx.Err()
	case ended:
		use.done(true, err)
		if core.CodeOf(err) == core.CodeUnavailable {
			return core.Wrap(core.CodeUnavailable, errors.Join(errEnded, err), "%s", core.MessageOf(err))
		}
	default:
		use.done(false, nil)
	}
	return p.Broken(err)
}

// Broken says whose message it was that has a field wrong.
func (p *Programs[T]) Broken(err error) error {
	e, ok := errors.AsType[*core.Error](err)
	if !ok || e.Code != core.CodeInvalid && e.Code != core.CodeTooLarge || strings.HasPrefix(e.Message, p.spec.Name+" ") {
		return err
	}
	out := *e
	out.Message = p.spec.Name + " does not keep to " + p.spec.Protocol + ": " + e.Message
	return &out
}

// Clip shortens a text that a program wrote, for a message or the log.
func Clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// clock ends a turn that takes too long. It stands while a person is asked.
type clock struct {
	ctx    context.Context //nolint:containedctx // it is the turn's
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	timer  *time.Timer
	left   time.Duration
	since  time.Time
	asking int
}

var errTooLong = errors.New("the turn took too long")

func newClock(ctx context.Context, d time.Duration) *clock {
	c := &clock{left: d, since: time.Now()}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(d, func() { c.cancel(errTooLong) })
	return c
}

func (c *clock) pause() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking++; c.asking == 1 && c.timer.Stop() {
		c.left -= time.Since(c.since)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.asking--; c.asking == 0 && c.ctx.Err() == nil {
			c.since = time.Now()
			c.timer.Reset(c.left)
		}
	}
}

func (c *clock) stop() {
	c.timer.Stop()
	c.cancel(nil)
}
