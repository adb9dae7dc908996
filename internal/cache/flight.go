package cache

import (
	"context"
	"fmt"
	"sync"

	"github.com/sutazai/sutazai/core"
)

// flights are the calls that Do has under way.
type flights struct {
	mu     sync.Mutex
	byKey  map[memoryKey]*flight
	closed bool
	group  sync.WaitGroup
}

// flight is one call, for everybody who asked for the same.
type flight struct {
	done    chan struct{} // closed when value and err are set
	value   []byte
	err     error
	waiting int
	cancel  context.CancelFunc
}

// Do makes a call, or waits for the same one that is under way: of identical misses only the first one asks. fn runs with
// the first caller's values, but its context ends only when everybody who waits has left, or the cache closes: nobody's
// leaving fails the others. shared says that the value was another caller's doing. An error goes to everybody who waits.
// What is to be kept, fn puts into the cache itself. Errors: fn's, or that of ctx.
func (c *Cache) Do(ctx context.Context, space core.CacheSpace, key [32]byte, fn func(context.Context) ([]byte, error)) (value []byte, shared bool, err error) {
	f, shared, err := c.flights.join(ctx, memoryKey{space, key}, fn)
	if err != nil {
		return nil, false, err
	}
	select {
	case <-f.done:
		return f.value, shared, f.err
	case <-ctx.Done():
		c.flights.leave(memoryKey{space, key}, f)
		return nil, shared, ctx.Err()
	}
}

func (s *flights) join(ctx context.Context, k memoryKey, fn func(context.Context) ([]byte, error)) (f *flight, joined bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, core.Errorf(core.CodeUnavailable, "the server is stopping; try again")
	}
	if f, ok := s.byKey[k]; ok {
		f.waiting++
		return f, true, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f = &flight{done: make(chan struct{}), waiting: 1, cancel: cancel}
	if s.byKey == nil {
		s.byKey = map[memoryKey]*flight{}
	}
	s.byKey[k] = f
	s.group.Go(func() {
		defer cancel()
		f.value, f.err = guarded(ctx, fn)
		s.forget(k, f)
		close(f.done)
	})
	return f, false, nil
}

// guarded turns a panic, which would end the program from this goroutine, into an error.
func guarded(ctx context.Context, fn func(context.Context) ([]byte, error)) (value []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, core.Wrap(core.CodeInternal, fmt.Errorf("panic: %v", p), "internal error; the server's log has the details")
		}
	}()
	return fn(ctx)
}

// leave takes one who waits away. The last one ends the call, and whoever comes then begins a new one.
func (s *flights) leave(k memoryKey, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		f.cancel()
		if s.byKey[k] == f {
			delete(s.byKey, k)
		}
	}
}

func (s *flights) forget(k memoryKey, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[k] == f {
		delete(s.byKey, k)
	}
}

// close cancels all calls and waits for their ends.
func (s *flights) close() {
	s.mu.Lock()
	s.closed = true
	for _, f := range s.byKey {
		f.cancel()
	}
	s.mu.Unlock()
	s.group.Wait()
}
