package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Evaluations stores what evaluations gave.
type Evaluations struct{ db *DB }

// NewEvaluations returns the store of evaluations.
func NewEvaluations(db *DB) Evaluations { return Evaluations{db} }

// Insert adds an evaluation with its set, and keeps the definition of its agent, so that its runs find it. holder executes it
// until the time given.
func (s Evaluations) Insert(ctx context.Context, e core.Evaluation, set core.EvaluationSet, a core.Agent, holder string, until time.Time) error {
	result, err := toJSON(e)
	if err != nil {
		return err
	}
	cases, err := toJSON(set)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		if err := s.db.Runs().PutAgentVersion(ctx, q, a, e.CreatedAt); err != nil {
			return err
		}
		_, err := q.Exec(ctx, `INSERT INTO evaluations (id, agent, version, set_version, status, result, cases, holder, held_until, created_at, finished_at)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)`,
			e.ID, e.Agent, e.Version, e.SetVersion, e.Status, result, cases, holder, ms(until), ms(e.CreatedAt), nullMS(e.FinishedAt))
		return err
	})
}

// Put replaces what a running evaluation has given; false when it is not running or another than holder executes it.
func (s Evaluations) Put(ctx context.Context, e core.Evaluation, holder string) (bool, error) {
	result, err := toJSON(e)
	if err != nil {
		return false, err
	}
	n, err := s.db.Querier().Exec(ctx, `UPDATE evaluations SET status=$1, result=$2, finished_at=$3 WHERE id=$4 AND holder=$5 AND status='running'`,
		e.Status, result, nullMS(e.FinishedAt), e.ID, holder)
	return n == 1, err
}

// Claim makes holder execute, until the time given, its own running evaluations and those whose holder's time is over, and
// returns all of them.
func (s Evaluations) Claim(ctx context.Context, holder string, now, until time.Time) ([]string, error) {
	rows, err := s.db.Querier().Query(ctx, `UPDATE evaluations SET holder=$1, held_until=$2 WHERE status='running' AND (holder=$1 OR held_until<$3) RETURNING id`,
		holder, ms(until), ms(now))
	return dbtx.Collect(rows, err, func(row dbtx.Row) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	})
}

// Cancel ends a running evaluation. CodeConflict: it has ended already; CodeNotFound: there is none.
func (s Evaluations) Cancel(ctx context.Context, id, why string, now time.Time) (e core.Evaluation, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		// The first statement locks the row: what its executor writes comes before or not at all.
		n, err := q.Exec(ctx, `UPDATE evaluations SET status='cancelled' WHERE id=$1 AND status='running'`, id)
		if err != nil {
			return err
		}
		if e, err = scanEvaluation(q.QueryRow(ctx, `SELECT result FROM evaluations WHERE id=$1`, id)); err != nil {
			return notFound(err, "evaluation", id)
		}
		if n == 0 {
			return core.Errorf(core.CodeConflict, "the evaluation has ended already: %s", e.Status)
		}
		at := now.UTC().Truncate(time.Millisecond)
		e.Status, e.Error, e.FinishedAt = core.EvaluationCancelled, why, &at
		result, err := toJSON(e)
		if err != nil {
			return err
		}
		_, err = q.Exec(ctx, `UPDATE evaluations SET result=$1, finished_at=$2 WHERE id=$3`, result, ms(at), id)
		return err
	})
	return e, err
}

func scanEvaluation(row dbtx.Row) (core.Evaluation, error) {
	var (
		e      core.Evaluation
		result string
	)
	if err := row.Scan(&result); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(result), &e); err != nil {
		return e, fmt.Errorf("an evaluation: %w", err)
	}
	return e, nil
}

// Get returns an evaluation; CodeNotFound when there is none.
func (s Evaluations) Get(ctx context.Context, id string) (core.Evaluation, error) {
	e, err := scanEvaluation(s.db.Querier().QueryRow(ctx, `SELECT result FROM evaluations WHERE id=$1`, id))
	return e, notFound(err, "evaluation", id)
}

// Work returns an evaluation with its set as it was at the beginning; CodeNotFound when there is none.
func (s Evaluations) Work(ctx context.Context, id string) (e core.Evaluation, set core.EvaluationSet, err error) {
	var cases string
	if err = s.db.Querier().QueryRow(ctx, `SELECT cases FROM evaluations WHERE id=$1`, id).Scan(&cases); err != nil {
		return e, set, notFound(err, "evaluation", id)
	}
	if err = json.Unmarshal([]byte(cases), &set); err != nil {
		return e, set, fmt.Errorf("the set of evaluation %s: %w", id, err)
	}
	e, err = s.Get(ctx, id)
	return e, set, err
}

// List returns evaluations, newest first; an empty agent means any. before is the id of the last one of the previous page.
func (s Evaluations) List(ctx context.Context, agent, before string, limit int) ([]core.Evaluation, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT result FROM evaluations WHERE (agent=$1 OR $1='') AND (id<$2 OR $2='') ORDER BY id DESC LIMIT $3`, agent, before, limit)
	return dbtx.Collect(rows, err, scanEvaluation)
}

// Latest returns the newest evaluation of a version of an agent with a version of its set that has ended; false when there
// is none.
func (s Evaluations) Latest(ctx context.Context, agent, version, set string) (core.Evaluation, bool, error) {
	e, err := scanEvaluation(s.db.Querier().QueryRow(ctx, `SELECT result FROM evaluations
		WHERE agent=$1 AND version=$2 AND set_version=$3 AND status IN ('passed','failed') ORDER BY id DESC LIMIT 1`, agent, version, set))
	if errors.Is(err, dbtx.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}
