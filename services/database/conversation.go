package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// AddMessage stores one message of a run at its index.
func (s Runs) AddMessage(ctx context.Context, q dbtx.Querier, run string, m core.Message) error {
	var calls string
	if len(m.ToolCalls) > 0 {
		var err error
		if calls, err = toJSON(m.ToolCalls); err != nil {
			return err
		}
	}
	_, err := q.Exec(ctx, `INSERT INTO messages (run, idx, role, body, tool_calls, tool_call_id, is_error, created_at, summary_to) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)`,
		run, m.Index, m.Role, m.Text, nullText(calls), nullText(m.ToolCallID), bit(m.IsError), ms(m.CreatedAt), m.SummaryTo)
	return err
}

// Messages returns the messages of a run with an index of at least from.
func (s Runs) Messages(ctx context.Context, q dbtx.Querier, run string, from int) ([]core.Message, error) {
	rows, err := q.Query(ctx, `SELECT idx, role, body, tool_calls, tool_call_id, is_error, created_at, summary_to FROM messages WHERE run=$1 AND idx>=$2 ORDER BY idx`, run, from)
	return dbtx.Collect(rows, err, func(row dbtx.Row) (m core.Message, err error) {
		var (
			calls, callID  sql.NullString
			created, isErr int64
		)
		if err := row.Scan(&m.Index, &m.Role, &m.Text, &calls, &callID, &isErr, &created, &m.SummaryTo); err != nil {
			return m, err
		}
		m.ToolCallID, m.IsError, m.CreatedAt = callID.String, isErr != 0, fromMS(created)
		if calls.Valid {
			if err := json.Unmarshal([]byte(calls.String), &m.ToolCalls); err != nil {
				return m, fmt.Errorf("message %s/%d: tool calls: %w", run, m.Index, err)
			}
		}
		return m, nil
	})
}

// PutStep inserts or replaces a step. Segment tells which engine workflow worked on it last.
func (s Runs) PutStep(ctx context.Context, q dbtx.Querier, st core.Step, segment int) error {
	if st.Attempts == nil {
		st.Attempts = []core.Attempt{}
	}
	attempts, err := toJSON(st.Attempts)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO steps (run, idx, segment, kind, name, effect, status, attempts, input_ref, output_ref, arguments, call_id,
		child_run, input_tokens, output_tokens, cost_micro_usd, error, started_at, finished_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19)
		ON CONFLICT (run, idx) DO UPDATE SET segment=$3, status=$7, attempts=$8, input_ref=$9, output_ref=$10, arguments=$11, child_run=$13,
		input_tokens=$14, output_tokens=$15, cost_micro_usd=$16, error=$17, started_at=$18, finished_at=$19`,
		st.Run, st.Index, segment, st.Kind, st.Name, st.Effect, st.Status, attempts,
		st.InputRef, st.OutputRef, nullText(string(st.Arguments)), st.CallID, st.ChildRun, st.Usage.InputTokens, st.Usage.OutputTokens,
		st.Usage.CostMicroUSD, st.Error, nullMS(st.StartedAt), nullMS(st.FinishedAt))
	return err
}

// MarkStarted notes that a step is being executed, unless it has been completed meanwhile. It is for people who look
// at the run and for the count of attempts; nothing depends on it being there.
func (s Runs) MarkStarted(ctx context.Context, q dbtx.Querier, st core.Step, segment int) error {
	attempts, err := toJSON(st.Attempts)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO steps (run, idx, segment, kind, name, effect, status, attempts, input_ref, output_ref, call_id,
		child_run, input_tokens, output_tokens, cost_micro_usd, error, started_at)
		VALUES ($1,$2,$3,$4,$5,$6,'running',$7,$8,'',$9,'',0,0,0,'',$10)
		ON CONFLICT (run, idx) DO UPDATE SET status='running', attempts=$7, started_at=$10, segment=$3
		WHERE steps.status IN ('pending','running')`,
		st.Run, st.Index, segment, st.Kind, st.Name, st.Effect, attempts, st.InputRef, st.CallID, nullMS(st.StartedAt))
	return err
}

const stepColumns = `run, idx, kind, name, effect, status, attempts, input_ref, output_ref, arguments, call_id, child_run, input_tokens, output_tokens,
	cost_micro_usd, error, started_at, finished_at`

func scanStep(row dbtx.Row) (core.Step, error) {
	var (
		st                core.Step
		attempts          string
		arguments         sql.NullString
		started, finished sql.NullInt64
	)
	err := row.Scan(&st.Run, &st.Index, &st.Kind, &st.Name, &st.Effect, &st.Status, &attempts, &st.InputRef, &st.OutputRef, &arguments, &st.CallID,
		&st.ChildRun, &st.Usage.InputTokens, &st.Usage.OutputTokens, &st.Usage.CostMicroUSD, &st.Error, &started, &finished)
	if err != nil {
		return st, err
	}
	st.ID = fmt.Sprintf("%s:%d", st.Run, st.Index)
	st.IdempotencyKey = st.ID
	if arguments.Valid {
		st.Arguments = json.RawMessage(arguments.String)
	}
	st.StartedAt, st.FinishedAt = fromNullMS(started), fromNullMS(finished)
	if err := json.Unmarshal([]byte(attempts), &st.Attempts); err != nil {
		return st, fmt.Errorf("step %s: attempts: %w", st.ID, err)
	}
	return st, nil
}

// Steps returns the steps of a run.
func (s Runs) Steps(ctx context.Context, q dbtx.Querier, run string) ([]core.Step, error) {
	rows, err := q.Query(ctx, `SELECT `+stepColumns+` FROM steps WHERE run=$1 ORDER BY idx`, run)
	return dbtx.Collect(rows, err, scanStep)
}

// Step returns one step; CodeNotFound when there is none.
func (s Runs) Step(ctx context.Context, q dbtx.Querier, run string, index int) (core.Step, error) {
	st, err := scanStep(q.QueryRow(ctx, `SELECT `+stepColumns+` FROM steps WHERE run=$1 AND idx=$2`, run, index))
	return st, notFound(err, "step", fmt.Sprintf("%s:%d", run, index))
}

// AddEvents appends events, in one statement: it is part of every step's commit.
func (s Runs) AddEvents(ctx context.Context, q dbtx.Querier, run string, events []core.StoredEvent) error {
	if len(events) == 0 {
		return nil
	}
	var values strings.Builder
	args := []any{run}
	for i, e := range events {
		if i > 0 {
			values.WriteByte(',')
		}
		n := len(args)
		fmt.Fprintf(&values, "($1,$%d,$%d,$%d,$%d)", n+1, n+2, n+3, n+4)
		args = append(args, e.N, e.Type, e.Ref, ms(e.At))
	}
	_, err := q.Exec(ctx, `INSERT INTO run_events (run, n, type, ref, at) VALUES `+values.String(), args...)
	return err
}

// Events returns at most limit events of a run with a number above after, in order.
func (s Runs) Events(ctx context.Context, q dbtx.Querier, run string, after int64, limit int) ([]core.StoredEvent, error) {
	rows, err := q.Query(ctx, `SELECT n, type, ref, at FROM run_events WHERE run=$1 AND n>$2 ORDER BY n LIMIT $3`, run, after, limit)
	return dbtx.Collect(rows, err, func(row dbtx.Row) (e core.StoredEvent, err error) {
		var at int64
		err = row.Scan(&e.N, &e.Type, &e.Ref, &at)
		e.At = fromMS(at)
		return e, err
	})
}
