// Package llm is the agent that a language model drives: ask the model, make the calls it wants, ask again, until it
// answers. It decides only; it calls nothing. What no longer fits the model is shortened, then summed up.
package llm

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// Agent implements agents.Agent.
type Agent struct{}

// Next implements agents.Agent.
func (Agent) Next(s agents.State) agents.Action {
	if err := s.Exceeded(); err != nil {
		return agents.Fail{Err: err}
	}
	if open := s.Unanswered(); len(open) > 0 {
		return s.Refuse(open)
	}
	last := s.Last()
	switch {
	case last.Role == core.RoleTool:
		if answer, ok := handedOff(s.Turn()); ok {
			return agents.Say{Message: core.Message{Text: answer}}
		}
	case last.Role == core.RoleUser:
		if call, ok := stays(s); ok {
			return agents.Say{Message: core.Message{ToolCalls: []core.ToolCall{call}}}
		}
	case last.Role == core.RoleAssistant:
		return s.Answer()
	}
	return ask(s)
}

// handedOff is the answer of the agent to which the conversation went, if the latest calls handed it over.
func handedOff(turn []core.Message) (answer string, ok bool) {
	results := map[string]core.Message{}
	for _, m := range slices.Backward(turn) {
		if m.Role == core.RoleTool {
			results[m.ToolCallID] = m
			continue
		}
		for _, c := range m.ToolCalls {
			if r, made := results[c.ID]; made && !r.IsError && strings.HasPrefix(c.Name, agents.HandoffPrefix) {
				return r.Text, true
			}
		}
		return "", false
	}
	return "", false
}

// stays is the call that gives a further message to the agent to which the turn before handed the conversation over.
func stays(s agents.State) (core.ToolCall, bool) {
	var call core.ToolCall
	for _, m := range s.Messages {
		switch {
		case m.Role == core.RoleUser && m.Index != s.Last().Index:
			call = core.ToolCall{}
		case m.Role == core.RoleAssistant:
			for _, c := range m.ToolCalls {
				if strings.HasPrefix(c.Name, agents.HandoffPrefix) {
					call = c
				}
			}
		case m.Role == core.RoleTool && m.ToolCallID == call.ID && m.IsError:
			call = core.ToolCall{}
		}
	}
	there := slices.ContainsFunc(s.Tools, func(t core.ToolSpec) bool { return t.Name == call.Name })
	return core.ToolCall{ID: "again_" + call.ID, Name: call.Name, Arguments: json.RawMessage("{}")}, call.Name != "" && there
}

// ask asks the model for the next message, or first for a summary where the conversation has no room.
func ask(s agents.State) agents.Action {
	view := viewOf(s)
	if s.Room > 0 && size(view.messages) > s.Room {
		view.shorten()
	}
	if s.Room > 0 && size(view.messages) > s.Room {
		if c, ok := compact(s); ok {
			return c
		}
		view.cut(s.Room)
	}
	d := s.Definition
	tools := s.Tools
	if view.partial {
		tools = append(slices.Clip(tools), agents.RecallSpec())
	}
	return agents.CallModel{Request: core.ModelRequest{
		Model:       d.Model,
		Messages:    append(before(s), view.messages...),
		Tools:       tools,
		Schema:      d.Output,
		MaxTokens:   d.MaxTokens,
		Temperature: d.Temperature,
	}}
}

// before is what stands before the conversation, in a fixed order and the same in every call of a run, so that a provider's
// cache of prompts holds: the instructions, the skills, the workspace's AGENTS.md.
func before(s agents.State) []core.Message {
	text := s.Definition.Instructions
	if len(s.Skills) > 0 {
		var b strings.Builder
		b.WriteString("\n\nYou have skills. When a task is what one of them is for, load it with " + agents.LoadSkill + " first and follow it:\n")
		for _, skill := range s.Skills {
			b.WriteString("- " + skill.Name + ": " + skill.Description + "\n")
		}
		text += strings.TrimRight(b.String(), "\n")
	}
	out := []core.Message{{Role: core.RoleSystem, Text: text}}
	if s.Guide != "" {
		out = append(out, core.Message{Role: core.RoleUser, Text: "[AGENTS.md of the workspace, which says how to work in it:]\n" + s.Guide})
	}
	return out
}
