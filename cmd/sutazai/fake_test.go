package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

const runID = "019ab3c1-7c2e-7a3b-9f00-1234567890ab"

// fake plays a server: it keeps what a test emits, and streams it as the real one does.
type fake struct {
	t       *testing.T
	url     string
	handler http.Handler

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced when something is emitted
	runs      map[string]core.Run
	order     []string // ids, newest first
	events    map[string][]core.Event
	steps     map[string][]core.Step
	approvals []core.Approval
	started   []newRun
	keys      []string // Idempotency-Key of each start
	verdicts  []verdict
	gets      map[string]int // GET /approvals of each run
	lastIDs   []string       // Last-Event-ID of each stream
	cut       int            // end the next stream without a final event after so many events
	onStart   func(id string)
	onStream  func(id string) // after what there is was sent, once
	onDecide  func(a core.Approval, v verdict)
}

func newFake(t *testing.T) *fake {
	f := &fake{
		t: t, changed: make(chan struct{}), runs: map[string]core.Run{}, events: map[string][]core.Event{}, steps: map[string][]core.Step{}, gets: map[string]int{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/runs", f.startRun)
	mux.HandleFunc("GET /api/v1/runs", f.listRuns)
	mux.HandleFunc("GET /api/v1/runs/{id}", f.getRun)
	mux.HandleFunc("GET /api/v1/runs/{id}/steps", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.reply(w, 200, page[core.Step]{Items: f.steps[r.PathValue("id")]})
	})
	mux.HandleFunc("GET /api/v1/runs/{id}/events", f.stream)
	mux.HandleFunc("POST /api/v1/runs/{id}/cancel", func(w http.ResponseWriter, r *http.Request) {
		f.emitRun(r.PathValue("id"), core.EventRunCancelled, func(run *core.Run) { run.Status = core.RunCancelled })
		f.getRun(w, r)
	})
	mux.HandleFunc("GET /api/v1/approvals", f.listApprovals)
	mux.HandleFunc("GET /api/v1/approvals/{id}", f.getApproval)
	mux.HandleFunc("POST /api/v1/approvals/{id}", f.decide)
	mux.HandleFunc("GET /api/v1/agents", func(w http.ResponseWriter, _ *http.Request) {
		f.reply(w, 200, page[core.AgentStatus]{Items: []core.AgentStatus{{Agent: core.Agent{Name: "assistant", Description: "helps"}}}})
	})
	mux.HandleFunc("GET /api/v1/agents/{name}", func(w http.ResponseWriter, r *http.Request) {
		f.reply(w, 200, core.AgentStatus{Agent: core.Agent{Name: r.PathValue("name"), Model: "local/default"}})
	})
	f.handler = mux
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (f *fake) problem(w http.ResponseWriter, status int, code core.Code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": "problem", "status": status, "detail": detail, "code": code, "errors": []any{}})
}

// add makes a run without a request.
func (f *fake) add(run core.Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs[run.ID] = run
	f.order = append([]string{run.ID}, f.order...)
}

// emit appends an event; its payload is whichever field ev has.
func (f *fake) emit(id string, ev core.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ev.Run, ev.N = id, int64(len(f.events[id])+1)
	f.events[id] = append(f.events[id], ev)
	close(f.changed)
	f.changed = make(chan struct{})
}

// emitRun changes a run and emits the event about it.
func (f *fake) emitRun(id string, kind core.EventType, change func(*core.Run)) {
	f.mu.Lock()
	run := f.runs[id]
	change(&run)
	f.runs[id] = run
	f.mu.Unlock()
	f.emit(id, core.Event{Type: kind, RunData: &run})
}

// succeed ends a run with its answer.
func (f *fake) succeed(id, output string) {
	f.emit(id, core.Event{Type: core.EventMessageCompleted, Message: &core.Message{Index: 1, Role: core.RoleAssistant, Text: output}})
	f.emitRun(id, core.EventRunSucceeded, func(r *core.Run) {
		r.Status, r.Output, r.Steps = core.RunSucceeded, output, 2
		r.Usage = core.Usage{InputTokens: 400, OutputTokens: 31}
		from, to := r.CreatedAt, r.CreatedAt.Add(4100*time.Millisecond)
		r.StartedAt, r.FinishedAt = &from, &to
	})
}

// wait parks a run for an approval.
func (f *fake) wait(a core.Approval, reason core.WaitReason) {
	f.mu.Lock()
	a.Status = core.ApprovalPending
	f.approvals = append(f.approvals, a)
	f.mu.Unlock()
	f.emit(a.Run, core.Event{Type: core.EventApprovalRequested, Approval: &a})
	f.emitRun(a.Run, core.EventRunWaiting, func(r *core.Run) { r.Status, r.WaitReason = core.RunWaiting, reason })
}

func (f *fake) startRun(w http.ResponseWriter, r *http.Request) {
	var body newRun
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		f.problem(w, 400, core.CodeInvalid, err.Error())
		return
	}
	if body.Agent == "assistent" {
		f.problem(w, 404, core.CodeNotFound, `no agent "assistent" (did you mean "assistant"?)`)
		return
	}
	f.mu.Lock()
	f.started, f.keys = append(f.started, body), append(f.keys, r.Header.Get("Idempotency-Key"))
	f.mu.Unlock()
	run := core.Run{ID: runID, Agent: body.Agent, Input: body.Input, Status: core.RunQueued, CreatedAt: time.Unix(1764000000, 0).UTC()}
	f.add(run)
	if f.onStart != nil {
		f.onStart(run.ID)
	}
	f.reply(w, 201, run)
}

func (f *fake) listRuns(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	before := r.URL.Query().Get("before")
	p := page[core.Run]{Items: []core.Run{}}
	for _, id := range f.order {
		if before != "" && id >= before {
			continue
		}
		if len(p.Items) == limit {
			p.Next = p.Items[limit-1].ID
			break
		}
		p.Items = append(p.Items, f.runs[id])
	}
	f.reply(w, 200, p)
}

func (f *fake) getRun(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	run, ok := f.runs[r.PathValue("id")]
	if !ok {
		f.problem(w, 404, core.CodeNotFound, "no such run")
		return
	}
	f.reply(w, 200, run)
}

func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	id, last := r.PathValue("id"), r.Header.Get("Last-Event-ID")
	w.Header().Set("Content-Type", "text/event-stream")
	sent, _ := strconv.Atoi(strings.TrimPrefix(last, id+"-"))
	f.mu.Lock()
	f.lastIDs = append(f.lastIDs, last)
	cut := f.cut
	f.cut = 0
	f.mu.Unlock()
	fmt.Fprint(w, ": hello\n\n")
	for n := 0; ; {
		f.mu.Lock()
		events, changed := f.events[id], f.changed
		f.mu.Unlock()
		for _, ev := range events[min(sent, len(events)):] {
			if cut > 0 && n == cut {
				return
			}
			writeEvent(w, ev)
			sent, n = sent+1, n+1
		}
		w.(http.Flusher).Flush()
		f.mu.Lock()
		hook := f.onStream
		f.onStream = nil
		f.mu.Unlock()
		if hook != nil {
			hook(id)
		}
		if sent > 0 && events[sent-1].Type.Final() {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// writeEvent writes an event as the contract says.
func writeEvent(w io.Writer, ev core.Event) {
	var payload any
	switch {
	case ev.RunData != nil:
		payload = ev.RunData
	case ev.Step != nil:
		payload = ev.Step
	case ev.Message != nil:
		payload = ev.Message
	case ev.Delta != nil:
		payload = ev.Delta
	case ev.Approval != nil:
		payload = ev.Approval
	}
	data, _ := json.Marshal(payload)
	fmt.Fprintf(w, "id: %s-%d\nevent: %s\ndata: %s\n\n", ev.Run, ev.N, ev.Type, data)
}

func (f *fake) listApprovals(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := r.URL.Query()
	f.gets[q.Get("run")]++
	p := page[core.Approval]{Items: []core.Approval{}}
	for _, a := range f.approvals {
		if (q.Get("status") == "" || string(a.Status) == q.Get("status")) && (q.Get("run") == "" || a.Run == q.Get("run")) {
			p.Items = append(p.Items, a)
		}
	}
	f.reply(w, 200, p)
}

func (f *fake) getApproval(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.approvals {
		if a.ID == r.PathValue("id") {
			f.reply(w, 200, a)
			return
		}
	}
	f.problem(w, 404, core.CodeNotFound, "no such approval")
}

func (f *fake) decide(w http.ResponseWriter, r *http.Request) {
	var v verdict
	_ = json.NewDecoder(r.Body).Decode(&v)
	f.mu.Lock()
	var a *core.Approval
	for i := range f.approvals {
		if f.approvals[i].ID == r.PathValue("id") {
			a = &f.approvals[i]
		}
	}
	if a == nil || a.Status != core.ApprovalPending {
		f.mu.Unlock()
		f.problem(w, 409, core.CodeConflict, "it was decided already")
		return
	}
	a.Status = map[core.Decision]core.ApprovalStatus{core.DecideDeny: core.ApprovalDenied, core.DecideDone: core.ApprovalDone}[v.Decision]
	if a.Status == "" {
		a.Status = core.ApprovalApproved
	}
	f.verdicts = append(f.verdicts, v)
	done := *a
	f.mu.Unlock()
	if f.onDecide != nil {
		f.onDecide(done, v)
	}
	f.reply(w, 200, done)
}

// asked says how often the pending approvals of a run were asked for.
func (f *fake) asked(run string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gets[run]
}

// result is what a call of the command line did.
type result struct {
	exit     int
	out, err string
}

// terminals says which streams a test pretends to be terminals.
type terminals struct{ in, out, err bool }

// call runs the command line against the fake.
func (f *fake) call(ctx context.Context, stdin io.Reader, tty terminals, args ...string) result {
	return callWith(ctx, stdin, tty, append([]string{"--server", f.url}, args...)...)
}

// callWith runs the command line in an empty environment.
func callWith(ctx context.Context, stdin io.Reader, tty terminals, args ...string) result {
	var out, errs bytes.Buffer
	s := newStreams(stdin, &out, &errs)
	s.inTerminal, s.outTerminal, s.errTerminal = tty.in, tty.out, tty.err
	c := &cli{streams: s, env: environment{"NO_COLOR=1"}, program: theProgram()}
	exit := c.execute(ctx, args)
	return result{exit, out.String(), errs.String()}
}

// want fails the test unless the result has the exit code and every text is in standard error.
func (r result) want(t *testing.T, exit int, inErr ...string) {
	t.Helper()
	if r.exit != exit {
		t.Errorf("exit %d, want %d\nstdout: %s\nstderr: %s", r.exit, exit, r.out, r.err)
	}
	for _, text := range inErr {
		if !strings.Contains(r.err, text) {
			t.Errorf("standard error does not say %q:\n%s", text, r.err)
		}
	}
}
