package acp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/acp"
	"github.com/sutazai/sutazai/internal/jsonrpc"
	"github.com/sutazai/sutazai/services/peers"
)

// Bounds of a turn and of what is remembered of it.
const (
	maxAnswer   = 8 << 20  // bytes of text
	maxHistory  = 64 << 20 // bytes of a replayed session
	maxTold     = 32 << 10 // bytes of the conversation that is told to an agent which cannot load sessions
	maxActivity = 200      // lines in the log
)

// goOn is said to an agent whose turn was cut off.
const goOn = "You were cut off while you worked on my latest message. Look at what you have already done, do nothing twice, and finish it."

// turn is one turn of work in a session.
type turn struct {
	peer   *Peer
	call   core.PeerCall
	events core.PeerEvents
	dir    string
	before session // what is known from earlier
	peers.Turn

	mu       sync.Mutex
	loading  bool            // what comes is the session's past
	history  strings.Builder // text of the user in it
	past     int             // bytes of it
	text     strings.Builder
	apart    bool // the next text begins a paragraph: something was done in between
	activity int
}

// with makes the turn over a connection.
func (t *turn) with(ctx context.Context, c *conn) (core.PeerAnswer, error) {
	id, fresh, err := t.enter(ctx, c)
	if err != nil {
		return core.PeerAnswer{}, err
	}
	if err := c.follow(id, t); err != nil {
		return core.PeerAnswer{}, err
	}
	defer c.unfollow(id, true)
	now := session{ID: id, Turn: t.call.IdempotencyKey}
	if !c.init.AgentCapabilities.LoadSession {
		now.Told = t.before.Told
	}
	prompt := t.prompt(fresh)
	if err := t.events.Session(ctx, now.String()); err != nil {
		return core.PeerAnswer{}, err
	}
	t.before, t.Begun = now, true
	t.mu.Lock()
	t.text.Reset()
	t.apart = false
	t.mu.Unlock()
	end, err := t.send(ctx, c, id, prompt)
	if err != nil {
		return core.PeerAnswer{}, err
	}
	return t.answer(c, now, end)
}

// enter opens the session of the conversation, or a new one (fresh).
func (t *turn) enter(ctx context.Context, c *conn) (id string, fresh bool, err error) {
	can := c.init.AgentCapabilities
	id = t.before.ID
	switch {
	case id == "":
	case !t.Begun && c.isOpen(id):
		return id, false, nil
	case can.LoadSession || can.SessionCapabilities.Resume != nil:
		method := acp.Resume
		if can.LoadSession {
			method = acp.LoadSession
		}
		err := t.load(ctx, c, method, id)
		if err == nil || ctx.Err() != nil || c.rpc.Err() != nil || core.CodeOf(err) != core.CodeRefused {
			return id, false, err
		}
		if t.Begun {
			return "", false, core.Wrap(core.CodeConflict, err, "%s; the turn that was cut off may or may not be done", core.MessageOf(err))
		}
		t.log("the session is lost, a new one is made: " + core.MessageOf(err))
	}
	if t.Begun {
		return "", false, core.Errorf(core.CodeConflict, "%s cannot take up a session again; the turn that was cut off may or may not be done", t.peer.opts.Program.Name)
	}
	var made acp.NewSessionResponse
	if err := c.ask(ctx, acp.NewSession, acp.SessionRequest{Cwd: t.dir, MCPServers: []any{}}, &made); err != nil {
		return "", false, err
	}
	if made.SessionID == "" {
		return "", false, jsonrpc.Wrong("result.sessionId", "is missing")
	}
	return made.SessionID, true, nil
}

// load takes up a session. For a turn that was cut off, the session must know of it.
func (t *turn) load(ctx context.Context, c *conn, method, id string) error {
	if err := c.follow(id, t); err != nil {
		return err
	}
	t.mu.Lock()
	t.loading, t.past = true, 0
	t.history.Reset()
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.loading = false
		t.mu.Unlock()
	}()
	err := c.ask(ctx, method, acp.SessionRequest{SessionID: id, Cwd: t.dir, MCPServers: []any{}}, nil)
	if err != nil {
		c.unfollow(id, false)
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if method == acp.LoadSession && t.Begun && !strings.Contains(squeeze(t.history.String()), squeeze(t.call.Text)) {
		c.unfollow(id, true)
		return core.Errorf(core.CodeConflict, "the session of %s does not show the turn that was cut off; it may or may not be done", t.peer.opts.Program.Name)
	}
	return nil
}

// squeeze makes texts comparable that differ in white space alone.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// prompt is what the agent is told.
func (t *turn) prompt(fresh bool) []acp.ContentBlock {
	if t.Begun {
		return []acp.ContentBlock{acp.TextBlock(goOn)}
	}
	var blocks []acp.ContentBlock
	if fresh {
		if t.call.Instructions != "" {
			blocks = append(blocks, acp.TextBlock(t.call.Instructions))
		}
		if len(t.before.Told) > 0 {
			var b strings.Builder
			b.WriteString("The conversation so far:\n")
			for _, turn := range t.before.Told {
				fmt.Fprintf(&b, "\nUser: %s\n\nYou: %s\n", turn.User, turn.Agent)
			}
			blocks = append(blocks, acp.TextBlock(b.String()))
		}
	}
	blocks = append(blocks, acp.TextBlock(t.call.Text))
	for _, name := range t.call.Files {
		blocks = append(blocks, acp.ContentBlock{Type: "resource_link", Name: name, URI: peers.FileURL(t.dir, name)})
	}
	return blocks
}

// send gives the agent the prompt and waits for the end of the turn. When ctx ends it tells the agent to stop, and waits a
// little for that.
func (t *turn) send(ctx context.Context, c *conn, id string, prompt []acp.ContentBlock) (acp.PromptResponse, error) {
	var end acp.PromptResponse
	staying, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(stopped)
		if peers.Leaving(ctx) {
			leave()
			return
		}
		grace := time.AfterFunc(t.peer.opts.Grace, leave)
		_ = c.rpc.Notify(staying, acp.Cancel, acp.CancelNotification{SessionID: id}) // it may not read any more: then it is ended
		<-staying.Done()
		grace.Stop()
	})
	err := c.rpc.Call(staying, acp.Prompt, acp.PromptRequest{SessionID: id, Prompt: prompt}, &end)
	leave()
	if !unwatch() {
		<-stopped
		t.Deaf = err != nil && c.rpc.Err() == nil
		return end, ctx.Err()
	}
	return end, t.peer.rpcError(acp.Prompt, err)
}

// answer says how the turn ended.
func (t *turn) answer(c *conn, now session, end acp.PromptResponse) (core.PeerAnswer, error) {
	name := t.peer.opts.Program.Name
	t.mu.Lock()
	text := strings.TrimSpace(t.text.String())
	t.mu.Unlock()
	switch end.StopReason {
	case acp.StopEndTurn:
	case acp.StopMaxTokens:
		return core.PeerAnswer{}, core.Errorf(core.CodeLimit, "%s stopped: it had written as many tokens as it may", name)
	case acp.StopMaxTurns:
		return core.PeerAnswer{}, core.Errorf(core.CodeLimit, "%s stopped: it had asked its model as often as it may in one turn", name)
	case acp.StopRefusal:
		return core.PeerAnswer{}, core.Errorf(core.CodeRefused, "%s declined to go on: %s", name, peers.Clip(text, 300))
	case acp.StopCancelled:
		return core.PeerAnswer{}, core.Errorf(core.CodeCancelled, "%s says that its turn was cancelled, and nobody here did that", name)
	case "":
		return core.PeerAnswer{}, jsonrpc.Wrong("result.stopReason", "is missing")
	default:
		return core.PeerAnswer{}, jsonrpc.Wrong("result.stopReason", "must be end_turn, max_tokens, max_turn_requests, refusal or cancelled")
	}
	if !c.init.AgentCapabilities.LoadSession {
		now.Told = remember(now.Told, told{User: t.call.Text, Agent: text})
	}
	a := core.PeerAnswer{Text: text, Session: now.String()}
	if u := end.Usage; u != nil {
		a.Usage = core.Usage{InputTokens: max(u.InputTokens, 0), OutputTokens: max(u.OutputTokens, 0)}
	}
	return a, nil
}

// remember adds a turn to a conversation and drops its oldest ones when it grows too long.
func remember(all []told, t told) []told {
	t.User, t.Agent = peers.Clip(t.User, maxTold/4), peers.Clip(t.Agent, maxTold/2)
	all = append(slices.Clone(all), t)
	size := 0
	for i, turn := range slices.Backward(all) {
		if size += len(turn.User) + len(turn.Agent); size > maxTold {
			return all[i+1:]
		}
	}
	return all
}

// update takes what the agent tells of its work. An error ends the connection.
func (t *turn) update(u acp.SessionUpdate) error {
	const at = "params.update"
	switch u.Kind {
	case acp.UserChunk, acp.AgentChunk:
		block, err := u.Chunk(at)
		if err != nil {
			return err
		}
		if block.Text == nil {
			return nil // pictures and the like are not passed on
		}
		return t.chunk(u.Kind, *block.Text)
	case acp.ToolCallNew, acp.ToolCallUpdate:
		t.did(u)
	case acp.PlanUpdate:
		for _, e := range u.Entries {
			t.log("plan: [" + peers.Clip(e.Status, 20) + "] " + peers.Clip(e.Content, 200))
		}
	}
	return nil
}

func (t *turn) chunk(kind, text string) error {
	t.mu.Lock()
	if t.loading {
		defer t.mu.Unlock()
		if t.past += len(text); t.past > maxHistory {
			return core.Errorf(core.CodeTooLarge, "%s replays a session of more than %d MB", t.peer.opts.Program.Name, maxHistory>>20)
		}
		if kind == acp.UserChunk {
			t.history.WriteString(text)
		}
		return nil
	}
	if kind == acp.UserChunk || text == "" {
		t.mu.Unlock()
		return nil
	}
	if t.apart && t.text.Len() > 0 {
		text = "\n\n" + text
	}
	t.apart = false
	if t.text.Len()+len(text) > maxAnswer {
		t.mu.Unlock()
		return core.Errorf(core.CodeTooLarge, "%s wrote an answer of more than %d MB (params.update.content.text); large results belong into files", t.peer.opts.Program.Name, maxAnswer>>20)
	}
	t.text.WriteString(text)
	t.mu.Unlock()
	t.events.Delta(text)
	return nil
}

// say adds a paragraph of ours to the answer.
func (t *turn) say(text string) {
	t.mu.Lock()
	t.apart = true
	t.mu.Unlock()
	_ = t.chunk(acp.AgentChunk, text) // too long already: the turn fails anyway
	t.mu.Lock()
	t.apart = true
	t.mu.Unlock()
}

// did notes what the agent did with a tool.
func (t *turn) did(u acp.SessionUpdate) {
	t.mu.Lock()
	loading := t.loading
	t.apart = true
	t.mu.Unlock()
	if loading {
		return
	}
	line := "tool " + peers.Clip(u.ToolID, 60)
	if u.Title != nil {
		line += ": " + peers.Clip(*u.Title, 200)
	}
	if u.Status != nil {
		line += " (" + *u.Status + ")"
	}
	t.log(line)
}

// log writes a line about the turn into the peer's log.
func (t *turn) log(line string) {
	t.mu.Lock()
	t.activity++
	over := t.activity > maxActivity
	t.mu.Unlock()
	if !over {
		t.peer.programs.Log("run " + t.call.Run + ": " + line)
	}
}
