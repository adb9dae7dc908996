package core

// AuditFilter selects audit events, newest first. Before is the id of the last event of the previous page.
type AuditFilter struct {
	Actor  string
	Action string
	Before int64
	Limit  int
}
