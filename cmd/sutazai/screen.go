package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// screen shows a run as it goes: the text of the answer on standard output, everything about the work on standard
// error. It keeps the two apart on a terminal that shows both. One goroutine uses it.
type screen struct {
	out, err io.Writer
	st       style
	live     bool // standard error is a terminal: show what goes on now
	stream   bool // standard output is a terminal: show text as it comes

	midLine bool // the answer's last line is not ended
	doing   string
	since   time.Time
	frame   int
	shown   bool // the line of what goes on now is on the screen
}

// spinnerFrames turn while something is going on.
const spinnerFrames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// text shows a piece of the answer, indented under the run.
func (s *screen) text(piece string) {
	if piece == "" {
		return
	}
	s.clear()
	piece = clean(piece)
	var b strings.Builder
	for line := range strings.Lines(piece) {
		if !s.midLine && line != "\n" {
			b.WriteString("  ")
		}
		b.WriteString(line)
		s.midLine = !strings.HasSuffix(line, "\n")
	}
	_, _ = io.WriteString(s.out, b.String())
}

// endText ends the answer's last line.
func (s *screen) endText() {
	if s.midLine {
		_, _ = io.WriteString(s.out, "\n")
		s.midLine = false
	}
}

// line prints one line about the work.
func (s *screen) line(format string, args ...any) {
	s.clear()
	s.endText()
	fmt.Fprintf(s.err, format+"\n", args...)
}

// ask prints a question and leaves the cursor behind it.
func (s *screen) ask(text string) {
	s.clear()
	s.endText()
	_, _ = io.WriteString(s.err, text)
}

// begin says what goes on from now; "" ends it.
func (s *screen) begin(doing string, now time.Time) {
	s.clear()
	s.doing, s.since = doing, now
}

// tick turns the spinner. It stays away from an unfinished line of the answer.
func (s *screen) tick(now time.Time) {
	if !s.live || s.doing == "" || s.midLine {
		return
	}
	frames := []rune(spinnerFrames)
	s.frame = (s.frame + 1) % len(frames)
	text := fmt.Sprintf("  %c %s", frames[s.frame], s.doing)
	if d := now.Sub(s.since); d >= time.Second {
		text += fmt.Sprintf(" %d s", int(d.Seconds()))
	}
	fmt.Fprintf(s.err, "\r\x1b[K%s", s.st.dim(shorten(text, width(s.err)-1)))
	s.shown = true
}

// clear takes the line of what goes on now off the screen.
func (s *screen) clear() {
	if s.shown {
		_, _ = io.WriteString(s.err, "\r\x1b[K")
		s.shown = false
	}
}
