package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

func key(n int) (k [32]byte) {
	copy(k[:], fmt.Sprintf("key %d", n))
	return k
}

func space(project string) core.CacheSpace {
	return core.CacheSpace{Kind: "answer", Project: project, Route: "smart"}
}

// results counts what a cache has observed.
type results struct {
	mu sync.Mutex
	by map[cache.Result]int
}

func (r *results) observe(o cache.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[cache.Result]int{}
	}
	r.by[o.Result]++
}

func (r *results) of(kind cache.Result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[kind]
}

func open(t *testing.T, o cache.Options) *cache.Cache {
	t.Helper()
	c := cache.New(o)
	t.Cleanup(c.Close)
	return c
}

func want(t *testing.T, c *cache.Cache, s core.CacheSpace, k [32]byte, value string) {
	t.Helper()
	if got, ok := c.Get(t.Context(), s, k); !ok || string(got) != value {
		t.Errorf("%v %s: %.40q (%v), want %.40q", s, k[:8], got, ok, value)
	}
}

func wantNone(t *testing.T, c *cache.Cache, s core.CacheSpace, k [32]byte) {
	t.Helper()
	if got, ok := c.Get(t.Context(), s, k); ok {
		t.Errorf("%v %s: %.40q, want nothing", s, k[:8], got)
	}
}

func TestReplicasShareOneTable(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		first, second := results{}, results{}
		a := cache.New(cache.Options{Store: database.NewCache(db), Observe: first.observe, Timeout: 5 * time.Second})
		long := strings.Repeat(`{"role":"assistant","content":"the answer"}`, 200)
		a.Put(space("p"), key(1), []byte("short"), 0)
		a.Put(space("p"), key(2), []byte(long), 0)
		for i := 10; i < 100; i++ {
			a.Put(space("p"), key(i), fmt.Appendf(nil, "value %d", i), 0)
		}
		a.Put(space("p"), key(99), []byte("the last one counts"), 0)
		a.Close() // writes everything
		b := open(t, cache.Options{Store: database.NewCache(db), Observe: second.observe, Timeout: 5 * time.Second})
		want(t, b, space("p"), key(1), "short")
		want(t, b, space("p"), key(2), long)
		want(t, b, space("p"), key(2), long)
		want(t, b, space("p"), key(99), "the last one counts")
		wantNone(t, b, space("q"), key(1)) // another project's
		wantNone(t, b, core.CacheSpace{Kind: "answer", Project: "p", Route: "fast"}, key(1))
		wantNone(t, b, space("p"), key(3))
		if second.of(cache.HitTable) != 3 || second.of(cache.HitMemory) != 1 || second.of(cache.Miss) != 3 {
			t.Errorf("observed %v", second.by)
		}
		var keys [][32]byte
		for i := 90; i > 0; i-- {
			keys = append(keys, key(i))
		}
		for i, v := range b.GetMany(t.Context(), space("p"), keys) {
			n := 90 - i
			if exists := n <= 2 || n >= 10; exists != (v != nil) || n >= 10 && string(v) != fmt.Sprintf("value %d", n) {
				t.Errorf("key %d of many: %q", n, v)
			}
		}
		size, err := database.NewCache(db).Size(t.Context())
		if err != nil || size > int64(len(long)/4+100*50) {
			t.Errorf("the table holds %d bytes (%v): long values should be packed", size, err)
		}
	})
}

func TestEntriesAreDeletedByProjectAndRouteInBothLevels(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := cache.Options{Store: database.NewCache(db), Timeout: 5 * time.Second}
		a := cache.New(o)
		for i := range 1200 { // more than one batch of deletions
			a.Put(space("p"), key(i), []byte("p"), 0)
		}
		a.Put(space("q"), key(1), []byte("q"), 0)
		a.Put(core.CacheSpace{Kind: "answer", Project: "p", Route: "fast"}, key(1), []byte("fast"), 0)
		a.Close()
		b := open(t, o)
		want(t, b, space("p"), key(7), "p") // now in its memory
		b.Put(space("p"), key(5000), []byte("still waits to be written"), 0)
		if err := b.Delete(t.Context(), core.CacheSpace{Project: "p", Route: "smart"}); err != nil {
			t.Fatal(err)
		}
		c := open(t, o)
		for _, reader := range []*cache.Cache{b, c} {
			wantNone(t, reader, space("p"), key(7))
			wantNone(t, reader, space("p"), key(1199))
			wantNone(t, reader, space("p"), key(5000))
			want(t, reader, space("q"), key(1), "q")
			want(t, reader, core.CacheSpace{Kind: "answer", Project: "p", Route: "fast"}, key(1), "fast")
		}
		if err := b.Delete(t.Context(), core.CacheSpace{}); err != nil {
			t.Fatal(err)
		}
		wantNone(t, b, space("q"), key(1))
		told, err := database.NewCache(db).List(t.Context(), core.CacheSpace{Kind: core.CachePurge}, time.UnixMilli(0), 10)
		if err != nil || len(told) != 2 {
			t.Errorf("other replicas are told of %d deletions (%v), want 2", len(told), err)
		}
	})
}

func TestOtherReplicasForgetWhatOneDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore()
		a, b := open(t, cache.Options{Store: store}), open(t, cache.Options{Store: store})
		a.Put(space("p"), key(1), []byte("v"), 0)
		a.Put(space("q"), key(1), []byte("v"), 0)
		time.Sleep(time.Second)
		want(t, b, space("p"), key(1), "v")
		want(t, b, space("q"), key(1), "v")
		if err := a.Delete(t.Context(), core.CacheSpace{Project: "p"}); err != nil {
			t.Fatal(err)
		}
		wantNone(t, a, space("p"), key(1))
		want(t, b, space("p"), key(1), "v") // it has not heard of it yet
		time.Sleep(10 * time.Second)
		wantNone(t, b, space("p"), key(1))
		want(t, b, space("q"), key(1), "v")
		b.Put(space("p"), key(1), []byte("new"), 0)
		time.Sleep(time.Minute) // a deletion is carried out once
		calls, _ := store.count()
		want(t, b, space("p"), key(1), "new")
		if after, _ := store.count(); after != calls {
			t.Error("the new entry left memory: the old deletion was carried out again")
		}
	})
}

func TestADamagedRowIsAMissAndIsDeleted(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"short", strings.Repeat("long and packed ", 100)} {
		synctest.Test(t, func(t *testing.T) {
			store, seen := newFaultyStore(), results{}
			a := cache.New(cache.Options{Store: store})
			a.Put(space("p"), key(1), []byte(value), 0)
			a.Put(space("p"), key(2), []byte("other"), 0)
			a.Close()
			for id, r := range store.rows {
				if len(value) > 100 == (len(r.Value) > 40) {
					r.Value = bytes.Clone(r.Value)
					r.Value[len(r.Value)-1] ^= 1
					store.rows[id] = r
				}
			}
			b := open(t, cache.Options{Store: store, Observe: seen.observe})
			wantNone(t, b, space("p"), key(1))
			if _, rows := store.count(); seen.of(cache.Damaged) != 1 || seen.of(cache.Miss) != 1 || rows > 1 {
				t.Errorf("observed %v, %d rows are left", seen.by, rows)
			}
		})
	}
}

func TestABrokenTableIsAMissAndIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, seen := newFaultyStore(), results{}
		var log bytes.Buffer
		c := open(t, cache.Options{Store: store, Observe: seen.observe, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c.Put(space("p"), key(1), []byte("written"), 0)
		time.Sleep(time.Second)
		store.set(errStore, false)
		before, _ := store.count()
		for i := range 100 {
			wantNone(t, c, space("p"), key(100+i))
		}
		want(t, c, space("p"), key(1), "written") // memory goes on
		calls, _ := store.count()
		if calls-before != 3 || seen.of(cache.Failure) != 3 || seen.of(cache.Miss) != 100 {
			t.Errorf("%d calls of a broken table; observed %v", calls-before, seen.by)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d lines in the log, want 1:\n%s", n, log.String())
		}
		c.Put(space("p"), key(2), []byte("waits"), 0)
		time.Sleep(4 * time.Second) // the table is still left alone
		if again, _ := store.count(); again != calls {
			t.Errorf("%d calls while the table is to be left alone", again-calls)
		}
		store.set(nil, false)
		time.Sleep(5 * time.Second)
		if _, rows := store.count(); rows != 2 {
			t.Errorf("%d rows after the table has recovered, want 2", rows)
		}
	})
}

func TestAHangingTableCostsABoundedTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore()
		store.set(nil, true)
		c := open(t, cache.Options{Store: store})
		for i, want := range []time.Duration{50 * time.Millisecond, 50 * time.Millisecond, 50 * time.Millisecond, 0, 0} {
			start := time.Now()
			wantNone(t, c, space("p"), key(i))
			if took := time.Since(start); took != want {
				t.Errorf("lookup %d took %s, want %s", i, took, want)
			}
		}
		start := time.Now()
		c.Put(space("p"), key(1), []byte("v"), 0)
		want(t, c, space("p"), key(1), "v")
		c.Close()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("putting and closing took %s", took)
		}
	})
}

func TestMoreThanCanBeWrittenStaysInMemoryOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, seen := newFaultyStore(), results{}
		store.set(nil, true)
		c := open(t, cache.Options{Store: store, Memory: 256 << 20, Observe: seen.observe})
		for i := range 200 {
			c.Put(space("p"), key(i), make([]byte, 200<<10), 0)
		}
		if n := seen.of(cache.Dropped); n < 100 || n >= 200 {
			t.Errorf("%d of 200 entries of 200 KB were dropped; 16 MB may wait", n)
		}
		want(t, c, space("p"), key(199), string(make([]byte, 200<<10)))
	})
}

func TestEntriesExpireInBothLevels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore()
		c := open(t, cache.Options{Store: store, TTL: time.Minute})
		c.Put(space("p"), key(1), []byte("minute"), 0)
		c.Put(space("p"), key(2), []byte("hour"), time.Hour)
		c.Put(space("p"), key(3), []byte("never"), -1)
		time.Sleep(time.Minute - time.Second)
		other := open(t, cache.Options{Store: store})
		want(t, c, space("p"), key(1), "minute")
		want(t, other, space("p"), key(1), "minute") // its memory keeps the row's time
		time.Sleep(time.Second)
		for _, reader := range []*cache.Cache{c, other} {
			wantNone(t, reader, space("p"), key(1))
			want(t, reader, space("p"), key(2), "hour")
			wantNone(t, reader, space("p"), key(3))
		}
		time.Sleep(2 * time.Minute)
		if _, rows := store.count(); rows != 1 {
			t.Errorf("%d rows are left after the sweep, want 1", rows)
		}
	})
}

func TestMemoryIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	const bound = 8 << 20
	c := open(t, cache.Options{Memory: bound})
	held := 0
	for i := range 4000 {
		c.Put(space("p"), key(i), make([]byte, 1000*(1+i%20)), 0)
	}
	for i := range 4000 {
		if v, ok := c.Get(t.Context(), space("p"), key(i)); ok {
			held += len(v)
		}
	}
	if held > bound || held < bound/2 {
		t.Errorf("%d bytes are held of %d that may be", held, bound)
	}
	c.Put(space("p"), key(-1), make([]byte, 2<<20), 0)
	wantNone(t, c, space("p"), key(-1)) // too large a value
	c.Put(space("p"), key(-2), nil, 0)
	wantNone(t, c, space("p"), key(-2))
}

func TestWhatIsAskedForOftenOutlivesAScan(t *testing.T) {
	t.Parallel()
	c := open(t, cache.Options{Memory: 1 << 20})
	for i := range 20 {
		c.Put(space("p"), key(i), make([]byte, 10<<10), 0)
	}
	for range 50 {
		for i := range 20 {
			c.Get(t.Context(), space("p"), key(i))
		}
	}
	// Each once. There is room for a hundred: what only remembers the latest would have lost all of ours between two rounds.
	for i := 1000; i < 3000; i++ {
		c.Put(space("p"), key(i), make([]byte, 10<<10), 0)
		if i%200 == 0 {
			for j := range 20 {
				c.Get(t.Context(), space("p"), key(j))
			}
		}
	}
	left := 0
	for i := range 20 {
		if _, ok := c.Get(t.Context(), space("p"), key(i)); ok {
			left++
		}
	}
	if left < 18 {
		t.Errorf("%d of 20 entries that are asked for often are left after a scan", left)
	}
}

func TestTheTableIsKeptWithinItsBounds(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := database.NewCache(db)
		now := time.Now()
		rows := make([]core.CacheRow, 0, 500)
		for i := range cap(rows) {
			rows = append(rows, core.CacheRow{ID: key(i), Space: space("p"), Value: make([]byte, 1000), CreatedAt: now, ExpiresAt: now.Add(time.Duration(i-100) * time.Minute)})
		}
		if err := store.Put(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{60, 41, 0} { // one expires at this very moment
			if n, err := store.Expire(t.Context(), now, 60); err != nil || n != want {
				t.Errorf("expired %d (%v), want %d", n, err, want)
			}
		}
		if freed, err := store.Shrink(t.Context(), 199); err != nil || freed != 199_000 {
			t.Errorf("shrinking freed %d bytes (%v)", freed, err)
		}
		if size, err := store.Size(t.Context()); err != nil || size != 200_000 {
			t.Errorf("the table holds %d bytes (%v)", size, err)
		}
		left, err := store.Get(t.Context(), [][32]byte{key(100), key(299), key(300), key(499)})
		if err != nil || len(left) != 2 {
			t.Errorf("%d rows are left (%v), want the two that expire last", len(left), err)
		}
	})
}

func TestTheSweepShrinksATableThatIsTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFaultyStore()
		c := open(t, cache.Options{Store: store, TableBytes: 100_000})
		for i := range 1000 {
			c.Put(space("p"), key(i), []byte(strings.Repeat(fmt.Sprint(i), 100)), 0)
		}
		time.Sleep(2 * time.Minute)
		if size, err := store.Size(t.Context()); err != nil || size > 100_000 {
			t.Errorf("the table holds %d bytes (%v) of 100,000 that it may", size, err)
		}
	})
}

func TestNamesThatADatabaseDoesNotTakeStayInMemory(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		seen := results{}
		c := cache.New(cache.Options{Store: database.NewCache(db), Observe: seen.observe, Timeout: 5 * time.Second})
		for _, route := range []string{"a\x00b", "a\xff", "' OR 1=1 --"} {
			s := core.CacheSpace{Kind: "answer", Project: "p", Route: route}
			wantNone(t, c, s, key(1))
			c.Put(s, key(1), []byte(route), 0)
			want(t, c, s, key(1), route)
		}
		c.Close()
		if seen.of(cache.Failure)+seen.of(cache.Dropped) > 0 {
			t.Errorf("observed %v", seen.by)
		}
	})
}

func BenchmarkMemoryHit(b *testing.B) {
	c := cache.New(cache.Options{})
	defer c.Close()
	s := space("project")
	c.Put(s, key(1), make([]byte, 2000), 0)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Get(ctx, s, key1); !ok {
			b.Fatal("missed")
		}
	}
}

var key1 = key(1)
