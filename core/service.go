package core

import "time"

// ServiceState is the health of something that SutazAI runs or depends on.
type ServiceState string

// The states.
const (
	ServiceHealthy  ServiceState = "healthy"
	ServiceStarting ServiceState = "starting"
	ServiceDegraded ServiceState = "degraded"
	ServiceDown     ServiceState = "down"
	ServiceUnknown  ServiceState = "unknown"
)

// Service is one row of the list of services.
type Service struct {
	Name      string       `json:"name"`
	Kind      string       `json:"kind"` // process | external | builtin
	State     ServiceState `json:"state"`
	Detail    string       `json:"detail"`
	LatencyMS float64      `json:"latency_ms"`
	Restarts  int          `json:"restarts"`
	Since     time.Time    `json:"since"`
	CheckedAt time.Time    `json:"checked_at"`
}

// AgentStatus is an agent with what it is doing now.
type AgentStatus struct {
	Agent  Agent    `json:"agent"`
	Active int      `json:"active"` // runs that are running or waiting
	Errors []string `json:"errors"` // problems of its file since the last good version

	Published int    `json:"published"`       // number of the published version in use; 0 = its file is used
	Draft     string `json:"draft,omitempty"` // version of its file, where that is not the published one
}
