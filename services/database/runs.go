package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Runs stores runs with their messages, steps, events and approvals. Every method takes the Querier to work with, so
// that callers decide what is one transaction.
type Runs struct{ dialect Dialect }

// Runs returns the store of runs.
func (d *DB) Runs() Runs { return Runs{d.dialect} }

const runColumns = `r.id, r.agent, r.agent_version, r.status, r.wait_reason, r.wait_detail, r.wake_at, r.output_message, r.error_code,
	r.error_message, r.input_tokens, r.output_tokens, r.cost_micro_usd, r.steps, r.messages, r.input_message, r.created_at, r.started_at,
	r.finished_at, r.parent, r.parent_step, r.root, r.depth, r.forked_from, r.metadata, r.limits, r.created_by, r.idempotency_key,
	r.request_hash, r.segment, r.event_seq, r.recoveries, r.active_ms, r.files, r.turn_message, r.turn_steps, r.turn_tokens, r.turn_cost, r.turn_active_ms,
	r.outage_since, r.cancel_requested, r.peer_session, r.flow`

// texts joins the two messages that a run shows as its input and output.
const runFrom = ` FROM runs r
	LEFT JOIN messages mi ON mi.run = r.id AND mi.idx = r.input_message
	LEFT JOIN messages mo ON mo.run = r.id AND mo.idx = r.output_message`

const selectRun = `SELECT ` + runColumns + `, COALESCE(mi.body, ''), COALESCE(mo.body, '')` + runFrom

func scanRun(row dbtx.Row) (core.RunRecord, error) {
	var (
		r                                     core.RunRecord
		wake, started, finished, outage, outm sql.NullInt64
		idem                                  sql.NullString
		created                               int64
		errCode, errMessage, metadata, limits string
		files                                 string
	)
	err := row.Scan(&r.ID, &r.Agent, &r.AgentVersion, &r.Status, &r.WaitReason, &r.WaitDetail, &wake, &outm, &errCode,
		&errMessage, &r.Usage.InputTokens, &r.Usage.OutputTokens, &r.Usage.CostMicroUSD, &r.Steps, &r.Messages, &r.InputMessage, &created, &started,
		&finished, &r.Parent, &r.ParentStep, &r.Root, &r.Depth, &r.ForkedFrom, &metadata, &limits, &r.CreatedBy, &idem,
		&r.RequestHash, &r.Segment, &r.EventSeq, &r.Recoveries, &r.ActiveMS, &files, &r.Turn.Message, &r.Turn.Steps, &r.Turn.Tokens, &r.Turn.CostMicroUSD, &r.Turn.ActiveMS,
		&outage, &r.CancelledBy, &r.PeerSession, &r.Flow, &r.Input, &r.Output)
	if err != nil {
		return r, err
	}
	r.CreatedAt, r.IdempotencyKey = fromMS(created), idem.String
	r.WakeAt, r.StartedAt, r.FinishedAt, r.OutageSince = fromNullMS(wake), fromNullMS(started), fromNullMS(finished), fromNullMS(outage)
	if outm.Valid {
		i := int(outm.Int64)
		r.OutputMessage = &i
	}
	if errCode != "" {
		r.Error = &core.RunError{Code: core.Code(errCode), Message: errMessage}
	}
	if err := json.Unmarshal([]byte(metadata), &r.Metadata); err != nil {
		return r, fmt.Errorf("run %s: metadata: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(files), &r.Files); err != nil {
		return r, fmt.Errorf("run %s: files: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(limits), &r.Limits); err != nil {
		return r, fmt.Errorf("run %s: limits: %w", r.ID, err)
	}
	return r, nil
}

// Insert adds a run.
func (s Runs) Insert(ctx context.Context, q dbtx.Querier, r core.RunRecord) error {
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	if r.Files == nil {
		r.Files = []string{}
	}
	metadata, err := toJSON(r.Metadata)
	if err != nil {
		return err
	}
	files, err := toJSON(r.Files)
	if err != nil {
		return err
	}
	limits, err := toJSON(r.Limits)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO runs (id, agent, agent_version, status, wait_reason, wait_detail, error_code, error_message,
		input_tokens, output_tokens, cost_micro_usd, steps, messages, input_message, created_at, parent, parent_step, root, depth, forked_from, metadata,
		limits, created_by, idempotency_key, request_hash, segment, event_seq, recoveries, active_ms, turn_steps, turn_tokens, turn_cost,
		turn_active_ms, cancel_requested, files, turn_message, flow)
		VALUES ($1,$2,$3,$4,'','','','',0,0,0,0,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,0,0,0,0,0,0,'',$20,$6,$21)`,
		r.ID, r.Agent, r.AgentVersion, r.Status, r.Messages, r.InputMessage, ms(r.CreatedAt), r.Parent, r.ParentStep, r.Root, r.Depth,
		r.ForkedFrom, metadata, limits, r.CreatedBy, nullText(r.IdempotencyKey), r.RequestHash, r.Segment, r.EventSeq, files, r.Flow)
	return err
}

// Save writes what an executor may change of a run, and hands out numbers for events: those after the larger of what
// is stored and known (the latest number given to a client). It returns the first of them, and who wants the run stopped.
// A run that has ended, or has gone on in a later segment, is not changed: that is CodeConflict, and the caller lets go of it.
func (s Runs) Save(ctx context.Context, q dbtx.Querier, r core.RunRecord, known int64, events int) (first int64, cancelledBy string, err error) {
	var code, message string
	if r.Error != nil {
		code, message = string(r.Error.Code), r.Error.Message
	}
	var out sql.NullInt64
	if r.OutputMessage != nil {
		out = sql.NullInt64{Int64: int64(*r.OutputMessage), Valid: true}
	}
	var last int64
	err = q.QueryRow(ctx, `UPDATE runs SET status=$2, wait_reason=$3, wait_detail=$4, wake_at=$5, output_message=$6, error_code=$7,
		error_message=$8, input_tokens=$9, output_tokens=$10, cost_micro_usd=$11, steps=$12, messages=$13, turn_message=$14, started_at=$15,
		finished_at=$16, segment=$17, recoveries=$18, active_ms=$19, turn_steps=$20, turn_tokens=$21, turn_cost=$22, turn_active_ms=$23,
		outage_since=$24, event_seq = CASE WHEN event_seq > $25 THEN event_seq ELSE $25 END + $26, peer_session=$27, flow=$28
		WHERE id=$1 AND (segment < $17 OR segment = $17 AND status NOT IN ('succeeded', 'failed', 'cancelled'))
		RETURNING event_seq, cancel_requested`,
		r.ID, r.Status, r.WaitReason, r.WaitDetail, nullMS(r.WakeAt), out, code,
		message, r.Usage.InputTokens, r.Usage.OutputTokens, r.Usage.CostMicroUSD, r.Steps, r.Messages, r.Turn.Message, nullMS(r.StartedAt),
		nullMS(r.FinishedAt), r.Segment, r.Recoveries, r.ActiveMS, r.Turn.Steps, r.Turn.Tokens, r.Turn.CostMicroUSD, r.Turn.ActiveMS,
		nullMS(r.OutageSince), known, events, r.PeerSession, r.Flow).Scan(&last, &cancelledBy)
	if errors.Is(err, dbtx.ErrNoRows) {
		err = core.Errorf(core.CodeConflict, "run %s has ended or gone on elsewhere", r.ID)
	}
	return last - int64(events) + 1, cancelledBy, err
}

// RequestCancel notes who wants a run stopped; "" takes it back.
func (s Runs) RequestCancel(ctx context.Context, q dbtx.Querier, id, actor string) error {
	_, err := q.Exec(ctx, `UPDATE runs SET cancel_requested=$2 WHERE id=$1`, id, actor)
	return err
}

// Get returns a run; CodeNotFound when there is none.
func (s Runs) Get(ctx context.Context, q dbtx.Querier, id string) (core.RunRecord, error) {
	r, err := scanRun(q.QueryRow(ctx, selectRun+` WHERE r.id=$1`, id))
	return r, notFound(err, "run", id)
}

// Lock is Get inside a transaction which goes on to change the run.
func (s Runs) Lock(ctx context.Context, q dbtx.Querier, id string) (core.RunRecord, error) {
	if lock := s.dialect.ForUpdate(); lock != "" {
		var one int
		if err := q.QueryRow(ctx, `SELECT 1 FROM runs WHERE id=$1`+lock, id).Scan(&one); err != nil {
			return core.RunRecord{}, notFound(err, "run", id)
		}
	}
	return s.Get(ctx, q, id)
}

// ByIdempotencyKey returns the run that an actor started under a key; ok is false when there is none.
func (s Runs) ByIdempotencyKey(ctx context.Context, q dbtx.Querier, actor, key string) (r core.RunRecord, ok bool, err error) {
	r, err = scanRun(q.QueryRow(ctx, selectRun+` WHERE r.created_by=$1 AND r.idempotency_key=$2`, actor, key))
	if errors.Is(err, dbtx.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// List returns runs, newest first, at most Limit+1 of them so that the caller sees whether there are more.
func (s Runs) List(ctx context.Context, q dbtx.Querier, f core.RunFilter) ([]core.RunRecord, error) {
	var (
		where []string
		args  []any
	)
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)))
	}
	if f.Agent != "" {
		add("r.agent=$%d", f.Agent)
	}
	if f.Status != "" {
		add("r.status=$%d", f.Status)
	}
	if f.Parent != "" {
		add("r.parent=$%d", f.Parent)
	}
	if f.Before != "" {
		add("r.id<$%d", f.Before)
	}
	query := selectRun
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, f.Limit+1)
	rows, err := q.Query(ctx, query+fmt.Sprintf(" ORDER BY r.id DESC LIMIT $%d", len(args)), args...)
	return dbtx.Collect(rows, err, scanRun)
}

// Queued lists runs that wait to be executed, oldest first.
func (s Runs) Queued(ctx context.Context, q dbtx.Querier, limit int) ([]core.QueuedRun, error) {
	rows, err := q.Query(ctx, `SELECT id, segment FROM runs WHERE status='queued' ORDER BY id LIMIT $1`, limit)
	return dbtx.Collect(rows, err, func(row dbtx.Row) (p core.QueuedRun, err error) { return p, row.Scan(&p.ID, &p.Segment) })
}

// SameWork counts the sub-runs below a root that were given the same work (the same agent, the same task) since the user's
// latest message to the root.
func (s Runs) SameWork(ctx context.Context, q dbtx.Querier, root, agent, hash string) (int, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM runs WHERE root=$1 AND agent=$2 AND request_hash=$3 AND parent <> '' AND created_at >=
		(SELECT m.created_at FROM messages m JOIN runs r ON m.run = r.id AND m.idx = r.turn_message WHERE r.id = $1)`, root, agent, hash).Scan(&n)
	return n, err
}

// Due lists waiting runs whose time to be looked at has come.
func (s Runs) Due(ctx context.Context, q dbtx.Querier, now time.Time, limit int) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT id FROM runs WHERE wake_at <= $1 AND status='waiting' ORDER BY wake_at LIMIT $2`, ms(now), limit)
	return dbtx.Collect(rows, err, scanText)
}

// Orphans lists sub-runs that go on although the run that they work for has ended.
func (s Runs) Orphans(ctx context.Context, q dbtx.Querier, limit int) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT c.id FROM runs c JOIN runs p ON p.id = c.parent
		WHERE c.status IN ('queued','running','waiting') AND c.parent <> '' AND p.status IN ('succeeded','failed','cancelled') LIMIT $1`, limit)
	return dbtx.Collect(rows, err, scanText)
}

// ActiveByAgent counts runs that are not final.
func (s Runs) ActiveByAgent(ctx context.Context, q dbtx.Querier) (map[string]int, error) {
	rows, err := q.Query(ctx, `SELECT agent, COUNT(*) FROM runs WHERE status IN ('queued','running','waiting') GROUP BY agent`)
	type count struct {
		agent string
		n     int
	}
	counts, err := dbtx.Collect(rows, err, func(row dbtx.Row) (c count, err error) { return c, row.Scan(&c.agent, &c.n) })
	out := make(map[string]int, len(counts))
	for _, c := range counts {
		out[c.agent] = c.n
	}
	return out, err
}

// CountSince counts the runs made at or after from, by status. Ids are UUIDv7, so the primary key gives the order.
func (s Runs) CountSince(ctx context.Context, q dbtx.Querier, from time.Time) (map[core.RunStatus]int, error) {
	rows, err := q.Query(ctx, `SELECT status, COUNT(*) FROM runs WHERE id >= $1 GROUP BY status`, idAt(from))
	type count struct {
		status core.RunStatus
		n      int
	}
	counts, err := dbtx.Collect(rows, err, func(row dbtx.Row) (c count, err error) { return c, row.Scan(&c.status, &c.n) })
	out := make(map[core.RunStatus]int, len(counts))
	for _, c := range counts {
		out[c.status] = c.n
	}
	return out, err
}

// PutAgentVersion keeps the definition that runs refer to.
func (s Runs) PutAgentVersion(ctx context.Context, q dbtx.Querier, a core.Agent, now time.Time) error {
	definition, err := toJSON(a)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO agent_versions (agent, version, definition, created_at) VALUES ($1,$2,$3,$4)
		ON CONFLICT (agent, version) DO NOTHING`, a.Name, a.Version, definition, ms(now))
	return err
}

// AgentVersion returns the definition that a run started with.
func (s Runs) AgentVersion(ctx context.Context, q dbtx.Querier, agent, version string) (core.Agent, error) {
	var (
		a          core.Agent
		definition string
	)
	err := q.QueryRow(ctx, `SELECT definition FROM agent_versions WHERE agent=$1 AND version=$2`, agent, version).Scan(&definition)
	if err != nil {
		return a, notFound(err, "agent version", agent+"@"+version)
	}
	return a, json.Unmarshal([]byte(definition), &a)
}

func scanText(row dbtx.Row) (v string, err error) { return v, row.Scan(&v) }

func notFound(err error, what, id string) error {
	if errors.Is(err, dbtx.ErrNoRows) {
		return core.Errorf(core.CodeNotFound, "there is no %s %s", what, id)
	}
	return err
}
