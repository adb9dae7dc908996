// Package events carries what happens in a run from its executor to those who watch it in this process: text as it
// is written, steps as they start, and the news that something was stored. It stores nothing durably: a watcher that
// is too late reads the database. It knows no HTTP and no SQL.
package events

import (
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
	stores  int          // how often something was stored
	live    []core.Event // not stored yet: started steps and text of the message being written
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
		t = &topic{changed: make(chan struct{})}
		h.topics[run] = t
	}
	return t
}

// Live publishes an event that is not stored (yet), and gives it the next number.
func (h *Hub) Live(e core.Event) core.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[e.Run]
	if t == nil {
		return e // nobody has it open
	}
	t.last++
	e.N = t.last
	t.live = append(t.live, e)
	t.wake()
	return e
}

// Stored says that the events of a run are stored up to number last; live events for which done is true are dropped.
func (h *Hub) Stored(run string, last int64, done func(core.Event) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[run]
	if t == nil {
		return
	}
	t.last = max(t.last, last)
	t.stores++
	if done != nil {
		t.live = slices.DeleteFunc(t.live, done)
	}
	t.wake()
}

func (t *topic) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Reserve sets count numbers aside for events that are about to be stored, and returns the latest number before them; 0
// when nobody has the run open here.
func (h *Hub) Reserve(run string, count int) (before int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[run]; t != nil {
		before = t.last
		t.last += int64(count)
	}
	return before
}

// Watch returns the live events of a run, how often something was stored for it (a watcher reads the database when that
// changes), and a channel that is closed at the next change. The caller has the topic open.
func (h *Hub) Watch(run string) (live []core.Event, stores int, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topic(run)
	return slices.Clone(t.live), t.stores, t.changed
}
