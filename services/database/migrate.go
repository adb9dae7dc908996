package database

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

//go:embed migrations
var migrationFiles embed.FS

// migrationLock is the key of the PostgreSQL advisory lock that lets one replica migrate at a time.
const migrationLock = 0x5374617a

type migration struct {
	number int
	name   string
	sql    string
}

// migrations lists what a dialect applies: files of common and of its own folder, by number.
func migrations(dialect string) ([]migration, error) {
	var out []migration
	for _, dir := range []string{"common", dialect} {
		entries, err := fs.ReadDir(migrationFiles, path.Join("migrations", dir))
		if err != nil {
			return nil, fmt.Errorf("list migrations: %w", err)
		}
		for _, e := range entries {
			num, _, ok := strings.Cut(e.Name(), "_")
			n, err := strconv.Atoi(num)
			if !ok || err != nil {
				return nil, fmt.Errorf("migration %s/%s: the name must be NNNN_name.sql", dir, e.Name())
			}
			b, err := migrationFiles.ReadFile(path.Join("migrations", dir, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("read migration: %w", err)
			}
			out = append(out, migration{n, e.Name(), string(b)})
		}
	}
	slices.SortFunc(out, func(a, b migration) int { return a.number - b.number })
	return out, nil
}

func migrate(ctx context.Context, d *DB, log *slog.Logger) error {
	all, err := migrations(d.dialect.Name())
	if err != nil {
		return err
	}
	return d.migrationTx(ctx, func(q dbtx.Querier, script func(string) error) error {
		if err := script(`CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`); err != nil {
			return err
		}
		var at int
		if err := q.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) FROM schema_migrations`).Scan(&at); err != nil {
			return err
		}
		if newest := all[len(all)-1].number; at > newest {
			return core.Errorf(core.CodeInvalid, "the database was made by a newer SutazAI (its schema is %d, this program knows %d); upgrade the program", at, newest)
		}
		for _, m := range all {
			if m.number <= at {
				continue
			}
			if err := script(m.sql); err != nil {
				return fmt.Errorf("migration %s: %w", m.name, err)
			}
			if _, err := q.Exec(ctx, `INSERT INTO schema_migrations (number, name, applied_at) VALUES ($1, $2, $3)`, m.number, m.name, time.Now().UnixMilli()); err != nil {
				return err
			}
			log.Info("database migrated", "migration", m.name)
		}
		return nil
	})
}

// migrationTx runs fn in one transaction that excludes other migrating processes; script runs several statements.
func (d *DB) migrationTx(ctx context.Context, fn func(q dbtx.Querier, script func(string) error) error) error {
	if d.pool == nil {
		return d.Tx(ctx, func(ctx context.Context, q dbtx.Querier) error {
			return fn(q, func(s string) error { _, err := q.Exec(ctx, s); return err })
		})
	}
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
			return err
		}
		return fn(dbtx.FromPGX(tx), func(s string) error {
			_, err := tx.Exec(ctx, s, pgx.QueryExecModeSimpleProtocol)
			return err
		})
	})
}
