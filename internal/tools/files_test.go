package tools

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// readOn follows the notes of read_file from offset 0 to the end and returns all parts.
func (b bundle) readOn(path string, limit int) string {
	b.t.Helper()
	note := regexp.MustCompile(`\n\[bytes \d+ to \d+ of \d+; to read on, call read_file with offset (\d+)\]$`)
	var all strings.Builder
	for offset := 0; ; {
		args := map[string]any{"path": path, "offset": offset}
		if limit > 0 {
			args["limit"] = limit
		}
		text := b.ok("read_file", args)
		if !utf8.ValidString(text) {
			b.t.Fatalf("a part is not UTF-8: %q", text)
		}
		m := note.FindStringSubmatch(text)
		if m == nil {
			all.WriteString(text)
			return all.String()
		}
		all.WriteString(strings.TrimSuffix(text, m[0]))
		next, err := strconv.Atoi(m[1])
		if err != nil || next <= offset {
			b.t.Fatalf("offset %d is followed by %d", offset, next)
		}
		offset = next
	}
}

func TestALongFileIsReadInPartsWithoutLossOrRepetition(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{OutputMax: 600}, nil)
	var lines strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, "line %d äöü € 😀\n", i)
	}
	for name, content := range map[string]string{"lines.txt": lines.String(), "one-line.txt": strings.Repeat("ä€😀x", 500)} {
		b.attach(map[string]string{name: content})
		if got := b.readOn(name, 0); got != content {
			t.Errorf("%s: the parts make %d bytes, want %d", name, len(got), len(content))
		}
		if first := b.ok("read_file", map[string]any{"path": name}); len(first) > 600 {
			t.Errorf("%s: a part has %d bytes", name, len(first))
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		content := rapid.StringN(1, 200, -1).Filter(func(s string) bool { return !strings.Contains(s, "\x00") && !strings.Contains(s, "[bytes") }).Draw(r, "content")
		limit := rapid.IntRange(1, 30).Draw(r, "limit")
		b.ok("write_file", map[string]string{"path": "p.txt", "content": content})
		if got := b.readOn("p.txt", limit); got != content {
			r.Fatalf("got %q, want %q", got, content)
		}
	})
}

func TestReadFileSaysWhatCannotBeShown(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{
		"pic.png": "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "random.bin": strings.Repeat("\xfe\x81\x9d", 100), "latin.txt": "Gr\xfc\xdfe aus M\xfcnchen, wie immer sehr herzlich",
		"data.db": "SQLite format 3\x00" + strings.Repeat("x", 100), "short.txt": "abc",
	})
	for path, want := range map[string]string{
		"pic.png":    "[pic.png is not text: image/png, 16 bytes. It cannot be shown]",
		"random.bin": "[random.bin is not text: text/plain; charset=utf-8, 300 bytes. It cannot be shown]",
		"latin.txt":  "Gr\uFFFDe aus M\uFFFDnchen, wie immer sehr herzlich",
		"data.db":    "[data.db is not text: an SQLite database (sql_query reads it), 116 bytes. It cannot be shown]",
	} {
		if got := b.ok("read_file", map[string]string{"path": path}); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	for path, want := range map[string]string{
		"nope.txt":    `there is no file "nope.txt" in the workspace; list_files shows what there is`,
		"short.txt/x": `"short.txt/x" cannot be: a part of that path is a file, not a folder`,
	} {
		if got := b.fails("read_file", map[string]string{"path": path}); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := b.fails("read_file", `{"path":"short.txt","offset":3}`); got != "offset 3 is at or behind the end of short.txt, which has 3 bytes" {
		t.Errorf("got %s", got)
	}
	b.attach(map[string]string{"d/x": "x"})
	if got := b.fails("read_file", `{"path":"d"}`); got != `"d" is a folder; list_files shows what is in it` {
		t.Errorf("got %s", got)
	}
	if got := b.fails("write_file", `{"path":"d","content":"x"}`); got != `"d" is a folder; list_files shows what is in it` {
		t.Errorf("got %s", got)
	}
	if got := b.fails("write_file", `{"path":"short.txt/y","content":"x"}`); !strings.Contains(got, "a part of that path is a file") {
		t.Errorf("got %s", got)
	}
}

func TestALongListIsShownInParts(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{OutputMax: 500}, nil)
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("f%03d", i)] = "x"
	}
	b.attach(files)
	note := regexp.MustCompile(`\[(\d+) of 100 files; to see more, call list_files with offset (\d+)\]$`)
	seen := 0
	for offset := 0; offset < 100; {
		text := b.ok("list_files", map[string]int{"offset": offset})
		if !strings.HasPrefix(text, fmt.Sprintf("f%03d (1 byte)", offset)) || len(text) > 500 {
			t.Fatalf("from %d: %s", offset, text)
		}
		m := note.FindStringSubmatch(text)
		if m == nil {
			seen += strings.Count(text, "byte)")
			break
		}
		seen += strings.Count(text, "byte)")
		offset, _ = strconv.Atoi(m[2])
	}
	if seen != 100 {
		t.Errorf("%d files were shown", seen)
	}
	b.fails("list_files", `{"offset":100}`)
	if got := b.ok("list_files", `{"path":"f001"}`); got != "f001 (1 byte)" {
		t.Errorf("got %s", got)
	}
	if got := b.fails("list_files", `{"path":"nope"}`); !strings.HasPrefix(got, `there is no file "nope"`) {
		t.Errorf("got %s", got)
	}
}

func TestSearchIsBoundedAndExplainsItself(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{OutputMax: 1000}, nil)
	b.attach(map[string]string{
		"a.txt": "alpha\r\nbeta\n\ngamma", "d/b.txt": "beta\n" + strings.Repeat("x", 200_000) + "needle\nlast beta", "bin": "beta\x00",
		"many.txt": strings.Repeat("hit it\n", 1000), "deep.txt": strings.Repeat("a", 100_000) + "!",
	})
	if got := b.ok("search_files", `{"pattern":"^beta$"}`); got != "a.txt:2: beta\nd/b.txt:1: beta" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("search_files", `{"pattern":"beta","path":"d/b.txt"}`); got != "d/b.txt:1: beta\nd/b.txt:3: last beta" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("search_files", `{"pattern":"x+needle"}`); len(got) > 400 || !strings.HasPrefix(got, "d/b.txt:2: xxx") {
		t.Errorf("got %d bytes", len(got))
	}
	if got := b.ok("search_files", `{"pattern":"hit"}`); len(got) > 1000 || !strings.Contains(got, "matches; there are more: make the pattern narrower") {
		t.Errorf("got %s", got)
	}
	if got := b.ok("search_files", `{"pattern":"nothing here"}`); got != "[nothing found in 4 text files; 1 other files were not searched]" {
		t.Errorf("got %s", got)
	}
	if got := b.fails("search_files", `{"pattern":"f(x"}`); !strings.HasSuffix(got, `to find exactly this text, write "f\\(x"`) {
		t.Errorf("got %s", got)
	}
	// A pattern that takes exponential time in other engines.
	b.ok("search_files", `{"pattern":"(a+)+(a+)+$"}`)
	b.fails("search_files", `{"pattern":"x","path":"nope"}`)
}
