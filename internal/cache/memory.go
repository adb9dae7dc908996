package cache

import (
	"context"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/sutazai/sutazai/core"
)

// entry is what is kept of one key.
type entry struct {
	space            core.CacheSpace
	key              [32]byte
	value            []byte
	created, expires time.Time
}

// overhead is what an entry takes beside its value and names: the node, its place in the table and the frequency sketch.
const overhead = 320

func (e entry) weight() int {
	return len(e.value) + len(e.space.Project) + len(e.space.Route) + len(e.space.Group) + overhead
}

// What the first level is made for; other sizes and numbers only cost a little accuracy.
const (
	typical  = 8 << 10 // bytes of an entry
	expected = 1 << 16 // entries, at most
)

type memoryKey struct {
	space core.CacheSpace
	key   [32]byte
}

// memory is the first level. Which entry goes when there is no room is W-TinyLFU's choice.
type memory struct {
	entries *otter.Cache[memoryKey, entry]
}

func newMemory(bytes int64, log *slog.Logger) *memory {
	return &memory{otter.Must(&otter.Options[memoryKey, entry]{
		MaximumWeight: uint64(bytes),
		// The library counts how often an entry is asked for from the beginning only where it is told how many to expect;
		// otherwise the first half of them has no advantage over whatever comes later.
		InitialCapacity: int(min(bytes/typical, expected)),
		Weigher:         func(_ memoryKey, e entry) uint32 { return uint32(e.weight()) },
		// The library's upkeep runs within the call that makes it necessary: there is no goroutine that anybody must end.
		Executor: func(upkeep func()) { upkeep() },
		Logger:   libraryLog{log},
	})}
}

func (m *memory) get(space core.CacheSpace, key [32]byte, now time.Time) ([]byte, bool) {
	k := memoryKey{space, key}
	e, ok := m.entries.GetIfPresent(k)
	if !ok {
		return nil, false
	}
	if !alive(e.expires, now) {
		m.entries.Invalidate(k)
		return nil, false
	}
	return e.value, true
}

func (m *memory) put(e entry) { m.entries.Set(memoryKey{e.space, e.key}, e) }

func (m *memory) forget(space core.CacheSpace, key [32]byte) {
	m.entries.Invalidate(memoryKey{space, key})
}

// drop deletes the entries for which gone is true.
func (m *memory) drop(gone func(entry) bool) {
	for k, e := range m.entries.All() {
		if gone(e) {
			m.entries.Invalidate(k)
		}
	}
}

// libraryLog gives the library's lines to the program's log.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Warn(ctx context.Context, msg string, err error) {
	l.log.WarnContext(ctx, "cache: "+msg, "error", err)
}

func (l libraryLog) Error(ctx context.Context, msg string, err error) {
	l.log.ErrorContext(ctx, "cache: "+msg, "error", err)
}
