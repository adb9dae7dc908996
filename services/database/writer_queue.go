package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"modernc.org/sqlite"
)

// writerQueue is a connector for SQLite that lets one writer in at a time, first come first served. SQLite itself
// makes waiting writers poll for the lock in no order: with 16 writers some starve for seconds, and a caller that
// needs a second connection while holding the lock stalls everybody. Readers outside transactions never queue.
type writerQueue struct {
	drv  driver.Driver
	dsn  string
	gate chan struct{} // holds one token while a writer is in; blocked senders are served in order
}

func newWriterQueue(dsn string) *writerQueue {
	return &writerQueue{drv: &sqlite.Driver{}, dsn: dsn, gate: make(chan struct{}, 1)}
}

func (q *writerQueue) Driver() driver.Driver { return q.drv }

func (q *writerQueue) Connect(context.Context) (driver.Conn, error) {
	c, err := q.drv.Open(q.dsn)
	if err != nil {
		return nil, err
	}
	return &queuedConn{Conn: c, q: q, compiled: statements{conn: c}}, nil
}

func (q *writerQueue) enter(ctx context.Context) error {
	select {
	case q.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *writerQueue) leave() { <-q.gate }

// queuedConn takes its turn for every transaction and every writing statement outside one.
type queuedConn struct {
	driver.Conn
	q        *writerQueue
	compiled statements
	inTx     bool
}

func (c *queuedConn) Close() error { return errors.Join(c.compiled.close(), c.Conn.Close()) }

func (c *queuedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.q.enter(ctx); err != nil {
		return nil, err
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		c.q.leave()
		return nil, err
	}
	c.inTx = true
	return &queuedTx{tx, c}, nil
}

type queuedTx struct {
	driver.Tx
	c *queuedConn
}

func (t *queuedTx) Commit() error   { defer t.end(); return t.Tx.Commit() }
func (t *queuedTx) Rollback() error { defer t.end(); return t.Tx.Rollback() }

func (t *queuedTx) end() {
	if t.c.inTx {
		t.c.inTx = false
		t.c.q.leave()
	}
}

func (c *queuedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !c.inTx && !isPragma(query) {
		if err := c.q.enter(ctx); err != nil {
			return nil, err
		}
		defer c.q.leave()
	}
	return c.compiled.exec(ctx, query, args)
}

func (c *queuedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.inTx || isRead(query) {
		return c.compiled.query(ctx, query, args)
	}
	if err := c.q.enter(ctx); err != nil {
		return nil, err
	}
	rows, err := c.compiled.query(ctx, query, args)
	if err != nil {
		c.q.leave()
		return nil, err
	}
	return &closingRows{Rows: rows, then: c.q.leave}, nil // a writing query (… RETURNING) keeps its turn until its rows are read
}

func (c *queuedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *queuedConn) Ping(ctx context.Context) error { return c.Conn.(driver.Pinger).Ping(ctx) }

func (c *queuedConn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *queuedConn) IsValid() bool {
	if v, ok := c.Conn.(driver.Validator); ok {
		return v.IsValid()
	}
	return true
}

func firstWord(query string) string {
	words := strings.Fields(query)
	if len(words) == 0 {
		return ""
	}
	return strings.ToUpper(words[0])
}

// isPragma says whether a statement only sets up its connection; PRAGMA optimize writes.
func isPragma(query string) bool {
	return firstWord(query) == "PRAGMA" && !strings.Contains(strings.ToLower(query), "optimize")
}

// isRead says whether a query only reads. WITH counts as reading unless it names a writing verb.
func isRead(query string) bool {
	switch firstWord(query) {
	case "SELECT", "EXPLAIN", "PRAGMA", "VALUES":
		return true
	case "WITH":
		for _, word := range strings.Fields(strings.ToUpper(query)) {
			if word == "INSERT" || word == "UPDATE" || word == "DELETE" || word == "REPLACE" {
				return false
			}
		}
		return true
	}
	return false
}
