package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

const approvalColumns = `id, run, step, agent, tool, effect, arguments, reason, status, result, comment, created_at, expires_at, decided_by, decided_at, queue`

func scanApproval(row dbtx.Row) (core.Approval, error) {
	var (
		a                core.Approval
		arguments        string
		created, expires int64
		decided          sql.NullInt64
	)
	err := row.Scan(&a.ID, &a.Run, &a.Step, &a.Agent, &a.Tool, &a.Effect, &arguments, &a.Reason, &a.Status, &a.Result, &a.Comment, &created, &expires, &a.DecidedBy, &decided, &a.Queue)
	a.Arguments, a.CreatedAt, a.ExpiresAt, a.DecidedAt = json.RawMessage(arguments), fromMS(created), fromMS(expires), fromNullMS(decided)
	return a, err
}

// AddApproval stores a new question to a person.
func (s Runs) AddApproval(ctx context.Context, q dbtx.Querier, a core.Approval) error {
	_, err := q.Exec(ctx, `INSERT INTO approvals (`+approvalColumns+`) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)`,
		a.ID, a.Run, a.Step, a.Agent, a.Tool, a.Effect, string(a.Arguments), a.Reason, a.Status, a.Result, a.Comment, ms(a.CreatedAt), ms(a.ExpiresAt), a.DecidedBy, nullMS(a.DecidedAt), a.Queue)
	return err
}

// DecideApproval moves a pending approval to its final status; false when it was no longer pending.
func (s Runs) DecideApproval(ctx context.Context, q dbtx.Querier, a core.Approval) (bool, error) {
	n, err := q.Exec(ctx, `UPDATE approvals SET status=$2, arguments=$3, result=$4, comment=$5, decided_by=$6, decided_at=$7 WHERE id=$1 AND status='pending'`,
		a.ID, a.Status, string(a.Arguments), a.Result, a.Comment, a.DecidedBy, nullMS(a.DecidedAt))
	return n == 1, err
}

// Approval returns one approval; CodeNotFound when there is none.
func (s Runs) Approval(ctx context.Context, q dbtx.Querier, id string) (core.Approval, error) {
	a, err := scanApproval(q.QueryRow(ctx, `SELECT `+approvalColumns+` FROM approvals WHERE id=$1`, id))
	return a, notFound(err, "approval", id)
}

// Approvals lists approvals, oldest first; an empty status or run means any.
func (s Runs) Approvals(ctx context.Context, q dbtx.Querier, status core.ApprovalStatus, run string, limit int) ([]core.Approval, error) {
	var (
		where []string
		args  []any
	)
	if status != "" {
		args = append(args, status)
		where = append(where, fmt.Sprintf("status=$%d", len(args)))
	}
	if run != "" {
		args = append(args, run)
		where = append(where, fmt.Sprintf("run=$%d", len(args)))
	}
	query := `SELECT ` + approvalColumns + ` FROM approvals`
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, limit)
	rows, err := q.Query(ctx, query+fmt.Sprintf(" ORDER BY id LIMIT $%d", len(args)), args...)
	return dbtx.Collect(rows, err, scanApproval)
}

// ExpiredApprovals lists pending approvals whose time is over.
func (s Runs) ExpiredApprovals(ctx context.Context, q dbtx.Querier, now time.Time, limit int) ([]core.Approval, error) {
	rows, err := q.Query(ctx, `SELECT `+approvalColumns+` FROM approvals WHERE status='pending' AND expires_at <= $1 ORDER BY expires_at LIMIT $2`, ms(now), limit)
	return dbtx.Collect(rows, err, scanApproval)
}
