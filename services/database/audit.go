package database

import (
	"context"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Audit stores security-relevant facts; it can append and read, nothing else.
type Audit struct {
	db   *DB
	mu   sync.Mutex
	last int64 // the newest id that this process gave
}

// NewAudit returns the store of audit events.
func NewAudit(db *DB) *Audit { return &Audit{db: db} }

// Append stores an event under the next id and returns it. Ids grow with time: microseconds since 1970, which browsers
// can hold exactly.
func (s *Audit) Append(ctx context.Context, e core.AuditEvent) (core.AuditEvent, error) {
	for {
		e.ID = s.next(e.At)
		n, err := s.db.Querier().Exec(ctx, `INSERT INTO audit_events (id, at, actor, action, target, result, detail, addr)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING`,
			e.ID, e.At.UnixMilli(), e.Actor, e.Action, e.Target, e.Result, e.Detail, e.Addr)
		if err != nil {
			return e, explain(err, "write the audit event")
		}
		if n == 1 {
			return e, nil // otherwise another replica took the id in the same microsecond
		}
	}
}

func (s *Audit) next(at time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, at.UnixMicro())
	return s.last
}

// List returns up to f.Limit events, newest first.
func (s *Audit) List(ctx context.Context, f core.AuditFilter) ([]core.AuditEvent, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT id, at, actor, action, target, result, detail, addr FROM audit_events
		WHERE (CAST($1 AS BIGINT) = 0 OR id < $1) AND ($2 = '' OR actor = $2) AND ($3 = '' OR action = $3)
		ORDER BY id DESC LIMIT $4`, f.Before, f.Actor, f.Action, f.Limit)
	events, err := dbtx.Collect(rows, err, func(r dbtx.Row) (core.AuditEvent, error) {
		var (
			e  core.AuditEvent
			at int64
		)
		err := r.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Target, &e.Result, &e.Detail, &e.Addr)
		e.At = time.UnixMilli(at).UTC()
		return e, err
	})
	return events, explain(err, "list the audit events")
}
