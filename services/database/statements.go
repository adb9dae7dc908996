package database

import (
	"context"
	"database/sql/driver"
	"strings"
)

// maxStatements bounds what one connection keeps compiled.
const maxStatements = 96

// statements keeps the compiled statements of one SQLite connection: a step's commit runs the same dozen statements
// every time, and compiling them took a fifth of its time. A connection is used by one goroutine at a time.
type statements struct {
	conn driver.Conn
	byQ  map[string]*statement
}

type statement struct {
	driver.Stmt
	busy bool // its rows are being read
}

// take returns the compiled statement, or nil for what should run uncompiled: scripts, and a statement whose rows are
// still being read.
func (s *statements) take(ctx context.Context, query string) (*statement, error) {
	if st, ok := s.byQ[query]; ok {
		if st.busy {
			return nil, nil
		}
		return st, nil
	}
	if len(s.byQ) >= maxStatements || strings.Contains(query, ";") {
		return nil, nil
	}
	compiled, err := s.conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if s.byQ == nil {
		s.byQ = map[string]*statement{}
	}
	st := &statement{Stmt: compiled}
	s.byQ[query] = st
	return st, nil
}

func (s *statements) exec(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	st, err := s.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	}
	return st.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *statements) query(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	st, err := s.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if st == nil {
		return s.conn.(driver.QueryerContext).QueryContext(ctx, query, args)
	}
	rows, err := st.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	st.busy = true
	return &closingRows{Rows: rows, then: func() { st.busy = false }}, nil
}

// closingRows runs a function when the rows are closed, once.
type closingRows struct {
	driver.Rows
	then func()
}

func (r *closingRows) Close() error {
	err := r.Rows.Close()
	if r.then != nil {
		r.then()
		r.then = nil
	}
	return err
}

func (s *statements) close() (err error) {
	for _, st := range s.byQ {
		if e := st.Close(); err == nil {
			err = e
		}
	}
	s.byQ = nil
	return err
}
