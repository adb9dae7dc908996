package orchestrator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// delegate makes the sub-run for a call of another agent, one of so many new ones; refusal is set when it may not.
func (s *segment) delegate(call agents.Call, st core.Step, arguments json.RawMessage, among int) (w wait, refusal string, err error) {
	r := &s.state.Run
	messages, refusal := s.given(call, arguments)
	if refusal != "" {
		return w, refusal, nil
	}
	if r.Limits.Depth > 0 && r.Depth+1 > r.Limits.Depth {
		return w, fmt.Sprintf("delegation is limited to a depth of %d; do the task yourself", r.Limits.Depth), nil
	}
	to, err := s.o.Agents.Agent(st.Name)
	if err != nil {
		return w, core.MessageOf(err), nil
	}
	hash := workHash(messages)
	var before int
	if err := s.patiently(func() (err error) {
		before, err = s.o.Journal.SameWork(s.ctx, s.o.Database.Querier(), r.Root, to.Name, hash)
		return err
	}); err != nil {
		return w, "", err
	}
	if most := s.state.MaxRepeats; most > 0 && before >= most {
		return w, fmt.Sprintf("the agent %s was given exactly this work %d times already, here or by an agent that works for this run; it was not given again. Do it yourself, or something else.", to.Name, before), nil
	}
	now := s.o.Now()
	for i := range messages {
		messages[i].CreatedAt = now
	}
	limits := to.Limits.Or(s.o.Limits())
	limits.Depth = r.Limits.Depth
	limits.Tokens = lesser(limits.Tokens, r.Limits.Tokens, r.Usage.Tokens()-r.Turn.Tokens, among)
	limits.CostMicroUSD = lesser(limits.CostMicroUSD, r.Limits.CostMicroUSD, r.Usage.CostMicroUSD-r.Turn.CostMicroUSD, among)
	child := core.RunRecord{
		Run: core.Run{
			ID: newID(), Agent: to.Name, AgentVersion: to.Version, Status: core.RunQueued, CreatedAt: now,
			Parent: r.ID, Limits: limits, Depth: r.Depth + 1, CreatedBy: r.CreatedBy,
		},
		ParentStep: st.Index, Root: r.Root, Segment: 1, Messages: len(messages), InputMessage: len(messages) - 1, RequestHash: hash, Flow: r.Flow,
	}
	st.Status, st.ChildRun, st.StartedAt = core.StepWaiting, child.ID, &now
	st.Attempts = append(st.Attempts, core.Attempt{StartedAt: now})
	return wait{step: st, child: &child, agent: to, messages: messages, reason: core.WaitAgent, detail: "the agent " + to.Name + " works on it"}, "", nil
}

// given is what the other agent gets: a task, or the conversation so far.
func (s *segment) given(call agents.Call, arguments json.RawMessage) (messages []core.Message, refusal string) {
	var in struct {
		Task string `json:"task"`
		Note string `json:"note"`
	}
	err := json.Unmarshal(arguments, &in)
	if !strings.HasPrefix(call.Name, agents.HandoffPrefix) {
		if err != nil || strings.TrimSpace(in.Task) == "" {
			return nil, `the argument "task" is missing: say in it what the agent should do`
		}
		return []core.Message{{Role: core.RoleUser, Text: in.Task}}, ""
	}
	if err != nil {
		return nil, `the argument "note" must be text`
	}
	for _, m := range s.state.Messages {
		if m.Text != "" && (m.Role == core.RoleUser || m.Role == core.RoleAssistant) {
			messages = append(messages, core.Message{Role: m.Role, Text: m.Text})
		}
		if m.Role == core.RoleUser && m.Index == s.state.Turn()[0].Index {
			break // what came since is this agent's own work
		}
	}
	if in.Note != "" {
		messages[len(messages)-1].Text += "\n\n[Note of the agent " + s.state.Definition.Name + ": " + in.Note + "]"
	}
	return messages, ""
}

// workHash tells work from other work: whoever gives it, and however the call is written.
func workHash(messages []core.Message) string {
	h := sha256.New()
	for _, m := range messages {
		fmt.Fprintf(h, "%s %d %s\n", m.Role, len(m.Text), strings.TrimSpace(m.Text))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
