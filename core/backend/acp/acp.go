// Package acp lets editors and other clients of the Agent Client Protocol use an agent: a session is a run, a prompt is one of
// its turns, an approval is a request for permission. It owns that translation; it must not know how runs are stored or
// executed, nor where its two streams lead.
package acp

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"sync"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// metadataKey is where a run keeps the id of its session, so that the session is found again.
const metadataKey = "acp_session"

// Runs is what sessions are made of.
type Runs interface {
	// Start starts a run; a second start with the same key gives the first run.
	Start(ctx context.Context, agent, input string, metadata map[string]string, key string) (core.Run, error)
	Run(ctx context.Context, id string) (core.Run, error)
	// Latest lists the newest runs of an agent.
	Latest(ctx context.Context, agent string) ([]core.Run, error)
	Messages(ctx context.Context, run string) ([]core.Message, error)
	Steps(ctx context.Context, run string) ([]core.Step, error)
	// Message continues a run, or answers its question.
	Message(ctx context.Context, run, text string) (core.Run, error)
	Cancel(ctx context.Context, run string) error
	Decide(ctx context.Context, approval string, v core.Verdict) error
	// Events yields what happened after event number after, then what happens, until the run ends.
	Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error]
}

// Options say which agent is served, and to whom.
type Options struct {
	Agent   string
	Version string // of this program, for the client
	Runs    Runs
	Logger  *slog.Logger
	// Ready says whether the agent can be used; its error is told when the client begins.
	Ready func(ctx context.Context) error
}

// server is one client's connection.
type server struct {
	opts Options
	rpc  *jsonrpc.Conn

	mu       sync.Mutex
	client   acp.ClientCapabilities
	sessions map[string]*session
}

// Serve speaks the protocol over in and out until in ends or ctx does. Runs that are under way go on.
func Serve(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	s := &server{opts: o, sessions: map[string]*session{}}
	s.rpc = jsonrpc.New(in, out, jsonrpc.Options{Handle: s.handle, Notify: s.notify, Lenient: true})
	err := s.rpc.Serve(ctx)
	if err == io.EOF { //nolint:errorlint // the plain end; a wrapped one is a failure
		return nil
	}
	return err
}

// handle answers a request of the client.
func (s *server) handle(ctx context.Context, method string, params json.RawMessage) (any, error) {
	switch method {
	case acp.Initialize:
		return s.initialize(ctx, params)
	case acp.Authenticate:
		var r acp.AuthenticateRequest
		if err := jsonrpc.Decode("params", params, &r); err != nil {
			return nil, err
		}
		return nil, jsonrpc.Wrong("params.methodId", "is not known: no login is needed")
	case acp.NewSession:
		r, err := sessionRequest(params)
		if err != nil {
			return nil, err
		}
		if r.Cwd == "" {
			return nil, jsonrpc.Wrong("params.cwd", "is missing")
		}
		id := uuid.NewString()
		s.open(&session{server: s, id: id})
		return acp.NewSessionResponse{SessionID: id}, nil
	case acp.LoadSession:
		r, err := sessionRequest(params)
		if err != nil {
			return nil, err
		}
		if r.SessionID == "" {
			return nil, jsonrpc.Wrong("params.sessionId", "is missing")
		}
		return s.load(ctx, r.SessionID)
	case acp.Prompt:
		var r acp.PromptRequest
		if err := jsonrpc.Decode("params", params, &r); err != nil {
			return nil, err
		}
		return s.prompt(ctx, r)
	}
	return nil, jsonrpc.NotFound(method)
}

func sessionRequest(params json.RawMessage) (acp.SessionRequest, error) {
	var r acp.SessionRequest
	return r, jsonrpc.Decode("params", params, &r)
}

func (s *server) initialize(ctx context.Context, params json.RawMessage) (any, error) {
	var r acp.InitializeRequest
	if err := jsonrpc.Decode("params", params, &r); err != nil {
		return nil, err
	}
	if r.ProtocolVersion == nil {
		return nil, jsonrpc.Wrong("params.protocolVersion", "is missing")
	}
	if err := s.opts.Ready(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.client = r.ClientCapabilities
	s.mu.Unlock()
	version := acp.Version // whatever the client speaks: it decides whether that will do
	out := acp.InitializeResponse{ProtocolVersion: &version, AgentInfo: &acp.Implementation{Name: "sutazai", Title: "SutazAI: " + s.opts.Agent, Version: s.opts.Version}, AuthMethods: []acp.AuthMethod{}}
	out.AgentCapabilities.LoadSession = true
	out.AgentCapabilities.PromptCapabilities.EmbeddedContext = true
	return out, nil
}

// notify takes a notification. What is wrong with it cannot be answered.
func (s *server) notify(method string, params json.RawMessage) error {
	var n acp.CancelNotification
	if method != acp.Cancel || jsonrpc.Decode("params", params, &n) != nil {
		return nil
	}
	if c := s.session(n.SessionID); c != nil {
		c.stop()
	}
	return nil
}

func (s *server) open(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c.id] = c
}

func (s *server) session(id string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// prompt gives the agent the user's message.
func (s *server) prompt(ctx context.Context, r acp.PromptRequest) (any, error) {
	switch {
	case r.SessionID == "":
		return nil, jsonrpc.Wrong("params.sessionId", "is missing")
	case len(r.Prompt) == 0:
		return nil, jsonrpc.Wrong("params.prompt", "must have at least one content block")
	}
	c := s.session(r.SessionID)
	if c == nil {
		return nil, jsonrpc.Wrong("params.sessionId", "is not an open session; use session/new, or session/load for an earlier one")
	}
	text, err := s.text(ctx, r)
	if err != nil {
		return nil, err
	}
	turn, done, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return c.turn(turn, text)
}

// load takes up an earlier session, or any run of the agent by its id, and tells what was said in it.
func (s *server) load(ctx context.Context, id string) (any, error) {
	run, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &session{server: s, id: id, run: run.ID}
	if err := c.replay(ctx); err != nil {
		return nil, err
	}
	s.open(c)
	return struct{}{}, nil
}

func (s *server) find(ctx context.Context, id string) (core.Run, error) {
	missing := jsonrpc.Wrong("params.sessionId", "is no session of the agent "+s.opts.Agent)
	if c := s.session(id); c != nil && c.runID() != "" {
		return s.opts.Runs.Run(ctx, c.runID())
	}
	runs, err := s.opts.Runs.Latest(ctx, s.opts.Agent)
	if err != nil {
		return core.Run{}, err
	}
	for _, run := range runs {
		if run.Metadata[metadataKey] == id {
			return run, nil
		}
	}
	if uuid.Validate(id) != nil {
		return core.Run{}, missing
	}
	run, err := s.opts.Runs.Run(ctx, id)
	if core.CodeOf(err) == core.CodeNotFound || err == nil && run.Agent != s.opts.Agent {
		return core.Run{}, missing
	}
	return run, err
}
