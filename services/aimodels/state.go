package aimodels

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sutazai/sutazai/core"
)

// maxTargets is how many targets' states are kept before those with nothing worth remembering are forgotten: names come
// from callers, so there is no end of them.
const maxTargets = 512

// targetState is what the gateway remembers of one target.
type targetState struct {
	target  Target
	breaker circuitbreaker.CircuitBreaker[any]

	mu        sync.Mutex
	failure   string // why it failed last
	limited   bool   // it was the provider's limit (429)
	failedAt  time.Time
	firstWord time.Duration // moving average; 0 = not known
	calls     int64
	failures  int64
	cost      int64
}

type targetStates struct {
	mu    sync.RWMutex
	all   map[Target]*targetState
	after uint
	delay time.Duration
	other map[string]time.Duration // delays of providers, where they differ
	named map[Target]bool          // kept for good
	log   *slog.Logger
}

func newTargetStates(c Config, named map[Target]bool) *targetStates {
	return &targetStates{all: map[Target]*targetState{}, after: c.BreakerAfter, delay: c.BreakerDelay, other: c.Probes, named: named, log: c.Logger}
}

// get returns the state of a target, made at its first call.
func (s *targetStates) get(t Target) *targetState {
	s.mu.RLock()
	state, ok := s.all[t]
	s.mu.RUnlock()
	if ok {
		return state
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state, ok := s.all[t]; ok {
		return state
	}
	if len(s.all) >= maxTargets {
		maps.DeleteFunc(s.all, func(t Target, st *targetState) bool { return !s.named[t] && st.breaker.IsClosed() })
		for t := range s.all { // of those that only callers have named, any goes
			if len(s.all) < maxTargets*3/4 {
				break
			}
			if !s.named[t] {
				delete(s.all, t)
			}
		}
	}
	state = &targetState{target: t}
	delay := s.delay
	if d := s.other[t.Provider]; d > 0 {
		delay = d
	}
	state.breaker = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(s.after).
		WithSuccessThreshold(1).
		WithDelay(delay).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			s.log.Warn("circuit breaker changed", "target", t.String(), "from", e.OldState.String(), "to", e.NewState.String())
		}).
		Build()
	s.all[t] = state
	return state
}

// peek returns the state of a target that was called before.
func (s *targetStates) peek(t Target) (*targetState, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	state, ok := s.all[t]
	return state, ok
}

func (s *targetStates) list() []*targetState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*targetState, 0, len(s.all))
	for _, state := range s.all {
		out = append(out, state)
	}
	return out
}

func (s *targetState) latency() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.firstWord
}

// note takes note of a finished try.
func (s *targetState) note(err error, first time.Duration, cost int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.cost += cost
	if err != nil {
		if errors.Is(err, errLost) || errors.Is(err, context.Canceled) {
			return // it says nothing about the target
		}
		ce, ok := asCallError(err)
		if ok && ce.theirs {
			return
		}
		s.failures++
		if ok && ce.faulty() {
			s.failure, s.limited, s.failedAt = core.MessageOf(err), ce.Err.Code == core.CodeRateLimited, now
		}
		return
	}
	s.failure = ""
	if first > 0 {
		if s.firstWord == 0 {
			s.firstWord = first
		} else {
			s.firstWord += (first - s.firstWord) / 5
		}
	}
}

// lastFailure tells why it failed last, and whether that was the provider's limit.
func (s *targetState) lastFailure() (why string, limited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure, s.limited && s.failure != ""
}

// word returns "closed", "open" or "half_open".
func (s *targetState) word() string {
	switch s.breaker.State() {
	case circuitbreaker.OpenState:
		return "open"
	case circuitbreaker.HalfOpenState:
		return "half_open"
	default:
		return "closed"
	}
}
