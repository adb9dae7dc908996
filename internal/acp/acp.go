// Package acp has the words of the Agent Client Protocol, version 1: the messages as far as SutazAI speaks them, in both of
// its roles. It owns their form and how what is wrong in them is told; it must not know what is done with them.
package acp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// Version is the protocol version that is spoken.
const Version = 1

// Methods of agents.
const (
	Initialize   = "initialize"
	Authenticate = "authenticate"
	NewSession   = "session/new"
	LoadSession  = "session/load"
	Resume       = "session/resume"
	Prompt       = "session/prompt"
	Cancel       = "session/cancel" // a notification
)

// Methods of clients.
const (
	Update            = "session/update" // a notification
	RequestPermission = "session/request_permission"
	ReadTextFile      = "fs/read_text_file"
	WriteTextFile     = "fs/write_text_file"
	CreateTerminal    = "terminal/create"
	TerminalOutput    = "terminal/output"
	WaitForExit       = "terminal/wait_for_exit"
	KillTerminal      = "terminal/kill"
	ReleaseTerminal   = "terminal/release"
)

// Codes of errors that the protocol adds.
const (
	AuthRequired = -32000
	NotFound     = -32002
)

// Why a turn ended.
const (
	StopEndTurn   = "end_turn"
	StopMaxTokens = "max_tokens"
	StopMaxTurns  = "max_turn_requests"
	StopRefusal   = "refusal"
	StopCancelled = "cancelled"
)

// InitializeRequest begins a connection.
type InitializeRequest struct {
	ProtocolVersion    *int               `json:"protocolVersion"`
	ClientCapabilities ClientCapabilities `json:"clientCapabilities"`
	ClientInfo         *Implementation    `json:"clientInfo,omitempty"`
}

// ClientCapabilities is what a client does for its agent.
type ClientCapabilities struct {
	FS struct {
		ReadTextFile  bool `json:"readTextFile"`
		WriteTextFile bool `json:"writeTextFile"`
	} `json:"fs"`
	Terminal bool `json:"terminal"`
}

// Implementation names a program.
type Implementation struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"`
	Version string `json:"version"`
}

// InitializeResponse is what an agent can do.
type InitializeResponse struct {
	ProtocolVersion   *int              `json:"protocolVersion"`
	AgentCapabilities AgentCapabilities `json:"agentCapabilities"`
	AgentInfo         *Implementation   `json:"agentInfo,omitempty"`
	AuthMethods       []AuthMethod      `json:"authMethods"`
}

// AgentCapabilities is what an agent can do beyond the least.
type AgentCapabilities struct {
	LoadSession        bool `json:"loadSession"`
	PromptCapabilities struct {
		Image           bool `json:"image"`
		Audio           bool `json:"audio"`
		EmbeddedContext bool `json:"embeddedContext"`
	} `json:"promptCapabilities"`
	SessionCapabilities struct {
		Resume *struct{} `json:"resume,omitempty"`
	} `json:"sessionCapabilities"`
}

// AuthMethod is a way to log in.
type AuthMethod struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// AuthenticateRequest logs in.
type AuthenticateRequest struct {
	MethodID string `json:"methodId"`
}

// SessionRequest makes a session, or takes one up again (with its id).
type SessionRequest struct {
	SessionID  string `json:"sessionId,omitempty"`
	Cwd        string `json:"cwd"`
	MCPServers []any  `json:"mcpServers"`
}

// NewSessionResponse names the new session.
type NewSessionResponse struct {
	SessionID string `json:"sessionId"`
}

// PromptRequest is the user's message.
type PromptRequest struct {
	SessionID string         `json:"sessionId"`
	Prompt    []ContentBlock `json:"prompt"`
}

// PromptResponse ends a turn. Usage is not in the protocol's stable part.
type PromptResponse struct {
	StopReason string `json:"stopReason"`
	Usage      *Usage `json:"usage,omitempty"`
}

// Usage counts tokens.
type Usage struct {
	InputTokens  int64 `json:"inputTokens"`
	OutputTokens int64 `json:"outputTokens"`
	TotalTokens  int64 `json:"totalTokens"`
}

// CancelNotification stops a turn.
type CancelNotification struct {
	SessionID string `json:"sessionId"`
}

// ContentBlock is a piece of a message. Which fields are set follows from Type: text, image, audio, resource_link, resource.
type ContentBlock struct {
	Type     string    `json:"type"`
	Text     *string   `json:"text,omitempty"`
	URI      string    `json:"uri,omitempty"`
	Name     string    `json:"name,omitempty"`
	MimeType *string   `json:"mimeType,omitempty"`
	Data     *string   `json:"data,omitempty"`
	Resource *Resource `json:"resource,omitempty"`
}

// Resource is a file that is sent along. Text or Blob (base64) is set.
type Resource struct {
	URI      string  `json:"uri"`
	MimeType *string `json:"mimeType,omitempty"`
	Text     *string `json:"text,omitempty"`
	Blob     *string `json:"blob,omitempty"`
}

// TextBlock is a piece of text.
func TextBlock(text string) ContentBlock { return ContentBlock{Type: "text", Text: &text} }

// Check says what is missing, at the field named at.
func (b ContentBlock) Check(at string) error {
	switch b.Type {
	case "":
		return jsonrpc.Wrong(at+".type", "is missing")
	case "text":
		if b.Text == nil {
			return jsonrpc.Wrong(at+".text", "is missing")
		}
	case "resource_link":
		if b.URI == "" {
			return jsonrpc.Wrong(at+".uri", "is missing")
		}
	case "resource":
		switch {
		case b.Resource == nil:
			return jsonrpc.Wrong(at+".resource", "is missing")
		case b.Resource.URI == "":
			return jsonrpc.Wrong(at+".resource.uri", "is missing")
		case b.Resource.Text == nil && b.Resource.Blob == nil:
			return jsonrpc.Wrong(at+".resource.text", "is missing, and there is no blob either")
		}
	case "image", "audio":
		if b.Data == nil {
			return jsonrpc.Wrong(at+".data", "is missing")
		}
	default:
		return jsonrpc.Wrong(at+".type", "must be text, image, audio, resource_link or resource")
	}
	return nil
}

// SessionNotification tells what happens in a session.
type SessionNotification struct {
	SessionID string        `json:"sessionId"`
	Update    SessionUpdate `json:"update"`
}

// Kinds of updates.
const (
	UserChunk      = "user_message_chunk"
	AgentChunk     = "agent_message_chunk"
	ThoughtChunk   = "agent_thought_chunk"
	ToolCallNew    = "tool_call"
	ToolCallUpdate = "tool_call_update"
	PlanUpdate     = "plan"
)

// SessionUpdate is one thing that happened. Which fields are set follows from Kind; kinds that are not named above are
// carried without them.
type SessionUpdate struct {
	Kind string `json:"sessionUpdate"`
	// Content of a chunk is a ContentBlock; that of a tool call is a list.
	Content  json.RawMessage `json:"content,omitempty"`
	ToolID   string          `json:"toolCallId,omitempty"`
	Title    *string         `json:"title,omitempty"`
	ToolKind *string         `json:"kind,omitempty"`
	Status   *string         `json:"status,omitempty"`
	RawInput json.RawMessage `json:"rawInput,omitempty"`
	Entries  []PlanEntry     `json:"entries,omitempty"`
}

// PlanEntry is a step that the agent means to take.
type PlanEntry struct {
	Content  string `json:"content"`
	Priority string `json:"priority"`
	Status   string `json:"status"`
}

// ToolCall is a call that waits for permission, with what it would change.
type ToolCall struct {
	ID        string            `json:"toolCallId"`
	Title     *string           `json:"title,omitempty"`
	Kind      *string           `json:"kind,omitempty"`
	Status    *string           `json:"status,omitempty"`
	RawInput  json.RawMessage   `json:"rawInput,omitempty"`
	Locations []Location        `json:"locations,omitempty"`
	Content   []json.RawMessage `json:"content,omitempty"`
}

// Location is a place in a file.
type Location struct {
	Path string `json:"path"`
	Line *int   `json:"line,omitempty"`
}

// Chunk reads the content of a chunk.
func (u SessionUpdate) Chunk(at string) (ContentBlock, error) {
	var b ContentBlock
	if err := jsonrpc.Decode(at+".content", u.Content, &b); err != nil {
		return b, err
	}
	return b, b.Check(at + ".content")
}

// Check says what is missing, at the field named at.
func (u SessionUpdate) Check(at string) error {
	switch u.Kind {
	case "":
		return jsonrpc.Wrong(at+".sessionUpdate", "is missing")
	case ToolCallNew:
		if u.Title == nil {
			return jsonrpc.Wrong(at+".title", "is missing")
		}
		fallthrough
	case ToolCallUpdate:
		if u.ToolID == "" {
			return jsonrpc.Wrong(at+".toolCallId", "is missing")
		}
		return checkStatus(u.Status, at)
	case PlanUpdate:
		if u.Entries == nil {
			return jsonrpc.Wrong(at+".entries", "is missing")
		}
	}
	return nil
}

func checkStatus(status *string, at string) error {
	statuses := []string{"pending", "in_progress", "completed", "failed"}
	if status != nil && !slices.Contains(statuses, *status) {
		return jsonrpc.Wrong(at+".status", "must be "+strings.Join(statuses, ", "))
	}
	return nil
}

// PermissionRequest asks whether a tool may be used.
type PermissionRequest struct {
	SessionID string             `json:"sessionId"`
	ToolCall  ToolCall           `json:"toolCall"`
	Options   []PermissionOption `json:"options"`
}

// PermissionOption is one of the possible decisions.
type PermissionOption struct {
	ID   string `json:"optionId"`
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// Kinds of options.
const (
	AllowOnce    = "allow_once"
	AllowAlways  = "allow_always"
	RejectOnce   = "reject_once"
	RejectAlways = "reject_always"
)

// Check says what is missing, at the field named at.
func (r PermissionRequest) Check(at string) error {
	switch {
	case r.SessionID == "":
		return jsonrpc.Wrong(at+".sessionId", "is missing")
	case r.ToolCall.ID == "":
		return jsonrpc.Wrong(at+".toolCall.toolCallId", "is missing")
	case len(r.Options) == 0:
		return jsonrpc.Wrong(at+".options", "must have at least one")
	}
	for i, o := range r.Options {
		if o.ID == "" {
			return jsonrpc.Wrong(fmt.Sprintf("%s.options.%d.optionId", at, i), "is missing")
		}
		if !slices.Contains([]string{AllowOnce, AllowAlways, RejectOnce, RejectAlways}, o.Kind) {
			return jsonrpc.Wrong(fmt.Sprintf("%s.options.%d.kind", at, i), "must be allow_once, allow_always, reject_once or reject_always")
		}
	}
	return checkStatus(r.ToolCall.Status, at+".toolCall")
}

// PermissionResponse is the decision.
type PermissionResponse struct {
	Outcome PermissionOutcome `json:"outcome"`
}

// PermissionOutcome is "selected" with an option, or "cancelled".
type PermissionOutcome struct {
	Outcome  string `json:"outcome"`
	OptionID string `json:"optionId,omitempty"`
}

// Selected is the decision for an option.
func Selected(option string) PermissionResponse {
	return PermissionResponse{PermissionOutcome{Outcome: "selected", OptionID: option}}
}

// Cancelled is the decision when the turn has been stopped.
func Cancelled() PermissionResponse {
	return PermissionResponse{PermissionOutcome{Outcome: "cancelled"}}
}

// ReadRequest asks for a text file. Line is counted from 1.
type ReadRequest struct {
	SessionID string `json:"sessionId"`
	Path      string `json:"path"`
	Line      *int   `json:"line,omitempty"`
	Limit     *int   `json:"limit,omitempty"`
}

// ReadResponse is its content.
type ReadResponse struct {
	Content string `json:"content"`
}

// WriteRequest writes a text file.
type WriteRequest struct {
	SessionID string  `json:"sessionId"`
	Path      string  `json:"path"`
	Content   *string `json:"content"`
}
