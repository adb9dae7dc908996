// Package agents says what an agent is: a function from the state of a run to the next action. It does no I/O and has no
// clock: whoever executes the action records its outcome in the state, so that a run can go on from its record
// anywhere. The package also reads agent files, from an fs.FS that it is given.
package agents

import "github.com/sutazai/sutazai/core"

// Agent decides what a run does next. It must depend on the state alone: the same state gives the same action.
type Agent interface {
	Next(State) Action
}

// State is what has happened in a run so far.
type State struct {
	Definition core.Agent
	Run        core.RunRecord
	Messages   []core.Message
	Tools      []core.ToolSpec // what the agent may call; delegates included
	// MaxRepeats is how often one turn may make the same call with the same arguments.
	MaxRepeats int
}

// Action is what to do next: one of CallModel, CallTools, Finish, Fail.
type Action interface{ action() }

// CallModel asks the model for the next message.
type CallModel struct{ Request core.ModelRequest }

// CallTools makes the calls that the latest assistant message asks for and that have no result yet, side by side.
type CallTools struct{ Calls []Call }

// Call is one wanted tool call. Refusal, when set, is given to the model in place of a result, and nothing is called.
type Call struct {
	core.ToolCall
	Refusal string
}

// Finish ends the run with the message at the index as its answer.
type Finish struct{ Message int }

// Fail ends the run with an error.
type Fail struct{ Err *core.Error }

func (CallModel) action() {}
func (CallTools) action() {}
func (Finish) action()    {}
func (Fail) action()      {}

// DelegatePrefix starts the name of the tool by which an agent gives work to another.
const DelegatePrefix = "ask_agent_"

// DelegateSpec is the tool by which an agent gives work to another.
func DelegateSpec(to core.Agent) core.ToolSpec {
	return core.ToolSpec{
		Name:        DelegatePrefix + to.Name,
		Description: "Give a task to the agent " + to.Name + " and get its answer. " + to.Description,
		Parameters:  []byte(`{"type":"object","properties":{"task":{"type":"string","description":"The whole task; the agent sees nothing else."}},"required":["task"],"additionalProperties":false}`),
		Effect:      core.EffectIdempotent,
	}
}
