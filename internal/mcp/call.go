package mcp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// keyMeta is where a call carries its idempotency key, for servers that know what to do with it.
const keyMeta = "sutazai.com/idempotency-key"

// Tool is a tool of a server, as agents call it.
type Tool struct {
	server *server
	name   string // at the server
	spec   core.ToolSpec
	hash   string // of the approved description; "" = whatever the server says
}

// Spec describes the tool.
func (t *Tool) Spec() core.ToolSpec { return t.spec }

// TimeLimit is how long a call may take.
func (t *Tool) TimeLimit() time.Duration { return t.server.spec.MaxTimeout }

// Call makes a call. A call that is harmless to repeat is made again once if the connection was lost; any other one, of which
// nobody can say what became, fails with an error that has OutcomeUnknown.
func (t *Tool) Call(ctx context.Context, inv core.ToolInvocation) (string, error) {
	owner, err := t.server.spec.owner(inv.Caller)
	if err != nil {
		return "", err
	}
	l, err := t.server.link(owner)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, t.server.spec.MaxTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		ses, err := l.ready(ctx)
		if err != nil {
			return "", t.explainReady(ctx, l, err)
		}
		if err := t.pinned(ses); err != nil {
			return "", err
		}
		res, fate, err := l.call(ctx, ses, t, inv)
		if err == nil {
			return t.render(res, inv)
		}
		if ctx.Err() == nil && (fate == fateUnknown || fate == fateNotMade) {
			ses.lose(err) // what is left of the connection cannot be trusted, even where only this call broke
		}
		again := fate == fateNotMade || fate == fateUnknown && t.spec.Effect != core.EffectUnsafe
		if !again || attempt > 1 || ctx.Err() != nil {
			return "", t.outcome(fate, err)
		}
	}
}

// explainReady says why a call was not made.
func (t *Tool) explainReady(ctx context.Context, l *link, err error) error {
	if ctx.Err() == nil || core.CodeOf(err) != core.CodeInternal {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return core.Wrap(core.CodeUnavailable, err, "the server %s is not connected: %s; the call was not made", t.server.spec.Name, l.detail)
}

// pinned refuses a tool whose description is not the one that was approved.
func (t *Tool) pinned(ses *session) error {
	offered, ok := ses.offered[t.name]
	switch {
	case !ok:
		return core.Errorf(core.CodeUnavailable, "the server %s does not offer the tool %s any more; the call was not made", t.server.spec.Name, t.name)
	case t.hash != "" && t.hash != offered:
		return core.Errorf(core.CodeForbidden, "the server %s describes the tool %s in another way than an administrator approved; the call was not made. Tell the user that somebody must look at it: sutazai mcp show %s",
			t.server.spec.Name, t.name, t.server.spec.Name)
	}
	return nil
}

// fate says what became of a call that gave no result.
type fate int

const (
	fateUnknown  fate = iota // it may or may not have been made
	fateNotMade              // it did not reach the tool
	fateAnswered             // the server answered with an error
	fateSlow                 // it took too long; it may have been made
)

// errUnknown is an error after which nobody knows whether the call had its effect.
type errUnknown struct{ err *core.Error }

func (e errUnknown) Error() string { return e.err.Error() }
func (e errUnknown) Unwrap() error { return e.err }

// OutcomeUnknown lets the registry of tools tell this error from others.
func (errUnknown) OutcomeUnknown() bool { return true }

// outcome is what is told of a call that gave no result.
func (t *Tool) outcome(f fate, err error) error {
	told, ok := errors.AsType[*core.Error](err)
	if !ok {
		told = core.Wrap(core.CodeUnavailable, err, "the connection to %s was lost during the call of %s", t.server.spec.Name, t.name)
	}
	if t.spec.Effect == core.EffectUnsafe && (f == fateUnknown || f == fateSlow) {
		return errUnknown{core.Wrap(told.Code, err, "%s; it is not known whether the call took effect: check before you call it again", told.Message)}
	}
	return told
}

// call makes one attempt.
func (l *link) call(ctx context.Context, ses *session, t *Tool, inv core.ToolInvocation) (*sdk.CallToolResult, fate, error) {
	spec := &l.server.spec
	token := fmt.Sprintf("%s-%d", l.server.m.instance, l.tokens.Add(1))
	params := &sdk.CallToolParams{Meta: sdk.Meta{}, Name: t.name, Arguments: inv.Arguments}
	if inv.IdempotencyKey != "" {
		params.Meta[keyMeta] = inv.IdempotencyKey
	}
	params.SetProgressToken(token)

	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ses.ctx, func() { cancel(errLost) })()
	patience := time.AfterFunc(spec.Timeout, func() { cancel(errSlow) })
	defer patience.Stop()
	l.calls.Store(token, func() { patience.Reset(spec.Timeout) })
	defer l.calls.Delete(token)
	l.begin()
	defer l.end()

	limited, x := withExchange(limited)
	written := ses.program.writes.Load()
	done := make(chan answer, 1)
	go func() {
		res, err := ses.CallTool(limited, params)
		done <- answer{res, err}
	}()
	a := l.await(limited, ses, done)
	switch {
	case a.err != nil:
		made := x.made()
		if spec.URL == "" {
			made = ses.program.writes.Load() != written
		}
		f, err := l.judge(limited, t, x, made, a.err)
		return nil, f, err
	case a.res.NeedsInput():
		return nil, fateAnswered, core.Errorf(core.CodeRefused, "%s asks something in the middle of the call that only a person or a model could answer; such questions are not passed on", t.spec.Name)
	}
	return a.res, fateAnswered, nil
}

type answer struct {
	res *sdk.CallToolResult
	err error
}

// await waits for the answer. A call that does not end when its time is over, because the server does not even read, takes
// the connection with it.
func (l *link) await(ctx context.Context, ses *session, done <-chan answer) answer {
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
	}
	t := time.NewTimer(stopGrace)
	defer t.Stop()
	select {
	case a := <-done:
		return a
	case <-t.C:
		ses.lose(errStuck)
		return <-done
	}
}

var (
	errLost  = errors.New("the connection was lost")
	errStuck = errors.New("the server does not read what is sent to it")
)

// judge says what became of a call that failed, and what is told of it. sent says whether anything was sent that may have
// reached the tool.
func (l *link) judge(ctx context.Context, t *Tool, x *exchange, sent bool, err error) (fate, error) {
	name, spec := t.spec.Name, &l.server.spec
	http := spec.URL != ""
	made := fateUnknown
	if !sent {
		made = fateNotMade
	}
	switch {
	case errors.Is(err, errLogin):
		return fateAnswered, l.loginNeeded()
	case errors.Is(context.Cause(ctx), errSlow):
		return fateSlow, core.Wrap(core.CodeTimeout, err, "%s gave no sign of life for %s", name, spec.Timeout)
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return fateSlow, core.Wrap(core.CodeTimeout, err, "%s did not finish within %s", name, spec.MaxTimeout)
	}
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok && !ofTransport(wire.Code) {
		return fateAnswered, core.Errorf(core.CodeInvalid, "%s answers with an error: %s", name, clip(visible(wire.Message), 2000))
	}
	if status := x.status.Load(); http && status >= 400 {
		switch {
		case status == 404 && made == fateNotMade: // the session is over; a new one may know the tool
			return fateNotMade, core.Wrap(core.CodeUnavailable, err, "the server %s has forgotten the connection", spec.Name)
		case status == 401 || status == 403:
			return fateAnswered, core.Wrap(core.CodeForbidden, err, "the server %s refuses the call (HTTP status %d); the call was not made", spec.Name, status)
		case made == fateNotMade:
			return fateAnswered, core.Wrap(core.CodeUnavailable, err, "the server %s refuses the call (HTTP status %d); the call was not made", spec.Name, status)
		}
		return made, core.Wrap(core.CodeUnavailable, err, "the server %s failed (HTTP status %d)", spec.Name, status)
	}
	if why, is := unreadable(err); is {
		return made, core.Wrap(core.CodeUnavailable, err, "%s gave an answer that cannot be read: %s", name, why)
	}
	return made, err
}

// ofTransport are codes by which the library marks what did not come from the server. One that does come from it only makes
// us more careful.
func ofTransport(code int64) bool { return code <= -32003 && code >= -32005 }

// said is what a server's error says, "" in place of what is not the server's.
func said(err error) string {
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok && !ofTransport(wire.Code) {
		return clip(visible(wire.Message), 500)
	}
	if why := fault(err); why != "" {
		return "its answer cannot be read: " + why
	}
	return "the connection was lost"
}

func (l *link) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight++
}

func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.used = l.server.m.o.Now()
}
