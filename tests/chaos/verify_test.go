//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/tests/testserver"
)

// slack is the rounding of stored times. A call that arrives this much after its step was recorded as finished is a
// repetition: every call of the attempt that was recorded arrives before.
const slack = 2 * time.Millisecond

// verdict collects what is wrong and what was counted.
type verdict struct {
	k          *killer
	violations map[string][]string // by kind: lost, repeated, duplicate_unsafe, stuck, events, refused
	knownKeys  map[string]bool     // idempotency keys of steps that exist
	entries    map[string]string   // entry -> key under which it was made

	runs, steps, asked, retries, again, cancelled int
}

func (v *verdict) violate(kind, run, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if run != "" {
		text = "run " + run + ": " + text
	}
	v.violations[kind] = append(v.violations[kind], text)
}

// evidence is all that the server says about a run.
type evidence struct {
	run       core.Run
	steps     []core.Step
	messages  []core.Message
	approvals map[int][]core.Approval // by step, oldest first
}

// verify compares the server's record with the outside world.
func (k *killer) verify() *verdict {
	v := &verdict{k: k, violations: map[string][]string{}, knownKeys: map[string]bool{}, entries: map[string]string{}}
	ctx, cancel := context.WithTimeout(k.t.Context(), settlePatience)
	defer cancel()
	for _, t := range k.load.all() {
		if err := v.task(ctx, t); err != nil {
			v.violate("lost", t.run, "%s cannot be read: %v", t.name, err)
		}
	}
	v.noSecondRuns(ctx)
	v.noGhosts()
	v.violations["refused"] = append(v.violations["refused"], k.load.refused...)
	return v
}

func (v *verdict) task(ctx context.Context, t *task) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, err := v.read(ctx, t.run)
	if err != nil {
		return err
	}
	for _, p := range t.problems {
		v.violate("events", t.run, "%s", p)
	}
	if !e.run.Status.Final() {
		v.violate("stuck", t.run, "%s is %s (%s %s) %s after the last kill", t.name, e.run.Status, e.run.WaitReason, e.run.WaitDetail, settlePatience)
		return nil
	}
	if t.cancelled && e.run.Status == core.RunCancelled {
		v.cancelled++
	} else if e.run.Status != core.RunSucceeded {
		v.violate("lost", t.run, "%s ended as %s: %+v", t.name, e.run.Status, e.run.Error)
	}
	v.conversation(t.name, e)
	v.watched(ctx, t, e)
	return v.children(ctx, t, e)
}

func (v *verdict) read(ctx context.Context, id string) (e evidence, err error) {
	c, path := v.k.load.client, "/api/v1/runs/"+id
	if err := c.Call(ctx, http.MethodGet, path, nil, nil, &e.run); err != nil {
		return e, err
	}
	if e.steps, err = testserver.List[core.Step](ctx, c, path+"/steps"); err != nil {
		return e, err
	}
	if e.messages, err = testserver.List[core.Message](ctx, c, path+"/messages"); err != nil {
		return e, err
	}
	approvals, err := testserver.List[core.Approval](ctx, c, "/api/v1/approvals?run="+id)
	e.approvals = map[int][]core.Approval{}
	for _, a := range approvals {
		e.approvals[a.Step] = append(e.approvals[a.Step], a)
	}
	return e, err
}

func (v *verdict) children(ctx context.Context, t *task, parent evidence) error {
	for _, s := range parent.steps {
		if s.ChildRun == "" {
			continue
		}
		e, err := v.read(ctx, s.ChildRun)
		if err != nil {
			return err
		}
		if !e.run.Status.Final() {
			v.violate("stuck", s.ChildRun, "the sub-run of %s is %s (%s)", t.name, e.run.Status, e.run.WaitReason)
			continue
		}
		if e.run.Status != core.RunSucceeded && !t.cancelled {
			v.violate("lost", s.ChildRun, "the sub-run of %s ended as %s: %+v", t.name, e.run.Status, e.run.Error)
		}
		v.conversation(t.name+".sub", e)
	}
	return nil
}

// conversation checks one run against the ledger and the model's record.
func (v *verdict) conversation(task string, e evidence) {
	v.runs++
	v.steps += len(e.steps)
	for i, m := range e.messages {
		if m.Index != i {
			v.violate("lost", e.run.ID, "message %d has index %d", i, m.Index)
			return
		}
	}
	for i, s := range e.steps {
		if s.Index != i {
			v.violate("lost", e.run.ID, "step %d has index %d", i, s.Index)
			return
		}
		if !s.Status.Final() {
			v.violate("lost", e.run.ID, "the run is %s and its step %d (%s) is %s", e.run.Status, i, s.Name, s.Status)
		}
		switch s.Kind {
		case core.StepModel:
			v.modelStep(task, e, s)
		case core.StepTool:
			v.toolStep(e, s)
		}
	}
	v.answers(task, e)
}

// modelStep checks that the model was not asked again once its answer was recorded.
func (v *verdict) modelStep(task string, e evidence, s core.Step) {
	var index int
	if _, err := fmt.Sscanf(s.OutputRef, "messages/%d", &index); err != nil || s.FinishedAt == nil {
		if s.Status == core.StepSucceeded {
			v.violate("lost", e.run.ID, "step %d has succeeded without an output (%q)", s.Index, s.OutputRef)
		}
		return
	}
	for _, at := range v.k.load.world.asked[modelCall{task, index}] {
		if late := at.Sub(*s.FinishedAt); late > slack {
			v.violate("repeated", e.run.ID, "model step %d was recorded at %s and the model was asked again %s later", s.Index, stamp(*s.FinishedAt), late)
		}
	}
}

// toolStep checks one call against the ledger.
func (v *verdict) toolStep(e evidence, s core.Step) {
	effects := v.k.load.world.ledger[s.IdempotencyKey]
	v.knownKeys[s.IdempotencyKey] = true
	v.again += max(0, len(effects)-1)
	for _, x := range effects {
		if key, ok := v.entries[x.Entry]; ok && key != s.IdempotencyKey {
			v.violate("repeated", e.run.ID, "the entry %s was made under two keys, %s and %s", x.Entry, key, s.IdempotencyKey)
		}
		v.entries[x.Entry] = s.IdempotencyKey
		if x.Run != e.run.ID || x.Tool != s.Name {
			v.violate("lost", e.run.ID, "the key %s was used for %s of run %s", x.Key, x.Tool, x.Run)
		}
		if s.FinishedAt != nil && x.At.Sub(*s.FinishedAt) > slack {
			v.violate("repeated", e.run.ID, "%s in step %d (%s) was recorded at %s and called again %s later", x.Entry, s.Index, s.Name, stamp(*s.FinishedAt), x.At.Sub(*s.FinishedAt))
		}
	}
	allowed := 1
	for _, a := range e.approvals[s.Index] {
		v.asked++
		if a.Status == core.ApprovalApproved && !slices.ContainsFunc(v.k.load.said[a.ID], grants) {
			v.violate("duplicate_unsafe", e.run.ID, "approval %s of step %d is approved and people only said %v", a.ID, s.Index, v.k.load.said[a.ID])
		}
		if a.Reason == core.ReasonInterrupted && a.Status == core.ApprovalApproved {
			allowed++
			v.retries++
		}
	}
	if s.Effect == core.EffectUnsafe && len(effects) > allowed {
		v.violate("duplicate_unsafe", e.run.ID, "%s in step %d was made %d times, %d are explained by people; %s", s.Name, s.Index, len(effects), allowed, history(effects, s, e.approvals[s.Index]))
	}
}

// history tells in order what is known of one call.
func history(effects []effect, s core.Step, approvals []core.Approval) string {
	var lines []string
	for _, x := range effects {
		lines = append(lines, stamp(x.At)+" called")
	}
	for _, a := range s.Attempts {
		lines = append(lines, stamp(a.StartedAt)+" attempt began, "+a.Error)
		if a.FinishedAt != nil {
			lines = append(lines, stamp(*a.FinishedAt)+" attempt ended")
		}
	}
	for _, a := range approvals {
		lines = append(lines, stamp(a.CreatedAt)+" asked: "+string(a.Reason))
		if a.DecidedAt != nil {
			lines = append(lines, stamp(*a.DecidedAt)+" decided: "+string(a.Status))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func grants(d core.Decision) bool {
	return d == core.DecideApprove || d == core.DecideRetry || d == core.DecideEdit
}

// answers checks that every call has exactly one result, that each result is what the ledger or a person said, and that
// the final answer was given with all of them in view.
func (v *verdict) answers(task string, e evidence) {
	results := map[string][]core.Message{}
	for _, m := range e.messages {
		if m.Role == core.RoleTool {
			results[m.ToolCallID] = append(results[m.ToolCallID], m)
		}
	}
	whole := e.run.Status == core.RunSucceeded
	for _, s := range e.steps {
		if s.Kind == core.StepModel {
			continue
		}
		got := results[s.CallID]
		if len(got) > 1 || whole && len(got) == 0 {
			v.violate("lost", e.run.ID, "the call of %s in step %d has %d results", s.Name, s.Index, len(got))
			continue
		}
		if len(got) == 1 && s.Kind == core.StepTool {
			v.result(e, s, got[0])
		}
	}
	if !whole {
		return
	}
	if want := answerTo(task, e.messages); e.run.Output != want {
		v.violate("lost", e.run.ID, "the answer is %q, want %q", e.run.Output, want)
	}
	// The script plays for the first word of the instructions, which is the agent's name.
	for i, calls := range script(e.run.Agent, task) {
		said := -1
		for _, m := range e.messages {
			if m.Role == core.RoleAssistant {
				said++
			}
			if said == i {
				if len(m.ToolCalls) != len(calls) {
					v.violate("lost", e.run.ID, "turn %d asks for %d calls, the model asked for %d", i, len(m.ToolCalls), len(calls))
				}
				break
			}
		}
	}
}

func (v *verdict) result(e evidence, s core.Step, m core.Message) {
	var latest core.Approval
	if as := e.approvals[s.Index]; len(as) > 0 {
		latest = as[len(as)-1]
	}
	effects := v.k.load.world.ledger[s.IdempotencyKey]
	switch {
	case latest.Status == core.ApprovalDone:
		if m.Text != latest.Result {
			v.violate("lost", e.run.ID, "step %d says %q, a person said %q", s.Index, m.Text, latest.Result)
		}
	case m.IsError:
		if latest.Status != core.ApprovalDenied && e.run.Status == core.RunSucceeded {
			v.violate("lost", e.run.ID, "step %d (%s) failed: %s", s.Index, s.Name, m.Text)
		}
	case !slices.ContainsFunc(effects, func(x effect) bool { return x.Receipt == m.Text }):
		v.violate("lost", e.run.ID, "step %d (%s) says %q, which the ledger never said; it has %d entries under %s", s.Index, s.Name, m.Text, len(effects), s.IdempotencyKey)
	}
}

// watched checks that what a client saw is what is recorded: nothing that was told has changed or gone.
func (v *verdict) watched(ctx context.Context, t *task, e evidence) {
	for i, seen := range t.steps {
		if i >= len(e.steps) || e.steps[i].Status != seen.Status || !sameTime(e.steps[i].FinishedAt, seen.FinishedAt) {
			v.violate("lost", t.run, "step %d was seen as %s at %v and is recorded otherwise: %+v", i, seen.Status, seen.FinishedAt, e.steps[min(i, len(e.steps)-1)])
		}
	}
	for i, seen := range t.messages {
		if i >= len(e.messages) || e.messages[i].Text != seen.Text || e.messages[i].ToolCallID != seen.ToolCallID {
			v.violate("lost", t.run, "message %d was seen as %q and is recorded otherwise", i, seen.Text)
		}
	}
	var stored []seenEvent
	err := v.k.load.client.Stream(ctx, "/api/v1/runs/"+t.run+"/events", "", func(s testserver.SSE) bool {
		var n int64
		if _, err := fmt.Sscanf(strings.TrimPrefix(s.ID, t.run+"-"), "%d", &n); err == nil {
			stored = append(stored, seenEvent{n: n, kind: core.EventType(s.Event)})
		}
		return true
	})
	if err != nil {
		v.violate("events", t.run, "the events cannot be read again: %v", err)
		return
	}
	if want, got := lasting(stored), lasting(t.events); !slices.Equal(want, got) {
		v.violate("events", t.run, "a client that followed across the kills saw %v; recorded is %v", got, want)
	}
}

// lasting is what a client must see exactly once. Text in the making and starts of steps are told as they happen, and
// again when they happen again.
func lasting(events []seenEvent) (out []string) {
	for _, e := range events {
		if e.kind != core.EventMessageDelta && e.kind != core.EventStepStarted {
			out = append(out, fmt.Sprintf("%d %s", e.n, e.kind))
		}
	}
	return out
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// noSecondRuns checks that starting a run again with the same key never made a second one.
func (v *verdict) noSecondRuns(ctx context.Context) {
	byTask := map[string][]string{}
	before := ""
	for {
		var p testserver.Page[core.Run]
		if err := v.k.load.client.Call(ctx, http.MethodGet, "/api/v1/runs?limit=200&before="+before, nil, nil, &p); err != nil {
			v.violate("lost", "", "the runs cannot be listed: %v", err)
			return
		}
		for _, r := range p.Items {
			if name := r.Metadata["task"]; name != "" {
				byTask[name] = append(byTask[name], r.ID)
			}
		}
		if before = p.Next; before == "" {
			break
		}
	}
	for name, ids := range byTask {
		if len(ids) > 1 {
			v.violate("repeated", ids[0], "%s was started more than once under one key: %v", name, ids)
		}
	}
	for _, t := range v.k.load.all() {
		if !slices.Contains(byTask[t.name], t.run) {
			v.violate("lost", t.run, "%s was acknowledged and is not in the list", t.name)
		}
	}
}

// noGhosts checks that every effect belongs to a step that exists.
func (v *verdict) noGhosts() {
	for _, key := range slices.Sorted(maps.Keys(v.k.load.world.ledger)) {
		if !v.knownKeys[key] {
			v.violate("lost", "", "the ledger has %+v, and no run has such a step", v.k.load.world.ledger[key])
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
