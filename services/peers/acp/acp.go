// Package acp talks to programs on this machine that speak the Agent Client Protocol, such as coding agents. It owns the
// client's side of the protocol: sessions, streamed text, questions for permission, files of the workspace. It must not know
// of runs beyond their ids, nor of how turns and approvals are recorded.
package acp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
	"github.com/sutazai/sutazai/services/peers"
)

// Options say which program it is and what it may use.
type Options struct {
	Program peers.ProgramSpec
	// Workspace returns the folder of a workspace, which exists.
	Workspace func(name string) (string, error)
	Login     string        // id of the way to log in that is used when the agent asks for one; "" = none
	Grace     time.Duration // how long a turn may take to stop when it is asked to; 2s
	Version   string        // of this program, for the agent
}

// Peer is an agent that speaks ACP. It implements peers.Peer.
type Peer struct {
	opts     Options
	programs *peers.Programs[*conn]
}

// New makes the peer; its program is started with the first turn.
func New(o Options) (*Peer, error) {
	o.Grace = cmp.Or(o.Grace, 2*time.Second)
	o.Program.Protocol = "the Agent Client Protocol"
	p := &Peer{opts: o}
	var err error
	p.programs, err = peers.NewPrograms(o.Program, p.open)
	return p, err
}

// Status implements peers.Peer.
func (p *Peer) Status(context.Context) core.PeerStatus { return p.programs.Status("acp") }

// Close implements peers.Peer.
func (p *Peer) Close() error { return p.programs.Close() }

// session is what PeerCall.Session holds: how to find the conversation again.
type session struct {
	ID   string `json:"id"`
	Turn string `json:"turn"` // key of the turn that it was last given
	// Told is the end of the conversation, for agents that cannot take up a session themselves.
	Told []told `json:"told,omitempty"`
}

type told struct {
	User  string `json:"user"`
	Agent string `json:"agent"`
}

func readSession(s string) session {
	var out session
	if json.Unmarshal([]byte(s), &out) != nil {
		return session{} // of another protocol: the settings were changed
	}
	return out
}

func (s session) String() string {
	b, _ := json.Marshal(s) // text and lists of text
	return string(b)
}

// Talk implements peers.Peer. A turn that was cut off is taken up in its session, where the agent can; so is one whose
// program ended under it.
func (p *Peer) Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (answer core.PeerAnswer, err error) {
	dir, err := peers.Folder(p.opts.Workspace, call.Workspace)
	if err != nil {
		return answer, err
	}
	t := &turn{peer: p, call: call, events: events, dir: dir, before: readSession(call.Session)}
	t.Begun = call.Interrupted && t.before.Turn == call.IdempotencyKey
	err = p.programs.Take(ctx, &t.Turn, call.Run, dir, func(ctx context.Context, c *conn) error {
		answer, err = t.with(ctx, c)
		return err
	})
	return answer, err
}

// rpcError says an agent's error answer to the named method.
func (p *Peer) rpcError(method string, err error) error {
	e, ok := errors.AsType[*jsonrpc.Error](err)
	if !ok {
		return err
	}
	name := p.opts.Program.Name
	switch e.Code {
	case acp.AuthRequired:
		return core.Wrap(core.CodeUnauthorized, err, "%s wants a login: %s", name, peers.Clip(e.Message, 200))
	case jsonrpc.CodeMethodNotFound:
		return core.Wrap(core.CodeInvalid, err, "%s does not know %s; does its command speak ACP?", name, method)
	}
	return core.Wrap(core.CodeRefused, err, "%s refused %s: %s%s", name, method, peers.Clip(e.Message, 300), details(e))
}

// details is what many agents put beside "Internal error".
func details(e *jsonrpc.Error) string {
	m, _ := e.Data.(map[string]any)
	for _, key := range []string{"details", "message", "error"} {
		if text, ok := m[key].(string); ok && text != "" {
			return " (" + peers.Clip(text, 300) + ")"
		}
	}
	if text, ok := e.Data.(string); ok && text != "" {
		return " (" + peers.Clip(text, 300) + ")"
	}
	return ""
}
