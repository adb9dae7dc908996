package core

import "encoding/json"

// Effect says what a repeated call of a tool would do to the world.
type Effect string

// The effects. A read-only call may be repeated freely, an idempotent one under the same key; an unsafe one is
// journalled before it is made and never silently repeated.
const (
	EffectReadOnly   Effect = "read_only"
	EffectIdempotent Effect = "idempotent"
	EffectUnsafe     Effect = "unsafe"
)

// ApprovalPolicy says when a person must approve a call before it is made.
type ApprovalPolicy string

// The policies. "unsafe" (the default) asks only after a crash interrupted an unsafe call.
const (
	ApprovalNever  ApprovalPolicy = "never"
	ApprovalAlways ApprovalPolicy = "always"
	ApprovalUnsafe ApprovalPolicy = "unsafe"
)

// ToolSpec is what a model and a person see of a tool. Parameters is a JSON Schema of type object.
type ToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Effect      Effect          `json:"effect"`
	Flow        Flow            `json:"flow,omitempty"`
	Strict      bool            `json:"-"` // a client's wish: what the model calls it with follows Parameters to the letter
}

// Flow says what a tool lets through, as bits. A run that has seen private data and content that strangers may have written
// does not call what sends data out without a person's approval: such content can hold instructions to steal the data.
type Flow int

// The bits.
const (
	FlowPrivate   Flow = 1 << iota // its results hold data that must not leave
	FlowUntrusted                  // its results hold what strangers may have written
	FlowEgress                     // its arguments leave for somewhere that the agent chooses
)

// Has says whether every bit of f is set.
func (w Flow) Has(f Flow) bool { return w&f == f }

// ToolInvocation is one call of a tool, made for a step of a run. IdempotencyKey is "run:step" and the same in every attempt.
type ToolInvocation struct {
	Run            string
	Name           string
	Arguments      json.RawMessage
	IdempotencyKey string
	Workspace      string   // name of the workspace whose files the call may touch: the id of the root run
	Caller         Caller   // for whom; names whose credentials are used
	Skills         []string // that the agent may load
}

// ToolResult is what a tool answers. Text goes to the model; IsError tells it that the call failed.
type ToolResult struct {
	Text    string `json:"text"`
	IsError bool   `json:"is_error"`
	Unknown bool   `json:"-"` // the call was cut off; it may or may not have had its effect
}
