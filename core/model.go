package core

import "encoding/json"

// ModelRequest is one chat call in the project's own words; a provider translates it into its dialect.
type ModelRequest struct {
	Model       string // "provider/model", or the name of a route
	Messages    []Message
	Tools       []ToolSpec
	ToolChoice  string          // "" = the model decides; "required" = it must call one; otherwise the name of the tool that it must call
	Schema      json.RawMessage // optional JSON Schema that the final answer must follow
	MaxTokens   int             // 0 = the provider's default
	Temperature *float64
	Seed        *int64
	Stop        []string
}

// Delta is a piece of an answer while it streams. Attempt counts from 1; when it grows, text of the earlier
// attempt is void and a client drops it.
type Delta struct {
	Attempt int
	Text    string
}

// FinishReason says why a model stopped.
type FinishReason string

// The reasons.
const (
	FinishStop    FinishReason = "stop"
	FinishLength  FinishReason = "length"
	FinishTools   FinishReason = "tool_calls"
	FinishRefusal FinishReason = "content_filter"
)

// ModelResponse is the complete answer of one chat call.
type ModelResponse struct {
	Message  Message // role assistant: text, tool calls or both
	Finish   FinishReason
	Usage    Usage
	Model    string    // "provider/model" that answered
	Attempts []Attempt // every try that the gateway made, the last one last
}

// Model describes a model that can be called.
type Model struct {
	ID       string `json:"id"` // "provider/model" or a route's name
	Provider string `json:"provider"`
	Kind     string `json:"kind"`  // provider kind, "route" or "agent"
	State    string `json:"state"` // circuit breaker: closed | open | half_open; "" where unknown
	Loaded   bool   `json:"loaded"`
	Detail   string `json:"detail,omitempty"`
}
