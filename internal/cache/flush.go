package cache

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Bounds of what waits to be written, and of one batch: a batch is one transaction, and other writers wait for it.
const (
	queueRows   = 4096
	queueBytes  = 16 << 20
	batchRows   = 64
	batchBytes  = 256 << 10
	retryEvery  = time.Second // where the second level is being left alone
	closeWithin = 3 * time.Second
)

// queue holds entries that are in memory and not yet in the second level.
type queue struct {
	mu      sync.Mutex
	entries []entry
	bytes   int
	closed  bool
	wake    chan struct{} // there is something
	full    chan struct{} // there is a batch
}

// add returns false where there is no room.
func (q *queue) add(e entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.entries) >= queueRows || q.bytes+len(e.value) > queueBytes {
		return false
	}
	q.entries = append(q.entries, e)
	q.bytes += len(e.value)
	signal(q.wake)
	if len(q.entries) >= batchRows || q.bytes >= batchBytes {
		signal(q.full)
	}
	return true
}

// take returns a batch, the oldest entries first; of several for one key the last one.
func (q *queue) take() []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.entries) && n < batchRows && (n == 0 || size+len(q.entries[n].value) <= batchBytes) {
		size += len(q.entries[n].value)
		n++
	}
	batch := slices.Clone(q.entries[:n])
	q.bytes -= size
	q.entries = slices.Delete(q.entries, 0, n)
	if len(q.entries) == 0 {
		q.entries = nil // give back what a rush has taken
	}
	return batch
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries) == 0
}

func (q *queue) drop(gone func(entry) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.entries = slices.DeleteFunc(q.entries, func(e entry) bool {
		if !gone(e) {
			return false
		}
		q.bytes -= len(e.value)
		return true
	})
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run is the cache's goroutine: it writes batches and keeps house until Close.
func (c *Cache) run() {
	defer close(c.done)
	ctx := context.Background()
	house := time.NewTicker(houseEvery)
	defer house.Stop()
	var flush <-chan time.Time // nil while nothing waits
	keeper := &keeper{cache: c}
	for {
		select {
		case <-c.stop:
			c.queue.close()
			ctx, cancel := context.WithTimeout(ctx, closeWithin)
			defer cancel()
			for ctx.Err() == nil && c.flush(ctx) {
			}
			return
		case <-c.queue.wake:
			if flush == nil {
				flush = time.After(c.o.FlushEvery)
			}
			continue
		case <-house.C:
			keeper.keep(ctx)
			continue
		case <-c.queue.full:
		case <-flush:
		}
		for c.flush(ctx) {
		}
		flush = nil
		if !c.queue.empty() {
			flush = time.After(retryEvery)
		}
	}
}

// flush writes one batch and says whether there may be another one to write now. A batch that fails is given up: its
// entries are in memory, and what is wrong with it may be wrong for good.
func (c *Cache) flush(ctx context.Context) (more bool) {
	if c.queue.empty() || c.table.breaker.RemainingDelay() > 0 {
		return false
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	batch := c.queue.take()
	rows := make(map[[32]byte]core.CacheRow, len(batch))
	now := c.o.Now()
	for _, e := range batch {
		if !alive(e.expires, now) {
			continue
		}
		id := rowID(e.space, e.key)
		rows[id] = core.CacheRow{ID: id, Space: e.space, Value: pack(id, e.value), CreatedAt: e.created, ExpiresAt: e.expires}
	}
	if len(rows) == 0 {
		return true
	}
	// In one order everywhere, so that replicas that write the same rows never wait for each other in a ring.
	sorted := make([]core.CacheRow, 0, len(rows))
	for _, r := range rows {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b core.CacheRow) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	ok := c.table.try(ctx, "", "write", writeTimeout, func(ctx context.Context) error { return c.o.Store.Put(ctx, sorted) })
	if !ok {
		for _, r := range sorted {
			c.observe(r.Space, Dropped)
		}
	}
	return true
}
