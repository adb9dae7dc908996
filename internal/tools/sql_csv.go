package tools

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"unicode"

	"github.com/sutazai/sutazai/core"
)

// Bounds of the files that a query reads.
const (
	maxTables       = 200
	maxSchemas      = 10 // SQLite's own limit of attached databases
	maxCSVBytes     = 64 << 20
	maxTableColumns = 500
)

// dataFile is a CSV file, or an SQLite file as a schema.
type dataFile struct {
	name   string
	file   string
	size   int64
	schema bool
	vfs    string // how SQLite calls the workspace
	loaded bool
	note   string // what a person should know about it
}

// findTables looks for the files that SQL can read and gives them names: the file's, with "_" for every
// character that an identifier cannot hold, made unique by the folder's name or a number.
func findTables(ctx context.Context, root *os.Root) ([]dataFile, error) {
	var tables []dataFile
	schemas := 0
	taken := map[string]bool{"main": true, "temp": true}
	err := walk(ctx, root, ".", func(e entry) error {
		t := dataFile{file: e.path, size: e.size}
		switch strings.ToLower(path.Ext(e.path)) {
		case ".csv", ".tsv":
		case ".db", ".sqlite", ".sqlite3":
			if ok, err := isSQLite(root, e.path); err != nil || !ok || schemas == maxSchemas {
				return err
			}
			t.schema = true
			schemas++
		default:
			return nil
		}
		t.name = tableName(e.path, taken)
		taken[strings.ToLower(t.name)] = true
		tables = append(tables, t)
		if len(tables) == maxTables {
			return fs.SkipAll
		}
		return nil
	})
	return tables, err
}

func isSQLite(root *os.Root, name string) (bool, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // read only
	start := make([]byte, 16)
	if _, err := io.ReadFull(f, start); err != nil {
		return false, nil //nolint:nilerr // too short to be one
	}
	return string(start) == "SQLite format 3\x00", nil
}

// tableName makes a unique identifier of a file's path.
func tableName(file string, taken map[string]bool) string {
	word := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return '_'
		}, s)
		if s == "" || unicode.IsDigit([]rune(s)[0]) {
			s = "t_" + s
		}
		return s
	}
	free := func(name string) bool {
		return !taken[strings.ToLower(name)] && !strings.HasPrefix(strings.ToLower(name), "sqlite_")
	}
	name := word(strings.TrimSuffix(path.Base(file), path.Ext(file)))
	if free(name) {
		return name
	}
	if name = word(strings.TrimSuffix(file, path.Ext(file))); free(name) {
		return name
	}
	for i := 2; ; i++ {
		if numbered := fmt.Sprintf("t_%s_%d", name, i); free(numbered) {
			return numbered
		}
	}
}

// load reads a CSV file into a table. Types are found by reading the whole file once before: a column is INTEGER
// or REAL only if every value is, and numbers with leading zeros (postal codes) stay text. Empty is NULL.
func (d *tableDB) load(ctx context.Context, t *dataFile) error {
	if t.size > maxCSVBytes {
		return core.Errorf(core.CodeTooLarge, "%s has %s; sql_query reads CSV files up to %s", t.file, bytesText(t.size), bytesText(maxCSVBytes))
	}
	t.loaded = true
	var columns []column
	err := readCSV(ctx, d.root, t.file, func(line int, record []string) error {
		if line == 0 {
			columns = headerOf(record)
			return nil
		}
		for i := range min(len(record), len(columns)) {
			columns[i].see(record[i])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		t.note = "the file is empty"
		return nil
	}
	if len(columns) > maxTableColumns {
		return core.Errorf(core.CodeTooLarge, "%s has %d columns; sql_query reads up to %d", t.file, len(columns), maxTableColumns)
	}
	return d.insert(ctx, t, columns)
}

// header reads the names of a file's columns.
func (d *tableDB) header(ctx context.Context, t dataFile) ([]string, error) {
	var names []string
	err := readCSV(ctx, d.root, t.file, func(_ int, record []string) error {
		for _, c := range headerOf(record) {
			names = append(names, identifier(c.name))
		}
		return io.EOF
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return names, nil
}

// insert makes the table and fills it.
func (d *tableDB) insert(ctx context.Context, t *dataFile, columns []column) error {
	declared := make([]string, len(columns))
	marks := make([]string, len(columns))
	for i, c := range columns {
		declared[i] = quoteName(c.name) + " " + c.kind()
		marks[i] = "?"
	}
	tx, err := d.conn.BeginTx(ctx, nil)
	if err != nil {
		return internalSQL(err)
	}
	defer tx.Rollback() //nolint:errcheck // no effect after Commit
	if _, err := tx.ExecContext(ctx, "CREATE TABLE "+quoteName(t.name)+" ("+strings.Join(declared, ", ")+")"); err != nil {
		return core.Wrap(core.CodeInvalid, err, "%s cannot be read as a table", t.file)
	}
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO "+quoteName(t.name)+" VALUES ("+strings.Join(marks, ",")+")") //nolint:sqlclosecheck // closed below, the linter does not see it past the nolint there
	if err != nil {
		return internalSQL(err)
	}
	defer stmt.Close() //nolint:errcheck // ends with the transaction
	values := make([]any, len(columns))
	ragged := 0
	err = readCSV(ctx, d.root, t.file, func(line int, record []string) error {
		if line == 0 {
			return nil
		}
		if len(record) > len(columns) {
			ragged++
		}
		for i := range values {
			values[i] = nil
			if i < len(record) {
				values[i] = columns[i].value(record[i])
			}
		}
		_, err := stmt.ExecContext(ctx, values...)
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		if core.CodeOf(err) != core.CodeInternal {
			return err
		}
		return internalSQL(err)
	}
	if ragged > 0 {
		t.note = fmt.Sprintf("%d lines have more values than the header; the rest of them was left out", ragged)
	}
	if err := tx.Commit(); err != nil {
		return internalSQL(err)
	}
	return nil
}

// readCSV calls fn for each record; line 0 is the header.
func readCSV(ctx context.Context, root *os.Root, name string, fn func(line int, record []string) error) error {
	f, err := openRegular(root, name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	buffered := bufio.NewReaderSize(io.LimitReader(f, maxCSVBytes), 64<<10)
	start, err := buffered.Peek(16 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return fileError(err, name)
	}
	if kind := binaryKind(start, true); kind != "" {
		return core.Errorf(core.CodeInvalid, "%s is not a CSV file: it holds %s", name, kind)
	}
	if bytes.HasPrefix(start, []byte("\xef\xbb\xbf")) {
		buffered.Discard(3) //nolint:errcheck,gosec // they are in the buffer
	}
	r := csv.NewReader(buffered)
	r.Comma = delimiter(start)
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.ReuseRecord = true
	for line := 0; ; line++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return core.Wrap(core.CodeInvalid, err, "%s cannot be read as CSV: %s", name, err)
		}
		if line%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fn(line, record); err != nil {
			return err
		}
	}
}

// delimiter is the most frequent separator of the first line, outside of quotes.
func delimiter(start []byte) rune {
	counts := map[rune]int{}
	quoted := false
	for _, r := range string(start) {
		if r == '"' {
			quoted = !quoted
		}
		if r == '\n' && !quoted {
			break
		}
		if !quoted {
			counts[r]++
		}
	}
	best := ','
	for _, r := range []rune{';', '\t', '|'} {
		if counts[r] > counts[best] {
			best = r
		}
	}
	return best
}

// column is a column of a CSV file and what its values are.
type column struct {
	name    string
	values  bool // there is one that is not empty
	text    bool // one is no number
	decimal bool // one is no whole number
}

// headerOf makes unique column names of the first record.
func headerOf(record []string) []column {
	columns := make([]column, len(record))
	taken := map[string]bool{}
	for i, name := range record {
		name = strings.TrimSpace(clean(name))
		if name == "" {
			name = fmt.Sprintf("column_%d", i+1)
		}
		unique := name
		for n := 2; taken[strings.ToLower(unique)]; n++ {
			unique = fmt.Sprintf("%s_%d", name, n)
		}
		taken[strings.ToLower(unique)] = true
		columns[i].name = unique
	}
	return columns
}

func (c *column) see(value string) {
	value = strings.TrimSpace(value)
	if value == "" || c.text {
		return
	}
	c.values = true
	digits := strings.TrimPrefix(value, "-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		c.text = true
		return
	}
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return
	}
	// "inf", "nan" and hexadecimal are words here, not numbers.
	if _, err := strconv.ParseFloat(value, 64); err != nil || strings.ContainsAny(value, "xXnNiI_") {
		c.text = true
		return
	}
	c.decimal = true
}

func (c *column) kind() string {
	switch {
	case !c.values || c.text:
		return "TEXT"
	case c.decimal:
		return "REAL"
	}
	return "INTEGER"
}

// value converts a text to the column's type.
func (c *column) value(text string) any {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return nil
	}
	switch c.kind() {
	case "INTEGER":
		if v, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return v
		}
	case "REAL":
		if v, err := strconv.ParseFloat(trimmed, 64); err == nil {
			return v
		}
	}
	return clean(text)
}
