package core

import "time"

// AgentVersion is a published version of an agent. It never changes; which one is in use may.
type AgentVersion struct {
	Agent       string    `json:"agent"`
	Number      int       `json:"number"`  // from 1
	Version     string    `json:"version"` // as Agent.Version: what runs name
	Note        string    `json:"note"`
	Current     bool      `json:"current"` // new runs use it
	PublishedAt time.Time `json:"published_at"`
	PublishedBy string    `json:"published_by"`
	Definition  Agent     `json:"definition"`
}
