package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Keys stores API keys. The secret of a key never reaches it, only a hash.
type Keys struct{ db *DB }

// NewKeys returns the store of API keys.
func NewKeys(db *DB) *Keys { return &Keys{db} }

const keyColumns = `id, name, prefix, scopes, project, created_at, last_used_at, expires_at, revoked_at`

// Create stores a new key with the hash of its secret. CodeConflict when its prefix is taken.
func (s *Keys) Create(ctx context.Context, k core.APIKey, hash string) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return fmt.Errorf("encode scopes: %w", err)
	}
	n, err := s.db.Querier().Exec(ctx,
		`INSERT INTO api_keys (id, name, prefix, hash, scopes, project, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		 ON CONFLICT (prefix) DO NOTHING`,
		k.ID, k.Name, k.Prefix, hash, string(scopes), k.Project, k.CreatedAt.UnixMilli(), nullMS(k.ExpiresAt))
	if err != nil {
		return explain(err, "store the API key")
	}
	if n == 0 {
		return core.Errorf(core.CodeConflict, "the prefix %s is taken; make the key again", k.Prefix)
	}
	return nil
}

// ByPrefix returns the key that starts with prefix and the hash of its secret; CodeNotFound when there is none.
func (s *Keys) ByPrefix(ctx context.Context, prefix string) (core.APIKey, string, error) {
	var hash string
	k, err := scanKey(s.db.Querier().QueryRow(ctx, `SELECT `+keyColumns+`, hash FROM api_keys WHERE prefix = $1`, prefix), &hash)
	if err != nil {
		return core.APIKey{}, "", keyErr(err, "of that prefix")
	}
	return k, hash, nil
}

// Get returns a key by its id; CodeNotFound when there is none.
func (s *Keys) Get(ctx context.Context, id string) (core.APIKey, error) {
	k, err := scanKey(s.db.Querier().QueryRow(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, id))
	if err != nil {
		return core.APIKey{}, keyErr(err, id)
	}
	return k, nil
}

// List returns every key, newest first, revoked ones included.
func (s *Keys) List(ctx context.Context) ([]core.APIKey, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY id DESC`)
	keys, err := dbtx.Collect(rows, err, func(r dbtx.Row) (core.APIKey, error) { return scanKey(r) })
	return keys, explain(err, "list the API keys")
}

// Revoke ends a key for good and returns it. Revoking again changes nothing.
func (s *Keys) Revoke(ctx context.Context, id string, at time.Time) (core.APIKey, error) {
	if _, err := s.db.Querier().Exec(ctx, `UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`, id, at.UnixMilli()); err != nil {
		return core.APIKey{}, explain(err, "revoke the API key")
	}
	return s.Get(ctx, id)
}

// Touch records when a key was last used.
func (s *Keys) Touch(ctx context.Context, id string, at time.Time) error {
	_, err := s.db.Querier().Exec(ctx, `UPDATE api_keys SET last_used_at = $2 WHERE id = $1`, id, at.UnixMilli())
	return explain(err, "record the use of the API key")
}

func keyErr(err error, which string) error {
	if errors.Is(err, dbtx.ErrNoRows) {
		return core.Errorf(core.CodeNotFound, "there is no API key %s", which)
	}
	return explain(err, "read the API key")
}

func scanKey(r dbtx.Row, more ...any) (core.APIKey, error) {
	var (
		k                      core.APIKey
		scopes                 string
		created                int64
		used, expires, revoked sql.NullInt64
	)
	dest := append([]any{&k.ID, &k.Name, &k.Prefix, &scopes, &k.Project, &created, &used, &expires, &revoked}, more...)
	if err := r.Scan(dest...); err != nil {
		return k, err
	}
	if err := json.Unmarshal([]byte(scopes), &k.Scopes); err != nil {
		return k, fmt.Errorf("decode scopes of key %s: %w", k.ID, err)
	}
	k.CreatedAt = time.UnixMilli(created).UTC()
	k.LastUsedAt, k.ExpiresAt, k.RevokedAt = fromNullMS(used), fromNullMS(expires), fromNullMS(revoked)
	return k, nil
}
