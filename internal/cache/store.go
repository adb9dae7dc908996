package cache

import (
	"context"
	"log/slog"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"golang.org/x/time/rate"

	"github.com/sutazai/sutazai/core"
)

// Store is the table that replicas share. Every call is short: it honours ctx, and none holds a lock for long.
type Store interface {
	// Get returns the rows that there are of these, in any order, expired ones included. Their spaces may be
	// left out.
	Get(ctx context.Context, ids [][32]byte) ([]core.CacheRow, error)
	// List returns the newest rows of exactly this space that were made after a time, the oldest of them first.
	List(ctx context.Context, space core.CacheSpace, after time.Time, limit int) ([]core.CacheRow, error)
	// Put writes rows, in the place of those with the same id. The ids of one call differ.
	Put(ctx context.Context, rows []core.CacheRow) error
	// Remove deletes single rows.
	Remove(ctx context.Context, ids [][32]byte) error
	// Delete deletes all rows that a filter covers, but those of the kind core.CachePurge.
	Delete(ctx context.Context, within core.CacheSpace) error
	// Expire deletes at most limit rows whose time is over, and says how many.
	Expire(ctx context.Context, now time.Time, limit int) (int, error)
	// Shrink deletes at most limit rows, those first that expire first, and says how many bytes they held.
	Shrink(ctx context.Context, limit int) (int64, error)
	// Size is the number of bytes that the values of all rows hold.
	Size(ctx context.Context) (int64, error)
}

// What the table may take before it counts as failed, and what then happens.
const (
	breakerAfter = 3                // failures in a row
	breakerDelay = 5 * time.Second  // for which it is left alone
	logEvery     = 30 * time.Second // at most one line about failures
	writeTimeout = 2 * time.Second  // of a batch, or one piece of housekeeping
)

// table guards a Store: it bounds the time of each call and stops calling one that fails.
type table struct {
	store   Store
	timeout time.Duration // of a lookup
	breaker circuitbreaker.CircuitBreaker[any]
	log     *slog.Logger
	often   rate.Sometimes
	observe func(Observation)
}

func newTable(o Options) *table {
	return &table{
		store: o.Store, timeout: o.Timeout, log: o.Logger, observe: o.Observe,
		often:   rate.Sometimes{Interval: logEvery},
		breaker: circuitbreaker.NewBuilder[any]().WithFailureThreshold(breakerAfter).WithSuccessThreshold(1).WithDelay(breakerDelay).Build(),
	}
}

// try makes one call. Whoever asked may have left meanwhile; what the table says of its health counts all the same, and
// the time is short. It returns false where the call failed or was not made.
func (t *table) try(ctx context.Context, kind, doing string, limit time.Duration, call func(context.Context) error) bool {
	if !t.breaker.TryAcquirePermit() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := call(ctx); err != nil {
		t.breaker.RecordFailure()
		t.observe(Observation{Kind: kind, Result: Failure})
		t.often.Do(func() {
			t.log.Warn("the table of the cache failed; the cache goes on in memory", "doing", doing, "error", err)
		})
		return false
	}
	t.breaker.RecordSuccess()
	return true
}
