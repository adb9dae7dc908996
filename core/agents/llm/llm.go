// Package llm is the agent that a language model drives: ask the model, make the calls it wants, ask again, until it
// answers. It decides only; it calls nothing.
package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/internal/schema"
)

// Agent implements agents.Agent.
type Agent struct{}

// Next implements agents.Agent.
func (Agent) Next(s agents.State) agents.Action {
	if err := exceeded(s); err != nil {
		return agents.Fail{Err: err}
	}
	last := s.Messages[len(s.Messages)-1]
	if open := unanswered(s.Messages); len(open) > 0 {
		return callTools(s, open)
	}
	if last.Role != core.RoleAssistant {
		return agents.CallModel{Request: request(s)}
	}
	if err := follows(s.Definition.Output, last.Text); err != nil {
		return agents.Fail{Err: core.Errorf(core.CodeRefused, "the answer does not follow the agent's output schema: %v", err)}
	}
	return agents.Finish{Message: last.Index}
}

// exceeded checks the limits, which count from the user's latest message.
func exceeded(s agents.State) *core.Error {
	r, l, base := s.Run, s.Run.Limits, s.Run.Turn
	last := s.Messages[len(s.Messages)-1]
	if last.Role == core.RoleAssistant && len(last.ToolCalls) == 0 {
		return nil // the answer is there; it is not thrown away
	}
	over := func(what, key string, limit any) *core.Error {
		return core.Errorf(core.CodeLimit, "the limit of %v %s was reached; resume the run to grant it as much again, or raise limits.%s in the agent's file for new runs", limit, what, key)
	}
	switch used := r.Usage.Tokens() - base.Tokens; {
	case l.Steps > 0 && r.Steps-base.Steps >= l.Steps:
		return over("steps", "steps", l.Steps)
	case l.Tokens > 0 && used >= l.Tokens:
		return over("tokens", "tokens", l.Tokens)
	case l.CostMicroUSD > 0 && r.Usage.CostMicroUSD-base.CostMicroUSD >= l.CostMicroUSD:
		return over("US dollars", "cost_usd", float64(l.CostMicroUSD)/1e6)
	}
	return nil
}

// unanswered lists the calls of the latest assistant message that have no tool message yet.
func unanswered(messages []core.Message) []core.ToolCall {
	answered := map[string]bool{}
	for _, m := range slices.Backward(messages) {
		switch m.Role {
		case core.RoleTool:
			answered[m.ToolCallID] = true
			continue
		case core.RoleAssistant:
			return slices.DeleteFunc(slices.Clone(m.ToolCalls), func(c core.ToolCall) bool { return answered[c.ID] })
		}
		return nil
	}
	return nil
}

func callTools(s agents.State, open []core.ToolCall) agents.Action {
	out := agents.CallTools{}
	for _, c := range open {
		call := agents.Call{ToolCall: c}
		known := slices.ContainsFunc(s.Tools, func(t core.ToolSpec) bool { return t.Name == c.Name })
		n := repeats(s, c)
		switch {
		case !known:
			call.Refusal = fmt.Sprintf("there is no tool %q; the tools are: %s", c.Name, toolNames(s.Tools))
		case s.MaxRepeats > 0 && n > 2*s.MaxRepeats:
			return agents.Fail{Err: core.Errorf(core.CodeLimit, "the agent made the same call of %s %d times with the same arguments; it was stopped as a loop", c.Name, n)}
		case s.MaxRepeats > 0 && n > s.MaxRepeats:
			call.Refusal = fmt.Sprintf("this exact call was already made %d times; its result is above. Use it, or do something else.", n-1)
		}
		out.Calls = append(out.Calls, call)
	}
	return out
}

// repeats counts how often the turn has asked for exactly this call, this one included.
func repeats(s agents.State, c core.ToolCall) int {
	want := canonical(c.Arguments)
	n := 0
	for _, m := range slices.Backward(s.Messages) {
		if m.Index < s.Run.Turn.Message {
			break
		}
		for _, o := range m.ToolCalls {
			if o.Name == c.Name && bytes.Equal(canonical(o.Arguments), want) {
				n++
			}
		}
	}
	return n
}

// canonical is JSON with sorted keys and no white space; what is not JSON stays as it is.
func canonical(raw json.RawMessage) []byte {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return b
}

func toolNames(tools []core.ToolSpec) string {
	var b bytes.Buffer
	for i, t := range tools {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(t.Name)
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

func request(s agents.State) core.ModelRequest {
	d := s.Definition
	messages := make([]core.Message, 0, len(s.Messages)+1)
	messages = append(messages, core.Message{Role: core.RoleSystem, Text: d.Instructions})
	messages = append(messages, s.Messages...)
	if len(s.Run.Files) > 0 {
		messages[1+s.Run.InputMessage].Text += "\n\nAttached files, in the workspace: " + strings.Join(s.Run.Files, ", ")
	}
	return core.ModelRequest{
		Model:       d.Model,
		Messages:    messages,
		Tools:       s.Tools,
		Schema:      d.Output,
		MaxTokens:   d.MaxTokens,
		Temperature: d.Temperature,
	}
}

// follows says whether the answer is JSON that the schema accepts; no schema accepts everything.
func follows(output json.RawMessage, answer string) error {
	if len(output) == 0 {
		return nil
	}
	want, err := schema.Compile(output)
	if err != nil {
		return err
	}
	v, err := schema.Decode([]byte(answer))
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	return want.Validate(v)
}
