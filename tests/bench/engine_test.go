//go:build bench

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/orchestrator"
	"github.com/sutazai/sutazai/services/database"
)

// The parts around the orchestrator answer at once, so that what is measured is the orchestrator and its database.

// turnsOfTools is how often the model asks for a tool before it answers: a run has a model step and a tool step for
// each, and a last model step.
const turnsOfTools = 4

// instantModel asks for tools and then answers.
type instantModel struct{ answer string }

func (m instantModel) Chat(_ context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	spoken := 0
	for i := len(req.Messages) - 1; i >= 0 && req.Messages[i].Role != core.RoleUser; i-- {
		if req.Messages[i].Role == core.RoleAssistant {
			spoken++
		}
	}
	resp := core.ModelResponse{Message: core.Message{Role: core.RoleAssistant, Text: m.answer}, Finish: core.FinishStop,
		Usage: core.Usage{InputTokens: 10, OutputTokens: 5}, Model: "instant/m"}
	if len(req.Tools) > 0 && spoken < turnsOfTools {
		resp.Finish = core.FinishTools
		resp.Message.Text = ""
		resp.Message.ToolCalls = []core.ToolCall{{ID: fmt.Sprintf("call_%d", spoken), Name: "look", Arguments: json.RawMessage(fmt.Sprintf(`{"page":%d}`, spoken))}}
		return resp, nil
	}
	onDelta(core.Delta{Attempt: 1, Text: m.answer})
	return resp, nil
}

func (instantModel) Check(string) error { return nil }

func (instantModel) Window(string) int { return 0 }

// instantTools has one tool, which answers with 1 KB.
type instantTools struct{}

func (instantTools) Spec(name string) (core.ToolSpec, bool) {
	return core.ToolSpec{Name: name, Description: "Looks.", Effect: core.EffectReadOnly, Parameters: json.RawMessage(`{"type":"object"}`)}, name == "look"
}

func (instantTools) Call(context.Context, core.ToolInvocation) core.ToolResult {
	return core.ToolResult{Text: strings.Repeat("a page ", 146)}
}

func (instantTools) Family(string) []core.ToolSpec { return nil }

func (instantTools) Guide(string) string { return "" }

func (instantTools) Attach(string, []core.File) error { return nil }

func (instantTools) Remove(string) error { return nil }

type oneAgent struct{ tools []core.ToolGrant }

func (a oneAgent) Agent(name string) (core.Agent, error) {
	return core.Agent{Name: name, Version: "v1", Model: "instant/m", Instructions: "Work.", Tools: a.tools}, nil
}

type noAudit struct{}

func (noAudit) Record(context.Context, core.AuditEvent) error { return nil }

// counter counts what ends.
type counter struct {
	steps  atomic.Int64
	failed atomic.Int64
	ended  chan struct{} // a value for every run that ends
}

func (c *counter) RunEnded(_ string, status core.RunStatus, _ core.Code, _ time.Duration) {
	if status != core.RunSucceeded {
		c.failed.Add(1)
	}
	c.ended <- struct{}{}
}

func (c *counter) StepEnded(core.StepKind, string, core.StepStatus, time.Duration, core.Usage) {
	c.steps.Add(1)
}

func (c *counter) RunDeadLettered(string) { c.failed.Add(1) }

// bench is an orchestrator on a database of its own.
type bench struct {
	db    *database.DB
	runs  *orchestrator.Orchestrator
	count *counter
	close func() error
}

// open starts it. Without a tool the agent answers at once.
func open(t *testing.T, o database.Options, answer string, withTool bool) *bench {
	t.Helper()
	db, err := database.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	agent := oneAgent{}
	if withTool {
		agent.tools = []core.ToolGrant{{Name: "look", Approval: core.ApprovalUnsafe}}
	}
	b := &bench{db: db, count: &counter{ended: make(chan struct{}, 4096)}}
	b.runs, err = orchestrator.New(t.Context(), orchestrator.Deps{
		Database: db, Journal: db.Runs(), Handles: orchestrator.Handles{SQLite: db.SQLite(), Postgres: db.Postgres()},
		Models: instantModel{answer}, Tools: instantTools{}, Agents: agent, Audit: noAudit{}, Observer: b.count,
		Limits: func() core.Limits { return core.Limits{} }, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, orchestrator.Config{
		Executor: "bench", MaxActive: 256, MaxParallelTools: 8, MaxRepeats: 1000, MaxRecoveries: 100,
		ApprovalExpiry: time.Hour, OutagePatience: time.Hour,
	})
	if err != nil {
		t.Fatalf("make the orchestrator: %v", errors.Join(err, db.Close()))
	}
	if err := b.runs.Launch(t.Context()); err != nil {
		t.Fatalf("launch: %v", errors.Join(err, b.runs.Close(), db.Close()))
	}
	b.close = sync.OnceValue(func() error {
		b.runs.Drain(5 * time.Second)
		return errors.Join(b.runs.Close(), db.Close())
	})
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}
