package core

import (
	"encoding/json"
	"strings"
	"time"
)

// AgentKind says who does an agent's work.
type AgentKind string

// The kinds. What they all have in common is their card, their runs, events and approvals.
const (
	AgentLLM     AgentKind = "llm"     // a language model with tools
	AgentRemote  AgentKind = "remote"  // a server that speaks A2A
	AgentProcess AgentKind = "process" // a program on this machine
	AgentHuman   AgentKind = "human"   // a person, or a queue of people
	AgentTeam    AgentKind = "team"    // other agents, in a fixed pattern
)

// Agent is a definition read from an agent file. A run keeps the version that it started with.
type Agent struct {
	Name         string          `json:"name"`
	Version      string          `json:"version"`        // first 12 hex digits of the file's SHA-256
	Kind         AgentKind       `json:"kind,omitempty"` // "" = llm
	Description  string          `json:"description"`
	Model        string          `json:"model"` // "provider/model" or a route's name
	Temperature  *float64        `json:"temperature,omitempty"`
	MaxTokens    int             `json:"max_tokens,omitempty"`
	Tools        []ToolGrant     `json:"tools"`
	Agents       []string        `json:"agents"`              // whom it may delegate to
	Handoffs     []string        `json:"handoffs,omitempty"`  // to whom it may hand the whole conversation
	Skills       []string        `json:"skills,omitempty"`    // folders of know-how that it may load
	Knowledge    []string        `json:"knowledge,omitempty"` // collections that it may search
	Limits       Limits          `json:"limits"`
	Output       json.RawMessage `json:"output,omitempty"` // JSON Schema of the answer
	Peer         string          `json:"peer,omitempty"`   // of kinds remote and process: its name in the settings
	Effect       Effect          `json:"effect,omitempty"` // of kinds remote and process: what a repeated turn would do to the world; "" = unsafe
	Queue        string          `json:"queue,omitempty"`  // of kind human: who is asked
	Team         *Team           `json:"team,omitempty"`   // of kind team
	Instructions string          `json:"instructions"`
}

// KindOf is the agent's kind, llm where it says none.
func (a Agent) KindOf() AgentKind {
	if a.Kind == "" {
		return AgentLLM
	}
	return a.Kind
}

// TeamPattern says how a team works.
type TeamPattern string

// The patterns.
const (
	TeamSequential TeamPattern = "sequential" // each member gets the answer of the one before
	TeamParallel   TeamPattern = "parallel"   // all get the task; the answers are put together
	TeamGroup      TeamPattern = "group"      // a chooser says who speaks next, until the task is done
	TeamDebate     TeamPattern = "debate"     // all answer, read the others' answers and answer again; then a judge decides
	TeamVote       TeamPattern = "vote"       // all answer with one of the choices; the majority wins
)

// Team is how several agents work on one task.
type Team struct {
	Pattern TeamPattern `json:"pattern"`
	Members []string    `json:"members"`
	Rounds  int         `json:"rounds,omitempty"`  // of group (turns) and debate; 0 = the pattern's default
	Choices []string    `json:"choices,omitempty"` // of vote
}

// ToolGrant gives an agent a tool, and says when a person must approve its calls.
type ToolGrant struct {
	Name     string         `json:"name"`
	Approval ApprovalPolicy `json:"approval"`
}

// Limits bound a run. Zero means the configured default.
type Limits struct {
	Steps        int           `json:"steps,omitempty"`
	Tokens       int64         `json:"tokens,omitempty"`
	CostMicroUSD int64         `json:"cost_micro_usd,omitempty"`
	Time         time.Duration `json:"time,omitempty"` // running time; waiting for people or outages is not counted
	Depth        int           `json:"depth,omitempty"`
}

// Or returns the limits with every zero field taken from d.
func (l Limits) Or(d Limits) Limits {
	if l.Steps == 0 {
		l.Steps = d.Steps
	}
	if l.Tokens == 0 {
		l.Tokens = d.Tokens
	}
	if l.CostMicroUSD == 0 {
		l.CostMicroUSD = d.CostMicroUSD
	}
	if l.Time == 0 {
		l.Time = d.Time
	}
	if l.Depth == 0 {
		l.Depth = d.Depth
	}
	return l
}

// Grant returns the agent's grant of the named tool: the one that names it, or else the one of its whole server.
func (a Agent) Grant(tool string) (ToolGrant, bool) {
	server, _, ofServer := strings.Cut(tool, ".")
	var whole ToolGrant
	found := false
	for _, g := range a.Tools {
		switch {
		case g.Name == tool:
			return g, true
		case ofServer && g.Name == server+".*":
			whole, found = g, true
		}
	}
	return whole, found
}
