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

// Users stores the people who can sign in, and the links with which the first of them is made.
type Users struct{ db *DB }

// NewUsers returns the store of users.
func NewUsers(db *DB) *Users { return &Users{db} }

// Count says how many users there are.
func (s *Users) Count(ctx context.Context) (int, error) {
	var n int
	err := s.db.Querier().QueryRow(ctx, `SELECT COUNT(*) FROM users`).Scan(&n)
	return n, explain(err, "count the users")
}

// ByName returns a user and the hash of the password; CodeNotFound when there is none.
func (s *Users) ByName(ctx context.Context, name string) (core.User, string, error) {
	var (
		u       core.User
		hash    string
		scopes  string
		created int64
	)
	err := s.db.Querier().QueryRow(ctx, `SELECT id, name, scopes, created_at, password_hash FROM users WHERE name = $1`, name).
		Scan(&u.ID, &u.Name, &scopes, &created, &hash)
	if errors.Is(err, dbtx.ErrNoRows) {
		return u, "", core.Errorf(core.CodeNotFound, "there is no user %q", name)
	}
	if err != nil {
		return u, "", explain(err, "read the user")
	}
	if err := json.Unmarshal([]byte(scopes), &u.Scopes); err != nil {
		return u, "", fmt.Errorf("decode scopes of user %s: %w", u.ID, err)
	}
	u.CreatedAt = time.UnixMilli(created).UTC()
	return u, hash, nil
}

// AddSetupLink makes hash a valid set-up link beside others, and deletes those that expired by now.
func (s *Users) AddSetupLink(ctx context.Context, hash string, expires, now time.Time) error {
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		if _, err := q.Exec(ctx, `DELETE FROM setup_links WHERE expires_at <= $1`, now.UnixMilli()); err != nil {
			return err
		}
		_, err := q.Exec(ctx, `INSERT INTO setup_links (hash, expires_at) VALUES ($1, $2)`, hash, expires.UnixMilli())
		return err
	})
	return explain(err, "store the set-up link")
}

// SetupLinkValid says whether hash is a set-up link and has not expired.
func (s *Users) SetupLinkValid(ctx context.Context, hash string, now time.Time) (bool, error) {
	var n int
	err := s.db.Querier().QueryRow(ctx, `SELECT COUNT(*) FROM setup_links WHERE hash = $1 AND expires_at > $2`, hash, now.UnixMilli()).Scan(&n)
	return n > 0, explain(err, "check the set-up link")
}

// CreateFirst makes the first user by a valid set-up link and deletes all links, both or neither. CodeUnauthorized when the
// link is not valid, CodeConflict when there is a user already.
func (s *Users) CreateFirst(ctx context.Context, u core.User, passwordHash, linkHash string) error {
	scopes, err := json.Marshal(u.Scopes)
	if err != nil {
		return fmt.Errorf("encode scopes: %w", err)
	}
	err = s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		// Requests with different links may race: they queue for this row, which is never a valid link and never stays.
		if _, err := q.Exec(ctx, `INSERT INTO setup_links (hash, expires_at) VALUES ('', 0) ON CONFLICT (hash) DO UPDATE SET expires_at = 0`); err != nil {
			return err
		}
		n, err := q.Exec(ctx, `DELETE FROM setup_links WHERE hash = $1 AND expires_at > $2`, linkHash, u.CreatedAt.UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return core.Errorf(core.CodeUnauthorized, "this set-up link is not valid; restart the server for a new one")
		}
		n, err = q.Exec(ctx, `INSERT INTO users (id, name, password_hash, scopes, created_at)
			SELECT $1, $2, $3, $4, CAST($5 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM users)`,
			u.ID, u.Name, passwordHash, string(scopes), u.CreatedAt.UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return core.Errorf(core.CodeConflict, "the server is set up already; sign in")
		}
		_, err = q.Exec(ctx, `DELETE FROM setup_links`)
		return err
	})
	return explain(err, "make the first user")
}
