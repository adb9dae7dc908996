package database

import (
	"context"
	"slices"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// cacheChunk is how many rows of the cache one statement asks for or deletes.
const cacheChunk = 32

// Cache is the table of cached answers and vectors that replicas share.
type Cache struct{ db *DB }

// NewCache returns the store of the cache.
func NewCache(db *DB) *Cache { return &Cache{db} }

// Get returns the rows that there are of these, in any order and without their spaces, expired ones included.
func (s *Cache) Get(ctx context.Context, ids [][32]byte) ([]core.CacheRow, error) {
	q := s.db.Querier()
	if len(ids) == 1 {
		rows, err := q.Query(ctx, `SELECT id, value, created_at, expires_at FROM cache_entries WHERE id = $1`, ids[0][:])
		out, err := dbtx.Collect(rows, err, scanCacheRow)
		return out, explain(err, "read the cache")
	}
	var all []core.CacheRow
	for chunk := range slices.Chunk(ids, cacheChunk) {
		rows, err := q.Query(ctx, `SELECT id, value, created_at, expires_at FROM cache_entries WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8,
			$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)`, cacheArgs(chunk)...)
		out, err := dbtx.Collect(rows, err, scanCacheRow)
		if err != nil {
			return nil, explain(err, "read the cache")
		}
		all = append(all, out...)
	}
	return all, nil
}

// cacheArgs fills up a chunk with its last id, so that every chunk has the same statement.
func cacheArgs(chunk [][32]byte) []any {
	args := make([]any, cacheChunk)
	for i := range args {
		args[i] = chunk[min(i, len(chunk)-1)][:]
	}
	return args
}

func scanCacheRow(row dbtx.Row) (r core.CacheRow, err error) {
	var (
		id               []byte
		created, expires int64
	)
	err = row.Scan(&id, &r.Value, &created, &expires)
	copy(r.ID[:], id)
	r.CreatedAt, r.ExpiresAt = fromMS(created), fromMS(expires)
	return r, err
}

// List returns the newest rows of exactly this space that were made after a time, the oldest of them first.
func (s *Cache) List(ctx context.Context, space core.CacheSpace, after time.Time, limit int) ([]core.CacheRow, error) {
	rows, err := s.db.Querier().Query(ctx, `SELECT id, value, created_at, expires_at FROM cache_entries
		WHERE kind = $1 AND project = $2 AND route = $3 AND grp = $4 AND created_at > $5 ORDER BY created_at DESC LIMIT $6`,
		space.Kind, space.Project, space.Route, space.Group, ms(after), limit)
	out, err := dbtx.Collect(rows, err, scanCacheRow)
	for i := range out {
		out[i].Space = space
	}
	slices.Reverse(out)
	return out, explain(err, "list the cache")
}

// Put writes rows in one transaction, in the place of those with the same id.
func (s *Cache) Put(ctx context.Context, rows []core.CacheRow) error {
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		for i := range rows {
			r := &rows[i]
			if _, err := q.Exec(ctx, `INSERT INTO cache_entries (id, kind, project, route, grp, value, size, created_at, expires_at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET value = excluded.value, size = excluded.size,
				created_at = excluded.created_at, expires_at = excluded.expires_at`,
				r.ID[:], r.Space.Kind, r.Space.Project, r.Space.Route, r.Space.Group, r.Value, len(r.Value), ms(r.CreatedAt), ms(r.ExpiresAt)); err != nil {
				return err
			}
		}
		return nil
	})
	return explain(err, "write to the cache")
}

// Remove deletes single rows.
func (s *Cache) Remove(ctx context.Context, ids [][32]byte) error {
	for chunk := range slices.Chunk(ids, cacheChunk) {
		if _, err := s.db.Querier().Exec(ctx, `DELETE FROM cache_entries WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8,
			$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)`, cacheArgs(chunk)...); err != nil {
			return explain(err, "delete from the cache")
		}
	}
	return nil
}

// Delete deletes all rows that a filter covers, but those that tell of deletions. It goes through the table in the order
// of ids, some hundred rows in a transaction, so that nobody waits for long.
func (s *Cache) Delete(ctx context.Context, within core.CacheSpace) error {
	const batch = 500
	after := []byte{}
	for {
		rows, err := s.db.Querier().Query(ctx, `SELECT id FROM cache_entries WHERE id > $1 AND kind <> $2
			AND ($3 = '' OR kind = $3) AND ($4 = '' OR project = $4) AND ($5 = '' OR route = $5) AND ($6 = '' OR grp = $6)
			ORDER BY id LIMIT $7`, after, core.CachePurge, within.Kind, within.Project, within.Route, within.Group, batch)
		ids, err := dbtx.Collect(rows, err, func(row dbtx.Row) (id [32]byte, err error) {
			var b []byte
			err = row.Scan(&b)
			copy(id[:], b)
			return id, err
		})
		if err != nil {
			return explain(err, "list the cache")
		}
		if err := s.Remove(ctx, ids); err != nil {
			return err
		}
		if len(ids) < batch {
			return nil
		}
		after = ids[len(ids)-1][:]
	}
}

// Expire deletes at most limit rows whose time is over, and says how many.
func (s *Cache) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	var n int64
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) (err error) {
		n, err = q.Exec(ctx, `DELETE FROM cache_entries WHERE id IN (SELECT id FROM cache_entries WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`, ms(now), limit)
		return err
	})
	return int(n), explain(err, "remove what has expired from the cache")
}

// Shrink deletes at most limit rows, those first that expire first, and says how many bytes they held.
func (s *Cache) Shrink(ctx context.Context, limit int) (int64, error) {
	var freed int64
	err := s.db.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
		rows, err := q.Query(ctx, `DELETE FROM cache_entries WHERE id IN (SELECT id FROM cache_entries ORDER BY expires_at LIMIT $1) RETURNING size`, limit)
		sizes, err := dbtx.Collect(rows, err, func(row dbtx.Row) (n int64, err error) {
			err = row.Scan(&n)
			return n, err
		})
		freed = 0
		for _, n := range sizes {
			freed += n
		}
		return err
	})
	return freed, explain(err, "shrink the cache")
}

// Size is the number of bytes that the values of all rows hold.
func (s *Cache) Size(ctx context.Context) (n int64, err error) {
	err = s.db.Querier().QueryRow(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM cache_entries`).Scan(&n)
	return n, explain(err, "measure the cache")
}
