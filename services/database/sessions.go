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

// Sessions stores who is signed in, under the hash of each session's secret.
type Sessions struct{ db *DB }

// NewSessions returns the store of sessions.
func NewSessions(db *DB) *Sessions { return &Sessions{db} }

// Create stores a session and drops those that have expired.
func (s *Sessions) Create(ctx context.Context, hash string, v core.Session) error {
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		if _, err := q.Exec(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, v.CreatedAt.UnixMilli()); err != nil {
			return err
		}
		_, err := q.Exec(ctx, `INSERT INTO sessions (hash, user_id, created_at, seen_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
			hash, v.User.ID, v.CreatedAt.UnixMilli(), v.SeenAt.UnixMilli(), v.ExpiresAt.UnixMilli())
		return err
	})
	return explain(err, "store the session")
}

// Get returns a session with its user as it is now; CodeNotFound when there is none.
func (s *Sessions) Get(ctx context.Context, hash string) (core.Session, error) {
	var (
		v                                  core.Session
		scopes                             string
		userCreated, created, seen, expire int64
	)
	err := s.db.Querier().QueryRow(ctx, `SELECT u.id, u.name, u.scopes, u.created_at, s.created_at, s.seen_at, s.expires_at
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = $1`, hash).
		Scan(&v.User.ID, &v.User.Name, &scopes, &userCreated, &created, &seen, &expire)
	if errors.Is(err, dbtx.ErrNoRows) {
		return v, core.Errorf(core.CodeNotFound, "there is no such session")
	}
	if err != nil {
		return v, explain(err, "read the session")
	}
	if err := json.Unmarshal([]byte(scopes), &v.User.Scopes); err != nil {
		return v, fmt.Errorf("decode scopes of user %s: %w", v.User.ID, err)
	}
	v.User.CreatedAt = time.UnixMilli(userCreated).UTC()
	v.CreatedAt, v.SeenAt, v.ExpiresAt = time.UnixMilli(created).UTC(), time.UnixMilli(seen).UTC(), time.UnixMilli(expire).UTC()
	return v, nil
}

// Touch records when a session was last used.
func (s *Sessions) Touch(ctx context.Context, hash string, at time.Time) error {
	_, err := s.db.Querier().Exec(ctx, `UPDATE sessions SET seen_at = $2 WHERE hash = $1`, hash, at.UnixMilli())
	return explain(err, "record the use of the session")
}

// Delete ends a session. Deleting one that is gone is no error.
func (s *Sessions) Delete(ctx context.Context, hash string) error {
	_, err := s.db.Querier().Exec(ctx, `DELETE FROM sessions WHERE hash = $1`, hash)
	return explain(err, "end the session")
}
