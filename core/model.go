package core

import (
	"encoding/json"
	"time"
)

// ModelRequest is one chat call in the project's own words; a provider translates it into its dialect.
type ModelRequest struct {
	Model        string // "provider/model", or the name of a route
	Messages     []Message
	Tools        []ToolSpec
	ToolChoice   string          // "" = the model decides; "none"; "required" = it must call one; otherwise the name of the tool that it must call
	OneTool      bool            // at most one tool call in an answer
	Schema       json.RawMessage // optional JSON Schema that the final answer must follow
	SchemaName   string          // the client's name for Schema; "" = a provider that needs one says "answer"
	JSONObject   bool            // without Schema: the answer must be some JSON object
	MaxTokens    int             // of the answer; 0 = the provider's default
	Temperature  *float64
	TopP         *float64
	TopK         *int
	Presence     *float64 // presence and frequency penalties, -2 to 2
	Frequency    *float64
	Seed         *int64
	Stop         []string
	Reasoning    string            // effort: "" = the provider's default; none | minimal | low | medium | high
	ReasoningMax int               // tokens that the model may think; 0 = the provider's default
	User         string            // the client's own word for its end user
	Metadata     map[string]string // the client's own notes on the call, which providers keep with its account
	ServiceTier  string            // how fast and dear: "" and auto = as the provider's account says; default | flex | priority
	Verbosity    string            // how long answers are: "" = the model's default; low | medium | high
	Caller       Caller
	Session      string // what keeps a conversation at one target: a client's own id of it; "" = derived from its beginning
	CostLimit    int64  // millionths of a US dollar that this call may cost; 0 = no limit of its own
}

// Caller is for whom a model is called. Budgets, usage and limits count by it; empty fields do not apply.
type Caller struct {
	Project string // of the key, "default" where it has none
	Key     string // id of the API key
	Actor   string // as in the audit log: "key:<id>", "user:<name>", "socket"
	Agent   string
	Run     string
}

// Delta is a piece of an answer while it streams: text, reasoning or both. Attempt counts from 1; when it grows, what
// earlier attempts wrote is void and a client drops it.
type Delta struct {
	Attempt   int
	Text      string
	Reasoning string
	Signature string // ends a piece of reasoning: the Part.Signature that it will have; "" where the provider signs none
}

// EmbedRequest asks for the vectors of texts.
type EmbedRequest struct {
	Model        string // "provider/model", or the name of a route
	Inputs       []string
	Dimensions   int // 0 = the model's own
	User         string
	Caller       Caller
	CacheControl string // of the header X-SutazAI-Cache-Control
}

// EmbedResponse holds a vector for each input, in their order.
type EmbedResponse struct {
	Vectors [][]float32
	Usage   Usage
	Model   string // "provider/model" that answered
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
	StopText string // the stop sequence that ended the answer, where the provider tells
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

// ModelHealth is how a target of the gateway has done since the server started.
type ModelHealth struct {
	Target              string     `json:"target"` // "provider/model"
	Provider            string     `json:"provider"`
	Kind                string     `json:"kind"`
	State               string     `json:"state"` // circuit breaker: closed | open | half_open
	NextProbe           *time.Time `json:"next_probe"`
	Calls               int64      `json:"calls"`
	Failures            int64      `json:"failures"`
	FirstWordMS         float64    `json:"first_word_ms"` // moving average; 0 = not known
	CostUSD             float64    `json:"cost_usd"`
	InputUSDPerMillion  float64    `json:"input_usd_per_million"`
	OutputUSDPerMillion float64    `json:"output_usd_per_million"`
	InFlight            int        `json:"in_flight"` // calls of the provider
	Waiting             int        `json:"waiting"`
	Limit               int        `json:"limit"`
	LastError           string     `json:"last_error"`
	LastErrorAt         *time.Time `json:"last_error_at"`
	Routes              []string   `json:"routes"` // that may choose it
}

// ModelRoute is how a route chooses among its targets.
type ModelRoute struct {
	Name       string             `json:"name"`
	Strategy   string             `json:"strategy"`
	Targets    []ModelRouteTarget `json:"targets"`
	Fallback   []string           `json:"fallback"`
	Sticky     bool               `json:"sticky"`
	HedgeMS    int64              `json:"hedge_ms"`
	Cache      string             `json:"cache"`
	Guardrails []string           `json:"guardrails"`
}

// ModelRouteTarget is one target of a route.
type ModelRouteTarget struct {
	Target string `json:"target"`
	Weight int    `json:"weight"`
	State  string `json:"state"` // circuit breaker; "" = not called yet
}
