package tools

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Bounds of a query.
const (
	maxRows         = 1000
	defaultRows     = 200
	maxQueries      = 2 // at once: each may hold its tables in memory
	maxQueryTime    = 20 * time.Second
	maxCell         = 500 // characters shown of one value
	maxTempBytes    = 512 << 20
	maxValueBytes   = 1 << 20
	maxQueryColumns = 500
)

// sqlQuery reads the CSV and SQLite files of the workspace with SQL. Each call has a database of its own, in
// memory, that ends with it.
func sqlQuery(spaces *workspaces, outputMax func() int) Tool {
	type args struct {
		Query string `json:"query"`
		Limit int    `json:"limit"`
	}
	slots := make(chan struct{}, maxQueries)
	return builtin[args]{
		spec: core.ToolSpec{
			Name: "sql_query",
			Description: "Run one SELECT (SQLite dialect) over the CSV and SQLite files of the workspace. sales.csv is the table sales, shop.db is the schema shop. " +
				"Without a query it lists the tables and their columns. It cannot change anything.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"query":{"type":"string","maxLength":20000,"description":"One SELECT statement. Left out: list the tables."},` +
				`"limit":{"type":"integer","minimum":1,"maximum":1000,"description":"How many rows to show at most; 200 if left out."}},` +
				`"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
			Flow:   core.FlowPrivate,
		},
		call: func(ctx context.Context, inv core.ToolInvocation, a args) (string, error) {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-ctx.Done():
				return "", ctx.Err()
			}
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			if a.Limit == 0 {
				a.Limit = defaultRows
			}
			limited, cancel := context.WithTimeout(ctx, maxQueryTime)
			defer cancel()
			text, err := query(limited, root, strings.TrimSpace(a.Query), a.Limit, max(1, outputMax()-noteBytes))
			if err != nil && limited.Err() != nil && ctx.Err() == nil {
				return "", core.Errorf(core.CodeTimeout, "the query did not finish within %s; filter earlier, join less, or ask for a part", maxQueryTime)
			}
			return text, err
		},
	}
}

// query runs one statement, or lists the tables if there is none.
func query(ctx context.Context, root *os.Root, statement string, rows, outputMax int) (text string, err error) {
	tables, err := findTables(ctx, root)
	if err != nil {
		return "", err
	}
	if several(statement) {
		return "", core.Errorf(core.CodeInvalid, "write one statement a call; there is another one behind the first \";\"")
	}
	if len(tables) == 0 {
		return "", core.Errorf(core.CodeNotFound, "there is no CSV or SQLite file in the workspace")
	}
	db, err := openTables(ctx, root, tables, statement)
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := db.close(); err == nil && cerr != nil {
			err = core.Wrap(core.CodeInternal, cerr, "the query's database cannot be closed")
		}
	}()
	if statement == "" {
		return db.describe(ctx)
	}
	watched, stop := db.watched(ctx)
	defer stop()
	result, err := db.conn.QueryContext(watched, statement)
	if err != nil {
		return "", db.queryError(ctx, err)
	}
	defer result.Close() //nolint:errcheck // its errors come with Err
	text, err = writeRows(result, rows, outputMax)
	if err != nil {
		return "", db.queryError(ctx, err)
	}
	return text, nil
}

// writeRows writes a result as CSV, as many rows as fit.
func writeRows(result *sql.Rows, rows, outputMax int) (string, error) {
	types, err := result.ColumnTypes()
	if err != nil {
		return "", err //nolint:wrapcheck // queryError explains it
	}
	if len(types) == 0 {
		return "", core.Errorf(core.CodeInvalid, "the query has no result; write one SELECT")
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	header := make([]string, len(types))
	for i, t := range types {
		header[i] = clip(t.Name(), maxCell)
	}
	w.Write(header) //nolint:errcheck,gosec // into memory
	w.Flush()
	values := make([]any, len(types))
	targets := make([]any, len(types))
	for i := range values {
		targets[i] = &values[i]
	}
	count := 0
	for result.Next() {
		if err := result.Scan(targets...); err != nil {
			return "", err //nolint:wrapcheck // queryError explains it
		}
		line := make([]string, len(values))
		for i, v := range values {
			line[i] = cell(v, types[i].DatabaseTypeName())
		}
		before := b.Len()
		w.Write(line) //nolint:errcheck,gosec // into memory
		w.Flush()
		if count >= rows || (b.Len() > outputMax && count > 0) {
			b.Truncate(before)
			fmt.Fprintf(&b, "[the first %d rows; there are more: use WHERE, aggregate, or LIMIT with OFFSET]", count)
			return b.String(), nil
		}
		count++
	}
	if err := result.Err(); err != nil {
		return "", err //nolint:wrapcheck // queryError explains it
	}
	if count == 0 {
		b.WriteString("[no rows]")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// cell writes one value.
func cell(v any, declared string) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64)
	case []byte:
		return fmt.Sprintf("[%s of binary data]", bytesText(int64(len(v))))
	case time.Time: // the driver turns values of columns declared as dates into times
		if strings.EqualFold(declared, "DATE") {
			return v.Format(time.DateOnly)
		}
		return v.Format("2006-01-02 15:04:05.999999999Z07:00")
	case string:
		return clip(v, maxCell)
	}
	return clip(fmt.Sprint(v), maxCell)
}

// queryError explains a failed query in a way that a model can mend.
func (d *tableDB) queryError(ctx context.Context, err error) error {
	if ce, ok := errors.AsType[*core.Error](err); ok {
		return ce
	}
	if d.tooMuch.Load() {
		return core.Errorf(core.CodeLimit, "the query needs too much space for sorting and grouping; filter earlier or aggregate in smaller parts")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	msg := err.Error()
	if _, after, ok := strings.Cut(msg, "SQL logic error: "); ok {
		msg = after
	}
	msg = clip(strings.TrimSpace(msg), 300)
	switch {
	case strings.Contains(msg, "not authorized"), strings.Contains(msg, "authorization denied"), strings.Contains(msg, "prohibited"), strings.Contains(msg, "readonly"), strings.Contains(msg, "read-only"):
		return core.Wrap(core.CodeForbidden, err, "only reading is allowed: write one SELECT (or WITH … SELECT) without PRAGMA, ATTACH or changes")
	case strings.Contains(msg, "no such table"), strings.Contains(msg, "no such column"):
		overview, derr := d.describe(ctx)
		if derr != nil {
			return derr
		}
		return core.Wrap(core.CodeInvalid, err, "%s. The tables are:\n%s", msg, overview)
	case strings.Contains(msg, "too big"):
		return core.Wrap(core.CodeLimit, err, "a value of the query is larger than %s", bytesText(maxValueBytes))
	}
	return core.Wrap(core.CodeInvalid, err, "the query failed: %s", msg)
}

// several says whether more than one statement is written. It is help, not a wall: what a statement may do is
// decided when SQLite compiles it.
func several(statement string) bool {
	ended := false
	for i := 0; i < len(statement); i++ {
		switch c := statement[i]; {
		case strings.HasPrefix(statement[i:], "--"):
			i = skipTo(statement, i, "\n")
		case strings.HasPrefix(statement[i:], "/*"):
			i = skipTo(statement, i+2, "*/") + 1
		case c == ';':
			ended = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case ended:
			return true
		case c == '\'' || c == '"' || c == '`':
			i = skipTo(statement, i+1, string(c))
		case c == '[':
			i = skipTo(statement, i+1, "]")
		}
	}
	return false
}

// skipTo is where end stands at or behind i, or the last character.
func skipTo(s string, i int, end string) int {
	if i < len(s) {
		if n := strings.Index(s[i:], end); n >= 0 {
			return i + n
		}
	}
	return len(s)
}
