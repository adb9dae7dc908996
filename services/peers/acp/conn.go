package acp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
	"github.com/sutazai/sutazai/services/peers"
)

// conn is a running agent.
type conn struct {
	peer *Peer
	rpc  *jsonrpc.Conn
	init acp.InitializeResponse

	login    sync.Mutex
	loggedIn bool

	mu    sync.Mutex
	known map[string]bool  // sessions that this process has open
	turns map[string]*turn // by session; updates and questions of other sessions concern nobody
}

// open makes the connection of a new process.
func (p *Peer) open(ctx context.Context, process io.ReadWriter) (*conn, error) {
	c := &conn{peer: p, known: map[string]bool{}, turns: map[string]*turn{}}
	c.rpc = jsonrpc.New(process, process, jsonrpc.Options{Handle: c.handle, Notify: c.notify})
	// The connection ends with the process: Close ends both.
	go func() { _ = c.rpc.Serve(context.WithoutCancel(ctx)) }()
	version := acp.Version
	hello := acp.InitializeRequest{ProtocolVersion: &version, ClientInfo: &acp.Implementation{Name: "sutazai", Title: "SutazAI", Version: p.opts.Version}}
	hello.ClientCapabilities.FS.ReadTextFile = true
	hello.ClientCapabilities.FS.WriteTextFile = true
	if err := c.rpc.Call(ctx, acp.Initialize, hello, &c.init); err != nil {
		return nil, p.programs.Broken(p.rpcError(acp.Initialize, err))
	}
	switch v := c.init.ProtocolVersion; {
	case v == nil:
		return nil, p.programs.Broken(jsonrpc.Wrong("result.protocolVersion", "is missing"))
	case *v != acp.Version:
		return nil, core.Errorf(core.CodeInvalid, "%s speaks version %d of the Agent Client Protocol (result.protocolVersion), and only version %d is known here", p.opts.Program.Name, *v, acp.Version)
	}
	return c, nil
}

// Done is closed when the agent says nothing more.
func (c *conn) Done() <-chan struct{} { return c.rpc.Done() }

// notify takes an update.
func (c *conn) notify(method string, params json.RawMessage) error {
	if method != acp.Update {
		return nil // extensions
	}
	var n acp.SessionNotification
	if err := jsonrpc.Decode("params", params, &n); err != nil {
		return err
	}
	if n.SessionID == "" {
		return jsonrpc.Wrong("params.sessionId", "is missing")
	}
	if err := n.Update.Check("params.update"); err != nil {
		return err
	}
	if t := c.turn(n.SessionID); t != nil {
		return t.update(n.Update)
	}
	return nil
}

func (c *conn) turn(session string) *turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turns[session]
}

// follow lets t have what happens in a session. A session has one turn at a time.
func (c *conn) follow(session string, t *turn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.turns[session]; other != nil && other != t {
		return core.Errorf(core.CodeInvalid, "%s gave two conversations the same session (result.sessionId)", c.peer.opts.Program.Name)
	}
	c.turns[session] = t
	return nil
}

func (c *conn) unfollow(session string, opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.turns, session)
	if opened {
		c.known[session] = true
	}
}

// isOpen says whether this process has the session open.
func (c *conn) isOpen(session string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[session]
}

// ask calls a method, and logs in once where the agent wants that first.
func (c *conn) ask(ctx context.Context, method string, params, result any) error {
	err := c.rpc.Call(ctx, method, params, result)
	if e, ok := errors.AsType[*jsonrpc.Error](err); !ok || e.Code != acp.AuthRequired {
		return c.peer.rpcError(method, err)
	}
	if err := c.authenticate(ctx, err); err != nil {
		return err
	}
	return c.peer.rpcError(method, c.rpc.Call(ctx, method, params, result))
}

// authenticate logs in by the way that the settings name.
func (c *conn) authenticate(ctx context.Context, wanted error) error {
	c.login.Lock()
	defer c.login.Unlock()
	name, method := c.peer.opts.Program.Name, c.peer.opts.Login
	if c.loggedIn {
		return nil
	}
	var ways []string
	known := false
	for _, m := range c.init.AuthMethods {
		way := m.ID
		if m.Name != "" && m.Name != m.ID {
			way += " (" + peers.Clip(m.Name, 60) + ")"
		}
		if m.Description != "" {
			way += ": " + peers.Clip(m.Description, 200)
		}
		ways = append(ways, way)
		known = known || m.ID == method
	}
	list := "it names no way to log in"
	if len(ways) > 0 {
		list = "its ways to log in are " + strings.Join(ways, "; ")
	}
	switch {
	case method == "":
		return core.Wrap(core.CodeUnauthorized, wanted,
			"%s wants a login; log in once as the server's user by running its program, or give it a key in peers.%s.env, or name a way in peers.%s.login; %s", name, name, name, list)
	case !known:
		return core.Wrap(core.CodeUnauthorized, wanted, "%s has no way to log in that is called %q (peers.%s.login); %s", name, method, name, list)
	}
	if err := c.rpc.Call(ctx, acp.Authenticate, acp.AuthenticateRequest{MethodID: method}, nil); err != nil {
		if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
			return core.Wrap(core.CodeUnauthorized, err, "%s refused the login by %s (peers.%s.login): %s%s", name, method, name, peers.Clip(e.Message, 200), details(e))
		}
		return err
	}
	c.loggedIn = true
	return nil
}

// handle answers what the agent asks of us, and notes what was refused.
func (c *conn) handle(ctx context.Context, method string, params json.RawMessage) (any, error) {
	result, err := c.answer(ctx, method, params)
	if err != nil {
		why := core.MessageOf(err)
		if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
			why = e.Message
		}
		c.peer.programs.Log(peers.Clip(method, 60) + " refused: " + why)
	}
	return result, err
}

func (c *conn) answer(ctx context.Context, method string, params json.RawMessage) (any, error) {
	switch method {
	case acp.RequestPermission:
		var r acp.PermissionRequest
		if err := jsonrpc.Decode("params", params, &r); err != nil {
			return nil, err
		}
		if err := r.Check("params"); err != nil {
			return nil, err
		}
		t, err := c.working(r.SessionID)
		if err != nil {
			return nil, err
		}
		return t.permission(ctx, r)
	case acp.ReadTextFile:
		var r acp.ReadRequest
		if err := jsonrpc.Decode("params", params, &r); err != nil {
			return nil, err
		}
		t, err := c.working(r.SessionID)
		if err != nil {
			return nil, err
		}
		content, err := readFile(t.dir, r)
		if e, ok := errors.AsType[*jsonrpc.Error](err); ok && e.Code == acp.NotFound && c.readsMissing() {
			return acp.ReadResponse{}, nil
		}
		return content, err
	case acp.WriteTextFile:
		var r acp.WriteRequest
		if err := jsonrpc.Decode("params", params, &r); err != nil {
			return nil, err
		}
		t, err := c.working(r.SessionID)
		if err != nil {
			return nil, err
		}
		return struct{}{}, writeFile(t.dir, r)
	}
	return nil, jsonrpc.NotFound(method) // terminals too: the capabilities say that there are none
}

// readsMissing says whether the agent wants a file that is missing to be empty: Gemini CLI looks at a file before it makes
// it, and does not recognise the error that says that there is none (seen in 0.61).
func (c *conn) readsMissing() bool {
	return c.init.AgentInfo != nil && c.init.AgentInfo.Name == "gemini-cli"
}

// working is the turn that a request belongs to.
func (c *conn) working(session string) (*turn, error) {
	if session == "" {
		return nil, jsonrpc.Wrong("params.sessionId", "is missing")
	}
	if t := c.turn(session); t != nil {
		return t, nil
	}
	return nil, jsonrpc.Wrong("params.sessionId", "is not a session in which a turn is under way")
}
