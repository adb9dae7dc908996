package core

import (
	"encoding/json"
	"time"
)

// Role says who speaks in a message.
type Role string

// The roles, as in the chat protocols.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleTool      Role = "tool"
)

// Message is one entry of a conversation. It is stored once; steps and events refer to it by its index in the run.
type Message struct {
	Index      int        `json:"index"`
	Role       Role       `json:"role"`
	Text       string     `json:"text"`
	Parts      []Part     `json:"-"`                      // the whole content in order where it is more than text; stored messages of runs have none
	ToolCalls  []ToolCall `json:"tool_calls,omitempty"`   // what an assistant asks for
	ToolCallID string     `json:"tool_call_id,omitempty"` // which call a tool message answers
	IsError    bool       `json:"is_error,omitempty"`     // the tool failed; the text says why
	SummaryTo  int        `json:"summary_to,omitempty"`   // of a system message that sums up the conversation: index of the last message in it
	CreatedAt  time.Time  `json:"created_at"`
}

// ToolCall is a model's wish to call a tool. Arguments is a JSON object.
type ToolCall struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}
