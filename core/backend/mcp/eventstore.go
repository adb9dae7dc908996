package mcp

import (
	"context"
	"iter"
	"slices"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// What is kept for clients that connect again after a broken stream.
const (
	maxKept    = 32 << 20 // bytes in all sessions
	maxStreams = 200      // of one session, one a request
	eventCost  = 64       // bytes that an event takes beside its data
)

// eventStore keeps the latest events of streams in memory. The SDK's own grows without bound in a session that lives long.
type eventStore struct {
	mu       sync.Mutex
	bytes    int
	live     int // events that are kept
	sessions map[string]*keptSession
	order    []keptEvent // of all sessions, oldest first
}

type keptSession struct {
	streams map[string]*keptStream
	order   []string // ids of streams, oldest first
}

type keptStream struct {
	first int // index of data[0]
	data  [][]byte
}

type keptEvent struct {
	stream *keptStream
	index  int
	cost   int
}

var _ sdk.EventStore = (*eventStore)(nil)

func newEventStore() *eventStore { return &eventStore{sessions: map[string]*keptSession{}} }

// Open implements sdk.EventStore.
func (s *eventStore) Open(_ context.Context, session, stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.sessions[session]
	if in == nil {
		in = &keptSession{streams: map[string]*keptStream{}}
		s.sessions[session] = in
	}
	if in.streams[stream] != nil {
		return nil
	}
	in.streams[stream] = &keptStream{}
	in.order = append(in.order, stream)
	if len(in.order) > maxStreams {
		// The first is the session's own stream, which is opened with it and stays.
		s.drop(in.streams[in.order[1]])
		delete(in.streams, in.order[1])
		in.order = slices.Delete(in.order, 1, 2)
	}
	return nil
}

// Append implements sdk.EventStore. What belongs to a stream that was given up is not kept.
func (s *eventStore) Append(_ context.Context, session, stream string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.sessions[session]
	if in == nil || in.streams[stream] == nil {
		return nil
	}
	st := in.streams[stream]
	st.data = append(st.data, data)
	cost := len(data) + eventCost
	s.bytes += cost
	s.live++
	s.order = append(s.order, keptEvent{st, st.first + len(st.data) - 1, cost})
	for s.bytes > maxKept {
		s.dropOldest()
	}
	return nil
}

// dropOldest needs the lock.
func (s *eventStore) dropOldest() {
	e := s.order[0]
	s.order = s.order[1:]
	if e.stream.first == e.index && len(e.stream.data) > 0 { // else its stream was dropped before
		e.stream.data[0] = nil
		e.stream.data = e.stream.data[1:]
		e.stream.first++
		s.bytes -= e.cost
		s.live--
	}
}

// drop forgets all of a stream; it needs the lock.
func (s *eventStore) drop(st *keptStream) {
	for _, d := range st.data {
		s.bytes -= len(d) + eventCost
	}
	s.live -= len(st.data)
	st.first, st.data = st.first+len(st.data), nil
	if len(s.order) > 1024 && s.live < len(s.order)/2 {
		s.order = slices.DeleteFunc(s.order, func(e keptEvent) bool { return e.index < e.stream.first })
	}
}

// After implements sdk.EventStore.
func (s *eventStore) After(_ context.Context, session, stream string, index int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		data, err := s.after(session, stream, index)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, d := range data {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func (s *eventStore) after(session, stream string, index int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.sessions[session]
	if in == nil || in.streams[stream] == nil {
		return nil, core.Errorf(core.CodeNotFound, "the stream of this Last-Event-ID is not known")
	}
	st := in.streams[stream]
	from := index + 1 - st.first
	if from < 0 {
		return nil, core.Errorf(core.CodeNotFound, "the events after this Last-Event-ID are not kept any longer")
	}
	if from >= len(st.data) {
		return nil, nil
	}
	return slices.Clone(st.data[from:]), nil
}

// SessionClosed implements sdk.EventStore.
func (s *eventStore) SessionClosed(_ context.Context, session string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.sessions[session]; in != nil {
		for _, st := range in.streams {
			s.drop(st)
		}
		delete(s.sessions, session)
	}
	return nil
}
