package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// widest is how wide a column is made at most, in characters: a longer cell moves only its own line.
const widest = 60

// table prints rows in aligned columns. The last column is not padded, and is cut to fit on a terminal.
type table struct {
	head []string
	rows [][]string
	// right marks columns that hold numbers.
	right map[int]bool
}

func newTable(head ...string) *table { return &table{head: head, right: map[int]bool{}} }

// alignRight sets the columns that hold numbers.
func (t *table) alignRight(columns ...int) *table {
	for _, c := range columns {
		t.right[c] = true
	}
	return t
}

// add appends a row; every cell is put on one clean line, and an empty one reads "–".
func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		if row[i] = oneLine(c); row[i] == "" {
			row[i] = "–"
		}
	}
	t.rows = append(t.rows, row)
}

// print writes the table; limit is the width of the terminal, 0 for no limit.
func (t *table) print(w io.Writer, st style, limit int) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], min(utf8.RuneCountInString(c), widest))
		}
	}
	line := func(row []string, paint func(string) string) {
		var b strings.Builder
		used := 0
		for i, c := range row {
			if i > 0 {
				b.WriteString("  ")
				used += 2
			}
			last := i == len(row)-1
			if last && limit > 0 && !t.right[i] {
				c = shorten(c, max(limit-used, 12))
			}
			pad := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(c), 0))
			switch {
			case t.right[i]:
				b.WriteString(pad + c)
			case last:
				b.WriteString(c)
			default:
				b.WriteString(c + pad)
			}
			used += max(widths[i], utf8.RuneCountInString(c))
		}
		fmt.Fprintln(w, paint(b.String()))
	}
	line(t.head, st.bold)
	for _, row := range t.rows {
		line(row, func(s string) string { return s })
	}
}

// printJSON writes v as one indented JSON document.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// duration is a span for people: "3 ms", "4.1 s", "2 m 03 s", "1 h 02 m".
func duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d m %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d m", int(d.Hours()), int(d.Minutes())%60)
}

// span is the time between two moments of which either may be unknown.
func span(from, to *time.Time, now time.Time) string {
	if from == nil {
		return ""
	}
	if to == nil {
		to = &now
	}
	return duration(to.Sub(*from))
}

// moment is a point in time for people, in their zone.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// momentOf is moment for a time that may be missing.
func momentOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return moment(*t)
}

// dollars is a cost with four decimals.
func dollars(u core.Usage) string { return fmt.Sprintf("$%.4f", u.CostUSD()) }

// count is a number with its noun, "1 step", "2 steps".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortID is enough of an id to find it again: every command takes the beginning of an id. The first 13 characters
// of a UUIDv7 are its millisecond.
func shortID(id string) string {
	if len(id) > 13 {
		return id[:13]
	}
	return id
}

// number is an integer as text.
func number(n int64) string { return strconv.FormatInt(n, 10) }
