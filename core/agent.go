package core

import (
	"encoding/json"
	"time"
)

// Agent is a definition read from an agent file. A run keeps the version that it started with.
type Agent struct {
	Name         string          `json:"name"`
	Version      string          `json:"version"` // first 12 hex digits of the file's SHA-256
	Description  string          `json:"description"`
	Model        string          `json:"model"` // "provider/model" or a route's name
	Temperature  *float64        `json:"temperature,omitempty"`
	MaxTokens    int             `json:"max_tokens,omitempty"`
	Tools        []ToolGrant     `json:"tools"`
	Agents       []string        `json:"agents"`              // whom it may delegate to
	Knowledge    []string        `json:"knowledge,omitempty"` // collections that it may search
	Limits       Limits          `json:"limits"`
	Output       json.RawMessage `json:"output,omitempty"` // JSON Schema of the answer
	Instructions string          `json:"instructions"`
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

// Grant returns the agent's grant of the named tool.
func (a Agent) Grant(tool string) (ToolGrant, bool) {
	for _, g := range a.Tools {
		if g.Name == tool {
			return g, true
		}
	}
	return ToolGrant{}, false
}
