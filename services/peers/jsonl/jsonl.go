// Package jsonl talks to programs on this machine that read and write lines of JSON: JSON-RPC with the objects of A2A 1.0.
// docs/peers.md defines it. The package owns that protocol's client side; it must not know of runs beyond their ids, nor of
// how turns and approvals are recorded.
package jsonl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/jsonrpc"
	"github.com/sutazai/sutazai/services/peers"
)

// Options say which program it is.
type Options struct {
	Program peers.ProgramSpec
	// Workspace returns the folder of a workspace, which exists.
	Workspace func(name string) (string, error)
	Grace     time.Duration // how long a turn may take to stop when it is asked to; 2s
	Poll      time.Duration // between questions how a task does that was cut off; 1s
}

// Peer is a program that speaks lines of JSON. It implements peers.Peer.
type Peer struct {
	opts     Options
	programs *peers.Programs[*conn]
}

// New makes the peer; its program is started with the first turn.
func New(o Options) (*Peer, error) {
	o.Grace, o.Poll = cmp.Or(o.Grace, 2*time.Second), cmp.Or(o.Poll, time.Second)
	o.Program.Protocol = "its protocol"
	p := &Peer{opts: o}
	var err error
	p.programs, err = peers.NewPrograms(o.Program, p.open)
	return p, err
}

// Status implements peers.Peer.
func (p *Peer) Status(context.Context) core.PeerStatus { return p.programs.Status("jsonl") }

// Close implements peers.Peer.
func (p *Peer) Close() error { return p.programs.Close() }

// session is what PeerCall.Session holds.
type session struct {
	Context string `json:"context,omitempty"` // of the conversation, if the program named one
	Task    string `json:"task,omitempty"`    // of the turn
	Turn    string `json:"turn"`              // key of the turn that it was last given
	Waits   bool   `json:"waits,omitempty"`   // the task asked something: the next message is its answer
}

func readSession(s string) session {
	var out session
	if json.Unmarshal([]byte(s), &out) != nil {
		return session{} // of another protocol: the settings were changed
	}
	return out
}

func (s session) String() string {
	b, _ := json.Marshal(s) // texts
	return string(b)
}

// Talk implements peers.Peer. The task of a turn that was cut off is looked up, if the program had named one; so is that of
// a turn whose program ended under it.
func (p *Peer) Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (answer core.PeerAnswer, err error) {
	dir, err := peers.Folder(p.opts.Workspace, call.Workspace)
	if err != nil {
		return answer, err
	}
	t := &turn{peer: p, call: call, events: events, dir: dir, now: readSession(call.Session)}
	t.Begun = call.Interrupted && t.now.Turn == call.IdempotencyKey
	err = p.programs.Take(ctx, &t.Turn, call.Run, dir, func(ctx context.Context, c *conn) error {
		answer, err = t.with(ctx, c)
		return err
	})
	return answer, err
}

// conn is a running program.
type conn struct {
	rpc *jsonrpc.Conn

	mu    sync.Mutex
	turns map[string]*turn // by task
}

// open makes the connection of a new process. Any answer to the first question shows that the program is there; nothing is
// given to one that is not.
func (p *Peer) open(ctx context.Context, program io.ReadWriter) (*conn, error) {
	c := &conn{turns: map[string]*turn{}}
	c.rpc = jsonrpc.New(program, program, jsonrpc.Options{Handle: c.handle})
	// The connection ends with the program, which its keeper ends.
	go func() { _ = c.rpc.Serve(context.WithoutCancel(ctx)) }()
	err := c.rpc.Call(ctx, methodCard, struct{}{}, nil)
	if _, answered := errors.AsType[*jsonrpc.Error](err); answered {
		return c, nil
	}
	return c, p.programs.Broken(err)
}

// Done is closed when the program says nothing more.
func (c *conn) Done() <-chan struct{} { return c.rpc.Done() }

func (c *conn) follow(task string, t *turn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.turns[task]; other != nil && other != t {
		return jsonrpc.Wrong("result.taskId", "is the task of another conversation")
	}
	c.turns[task] = t
	return nil
}

func (c *conn) unfollow(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for task, of := range c.turns {
		if of == t {
			delete(c.turns, task)
		}
	}
}

// handle answers what the program asks.
func (c *conn) handle(ctx context.Context, method string, params json.RawMessage) (any, error) {
	if method != methodAsk {
		return nil, jsonrpc.NotFound(method)
	}
	var r permissionRequest
	if err := jsonrpc.Decode("params", params, &r); err != nil {
		return nil, err
	}
	arguments := map[string]json.RawMessage{}
	switch r.Effect {
	case "", core.EffectUnsafe, core.EffectIdempotent, core.EffectReadOnly:
	default:
		return nil, jsonrpc.Wrong("params.effect", "must be unsafe, idempotent or read_only")
	}
	switch {
	case r.Task == "":
		return nil, jsonrpc.Wrong("params.taskId", "is missing")
	case r.Tool == "":
		return nil, jsonrpc.Wrong("params.tool", "is missing")
	case len(r.Arguments) == 0:
		r.Arguments = json.RawMessage("{}")
	case json.Unmarshal(r.Arguments, &arguments) != nil || arguments == nil:
		return nil, jsonrpc.Wrong("params.arguments", "must be an object")
	}
	c.mu.Lock()
	t := c.turns[r.Task]
	c.mu.Unlock()
	if t == nil {
		return nil, jsonrpc.Wrong("params.taskId", "is not a task that is being worked on; send the task before you ask")
	}
	return t.permission(ctx, r)
}
