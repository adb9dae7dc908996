package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// watchOptions say what to do when a run waits.
type watchOptions struct {
	wait   bool // keep waiting, for a person who decides elsewhere or a model that comes back
	noWait bool // never ask here
}

// watcher follows a run, and the runs that it delegates to, until it ends or nothing more can be done here.
type watcher struct {
	cli    *cli
	client *client
	screen *screen
	opts   watchOptions
	root   string
	items  chan streamItem
	over   <-chan struct{} // closed when the watching ends
	lines  chan string     // what the person types; closed at the end of the input; nil where nobody can be asked

	reading bool // somebody was asked, so lines is being filled

	args    map[string]string // tool call id → its arguments, on one line
	follows map[string]string // run → the agent that works on it, for the runs below the root
	part    partial
	last    string // the last whole text that was shown
	prompt  *prompt
	asked   map[string]bool // approvals that were put to the person
	waiting string          // the wait that was last told, so that it is told once
}

// streamItem is what a stream's goroutine hands over: an event, a lost connection, or its end.
type streamItem struct {
	event core.Event
	run   string
	gap   error
	end   bool
	err   error
}

// watch shows the run until it ends. The error, if any, carries the exit code.
func (c *cli) watch(ctx context.Context, cl *client, run core.Run, opts watchOptions) error {
	streams, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watcher{
		cli: c, client: cl, opts: opts, root: run.ID,
		screen: &screen{out: c.out, err: c.err, st: c.errStyle(), live: c.errTerminal, stream: c.outTerminal && !c.flags.json},
		items:  make(chan streamItem, 64),
		over:   streams.Done(),
		args:   map[string]string{}, follows: map[string]string{}, asked: map[string]bool{},
	}
	if c.inTerminal && c.errTerminal && !c.flags.json && !opts.noWait {
		w.lines = make(chan string)
	}
	w.header(ctx, run)
	go w.pump(streams, run.ID, 0)
	defer w.screen.clear()
	return w.loop(ctx, streams)
}

// header prints the first line. The model is that of the agent's file: the run itself does not say.
func (w *watcher) header(ctx context.Context, run core.Run) {
	st := w.screen.st
	text := fmt.Sprintf("%s run %s… · %s", st.blue("●"), shortID(run.ID), run.Agent)
	if a, err := w.client.agent(ctx, run.Agent); err == nil && a.Agent.Model != "" {
		text += " · " + oneLine(a.Agent.Model)
	}
	w.screen.line("%s", text)
	w.screen.begin("starting", time.Now())
}

// pump reads one run's stream into items until it ends or ctx does.
func (w *watcher) pump(ctx context.Context, run string, after int64) {
	send := func(it streamItem) bool {
		select {
		case w.items <- it:
			return true
		case <-ctx.Done():
			return false
		}
	}
	var failed error
	for ev, err := range w.client.stream(ctx, run, after, func(err error) { send(streamItem{run: run, gap: err}) }) {
		if err != nil {
			failed = err
			break
		}
		if !send(streamItem{run: run, event: ev}) {
			return
		}
	}
	send(streamItem{run: run, end: true, err: failed})
}

func (w *watcher) loop(ctx, streams context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var n int64 // the last event of the root run
	gaps := 0
	for {
		var lines chan string
		if w.prompt != nil {
			lines = w.lines
		}
		select {
		case <-ctx.Done():
			return w.interrupted()
		case now := <-tick.C:
			if w.prompt == nil {
				w.screen.tick(now)
			}
		case line, ok := <-lines:
			if !ok {
				line = "l"
			}
			if err := w.typed(ctx, line, ok); err != nil {
				return w.ended(ctx, err)
			}
		case it := <-w.items:
			switch {
			case it.gap != nil:
				if gaps++; gaps == 1 {
					w.screen.line("  %s", w.screen.st.yellow("↻ connection lost; the run goes on, reconnecting …"))
				}
			case it.end && it.run == w.root:
				run, done, err := w.atEnd(ctx, it.err)
				if err != nil || done {
					return w.ended(ctx, cmpErr(err, func() error { return w.finish(run) }))
				}
				go w.pump(streams, w.root, n)
			case it.end:
				// A delegated run is over, or cannot be followed; its parent's events tell the rest.
			default:
				gaps = 0
				if it.run == w.root {
					n = max(n, it.event.N)
				}
				if err := w.handle(ctx, streams, it.event); err != nil {
					return w.ended(ctx, err)
				}
			}
		}
	}
}

// cmpErr returns err, or what next returns when there is none.
func cmpErr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// ended turns a cancelled context into the message of an interruption.
func (w *watcher) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return w.interrupted()
	}
	return err
}

// atEnd asks for the run once its stream is over. done is false when it goes on: a finished conversation was continued.
func (w *watcher) atEnd(ctx context.Context, streamErr error) (run core.Run, done bool, err error) {
	if streamErr != nil {
		w.screen.line("%s", w.screen.st.yellow("the run is kept; watch it with: sutazai runs watch "+shortID(w.root)))
		return core.Run{}, false, streamErr
	}
	run, err = w.client.run(ctx, w.root)
	return run, run.Status.Final(), err
}

// handle shows one event.
func (w *watcher) handle(ctx, streams context.Context, ev core.Event) error {
	root := ev.Run == w.root
	switch ev.Type {
	case core.EventRunStarted:
		w.waiting = ""
		w.screen.begin("working", time.Now())
	case core.EventStepStarted:
		w.waiting = ""
		if root && ev.Step.Kind == core.StepModel {
			w.part.restart()
		}
		w.screen.begin(w.label(ev.Run)+stepLabel(*ev.Step), time.Now())
	case core.EventStepCompleted:
		w.stepDone(ev.Run, *ev.Step)
		w.screen.begin("working", time.Now())
	case core.EventMessageDelta:
		if root && w.screen.stream {
			w.show(w.part.apply(*ev.Delta))
		}
	case core.EventMessageCompleted:
		w.message(root, *ev.Message)
	case core.EventApprovalDecided:
		w.decided(*ev.Approval)
	case core.EventRunWaiting:
		return w.waits(ctx, streams, ev.Run)
	}
	return nil
}

// show prints a piece of the answer, saying so when it starts again.
func (w *watcher) show(piece string, void bool) {
	if void {
		w.screen.line("  %s", w.screen.st.yellow("↻ the text above is void: the step was tried again; it starts from the beginning"))
	}
	w.screen.text(piece)
}

// message takes in a whole message: the calls that it asks for, and its text where it is shown as it comes.
func (w *watcher) message(root bool, m core.Message) {
	for _, call := range m.ToolCalls {
		w.args[call.ID] = argumentsLine(call.Arguments)
	}
	if !root {
		return
	}
	switch m.Role {
	case core.RoleAssistant:
		if w.screen.stream {
			w.show(w.part.complete(m))
			w.screen.endText()
			w.last = m.Text
		}
	case core.RoleUser:
		if m.Index > 0 {
			w.screen.line("  %s", w.screen.st.dim("› "+shorten(oneLine(m.Text), 100)))
		}
	}
}

// label names the agent of a delegated run.
func (w *watcher) label(run string) string {
	if agent, ok := w.follows[run]; ok {
		return agent + " › "
	}
	return ""
}

// stepLabel is what a step is called while it is going on.
func stepLabel(s core.Step) string {
	if s.Kind == core.StepModel {
		return "thinking"
	}
	return oneLine(s.Name)
}

// stepDone prints the line of a finished step. A model step that went well says nothing: its text is its line.
func (w *watcher) stepDone(run string, s core.Step) {
	st := w.screen.st
	if s.Kind == core.StepModel {
		for _, a := range s.Attempts {
			if a.Error != "" {
				w.screen.line("  %s", st.yellow(fmt.Sprintf("↻ %s%s: %s", w.label(run), oneLine(a.Target), shorten(oneLine(a.Error), 160))))
			}
		}
		return
	}
	mark := st.green("✓")
	if s.Status != core.StepSucceeded {
		mark = st.red("✗")
	}
	args := w.args[s.CallID]
	if len(s.Arguments) > 0 { // a person edited them
		args = argumentsLine(s.Arguments)
	}
	what := shorten(strings.TrimSpace(w.label(run)+oneLine(s.Name)+" "+args), 50)
	took := span(s.StartedAt, s.FinishedAt, time.Now())
	w.screen.line("  %s %-50s %s", mark, what, st.dim(fmt.Sprintf("%6s", took)))
	if s.Error != "" {
		w.screen.line("    %s", st.red(shorten(oneLine(s.Error), 160)))
	}
}

// argumentsLine is a call's arguments as a person would say them: the values, one after the other.
func argumentsLine(raw json.RawMessage) string {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return shorten(oneLine(string(raw)), 60)
	}
	var parts []string
	for dec.More() {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil {
			break
		}
		if err := dec.Decode(&value); err != nil {
			break
		}
		text := string(value)
		var s string
		if json.Unmarshal(value, &s) == nil {
			text = s
		}
		parts = append(parts, shorten(oneLine(text), 40))
	}
	return strings.Join(parts, " ")
}

// startReading hands typed lines over. A read of a terminal cannot be called off, so the goroutine ends with the
// input or with the process.
func (w *watcher) startReading() {
	if w.reading {
		return
	}
	w.reading = true
	go func() {
		defer close(w.lines)
		scanner := bufio.NewScanner(w.cli.in)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			select {
			case w.lines <- scanner.Text():
			case <-w.over:
				return
			}
		}
	}()
}
