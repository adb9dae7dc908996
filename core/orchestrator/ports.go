package orchestrator

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Database runs transactions of ours beside the engine's, on the same handle.
type Database interface {
	Querier() dbtx.Querier
	Tx(ctx context.Context, fn func(context.Context, dbtx.Querier) error) error
	// Transient says that an error will go away by itself or with an operator's help: a full disk, a restart, a lost
	// connection. What failed with it is worth trying again.
	Transient(err error) bool
}

// Journal is the record of runs. Every method works in the transaction it is given.
type Journal interface {
	RunJournal
	StepJournal
	ApprovalJournal
}

// RunJournal keeps runs and the agent definitions that they started with.
type RunJournal interface {
	Insert(ctx context.Context, q dbtx.Querier, r core.RunRecord) error
	Save(ctx context.Context, q dbtx.Querier, r core.RunRecord, known int64, events int) (first int64, cancelledBy string, err error)
	RequestCancel(ctx context.Context, q dbtx.Querier, id, actor string) error
	Get(ctx context.Context, q dbtx.Querier, id string) (core.RunRecord, error)
	Lock(ctx context.Context, q dbtx.Querier, id string) (core.RunRecord, error)
	ByIdempotencyKey(ctx context.Context, q dbtx.Querier, actor, key string) (core.RunRecord, bool, error)
	List(ctx context.Context, q dbtx.Querier, f core.RunFilter) ([]core.RunRecord, error)
	Queued(ctx context.Context, q dbtx.Querier, limit int) ([]core.QueuedRun, error)
	SameWork(ctx context.Context, q dbtx.Querier, root, agent, hash string) (int, error)
	Due(ctx context.Context, q dbtx.Querier, now time.Time, limit int) ([]string, error)
	Orphans(ctx context.Context, q dbtx.Querier, limit int) ([]string, error)
	ActiveByAgent(ctx context.Context, q dbtx.Querier) (map[string]int, error)
	CountSince(ctx context.Context, q dbtx.Querier, from time.Time) (map[core.RunStatus]int, error)
	PutAgentVersion(ctx context.Context, q dbtx.Querier, a core.Agent, now time.Time) error
	AgentVersion(ctx context.Context, q dbtx.Querier, agent, version string) (core.Agent, error)
}

// StepJournal keeps messages, steps and events.
type StepJournal interface {
	AddMessage(ctx context.Context, q dbtx.Querier, run string, m core.Message) error
	Messages(ctx context.Context, q dbtx.Querier, run string, from int) ([]core.Message, error)
	PutStep(ctx context.Context, q dbtx.Querier, st core.Step, segment int) error
	MarkStarted(ctx context.Context, q dbtx.Querier, st core.Step, segment int) error
	Steps(ctx context.Context, q dbtx.Querier, run string) ([]core.Step, error)
	Step(ctx context.Context, q dbtx.Querier, run string, index int) (core.Step, error)
	AddEvents(ctx context.Context, q dbtx.Querier, run string, events []core.StoredEvent) error
	Events(ctx context.Context, q dbtx.Querier, run string, after int64, limit int) ([]core.StoredEvent, error)
}

// ApprovalJournal keeps questions to people.
type ApprovalJournal interface {
	AddApproval(ctx context.Context, q dbtx.Querier, a core.Approval) error
	DecideApproval(ctx context.Context, q dbtx.Querier, a core.Approval) (bool, error)
	Approval(ctx context.Context, q dbtx.Querier, id string) (core.Approval, error)
	Approvals(ctx context.Context, q dbtx.Querier, status core.ApprovalStatus, run string, limit int) ([]core.Approval, error)
	ExpiredApprovals(ctx context.Context, q dbtx.Querier, now time.Time, limit int) ([]core.Approval, error)
}

// Models calls a model. It retries what is worth retrying; CodeUnavailable means that the model cannot be reached now.
// A call may be made again after a crash: its outcome is recorded when it is complete.
type Models interface {
	Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
	Check(model string) error
	// Window is how many tokens fit a model's context; 0 = not known.
	Window(model string) int
}

// Peers gives agents that run elsewhere a turn.
type Peers interface {
	Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error)
}

// Tools calls tools. A call of an idempotent tool may come again with the same key; one of an unsafe tool never does
// unless a person asked for it.
type Tools interface {
	Spec(name string) (core.ToolSpec, bool)
	// Family lists the tools whose names begin with the prefix, sorted.
	Family(prefix string) []core.ToolSpec
	Call(ctx context.Context, inv core.ToolInvocation) core.ToolResult
	// Guide is what the workspace's AGENTS.md says; "" where there is none.
	Guide(workspace string) string
	Attach(workspace string, files []core.File) error
	Remove(workspace string) error
}

// Skills finds the know-how that agents may load.
type Skills interface {
	Skill(name string) (core.Skill, bool)
}

// Agents finds agent definitions.
type Agents interface {
	Agent(name string) (core.Agent, error)
}

// Audit records security-relevant facts.
type Audit interface {
	Record(ctx context.Context, e core.AuditEvent) error
}

// Observer is told what happened, for metrics. It must not block.
type Observer interface {
	RunEnded(agent string, status core.RunStatus, code core.Code, took time.Duration)
	StepEnded(kind core.StepKind, name string, status core.StepStatus, took time.Duration, u core.Usage)
	RunDeadLettered(run string)
}
