package tools

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	"modernc.org/sqlite/vfs"

	"github.com/sutazai/sutazai/core"
)

// tableDB is the database of one query.
type tableDB struct {
	db      *sql.DB
	conn    *sql.Conn
	vfs     *vfs.FS // nil without SQLite files
	root    *os.Root
	tables  []dataFile
	tooMuch atomic.Bool // the query was stopped because of its temporary files
}

// openTables makes a database in memory with the tables that the statement names (all, without a statement),
// then locks it: from there on only reading is compiled at all.
func openTables(ctx context.Context, root *os.Root, tables []dataFile, statement string) (d *tableDB, err error) {
	d = &tableDB{root: root, tables: tables}
	defer func() {
		if err != nil {
			_ = d.close() // the first error is the one to tell
		}
	}()
	// trusted_schema=0: views and triggers of an attached file must not call functions with side effects.
	d.db, err = sql.Open("sqlite", "file::memory:?_defensive=1&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)")
	if err != nil {
		return d, internalSQL(err)
	}
	d.db.SetMaxOpenConns(1)
	if d.conn, err = d.db.Conn(ctx); err != nil {
		return d, internalSQL(err)
	}
	if err = d.attach(ctx); err != nil {
		return d, err
	}
	lower := strings.ToLower(statement)
	for i := range d.tables {
		t := &d.tables[i]
		if t.schema || (statement != "" && !strings.Contains(lower, strings.ToLower(t.name))) {
			continue
		}
		if err = d.load(ctx, t); err != nil {
			return d, err
		}
	}
	return d, d.lock(ctx)
}

func internalSQL(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return core.Wrap(core.CodeInternal, err, "the query's database cannot be opened")
}

// close ends the database; only then may the file system go.
func (d *tableDB) close() error {
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.vfs != nil {
		errs = append(errs, d.vfs.Close())
	}
	return errors.Join(errs...)
}

// regularFS is what SQLite sees of a workspace: regular files through os.Root, and nothing else of the machine.
type regularFS struct{ root *os.Root }

func (f regularFS) Open(name string) (fs.File, error) {
	// An SQLite file's companions (-journal, -wal) are not its content; without them it opens as it stands.
	if strings.HasSuffix(name, "-journal") || strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	file, err := openRegular(f.root, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return file, nil
}

// attach adds the SQLite files as schemas. They are opened through the workspace, read-only and immutable.
func (d *tableDB) attach(ctx context.Context) error {
	for _, t := range d.tables {
		if !t.schema {
			continue
		}
		if d.vfs == nil {
			name, files, err := vfs.New(regularFS{d.root})
			if err != nil {
				return internalSQL(err)
			}
			d.vfs = files
			for i := range d.tables {
				d.tables[i].vfs = name
			}
		}
	}
	for _, t := range d.tables {
		if !t.schema {
			continue
		}
		// The path is escaped and the name holds letters, digits and _ only.
		uri := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: t.file}).EscapedPath(), RawQuery: "mode=ro&immutable=1&vfs=" + t.vfs}).String()
		if _, err := d.conn.ExecContext(ctx, "ATTACH $1 AS "+quoteName(t.name), uri); err != nil {
			return core.Wrap(core.CodeInvalid, err, "%s is not a readable SQLite database", t.file)
		}
	}
	return nil
}

// quoteName writes an identifier.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// lock allows reading only, for every statement that is compiled from here on, whatever its text looks like.
func (d *tableDB) lock(ctx context.Context) error {
	if _, err := d.conn.ExecContext(ctx, "PRAGMA query_only=1"); err != nil {
		return internalSQL(err)
	}
	for id, limit := range map[int]int{
		sqlite3.SQLITE_LIMIT_ATTACHED:            0,
		sqlite3.SQLITE_LIMIT_LENGTH:              maxValueBytes,
		sqlite3.SQLITE_LIMIT_SQL_LENGTH:          64 << 10,
		sqlite3.SQLITE_LIMIT_COLUMN:              maxQueryColumns,
		sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          200,
		sqlite3.SQLITE_LIMIT_COMPOUND_SELECT:     100,
		sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
	} {
		if _, err := sqlite.Limit(d.conn, id, limit); err != nil {
			return internalSQL(err)
		}
	}
	err := d.conn.Raw(func(driver any) error {
		r, ok := driver.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver has no authorizer")
		}
		return r.RegisterAuthorizer(authorize)
	})
	if err != nil {
		return internalSQL(err)
	}
	return nil
}

// authorize says what a statement may do.
func authorize(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRecursive:
		return sqlite.AuthorizerOK
	case sqlite.AuthRead:
		if strings.HasPrefix(strings.ToLower(arg1), "sqlite_dbpage") {
			return sqlite.AuthorizerDeny
		}
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		switch strings.ToLower(arg2) {
		case "load_extension", "fts3_tokenizer", "readfile", "writefile", "edit":
			return sqlite.AuthorizerDeny
		case "json_group_array", "json_group_object", "jsonb_group_array", "jsonb_group_object":
			// They collect in memory without SQLite's limit of a value's length.
			return sqlite.AuthorizerDeny
		}
		return sqlite.AuthorizerOK
	case sqlite.AuthPragma:
		switch strings.ToLower(arg1) {
		case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list":
			return sqlite.AuthorizerOK
		}
	}
	return sqlite.AuthorizerDeny
}

// describe lists the tables with their columns. A view that cannot be resolved is named without columns.
func (d *tableDB) describe(ctx context.Context) (string, error) {
	rows, err := d.conn.QueryContext(ctx, `SELECT schema, name FROM pragma_table_list
		WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY schema, name LIMIT 500`)
	if err != nil {
		return "", internalSQL(err)
	}
	defer rows.Close() //nolint:errcheck // its errors come with Err
	var names [][2]string
	for rows.Next() {
		var schema, name string
		if err := rows.Scan(&schema, &name); err != nil {
			return "", internalSQL(err)
		}
		names = append(names, [2]string{schema, name})
	}
	if err := rows.Err(); err != nil {
		return "", internalSQL(err)
	}
	var lines []string
	for _, n := range names {
		line := identifier(n[1])
		if n[0] != "main" {
			line = identifier(n[0]) + "." + line
		}
		if columns := d.columns(ctx, n[0], n[1]); len(columns) > 0 {
			line += "(" + strings.Join(columns, ", ") + ")"
		}
		lines = append(lines, line)
	}
	for _, t := range d.tables {
		if !t.schema && !t.loaded {
			columns, err := d.header(ctx, t)
			if err != nil {
				return "", err
			}
			lines = append(lines, identifier(t.name)+"("+strings.Join(columns, ", ")+")")
		}
		if t.note != "" {
			lines = append(lines, fmt.Sprintf("[%s: %s]", t.file, t.note))
		}
	}
	return strings.Join(lines, "\n"), ctx.Err()
}

// columns are a table's columns with their types; none if the schema of an attached file is broken there.
func (d *tableDB) columns(ctx context.Context, schema, name string) []string {
	rows, err := d.conn.QueryContext(ctx, "SELECT name, type FROM pragma_table_info($1, $2) ORDER BY cid", name, schema)
	if err != nil {
		return nil
	}
	defer rows.Close() //nolint:errcheck // a broken list is left out
	var columns []string
	for rows.Next() {
		var column, kind string
		if rows.Scan(&column, &kind) != nil {
			return nil
		}
		columns = append(columns, strings.TrimSpace(identifier(column)+" "+kind))
	}
	if rows.Err() != nil {
		return nil
	}
	return columns
}

// identifier writes a name as a query must write it.
func identifier(name string) string {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return quoteName(name)
		}
	}
	return name
}

// watched ends the query when it has written too much into temporary files. The caller calls stop when the
// query is over; it returns after the watcher has ended.
func (d *tableDB) watched(ctx context.Context) (limited context.Context, stop func()) {
	limited, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		before := deletedFileBytes()
		for {
			select {
			case <-limited.Done():
				return
			case <-tick.C:
				if deletedFileBytes()-before > maxTempBytes {
					d.tooMuch.Store(true)
					cancel()
					return
				}
			}
		}
	}()
	return limited, func() { cancel(); <-ended }
}

// deletedFileBytes is the size of the files that the process holds open although they are deleted. SQLite's
// temporary files are of that kind, and their sizes can only be asked for through the open descriptors. Where
// the system does not show these (elsewhere than on Linux), it is 0, and time alone bounds a query.
func deletedFileBytes() int64 {
	const open = "/proc/self/fd"
	entries, err := os.ReadDir(open)
	if err != nil {
		return 0
	}
	var sum int64
	for _, e := range entries {
		target, err := os.Readlink(path.Join(open, e.Name()))
		if err != nil || !strings.HasSuffix(target, " (deleted)") {
			continue
		}
		if info, err := os.Stat(path.Join(open, e.Name())); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}
