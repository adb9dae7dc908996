package backend_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// serve serves the bundle's handler on loopback and on a socket, as the program does.
func (b *testBundle) serve(t *testing.T) (url, socket string, stop func() error) {
	t.Helper()
	tcp, err := backend.ListenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// t.TempDir() is named after the test and may be longer than a socket's path may be.
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "sutazai.sock")
	unix, err := backend.ListenSocket(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- backend.Serve(ctx, b.handler, discard(), tcp, unix) }()
	var once error
	stopped := false
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			once = <-done
		}
		return once
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return "http://" + tcp.Addr().String(), socket, stop
}

func (b *testBundle) get(t *testing.T, ctx context.Context, url, key string, headers map[string]string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.keys[key])
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func event(n int64, typ core.EventType) core.Event {
	e := core.Event{Run: "r1", N: n, Type: typ}
	switch {
	case typ == core.EventMessageDelta:
		e.Delta = &core.DeltaData{Message: 1, Attempt: 1, Text: "hé\nllo"}
	case typ == core.EventStepStarted:
		e.Step = &core.Step{ID: "r1:0", Run: "r1"}
	case typ == core.EventApprovalRequested:
		e.Approval = &core.Approval{ID: "a1"}
	case typ == core.EventMessageCompleted:
		e.Message = &core.Message{Index: 1, Text: "hello"}
	default:
		e.RunData = &core.Run{ID: "r1", Status: core.RunRunning}
	}
	return e
}

func list(events ...core.Event) func(context.Context, string, int64) iter.Seq2[core.Event, error] {
	return func(_ context.Context, _ string, after int64) iter.Seq2[core.Event, error] {
		return func(yield func(core.Event, error) bool) {
			for _, e := range events {
				if e.N > after && !yield(e, nil) {
					return
				}
			}
		}
	}
}

func TestAStreamGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ports.runs["r1"] = core.Run{ID: "r1", Status: core.RunRunning}
	b.ports.events = list(event(1, core.EventRunStarted), event(2, core.EventStepStarted), event(4, core.EventMessageDelta),
		event(5, core.EventMessageCompleted), event(6, core.EventApprovalRequested), event(9, core.EventRunSucceeded))
	url, _, _ := b.serve(t)
	read := func(query string, headers map[string]string) (int, string) {
		t.Helper()
		res := b.get(t, t.Context(), url+"/api/v1/runs/r1/events"+query, "read", headers)
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == 200 && (res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("X-Accel-Buffering") != "no") {
			t.Errorf("header %v", res.Header)
		}
		return res.StatusCode, string(body)
	}
	_, whole := read("", nil)
	for _, want := range []string{"retry: 1000\n\n", "id: r1-1\nevent: run.started\ndata: {\"id\":\"r1\"", `"metadata":{}`, `"attempts":[]`,
		"id: r1-4\nevent: message.delta\ndata: {\"message\":1,\"attempt\":1,\"offset\":0,\"text\":\"hé\\nllo\"}\n\n", `"arguments":{}`, "id: r1-9\nevent: run.succeeded\n"} {
		if !strings.Contains(whole, want) {
			t.Errorf("%q is not in %s", want, whole)
		}
	}
	_, fromFour := read("", map[string]string{"Last-Event-ID": "r1-4"})
	if strings.Contains(fromFour, "id: r1-4") || !strings.Contains(fromFour, "id: r1-5") || !strings.Contains(fromFour, "id: r1-9") {
		t.Errorf("after 4: %s", fromFour)
	}
	if _, got := read("?after=6", nil); strings.Count(got, "id: ") != 1 {
		t.Errorf("after=6: %s", got)
	}
	for _, bad := range []string{"r2-4", "r1-", "r1-x", "r1--4", "4"} {
		if code, body := read("", map[string]string{"Last-Event-ID": bad}); code != 422 || !strings.Contains(body, "Last-Event-ID") {
			t.Errorf("%s: %d %s", bad, code, body)
		}
	}
	b.ports.mu.Lock()
	b.ports.runs["r1"] = core.Run{ID: "r1", Status: core.RunSucceeded}
	b.ports.mu.Unlock()
	if code, body := read("", map[string]string{"Last-Event-ID": "r1-9"}); code != 204 || body != "" {
		t.Errorf("after the last event: %d %s; browsers would connect for ever", code, body)
	}
	if code, body := read("", map[string]string{"Last-Event-ID": "r1-6"}); code != 200 || strings.Count(body, "id: ") != 1 {
		t.Errorf("final, one event left: %d %s", code, body)
	}
	res := b.get(t, t.Context(), url+"/api/v1/runs/nope/events", "read", nil)
	if res.StatusCode != 404 || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("unknown run: %d %v", res.StatusCode, res.Header)
	}
}

// live returns events that never come, and a channel that closes when their reader has gone.
func live() (func(context.Context, string, int64) iter.Seq2[core.Event, error], chan struct{}) {
	gone := make(chan struct{})
	return func(ctx context.Context, _ string, _ int64) iter.Seq2[core.Event, error] {
		return func(yield func(core.Event, error) bool) {
			defer close(gone)
			if !yield(event(1, core.EventRunStarted), nil) {
				return
			}
			<-ctx.Done()
			yield(core.Event{}, ctx.Err())
		}
	}, gone
}

func wait(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: still waiting after 20 s", what)
	}
}

func TestASilentStreamBeatsAndEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.Heartbeat = 20 * time.Millisecond })
	var gone chan struct{}
	b.ports.events, gone = live()
	url, _, _ := b.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res := b.get(t, ctx, url+"/api/v1/runs/r1/events", "read", nil)
	lines := bufio.NewScanner(res.Body)
	beats := 0
	for beats < 2 && lines.Scan() {
		if lines.Text() == ": keep-alive" {
			beats++
		}
	}
	if beats < 2 {
		t.Fatal("no heartbeat")
	}
	cancel()
	wait(t, "the reader of events after its client left", gone)
}

func TestAnUnreadStreamIsCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.WriteTimeout = 100 * time.Millisecond })
	gone := make(chan struct{})
	b.ports.events = func(context.Context, string, int64) iter.Seq2[core.Event, error] {
		return func(yield func(core.Event, error) bool) {
			defer close(gone)
			e := event(1, core.EventMessageDelta)
			e.Delta.Text = strings.Repeat("x", 1<<20)
			for e.N = 1; yield(e, nil); e.N++ {
				if e.N > 1000 {
					t.Error("a gigabyte was taken from the events although nobody reads")
					return
				}
			}
		}
	}
	url, _, _ := b.serve(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/runs/r1/events HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n\r\n", b.keys["read"])
	wait(t, "the reader of an unread stream", gone)
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var gone chan struct{}
	b.ports.events, gone = live()
	url, _, stop := b.serve(t)
	res := b.get(t, t.Context(), url+"/api/v1/runs/r1/events", "read", nil)
	start := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Errorf("the stream was cut, not ended: %v", err)
	}
	wait(t, "the reader of events", gone)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("stopping took %v: an open stream held it up", took)
	}
}

func TestAStreamEndsWhenItsKeyIsRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *options) { o.config.Heartbeat = 20 * time.Millisecond })
	var gone chan struct{}
	b.ports.events, gone = live()
	url, _, _ := b.serve(t)
	b.get(t, t.Context(), url+"/api/v1/runs/r1/events", "read", nil)
	keys, err := b.auth.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Name == "read" {
			if _, err := b.auth.RevokeKey(t.Context(), k.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait(t, "the stream of a revoked key", gone)
}
