package mcp

import (
	"fmt"
	"testing"
)

func TestEventsOfStreamsAreBounded(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), newEventStore()
	after := func(session, stream string, index int) (n int, failed bool) {
		for _, err := range s.After(ctx, session, stream, index) {
			if err != nil {
				return n, true
			}
			n++
		}
		return n, false
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Open(ctx, "a", ""))
	must(s.Append(ctx, "a", "", []byte("one")))
	must(s.Append(ctx, "a", "", nil))
	must(s.Append(ctx, "a", "", []byte("three")))
	for index, want := range map[int]int{-1: 3, 0: 2, 2: 0, 9: 0} {
		if n, failed := after("a", "", index); n != want || failed {
			t.Errorf("after %d: %d (%t)", index, n, failed)
		}
	}
	for i := range 3 * maxStreams {
		stream := fmt.Sprint(i)
		must(s.Open(ctx, "a", stream))
		must(s.Append(ctx, "a", stream, []byte("x")))
	}
	if len(s.sessions["a"].streams) != maxStreams {
		t.Errorf("%d streams", len(s.sessions["a"].streams))
	}
	if n, failed := after("a", "", -1); n != 3 || failed {
		t.Errorf("the session's own stream: %d (%t)", n, failed)
	}
	if _, failed := after("a", "0", -1); !failed {
		t.Error("a stream that was given up is read")
	}
	must(s.Append(ctx, "a", "0", []byte("late"))) // is not kept
	big := make([]byte, 1<<20)
	must(s.Open(ctx, "b", "s"))
	for range 100 {
		must(s.Append(ctx, "b", "s", big))
	}
	if s.bytes > maxKept {
		t.Errorf("%d bytes are kept", s.bytes)
	}
	if _, failed := after("b", "s", 0); !failed {
		t.Error("events that were dropped are read")
	}
	if n, failed := after("b", "s", 98); n != 1 || failed {
		t.Errorf("the last event: %d (%t)", n, failed)
	}
	must(s.SessionClosed(ctx, "b"))
	must(s.SessionClosed(ctx, "a"))
	if s.bytes != 0 || s.live != 0 || len(s.sessions) != 0 || len(s.order) > 1024 {
		t.Errorf("%d bytes of %d sessions are left", s.bytes, len(s.sessions))
	}
}
