package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

// recheckEvery is how soon, at the latest, an open stream ends after its credential was revoked.
const recheckEvery = 5 * time.Second

type eventsInput struct {
	ID          string `path:"id" maxLength:"64"`
	After       int64  `query:"after" minimum:"0" doc:"Send only events with a larger number."`
	LastEventID string `header:"Last-Event-ID" maxLength:"100" doc:"Browsers send it when they connect again; it wins over after."`
}

func (s *server) eventRoute() {
	op := operation(get, "/runs/{id}/events", "stream-events", "Runs", "Follow a run")
	op.Description = "Server-sent events: first those stored, then live ones until the run is final. Each has an id `<run>-<n>`, " +
		"a type and as data the JSON of a run, step, message, approval or delta. Connecting again with Last-Event-ID goes on without loss; " +
		"204 says that there is nothing more to come."
	op.Responses = map[string]*huma.Response{
		"200": {Description: "A stream of events.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{}}}},
		"204": {Description: "The run is final and every event has been sent."},
	}
	register(s, op, s.events)
}

func (s *server) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	run, err := s.runs.Run(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	after := in.After
	if in.LastEventID != "" {
		n, err := eventNumber(in.ID, in.LastEventID)
		if err != nil {
			return nil, err
		}
		after = n
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		r, w := humago.Unwrap(hctx)
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusOK) // there is no end to wait for
			return
		}
		s.stream(r.Context(), w, run, after, in.LastEventID != "")
	}}, nil
}

func eventNumber(run, id string) (int64, error) {
	rest, ok := strings.CutPrefix(id, run+"-")
	n, err := strconv.ParseInt(rest, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0, core.Errorf(core.CodeInvalid, "Last-Event-ID is not the id of an event of this run; expected %s-<number>", run)
	}
	return n, nil
}

type eventOrError struct {
	event core.Event
	err   error
}

// stream writes events until the last one, the client leaves, a write takes too long or the credential ends. The
// goroutine that reads them waits for each to be written, so an unread stream holds one event.
func (s *server) stream(ctx context.Context, w http.ResponseWriter, run core.Run, after int64, again bool) {
	ctx, cancel := context.WithCancel(ctx)
	events, done := make(chan eventOrError), make(chan struct{})
	go func() {
		defer close(done)
		defer close(events)
		for e, err := range s.runs.Events(ctx, run.ID, after) {
			select {
			case events <- eventOrError{e, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() { cancel(); <-done }()

	out := &sseWriter{w: w, rc: http.NewResponseController(w), timeout: s.cfg.WriteTimeout}
	// A browser whose stream has ended connects again and again until it gets 204. Only a run that is final and whose
	// last event it has seen has nothing more to send.
	if again && run.Status.Final() {
		first, ok := <-events
		if !ok {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if out.open() != nil || s.send(out, first) != nil {
			return
		}
	} else if out.open() != nil {
		return
	}
	p, _ := auth.PrincipalOf(ctx)
	heartbeat, recheck := time.NewTicker(s.cfg.Heartbeat), time.NewTicker(min(recheckEvery, s.cfg.Heartbeat))
	defer heartbeat.Stop()
	defer recheck.Stop()
	for {
		var err error
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			err = s.send(out, e)
		case <-heartbeat.C:
			err = out.write(": keep-alive\n\n")
		case <-recheck.C:
			if !s.auth.StillValid(ctx, p) {
				return
			}
		case <-Draining(ctx):
			return
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// send writes one event. Its own error ends the stream too: the client connects again and goes on after the last one.
func (s *server) send(out *sseWriter, e eventOrError) error {
	if e.err != nil {
		if core.CodeOf(e.err) == core.CodeInternal && !errors.Is(e.err, context.Canceled) {
			s.log.Error("event stream ended", "error", e.err)
		}
		return e.err
	}
	data, err := json.Marshal(payload(e.event))
	if err != nil {
		s.log.Error("event not encoded", "run", e.event.Run, "n", e.event.N, "error", err)
		return err
	}
	return out.write(fmt.Sprintf("id: %s-%d\nevent: %s\ndata: %s\n\n", e.event.Run, e.event.N, e.event.Type, data))
}

func payload(e core.Event) any {
	switch {
	case e.RunData != nil:
		return tidyRun(*e.RunData)
	case e.Step != nil:
		return tidyStep(*e.Step)
	case e.Message != nil:
		return e.Message
	case e.Approval != nil:
		return tidyApproval(*e.Approval)
	case e.Delta != nil:
		return e.Delta
	default:
		return empty{}
	}
}

// sseWriter writes and flushes pieces of an event stream, each within a time.
type sseWriter struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

func (o *sseWriter) open() error {
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	o.w.WriteHeader(http.StatusOK)
	return o.write("retry: 1000\n\n")
}

func (o *sseWriter) write(s string) error {
	// A writer without deadlines or flushing is a test's: the write itself still tells.
	_ = o.rc.SetWriteDeadline(time.Now().Add(o.timeout))
	if _, err := io.WriteString(o.w, s); err != nil {
		return err
	}
	return o.rc.Flush()
}
