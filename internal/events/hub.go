// Package events carries what happens in a run from its executor to those who watch it in this process: text as it
// is written, steps as they start, and the news that something was stored. It stores nothing durably: a watcher that
// is too late reads the database. It knows no HTTP and no SQL.
package events

import (
	"math"
	"slices"
	"sync"

	"github.com/sutazai/sutazai/core"
)

// Hub has one topic for each run that is executed or watched here.
type Hub struct {
	mu     sync.Mutex
	topics map[string]*topic
}

type topic struct {
	users   int // executor and watchers
	last    int64
	stores  int           // how often something was stored
	live    []core.Event  // in order; not stored yet: started steps and text of the message being written
	held    map[any]int64 // first number that each writer has set aside for events that it is storing
	changed chan struct{}
}

// NewHub makes an empty hub.
func NewHub() *Hub { return &Hub{topics: map[string]*topic{}} }

// Open keeps the topic of a run until the returned function is called. Executors and watchers each open it.
func (h *Hub) Open(run string) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.topic(run).users++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		t := h.topics[run]
		if t.users--; t.users == 0 {
			delete(h.topics, run)
		}
	})
}

func (h *Hub) topic(run string) *topic {
	t := h.topics[run]
	if t == nil {
		t = &topic{changed: make(chan struct{}), held: map[any]int64{}}
		h.topics[run] = t
	}
	return t
}

// Live publishes an event that is not stored (yet), and gives it the next number; without one when nobody has the run
// open.
func (h *Hub) Live(e core.Event) core.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[e.Run]
	if t == nil {
		return e
	}
	t.last++
	e.N = t.last
	t.live = append(t.live, e)
	t.wake()
	return e
}

// Reserve sets count numbers aside for events that a writer is about to store, and returns the latest number before
// them; 0 when nobody has the run open here. Until the writer calls Stored or Abandon, watchers are shown nothing from
// there on: they would not look back.
func (h *Hub) Reserve(run string, writer any, count int) (before int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[run]
	if t == nil {
		return 0
	}
	before = t.last
	t.last += int64(count)
	if count > 0 {
		t.held[writer] = before + 1
	}
	return before
}

// Stored says that a writer's events are stored, the latest with number last; live events for which done is true are
// dropped.
func (h *Hub) Stored(run string, writer any, last int64, done func(core.Event) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[run]
	if t == nil {
		return
	}
	delete(t.held, writer)
	t.last = max(t.last, last)
	t.stores++
	if done != nil {
		t.live = slices.DeleteFunc(t.live, done)
	}
	t.wake()
}

// Abandon says that a writer did not store what it had set numbers aside for.
func (h *Hub) Abandon(run string, writer any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[run]; t != nil {
		delete(t.held, writer)
		t.wake()
	}
}

func (t *topic) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// View is what a watcher may see at a moment.
type View struct {
	Live    []core.Event    // after the number that it asked for
	Below   int64           // nothing with this number or a larger one may be shown yet, stored or live
	Stores  int             // how often something was stored: a watcher reads the database when it changes
	Changed <-chan struct{} // closed at the next change
}

// Watch returns what is live in a run after a number. The caller has the topic open.
func (h *Hub) Watch(run string, after int64) View {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topic(run)
	v := View{Below: math.MaxInt64, Stores: t.stores, Changed: t.changed}
	for _, first := range t.held {
		v.Below = min(v.Below, first)
	}
	from, _ := slices.BinarySearchFunc(t.live, after+1, func(e core.Event, n int64) int { return int(e.N - n) })
	v.Live = slices.Clone(t.live[from:])
	return v
}
