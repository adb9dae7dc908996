package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// finish says how the run ended, prints the answer where it was not shown yet, and gives the exit code.
func (w *watcher) finish(run core.Run) error {
	w.screen.clear()
	w.screen.endText()
	if w.cli.flags.json {
		if err := printJSON(w.cli.out, run); err != nil {
			return err
		}
	} else if run.Status == core.RunSucceeded && !(w.screen.stream && w.last == run.Output) {
		if w.screen.stream {
			w.screen.text(run.Output)
			w.screen.endText()
		} else if err := w.plainAnswer(run.Output); err != nil {
			return err
		}
	}
	w.screen.line("%s", summary(run, w.screen.st, time.Now()))
	if exit := exitOfRun(run); exit != exitOK {
		return exitError(exit)
	}
	return nil
}

// plainAnswer writes the answer for a file or a pipe: its bytes, and a line end if it has none.
func (w *watcher) plainAnswer(text string) error {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := fmt.Fprint(w.cli.out, text)
	return err
}

// summary is the last line of a run.
func summary(run core.Run, st style, now time.Time) string {
	var head string
	switch run.Status {
	case core.RunSucceeded:
		head = st.green("✓") + " finished"
	case core.RunFailed:
		head = st.red("✗") + " failed"
		if run.Error != nil {
			head += ": " + oneLine(run.Error.Message)
		}
	case core.RunCancelled:
		head = st.yellow("■") + " cancelled"
		if run.Error != nil && run.Error.Message != "" {
			head += ": " + oneLine(run.Error.Message)
		}
	default:
		head = st.blue("●") + " " + string(run.Status)
	}
	parts := []string{head, count(int64(run.Steps), "step"), count(run.Usage.Tokens(), "token"), dollars(run.Usage)}
	if took := span(run.StartedAt, run.FinishedAt, now); took != "" {
		parts = append(parts, took)
	}
	return strings.Join(append(parts, "sutazai runs show "+shortID(run.ID)), " · ")
}

// interrupted is the end by Ctrl-C: the run goes on, and this is how to find it again.
func (w *watcher) interrupted() error {
	id := shortID(w.root)
	if w.client.conn.hosts() {
		w.screen.line("interrupted; the run is kept and goes on where it stopped as soon as a server runs (sutazai serve)")
	} else {
		w.screen.line("interrupted; the run goes on")
	}
	w.screen.line("  watch:   sutazai runs watch %s\n  cancel:  sutazai runs cancel %s", id, id)
	return exitError(exitInterrupted)
}
