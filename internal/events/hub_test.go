package events_test

import (
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func delta(text string) core.Event {
	return core.Event{Run: "r", Type: core.EventMessageDelta, Delta: &core.DeltaData{Text: text}}
}

func TestNumbersAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	h := events.NewHub()
	defer h.Open("r")()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[int64]bool{}
	)
	take := func(ns ...int64) {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range ns {
			if seen[n] {
				t.Errorf("%d was given twice", n)
			}
			seen[n] = true
		}
	}
	for range 8 {
		wg.Go(func() {
			for range 100 {
				take(h.Live(delta("x")).N)
				before := h.Reserve("r", 2)
				take(before+1, before+2)
			}
		})
	}
	wg.Wait()
	if len(seen) != 2400 {
		t.Errorf("%d numbers", len(seen))
	}
}

func TestAWatcherSeesWhatIsLiveUntilItIsStored(t *testing.T) {
	t.Parallel()
	h := events.NewHub()
	defer h.Open("r")()
	_, stores, changed := h.Watch("r")
	h.Live(delta("a"))
	<-changed // closed by the event
	live, again, changed := h.Watch("r")
	if len(live) != 1 || live[0].Delta.Text != "a" || again != stores {
		t.Fatalf("live %v, stores %d and %d", live, stores, again)
	}
	h.Stored("r", 7, func(e core.Event) bool { return e.Type == core.EventMessageDelta })
	<-changed
	live, again, _ = h.Watch("r")
	if len(live) != 0 || again != stores+1 {
		t.Errorf("live %v, stores %d", live, again)
	}
	if n := h.Live(delta("b")).N; n != 8 {
		t.Errorf("the number after 7 is %d", n)
	}
}

func TestATopicEndsWithItsLastUser(t *testing.T) {
	t.Parallel()
	h := events.NewHub()
	first, second := h.Open("r"), h.Open("r")
	h.Live(delta("a"))
	first()
	first() // harmless
	if live, _, _ := h.Watch("r"); len(live) != 1 {
		t.Fatal("the topic ended while somebody used it")
	}
	second()
	if e := h.Live(delta("b")); e.N != 0 {
		t.Errorf("an event of a topic that nobody has open got number %d", e.N)
	}
}
