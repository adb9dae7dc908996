package acp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/peers"
)

// bundle is a peer with what it was told to tell.
type bundle struct {
	*Peer
	t     *testing.T
	dir   string // of workspaces
	state string

	mu       sync.Mutex
	deltas   []string
	sessions []string
	asked    []core.PeerQuestion
	verdict  func(ctx context.Context, q core.PeerQuestion) (core.Verdict, error)
	onDelta  func()
}

// setup makes a peer whose agent is this test program in a mode, changed by change.
func setup(t *testing.T, mode string, change func(*Options)) *bundle {
	t.Helper()
	b := &bundle{t: t, dir: t.TempDir(), state: t.TempDir()}
	o := Options{
		Program: peers.ProgramSpec{
			Name: "coder", Command: []string{os.Args[0]}, LogDir: t.TempDir(), Grace: 200 * time.Millisecond,
			Env: map[string]string{"ACP_TEST_AGENT": mode, "ACP_TEST_STATE": b.state, "THE_KEY": "sesame-open"},
		},
		Workspace: func(name string) (string, error) {
			dir := filepath.Join(b.dir, name)
			return dir, os.MkdirAll(dir, 0o700)
		},
		Grace: time.Second,
	}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Peer = p
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func says(o *Options, say ...string) {
	o.Program.Env = map[string]string{"ACP_TEST_LINES": strings.Join(say, "\n")}
}

func (b *bundle) events() core.PeerEvents {
	return core.PeerEvents{
		Delta: func(text string) {
			b.mu.Lock()
			b.deltas = append(b.deltas, text)
			then := b.onDelta
			b.mu.Unlock()
			if then != nil {
				then()
			}
		},
		Session: func(_ context.Context, s string) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sessions = append(b.sessions, s)
			return nil
		},
		Ask: func(ctx context.Context, q core.PeerQuestion) (core.Verdict, error) {
			b.mu.Lock()
			b.asked = append(b.asked, q)
			b.mu.Unlock()
			return b.verdict(ctx, q)
		},
	}
}

// session is what was recorded last.
func (b *bundle) session() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sessions) == 0 {
		return ""
	}
	return b.sessions[len(b.sessions)-1]
}

func (b *bundle) talk(text string, change func(*core.PeerCall)) (core.PeerAnswer, error) {
	call := core.PeerCall{Peer: "coder", Run: "run1", IdempotencyKey: "run1:0", Text: text, Workspace: "run1"}
	if change != nil {
		change(&call)
	}
	return b.Talk(b.t.Context(), call, b.events())
}

func TestATurnIsStreamedAndAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	a, err := b.talk("stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "First words.\n\nDone."; a.Text != want || strings.Join(b.deltas, "") != want || len(b.deltas) != 3 {
		t.Errorf("got %q in %q", a.Text, b.deltas)
	}
	if a.Usage != (core.Usage{InputTokens: 7, OutputTokens: 3}) || a.Needs || a.Session == "" {
		t.Errorf("got %+v", a)
	}
	log, err := os.ReadFile(filepath.Join(b.opts.Program.LogDir, "peer-coder.log"))
	if err != nil || !strings.Contains(string(log), "run run1: tool t1: Reading notes") || !strings.Contains(string(log), "plan: [pending] one") {
		t.Errorf("the log has %q, %v", log, err)
	}
}

func TestTheAgentIsToldWhatItNeeds(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	a, err := b.talk("echo hello", func(c *core.PeerCall) {
		c.Instructions, c.Files = "Be brief.", []string{"my notes.txt"}
	})
	dir, _ := filepath.EvalSymlinks(filepath.Join(b.dir, "run1"))
	if want := "Be brief.|echo hello|my notes.txt=file://" + dir + "/my%20notes.txt"; err != nil || a.Text != "what?" && a.Text != want {
		t.Fatalf("got %q, %v; want %q", a.Text, err, want)
	}
	a, err = b.talk("echo again", func(c *core.PeerCall) { c.Session, c.Instructions, c.IdempotencyKey = a.Session, "Be brief.", "run1:1" })
	if err != nil || a.Text != "echo again" {
		t.Errorf("the next turn: got %q, %v", a.Text, err)
	}
}

func TestAnotherProcessTakesUpTheConversation(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"plain":     "echo two",
		"forgetful": "|The conversation so far:\n\nUser: echo one\n\nYou: echo one\n|echo two",
	} {
		b := setup(t, mode, nil)
		first, err := b.talk("echo one", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		again := setup(t, mode, func(o *Options) { o.Program.Env["ACP_TEST_STATE"] = b.state })
		second, err := again.talk("echo two", func(c *core.PeerCall) { c.Session, c.IdempotencyKey = first.Session, "run1:1" })
		if err != nil || second.Text != strings.TrimPrefix(want, "|") {
			t.Errorf("%s: got %q, %v", mode, second.Text, err)
		}
		if !slices.Equal(again.deltas, []string{second.Text}) {
			t.Errorf("%s: what was replayed was passed on: %q", mode, again.deltas)
		}
	}
}

func TestPermissionIsAskedAndGivenOnce(t *testing.T) {
	t.Parallel()
	for decision, want := range map[core.Decision]string{
		core.DecideApprove: "chose yes",
		core.DecideDeny:    "chose no",
		core.DecideEdit:    "(“Delete everything” was refused: this agent can be told yes or no, but not be given other arguments or a result.)\n\nchose no",
	} {
		b := setup(t, "plain", func(o *Options) { o.Program.Timeout = 2 * time.Second })
		b.verdict = func(context.Context, core.PeerQuestion) (core.Verdict, error) {
			if decision == core.DecideApprove {
				time.Sleep(2500 * time.Millisecond) // longer than the turn may take: people are slow
			}
			if decision == core.DecideEdit { // as the orchestrator tells it
				return core.Verdict{Decision: core.DecideApprove, Arguments: json.RawMessage(`{"path": "/tmp"}`)}, nil
			}
			return core.Verdict{Decision: decision, Arguments: json.RawMessage(`{ "path": "/" }`)}, nil
		}
		a, err := b.talk("permission", nil)
		if err != nil || a.Text != want {
			t.Errorf("%s: got %q, %v", decision, a.Text, err)
		}
		if len(b.asked) != 1 || b.asked[0].Tool != "Delete everything" || string(b.asked[0].Arguments) != `{"path":"/"}` || b.asked[0].Effect != core.EffectUnsafe {
			t.Errorf("asked %+v", b.asked)
		}
	}
}

func TestAQuestionEndsWithTheTurn(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	ctx, cancel := context.WithCancel(t.Context())
	b.verdict = func(asking context.Context, _ core.PeerQuestion) (core.Verdict, error) {
		cancel()
		<-asking.Done()
		return core.Verdict{}, asking.Err()
	}
	_, err := b.Talk(ctx, core.PeerCall{Run: "run1", IdempotencyKey: "k", Text: "permission", Workspace: "run1"}, b.events())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFilesOfTheWorkspaceAndNoOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	a, err := b.talk("files", nil)
	if err != nil || a.Text != "two" {
		t.Errorf("got %q, %v", a.Text, err)
	}
	if content, err := os.ReadFile(filepath.Join(b.dir, "run1/sub/new.txt")); err != nil || string(content) != "one\ntwo\nthree\n" {
		t.Errorf("got %q, %v", content, err)
	}
}

func TestTheEnvironmentIsSmall(t *testing.T) {
	t.Setenv("SUTAZAI_SECRET_OF_OURS", "hunter2-hunter2")
	b := setup(t, "plain", nil)
	a, err := b.talk("env", nil)
	if err != nil || strings.Contains(a.Text, "hunter2") || !strings.Contains(a.Text, "PATH=") || !strings.Contains(a.Text, "THE_KEY=") {
		t.Errorf("got %q, %v", a.Text, err)
	}
}

func TestEndsOfTurnsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		code core.Code
		says string
	}{
		"refuse": {core.CodeRefused, "rather not"},
		"tired":  {core.CodeLimit, "tokens"},
		"error":  {core.CodeRefused, "model overloaded"},
		"huge":   {core.CodeTooLarge, "8 MB"},
	} {
		b := setup(t, "plain", nil)
		_, err := b.talk(text, nil)
		if core.CodeOf(err) != want.code || !strings.Contains(core.MessageOf(err), want.says) {
			t.Errorf("%s: got %q %v", text, core.CodeOf(err), err)
		}
	}
}

func TestManyUpdatesAtOnceAreAllTaken(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	a, err := b.talk("many", nil)
	if err != nil || len(a.Text) != 3000 {
		t.Errorf("got %d, %v", len(a.Text), err)
	}
}

func TestTerminalsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	a, err := b.talk("terminal", nil)
	if err != nil || !strings.Contains(a.Text, "not known here") {
		t.Errorf("got %q, %v", a.Text, err)
	}
}

func TestACancelledTurnEndsSoonAlsoIfTheAgentIsDeaf(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"wait", "deaf"} {
		b := setup(t, "plain", nil)
		ctx, cancel := context.WithCancel(t.Context())
		b.onDelta = cancel
		begin := time.Now()
		_, err := b.Talk(ctx, core.PeerCall{Run: "run1", IdempotencyKey: "k", Text: text, Workspace: "run1"}, b.events())
		if !errors.Is(err, context.Canceled) || time.Since(begin) > 8*time.Second {
			t.Errorf("%s: got %v after %s", text, err, time.Since(begin))
		}
		b.onDelta = nil
		if a, err := b.talk("echo there?", func(c *core.PeerCall) { c.Session, c.IdempotencyKey = b.session(), "k2" }); err != nil || a.Text != "echo there?" {
			t.Errorf("%s: afterwards: got %q, %v", text, a.Text, err)
		}
	}
}

func TestATurnThatTakesTooLongIsStopped(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", func(o *Options) { o.Program.Timeout = 500 * time.Millisecond })
	if _, err := b.talk("wait", nil); core.CodeOf(err) != core.CodeTimeout {
		t.Errorf("got %v", err)
	}
}

func TestATurnWhoseAgentDiesIsTakenUpInItsSession(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	if a, err := b.talk("die", nil); err != nil || a.Text != "went on" {
		t.Errorf("got %q, %v", a.Text, err)
	}
	for mode, text := range map[string]string{"forgetful": "die-always"} {
		b := setup(t, mode, nil)
		_, err := b.talk(text, nil)
		if core.CodeOf(err) != core.CodeConflict || !strings.Contains(core.MessageOf(err), "may or may not") {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}

func TestAnInterruptedTurnIsLookedUp(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	first, err := b.talk("echo one", nil)
	if err != nil {
		t.Fatal(err)
	}
	interrupted := func(session, key string) func(*core.PeerCall) {
		return func(c *core.PeerCall) { c.Interrupted, c.Session, c.IdempotencyKey = true, session, key }
	}
	// Our process ended after the prompt was given: the session shows it.
	if a, err := b.talk("echo one", interrupted(first.Session, "run1:0")); err != nil || a.Text != "went on" {
		t.Errorf("found: got %q, %v", a.Text, err)
	}
	// It ended before: nothing was begun.
	if a, err := b.talk("echo two", interrupted(first.Session, "run1:1")); err != nil || a.Text != "echo two" {
		t.Errorf("not begun: got %q, %v", a.Text, err)
	}
	if a, err := b.talk("echo three", interrupted("", "run1:2")); err != nil || a.Text != "echo three" {
		t.Errorf("no session: got %q, %v", a.Text, err)
	}
	// The session is gone, or does not show it.
	for _, s := range []session{{ID: "gone", Turn: "k"}, {ID: readSession(first.Session).ID, Turn: "k"}} {
		if _, err := b.talk("echo something else", interrupted(s.String(), "k")); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("%s: got %v", s, err)
		}
	}
}

func TestALostSessionIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t, "plain", nil)
	if a, err := b.talk("echo hi", func(c *core.PeerCall) { c.Session = session{ID: "gone", Turn: "old"}.String() }); err != nil || a.Text != "echo hi" {
		t.Errorf("got %q, %v", a.Text, err)
	}
}

func TestALoginIsAskedForAndMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, login, want string }{
		{"login", "", "its ways to log in are key (API key): Set THE_KEY."},
		{"login", "keyy", `no way to log in that is called "keyy"`},
		{"login fails", "key", "THE_KEY is not set"},
		{"login", "key", ""},
	} {
		b := setup(t, c.mode, func(o *Options) { o.Login = c.login })
		a, err := b.talk("echo in", nil)
		if c.want == "" {
			if err != nil || a.Text != "echo in" {
				t.Errorf("got %q, %v", a.Text, err)
			}
			continue
		}
		if core.CodeOf(err) != core.CodeUnauthorized || !strings.Contains(core.MessageOf(err), c.want) {
			t.Errorf("%s %q: got %v", c.mode, c.login, err)
		}
	}
}

func TestAMalformedAgentIsToldByField(t *testing.T) {
	t.Parallel()
	const (
		hello   = `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}`
		session = `{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}}`
		update  = `{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":`
	)
	for name, c := range map[string]struct {
		say  []string
		want string
	}{
		"banner":          {[]string{"Welcome to the agent!"}, `not JSON: "Welcome to the agent!"`},
		"no version":      {[]string{`{"jsonrpc":"2.0","id":1,"result":{}}`}, "result.protocolVersion is missing"},
		"other version":   {[]string{`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":9}}`}, "version 9"},
		"version text":    {[]string{`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"1"}}`}, "result.protocolVersion must be a whole number, not text"},
		"no session":      {[]string{hello, `{"jsonrpc":"2.0","id":2,"result":{}}`}, "result.sessionId is missing"},
		"session number":  {[]string{hello, `{"jsonrpc":"2.0","id":2,"result":{"sessionId":5}}`}, "result.sessionId must be text"},
		"null result":     {[]string{hello, `{"jsonrpc":"2.0","id":2,"result":null}`}, "result.sessionId is missing"},
		"no stop reason":  {[]string{hello, session, `{"jsonrpc":"2.0","id":3,"result":{}}`}, "result.stopReason is missing"},
		"odd stop reason": {[]string{hello, session, `{"jsonrpc":"2.0","id":3,"result":{"stopReason":"bored"}}`}, "result.stopReason must be end_turn"},
		"no update kind":  {[]string{hello, session, update + `{}}}`}, "params.update.sessionUpdate is missing"},
		"no content":      {[]string{hello, session, update + `{"sessionUpdate":"agent_message_chunk"}}}`}, "params.update.content is missing"},
		"odd content":     {[]string{hello, session, update + `{"sessionUpdate":"agent_message_chunk","content":{"type":"smell"}}}}`}, "params.update.content.type must be text"},
		"text a number":   {[]string{hello, session, update + `{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":7}}}}`}, "params.update.content.text must be text, not a number"},
		"title a list":    {[]string{hello, session, update + `{"sessionUpdate":"tool_call","toolCallId":"t","title":[]}}}`}, "params.update.title must be text, not a list"},
		"long line":       {[]string{hello, session, "long "}, "longer than 16 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "", func(o *Options) { says(o, c.say...) })
			_, err := b.talk("hi", nil)
			code := core.CodeOf(err)
			if code != core.CodeInvalid && code != core.CodeTooLarge || !strings.Contains(core.MessageOf(err), c.want) || !strings.HasPrefix(core.MessageOf(err), "coder ") {
				t.Errorf("got %q %v", code, err)
			}
		})
	}
}

func TestAProgramThatCannotBeUsedIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"not installed": {func(o *Options) { o.Program.Command = []string{"no-such-agent"} }, `"no-such-agent" of peer coder is not installed`},
		"dies at start": {func(o *Options) { says(o, "die") }, "coder ended (exit status 3); it said last: panic: out of cheese"},
		"says nothing":  {func(o *Options) { says(o, "hang"); o.Program.Start = 300 * time.Millisecond }, "said nothing within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			b := setup(t, "", func(o *Options) { c.change(o); o.Program.Now = func() time.Time { return now } })
			_, err := b.talk("hi", nil)
			if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(core.MessageOf(err), c.want) {
				t.Errorf("got %q %v", core.CodeOf(err), err)
			}
			_, _ = b.talk("hi", nil)
			_, err = b.talk("hi", nil)
			if core.CodeOf(err) != core.CodeUnavailable || core.RetryAfterOf(err) <= 0 || !strings.Contains(core.MessageOf(err), "in a row") {
				t.Errorf("after some failures: got %q %v", core.CodeOf(err), err)
			}
			if s := b.Status(t.Context()); s.State != "unhealthy" || s.Protocol != "acp" {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestSecretsOfTheSettingsStayOutOfErrorsAndLogs(t *testing.T) {
	t.Parallel()
	b := setup(t, "forgetful", nil)
	_, err := b.talk("die-always", nil)
	log, _ := os.ReadFile(filepath.Join(b.opts.Program.LogDir, "peer-coder.log"))
	if text := core.MessageOf(err) + string(log); strings.Contains(text, "sesame") || !strings.Contains(text, "[hidden]") {
		t.Errorf("got %q", text)
	}
}

func TestProcessesAreOfARunOrShared(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		b := setup(t, "plain", func(o *Options) { o.Program.Shared = shared })
		var turns sync.WaitGroup
		for _, run := range []string{"run1", "run2", "run3"} {
			turns.Go(func() {
				if a, err := b.talk("echo "+run, func(c *core.PeerCall) { c.Run, c.Workspace, c.IdempotencyKey = run, run, run+":0" }); err != nil || a.Text != "echo "+run {
					t.Errorf("%s: got %q, %v", run, a.Text, err)
				}
			})
		}
		turns.Wait()
		if s := b.Status(t.Context()); s.State != "healthy" {
			t.Errorf("got %+v", s)
		}
	}
}
