// Package evaluations owns how agents are tested: the sets of cases that lie beside agent files, the checks, and the
// execution of a set as ordinary runs, which goes on after a crash. It must not know how runs are executed, how results are
// stored, which models there are or who may ask.
package evaluations

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Runs executes runs. The orchestrator implements it. Starting again with the same key and request gives the first run.
type Runs interface {
	Start(ctx context.Context, r core.StartRun) (run core.Run, existed bool, err error)
	Run(ctx context.Context, id string) (core.Run, error)
	Runs(ctx context.Context, f core.RunFilter) (items []core.Run, next string, err error)
	Steps(ctx context.Context, run string) ([]core.Step, error)
	Messages(ctx context.Context, run string) ([]core.Message, error)
	Approvals(ctx context.Context, status core.ApprovalStatus, run string) ([]core.Approval, error)
	Cancel(ctx context.Context, id, actor string) (core.Run, error)
}

// Models asks a model; checks of the kind judge do.
type Models interface {
	Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
}

// Agents finds agents by name, "name@draft", or "name@" and a number or hash.
type Agents interface {
	Agent(name string) (core.Agent, error)
}

// Workspaces reads what runs have in their workspaces. CodeNotFound: there is no such file.
type Workspaces interface {
	Read(ctx context.Context, workspace, name string, limit int64) (core.File, error)
}

// Store keeps evaluations. The database implements it.
type Store interface {
	// Insert adds an evaluation with its set and the definition of its agent; holder executes it until the time given.
	Insert(ctx context.Context, e core.Evaluation, set core.EvaluationSet, a core.Agent, holder string, until time.Time) error
	// Put replaces what a running evaluation has given; false when it is not running or somebody else executes it.
	Put(ctx context.Context, e core.Evaluation, holder string) (bool, error)
	// Claim returns the running evaluations that holder executes: its own, and those of others whose time is over.
	Claim(ctx context.Context, holder string, now, until time.Time) ([]string, error)
	// Work returns an evaluation with its set.
	Work(ctx context.Context, id string) (core.Evaluation, core.EvaluationSet, error)
	// Cancel ends a running evaluation. CodeConflict: it has ended already.
	Cancel(ctx context.Context, id, why string, now time.Time) (core.Evaluation, error)
	Get(ctx context.Context, id string) (core.Evaluation, error)
	List(ctx context.Context, agent, before string, limit int) ([]core.Evaluation, error)
	Latest(ctx context.Context, agent, version, set string) (core.Evaluation, bool, error)
}
