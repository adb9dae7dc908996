package database

import (
	"errors"
	"net"

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

// known explains the errors about which a user can do something, and leaves the others as they are.
func known(err error, doing string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	full := func() error {
		return core.Wrap(core.CodeStorageFull, err, "cannot %s: no space is left, or the disk fails; free some space and it goes on", doing)
	}
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return damaged("file", err)
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
			return full()
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return core.Wrap(core.CodeInvalid, err, "cannot %s: the database's file or folder cannot be written; check its permissions", doing)
		}
		return err
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pe.Code == pgerrcode.DiskFull:
			return full()
		case pgerrcode.IsOperatorIntervention(pe.Code), pgerrcode.IsConnectionException(pe.Code):
			return core.Wrap(core.CodeUnavailable, err, "cannot %s: the database is going down or starting; try again", doing)
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
