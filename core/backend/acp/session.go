package acp

import (
	"context"
	"errors"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// session is a conversation with the agent: a run, once the first message is there.
type session struct {
	server *server
	id     string

	mu      sync.Mutex
	run     string
	cancel  context.CancelCauseFunc // of the turn that is under way; nil = none
	after   int64                   // number of the last event that was told
	started map[string]string       // steps that the client knows of, with the calls that they make
	told    int                     // messages that the client knows
	part    partial
	calls   map[string]core.ToolCall // by id, for the steps that make them
}

// errStopped says that the client wants the turn stopped.
var errStopped = errors.New("the client stopped the turn")

func (c *session) runID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run
}

// take begins a turn; a session has one at a time.
func (c *session) take(ctx context.Context) (turn context.Context, done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		return nil, nil, jsonrpc.Wrong("params.sessionId", "has a turn under way; wait for its end, or cancel it")
	}
	turn, cancel := context.WithCancelCause(ctx)
	c.cancel = cancel
	return turn, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cancel = nil
		cancel(nil)
	}, nil
}

// stop stops the turn that is under way, and its run.
func (c *session) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel(errStopped)
	}
}

// turn gives the run a message and tells the client what comes of it until the run ends or asks something.
func (c *session) turn(ctx context.Context, text string) (any, error) {
	runs := c.server.opts.Runs
	// A stop must not leave a run behind of which nothing is known: what was begun is finished, then cancelled.
	steady := context.WithoutCancel(ctx)
	var err error
	if c.runID() == "" {
		var run core.Run
		run, err = runs.Start(steady, c.server.opts.Agent, text, map[string]string{metadataKey: c.id}, c.id)
		if err == nil {
			c.mu.Lock()
			c.run, c.told = run.ID, 1 // the client's own message
			c.mu.Unlock()
		}
	} else {
		if _, err = runs.Message(steady, c.run, text); err == nil {
			c.told++
		}
	}
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errStopped) {
			if err := runs.Cancel(steady, c.run); err != nil && core.CodeOf(err) != core.CodeConflict {
				c.server.opts.Logger.Warn("a run could not be cancelled", "run", c.run, "error", err)
			}
		}
	})()
	t := &telling{session: c, ctx: steady}
	// The stream is read on after a stop: it ends with the run's own end.
	watching, leave := context.WithCancel(steady)
	defer leave()
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), errStopped) {
			leave() // the client is gone
		}
	})()
	end, err := t.follow(watching)
	leave()
	t.asking.Wait()
	if errors.Is(context.Cause(ctx), errStopped) {
		return acp.PromptResponse{StopReason: acp.StopCancelled}, nil
	}
	if err != nil {
		return nil, err
	}
	return end, nil
}

// replay tells the client what was said in the session so far.
func (c *session) replay(ctx context.Context) error {
	runs := c.server.opts.Runs
	messages, err := runs.Messages(ctx, c.run)
	if err != nil {
		return err
	}
	steps, err := runs.Steps(ctx, c.run)
	if err != nil {
		return err
	}
	c.started, c.calls = map[string]string{}, map[string]core.ToolCall{}
	ended := map[string]core.Step{}
	for _, st := range steps {
		ended[st.CallID] = st
	}
	for _, m := range messages {
		kind := acp.AgentChunk
		switch {
		case m.Role == core.RoleUser:
			kind = acp.UserChunk
		case m.Role != core.RoleAssistant:
			continue
		}
		if m.Text != "" {
			c.chunk(ctx, kind, m.Text)
		}
		for _, call := range m.ToolCalls {
			c.calls[call.ID] = call
			if st, ok := ended[call.ID]; ok && call.ID != "" && st.Status.Final() {
				c.stepStarted(ctx, st)
				c.stepEnded(ctx, st)
			}
		}
	}
	c.told = len(messages)
	run, err := runs.Run(ctx, c.run)
	if err != nil || !run.Status.Final() {
		return err
	}
	for ev, err := range runs.Events(ctx, c.run, 0) { // to its end, which is there
		if err != nil {
			return err
		}
		c.after = ev.N
	}
	return nil
}

// update tells the client something.
func (c *session) update(ctx context.Context, u any) {
	// An error means that the client is gone; whoever reads from it knows that.
	_ = c.server.rpc.Notify(ctx, acp.Update, struct {
		SessionID string `json:"sessionId"`
		Update    any    `json:"update"`
	}{c.id, u})
}

func (c *session) chunk(ctx context.Context, kind, text string) {
	c.update(ctx, struct {
		Kind    string           `json:"sessionUpdate"`
		Content acp.ContentBlock `json:"content"`
	}{kind, acp.TextBlock(text)})
}
