package main

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// streams are the three standard streams and what is known about them.
type streams struct {
	in          io.Reader
	out, err    io.Writer
	inTerminal  bool
	outTerminal bool
	errTerminal bool
}

// newStreams looks whether each stream is a terminal.
func newStreams(in io.Reader, out, err io.Writer) streams {
	return streams{
		in: in, out: out, err: err,
		inTerminal: isTerminal(in), outTerminal: isTerminal(out), errTerminal: isTerminal(err),
	}
}

// isTerminal says whether v is an open terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// width is the number of columns of the terminal behind w, 80 where there is none.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

// style colours text; the zero value leaves it plain.
type style struct{ on bool }

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) red(text string) string    { return s.paint("31", text) }
func (s style) green(text string) string  { return s.paint("32", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }
func (s style) blue(text string) string   { return s.paint("34", text) }
func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }

// wantColour follows the no-color.org convention and the usual meaning of TERM.
func wantColour(env environment, noColor, terminal bool) bool {
	return terminal && !noColor && env.get("NO_COLOR") == "" && env.get("TERM") != "dumb"
}

// clean makes text from models, tools and servers safe for a terminal: control characters, which could move the
// cursor, change the title or answer for the user, are dropped; line ends and tabs stay.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		// Cc are the controls, Cf holds the invisible ones that reorder text; joiners that scripts need stay.
		if unicode.IsControl(r) || (unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c') {
			return -1
		}
		return r
	}, text)
}

// oneLine is clean text on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(clean(text)), " ") }

// shorten cuts text to at most n characters, with an ellipsis where something is missing.
func shorten(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	if n < 1 {
		return ""
	}
	return string(runes[:n-1]) + "…"
}

// environment is what the process was started with, as KEY=value.
type environment []string

// get returns the last value of the variable, "" where it is not set.
func (e environment) get(name string) string {
	value := ""
	for _, entry := range e {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}
