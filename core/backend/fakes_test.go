package backend_test

import (
	"bytes"
	"context"
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

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/a2a"
	"github.com/sutazai/sutazai/core/backend/anthropic"
	"github.com/sutazai/sutazai/core/backend/mcp"
	"github.com/sutazai/sutazai/core/backend/ollama"
	"github.com/sutazai/sutazai/core/backend/openai"
	"github.com/sutazai/sutazai/core/backend/responses"
	"github.com/sutazai/sutazai/internal/audit"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/auth/authtest"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/internal/ratelimit"
)

// ports is every port in memory. Its fields may be set before the handler is used.
type ports struct {
	mu        sync.Mutex
	runs      map[string]core.Run
	started   []core.StartRun
	verdicts  []core.Verdict
	approvals []core.Approval
	budgets   []core.BudgetState
	cleared   clearings
	events    func(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error]
	chat      func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
	services  []core.Service
	agents    []core.AgentStatus
	ready     error
	err       error // of every call of Runs, where set
}

func (p *ports) Start(_ context.Context, r core.StartRun) (core.Run, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return core.Run{}, false, p.err
	}
	for _, old := range p.started {
		if r.IdempotencyKey != "" && old.IdempotencyKey == r.IdempotencyKey {
			if old.Input != r.Input {
				return core.Run{}, false, core.Errorf(core.CodeConflict, "the Idempotency-Key was used for another request")
			}
			return p.runs["run-1"], true, nil
		}
	}
	p.started = append(p.started, r)
	run := core.Run{ID: "run-1", Agent: r.Agent, Status: core.RunQueued, Input: r.Input, CreatedBy: r.Actor, Limits: r.Limits}
	p.runs[run.ID] = run
	return run, false, nil
}

func (p *ports) Run(_ context.Context, id string) (core.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return core.Run{}, p.err
	}
	r, ok := p.runs[id]
	if !ok {
		return r, core.Errorf(core.CodeNotFound, "there is no run %s", id)
	}
	return r, nil
}

func (p *ports) Runs(_ context.Context, f core.RunFilter) ([]core.Run, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []core.Run
	for _, r := range p.runs {
		if f.Status == "" || f.Status == r.Status {
			out = append(out, r)
		}
	}
	return out, "", p.err
}

func (p *ports) Steps(ctx context.Context, run string) ([]core.Step, error) {
	if _, err := p.Run(ctx, run); err != nil {
		return nil, err
	}
	return []core.Step{{ID: run + ":0", Run: run, Kind: core.StepModel, Status: core.StepSucceeded}}, nil
}

func (p *ports) Messages(ctx context.Context, run string) ([]core.Message, error) {
	_, err := p.Run(ctx, run)
	return nil, err
}

func (p *ports) Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error] {
	return p.events(ctx, run, after)
}

func (p *ports) Cancel(ctx context.Context, id, _ string) (core.Run, error) { return p.Run(ctx, id) }
func (p *ports) Resume(ctx context.Context, id, _ string) (core.Run, error) { return p.Run(ctx, id) }
func (p *ports) Message(ctx context.Context, id, _, _ string) (core.Run, error) {
	return p.Run(ctx, id)
}

func (p *ports) Approvals(_ context.Context, _ core.ApprovalStatus, _ string) ([]core.Approval, error) {
	return p.approvals, p.err
}

func (p *ports) Approval(_ context.Context, id string) (core.Approval, error) {
	for _, a := range p.approvals {
		if a.ID == id {
			return a, nil
		}
	}
	return core.Approval{}, core.Errorf(core.CodeNotFound, "there is no approval %s", id)
}

func (p *ports) Decide(ctx context.Context, id string, v core.Verdict) (core.Approval, error) {
	a, err := p.Approval(ctx, id)
	if err == nil && a.Status != core.ApprovalPending {
		err = core.Errorf(core.CodeConflict, "it was decided already")
	}
	if err == nil {
		p.verdicts = append(p.verdicts, v)
	}
	return a, err
}

func (p *ports) ActiveByAgent(context.Context) (map[string]int, error) {
	return map[string]int{"assistant": 2}, p.err
}

func (p *ports) CountSince(context.Context, time.Time) (map[core.RunStatus]int, error) {
	return map[core.RunStatus]int{core.RunSucceeded: 5, core.RunFailed: 1}, nil
}

func (p *ports) Usage(_ context.Context, group string, from time.Time) ([]core.UsageRow, error) {
	row := core.UsageRow{Key: group + " since " + from.Format(time.RFC3339), Runs: 2, UsageSum: core.UsageSum{Requests: 2, TookMS: 500, SavedMicroUSD: 500_000, Usage: core.Usage{InputTokens: 3, OutputTokens: 4, CostMicroUSD: 1500}}}
	return []core.UsageRow{row}, p.err
}

func (p *ports) Budgets(context.Context) ([]core.BudgetState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.budgets), p.err
}

func (p *ports) SetBudget(_ context.Context, b core.Budget) (core.Budget, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := b.Check(); err != nil {
		return b, err
	}
	p.budgets = append(p.budgets, core.BudgetState{Budget: b})
	return b, nil
}

func (p *ports) RemoveBudget(_ context.Context, id string) (core.Budget, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range p.budgets {
		if b.ID == id {
			p.budgets = slices.Delete(p.budgets, i, i+1)
			return b.Budget, nil
		}
	}
	return core.Budget{}, core.Errorf(core.CodeNotFound, "there is no budget %q", id)
}

func (p *ports) Agent(name string) (core.Agent, error) {
	for _, a := range p.agents {
		if a.Agent.Name == name {
			return a.Agent, nil
		}
	}
	return core.Agent{}, core.Errorf(core.CodeNotFound, "there is no agent %q", name)
}

func (p *ports) List() []core.AgentStatus { return p.agents }

func (p *ports) Models(context.Context) ([]core.Model, error) {
	return []core.Model{{ID: "local/tiny", Provider: "local", Kind: "local"}}, nil
}

// Exchange is the gateway without its retries: it translates every call and gives it to chat.
func (p *ports) Exchange(ctx context.Context, c *dialect.Call, out dialect.Answer) error {
	if c.Model != "local/tiny" {
		return &dialect.UnknownModel{Err: core.Errorf(core.CodeInvalid, "unknown model %q (did you mean \"local/tiny\"?)", c.Model)}
	}
	req, err := c.Decode(c.Body.Bytes)
	if err != nil {
		return err
	}
	var lost error
	res, err := p.chat(ctx, req, func(d core.Delta) {
		if c.Stream && lost == nil {
			lost = out.Delta(d)
		}
	})
	if err == nil {
		err = lost
	}
	if err != nil {
		return err
	}
	return out.Done(res)
}

func (p *ports) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	return p.chat(ctx, req, onDelta)
}

func (p *ports) Health() []core.ModelHealth {
	return []core.ModelHealth{{Target: "local/tiny", State: "closed", Routes: []string{"default"}}}
}

func (p *ports) Routes() []core.ModelRoute {
	return []core.ModelRoute{{Name: "default", Strategy: "ordered", Targets: []core.ModelRouteTarget{{Target: "local/tiny", Weight: 1}}, Fallback: []string{}, Guardrails: []string{}}}
}

func (p *ports) Embed(_ context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	var res core.EmbedResponse
	for _, text := range req.Inputs {
		res.Vectors = append(res.Vectors, []float32{float32(len(text)), 0.5})
	}
	return res, nil
}

func (p *ports) Services(context.Context) []core.Service { return p.services }
func (p *ports) Ready(context.Context) error             { return p.ready }

// credentials are a vault with one key, of the provider cloud.
type credentials struct{}

func (credentials) one() core.Credential {
	return core.Credential{ID: "c1", Provider: "cloud", Name: "team", Hint: "wxyz", CreatedBy: "socket"}
}

func (c credentials) List(context.Context) ([]core.Credential, error) {
	return []core.Credential{c.one()}, nil
}

func (c credentials) Add(_ context.Context, provider, name string, secret core.Secret, actor string) (core.Credential, error) {
	if provider != "cloud" {
		e := core.Errorf(core.CodeInvalid, "%q is not a provider of the settings", provider)
		e.Fields = []core.FieldError{{Field: "provider", Message: e.Message}}
		return core.Credential{}, e
	}
	made := c.one()
	made.Name, made.Hint, made.CreatedBy = name, secret.Reveal()[:1], actor
	return made, nil
}

func (c credentials) Remove(_ context.Context, id string) (core.Credential, error) {
	if id != "c1" {
		return core.Credential{}, core.Errorf(core.CodeNotFound, "there is no credential %s", id)
	}
	return c.one(), nil
}

func (credentials) RotateMaster(context.Context) (int, error) { return 1, nil }

// auditStore keeps events in memory.
type auditStore struct {
	mu     sync.Mutex
	events []core.AuditEvent
}

func (s *auditStore) Append(_ context.Context, e core.AuditEvent) (core.AuditEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ID = int64(len(s.events) + 1)
	s.events = append(s.events, e)
	return e, nil
}

func (s *auditStore) List(context.Context, core.AuditFilter) ([]core.AuditEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]core.AuditEvent{}, s.events...), nil
}

func (s *auditStore) actions() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		out = append(out, e.Action+" "+e.Result)
	}
	return out
}

// testBundle is the whole handler over ports in memory.
type testBundle struct {
	ports   *ports
	auth    *auth.Service
	audit   *auditStore
	log     *lockedBuffer
	metrics *prometheus.Registry
	handler http.Handler
	keys    map[string]string // scope -> secret of a key with that scope alone
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type options struct {
	limitClock func() time.Time // of the rate limits; nil = the real one
	config     backend.Config
	rates      ratelimit.Rates
	noAuth     bool
	console    http.Handler
}

func setup(t *testing.T, change ...func(*options)) *testBundle {
	t.Helper()
	o := options{
		config: backend.Config{Version: "test"},
		rates:  ratelimit.Rates{Login: ratelimit.Rate{PerSecond: 1000, Burst: 1000}},
		console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "console "+backend.Nonce(r))
		}),
	}
	for _, f := range change {
		f(&o)
	}
	b := &testBundle{
		ports: &ports{
			runs: map[string]core.Run{
				"r1": {ID: "r1", Agent: "assistant", Status: core.RunSucceeded, Output: "done", Usage: core.Usage{InputTokens: 3, OutputTokens: 4, CostMicroUSD: 1500}},
			},
			approvals: []core.Approval{
				{ID: "a1", Run: "r1", Tool: "pay", Agent: "clerk", Status: core.ApprovalPending, Reason: core.ReasonPolicy},
				{ID: "a2", Run: "r1", Tool: "pay", Agent: "clerk", Status: core.ApprovalDenied, Reason: core.ReasonPolicy},
			},
			services: []core.Service{{Name: "database", State: core.ServiceHealthy}},
			agents:   []core.AgentStatus{{Agent: core.Agent{Name: "assistant", Version: "abc"}}},
			events: func(context.Context, string, int64) iter.Seq2[core.Event, error] {
				return func(func(core.Event, error) bool) {}
			},
			chat: func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
				return core.ModelResponse{}, core.Errorf(core.CodeUnavailable, "no model in this test")
			},
		},
		audit: &auditStore{}, log: &lockedBuffer{}, metrics: prometheus.NewRegistry(), keys: map[string]string{},
	}
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mem := authtest.NewMemory()
	b.auth = auth.New(mem.Keys(), mem.Users(), mem.Sessions(), auth.Options{NoAuth: o.noAuth, Logger: log})
	for _, sc := range []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove, core.ScopeAdmin} {
		_, secret, err := b.auth.CreateKey(t.Context(), auth.NewKey{Name: string(sc), Scopes: []core.Scope{sc}})
		if err != nil {
			t.Fatal(err)
		}
		b.keys[string(sc)] = secret
	}
	chats := &backend.Chats{Runs: b.ports, Agents: b.ports, Models: b.ports, Logger: log, PublicURL: func() string { return "http://localhost:8080" }}
	auditLog, limits := audit.New(b.audit, log, nil), ratelimit.NewLimits(o.rates, o.limitClock)
	agentsByMCP := mcp.New(mcp.Deps{Runs: b.ports, Agents: b.ports, Auth: b.auth, Audit: auditLog, Limits: limits, Logger: log, PublicURL: func() string { return "" }})
	t.Cleanup(func() { _ = agentsByMCP.Close() })
	tasks := a2a.New(a2a.Deps{Runs: b.ports, Agents: b.ports, Store: noTasks{}, Auth: b.auth, Audit: auditLog, PublicURL: func() string { return "" }, Logger: log, Now: time.Now})
	h, err := backend.New(backend.Deps{
		Runs: b.ports, RunCounts: b.ports, Usage: b.ports, Budgets: b.ports, Cache: &b.ports.cleared, Agents: b.ports, Models: b.ports, Services: b.ports, Auth: b.auth, Credentials: credentials{}, MCP: mcpServers{}, Evaluations: evaluations{},
		Audit: auditLog, Limits: limits, Metrics: b.metrics,
		Console: o.console, Logger: log,
		Routes: slices.Concat(openai.Routes(openai.Deps{Chats: chats, Logger: log}), anthropic.Routes(anthropic.Deps{Chats: chats, Logger: log}),
			ollama.Routes(ollama.Deps{Chats: chats, Logger: log}), responses.Routes(responses.Deps{Chats: chats, Logger: log}), agentsByMCP.Routes(), tasks.Routes()),
	}, o.config)
	if err != nil {
		t.Fatal(err)
	}
	b.handler = h
	return b
}

// noTasks is a store of tasks in which there is nothing.
type noTasks struct{ a2a.Store }

func (noTasks) SigningKeys(context.Context) ([]core.SigningKey, error) { return nil, nil }

// scenario is a request and what must and must not be in its answer.
type scenario struct {
	name    string
	method  string
	url     string
	key     string // scope of the key that is sent; "" = none
	body    string
	headers map[string]string
	status  int
	has     []string
	hasNot  []string
	header  map[string]string // of the answer; "" = must be missing
}

func (b *testBundle) do(t *testing.T, s scenario) *httptest.ResponseRecorder {
	t.Helper()
	if s.method == "" {
		s.method = http.MethodGet
	}
	r := httptest.NewRequestWithContext(t.Context(), s.method, s.url, strings.NewReader(s.body))
	r.Host = "localhost:8080"
	r.RemoteAddr = "127.0.0.1:4000"
	if s.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.key != "" {
		r.Header.Set("Authorization", "Bearer "+b.keys[s.key])
	}
	for k, v := range s.headers {
		if k == "Host" {
			r.Host = v
			continue
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func (b *testBundle) check(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			w := b.do(t, s)
			body := w.Body.String()
			if w.Code != s.status {
				t.Errorf("status %d, want %d: %s", w.Code, s.status, body)
			}
			for _, want := range s.has {
				if !strings.Contains(body, want) {
					t.Errorf("%q is not in %s", want, body)
				}
			}
			for _, not := range append(s.hasNot, "goroutine ", "core.Error") {
				if strings.Contains(body, not) {
					t.Errorf("%q is in %s", not, body)
				}
			}
			for k, v := range s.header {
				if got := w.Header().Get(k); got != v {
					t.Errorf("header %s is %q, want %q", k, got, v)
				}
			}
		})
	}
}
