package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Evaluations stores what evaluations gave.
type Evaluations struct{ db *DB }

// NewEvaluations returns the store of evaluations.
func NewEvaluations(db *DB) Evaluations { return Evaluations{db} }

// Put inserts or replaces an evaluation.
func (s Evaluations) Put(ctx context.Context, e core.Evaluation) error {
	result, err := toJSON(e)
	if err != nil {
		return err
	}
	_, err = s.db.Querier().Exec(ctx, `INSERT INTO evaluations (id, agent, version, set_version, status, result, created_at, finished_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT (id) DO UPDATE SET status=$5, result=$6, finished_at=$8`,
		e.ID, e.Agent, e.Version, e.SetVersion, e.Status, result, ms(e.CreatedAt), nullMS(e.FinishedAt))
	return err
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

// List returns evaluations, newest first; an empty agent means any. before is the id of the last one of the previous page.
func (s Evaluations) List(ctx context.Context, agent, before string, limit int) ([]core.Evaluation, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT result FROM evaluations WHERE (agent=$1 OR $1='') AND (id<$2 OR $2='') ORDER BY id DESC LIMIT $3`, agent, before, limit)
	return dbtx.Collect(rows, err, scanEvaluation)
}

// Running returns those that have not ended, oldest first.
func (s Evaluations) Running(ctx context.Context) ([]core.Evaluation, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT result FROM evaluations WHERE status='running' ORDER BY id`)
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
