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
	// Skills are those that the agent may load.
	Skills []core.Skill
	// Guide is what the workspace's AGENTS.md says; "" where there is none.
	Guide string
	// Room is how many bytes of conversation fit the model; 0 = not known, and nothing is left out.
	Room int
}

// Action is what to do next: one of CallModel, Compact, CallTools, CallPeer, Say, Finish, Fail.
type Action interface{ action() }

// CallModel asks the model for the next message.
type CallModel struct{ Request core.ModelRequest }

// Compact asks the model to sum up the conversation up to the message at the index To. The summary is recorded as a system
// message, and stands for those messages in later requests.
type Compact struct {
	Request core.ModelRequest
	To      int
}

// CallTools makes the calls that the latest assistant message asks for and that have no result yet, side by side.
type CallTools struct{ Calls []Call }

// Call is one wanted tool call. Refusal, when set, is given to the model in place of a result, and nothing is called.
type Call struct {
	core.ToolCall
	Refusal string
}

// CallPeer gives the agent that runs elsewhere a turn. Its answer is recorded as an assistant message; when it needs to
// know something first, as a call of AskUser.
type CallPeer struct{ Text string }

// Say records a message of the assistant that no model wrote: the calls that a pattern demands, or an answer put together
// from others.
type Say struct{ Message core.Message }

// Finish ends the run with the message at the index as its answer.
type Finish struct{ Message int }

// Fail ends the run with an error.
type Fail struct{ Err *core.Error }

func (CallModel) action() {}
func (Compact) action()   {}
func (CallTools) action() {}
func (CallPeer) action()  {}
func (Say) action()       {}
func (Finish) action()    {}
func (Fail) action()      {}

// Names of tools that the orchestrator answers itself.
const (
	// AskUser is the tool whose call is a question to a person.
	AskUser = "ask_user"
	// LoadSkill is the tool that loads a skill; an agent with skills has it.
	LoadSkill = "load_skill"
	// Recall is the tool that reads what was left out of a long conversation.
	Recall = "recall"
	// DelegatePrefix starts the name of the tool by which an agent gives work to another.
	DelegatePrefix = "ask_agent_"
	// HandoffPrefix starts the name of the tool by which an agent gives the whole conversation to another.
	HandoffPrefix = "hand_off_to_"
)

// DelegateSpec is the tool by which an agent gives work to another.
func DelegateSpec(to core.Agent) core.ToolSpec {
	return core.ToolSpec{
		Name:        DelegatePrefix + to.Name,
		Description: "Give a task to the agent " + to.Name + " and get its answer. " + to.Description,
		Parameters:  []byte(`{"type":"object","properties":{"task":{"type":"string","description":"The whole task; the agent sees nothing else."}},"required":["task"],"additionalProperties":false}`),
		Effect:      core.EffectIdempotent,
	}
}

// HandoffSpec is the tool by which an agent gives the whole conversation to another.
func HandoffSpec(to core.Agent) core.ToolSpec {
	return core.ToolSpec{
		Name:        HandoffPrefix + to.Name,
		Description: "Hand the whole conversation over to the agent " + to.Name + ", which answers the user from now on. " + to.Description,
		Parameters:  []byte(`{"type":"object","properties":{"note":{"type":"string","description":"What the agent should know besides the conversation."}},"additionalProperties":false}`),
		Effect:      core.EffectIdempotent,
	}
}

// RecallSpec is the tool that reads a message again of which the model sees a part or a summary.
func RecallSpec() core.ToolSpec {
	return core.ToolSpec{
		Name:        Recall,
		Description: "Read a message of this conversation again that was shortened or summed up.",
		Parameters:  []byte(`{"type":"object","properties":{"message":{"type":"integer","minimum":0,"description":"Number of the message."},"from":{"type":"integer","minimum":0,"description":"First character to read; 0 if left out."}},"required":["message"],"additionalProperties":false}`),
		Effect:      core.EffectReadOnly,
	}
}
