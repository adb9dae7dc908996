package tools

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// database makes an SQLite file in the workspace "w" by the statements.
func (b bundle) database(name string, statements ...string) {
	b.t.Helper()
	b.attach(map[string]string{".keep": ""})
	db, err := sql.Open("sqlite", filepath.Join(b.dir, "w", name))
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // test
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			b.t.Fatalf("%s: %v", s, err)
		}
	}
}

func q(statement string) map[string]string { return map[string]string{"query": statement} }

func shop(t *testing.T, c Config) bundle {
	t.Helper()
	b := setup(t, c, nil)
	b.attach(map[string]string{
		"sales.csv":          "\xef\xbb\xbfregion,amount,zip,Unit Price,region,\nnorth,10,01234,1.5,a,x\nsouth,20,99999,2,b,y\n\"east, far\",,00001,-3,,z\n",
		"data/2026 euro.csv": "k;v\n1;2,5\n2;x\n",
		"tabs.tsv":           "a\tb\n1\t2\n",
		"empty.csv":          "",
		"notes.txt":          "no table",
		"fake.db":            "no database",
	})
	b.database("my shop.db", "CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, made DATETIME, raw BLOB)",
		"INSERT INTO items VALUES(1,'pen','2026-01-02 03:04:05',x'0001'),(2,'ink',NULL,NULL)", "CREATE VIEW cheap AS SELECT name FROM items",
		"CREATE VIEW evil AS SELECT load_extension('x') AS a", "CREATE TABLE sales(only_in_shop)")
	return b
}

func TestTablesOfCSVAndSQLiteFilesAreQueriedTogether(t *testing.T) {
	t.Parallel()
	b := shop(t, Config{})
	for statement, want := range map[string]string{
		"":                    "data_2026_euro",
		"SELECT * FROM sales": "region,amount,zip,Unit Price,region_2,column_6\nnorth,10,01234,1.5,a,x\nsouth,20,99999,2,b,y\n\"east, far\",NULL,00001,-3,NULL,z",
		"select sum(amount) AS s, count(*) c, max(\"Unit Price\") m from sales;":                            "s,c,m\n30,3,2",
		"SELECT typeof(amount), typeof(zip), typeof(\"Unit Price\") FROM sales LIMIT 1":                     "typeof(amount),typeof(zip),\"typeof(\"\"Unit Price\"\")\"\ninteger,text,real",
		"SELECT k, v FROM t_2026_euro ORDER BY k":                                                           "k,v\n1,\"2,5\"\n2,x",
		"SELECT a+b AS s FROM tabs":                                                                         "s\n3",
		"SELECT * FROM items":                                                                               "id,name,made,raw\n1,pen,2026-01-02 03:04:05Z,[2 bytes of binary data]\n2,ink,NULL,NULL",
		"SELECT s.region, i.name FROM main.sales s JOIN my_shop.items i ON i.id * 10 = s.amount ORDER BY 1": "region,name\nnorth,pen\nsouth,ink",
		"SELECT * FROM cheap":                                                                               "name\npen\nink",
		"SELECT * FROM sales WHERE region = 'nowhere'":                                                      "region,amount,zip,Unit Price,region_2,column_6\n[no rows]",
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 3) SELECT x FROM c":         "x\n1\n2\n3",
		"VALUES (1, 'a;b')":                                                                                 "column1,column2\n1,a;b",
		"SELECT 1/3.0 AS x, 0.1+0.2 AS y":                                                                   "x,y\n0.333333333333333,0.3",
		"/* ; */ SELECT ';' AS x -- ; DROP":                                                                 "x\n;",
		"EXPLAIN QUERY PLAN SELECT * FROM tabs":                                                             "id,parent,notused,detail",
		"SELECT name FROM my_shop.sqlite_master WHERE name = 'items'":                                       "name\nitems",
		"SELECT value FROM json_each('[1,2]')":                                                              "value\n1\n2",
	} {
		got := b.ok("sql_query", q(statement))
		if statement == "" {
			if !strings.Contains(got, "sales(region TEXT, amount INTEGER, zip TEXT, \"Unit Price\" REAL, region_2 TEXT, column_6 TEXT)") ||
				!strings.Contains(got, "my_shop.items(id INTEGER, name TEXT, made DATETIME, raw BLOB)") || !strings.Contains(got, "t_2026_euro(k INTEGER, v TEXT)") ||
				!strings.Contains(got, "[empty.csv: the file is empty]") || strings.Contains(got, "fake") {
				t.Errorf("the list of tables is\n%s", got)
			}
			continue
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", statement, got, want)
		}
	}
}

func TestAQueryCannotDoAnythingButRead(t *testing.T) {
	t.Parallel()
	b := shop(t, Config{})
	outside := filepath.Join(t.TempDir(), "outside.db")
	file := filepath.Join(b.dir, "w", "my shop.db")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DELETE FROM items", "INSERT INTO sales VALUES (1)", "UPDATE items SET name = 'x'", "DROP TABLE items", "CREATE TABLE x(a)", "CREATE TEMP TABLE x(a)", "CREATE VIEW x AS SELECT 1",
		"CREATE TRIGGER x AFTER INSERT ON items BEGIN SELECT 1; END", "ALTER TABLE items ADD COLUMN x", "REINDEX", "ANALYZE", "VACUUM", "BEGIN", "COMMIT", "SAVEPOINT a", "REPLACE INTO items VALUES (1,2,3,4)",
		"WITH x AS (SELECT 1) DELETE FROM items", "WITH x AS (SELECT 1) INSERT INTO items SELECT 9,9,9,9", "INSERT INTO items VALUES(7,7,7,7) RETURNING *",
		"ATTACH '" + outside + "' AS o", "ATTACH 'file:" + outside + "?mode=rwc' AS o", "ATTACH ':memory:' AS o", "ATTACH '/etc/passwd' AS p", "DETACH my_shop", "VACUUM INTO '" + outside + "'", "VACUUM my_shop INTO '" + outside + "'",
		"PRAGMA query_only = 0", "PRAGMA query_only", "PRAGMA writable_schema = 1", "PRAGMA trusted_schema = 1", "PRAGMA journal_mode = DELETE", "PRAGMA temp_store_directory = '/tmp'", "PRAGMA database_list", "PRAGMA hard_heap_limit = 1", "PRAGMA mmap_size = 1", "PRAGMA user_version = 7",
		"SELECT * FROM pragma_database_list", "SELECT * FROM pragma_query_only", "SELECT * FROM pragma_compile_options", "SELECT * FROM pragma_function_list",
		"SELECT load_extension('/tmp/x.so')", "SELECT LOAD_EXTENSION('x', 'y')", "SELECT * FROM evil", "SELECT fts3_tokenizer('simple')", "SELECT readfile('/etc/passwd')", "SELECT writefile('" + outside + "', 'x')", "SELECT edit('x')",
		"CREATE VIRTUAL TABLE x USING fts5(a)", "CREATE VIRTUAL TABLE temp.x USING dbstat", "SELECT * FROM sqlite_dbpage", "SELECT * FROM sqlite_dbpage('my_shop')", "SELECT json_group_array(x) FROM (SELECT 1 AS x)",
		"SELECT 1; DELETE FROM items", "SELECT 1; SELECT 2", "SELECT 1;;-- x\n DROP TABLE items", "SELECT '/*'; DELETE FROM items -- */", "SELECT 1\x00; DELETE FROM items", "SELECT \"a;b\"; ATTACH 'x' AS y", "SELECT [;]; DELETE FROM items",
		";", "-- nothing", "/* open", "SELECT zeroblob(2000000)", "SELECT printf('%.*c', 2000000, 'x')", "SELECT 'a' LIKE '" + strings.Repeat("%a", 600) + "'",
		"SELECT " + strings.Repeat("1,", 600) + "1", "SELECT " + strings.Repeat("-(1+", 500) + "1" + strings.Repeat(")", 500), "SELECT 1" + strings.Repeat(" UNION SELECT 1", 200), "SELECT * FROM 'file:/etc/passwd'",
	} {
		got := b.fails("sql_query", q(statement))
		for _, leak := range []string{"root:", b.dir, "goroutine"} {
			if strings.Contains(got, leak) {
				t.Errorf("%s: the answer tells %q: %s", statement, leak, got)
			}
		}
		if _, err := os.Stat(outside); err == nil {
			t.Fatalf("%s wrote a file", statement)
		}
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("the database file was changed: %v", err)
	}
	if got := b.ok("list_files", ""); strings.Contains(got, "-journal") || strings.Contains(got, "-wal") {
		t.Errorf("a query left files: %s", got)
	}
	if b.log.Len() > 0 {
		t.Errorf("an attack looked like a defect: %s", clip(b.log.String(), 500))
	}
}

func TestAMistakeInAQueryIsExplained(t *testing.T) {
	t.Parallel()
	b := shop(t, Config{})
	for statement, want := range map[string]string{
		"SELECT * FROM sale":        "no such table: sale (1). The tables are:\n",
		"SELECT amont FROM sales":   "no such column: amont (1). The tables are:\n",
		"SELEC 1":                   "the query failed: near \"SELEC\": syntax error",
		"DELETE FROM sales":         "only reading is allowed: write one SELECT",
		"SELECT 1; SELECT 2":        `write one statement a call; there is another one behind the first ";"`,
		"SELECT nofunction(1)":      "the query failed: no such function: nofunction",
		"SELECT zeroblob(2000000)":  "a value of the query is larger than 1 MB",
		"SELECT * FROM my_shop.nix": "no such table: my_shop.nix",
	} {
		if got := b.fails("sql_query", q(statement)); !strings.HasPrefix(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", statement, got, want)
		} else if strings.HasPrefix(want, "no such") && !strings.Contains(got, "sales(region") {
			t.Errorf("%s: the tables are not named: %s", statement, got)
		}
	}
	none := setup(t, Config{}, nil)
	if got := none.fails("sql_query", q("SELECT 1")); got != "there is no CSV or SQLite file in the workspace" {
		t.Errorf("got %s", got)
	}
}

func TestABrokenFileIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{"bad.db": "SQLite format 3\x00" + strings.Repeat("\xff", 5000)})
	if got := b.fails("sql_query", q("SELECT * FROM bad.x")); !strings.Contains(got, "bad") || strings.Contains(got, b.dir) {
		t.Errorf("got %s", got)
	}
	b = setup(t, Config{}, nil)
	b.attach(map[string]string{"bin.csv": "a,b\x00\x00", "ragged.csv": "a,b\n1\n1,2,3\n"})
	if got := b.fails("sql_query", q("SELECT * FROM bin")); got != "bin.csv is not a CSV file: it holds application/octet-stream" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("sql_query", q("SELECT * FROM ragged")); got != "a,b\n1,NULL\n1,2" {
		t.Errorf("got %s", got)
	}
}

func TestALinkedDatabaseIsNotRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs links")
	}
	b := setup(t, Config{}, nil)
	b.database("own.db", "CREATE TABLE t(a)")
	other := setup(t, Config{}, nil)
	other.database("secret.db", "CREATE TABLE hidden(a)", "INSERT INTO hidden VALUES ('secret')")
	for _, name := range []string{"link.db", "link.csv"} {
		if err := os.Symlink(filepath.Join(other.dir, "w", "secret.db"), filepath.Join(b.dir, "w", name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.fails("sql_query", q("SELECT * FROM hidden")); strings.Contains(got, "secret") {
		t.Errorf("got %s", got)
	}
}

func TestAQueryIsBoundedInRowsBytesAndTime(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{OutputMax: 2000, Timeout: 400 * time.Millisecond}, nil)
	var rows strings.Builder
	rows.WriteString("id,text\n")
	for i := range 2000 {
		fmt.Fprintf(&rows, "%d,some text here\n", i)
	}
	b.attach(map[string]string{"t.csv": rows.String()})
	got := b.ok("sql_query", q("SELECT * FROM t"))
	if len(got) > 2000 || !strings.Contains(got, "rows; there are more: use WHERE, aggregate, or LIMIT with OFFSET]") {
		t.Errorf("%d bytes: %s", len(got), got[max(0, len(got)-100):])
	}
	if got = b.ok("sql_query", `{"query":"SELECT id FROM t","limit":3}`); got != "id\n0\n1\n2\n[the first 3 rows; there are more: use WHERE, aggregate, or LIMIT with OFFSET]" {
		t.Errorf("got %s", got)
	}
	if got = b.ok("sql_query", `{"query":"SELECT id FROM t LIMIT 3","limit":3}`); got != "id\n0\n1\n2" {
		t.Errorf("got %s", got)
	}
	b.fails("sql_query", `{"query":"SELECT 1","limit":1001}`)
	start := time.Now()
	got = b.fails("sql_query", q("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT sum(x) FROM c"))
	if !strings.HasPrefix(got, "sql_query did not finish within 400ms") || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %s", time.Since(start), got)
	}
	if got = b.ok("sql_query", q("SELECT count(*) AS n FROM t")); got != "n\n2000" {
		t.Errorf("after the query that was stopped: %s", got)
	}
}

func TestAQueryThatFillsTheDiskIsStopped(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("sizes of temporary files are known on Linux only; it writes half a gigabyte")
	}
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{"t.csv": "a\n1\n"})
	got := b.fails("sql_query", q("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM (SELECT DISTINCT x||hex(zeroblob(400000)) FROM c)"))
	if !strings.HasPrefix(got, "the query needs too much space") && !strings.Contains(got, "did not finish within") {
		t.Errorf("got %s", got)
	}
	if n := deletedFileBytes(); n > maxTempBytes {
		t.Errorf("%d bytes of temporary files are left", n)
	}
}

func TestQueriesRunBesideEachOther(t *testing.T) {
	t.Parallel()
	b := shop(t, Config{})
	done := make(chan core.ToolResult)
	for range 8 {
		go func() {
			done <- b.Call(t.Context(), core.ToolInvocation{Name: "sql_query", Workspace: "w", Arguments: json.RawMessage(`{"query":"SELECT count(*) AS n FROM items"}`)})
		}()
	}
	for range 8 {
		if res := <-done; res.IsError || res.Text != "n\n2" {
			t.Errorf("got %+v", res)
		}
	}
}
