package agents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
)

// Last is the latest message that is no summary.
func (s State) Last() core.Message {
	for _, m := range slices.Backward(s.Messages) {
		if m.SummaryTo == 0 {
			return m
		}
	}
	return core.Message{}
}

// Turn is what came since the user's latest message, which it begins with; without summaries.
func (s State) Turn() []core.Message {
	var out []core.Message
	for _, m := range s.Messages {
		if m.Role == core.RoleUser {
			out = out[:0]
		}
		if m.SummaryTo == 0 {
			out = append(out, m)
		}
	}
	return out
}

// Exceeded checks the limits, which count from the user's latest message. An answer that is there is not thrown away.
func (s State) Exceeded() *core.Error {
	r, l, base := s.Run, s.Run.Limits, s.Run.Turn
	if last := s.Last(); last.Role == core.RoleAssistant && len(last.ToolCalls) == 0 {
		return nil
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

// Unanswered lists the calls of the latest assistant message that have no tool message yet.
func (s State) Unanswered() []core.ToolCall {
	answered := map[string]bool{}
	for _, m := range slices.Backward(s.Messages) {
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

// Make makes calls as they are.
func Make(calls []core.ToolCall) CallTools {
	out := CallTools{Calls: make([]Call, len(calls))}
	for i, c := range calls {
		out.Calls[i].ToolCall = c
	}
	return out
}

// Answer ends the run with the latest message, if it is what the agent's output schema asks for.
func (s State) Answer() Action {
	last := s.Last()
	if err := follows(s.Definition.Output, last.Text); err != nil {
		return Fail{Err: core.Errorf(core.CodeRefused, "the answer does not follow the agent's output schema: %v", err)}
	}
	return Finish{Message: last.Index}
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

// Canonical is JSON with sorted keys and no white space, so that the same arguments are the same bytes; what is not JSON
// stays as it is.
func Canonical(raw json.RawMessage) []byte {
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

// Refuse says why calls may not be made: tools that are not there, and calls that were made often enough. A call that is
// made again and again in spite of that ends the run.
func (s State) Refuse(open []core.ToolCall) Action {
	out := Make(open)
	for i, c := range open {
		known := c.Name == Recall || slices.ContainsFunc(s.Tools, func(t core.ToolSpec) bool { return t.Name == c.Name })
		n := s.repeats(c)
		switch {
		case !known:
			out.Calls[i].Refusal = fmt.Sprintf("there is no tool %q; the tools are: %s", c.Name, toolNames(s.Tools))
		case s.MaxRepeats > 0 && n > 2*s.MaxRepeats:
			return Fail{Err: core.Errorf(core.CodeLimit, "the agent made the same call of %s %d times with the same arguments; it was stopped as a loop", c.Name, n)}
		case s.MaxRepeats > 0 && n > s.MaxRepeats:
			out.Calls[i].Refusal = fmt.Sprintf("this exact call was already made %d times; its result is above. Use it, or do something else.", n-1)
		}
	}
	return out
}

// repeats counts how often the turn has asked for exactly this call, this one included.
func (s State) repeats(c core.ToolCall) int {
	want := Canonical(c.Arguments)
	n := 0
	for _, m := range slices.Backward(s.Messages) {
		if m.Index < s.Run.Turn.Message {
			break
		}
		for _, o := range m.ToolCalls {
			if o.Name == c.Name && bytes.Equal(Canonical(o.Arguments), want) {
				n++
			}
		}
	}
	return n
}

func toolNames(tools []core.ToolSpec) string {
	if len(tools) == 0 {
		return "none"
	}
	names := make([]string, len(tools))
	for i, t := range tools {
		names[i] = t.Name
	}
	return strings.Join(names, ", ")
}
