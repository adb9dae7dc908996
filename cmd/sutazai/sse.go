package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// How a stream is kept alive.
const (
	streamIdle     = 90 * time.Second // nothing at all, not even a comment, for so long: the connection is dead
	streamGiveUp   = 60 * time.Second // no connection for so long: say so and stop
	streamFirstGap = 200 * time.Millisecond
	streamMaxGap   = 3 * time.Second
	maxEventLine   = 32 << 20
)

// stream yields the events of a run after number `after`, live, over as many connections as it takes. It ends
// without an error when the server ends it after a final event. onGap is told of each lost connection.
func (c *client) stream(ctx context.Context, run string, after int64, onGap func(error)) iter.Seq2[core.Event, error] {
	return func(yield func(core.Event, error) bool) {
		gap, since := streamFirstGap, time.Now()
		for {
			final, read, err := c.streamOnce(ctx, run, &after, yield)
			switch {
			case errors.Is(err, errStopped) || ctx.Err() != nil:
				return
			case err == nil || final:
				return
			case !retryable(err):
				yield(core.Event{}, err)
				return
			}
			if read { // the connection worked for a while: a new count
				gap, since = streamFirstGap, time.Now()
			} else if time.Since(since) > streamGiveUp {
				yield(core.Event{}, err)
				return
			}
			onGap(err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(gap):
			}
			gap = min(2*gap, streamMaxGap)
		}
	}
}

// errStopped says that the consumer of a stream wants no more.
var errStopped = errors.New("stopped")

// retryable says whether a stream may be opened again after err.
func retryable(err error) bool {
	switch core.CodeOf(err) {
	case core.CodeUnavailable, core.CodeTimeout, core.CodeRateLimited:
		return true
	}
	return false
}

// streamOnce reads one connection to its end. final says whether the last event was a final one, read whether there
// was any event at all.
func (c *client) streamOnce(ctx context.Context, run string, after *int64, yield func(core.Event, error) bool) (final, read bool, err error) {
	ep, err := c.conn.get(ctx)
	if err != nil {
		return false, false, err
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {"text/event-stream"}}
	if *after > 0 {
		header.Set("Last-Event-ID", run+"-"+strconv.FormatInt(*after, 10))
	}
	res, err := ep.send(reading, call{method: http.MethodGet, path: "/runs/" + url.PathEscape(run) + "/events"}, nil, header)
	if err != nil {
		c.lost(ctx, ep)
		return false, false, ep.unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return true, true, nil // the run is final and everything was sent before
	}
	if res.StatusCode != http.StatusOK {
		return false, false, problem(ep, res)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "text/event-stream" {
		return false, false, core.Errorf(core.CodeInternal, "%s does not stream events; is it the address of a SutazAI server?", ep.base)
	}
	dead := time.AfterFunc(streamIdle, cancel)
	defer dead.Stop()
	for ev, err := range readEvents(res.Body, run, func() { dead.Reset(streamIdle) }) {
		if err != nil {
			c.lost(ctx, ep)
			return final, read, ep.unreachable(err)
		}
		read, final = true, ev.Type.Final()
		if ev.N > *after {
			*after = ev.N
		}
		if !yield(ev, nil) {
			return final, read, errStopped
		}
	}
	if !final {
		c.lost(ctx, ep)
		return false, read, core.Errorf(core.CodeUnavailable, "the server ended the stream of run %s before the run ended", run)
	}
	return true, read, nil
}

// lost gives a local server a moment to come back, then forgets it: the next call finds it again, or takes the work
// over in this process.
func (c *client) lost(ctx context.Context, ep *endpoint) {
	if !ep.local || ep.hosted || ctx.Err() != nil {
		return
	}
	path, err := c.conn.socket()
	if err == nil && wait(ctx, func() bool { return answers(ctx, path) }, c.conn.patience) {
		return
	}
	c.conn.forget(ep)
}

// readEvents parses Server-Sent Events (WHATWG HTML, 9.2.6). alive is called for every line, comments included.
func readEvents(r io.Reader, run string, alive func()) iter.Seq2[core.Event, error] {
	return func(yield func(core.Event, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), maxEventLine)
		var id, kind string
		var data strings.Builder
		for lines.Scan() {
			alive()
			line := strings.TrimSuffix(lines.Text(), "\r")
			if line != "" {
				field, value, _ := strings.Cut(line, ":")
				value = strings.TrimPrefix(value, " ")
				switch field {
				case "id":
					id = value
				case "event":
					kind = value
				case "data":
					data.WriteString(value)
					data.WriteByte('\n')
				}
				continue
			}
			if data.Len() > 0 {
				ev, known, err := parseEvent(run, id, kind, []byte(data.String()))
				if err != nil {
					yield(core.Event{}, err)
					return
				}
				if known && !yield(ev, nil) {
					return
				}
			}
			kind = ""
			data.Reset()
		}
		if err := lines.Err(); err != nil {
			yield(core.Event{}, err)
		}
	}
}

// parseEvent makes an event of its id, type and payload. An unknown type is not an error: a newer server may have one.
func parseEvent(run, id, kind string, data []byte) (ev core.Event, known bool, err error) {
	ev = core.Event{Run: run, Type: core.EventType(kind)}
	if i := strings.LastIndexByte(id, '-'); i > 0 {
		if n, err := strconv.ParseInt(id[i+1:], 10, 64); err == nil {
			ev.N = n
		}
	}
	var into any
	switch ev.Type {
	case core.EventRunStarted, core.EventRunWaiting, core.EventRunSucceeded, core.EventRunFailed, core.EventRunCancelled:
		ev.RunData = new(core.Run)
		into = ev.RunData
	case core.EventStepStarted, core.EventStepCompleted:
		ev.Step = new(core.Step)
		into = ev.Step
	case core.EventMessageCompleted:
		ev.Message = new(core.Message)
		into = ev.Message
	case core.EventMessageDelta:
		ev.Delta = new(core.DeltaData)
		into = ev.Delta
	case core.EventApprovalRequested, core.EventApprovalDecided:
		ev.Approval = new(core.Approval)
		into = ev.Approval
	default:
		return ev, false, nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return ev, false, fmt.Errorf("event %s of run %s: %w", kind, run, err)
	}
	return ev, true, nil
}
