// Package human is the agent that a person is, or a queue of people: the task is a question to them, and what they answer
// is the answer. It decides only; it calls nothing.
package human

import (
	"encoding/json"
	"fmt"

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
		return agents.Make(open)
	}
	last := s.Last()
	switch {
	case last.Role == core.RoleAssistant:
		return s.Answer()
	case last.Role == core.RoleTool && last.IsError:
		return agents.Fail{Err: core.Errorf(core.CodeRefused, "nobody took the task on: %s", last.Text)}
	case last.Role == core.RoleTool:
		return agents.Say{Message: core.Message{Text: last.Text}}
	}
	question := last.Text
	if s.Definition.Instructions != "" {
		question = s.Definition.Instructions + "\n\n" + question
	}
	arguments, err := json.Marshal(map[string]string{"question": question})
	if err != nil {
		return agents.Fail{Err: core.Wrap(core.CodeInternal, err, "the task cannot be put as a question")}
	}
	id := fmt.Sprintf("ask_%d", last.Index)
	return agents.Say{Message: core.Message{ToolCalls: []core.ToolCall{{ID: id, Name: agents.AskUser, Arguments: arguments}}}}
}
