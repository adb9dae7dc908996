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
				before := h.Reserve("r", t, 2)
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
	first := h.Watch("r", 0)
	h.Live(delta("a"))
	<-first.Changed // closed by the event
	second := h.Watch("r", 0)
	if len(second.Live) != 1 || second.Live[0].Delta.Text != "a" || second.Stores != first.Stores {
		t.Fatalf("got %+v", second)
	}
	if later := h.Watch("r", second.Live[0].N); len(later.Live) != 0 {
		t.Errorf("an event was shown twice: %+v", later)
	}
	h.Stored("r", t, 7, func(e core.Event) bool { return e.Type == core.EventMessageDelta })
	<-second.Changed
	if third := h.Watch("r", 0); len(third.Live) != 0 || third.Stores != first.Stores+1 {
		t.Errorf("got %+v", third)
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
	if v := h.Watch("r", 0); len(v.Live) != 1 {
		t.Fatal("the topic ended while somebody used it")
	}
	second()
	if e := h.Live(delta("b")); e.N != 0 {
		t.Errorf("an event of a topic that nobody has open got number %d", e.N)
	}
}

func TestNothingIsShownPastNumbersThatAreSetAside(t *testing.T) {
	t.Parallel()
	h := events.NewHub()
	defer h.Open("r")()
	h.Live(delta("a"))
	h.Reserve("r", "writer", 2) // 2 and 3
	h.Reserve("r", "other", 1)  // 4
	h.Live(delta("b"))          // 5
	if v := h.Watch("r", 0); v.Below != 2 {
		t.Errorf("shown up to %d", v.Below)
	}
	h.Stored("r", "writer", 3, nil)
	if v := h.Watch("r", 3); v.Below != 4 {
		t.Errorf("shown up to %d", v.Below)
	}
	h.Abandon("r", "other")
	if v := h.Watch("r", 3); v.Below < 1000 || len(v.Live) != 1 {
		t.Errorf("got %+v", v)
	}
}
