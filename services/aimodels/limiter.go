package aimodels

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Limit bounds the calls that one provider gets at the same time.
type Limit struct {
	Max   int           // calls at the same time; 0 = found out from how it answers
	Queue int           // calls that wait for their turn; a further one is refused
	Wait  time.Duration // longest wait for a turn
}

// The adaptive limit grows by one call for every round of calls that went well and shrinks by a third when the provider
// says that it has too much (additive increase, multiplicative decrease; Chiu and Jain, 1989).
const (
	adaptiveStart = 64
	adaptiveMin   = 1
	adaptiveMax   = 4096
	adaptiveCut   = 2.0 / 3
)

// limiter hands out turns at one provider, in the order in which they were asked for.
type limiter struct {
	name string
	cfg  Limit

	mu        sync.Mutex
	limit     float64
	active    int
	waiting   list.List // of chan struct{}
	impatient int       // of those that wait
	cutAt     time.Time
}

func newLimiter(name string, cfg Limit) *limiter {
	l := &limiter{name: name, cfg: cfg, limit: float64(cfg.Max)}
	if cfg.Max <= 0 {
		l.limit = adaptiveStart
	}
	return l
}

// acquire returns when it is the call's turn. The error is ctx's, or one of the kind Overload. A patient call waits for as
// long as it takes and counts as none of those that wait: runs, whose number has its own bound.
func (l *limiter) acquire(ctx context.Context, patient bool) error {
	l.mu.Lock()
	if float64(l.active) < l.limit && l.waiting.Len() == 0 {
		l.active++
		l.mu.Unlock()
		return nil
	}
	if !patient && l.impatient >= l.cfg.Queue {
		l.mu.Unlock()
		return l.full("works at %d calls and has %d waiting", int(l.limit), l.cfg.Queue)
	}
	turn := make(chan struct{})
	place := l.waiting.PushBack(turn)
	var late <-chan time.Time
	if !patient {
		l.impatient++
		timer := time.NewTimer(l.cfg.Wait)
		defer timer.Stop()
		late = timer.C
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.impatient--
		}()
	}
	l.mu.Unlock()
	var err error
	select {
	case <-turn:
		return nil
	case <-late:
		err = l.full("had no turn free for %s", l.cfg.Wait)
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // it came at the last moment: pass it on
		l.active--
		l.wake()
	default:
		l.waiting.Remove(place)
	}
	return err
}

func (l *limiter) full(format string, args ...any) error {
	e := core.Errorf(core.CodeRateLimited, "provider "+l.name+" "+format+"; try again in a moment", args...)
	e.RetryAfter = time.Second
	return &CallError{Err: e, Retryable: true, overload: true, ours: true}
}

// release gives the turn back. overloaded says that the provider had too much.
func (l *limiter) release(ok, overloaded bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	if l.cfg.Max <= 0 {
		switch {
		case overloaded && now.Sub(l.cutAt) > time.Second: // many calls in flight are told at once: that is one sign
			l.limit, l.cutAt = max(adaptiveMin, l.limit*adaptiveCut), now
		case ok:
			l.limit = min(adaptiveMax, l.limit+1/l.limit)
		}
	}
	l.wake()
}

func (l *limiter) wake() {
	for l.waiting.Len() > 0 && float64(l.active) < l.limit {
		l.active++
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
	}
}

// now returns how many calls are in flight, how many wait and how many may be in flight.
func (l *limiter) now() (active, waiting, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active, l.waiting.Len(), int(l.limit)
}
