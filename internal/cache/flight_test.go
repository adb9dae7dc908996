package cache_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
)

func TestIdenticalMissesAreAskedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options{})
		var calls, shares atomic.Int32
		for range 20 {
			go func() {
				v, shared, err := c.Do(t.Context(), space("p"), key(1), func(context.Context) ([]byte, error) {
					calls.Add(1)
					time.Sleep(time.Second)
					return []byte("v"), nil
				})
				if err != nil || string(v) != "v" {
					t.Errorf("%q, %v", v, err)
				}
				if shared {
					shares.Add(1)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		if calls.Load() != 1 || shares.Load() != 19 {
			t.Errorf("%d calls, %d shared answers", calls.Load(), shares.Load())
		}
	})
}

func TestALeaderThatLeavesDoesNotFailItsFollowers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options{})
		leader, leave := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() {
			_, _, err := c.Do(leader, space("p"), key(1), func(ctx context.Context) ([]byte, error) {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(time.Second):
					return []byte("v"), nil
				}
			})
			ended <- err
		}()
		synctest.Wait()
		go func() {
			v, shared, err := c.Do(t.Context(), space("p"), key(1), func(context.Context) ([]byte, error) {
				return nil, errors.New("asked twice")
			})
			if string(v) != "v" || !shared {
				t.Errorf("the follower got %q (shared: %v)", v, shared)
			}
			ended <- err
		}()
		synctest.Wait()
		leave()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the leader: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the follower: %v", err)
		}
	})
}

func TestACallEndsWhenNobodyWaitsOrTheCacheCloses(t *testing.T) {
	t.Parallel()
	forever := func(ctx context.Context) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Options{})
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, _, err := c.Do(ctx, space("p"), key(1), forever); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whoever left: %v", err)
		}
		v, shared, err := c.Do(t.Context(), space("p"), key(1), func(context.Context) ([]byte, error) { return []byte("new"), nil })
		if string(v) != "new" || shared || err != nil {
			t.Errorf("the call after an abandoned one: %q (shared: %v), %v", v, shared, err)
		}
		go func() {
			if _, _, err := c.Do(t.Context(), space("p"), key(2), forever); !errors.Is(err, context.Canceled) {
				t.Errorf("at the cache's end: %v", err)
			}
		}()
		synctest.Wait()
		c.Close()
		if _, _, err := c.Do(t.Context(), space("p"), key(3), forever); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("after the cache's end: %v", err)
		}
	})
}

func TestErrorsAndPanicsReachEverybodyAndAreNotKept(t *testing.T) {
	t.Parallel()
	c := open(t, cache.Options{})
	if _, _, err := c.Do(t.Context(), space("p"), key(1), func(context.Context) ([]byte, error) { return nil, errStore }); !errors.Is(err, errStore) {
		t.Errorf("an error: %v", err)
	}
	if _, _, err := c.Do(t.Context(), space("p"), key(1), func(context.Context) ([]byte, error) { panic("oh") }); core.CodeOf(err) != core.CodeInternal {
		t.Errorf("a panic: %v", err)
	}
	if v, _, err := c.Do(t.Context(), space("p"), key(1), func(context.Context) ([]byte, error) { return []byte("v"), nil }); string(v) != "v" || err != nil {
		t.Errorf("afterwards: %q, %v", v, err)
	}
}
