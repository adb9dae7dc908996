// Package peer is the agent that runs elsewhere: behind a protocol, or as a program on this machine. It gives it the
// user's messages and takes its answers. It decides only; it calls nothing.
package peer

import (
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// Agent implements agents.Agent.
type Agent struct{}

// Next implements agents.Agent.
func (Agent) Next(s agents.State) agents.Action {
	if err := s.Exceeded(); err != nil {
		return agents.Fail{Err: err}
	}
	if open := s.Unanswered(); len(open) > 0 { // what the peer wants to know
		return agents.Make(open)
	}
	last := s.Last()
	switch {
	case last.Role == core.RoleAssistant:
		return s.Answer()
	case last.Role == core.RoleTool && last.IsError:
		return agents.Fail{Err: core.Errorf(core.CodeRefused, "%s asked something and got no answer: %s", s.Definition.Peer, last.Text)}
	case last.Role == core.RoleUser && s.Run.PeerSession == "":
		return agents.CallPeer{Text: earlier(s) + last.Text}
	}
	return agents.CallPeer{Text: last.Text}
}

// earlier tells a peer that does not know the conversation what was said before.
func earlier(s agents.State) string {
	var b strings.Builder
	for _, m := range s.Messages[:s.Last().Index] {
		if m.Text != "" && (m.Role == core.RoleUser || m.Role == core.RoleAssistant) {
			b.WriteString(string(m.Role) + ": " + m.Text + "\n\n")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "The conversation so far:\n\n" + b.String() + "Now:\n\n"
}
