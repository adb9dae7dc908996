package orchestrator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

const (
	// markAfter is how long a step runs before people can see in the database that it does. Shorter ones cost no write.
	markAfter = 50 * time.Millisecond
	// deltaEvery bounds how often text that is being written is passed on.
	deltaEvery = 40 * time.Millisecond
	// keptAttempts bounds the list of tries of one step during a long outage.
	keptAttempts = 20
)

// callModel asks the model for the next message and records it: as what the assistant says, or as the summary of the messages
// up to summaryTo. parked is true when the model cannot be reached and the run waits for it, or the run has ended.
func (s *segment) callModel(req core.ModelRequest, summaryTo int) (parked bool, err error) {
	r := &s.state.Run
	st := s.openModelStep(req.Model)
	earlier := len(st.Attempts)
	s.startAttempt(&st)
	started := s.announce(st)
	stopMark := s.markStarted(st)
	deltas := &deltaWriter{s: s, message: r.Messages, earlier: earlier}
	if summaryTo > 0 {
		deltas = nil
	}
	req.Caller, req.Session, req.CostLimit = callerOf(&r.Run), r.ID, costLeft(*r)
	names := wireNames(&req)
	resp, err := s.o.Models.Chat(s.ask, req, deltas.add)
	deltas.flush()
	stopMark()
	if err != nil && s.ask.Err() != nil {
		return false, nil // cut by us: the loop knows why
	}
	now := s.o.Now()
	st.FinishedAt = &now
	st.Attempts = append(st.Attempts[:earlier], resp.Attempts...)
	if len(resp.Attempts) == 0 {
		st.Attempts = append(st.Attempts[:earlier], core.Attempt{StartedAt: *st.StartedAt, FinishedAt: &now, Error: core.MessageOf(err)})
	}
	st.Attempts = st.Attempts[max(0, len(st.Attempts)-keptAttempts):]
	for i := range st.Attempts {
		st.Attempts[i].Error = core.CleanText(st.Attempts[i].Error)
	}
	resp.Usage = plausible(resp.Usage)
	if code := core.CodeOf(err); code == core.CodeUnavailable || code == core.CodeTimeout || code == core.CodeRateLimited {
		return s.awaitModel(st, started, err)
	}
	s.o.Observer.StepEnded(core.StepModel, st.Name, stepStatus(err), now.Sub(*st.StartedAt), resp.Usage)
	if core.CodeOf(err) == core.CodeContextFull && s.tooLong(req) {
		st.Status, st.Error = core.StepFailed, core.MessageOf(err)+"; the conversation is shortened"
		return false, s.checkpoint("model "+st.Name, func(c *change) { s.completeStep(c, st, started) })
	}
	if err != nil {
		st.Status, st.Error = core.StepFailed, core.MessageOf(err)
		if err := s.checkpoint("model "+st.Name, func(c *change) { s.completeStep(c, st, started) }); err != nil {
			return false, err
		}
		return true, s.finish(core.RunFailed, core.Wrap(core.CodeOf(err), err, "%s", core.MessageOf(err)), nil)
	}
	ended := false
	err = s.checkpoint("model "+st.Name, func(c *change) {
		m := resp.Message
		m.CreatedAt = now
		names.restore(&m)
		s.measure(req, resp.Usage)
		st.Status, st.Usage, st.Error = core.StepSucceeded, resp.Usage, remark(resp)
		st.OutputRef = messageRef(r.Messages)
		r.Usage = r.Usage.Add(resp.Usage)
		if r.OutageSince != nil {
			r.OutageSince = nil
			c.event(core.EventRunStarted, "")
		}
		if summaryTo > 0 {
			s.addMessage(c, core.Message{Index: r.Messages, Role: core.RoleSystem, Text: core.CleanText(m.Text), SummaryTo: summaryTo, CreatedAt: now})
			s.completeStep(c, st, started)
			return
		}
		m = s.addAnswer(c, m, st.Index)
		s.completeStep(c, st, started)
		s.addCalls(c, m)
		ended = s.endWithAnswer(c)
	})
	if ended && err == nil {
		s.o.nudge() // a parent may have been queued
	}
	return ended, err
}

// costLeft is what a turn's cost limit leaves for the next call, in millionths of a US dollar; 0 = it has none. A turn that
// has used its limit up is ended by its agent before it comes to this.
func costLeft(r core.RunRecord) int64 {
	if r.Limits.CostMicroUSD <= 0 {
		return 0
	}
	return max(1, r.Limits.CostMicroUSD-(r.Usage.CostMicroUSD-r.Turn.CostMicroUSD))
}

// callerOf says for whom a run calls models and tools; whoever serves them knows the project of the key. It reads only what
// never changes: calls are made side by side.
func callerOf(r *core.Run) core.Caller {
	c := core.Caller{Actor: r.CreatedBy, Agent: r.Agent, Run: r.ID}
	if id, ok := strings.CutPrefix(r.CreatedBy, "key:"); ok {
		c.Key = id
	}
	return c
}

// remark is what a person should know of an answer that came, but not as it should.
func remark(resp core.ModelResponse) string {
	switch {
	case resp.Finish == core.FinishLength:
		return "the answer was cut off: the limit of output tokens was reached"
	case resp.Message.Text == "" && len(resp.Message.ToolCalls) == 0:
		return "the model gave an empty answer"
	}
	return ""
}

// plausible bounds what a server says it used: a wrong number must not make the sums overflow.
func plausible(u core.Usage) core.Usage {
	const most = 1 << 40
	u.InputTokens, u.OutputTokens, u.CostMicroUSD = min(max(u.InputTokens, 0), most), min(max(u.OutputTokens, 0), most), min(max(u.CostMicroUSD, 0), most)
	return u
}

func stepStatus(err error) core.StepStatus {
	if err != nil {
		return core.StepFailed
	}
	return core.StepSucceeded
}

// openModelStep is the model step that an interruption or an outage left open, or a new one.
func (s *segment) openModelStep(model string) core.Step {
	if n := len(s.steps); n > 0 && s.steps[n-1].Kind == core.StepModel && !s.steps[n-1].Status.Final() {
		return s.steps[n-1]
	}
	return s.newStep(core.StepModel, model, "", fmt.Sprintf("messages/0-%d", s.state.Run.Messages-1), "")
}

func (s *segment) newStep(kind core.StepKind, name string, effect core.Effect, inputRef, callID string) core.Step {
	id := fmt.Sprintf("%s:%d", s.state.Run.ID, len(s.steps))
	return core.Step{
		ID: id, Run: s.state.Run.ID, Index: len(s.steps), Kind: kind, Name: name, Effect: effect, Status: core.StepPending,
		InputRef: inputRef, CallID: callID, IdempotencyKey: id,
	}
}

// callStep is the step for one call that the model asks for.
func (s *segment) callStep(call core.ToolCall, message int) core.Step {
	ref := messageRef(message) + "#" + call.ID
	for _, prefix := range []string{agents.DelegatePrefix, agents.HandoffPrefix} {
		if to, ok := strings.CutPrefix(call.Name, prefix); ok {
			return s.newStep(core.StepAgent, to, core.EffectIdempotent, ref, call.ID)
		}
	}
	spec, _ := s.o.Tools.Spec(call.Name)
	return s.newStep(core.StepTool, call.Name, spec.Effect, ref, call.ID)
}

// startAttempt begins a try of a step. An earlier try without an end was interrupted.
func (s *segment) startAttempt(st *core.Step) {
	now := s.o.Now()
	st.Attempts = slices.Clone(st.Attempts)
	for i := range st.Attempts {
		if st.Attempts[i].FinishedAt == nil && st.Attempts[i].Error == "" {
			st.Attempts[i].Error = "interrupted"
		}
	}
	if st.StartedAt == nil {
		st.StartedAt = &now
	}
	st.Status = core.StepRunning
	attempt := core.Attempt{StartedAt: now}
	if st.Kind == core.StepModel {
		attempt.Target = st.Name
	}
	st.Attempts = append(st.Attempts, attempt)
}

// announce tells watchers that a step has started. They get a copy: the step goes on changing.
func (s *segment) announce(st core.Step) core.Event {
	st.Attempts = slices.Clone(st.Attempts)
	return s.o.hub.Live(core.Event{Run: st.Run, Type: core.EventStepStarted, At: *st.StartedAt, Step: &st})
}

// markStarted shows in the database, after a moment, that a step is being executed.
func (s *segment) markStarted(st core.Step) (stop func()) {
	var wg sync.WaitGroup
	wg.Add(1)
	t := time.AfterFunc(markAfter, func() {
		defer wg.Done()
		if err := s.o.Journal.MarkStarted(s.run, s.o.Database.Querier(), st, s.in.Segment); err != nil && s.run.Err() == nil {
			s.o.Log.Warn("a running step cannot be shown", "step", st.ID, "error", err)
		}
	})
	return func() {
		if t.Stop() {
			wg.Done()
		}
		wg.Wait()
	}
}

// addMessage, addStep and completeStep change the state and the checkpoint alike; the caller is building a checkpoint.
func (s *segment) addMessage(c *change, m core.Message) {
	s.state.Messages = append(s.state.Messages, m)
	s.state.Run.Messages++
	c.msgs = append(c.msgs, m)
	c.event(core.EventMessageCompleted, strconv.Itoa(m.Index))
}

func (s *segment) addStep(c *change, st core.Step) {
	if st.Index == len(s.steps) {
		s.steps = append(s.steps, st)
	} else {
		s.steps[st.Index] = st
	}
	s.state.Run.Steps = len(s.steps)
	c.steps = append(c.steps, st)
}

func (s *segment) completeStep(c *change, st core.Step, started core.Event) {
	c.stored(started, strconv.Itoa(st.Index))
	s.addStep(c, st)
	c.event(core.EventStepCompleted, strconv.Itoa(st.Index))
	c.done = func(e core.Event) bool {
		return e.Type == core.EventStepStarted && e.Step.Index == st.Index || e.Type == core.EventMessageDelta && st.Kind == core.StepModel
	}
}

func messageRef(index int) string { return fmt.Sprintf("messages/%d", index) }

// nameCalls gives every call an id that is unique in its message: some servers give none, or the same one twice.
func nameCalls(m *core.Message, step int) {
	seen := map[string]bool{}
	for i := range m.ToolCalls {
		c := &m.ToolCalls[i]
		c.Name = core.CleanText(c.Name)
		if c.ID == "" || seen[c.ID] || c.ID != core.CleanText(c.ID) {
			c.ID = fmt.Sprintf("call_%d_%d", step, i)
		}
		seen[c.ID] = true
		if len(c.Arguments) == 0 {
			c.Arguments = []byte("{}")
		}
	}
}

// deltaWriter passes text on as it is written, in pieces that are not too small.
type deltaWriter struct {
	s       *segment
	message int
	earlier int // attempts of the step before this call

	mu      sync.Mutex
	attempt int
	offset  int // UTF-16 units passed on
	text    strings.Builder
	last    time.Time
	timer   *time.Timer
}

func (d *deltaWriter) add(delta core.Delta) {
	if d == nil { // nobody watches a summary being written
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if delta.Attempt != d.attempt {
		d.attempt, d.offset = delta.Attempt, 0
		d.text.Reset()
	}
	d.text.WriteString(delta.Text)
	if since := time.Since(d.last); since >= deltaEvery {
		d.send()
	} else if d.timer == nil {
		d.timer = time.AfterFunc(deltaEvery-since, d.flush)
	}
}

func (d *deltaWriter) flush() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.send()
}

func (d *deltaWriter) send() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.last = time.Now()
	if d.text.Len() == 0 {
		return
	}
	text := d.text.String()
	d.text.Reset()
	d.s.o.hub.Live(core.Event{
		Run: d.s.in.Run, Type: core.EventMessageDelta, At: d.last,
		Delta: &core.DeltaData{Message: d.message, Attempt: d.earlier + d.attempt, Offset: d.offset, Text: text},
	})
	d.offset += len(utf16.Encode([]rune(text)))
}
