// Package database opens SQLite or PostgreSQL, migrates it and holds the stores: SQL is written once, with $N
// placeholders, for both. It owns the schema and knows nothing of runs being executed, of HTTP or of the engine, with
// which it shares its one handle.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dbtx"
)

// txTries bounds how often a transaction is tried that the database gave up for another's sake.
const txTries = 5

// Options say which database to open.
type Options struct {
	URL      string // postgres://…, or empty for SQLite in DataDir
	DataDir  string
	MaxConns int // PostgreSQL pool size; 0 = 10
	Logger   *slog.Logger
}

// DB is an open, migrated database.
type DB struct {
	dialect Dialect
	writer  *sql.DB       // SQLite: transactions and writes
	reader  *sql.DB       // SQLite: query_only, so that long lists never wait for writers
	pool    *pgxpool.Pool // PostgreSQL
}

// Open opens and migrates the database. Errors are core.Error with what a user can do about it.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var (
		db  *DB
		err error
	)
	if o.URL == "" {
		db, err = openSQLite(ctx, filepath.Join(o.DataDir, "sutazai.db"))
	} else {
		db, err = openPostgres(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db, o.Logger); err != nil {
		return nil, errors.Join(explain(err, "migrate the database"), db.Close())
	}
	return db, nil
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "cannot make the data folder %s; set server.data_dir to a folder that can be written", filepath.Dir(path))
	}
	if err := checkHeader(path); err != nil {
		return nil, err
	}
	dsn := func(extra ...string) string {
		v := url.Values{"_txlock": {"immediate"}}
		v["_pragma"] = append([]string{"busy_timeout(20000)", "foreign_keys(ON)"}, extra...)
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
	}
	if err := setPageSize(ctx, path); err != nil {
		return nil, err
	}
	q := newWriterQueue(dsn("journal_mode(WAL)", "synchronous(FULL)", "cache_size(-16000)"))
	writer := sql.OpenDB(q)
	writer.SetMaxIdleConns(16)
	writer.SetMaxOpenConns(64)
	if err := writer.PingContext(ctx); err != nil {
		return nil, errors.Join(explain(err, "open "+path), writer.Close())
	}
	if err := os.Chmod(path, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(core.Wrap(core.CodeInvalid, err, "cannot restrict %s to its owner", path), writer.Close())
	}
	reader, err := sql.Open("sqlite", dsn("query_only(ON)"))
	if err != nil {
		return nil, errors.Join(explain(err, "open "+path), writer.Close())
	}
	reader.SetMaxIdleConns(4)
	reader.SetMaxOpenConns(8)
	return &DB{dialect: sqliteDialect{}, writer: writer, reader: reader}, nil
}

// setPageSize makes a new database with pages of 8 KiB, which hold three 2 KB messages: of the default 4 KiB, one such
// message would leave half unused. It has no effect on a database that exists.
func setPageSize(ctx context.Context, path string) error {
	if st, err := os.Stat(path); err == nil && st.Size() > 0 {
		return nil
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return explain(err, "open "+path)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(explain(err, "open "+path), db.Close())
	}
	for _, q := range []string{"PRAGMA page_size=8192", "PRAGMA journal_mode=WAL"} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return errors.Join(explain(err, "set up "+path), conn.Close(), db.Close())
		}
	}
	return errors.Join(conn.Close(), db.Close())
}

// checkHeader refuses a file that is not a SQLite database before SQLite touches it.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return core.Wrap(core.CodeInvalid, err, "cannot read the database %s; check its permissions", path)
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := f.Read(head)
	if n == 0 && err != nil {
		return nil // an empty file is a new database
	}
	if string(head[:n]) != "SQLite format 3\x00" {
		return damaged(path, nil)
	}
	return nil
}

func damaged(what string, err error) error {
	return core.Wrap(core.CodeInternal, err,
		"the database %s is damaged or is not a SQLite database; nothing was changed. Restore a backup in its place, or move it away to start empty", what)
}

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "database.url is not a PostgreSQL URL; expected postgres://user:password@host:5432/name")
	}
	cfg.MaxConns = int32(o.MaxConns)
	if o.MaxConns <= 0 {
		cfg.MaxConns = 10
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, core.Wrap(core.CodeUnavailable, err, "cannot set up the PostgreSQL pool")
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		where := fmt.Sprintf("%s:%d/%s", cfg.ConnConfig.Host, cfg.ConnConfig.Port, cfg.ConnConfig.Database)
		return nil, core.Wrap(core.CodeUnavailable, err, "cannot reach the database at %s; check database.url and that PostgreSQL runs", where)
	}
	return &DB{dialect: postgresDialect{}, pool: pool}, nil
}

// Dialect tells the few things in which the databases differ.
func (d *DB) Dialect() Dialect { return d.dialect }

// SQLite returns the shared write handle, or nil on PostgreSQL. It is for the engine only.
func (d *DB) SQLite() *sql.DB { return d.writer }

// Postgres returns the shared pool, or nil on SQLite. It is for the engine only.
func (d *DB) Postgres() *pgxpool.Pool { return d.pool }

// Querier runs single statements, each in its own transaction.
func (d *DB) Querier() dbtx.Querier {
	if d.pool != nil {
		return dbtx.FromPGX(d.pool)
	}
	return splitQuerier{write: dbtx.FromSQL(d.writer), read: dbtx.FromSQL(d.reader)}
}

// splitQuerier sends reads to the read-only handle.
type splitQuerier struct{ write, read dbtx.Querier }

func (s splitQuerier) pick(query string) dbtx.Querier {
	if isRead(query) {
		return s.read
	}
	return s.write
}

func (s splitQuerier) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return s.write.Exec(ctx, query, args...)
}

func (s splitQuerier) Query(ctx context.Context, query string, args ...any) (dbtx.Rows, error) {
	return s.pick(query).Query(ctx, query, args...)
}

func (s splitQuerier) QueryRow(ctx context.Context, query string, args ...any) dbtx.Row {
	return s.pick(query).QueryRow(ctx, query, args...)
}

// Tx runs fn in one transaction: committed when fn returns nil, rolled back otherwise. A transaction that PostgreSQL
// gave up to resolve a deadlock is tried again, so fn may run more than once.
func (d *DB) Tx(ctx context.Context, fn func(context.Context, dbtx.Querier) error) error {
	if d.pool == nil {
		return known(d.sqliteTx(ctx, fn), "store")
	}
	var err error
	for range txTries {
		err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error { return fn(ctx, dbtx.FromPGX(tx)) })
		if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != pgerrcode.DeadlockDetected && pe.Code != pgerrcode.SerializationFailure {
			break
		}
	}
	return known(err, "store")
}

func (d *DB) sqliteTx(ctx context.Context, fn func(context.Context, dbtx.Querier) error) error {
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(ctx, dbtx.FromSQL(tx)); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Ping says whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	return explain(d.Querier().QueryRow(ctx, "SELECT 1").Scan(&one), "reach the database")
}

// Optimize refreshes the statistics that the query planner needs after growth.
func (d *DB) Optimize(ctx context.Context) error {
	if d.pool != nil {
		return nil // autovacuum does it
	}
	_, err := d.writer.ExecContext(ctx, "PRAGMA optimize")
	return err
}

// Close closes every handle.
func (d *DB) Close() error {
	if d.pool != nil {
		d.pool.Close()
		return nil
	}
	return errors.Join(d.reader.Close(), d.writer.Close())
}
