package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// Times of a connection.
const (
	connectTimeout = 30 * time.Second // until the server has said what it is
	listTimeout    = 30 * time.Second // of its whole list of tools
	relistEvery    = 5 * time.Minute  // also for servers that do not tell of changes
	relistPause    = time.Second      // between two lists, however often a server says that its tools have changed
	backoffMin     = time.Second
	backoffMax     = time.Minute
	stableAfter    = time.Minute      // connected for so long, the next wait is short again
	downAfter      = 3                // attempts in a row that failed, after which calls no longer wait
	keepAlive      = 30 * time.Second // between two pings
	keepAliveMiss  = 3                // pings without an answer, after which the connection counts as lost
	stopGrace      = 2 * time.Second  // that a call which ran out of time has to end by itself
)

// link keeps a connection to a server for one owner: it connects, lists the tools, and connects again when the
// connection is lost.
type link struct {
	server *server
	owner  string
	grant  *grant        // nil = no login
	relist chan struct{} // the server says that its tools have changed
	wake   chan struct{} // do not wait any longer
	calls  sync.Map      // progress token → func(); of the calls under way
	tokens atomic.Int64

	mu       sync.Mutex
	session  *session
	state    core.ServiceState
	detail   string
	since    time.Time
	err      error // why there is no connection
	failures int   // in a row
	restarts int
	used     time.Time
	inFlight int
	changed  chan struct{} // closed and replaced whenever session, state or err changes
}

// session is one connection.
type session struct {
	*sdk.ClientSession
	ctx     context.Context //nolint:containedctx // ends with the connection, and with it every call
	lose    context.CancelCauseFunc
	offered map[string]string // hash of each tool's description
	program *piped
}

func newLink(s *server, owner string) *link {
	now := s.m.o.Now()
	l := &link{
		server: s, owner: owner, relist: make(chan struct{}, 1), wake: make(chan struct{}, 1), changed: make(chan struct{}),
		state: core.ServiceStarting, detail: "not connected yet", since: now, used: now,
	}
	if s.spec.Auth.Kind == AuthOAuth {
		l.grant = newGrant(s, owner)
	}
	return l
}

// keep runs until ctx ends.
func (l *link) keep(ctx context.Context) {
	wait := backoffMin
	for ctx.Err() == nil {
		login := l.grant.changed()
		lived, err := l.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if lived >= stableAfter {
			wait = backoffMin
		}
		if l.grant.changed() != login { // what failed had begun with another login
			l.lost(errRenewed, "")
			continue
		}
		if errors.Is(err, errLogin) { // trying again is of no use before somebody has logged in
			l.lost(err, core.ServiceDegraded)
			l.pause(ctx, relistEvery)
			continue
		}
		l.lost(err, "")
		// Half of the wait is fixed, half is random: never at once, never all together.
		l.pause(ctx, wait/2+rand.N(wait/2+1))
		wait = min(wait*2, backoffMax)
	}
	l.lost(errStopped, core.ServiceDown)
}

var errStopped = errors.New("stopped")

// pause waits, but not when somebody has just logged in.
func (l *link) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-l.wake:
	}
}

// once connects, and returns how long the connection lasted and why it ended.
func (l *link) once(ctx context.Context) (time.Duration, error) {
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	program := &piped{}
	sess, err := l.connect(ctx, program)
	if err != nil {
		return 0, err
	}
	var ending error // why the connection ended; set before ended is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ending = sess.Wait()
	}()
	ses := &session{ClientSession: sess, ctx: ctx, lose: lose, program: program}
	defer func() {
		lose(errStopped) // calls end first, or Close would wait for them
		_ = program.Close()
		_ = sess.Close()
		<-ended
	}()
	if err := l.list(ctx, ses); err != nil {
		return 0, err
	}
	began := l.server.m.o.Now()
	tick := time.NewTicker(relistEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.server.m.o.Now().Sub(began), context.Cause(ctx)
		case <-ended:
			return l.server.m.o.Now().Sub(began), fmt.Errorf("the connection ended: %w", errors.Join(ending, io.EOF))
		case <-tick.C:
		case <-l.relist:
		}
		next := &session{ClientSession: sess, ctx: ctx, lose: lose, program: program}
		if err := l.list(ctx, next); err != nil {
			return l.server.m.o.Now().Sub(began), err
		}
		l.rest(ctx, relistPause)
	}
}

func (l *link) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// connect makes the connection. A program that is started for it is put into program, which the caller closes.
func (l *link) connect(ctx context.Context, program *piped) (*sdk.ClientSession, error) {
	spec, o := &l.server.spec, &l.server.m.o
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errSlow)
	defer cancel()
	options := &sdk.ClientOptions{
		Capabilities: &sdk.ClientCapabilities{}, // no roots: a server has no business in our folders
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) {
			select {
			case l.relist <- struct{}{}:
			default:
			}
		},
		ProgressNotificationHandler: l.progress,
		ElicitationHandler:          o.Elicit,
		MultiRoundTrip:              &sdk.MultiRoundTripOptions{Disabled: o.Elicit == nil},
		KeepAlive:                   keepAlive, KeepAliveFailureThreshold: keepAliveMiss,
	}
	client := sdk.NewClient(&sdk.Implementation{Name: "sutazai", Title: "SutazAI", Version: o.Version}, options)
	var how sdk.ClientSessionOptions
	if spec.Legacy {
		how.ProtocolVersion = legacyProtocol
	}
	if spec.URL != "" {
		ctx, x := withExchange(ctx)
		before := l.grant.refusals()
		sess, err := client.Connect(ctx, l.httpTransport(), &how)
		if err != nil && l.grant.refusals() != before { // the library has gone on to the older handshake, of which the server says something else
			err = errors.Join(errLogin, err)
		}
		if err != nil {
			return nil, l.explainConnect(ctx, err, x)
		}
		return sess, nil
	}
	started, err := o.Program(spec.Name, spec.Command, spec.Dir, spec.Env)
	if err != nil {
		return nil, core.Wrap(core.CodeUnavailable, err, "the program %s cannot be started; check mcp.servers.%s.command", spec.Command[0], spec.Name)
	}
	program.ReadWriteCloser = started
	stop := context.AfterFunc(ctx, func() { _ = program.Close() }) // a program that does not read would hold us up for ever
	sess, err := client.Connect(ctx, &sdk.IOTransport{Reader: program, Writer: unclosed{program}, MaxLineLength: maxMessage}, &how)
	if !stop() && err == nil {
		err = errSlow
		_ = sess.Close()
	}
	if err != nil {
		_ = program.Close()
		return nil, l.explainConnect(ctx, err, nil)
	}
	return sess, nil
}

// legacyProtocol is the newest version that begins with initialize.
const legacyProtocol = "2025-11-25"

var errSlow = errors.New("it did not answer in time")

// piped is the program of a server, which counts what is written to it. Without a program it does nothing.
type piped struct {
	io.ReadWriteCloser
	writes atomic.Int64
}

// Write implements io.Writer.
func (p *piped) Write(b []byte) (int, error) {
	p.writes.Add(1)
	return p.ReadWriteCloser.Write(b)
}

// Close implements io.Closer.
func (p *piped) Close() error {
	if p.ReadWriteCloser == nil {
		return nil
	}
	return p.ReadWriteCloser.Close()
}

// unclosed is a program as a writer: it is closed once, as a reader.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// explainConnect says why there is no connection, in words that a person may read.
func (l *link) explainConnect(ctx context.Context, err error, x *exchange) error {
	name := l.server.spec.Name
	switch {
	case errors.Is(err, errLogin):
		return l.loginNeeded()
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errSlow), errors.Is(err, errSlow):
		return core.Wrap(core.CodeTimeout, err, "%s did not answer within %s", name, connectTimeout)
	}
	if why, is := unreadable(err); is {
		return core.Wrap(core.CodeUnavailable, err, "%s gives an answer that cannot be read: %s", name, why)
	}
	if x != nil {
		switch s := x.status.Load(); s {
		case 401, 403:
			return core.Wrap(core.CodeUnauthorized, err, "%s refuses us (HTTP status %d); check mcp.servers.%s.auth and headers", name, s, name)
		case 0:
		default:
			if s >= 300 {
				return core.Wrap(core.CodeUnavailable, err, "%s answers with HTTP status %d; check mcp.servers.%s.url", name, s, name)
			}
		}
		if ce, ok := errors.AsType[*core.Error](err); ok {
			return core.Wrap(core.CodeUnavailable, err, "%s cannot be reached: %s", name, ce.Message)
		}
		if x.status.Load() == 0 {
			return core.Wrap(core.CodeUnavailable, err, "%s cannot be reached", name)
		}
		return core.Wrap(core.CodeUnavailable, err, "%s does not speak the Model Context Protocol at that address", name)
	}
	return core.Wrap(core.CodeUnavailable, err, "the program of %s ended or does not speak the Model Context Protocol; logs/mcp-%s.log in the data folder may say why", name, name)
}

// loginNeeded is what is told when a login is missing or no longer good.
func (l *link) loginNeeded() error {
	return core.Wrap(core.CodeUnauthorized, errLogin, "%s needs a login: run `sutazai mcp login %s`, or log in from the console", l.server.spec.Name, l.server.spec.Name)
}

// connected makes the session the one that calls use.
func (l *link) connected(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state != core.ServiceHealthy {
		l.since = l.server.m.o.Now()
	}
	l.session, l.state, l.detail, l.err, l.failures = s, core.ServiceHealthy, "", nil, 0
	l.tell()
}

// lost notes that there is no connection, and why. state "" = starting, or down after several failures.
func (l *link) lost(err error, state core.ServiceState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.state
	if l.session != nil {
		l.restarts++
	}
	l.failures++
	if state == "" {
		state = core.ServiceStarting
		if l.failures >= downAfter {
			state = core.ServiceDown
		}
	}
	l.session, l.state, l.err = nil, state, err
	l.detail = core.MessageOf(err)
	if core.CodeOf(err) == core.CodeInternal {
		l.detail = "the connection was lost"
	}
	if l.state != before {
		l.since = l.server.m.o.Now()
	}
	if !errors.Is(err, errStopped) && (l.failures == 1 || l.state != before) {
		l.server.m.o.Logger.Warn("an MCP server is not connected", "server", l.server.spec.Name, "owner", l.owner, "state", string(l.state), "error", err)
	}
	l.tell()
}

// tell wakes whoever waits for a change. l.mu is held.
func (l *link) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// nudge makes a connection that waits try again at once.
func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// ready returns the connection as soon as there is one. It fails when the server is down or a login is missing.
func (l *link) ready(ctx context.Context) (*session, error) {
	for {
		l.mu.Lock()
		ses, state, err, changed := l.session, l.state, l.err, l.changed
		l.used = l.server.m.o.Now()
		l.mu.Unlock()
		switch {
		case ses != nil && ses.ctx.Err() == nil:
			return ses, nil
		case state == core.ServiceDown || state == core.ServiceDegraded:
			if _, ok := errors.AsType[*core.Error](err); !ok {
				err = core.Wrap(core.CodeUnavailable, err, "the server %s is not connected", l.server.spec.Name)
			}
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// progress is called when a server tells how far a call is.
func (l *link) progress(_ context.Context, req *sdk.ProgressNotificationClientRequest) {
	if token, ok := req.Params.ProgressToken.(string); ok {
		if alive, ok := l.calls.Load(token); ok {
			alive.(func())()
		}
	}
}
