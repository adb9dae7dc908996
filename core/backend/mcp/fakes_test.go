package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/mcp"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/auth/authtest"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

// runs is a scripted orchestrator: what a run does is what a test emits.
type runs struct {
	mu        sync.Mutex
	changed   chan struct{} // closed and replaced with every event
	runs      []core.Run    // oldest first
	started   []core.StartRun
	events    map[string][]core.Event
	approvals []core.Approval
	cancelled []string // "run by actor"
	verdicts  []core.Verdict
	texts     []string
	onStart   func(r *runs, run core.Run) // in a goroutine of its own
}

func (r *runs) Start(_ context.Context, s core.StartRun) (core.Run, bool, error) {
	if s.Agent != "clerk" && s.Agent != "counter" {
		return core.Run{}, false, core.Errorf(core.CodeNotFound, "there is no agent %q", s.Agent)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	run := core.Run{ID: fmt.Sprintf("run-%d", len(r.runs)+1), Agent: s.Agent, Input: s.Input, Status: core.RunQueued, CreatedBy: s.Actor}
	r.runs, r.started = append(r.runs, run), append(r.started, s)
	if r.onStart != nil {
		go r.onStart(r, run)
	}
	return run, false, nil
}

// emit changes a run and tells of it.
func (r *runs) emit(id string, t core.EventType, change func(*core.Run)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.runs, func(run core.Run) bool { return run.ID == id })
	change(&r.runs[i])
	run := r.runs[i]
	r.push(core.Event{Run: id, Type: t, RunData: &run})
}

func (r *runs) step(id, tool string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.push(core.Event{Run: id, Type: core.EventStepCompleted, Step: &core.Step{Run: id, Kind: core.StepTool, Name: tool, Status: core.StepSucceeded}})
}

// push needs the lock.
func (r *runs) push(e core.Event) {
	e.N, e.At = int64(len(r.events[e.Run])+1), time.Now()
	r.events[e.Run] = append(r.events[e.Run], e)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *runs) Run(_ context.Context, id string) (core.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range r.runs {
		if run.ID == id {
			return run, nil
		}
	}
	return core.Run{}, core.Errorf(core.CodeNotFound, "there is no run %s", id)
}

func (r *runs) Runs(_ context.Context, f core.RunFilter) ([]core.Run, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []core.Run
	for i := len(r.runs) - 1; i >= 0; i-- {
		run := r.runs[i]
		if (f.Before == "" || len(run.ID) < len(f.Before) || run.ID < f.Before) && (f.Status == "" || f.Status == run.Status) {
			out = append(out, run)
		}
	}
	if f.Limit > 0 && len(out) > f.Limit {
		return out[:f.Limit], out[f.Limit-1].ID, nil
	}
	return out, "", nil
}

func (r *runs) Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error] {
	return func(yield func(core.Event, error) bool) {
		for {
			r.mu.Lock()
			events, changed := r.events[run][after:], r.changed
			r.mu.Unlock()
			for _, e := range events {
				after = e.N
				if !yield(e, nil) || e.Type.Final() {
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (r *runs) Cancel(_ context.Context, id, actor string) (core.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancelled = append(r.cancelled, id+" by "+actor)
	return core.Run{ID: id, Status: core.RunCancelled}, nil
}

func (r *runs) Message(ctx context.Context, id, text, _ string) (core.Run, error) {
	r.mu.Lock()
	r.texts = append(r.texts, text)
	r.mu.Unlock()
	return r.Run(ctx, id)
}

func (r *runs) Decide(_ context.Context, id string, v core.Verdict) (core.Approval, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verdicts = append(r.verdicts, v)
	return core.Approval{ID: id, Run: "run-1", Tool: "pay", Status: core.ApprovalApproved}, nil
}

func (r *runs) Steps(ctx context.Context, id string) ([]core.Step, error) {
	_, err := r.Run(ctx, id)
	return []core.Step{{ID: id + ":0", Run: id, Kind: core.StepModel, Name: "local/tiny", Status: core.StepSucceeded}}, err
}

func (r *runs) Approvals(context.Context, core.ApprovalStatus, string) ([]core.Approval, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.approvals, nil
}

func (r *runs) Resume(ctx context.Context, id, _ string) (core.Run, error) { return r.Run(ctx, id) }
func (r *runs) Messages(context.Context, string) ([]core.Message, error)   { return nil, nil }
func (r *runs) Approval(context.Context, string) (core.Approval, error)    { return core.Approval{}, nil }
func (r *runs) ActiveByAgent(context.Context) (map[string]int, error) {
	return map[string]int{"clerk": 1}, nil
}

func (r *runs) seen(look func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	look()
}

// agents is a registry that tests change.
type agents struct {
	mu   sync.Mutex
	list []core.Agent
}

func (a *agents) Agent(name string) (core.Agent, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, one := range a.list {
		if one.Name == name {
			return one, nil
		}
	}
	return core.Agent{}, core.Errorf(core.CodeNotFound, "there is no agent %q", name)
}

func (a *agents) List() []core.AgentStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []core.AgentStatus
	for _, one := range a.list {
		out = append(out, core.AgentStatus{Agent: one})
	}
	return out
}

func (a *agents) add(one core.Agent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, one)
}

// auditStore keeps events in memory.
type auditStore struct {
	mu     sync.Mutex
	events []core.AuditEvent
}

func (s *auditStore) Append(_ context.Context, e core.AuditEvent) (core.AuditEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return e, nil
}

func (s *auditStore) List(context.Context, core.AuditFilter) ([]core.AuditEvent, error) {
	return nil, nil
}

func (s *auditStore) has(action, result string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.events, func(e core.AuditEvent) bool { return e.Action == action && e.Result == result })
}

// bench is the whole HTTP surface over scripted ports.
type bench struct {
	t       *testing.T
	runs    *runs
	agents  *agents
	audit   *auditStore
	auth    *auth.Service
	server  *mcp.Server
	url     string
	handler http.Handler
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, audit: &auditStore{}, runs: &runs{changed: make(chan struct{}), events: map[string][]core.Event{}}}
	b.agents = &agents{list: []core.Agent{
		{Name: "clerk", Version: "1", Description: "Files invoices."},
		{Name: "counter", Version: "1", Description: "Counts.", Output: json.RawMessage(`{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}`)},
		{Name: "broken", Description: "Its file has never been right."},
	}}
	log := slog.New(slog.DiscardHandler)
	m := authtest.NewMemory()
	b.auth = auth.New(m.Keys(), m.Users(), m.Sessions(), auth.Options{})
	auditLog := audit.New(b.audit, log, nil)
	limits := ratelimit.NewLimits(ratelimit.DefaultRates(), time.Now)
	b.server = mcp.New(mcp.Deps{
		Runs: b.runs, Agents: b.agents, Auth: b.auth, Audit: auditLog, Limits: limits, Logger: log, Version: "1.2.3",
		PublicURL: func() string { return "https://agents.example.com" }, OAuth: mcp.OAuth{Issuer: "https://id.example.com"},
	})
	h, err := backend.New(backend.Deps{
		Runs: b.runs, Agents: b.agents, Auth: b.auth, Audit: auditLog, Limits: limits, Metrics: prometheus.NewRegistry(), Logger: log, Routes: b.server.Routes(),
	}, backend.Config{PublicURL: "https://agents.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		if err := b.server.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	b.url, b.handler = s.URL, h
	return b
}

func (b *bench) key(scopes ...core.Scope) string {
	b.t.Helper()
	_, secret, err := b.auth.CreateKey(b.t.Context(), auth.NewKey{Name: "test", Scopes: scopes})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

// withKey sends a key with every request.
type withKey struct {
	key string
	rt  http.RoundTripper
}

func (k withKey) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+k.key)
	return k.rt.RoundTrip(r)
}

// client connects the SDK's client. old makes it one of the revisions with sessions.
func (b *bench) client(key string, old bool, o *sdk.ClientOptions) *sdk.ClientSession {
	b.t.Helper()
	transport := &sdk.StreamableClientTransport{Endpoint: b.url + mcp.Path, HTTPClient: &http.Client{Transport: withKey{key, http.DefaultTransport}}}
	options := &sdk.ClientSessionOptions{}
	if old {
		options.ProtocolVersion = "2025-11-25"
	}
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, o).Connect(b.t.Context(), transport, options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cs.Close() })
	return cs
}

// both runs a test with clients of both kinds of revisions.
func both(t *testing.T, f func(t *testing.T, b *bench, connect func(o *sdk.ClientOptions) *sdk.ClientSession)) {
	t.Helper()
	for name, old := range map[string]bool{"2025-11-25": true, "2026-07-28": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			key := b.key(core.ScopeAdmin)
			f(t, b, func(o *sdk.ClientOptions) *sdk.ClientSession { return b.client(key, old, o) })
		})
	}
}

// post sends a body as it is.
func (b *bench) post(key, body string, header ...string) (int, http.Header, string) {
	b.t.Helper()
	return b.do(http.MethodPost, key, body, header...)
}

func (b *bench) do(method, key, body string, header ...string) (int, http.Header, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+mcp.Path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

func textOf(r *sdk.CallToolResult) string {
	var out []string
	for _, c := range r.Content {
		if t, ok := c.(*sdk.TextContent); ok {
			out = append(out, t.Text)
		}
	}
	return strings.Join(out, "\n")
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
