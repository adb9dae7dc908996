package database

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Tasks is runs as clients of the Agent2Agent protocol see them, and what those need besides. The runs themselves are the
// orchestrator's.
type Tasks struct{ db *DB }

// NewTasks returns the store of tasks.
func NewTasks(db *DB) *Tasks { return &Tasks{db} }

// taskState is core.TaskOf in SQL.
const taskState = `CASE r.status
	WHEN 'succeeded' THEN 'completed'
	WHEN 'cancelled' THEN 'canceled'
	WHEN 'failed' THEN CASE r.error_code WHEN 'refused' THEN 'rejected' ELSE 'failed' END
	WHEN 'waiting' THEN CASE WHEN r.wait_reason IN ('approval', 'question') THEN 'input-required' ELSE 'working' END
	WHEN 'queued' THEN CASE WHEN r.started_at IS NULL THEN 'submitted' ELSE 'working' END
	ELSE 'working' END`

// taskMoment is when a task's state changed last, as far as the run tells.
const taskMoment = `COALESCE(r.finished_at, r.started_at, r.created_at)`

const taskWhere = ` FROM runs r WHERE r.created_by = $1 AND r.parent = ''
	AND ($2 = '' OR r.agent = $2)
	AND ($3 = '' OR r.id = $3 OR r.metadata LIKE $4 ESCAPE '\')
	AND ($5 = '' OR ` + taskState + ` = $5)
	AND ` + taskMoment + ` >= $6`

// List returns a page of an owner's tasks.
func (s *Tasks) List(ctx context.Context, f core.TaskFilter) (core.TaskPage, error) {
	pattern := ""
	if f.Context != "" {
		text, err := toJSON(map[string]string{core.TaskContext: f.Context})
		if err != nil {
			return core.TaskPage{}, err
		}
		pattern = "%" + likeLiteral(strings.Trim(text, "{}")) + "%"
	}
	since := int64(0)
	if !f.Since.IsZero() {
		since = ms(f.Since)
	}
	args := []any{f.Owner, f.Agent, f.Context, pattern, string(f.State), since}
	var page core.TaskPage
	q := s.db.Querier()
	if err := q.QueryRow(ctx, `SELECT COUNT(*)`+taskWhere, args...).Scan(&page.Total); err != nil {
		return page, explain(err, "count the tasks")
	}
	at, run := int64(1)<<62, ""
	if f.After.Run != "" {
		at, run = ms(f.After.At), f.After.Run
	}
	rows, err := q.Query(ctx, `SELECT r.id, `+taskMoment+taskWhere+`
		AND (`+taskMoment+` < $7 OR `+taskMoment+` = $7 AND r.id < $8)
		ORDER BY `+taskMoment+` DESC, r.id DESC LIMIT $9`, append(args, at, run, f.Limit+1)...)
	list, err := dbtx.Collect(rows, err, func(r dbtx.Row) (core.TaskMark, error) {
		var (
			m  core.TaskMark
			at int64
		)
		err := r.Scan(&m.Run, &at)
		m.At = fromMS(at)
		return m, err
	})
	if err != nil {
		return page, explain(err, "list the tasks")
	}
	for i, m := range list {
		if i == f.Limit {
			page.Next = list[i-1]
			break
		}
		page.Runs = append(page.Runs, m.Run)
	}
	return page, nil
}

// likeLiteral makes a text stand for itself in a pattern of LIKE.
func likeLiteral(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

// Begun returns the run that an actor has started under an idempotency key; "" when there is none.
func (s *Tasks) Begun(ctx context.Context, owner, key string) (string, error) {
	var id string
	err := s.db.Querier().QueryRow(ctx, `SELECT id FROM runs WHERE created_by = $1 AND idempotency_key = $2`, owner, key).Scan(&id)
	if errors.Is(err, dbtx.ErrNoRows) {
		return "", nil
	}
	return id, explain(err, "look for a task")
}

// Answer keeps a message that answers something. Where one of that id is kept already, that one is returned.
func (s *Tasks) Answer(ctx context.Context, a core.TaskAnswer) (kept core.TaskAnswer, existed bool, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		n, err := q.Exec(ctx, `INSERT INTO a2a_answers (owner, message, run, approval, hash, at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (owner, message) DO NOTHING`, a.Owner, a.Message, a.Run, a.Approval, a.Hash, ms(a.At))
		if err != nil || n > 0 {
			kept, existed = a, false
			return err
		}
		existed = true
		kept, err = scanAnswer(q.QueryRow(ctx, `SELECT owner, message, run, approval, hash, at FROM a2a_answers WHERE owner = $1 AND message = $2`, a.Owner, a.Message))
		return err
	})
	return kept, existed, explain(err, "record an answer to a task")
}

// Answered returns the answer that a message was; false when it was none.
func (s *Tasks) Answered(ctx context.Context, owner, message string) (core.TaskAnswer, bool, error) {
	a, err := scanAnswer(s.db.Querier().QueryRow(ctx, `SELECT owner, message, run, approval, hash, at FROM a2a_answers WHERE owner = $1 AND message = $2`, owner, message))
	if errors.Is(err, dbtx.ErrNoRows) {
		return a, false, nil
	}
	return a, err == nil, explain(err, "look for an answer to a task")
}

func scanAnswer(r dbtx.Row) (core.TaskAnswer, error) {
	var (
		a  core.TaskAnswer
		at int64
	)
	err := r.Scan(&a.Owner, &a.Message, &a.Run, &a.Approval, &a.Hash, &at)
	a.At = fromMS(at)
	return a, err
}

const pushColumns = `run, id, owner, url, sealed, created_at, state, attempts, next_at, failing, error, done`

// PutPush adds where a client wants to be told, or replaces it. CodeLimit: the task has as many as it may.
func (s *Tasks) PutPush(ctx context.Context, p core.TaskPush, limit int) error {
	return explain(s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		var others int
		if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM a2a_pushes WHERE run = $1 AND id <> $2`, p.Run, p.ID).Scan(&others); err != nil {
			return err
		}
		if others >= limit {
			return core.Errorf(core.CodeLimit, "the task has %d push notification configs already; delete one first", others)
		}
		_, err := q.Exec(ctx, `INSERT INTO a2a_pushes (run, id, owner, url, sealed, created_at, state, attempts, next_at, failing, error, done)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, NULL, '', 0)
			ON CONFLICT (run, id) DO UPDATE SET url = $4, sealed = $5, state = $7, attempts = 0, next_at = $8, failing = NULL, error = '', done = 0`,
			p.Run, p.ID, p.Owner, p.URL, p.Sealed, ms(p.CreatedAt), p.State, ms(p.NextAt))
		return err
	}), "store a push notification config")
}

// Pushes lists those of a task, by their ids.
func (s *Tasks) Pushes(ctx context.Context, run string) ([]core.TaskPush, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT `+pushColumns+` FROM a2a_pushes WHERE run = $1 ORDER BY id`, run)
	list, err := dbtx.Collect(rows, err, scanPush)
	return list, explain(err, "list push notification configs")
}

// RemovePush forgets one; it is no error if there is none.
func (s *Tasks) RemovePush(ctx context.Context, run, id string) error {
	_, err := s.db.Querier().Exec(ctx, `DELETE FROM a2a_pushes WHERE run = $1 AND id = $2`, run, id)
	return explain(err, "delete a push notification config")
}

// ClaimPushes takes up to limit of those whose task is in another state than was told last, and keeps them from others until
// a moment: of several servers, one tells. The state of each is the one to tell.
func (s *Tasks) ClaimPushes(ctx context.Context, now, until time.Time, limit int) ([]core.TaskPush, error) {
	// A task that asks a second time is in another segment of its run: that is news too.
	const news = `CASE ` + taskState + ` WHEN 'input-required' THEN 'input-required ' || r.segment ELSE ` + taskState + ` END`
	rows, err := s.db.Querier().Query(ctx, `SELECT p.run, p.id, p.owner, p.url, p.sealed, p.created_at, `+news+`, p.attempts, p.next_at, p.failing, p.error, p.done
		FROM a2a_pushes p JOIN runs r ON r.id = p.run
		WHERE p.done = 0 AND p.next_at <= $1 AND p.state <> `+news+` ORDER BY p.next_at LIMIT $2`, ms(now), limit)
	due, err := dbtx.Collect(rows, err, scanPush)
	if err != nil {
		return nil, explain(err, "look for push notifications")
	}
	var mine []core.TaskPush
	for _, p := range due {
		n, err := s.db.Querier().Exec(ctx, `UPDATE a2a_pushes SET next_at = $3 WHERE run = $1 AND id = $2 AND next_at = $4 AND done = 0`, p.Run, p.ID, ms(until), ms(p.NextAt))
		if err != nil {
			return mine, explain(err, "take up push notifications")
		}
		if n > 0 {
			p.NextAt = until.UTC().Truncate(time.Millisecond)
			mine = append(mine, p)
		}
	}
	return mine, nil
}

// SavePush records what became of an attempt, unless it was replaced meanwhile: claimed is NextAt as ClaimPushes gave it.
func (s *Tasks) SavePush(ctx context.Context, p core.TaskPush, claimed time.Time) error {
	_, err := s.db.Querier().Exec(ctx, `UPDATE a2a_pushes SET state = $3, attempts = $4, next_at = $5, failing = $6, error = $7, done = $8
		WHERE run = $1 AND id = $2 AND next_at = $9`,
		p.Run, p.ID, p.State, p.Attempts, ms(p.NextAt), nullMS(p.Failing), p.Error, bit(p.Done), ms(claimed))
	return explain(err, "record a push notification")
}

func scanPush(r dbtx.Row) (core.TaskPush, error) {
	var (
		p                   core.TaskPush
		created, next, done int64
		failing             sql.NullInt64
	)
	err := r.Scan(&p.Run, &p.ID, &p.Owner, &p.URL, &p.Sealed, &created, &p.State, &p.Attempts, &next, &failing, &p.Error, &done)
	p.CreatedAt, p.NextAt, p.Failing, p.Done = fromMS(created), fromMS(next), fromNullMS(failing), done == 1
	return p, err
}

// SigningKeys lists the keys, oldest first.
func (s *Tasks) SigningKeys(ctx context.Context) ([]core.SigningKey, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT id, sealed, created_at FROM signing_keys ORDER BY created_at, id`)
	list, err := dbtx.Collect(rows, err, func(r dbtx.Row) (core.SigningKey, error) {
		var (
			k  core.SigningKey
			at int64
		)
		err := r.Scan(&k.ID, &k.Sealed, &at)
		k.CreatedAt = fromMS(at)
		return k, err
	})
	return list, explain(err, "read the signing keys")
}

// AddSigningKey stores a key.
func (s *Tasks) AddSigningKey(ctx context.Context, k core.SigningKey) error {
	_, err := s.db.Querier().Exec(ctx, `INSERT INTO signing_keys (id, sealed, created_at) VALUES ($1, $2, $3)`, k.ID, k.Sealed, ms(k.CreatedAt))
	return explain(err, "store a signing key")
}

// Sealed says how much is stored encrypted.
func (s *Tasks) Sealed(ctx context.Context) (int, error) {
	var n int
	err := s.db.Querier().QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM signing_keys) + (SELECT COUNT(*) FROM a2a_pushes WHERE sealed <> '')`).Scan(&n)
	return n, explain(err, "count what is encrypted")
}

// Reseal replaces the encryption of everything by what reseal makes of it, all or none, and returns how many.
func (s *Tasks) Reseal(ctx context.Context, reseal func(sealed, place string) (string, error)) (int, error) {
	n := 0
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		n = 0
		rows, err := q.Query(ctx, `SELECT `+pushColumns+` FROM a2a_pushes WHERE sealed <> ''`)
		pushes, err := dbtx.Collect(rows, err, scanPush)
		if err != nil {
			return err
		}
		for _, p := range pushes {
			sealed, err := reseal(p.Sealed, p.Place())
			if err != nil {
				return err
			}
			if _, err := q.Exec(ctx, `UPDATE a2a_pushes SET sealed = $3 WHERE run = $1 AND id = $2 AND sealed = $4`, p.Run, p.ID, sealed, p.Sealed); err != nil {
				return err
			}
			n++
		}
		rows, err = q.Query(ctx, `SELECT id, sealed FROM signing_keys`)
		keys, err := dbtx.Collect(rows, err, func(r dbtx.Row) (k core.SigningKey, err error) { return k, r.Scan(&k.ID, &k.Sealed) })
		if err != nil {
			return err
		}
		for _, k := range keys {
			sealed, err := reseal(k.Sealed, k.Place())
			if err != nil {
				return err
			}
			if _, err := q.Exec(ctx, `UPDATE signing_keys SET sealed = $2 WHERE id = $1 AND sealed = $3`, k.ID, sealed, k.Sealed); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, explain(err, "encrypt anew what clients of A2A gave")
}
