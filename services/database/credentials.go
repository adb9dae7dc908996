package database

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Credentials stores the encrypted keys of model providers. No key reaches it in clear.
type Credentials struct{ db *DB }

// NewCredentials returns the store of credentials.
func NewCredentials(db *DB) *Credentials { return &Credentials{db} }

const providerKeyColumns = `id, provider, name, sealed, hint, created_at, created_by, disabled_at, last_used_at, last_error`

// Credentials returns all of them, oldest first, removed ones included.
func (s *Credentials) Credentials(ctx context.Context) ([]core.StoredCredential, error) {
	list, err := readCredentials(ctx, s.db.Querier())
	return list, explain(err, "list the credentials")
}

func readCredentials(ctx context.Context, q dbtx.Querier) ([]core.StoredCredential, error) {
	rows, err := q.Query(ctx, `SELECT `+providerKeyColumns+` FROM credentials ORDER BY id`)
	return dbtx.Collect(rows, err, scanCredential)
}

// AddCredential stores a new one.
func (s *Credentials) AddCredential(ctx context.Context, c core.StoredCredential) error {
	_, err := s.db.Querier().Exec(ctx,
		`INSERT INTO credentials (id, provider, name, sealed, hint, created_at, created_by, last_error) VALUES ($1, $2, $3, $4, $5, $6, $7, '')`,
		c.ID, c.Provider, c.Name, c.Sealed, c.Hint, ms(c.CreatedAt), c.CreatedBy)
	return explain(err, "store the credential")
}

// RemoveCredential forgets the encrypted key for good and returns the rest; CodeNotFound when there is none. Removing
// again changes nothing.
func (s *Credentials) RemoveCredential(ctx context.Context, id string, at time.Time) (core.Credential, error) {
	var c core.StoredCredential
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		_, err := q.Exec(ctx, `UPDATE credentials SET sealed = '', disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL`, id, ms(at))
		if err != nil {
			return err
		}
		c, err = scanCredential(q.QueryRow(ctx, `SELECT `+providerKeyColumns+` FROM credentials WHERE id = $1`, id))
		if errors.Is(err, dbtx.ErrNoRows) {
			return core.Errorf(core.CodeNotFound, "there is no credential %s", id)
		}
		return err
	})
	return c.Credential, explain(err, "remove the credential")
}

// ResealCredentials replaces every encrypted key by what reseal makes of it, all or none, and returns how many. It
// changes no row that somebody else changes at the same time: CodeConflict.
func (s *Credentials) ResealCredentials(ctx context.Context, reseal func(core.StoredCredential) (string, error)) (int, error) {
	n := 0
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		n = 0
		list, err := readCredentials(ctx, q)
		if err != nil {
			return err
		}
		for _, c := range list {
			if c.Sealed == "" {
				continue
			}
			sealed, err := reseal(c)
			if err != nil {
				return err
			}
			changed, err := q.Exec(ctx, `UPDATE credentials SET sealed = $2 WHERE id = $1 AND sealed = $3`, c.ID, sealed, c.Sealed)
			if err != nil {
				return err
			}
			if changed == 0 {
				return core.Errorf(core.CodeConflict, "the credential %s was changed at the same time; nothing was encrypted anew, try again", c.ID)
			}
			n++
		}
		return nil
	})
	return n, explain(err, "encrypt the credentials anew")
}

// CredentialsUsed records the latest uses. A use before the recorded one leaves that time.
func (s *Credentials) CredentialsUsed(ctx context.Context, uses []core.CredentialUse) error {
	return explain(s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		for _, u := range uses {
			var at sql.NullInt64
			if !u.UsedAt.IsZero() {
				at = sql.NullInt64{Int64: ms(u.UsedAt), Valid: true}
			}
			if _, err := q.Exec(ctx,
				`UPDATE credentials SET last_error = $3,
				 last_used_at = CASE WHEN last_used_at IS NULL OR last_used_at < $2 THEN $2 ELSE last_used_at END
				 WHERE id = $1 AND disabled_at IS NULL`, u.ID, at, u.Error); err != nil {
				return err
			}
		}
		return nil
	}), "record the use of credentials")
}

func scanCredential(r dbtx.Row) (core.StoredCredential, error) {
	var (
		c              core.StoredCredential
		created        int64
		disabled, used sql.NullInt64
	)
	err := r.Scan(&c.ID, &c.Provider, &c.Name, &c.Sealed, &c.Hint, &created, &c.CreatedBy, &disabled, &used, &c.LastError)
	c.CreatedAt, c.DisabledAt, c.LastUsedAt = fromMS(created), fromNullMS(disabled), fromNullMS(used)
	return c, err
}
