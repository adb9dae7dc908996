package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sutazai/sutazai/core"
)

// explain turns any error of a driver into one that a user may read. doing completes "cannot …".
func explain(err error, doing string) error {
	err = known(err, doing)
	if _, ok := errors.AsType[*core.Error](err); ok || err == nil {
		return err
	}
	return core.Wrap(core.CodeInternal, err, "cannot %s", doing)
}

// Explain says what a user can do about an error of somebody who uses the shared handle, and who may have kept only its
// text.
func (d *DB) Explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	switch text := err.Error(); {
	case strings.Contains(text, "malformed"), strings.Contains(text, "not a database"):
		return damaged("file", err)
	case strings.Contains(text, "disk is full"), strings.Contains(text, "disk I/O error"):
		return noSpace(err, doing)
	}
	return explain(err, doing)
}

// Transient says that an error will go away by itself or with an operator's help: what failed is worth trying again.
func (d *DB) Transient(err error) bool {
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return true
		}
		return false
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgerrcode.IsConnectionException(pe.Code) || pgerrcode.IsOperatorIntervention(pe.Code) || pgerrcode.IsInsufficientResources(pe.Code) ||
			pgerrcode.IsTransactionRollback(pe.Code) || pe.Code == pgerrcode.ReadOnlySQLTransaction
	}
	if code := core.CodeOf(err); code == core.CodeUnavailable || code == core.CodeStorageFull {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	_, refused := errors.AsType[*pgconn.ConnectError](err)
	return network || refused || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn)
}

func noSpace(err error, doing string) error {
	return core.Wrap(core.CodeStorageFull, err, "cannot %s: no space is left, or the disk fails; free some space and it goes on", doing)
}

// known explains the errors about which a user can do something, and leaves the others as they are.
func known(err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return damaged("file", err)
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
			return noSpace(err, doing)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return core.Wrap(core.CodeInvalid, err, "cannot %s: the database's file or folder cannot be written; check its permissions", doing)
		}
		return err
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pe.Code == pgerrcode.DiskFull:
			return noSpace(err, doing)
		case pgerrcode.IsOperatorIntervention(pe.Code), pgerrcode.IsConnectionException(pe.Code):
			return core.Wrap(core.CodeUnavailable, err, "cannot %s: the database is going down or starting; try again", doing)
		case pgerrcode.IsDataException(pe.Code):
			return core.Wrap(core.CodeInvalid, err, "cannot %s: a text holds characters that the database does not take", doing)
		}
		return err
	}
	_, refused := errors.AsType[*pgconn.ConnectError](err)
	_, broken := errors.AsType[*net.OpError](err)
	if refused || broken {
		return core.Wrap(core.CodeUnavailable, err, "cannot %s: the database does not answer; try again", doing)
	}
	return err
}
