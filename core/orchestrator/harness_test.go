package orchestrator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/orchestrator"
	"github.com/sutazai/sutazai/services/database"
)

// models answers from a function of the conversation: deterministic, whoever asks and however often.
type models struct {
	mu     sync.Mutex
	calls  int
	window int
	chat   func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
}

func (m *models) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	m.mu.Lock()
	m.calls++
	m.mu.Unlock()
	return m.chat(ctx, req, onDelta)
}

func (m *models) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (*models) Check(string) error { return nil }

func (m *models) Window(string) int { return m.window }

func answer(text string) core.ModelResponse {
	return core.ModelResponse{Message: core.Message{Role: core.RoleAssistant, Text: text}, Finish: core.FinishStop, Usage: core.Usage{InputTokens: 10, OutputTokens: 5, CostMicroUSD: 100}}
}

func calls(cs ...core.ToolCall) core.ModelResponse {
	r := answer("")
	r.Message.ToolCalls = cs
	return r
}

func call(name, args string) core.ToolCall {
	return core.ToolCall{ID: name + args, Name: name, Arguments: json.RawMessage(args)}
}

func last(req core.ModelRequest) core.Message { return req.Messages[len(req.Messages)-1] }

// scripted asks for tools once and then answers with their results.
func scripted(cs ...core.ToolCall) *models {
	return &models{chat: func(_ context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		if last(req).Role == core.RoleUser {
			return calls(cs...), nil
		}
		text := "results:"
		for _, m := range req.Messages {
			if m.Role == core.RoleTool {
				text += " " + m.Text
			}
		}
		onDelta(core.Delta{Attempt: 1, Text: text[:4]})
		onDelta(core.Delta{Attempt: 1, Text: text[4:]})
		return answer(text), nil
	}}
}

// tools have an effect each; do is what a call does.
type tools struct {
	mu    sync.Mutex
	calls map[string]int
	do    func(ctx context.Context, inv core.ToolInvocation) core.ToolResult
}

func (t *tools) Spec(name string) (core.ToolSpec, bool) {
	effect, ok := map[string]core.Effect{"look": core.EffectReadOnly, "put": core.EffectIdempotent, "pay": core.EffectUnsafe, agents.AskUser: core.EffectReadOnly, "read": core.EffectReadOnly, "browse": core.EffectReadOnly, "send": core.EffectIdempotent}[name]
	flow := map[string]core.Flow{"read": core.FlowPrivate, "browse": core.FlowUntrusted, "send": core.FlowEgress}[name]
	return core.ToolSpec{Name: name, Flow: flow, Effect: effect, Parameters: json.RawMessage(`{"type":"object","properties":{"n":{"type":"number"}}}`)}, ok
}

func (*tools) Family(string) []core.ToolSpec { return nil }

func (t *tools) Call(ctx context.Context, inv core.ToolInvocation) core.ToolResult {
	t.mu.Lock()
	if t.calls == nil {
		t.calls = map[string]int{}
	}
	t.calls[inv.Name]++
	t.mu.Unlock()
	if t.do != nil {
		return t.do(ctx, inv)
	}
	return core.ToolResult{Text: inv.Name + "=" + string(inv.Arguments)}
}

func (t *tools) made(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[name]
}

func (*tools) Guide(workspace string) string { return "" }

func (*tools) Attach(string, []core.File) error { return nil }
func (*tools) Remove(string) error              { return nil }

// peers answers for every peer.
type peers struct {
	mu    sync.Mutex
	turns []core.PeerCall
	talk  func(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error)
}

func (p *peers) Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
	p.mu.Lock()
	p.turns = append(p.turns, call)
	p.mu.Unlock()
	return p.talk(ctx, call, events)
}

func (p *peers) made() []core.PeerCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.turns)
}

// skillSet has one skill.
type skillSet struct{}

func (skillSet) Skill(name string) (core.Skill, bool) {
	return core.Skill{Name: name, Description: "Reads PDF files."}, name == "pdf"
}

// agentMap is a set of definitions.
type agentMap map[string]core.Agent

func (a agentMap) Agent(name string) (core.Agent, error) {
	d, ok := a[name]
	if !ok {
		return d, core.Errorf(core.CodeNotFound, "there is no agent %q", name)
	}
	d.Name, d.Version, d.Model = name, "v1", "fake/model"
	if d.KindOf() == core.AgentLLM {
		d.Instructions = "Work."
	}
	return d, nil
}

func grants(names ...string) []core.ToolGrant {
	var out []core.ToolGrant
	for _, n := range names {
		out = append(out, core.ToolGrant{Name: n, Approval: core.ApprovalUnsafe})
	}
	return out
}

type audit struct {
	mu     sync.Mutex
	events []core.AuditEvent
}

func (a *audit) Record(_ context.Context, e core.AuditEvent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
	return nil
}

type observer struct{}

func (observer) RunEnded(string, core.RunStatus, core.Code, time.Duration) {}
func (observer) StepEnded(core.StepKind, string, core.StepStatus, time.Duration, core.Usage) {
}
func (observer) RunDeadLettered(string) {}

// clock is a wall clock that a test can move forward.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// bench is what one orchestrator works with; several can share a database.
type bench struct {
	t      *testing.T
	dbo    database.Options
	models *models
	tools  *tools
	peers  peers
	agents agentMap
	audit  *audit
	clock  *clock
	limits core.Limits
	cfg    orchestrator.Config
}

func newBench(t *testing.T, dbo database.Options, m *models) *bench {
	return &bench{
		t: t, dbo: dbo, models: m, tools: &tools{}, audit: &audit{}, clock: &clock{},
		agents: agentMap{"a": {Tools: grants("look", "put", "pay", agents.AskUser)}},
		limits: core.Limits{Steps: 50, Tokens: 1 << 20, CostMicroUSD: 1 << 30, Time: time.Hour, Depth: 3},
		cfg: orchestrator.Config{
			Executor: "test", MaxActive: 64, MaxParallelTools: 8, MaxRepeats: 3, MaxRecoveries: 100,
			ApprovalExpiry: time.Hour, OutagePatience: time.Hour, Poll: 20 * time.Millisecond,
		},
	}
}

// open starts an orchestrator on handles of its own; stop closes it (once; also at the end of the test).
func (b *bench) open() (o *orchestrator.Orchestrator, stop func()) {
	b.t.Helper()
	db, err := database.Open(b.t.Context(), b.dbo)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	o, err = orchestrator.New(b.t.Context(), orchestrator.Deps{
		Database: db, Journal: db.Runs(), Handles: orchestrator.Handles{SQLite: db.SQLite(), Postgres: db.Postgres()},
		Models: b.models, Tools: b.tools, Peers: &b.peers, Skills: skillSet{}, Agents: b.agents, Audit: b.audit, Observer: observer{},
		Limits: func() core.Limits { return b.limits }, Log: slog.New(slog.DiscardHandler), Now: b.clock.now,
	}, b.cfg)
	if err != nil {
		b.t.Fatalf("new: %v", err)
	}
	if err := o.Launch(b.t.Context()); err != nil {
		b.t.Fatalf("launch: %v", err)
	}
	stop = sync.OnceFunc(func() {
		o.Drain(3 * time.Second)
		if err := errors.Join(o.Close(), db.Close()); err != nil {
			b.t.Errorf("close: %v", err)
		}
	})
	b.t.Cleanup(stop)
	return o, stop
}

func (b *bench) start(o *orchestrator.Orchestrator, agent, input string) core.Run {
	b.t.Helper()
	run, _, err := o.Start(b.t.Context(), core.StartRun{Agent: agent, Input: input, Actor: "test"})
	if err != nil {
		b.t.Fatalf("start: %v", err)
	}
	return run
}

// until follows the events of a run until pred accepts the run's state.
func (b *bench) until(o *orchestrator.Orchestrator, id string, what string, pred func(core.Run) bool) core.Run {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	for range o.Events(ctx, id, 0) {
		r, err := o.Run(ctx, id)
		if err != nil {
			b.t.Fatalf("run: %v", err)
		}
		if pred(r) {
			return r
		}
	}
	r, err := o.Run(b.t.Context(), id)
	if err != nil || !pred(r) {
		b.t.Fatalf("the run did not become %s: %s %s %+v (%v)", what, r.Status, r.WaitReason, r.Error, err)
	}
	return r
}

func (b *bench) ended(o *orchestrator.Orchestrator, id string) core.Run {
	b.t.Helper()
	return b.until(o, id, "final", func(r core.Run) bool { return r.Status.Final() })
}

func (b *bench) waiting(o *orchestrator.Orchestrator, id string) core.Run {
	b.t.Helper()
	return b.until(o, id, "waiting", func(r core.Run) bool { return r.Status == core.RunWaiting })
}

func (b *bench) approval(o *orchestrator.Orchestrator, run string) core.Approval {
	b.t.Helper()
	as, err := o.Approvals(b.t.Context(), core.ApprovalPending, run)
	if err != nil || len(as) != 1 {
		b.t.Fatalf("want one pending approval, got %d (%v)", len(as), err)
	}
	return as[0]
}

func (b *bench) decide(o *orchestrator.Orchestrator, id string, v core.Verdict) {
	b.t.Helper()
	v.Actor = "user:ann"
	if _, err := o.Decide(b.t.Context(), id, v); err != nil {
		b.t.Fatalf("decide: %v", err)
	}
}

func wantOutput(t *testing.T, r core.Run, want string) {
	t.Helper()
	if r.Status != core.RunSucceeded || r.Output != want {
		t.Fatalf("got %s %q (error %+v), want succeeded %q", r.Status, r.Output, r.Error, want)
	}
}

func wantFailed(t *testing.T, r core.Run, code core.Code) {
	t.Helper()
	if r.Status != core.RunFailed || r.Error == nil || r.Error.Code != code {
		t.Fatalf("got %s %+v, want failed with %s", r.Status, r.Error, code)
	}
}

func describe(s core.Step) string {
	return fmt.Sprintf("%d %s %s %s x%d", s.Index, s.Kind, s.Name, s.Status, len(s.Attempts))
}
