package orchestrator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // error codes of the SQLite driver
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const (
	appName = "sutazai"
	// engineVersion pins the engine's application version: recovery takes up workflows of the same version only, and by
	// default that is a hash of the binary, so that an upgrade would strand every run.
	engineVersion = "engine-1"
	// workflowName is the one workflow that executes every run of every agent.
	workflowName = "run"
	adminWait    = 30 * time.Second
)

// Handles are the database handles shared with the stores: exactly one is set.
type Handles struct {
	SQLite   *sql.DB
	Postgres *pgxpool.Pool
}

// engine is the durable engine with our one workflow registered.
type engine struct {
	ctx    dbos.Context
	source *dbos.DataSource
}

// segmentInput names the piece of a run that one engine workflow executes. A run that waits ends its segment and goes
// on in the next one, so that waiting costs nothing.
type segmentInput struct {
	Run     string `json:"run"`
	Segment int    `json:"segment"`
}

func (in segmentInput) workflowID() string { return fmt.Sprintf("%s/%d", in.Run, in.Segment) }

func newEngine(ctx context.Context, h Handles, executor string, maxRecoveries int, log *slog.Logger, workflow dbos.Workflow[segmentInput, string]) (*engine, error) {
	// These variables of the engine's would override what is set here, and strand or mix up runs.
	if err := errors.Join(os.Unsetenv("DBOS__VMID"), os.Unsetenv("DBOS__APPVERSION")); err != nil {
		return nil, fmt.Errorf("start the durable engine: %w", err)
	}
	ectx, err := dbos.NewContext(ctx, dbos.Config{
		AppName:            appName,
		SQLiteSystemDB:     h.SQLite,
		SystemDBPool:       h.Postgres,
		ApplicationVersion: engineVersion,
		ExecutorID:         executor,
		Logger:             slog.New(quiet{log.Handler()}),
	})
	if err != nil {
		return nil, fmt.Errorf("start the durable engine: %w", err)
	}
	e := &engine{ctx: ectx}
	if h.SQLite != nil {
		e.source, err = dbos.NewDataSource(ectx, h.SQLite)
	} else {
		e.source, err = dbos.NewDataSource(ectx, h.Postgres)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("share the database with the engine: %w", err), dbos.Shutdown(ectx, adminWait))
	}
	dbos.RegisterWorkflow(ectx, workflow, dbos.WithWorkflowName(workflowName), dbos.WithMaxRecoveryAttempts(maxRecoveries))
	if h.SQLite != nil {
		if err := indexEngineTables(ctx, h.SQLite); err != nil {
			return nil, errors.Join(err, dbos.Shutdown(ectx, adminWait))
		}
	}
	return e, nil
}

// indexEngineTables adds indexes without which the engine scans its table under SQLite's write lock at every poll (with
// a million finished workflows: 80% of a core idle; with them 1.4%).
func indexEngineTables(ctx context.Context, db *sql.DB) error {
	for _, q := range []string{
		`CREATE INDEX IF NOT EXISTS sutazai_status_queue ON workflow_status (queue_name, status, priority, created_at)`,
		`CREATE INDEX IF NOT EXISTS sutazai_status_name ON workflow_status (name, created_at)`,
		`ANALYZE`,
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("index the engine's tables: %w", err)
		}
	}
	return nil
}

// lostAttempt is the name under which a checkpoint's number is used up whose commit failed without a trace.
const lostAttempt = "lost attempt"

// recorded lists the names of the checkpoints that a segment has made, by their numbers from 0. The engine gives every
// attempt a number of its own, and one whose commit failed (a full disk) leaves no row: such a number has the name
// lostAttempt, and must be used up too, or the next checkpoints would be taken for those that were made.
func (e *engine) recorded(in segmentInput) ([]string, error) {
	steps, err := dbos.GetWorkflowSteps(e.ctx, in.workflowID(), dbos.WithStepsLoadOutput(false))
	if err != nil {
		return nil, fmt.Errorf("list checkpoints of %s: %w", in.workflowID(), err)
	}
	var names []string
	for _, s := range steps { // in the order of their numbers
		for len(names) < s.StepID {
			names = append(names, lostAttempt)
		}
		names = append(names, s.StepName)
	}
	return names, nil
}

// checkpoint commits what fn writes together with the engine's record of it, once: a checkpoint that was recorded before
// is not run again. The engine refuses it when another executor has taken the run over.
func (e *engine) checkpoint(ctx dbos.Context, name string, fn func(context.Context, dbtx.Querier) error) error {
	_, err := dbos.RunAsTransaction(ctx, e.source, func(ctx context.Context, tx dbos.Tx) (string, error) {
		return "", fn(ctx, engineTx{tx})
	}, dbos.WithStepName(name))
	return err
}

// lost says whether an error means that this executor must let go of the run: it ended or another one has it, or the
// engine stops.
func lost(err error) bool {
	return core.CodeOf(err) == core.CodeConflict || errors.Is(err, dbos.ErrConflictingWorkflowID) || errors.Is(err, dbos.ErrWorkflowCancelled) || errors.Is(err, context.Canceled)
}

// engineTx is an engine transaction as a Querier.
type engineTx struct{ tx dbos.Tx }

func (t engineTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.tx.Exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t engineTx) Query(ctx context.Context, query string, args ...any) (dbtx.Rows, error) {
	return t.tx.Query(ctx, query, args...)
}

func (t engineTx) QueryRow(ctx context.Context, query string, args ...any) dbtx.Row {
	return engineRow{t.tx.QueryRow(ctx, query, args...)}
}

type engineRow struct{ row dbos.Row }

func (r engineRow) Scan(dest ...any) error {
	err := r.row.Scan(dest...)
	if errors.Is(err, dbos.ErrNoRows) {
		return dbtx.ErrNoRows
	}
	return err
}

// quiet lets through only what an operator should see of the engine's log: it reports every cancelled poll at shutdown
// as an error, and every start as news.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	cancelled := false
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		cancelled = ok && errors.Is(err, context.Canceled)
		return !cancelled
	})
	if cancelled {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(n string) slog.Handler      { return quiet{q.Handler.WithGroup(n)} }
