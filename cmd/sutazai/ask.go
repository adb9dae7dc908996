package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// waits deals with a waiting run: it asks the person here, or says who or what must act and ends with that exit code.
func (w *watcher) waits(ctx, streams context.Context, id string) error {
	run, err := w.client.run(ctx, id)
	if err != nil {
		return err
	}
	if run.Status != core.RunWaiting {
		return nil // an event from the past: it goes on already
	}
	switch run.WaitReason {
	case core.WaitAgent:
		return w.followChildren(ctx, streams, run)
	case core.WaitModel:
		return w.waitsForModel(ctx, run)
	case core.WaitApproval, core.WaitQuestion:
		return w.waitsForPerson(ctx, run)
	}
	w.screen.begin("waiting "+oneLine(run.WaitDetail), time.Now())
	return nil
}

// followChildren shows what the agents do to which the run has handed work.
func (w *watcher) followChildren(ctx, streams context.Context, run core.Run) error {
	steps, err := w.client.steps(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.ChildRun == "" || s.Status.Final() {
			continue
		}
		if _, known := w.follows[s.ChildRun]; !known {
			w.follows[s.ChildRun] = w.label(run.ID) + oneLine(s.Name)
			go w.pump(streams, s.ChildRun, 0)
		}
	}
	w.screen.begin("waiting for a delegated run", time.Now())
	return nil
}

// waitsForModel says which model cannot be reached and what happens next.
func (w *watcher) waitsForModel(ctx context.Context, run core.Run) error {
	text := "the model cannot be reached"
	if run.WaitDetail != "" {
		text += ": " + oneLine(run.WaitDetail)
	}
	again := ""
	if run.WakeAt != nil {
		again = " (next try " + run.WakeAt.Local().Format("15:04:05") + ")"
	}
	if w.waiting != text {
		w.waiting = text
		w.screen.line("%s %s", w.screen.st.yellow("⏸"), text)
		if w.client.conn.hosts() && !w.opts.wait {
			w.screen.line("  The run is kept. It goes on by itself when the model is back and a server runs (sutazai serve).")
		} else {
			w.screen.line("  The run is kept and goes on by itself when the model is back%s.", again)
		}
	}
	if w.opts.wait {
		w.screen.begin("waiting for the model", time.Now())
		return nil
	}
	id := shortID(w.root)
	w.screen.line("  wait:    sutazai runs watch %s --wait\n  cancel:  sutazai runs cancel %s", id, id)
	return w.leave(ctx, exitUnreachable)
}

// waitsForPerson asks on a terminal, and elsewhere prints how to decide.
func (w *watcher) waitsForPerson(ctx context.Context, run core.Run) error {
	pending, err := w.client.approvals(ctx, core.ApprovalPending, run.ID)
	if err != nil {
		return err
	}
	if w.lines != nil && w.prompt != nil {
		return nil // one question at a time; the next one follows when this is decided
	}
	told := false
	for _, a := range pending {
		if w.asked[a.ID] {
			continue
		}
		w.asked[a.ID], told = true, true
		w.tellApproval(a)
		if w.lines != nil {
			w.prompt = newPrompt(a)
			w.startReading()
			w.screen.begin("", time.Now())
			w.screen.ask(w.prompt.question())
			return nil
		}
		w.tellCommands(a, len(pending) == 1)
	}
	if w.opts.wait || !told { // nothing new: what was pending is decided, and the run is about to go on
		w.screen.begin("waiting for a person", time.Now())
		return nil
	}
	return w.leave(ctx, exitWaiting)
}

// leave ends the watching of a run that waits. With --json the run is still printed.
func (w *watcher) leave(ctx context.Context, exit int) error {
	if w.cli.flags.json {
		run, err := w.client.run(ctx, w.root)
		if err != nil {
			return err
		}
		if err := printJSON(w.cli.out, run); err != nil {
			return err
		}
	}
	return exitError(exit)
}

// tellApproval shows the exact action, or the question, that a person is asked about.
func (w *watcher) tellApproval(a core.Approval) {
	st := w.screen.st
	switch a.Reason {
	case core.ReasonQuestion:
		w.screen.line("%s %s asks: %s", st.yellow("?"), oneLine(a.Agent), clean(questionOf(a)))
		return
	case core.ReasonInterrupted:
		w.screen.line("%s %s was interrupted by a crash while the call was being made; it may or may not have taken effect",
			st.yellow("⏸"), st.bold(oneLine(a.Tool)))
	default:
		w.screen.line("%s %s asks for approval of %s", st.yellow("⏸"), oneLine(a.Agent), st.bold(oneLine(a.Tool)))
	}
	w.screen.line("    %s", indentJSON(a.Arguments, "    "))
	if !a.ExpiresAt.IsZero() {
		w.screen.line("    %s", st.dim("expires "+moment(a.ExpiresAt)))
	}
}

// tellCommands prints the commands that decide an approval. Where it is the run's only one, the run's id is enough.
func (w *watcher) tellCommands(a core.Approval, only bool) {
	id := a.ID
	if only {
		id = shortID(a.Run)
	}
	var commands [][2]string
	switch a.Reason {
	case core.ReasonQuestion:
		commands = [][2]string{{"answer", "sutazai runs approve " + id + ` --answer "…"`}}
	case core.ReasonInterrupted:
		commands = [][2]string{
			{"call again", "sutazai runs approve " + id + " --retry"},
			{"mark done", "sutazai runs approve " + id + ` --done "the result"`},
			{"deny", "sutazai runs deny " + id},
		}
	default:
		commands = [][2]string{
			{"approve", "sutazai runs approve " + id},
			{"change", "sutazai runs approve " + id + " --edit '{…}'"},
			{"deny", "sutazai runs deny " + id},
		}
	}
	commands = append(commands, [2]string{"watch", "sutazai runs watch " + shortID(w.root)})
	for _, c := range commands {
		w.screen.line("  %-11s %s", c[0]+":", c[1])
	}
}

// questionOf is what an agent asks: the question among the call's arguments.
func questionOf(a core.Approval) string {
	var args struct {
		Question string `json:"question"`
	}
	if json.Unmarshal(a.Arguments, &args) == nil && args.Question != "" {
		return args.Question
	}
	return string(a.Arguments)
}

// indentJSON lays a JSON value out over lines that each start with prefix, the first one excepted.
func indentJSON(raw json.RawMessage, prefix string) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, prefix, "  ") != nil {
		return clean(string(raw))
	}
	return clean(b.String())
}

// decided takes in that an approval was decided, perhaps by somebody else while it was being asked here.
func (w *watcher) decided(a core.Approval) {
	if w.prompt == nil || w.prompt.approval.ID != a.ID {
		return
	}
	w.prompt = nil
	by := ""
	if a.DecidedBy != "" {
		by = " by " + oneLine(a.DecidedBy)
	}
	w.screen.line("\n  %s", w.screen.st.dim(fmt.Sprintf("it was %s meanwhile%s", a.Status, by)))
}

// typed takes in a line from the person. more is false at the end of the input.
func (w *watcher) typed(ctx context.Context, line string, more bool) error {
	p := w.prompt
	reply := p.feed(line)
	if !more || reply.later {
		w.tellCommands(p.approval, true)
		return exitError(exitWaiting)
	}
	if reply.ask != "" {
		w.screen.ask(reply.ask)
		return nil
	}
	_, err := w.client.decide(ctx, p.approval.ID, reply.verdict)
	switch core.CodeOf(err) {
	case "":
	case core.CodeConflict:
		w.screen.line("  %s", w.screen.st.yellow(core.MessageOf(err)))
	case core.CodeInvalid: // the edited arguments do not fit the tool: ask again
		w.screen.line("  %s", w.screen.st.red(core.MessageOf(err)))
		w.prompt = newPrompt(p.approval)
		w.screen.ask(w.prompt.question())
		return nil
	default:
		return err
	}
	w.prompt = nil
	w.screen.begin("working", time.Now())
	// Several calls of one answer can wait at the same time; no further event announces the next.
	run, err := w.client.run(ctx, p.approval.Run)
	if err != nil || run.Status != core.RunWaiting || (run.WaitReason != core.WaitApproval && run.WaitReason != core.WaitQuestion) {
		return err
	}
	return w.nextQuestion(ctx, run)
}

// nextQuestion asks about another pending approval of the run, if there is one that was not asked yet.
func (w *watcher) nextQuestion(ctx context.Context, run core.Run) error {
	pending, err := w.client.approvals(ctx, core.ApprovalPending, run.ID)
	if err != nil {
		return err
	}
	for _, a := range pending {
		if !w.asked[a.ID] {
			return w.waitsForPerson(ctx, run)
		}
	}
	return nil
}

// prompt is a conversation with a person about one approval, one line at a time.
type prompt struct {
	approval core.Approval
	stage    byte // 0 = which decision, else the decision whose details are asked for
}

// reply is what a typed line leads to: exactly one field is set.
type reply struct {
	ask     string // the next question
	verdict verdict
	later   bool
}

func newPrompt(a core.Approval) *prompt { return &prompt{approval: a} }

// question is the first thing that is asked.
func (p *prompt) question() string {
	switch p.approval.Reason {
	case core.ReasonQuestion:
		return "  answer (empty = later): "
	case core.ReasonInterrupted:
		return "  [r]etry the call, [m]ark it done, [d]eny, [l]ater: "
	}
	return "  [a]pprove, [e]dit, [d]eny, [l]ater: "
}

// feed takes in a typed line.
func (p *prompt) feed(line string) reply {
	line = strings.TrimSpace(line)
	if p.stage != 0 {
		return p.details(line)
	}
	if p.approval.Reason == core.ReasonQuestion {
		return reply{verdict: answerTo(line), later: line == ""}
	}
	interrupted := p.approval.Reason == core.ReasonInterrupted
	switch strings.ToLower(line) {
	case "a", "approve", "y", "yes":
		if !interrupted {
			return reply{verdict: verdict{Decision: core.DecideApprove}}
		}
	case "r", "retry":
		if interrupted {
			return reply{verdict: verdict{Decision: core.DecideRetry}}
		}
	case "e", "edit":
		if !interrupted {
			p.stage = 'e'
			return reply{ask: "  the arguments to use, as one line of JSON: "}
		}
	case "m", "done":
		if interrupted {
			p.stage = 'm'
			return reply{ask: "  the call's result, for the agent to read: "}
		}
	case "d", "deny", "n", "no":
		p.stage = 'd'
		return reply{ask: "  a reason for the agent (may be empty): "}
	case "l", "later":
		return reply{later: true}
	}
	return reply{ask: p.question()}
}

func (p *prompt) details(line string) reply {
	switch p.stage {
	case 'e':
		arguments, err := parseArguments(line)
		if err != nil {
			p.stage = 0
			return reply{ask: "  " + core.MessageOf(err) + "\n" + p.question()}
		}
		return reply{verdict: verdict{Decision: core.DecideEdit, Arguments: arguments}}
	case 'm':
		return reply{verdict: verdict{Decision: core.DecideDone, Result: line}}
	}
	return reply{verdict: verdict{Decision: core.DecideDeny, Comment: line}}
}

// answerTo is the decision about a question: the answer is the result of the call that asked it.
func answerTo(text string) verdict { return verdict{Decision: core.DecideDone, Result: text} }

// parseArguments checks that text is a JSON object, as a tool's arguments are.
func parseArguments(text string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil || object == nil {
		return nil, invalid(`arguments are a JSON object such as {"amount": 12}, but this is %q`, shorten(oneLine(text), 60))
	}
	return json.RawMessage(text), nil
}
