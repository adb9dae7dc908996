package cache

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Options of a cache. Zero fields take the defaults named beside them.
type Options struct {
	Memory     int64         // bytes of the first level, keys and what holds them included; 64 MiB
	MaxValue   int           // bytes of a value; a larger one is not kept; 1 MiB, and never more than an eighth of Memory
	TTL        time.Duration // of an entry that is put without one; 1h
	Store      Store         // the second level; nil = memory only
	TableBytes int64         // bytes of values in the second level; 256 MiB
	Timeout    time.Duration // of a lookup in the second level; 50ms
	FlushEvery time.Duration // how long an entry waits for others before it is written; 200ms

	Now     func() time.Time  // nil = time.Now
	Logger  *slog.Logger      // nil = none
	Observe func(Observation) // called for every lookup and mishap, by many goroutines at once; nil = none
}

// Result says how a lookup went, or what mishap there was.
type Result string

// The results.
const (
	HitMemory Result = "memory"  // found in the first level
	HitTable  Result = "table"   // found in the second level
	Miss      Result = "miss"    // found nowhere, or the second level did not answer
	Failure   Result = "failure" // a call of the second level failed
	Damaged   Result = "damaged" // a row was damaged; it has been deleted
	Dropped   Result = "dropped" // an entry stays in memory only: too many wait to be written, or its batch failed
)

// Observation is one thing that happened to an entry of a kind; Kind is "" for housekeeping.
type Observation struct {
	Kind   string
	Result Result
}

func (o Options) withDefaults() Options {
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.MaxValue <= 0 {
		o.MaxValue = 1 << 20
	}
	o.MaxValue = int(min(int64(o.MaxValue), o.Memory/8))
	if o.TTL <= 0 {
		o.TTL = time.Hour
	}
	if o.TableBytes <= 0 {
		o.TableBytes = 256 << 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 50 * time.Millisecond
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = 200 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(Observation) {}
	}
	return o
}

// Cache is a cache in two levels. All methods may be called by many goroutines at once.
type Cache struct {
	o      Options
	memory *memory
	table  *table // nil without a second level
	purges atomic.Int64

	queue   queue
	writing sync.Mutex // held while a batch is written, or entries are deleted

	stop chan struct{}
	done chan struct{}
	once sync.Once
}

// New returns a cache and starts the goroutine that writes to its second level; Close ends it.
func New(o Options) *Cache {
	o = o.withDefaults()
	c := &Cache{
		o: o, memory: newMemory(o.Memory, o.Logger),
		queue: queue{wake: make(chan struct{}, 1), full: make(chan struct{}, 1)},
		stop:  make(chan struct{}), done: make(chan struct{}),
	}
	if o.Store != nil {
		c.table = newTable(o)
	}
	go c.run()
	return c
}

// Close writes what waits to be written, within seconds, and ends the cache's goroutines. Calls that Do has under way are
// cancelled. It may be called more than once.
func (c *Cache) Close() {
	c.once.Do(func() { close(c.stop) })
	<-c.done
}

// Get returns the value of a key, which nobody may change. It takes at most Options.Timeout, and a second level that fails
// is a miss.
func (c *Cache) Get(ctx context.Context, space core.CacheSpace, key [32]byte) (value []byte, ok bool) {
	if value, ok := c.memory.get(space, key, c.o.Now()); ok {
		c.observe(space, HitMemory)
		return value, true
	}
	found := make([][]byte, 1)
	c.fetch(ctx, space, [][32]byte{key}, found, []int{0})
	return found[0], found[0] != nil
}

// GetMany is Get of several keys. A value is nil where there is none.
func (c *Cache) GetMany(ctx context.Context, space core.CacheSpace, keys [][32]byte) [][]byte {
	found := make([][]byte, len(keys))
	var missing []int
	now := c.o.Now()
	for i, key := range keys {
		if value, ok := c.memory.get(space, key, now); ok {
			c.observe(space, HitMemory)
			found[i] = value
		} else {
			missing = append(missing, i)
		}
	}
	c.fetch(ctx, space, keys, found, missing)
	return found
}

// Put keeps a value for a time, Options.TTL where ttl is 0: in memory at once, in the second level soon. The caller does
// not change the value afterwards. A value that is too large or empty is not kept.
func (c *Cache) Put(space core.CacheSpace, key [32]byte, value []byte, ttl time.Duration) {
	if e, ok := c.entry(space, key, value, ttl); ok {
		c.memory.put(e)
		c.enqueue(e)
	}
}

// Share is Put into the second level only, for what List finds.
func (c *Cache) Share(space core.CacheSpace, key [32]byte, value []byte, ttl time.Duration) {
	if e, ok := c.entry(space, key, value, ttl); ok {
		c.enqueue(e)
	}
}

func (c *Cache) entry(space core.CacheSpace, key [32]byte, value []byte, ttl time.Duration) (entry, bool) {
	if ttl == 0 {
		ttl = c.o.TTL
	}
	now := c.o.Now()
	e := entry{space: space, key: key, value: value, created: now, expires: now.Add(ttl)}
	return e, len(value) > 0 && len(value) <= c.o.MaxValue && ttl > 0
}

func (c *Cache) enqueue(e entry) {
	if c.table != nil && storable(e.space) && !c.queue.add(e) {
		c.observe(e.space, Dropped)
	}
}

// MaxValue is the size in bytes of the largest value that is kept.
func (c *Cache) MaxValue() int { return c.o.MaxValue }

// Forget deletes one entry.
func (c *Cache) Forget(ctx context.Context, space core.CacheSpace, key [32]byte) {
	c.memory.forget(space, key)
	if c.table == nil {
		return
	}
	c.queue.drop(func(e entry) bool { return e.space == space && e.key == key })
	c.table.try(ctx, space.Kind, "delete an entry", c.table.timeout, func(ctx context.Context) error {
		return c.o.Store.Remove(ctx, [][32]byte{rowID(space, key)})
	})
}

// fetch looks in the second level for the keys at the places of missing.
func (c *Cache) fetch(ctx context.Context, space core.CacheSpace, keys [][32]byte, found [][]byte, missing []int) {
	if len(missing) == 0 {
		return
	}
	if c.table != nil && storable(space) {
		c.fetchRows(ctx, space, keys, found, missing)
	}
	for _, i := range missing {
		if found[i] == nil {
			c.observe(space, Miss)
		} else {
			c.observe(space, HitTable)
		}
	}
}

func (c *Cache) fetchRows(ctx context.Context, space core.CacheSpace, keys [][32]byte, found [][]byte, missing []int) {
	at := make(map[[32]byte][]int, len(missing))
	ids := make([][32]byte, 0, len(missing))
	for _, i := range missing {
		id := rowID(space, keys[i])
		if at[id] == nil {
			ids = append(ids, id)
		}
		at[id] = append(at[id], i)
	}
	purges := c.purges.Load()
	// One statement asks for tens of rows; a list of thousands may take a few times as long as one row.
	limit := c.table.timeout * time.Duration(min(5, 1+len(ids)/64))
	var rows []core.CacheRow
	if !c.table.try(ctx, space.Kind, "look up", limit, func(ctx context.Context) (err error) {
		rows, err = c.o.Store.Get(ctx, ids)
		return err
	}) {
		return
	}
	now := c.o.Now()
	var damaged [][32]byte
	for _, row := range rows {
		places := at[row.ID]
		if len(places) == 0 || !alive(row.ExpiresAt, now) {
			continue
		}
		value, err := unpack(row.ID, row.Value, c.o.MaxValue)
		if err != nil || len(value) == 0 {
			damaged = append(damaged, row.ID)
			c.observe(space, Damaged)
			continue
		}
		for _, i := range places {
			found[i] = value
		}
		e := entry{space: space, key: keys[places[0]], value: value, created: row.CreatedAt, expires: row.ExpiresAt}
		c.remember(e, purges)
	}
	if len(damaged) > 0 {
		c.table.try(ctx, space.Kind, "delete damaged rows", c.table.timeout, func(ctx context.Context) error {
			return c.o.Store.Remove(ctx, damaged)
		})
	}
}

// remember keeps in memory what was read from the second level, unless entries have been deleted since purges was read:
// this one may have been among them.
func (c *Cache) remember(e entry, purges int64) {
	if c.purges.Load() != purges {
		return
	}
	c.memory.put(e)
	if c.purges.Load() != purges {
		c.memory.forget(e.space, e.key)
	}
}

// List returns the values of the newest entries of a space that were made after a time and are in the second level, the
// oldest of them first, and within the time that limit gives; none where the second level fails.
func (c *Cache) List(ctx context.Context, space core.CacheSpace, after time.Time, count int, limit time.Duration) (values [][]byte, ok bool) {
	if c.table == nil || !storable(space) {
		return nil, true
	}
	var rows []core.CacheRow
	if !c.table.try(ctx, space.Kind, "list", limit, func(ctx context.Context) (err error) {
		rows, err = c.o.Store.List(ctx, space, after, count)
		return err
	}) {
		return nil, false
	}
	now := c.o.Now()
	for _, row := range rows {
		if !alive(row.ExpiresAt, now) {
			continue
		}
		if value, err := unpack(row.ID, row.Value, c.o.MaxValue); err == nil {
			values = append(values, value)
		} else {
			c.observe(space, Damaged)
		}
	}
	return values, true
}

func (c *Cache) observe(space core.CacheSpace, r Result) {
	c.o.Observe(Observation{Kind: space.Kind, Result: r})
}
