package database

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// Responses stores answers of the Responses API. Everything is asked for by its owner: what is another's looks like what
// is not there, but for the code.
type Responses struct{ db *DB }

// NewResponses returns the store of responses.
func NewResponses(db *DB) *Responses { return &Responses{db} }

const responseColumns = `id, owner, state, model, previous, input, response, created_at, expires_at`

// maxChain bounds how many responses one conversation may be made of.
const maxChain = 1000

// expirySlack is how much earlier than its successor a response may expire, in milliseconds: so that a conversation that
// goes on does not lose its beginning, and not every turn writes to all of it.
const expirySlack = 24 * 3600 * 1000

// Save stores a response and keeps what it goes on from for as long. Saving it again replaces it, unless its owner has
// deleted it.
func (s *Responses) Save(ctx context.Context, r core.StoredResponse) error {
	expires := r.ExpiresAt.UnixMilli()
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		_, err := q.Exec(ctx, `INSERT INTO responses (id, owner, state, model, previous, input, response, size, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (owner, id) DO UPDATE SET state = excluded.state, model = excluded.model, previous = excluded.previous,
				input = excluded.input, response = excluded.response, size = excluded.size, created_at = excluded.created_at, expires_at = excluded.expires_at
			WHERE responses.state <> 'deleted'`,
			r.ID, r.Owner, string(r.State), r.Model, r.Previous, string(r.Input), string(r.Response), len(r.Input)+len(r.Response), r.CreatedAt.UnixMilli(), expires)
		if err != nil || r.Previous == "" {
			return err
		}
		_, err = q.Exec(ctx, `UPDATE responses SET expires_at = $1 WHERE owner = $2 AND expires_at < $3 AND id IN (
			WITH RECURSIVE chain (id, previous, depth) AS (
				SELECT id, previous, 1 FROM responses WHERE owner = $2 AND id = $4
				UNION ALL
				SELECT r.id, r.previous, c.depth + 1 FROM responses r JOIN chain c ON r.id = c.previous WHERE r.owner = $2 AND c.depth < $5)
			SELECT id FROM chain)`, expires, r.Owner, expires-expirySlack, r.Previous, maxChain)
		return err
	})
	return explain(err, "store the response")
}

// Get returns a response of an owner. Codes: CodeNotFound where nobody has one of that id, CodeForbidden where only others
// have, or where its owner has deleted it.
func (s *Responses) Get(ctx context.Context, owner, id string, now time.Time) (core.StoredResponse, error) {
	r, err := scanResponse(s.db.Querier().QueryRow(ctx, `SELECT `+responseColumns+` FROM responses WHERE owner = $1 AND id = $2 AND expires_at > $3`,
		owner, id, now.UnixMilli()))
	switch {
	case err == nil && r.State != core.ResponseDeleted:
		return r, nil
	case err == nil:
		return core.StoredResponse{}, core.Errorf(core.CodeForbidden, "the response %s is deleted", id)
	case !errors.Is(err, dbtx.ErrNoRows):
		return core.StoredResponse{}, explain(err, "read the response")
	}
	var others int64
	err = s.db.Querier().QueryRow(ctx, `SELECT COUNT(*) FROM responses WHERE id = $1 AND owner <> $2`, id, owner).Scan(&others)
	switch {
	case err != nil:
		return core.StoredResponse{}, explain(err, "read the response")
	case others > 0:
		return core.StoredResponse{}, core.Errorf(core.CodeForbidden, "the response %s is another's", id)
	}
	return core.StoredResponse{}, core.Errorf(core.CodeNotFound, "there is no response %s", id)
}

// Chain returns a response of an owner and all that it goes on from, the oldest first, as far as they are there and hold
// at most maxBytes together. Where the first one has a Previous, something is missing or the bound was reached.
func (s *Responses) Chain(ctx context.Context, owner, id string, now time.Time, maxBytes int64) ([]core.StoredResponse, error) {
	// The sizes are summed before the contents are read.
	rows, err := s.db.Querier().Query(ctx, `WITH RECURSIVE chain (cid, before, depth, total) AS (
			SELECT id, previous, 1, size FROM responses WHERE owner = $1 AND id = $2 AND state <> 'deleted' AND expires_at > $3 AND size <= $4
			UNION ALL
			SELECT r.id, r.previous, c.depth + 1, c.total + r.size FROM responses r JOIN chain c ON r.id = c.before
			WHERE r.owner = $1 AND r.state <> 'deleted' AND r.expires_at > $3 AND c.total + r.size <= $4 AND c.depth < $5)
		SELECT `+responseColumns+` FROM chain JOIN responses ON owner = $1 AND id = cid ORDER BY depth DESC`,
		owner, id, now.UnixMilli(), maxBytes, maxChain)
	list, err := dbtx.Collect(rows, err, scanResponse)
	return list, explain(err, "read the conversation")
}

// Delete takes a response back: its content goes, its id stays taken until it expires. CodeNotFound and CodeForbidden as
// of Get.
func (s *Responses) Delete(ctx context.Context, owner, id string, now time.Time) error {
	n, err := s.db.Querier().Exec(ctx, `UPDATE responses SET state = 'deleted', input = '', response = '', previous = '', size = 0
		WHERE owner = $1 AND id = $2 AND state <> 'deleted' AND expires_at > $3`, owner, id, now.UnixMilli())
	if err != nil {
		return explain(err, "delete the response")
	}
	if n == 0 {
		_, err = s.Get(ctx, owner, id, now)
	}
	return err
}

// DeleteExpired removes up to limit responses whose time is over and says how many.
func (s *Responses) DeleteExpired(ctx context.Context, now time.Time, limit int) (int64, error) {
	n, err := s.db.Querier().Exec(ctx, `DELETE FROM responses WHERE (owner, id) IN (
		SELECT owner, id FROM responses WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`, now.UnixMilli(), limit)
	return n, explain(err, "delete expired responses")
}

func scanResponse(row dbtx.Row) (core.StoredResponse, error) {
	var (
		r                      core.StoredResponse
		state, input, response string
		created, expires       int64
	)
	if err := row.Scan(&r.ID, &r.Owner, &state, &r.Model, &r.Previous, &input, &response, &created, &expires); err != nil {
		return r, err
	}
	r.State, r.Input, r.Response = core.ResponseState(state), notEmpty(input), notEmpty(response)
	r.CreatedAt, r.ExpiresAt = fromMS(created), fromMS(expires)
	return r, nil
}

func notEmpty(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}
