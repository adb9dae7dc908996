package core

import "time"

// Scope is a right that an API key or session has.
type Scope string

// The scopes. ScopeAdmin includes the others.
const (
	ScopeRead    Scope = "read"    // see runs, agents, services
	ScopeRun     Scope = "run"     // start, cancel and continue runs; call models
	ScopeApprove Scope = "approve" // decide approvals
	ScopeAdmin   Scope = "admin"   // everything, keys and audit included
)

// DefaultProject is the project of keys that were given none, and of callers without a key.
const DefaultProject = "default"

// APIKey is a credential without its secret. The secret is shown once, when the key is made.
type APIKey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // the first characters of the secret, to recognise it by
	Scopes     []Scope    `json:"scopes"`
	Project    string     `json:"project"` // whose usage and budgets its calls count for
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// AuditEvent is one security-relevant fact: who did what to what, and whether it was allowed.
type AuditEvent struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`  // "key:<id>", "user:<name>", "socket", "system"
	Action string    `json:"action"` // "key.create", "run.cancel", "tool.call", "auth.failed", …
	Target string    `json:"target"`
	Result string    `json:"result"` // ok | denied | error
	Detail string    `json:"detail"`
	Addr   string    `json:"addr"`
}
