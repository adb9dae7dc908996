package core

import (
	"encoding/json"
	"time"
)

// MCPServer is a server of tools that agents may call, with how it does.
type MCPServer struct {
	Name      string       `json:"name"`
	Transport string       `json:"transport"` // stdio | http
	State     ServiceState `json:"state"`
	Detail    string       `json:"detail"`
	Since     time.Time    `json:"since"`
	Restarts  int          `json:"restarts"` // connections that were lost and made again
	Software  string       `json:"software"` // what it says it is; "" = not known yet
	Protocol  string       `json:"protocol"` // version that was agreed on
	Pin       string       `json:"pin"`      // approve | warn | off
	Auth      string       `json:"auth"`     // none | bearer | oauth
	Per       string       `json:"per"`      // whose credentials are used: server | project | user
	Login     string       `json:"login"`    // of the caller: "" (needs none) | needed | done
	Usable    int          `json:"usable"`   // tools that agents can call
	Pending   int          `json:"pending"`  // tools that wait for an administrator
}

// MCPServerDetails is a server with its tools.
type MCPServerDetails struct {
	MCPServer
	Tools    []MCPTool `json:"tools"`
	Problems []string  `json:"problems"` // why tools that it offers are left out
}

// MCPToolState says whether a tool can be called.
type MCPToolState string

// The states.
const (
	MCPToolUsable  MCPToolState = "usable"
	MCPToolNew     MCPToolState = "new"     // nobody has approved it yet
	MCPToolChanged MCPToolState = "changed" // its description is not the approved one
	MCPToolMissing MCPToolState = "missing" // it was approved, and the server no longer offers it
	MCPToolDenied  MCPToolState = "denied"  // the settings leave it out
)

// MCPTool is a tool of a server as people see it. Hash names the description that the server gives now; approving takes it,
// so that nothing else is approved than what was looked at.
type MCPTool struct {
	Name        string       `json:"name"` // as agents call it: server.tool
	State       MCPToolState `json:"state"`
	Effect      Effect       `json:"effect"`
	Flow        []string     `json:"flow"` // of private, untrusted, egress
	Description string       `json:"description"`
	Hash        string       `json:"hash"`
	ApprovedBy  string       `json:"approved_by"`
	ApprovedAt  *time.Time   `json:"approved_at"`
	Changes     []MCPChange  `json:"changes"` // of a changed one, since it was approved
	// Definition is the whole of what the server says about the tool.
	Definition json.RawMessage `json:"definition"`
}

// MCPChange is a difference between an approved description and the present one. Before or After is "" where there is no
// such field.
type MCPChange struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// MCPApproval names a tool and the hash of the description that is approved.
type MCPApproval struct {
	Tool string `json:"tool"`
	Hash string `json:"hash"`
}

// MCPPin is what is recorded of a tool: what its server says of it, and what an administrator has approved. A definition is
// canonical JSON.
type MCPPin struct {
	Server, Tool   string
	Seen, SeenHash string
	SeenAt         time.Time
	Approved       string // "" = never
	ApprovedHash   string
	ApprovedAt     *time.Time
	ApprovedBy     string
	Offered        bool // it was in the server's latest list
}

// MCPToken is a stored login at a server: encrypted, bound to the server, its address and its owner.
type MCPToken struct {
	Server string
	Owner  string // "" = everybody; "project:<name>"; an actor such as "user:<name>"
	URL    string // of the server; a login for another address is not used
	Sealed string
}

// Place is what a token's encryption is bound to: it opens in no other row.
func (t MCPToken) Place() string { return "mcp\n" + t.Server + "\n" + t.URL + "\n" + t.Owner }

// MCPLogin is a login that was begun. The person opens URL in a browser.
type MCPLogin struct {
	ID        string    `json:"id"`
	Server    string    `json:"server"`
	Owner     string    `json:"owner"`
	URL       string    `json:"url"`
	State     string    `json:"state"` // pending | done | failed
	Error     string    `json:"error"`
	ExpiresAt time.Time `json:"expires_at"`
}
