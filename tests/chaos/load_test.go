//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/tests/testserver"
)

const (
	// again is how soon a client tries again after the server did not answer.
	again = 15 * time.Millisecond
	// keptRefusals bounds what is remembered of answers that no client should get.
	keptRefusals = 1000
)

// task is one run as its client sees it.
type task struct {
	name  string
	agent string

	mu        sync.Mutex
	run       string // id; set once the start is acknowledged
	cancelled bool   // a cancellation was acknowledged
	active    bool   // by the latest event, the server is working on it
	final     bool
	events    []seenEvent
	steps     map[int]core.Step    // completed ones, as first seen
	messages  map[int]core.Message // as first seen
	problems  []string             // contradictions that its watcher noticed
}

type seenEvent struct {
	n    int64
	kind core.EventType
	at   time.Time
}

func (t *task) id() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run
}

// load is the clients: they start runs, follow them, and decide as people would.
type load struct {
	world  *world
	client *testserver.Client

	mu      sync.Mutex
	tasks   []*task
	said    map[string][]core.Decision // by approval: every decision that was sent
	refused []string                   // answers that no client should get
}

func (l *load) all() []*task {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*task(nil), l.tasks...)
}

// count tells how many acknowledged runs have not ended, and how many of them are being worked on.
func (l *load) count() (open, active int) {
	for _, t := range l.all() {
		t.mu.Lock()
		if t.run != "" && !t.final {
			open++
			if t.active {
				active++
			}
		}
		t.mu.Unlock()
	}
	return open, active
}

// unexpected notes an answer that is neither success nor the sign of a dead server.
func (l *load) unexpected(doing string, err error) {
	status, ok := errors.AsType[*testserver.StatusError](err)
	if !ok || status.Status == http.StatusServiceUnavailable {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.refused) < keptRefusals {
		l.refused = append(l.refused, doing+": "+err.Error())
	}
}

// keepStarting keeps as many runs open as wanted until ctx ends. A start that is under way then is seen through: nobody
// would know of the run otherwise.
func (l *load) keepStarting(ctx context.Context, watching context.Context, runs int, wg *sync.WaitGroup) {
	for ctx.Err() == nil {
		l.mu.Lock()
		n := len(l.tasks)
		l.mu.Unlock()
		open, _ := l.count()
		if open >= runs {
			pause(ctx, again)
			continue
		}
		t := &task{name: fmt.Sprintf("t%d", n), agent: "payer", steps: map[int]core.Step{}, messages: map[int]core.Message{}, active: true}
		switch {
		case n%8 == 3:
			t.agent = "careful"
		case n%8 == 6:
			t.agent = "boss"
		}
		if !l.start(watching, t) {
			return
		}
		l.mu.Lock()
		l.tasks = append(l.tasks, t)
		l.mu.Unlock()
		wg.Go(func() { l.watch(watching, t) })
		if n%20 == 11 {
			wg.Go(func() { l.cancelSoon(watching, t) })
		}
	}
}

// start asks for the run, with the same key, until the server acknowledges it.
func (l *load) start(ctx context.Context, t *task) bool {
	body := map[string]any{"agent": t.agent, "input": "work on " + t.name + " now", "metadata": map[string]string{"task": t.name}}
	header := http.Header{"Idempotency-Key": {"start-" + t.name}}
	for deadline := time.Now().Add(settlePatience); ctx.Err() == nil; {
		if time.Now().After(deadline) {
			l.unexpected("start "+t.name, &testserver.StatusError{Body: "not acknowledged within " + settlePatience.String()})
			return false
		}
		var run core.Run
		err := l.client.Call(ctx, http.MethodPost, "/api/v1/runs", header, body, &run)
		if err == nil {
			t.mu.Lock()
			t.run = run.ID
			t.mu.Unlock()
			return true
		}
		l.unexpected("start "+t.name, err)
		pause(ctx, again)
	}
	return false
}

// cancelSoon cancels a run after it has done something, as a person who changed their mind.
func (l *load) cancelSoon(ctx context.Context, t *task) {
	pause(ctx, l.world.between(100*time.Millisecond, time.Second))
	for ctx.Err() == nil {
		err := l.client.Call(ctx, http.MethodPost, "/api/v1/runs/"+t.id()+"/cancel", nil, nil, nil)
		status, isStatus := errors.AsType[*testserver.StatusError](err)
		if err == nil || isStatus && status.Status == http.StatusConflict { // it had ended, perhaps by an earlier try
			t.mu.Lock()
			t.cancelled = true
			t.mu.Unlock()
			return
		}
		l.unexpected("cancel "+t.name, err)
		pause(ctx, again)
	}
}

// watch follows a run's events across every restart, as the console does.
func (l *load) watch(ctx context.Context, t *task) {
	lastID := ""
	for ctx.Err() == nil {
		err := l.client.Stream(ctx, "/api/v1/runs/"+t.id()+"/events", lastID, func(e testserver.SSE) bool {
			lastID = e.ID
			l.world.saw(t.name, time.Now())
			return t.take(e)
		})
		t.mu.Lock()
		final := t.final
		t.mu.Unlock()
		if final {
			return
		}
		l.unexpected("follow "+t.name, err)
		pause(ctx, again)
	}
}

// take notes an event; false when nothing can follow.
func (t *task) take(e testserver.SSE) (more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kind := core.EventType(e.Event)
	n, err := strconv.ParseInt(strings.TrimPrefix(e.ID, t.run+"-"), 10, 64)
	if err != nil {
		t.problem("event id %q is not the run's", e.ID)
		return true
	}
	if len(t.events) > 0 && n <= t.events[len(t.events)-1].n {
		t.problem("event %d (%s) came after event %d", n, kind, t.events[len(t.events)-1].n)
	}
	t.events = append(t.events, seenEvent{n, kind, time.Now()})
	switch kind {
	case core.EventStepCompleted:
		var s core.Step
		if t.decode(e, &s) {
			if before, ok := t.steps[s.Index]; ok {
				t.problem("step %d was completed twice: %s at %v, then %s at %v", s.Index, before.Status, before.FinishedAt, s.Status, s.FinishedAt)
			} else {
				t.steps[s.Index] = s
			}
		}
	case core.EventMessageCompleted:
		var m core.Message
		if t.decode(e, &m) {
			if before, ok := t.messages[m.Index]; ok {
				t.problem("message %d was completed twice: %q, then %q", m.Index, before.Text, m.Text)
			} else {
				t.messages[m.Index] = m
			}
		}
	case core.EventRunWaiting:
		t.active = false
		return true
	}
	t.active = true
	t.final = kind.Final()
	return !t.final
}

func (t *task) problem(format string, args ...any) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

func (t *task) decode(e testserver.SSE, out any) bool {
	if err := json.Unmarshal(e.Data, out); err != nil {
		t.problem("event %s is not JSON: %v", e.ID, err)
		return false
	}
	return true
}

// decide settles what waits for a person until ctx ends.
func (l *load) decide(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, 2*again)
		pending, err := testserver.List[core.Approval](ctx, l.client, "/api/v1/approvals?status=pending")
		if err != nil {
			l.unexpected("list approvals", err)
			continue
		}
		for _, a := range pending {
			l.settle(ctx, a)
		}
	}
}

func (l *load) settle(ctx context.Context, a core.Approval) {
	body := map[string]any{"decision": core.DecideDeny, "comment": "decided by the test"}
	switch {
	case l.world.chance(0.3):
		body = map[string]any{"decision": core.DecideDone, "result": "settled by a person in " + a.ID}
	case a.Reason == core.ReasonInterrupted && l.world.chance(0.7):
		body["decision"] = core.DecideRetry
	case a.Reason == core.ReasonPolicy && l.world.chance(0.3):
		body["decision"] = core.DecideEdit
		body["arguments"] = map[string]string{"entry": edited(entryOf(a.Arguments))}
	case a.Reason == core.ReasonPolicy && l.world.chance(0.8):
		body["decision"] = core.DecideApprove
	}
	l.mu.Lock()
	l.said[a.ID] = append(l.said[a.ID], body["decision"].(core.Decision))
	l.mu.Unlock()
	err := l.client.Call(ctx, http.MethodPost, "/api/v1/approvals/"+a.ID, nil, body, nil)
	if status, ok := errors.AsType[*testserver.StatusError](err); ok && status.Status == http.StatusConflict {
		return // an earlier answer arrived although its acknowledgement did not, or the run was cancelled
	}
	if err != nil {
		l.unexpected("decide "+a.ID, err)
	}
}

// edited is the entry that a person writes in place of the agent's.
func edited(entry string) string {
	if strings.HasSuffix(entry, "-edited") {
		return entry
	}
	return entry + "-edited"
}

func entryOf(arguments json.RawMessage) string {
	var in struct{ Entry string }
	if json.Unmarshal(arguments, &in) != nil {
		return ""
	}
	return in.Entry
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
