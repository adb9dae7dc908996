package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

// How the house is kept: replicas hear of deletions within houseEvery; every sweepRounds-th round also removes what has
// expired or does not fit.
const (
	houseEvery  = 10 * time.Second
	sweepRounds = 6
	sweepRows   = 200 // deleted in one transaction
	sweepTimes  = 50  // transactions in one round; what is left waits for the next
	purgeFor    = time.Hour
	purgeLimit  = 1000 // deletions that are heard of, of those within purgeFor
	deleteLimit = 5 * time.Minute
)

// keeper is what the cache's goroutine remembers of its housekeeping.
type keeper struct {
	cache  *Cache
	rounds int
	heard  map[string]bool // deletions by whatever replica that have been carried out here
}

func (k *keeper) keep(ctx context.Context) {
	c := k.cache
	k.rounds++
	sweep := k.rounds%sweepRounds == 0
	if sweep {
		now := c.o.Now()
		c.memory.drop(func(e entry) bool { return !alive(e.expires, now) })
	}
	if c.table == nil {
		return
	}
	k.hear(ctx)
	if sweep {
		c.sweep(ctx)
	}
}

// hear carries out what other replicas have deleted.
func (k *keeper) hear(ctx context.Context) {
	c := k.cache
	values, ok := c.List(ctx, purgeSpace(), c.o.Now().Add(-purgeFor), purgeLimit, writeTimeout)
	if !ok {
		return
	}
	heard := make(map[string]bool, len(values))
	for _, v := range values {
		heard[string(v)] = true
		var p purge
		if !k.heard[string(v)] && json.Unmarshal(v, &p) == nil {
			c.forgetAll(core.CacheSpace{Kind: p.Kind, Project: p.Project, Route: p.Route, Group: p.Group})
		}
	}
	k.heard = heard
}

// sweep deletes rows that have expired, and then, if the table is still too large, those that expire first.
func (c *Cache) sweep(ctx context.Context) {
	t := c.table
	for range sweepTimes {
		var n int
		if !t.try(ctx, "", "remove expired rows", writeTimeout, func(ctx context.Context) (err error) {
			n, err = t.store.Expire(ctx, c.o.Now(), sweepRows)
			return err
		}) {
			return
		}
		if n < sweepRows {
			break
		}
	}
	var size int64
	if !t.try(ctx, "", "measure the table", writeTimeout, func(ctx context.Context) (err error) {
		size, err = t.store.Size(ctx)
		return err
	}) {
		return
	}
	for i := 0; i < sweepTimes && size > c.o.TableBytes; i++ {
		var freed int64
		if !t.try(ctx, "", "shrink the table", writeTimeout, func(ctx context.Context) (err error) {
			freed, err = t.store.Shrink(ctx, sweepRows)
			return err
		}) || freed <= 0 {
			return
		}
		size -= freed
	}
}

// purge is the value of a row that tells of a deletion.
type purge struct {
	ID      string `json:"id"` // makes each deletion another one
	Kind    string `json:"kind"`
	Project string `json:"project"`
	Route   string `json:"route"`
	Group   string `json:"group"`
}

func purgeSpace() core.CacheSpace { return core.CacheSpace{Kind: core.CachePurge} }

// Delete deletes all entries that a filter covers, in both levels; other replicas follow within seconds. An answer that
// was asked for before and arrives afterwards is kept again. Error: the second level failed, and entries may be left.
func (c *Cache) Delete(ctx context.Context, within core.CacheSpace) error {
	c.forgetAll(within)
	if c.table == nil {
		return nil
	}
	c.writing.Lock() // a batch that is on its way is waited for, and deleted
	defer c.writing.Unlock()
	ctx, cancel := context.WithTimeout(ctx, deleteLimit)
	defer cancel()
	if err := c.o.Store.Delete(ctx, within); err != nil {
		return fmt.Errorf("delete entries of the cache: %w", err)
	}
	value, err := json.Marshal(purge{uuid.NewString(), within.Kind, within.Project, within.Route, within.Group})
	if err != nil {
		return fmt.Errorf("tell of a deletion in the cache: %w", err)
	}
	now := c.o.Now()
	id := rowID(purgeSpace(), sha256.Sum256(value))
	row := core.CacheRow{ID: id, Space: purgeSpace(), Value: pack(id, value), CreatedAt: now, ExpiresAt: now.Add(purgeFor)}
	if err := c.o.Store.Put(ctx, []core.CacheRow{row}); err != nil {
		return fmt.Errorf("tell other replicas of a deletion in the cache: %w", err)
	}
	c.forgetAll(within) // what was read from the table meanwhile
	return nil
}

// forgetAll deletes entries from memory and from what waits to be written.
func (c *Cache) forgetAll(within core.CacheSpace) {
	c.purges.Add(1)
	covered := func(e entry) bool { return within.Holds(e.space) }
	c.queue.drop(covered)
	c.memory.drop(covered)
}
