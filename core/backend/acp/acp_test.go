package acp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/coder/acp-go-sdk"
	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRuns is a run whose events the test scripts: play is called for every message of the user.
type fakeRuns struct {
	play func(f *fakeRuns, text string)

	mu       sync.Mutex
	run      core.Run
	messages []core.Message
	steps    []core.Step
	events   []core.Event
	changed  chan struct{}
	decided  chan core.Verdict
	plays    sync.WaitGroup
}

func newFake(t *testing.T, play func(f *fakeRuns, text string)) *fakeRuns {
	f := &fakeRuns{play: play, changed: make(chan struct{}), decided: make(chan core.Verdict, 8)}
	t.Cleanup(f.plays.Wait)
	return f
}

// emit adds an event; change is made with it.
func (f *fakeRuns) emit(ev core.Event, change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if change != nil {
		change()
	}
	ev.N = int64(len(f.events) + 1)
	f.events = append(f.events, ev)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeRuns) say(role core.Role, text string, calls ...core.ToolCall) {
	m := core.Message{Role: role, Text: text, ToolCalls: calls}
	f.emit(core.Event{Type: core.EventMessageCompleted, Message: &m}, func() {
		m.Index = len(f.messages)
		f.messages = append(f.messages, m)
	})
}

func (f *fakeRuns) end(typ core.EventType, status core.RunStatus, failure *core.RunError) {
	f.emit(core.Event{Type: typ}, func() { f.run.Status, f.run.Error = status, failure })
}

func (f *fakeRuns) begin(text string) {
	f.mu.Lock()
	f.run.Status = core.RunRunning
	f.messages = append(f.messages, core.Message{Index: len(f.messages), Role: core.RoleUser, Text: text})
	f.mu.Unlock()
	f.plays.Go(func() { f.play(f, text) })
}

func (f *fakeRuns) Start(_ context.Context, agent, input string, metadata map[string]string, _ string) (core.Run, error) {
	if agent == "broken" {
		return core.Run{}, core.Errorf(core.CodeUnavailable, "the database is away")
	}
	f.mu.Lock()
	f.run = core.Run{ID: "11111111-1111-4111-8111-111111111111", Agent: agent, Metadata: metadata}
	run := f.run
	f.mu.Unlock()
	f.begin(input)
	return run, nil
}

func (f *fakeRuns) Run(_ context.Context, id string) (core.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != f.run.ID || id == "" {
		return core.Run{}, core.Errorf(core.CodeNotFound, "no such run")
	}
	return f.run, nil
}

func (f *fakeRuns) Latest(context.Context, string) ([]core.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run.ID == "" {
		return nil, nil
	}
	return []core.Run{f.run}, nil
}

func (f *fakeRuns) Messages(context.Context, string) ([]core.Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages), nil
}

func (f *fakeRuns) Steps(context.Context, string) ([]core.Step, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.steps), nil
}

func (f *fakeRuns) Message(_ context.Context, _, text string) (core.Run, error) {
	f.begin(text)
	return f.run, nil
}

func (f *fakeRuns) Cancel(context.Context, string) error {
	f.end(core.EventRunCancelled, core.RunCancelled, nil)
	return nil
}

func (f *fakeRuns) Decide(_ context.Context, _ string, v core.Verdict) error {
	f.decided <- v
	return nil
}

func (f *fakeRuns) Events(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error] {
	return func(yield func(core.Event, error) bool) {
		for {
			f.mu.Lock()
			events, changed, final := slices.Clone(f.events), f.changed, f.run.Status.Final()
			f.mu.Unlock()
			for _, ev := range events {
				if ev.N > after {
					after = ev.N
					if !yield(ev, nil) {
						return
					}
				}
			}
			if final {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// editor is a client by a library that nobody here wrote.
type editor struct {
	*sdk.ClientSideConnection
	permit func(sdk.RequestPermissionRequest) (sdk.RequestPermissionResponse, error)

	mu  sync.Mutex
	got []string
}

func (e *editor) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, s)
}

func (e *editor) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.got)
}

func (e *editor) SessionUpdate(_ context.Context, n sdk.SessionNotification) error {
	u := n.Update
	switch {
	case u.AgentMessageChunk != nil:
		e.note("agent: " + u.AgentMessageChunk.Content.Text.Text)
	case u.UserMessageChunk != nil:
		e.note("user: " + u.UserMessageChunk.Content.Text.Text)
	case u.AgentThoughtChunk != nil:
		e.note("thought: " + u.AgentThoughtChunk.Content.Text.Text)
	case u.ToolCall != nil:
		e.note(fmt.Sprintf("call %s %q %s %s", u.ToolCall.ToolCallId, u.ToolCall.Title, u.ToolCall.Kind, u.ToolCall.Status))
	case u.ToolCallUpdate != nil:
		line := "call " + string(u.ToolCallUpdate.ToolCallId)
		if u.ToolCallUpdate.Status != nil {
			line += " " + string(*u.ToolCallUpdate.Status)
		}
		for _, c := range u.ToolCallUpdate.Content {
			line += " " + c.Content.Content.Text.Text
		}
		e.note(line)
	default:
		e.note("something else")
	}
	return nil
}

func (e *editor) RequestPermission(_ context.Context, r sdk.RequestPermissionRequest) (sdk.RequestPermissionResponse, error) {
	e.note("asked: " + *r.ToolCall.Title)
	return e.permit(r)
}

func (e *editor) ReadTextFile(_ context.Context, r sdk.ReadTextFileRequest) (sdk.ReadTextFileResponse, error) {
	if !strings.HasSuffix(r.Path, "/notes.md") {
		return sdk.ReadTextFileResponse{}, errors.New("no such file")
	}
	return sdk.ReadTextFileResponse{Content: "remember the milk\n"}, nil
}

func (e *editor) WriteTextFile(context.Context, sdk.WriteTextFileRequest) (sdk.WriteTextFileResponse, error) {
	return sdk.WriteTextFileResponse{}, nil
}

func (e *editor) CreateTerminal(context.Context, sdk.CreateTerminalRequest) (sdk.CreateTerminalResponse, error) {
	return sdk.CreateTerminalResponse{}, nil
}

func (e *editor) KillTerminal(context.Context, sdk.KillTerminalRequest) (sdk.KillTerminalResponse, error) {
	return sdk.KillTerminalResponse{}, nil
}

func (e *editor) TerminalOutput(context.Context, sdk.TerminalOutputRequest) (sdk.TerminalOutputResponse, error) {
	return sdk.TerminalOutputResponse{}, nil
}

func (e *editor) ReleaseTerminal(context.Context, sdk.ReleaseTerminalRequest) (sdk.ReleaseTerminalResponse, error) {
	return sdk.ReleaseTerminalResponse{}, nil
}

func (e *editor) WaitForTerminalExit(context.Context, sdk.WaitForTerminalExitRequest) (sdk.WaitForTerminalExitResponse, error) {
	return sdk.WaitForTerminalExitResponse{}, nil
}

// serve starts the agent's side; what is written to the returned writer is read by it.
func serve(t *testing.T, runs Runs, agent string) (in io.WriteCloser, out io.Reader) {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := Serve(t.Context(), inR, outW, Options{Agent: agent, Version: "1", Runs: runs, Logger: slog.New(slog.DiscardHandler), Ready: func(context.Context) error {
			if agent == "missing" {
				return core.Errorf(core.CodeNotFound, "there is no agent %q", agent)
			}
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
		outW.Close()
	}()
	t.Cleanup(func() {
		inW.Close()
		<-done
		outR.Close()
	})
	return inW, outR
}

func connect(t *testing.T, runs Runs) *editor {
	t.Helper()
	in, out := serve(t, runs, "clerk")
	e := &editor{}
	e.ClientSideConnection = sdk.NewClientSideConnection(e, in, out)
	e.SetLogger(slog.New(slog.DiscardHandler))
	r, err := e.Initialize(t.Context(), sdk.InitializeRequest{ProtocolVersion: 1, ClientCapabilities: sdk.ClientCapabilities{Fs: sdk.FileSystemCapabilities{ReadTextFile: true}}})
	if err != nil || r.ProtocolVersion != 1 || !r.AgentCapabilities.LoadSession {
		t.Fatalf("got %+v, %v", r, err)
	}
	return e
}

func (e *editor) session(t *testing.T) sdk.SessionId {
	t.Helper()
	s, err := e.NewSession(t.Context(), sdk.NewSessionRequest{Cwd: "/", McpServers: []sdk.McpServer{}})
	if err != nil {
		t.Fatal(err)
	}
	return s.SessionId
}

func (e *editor) say(t *testing.T, id sdk.SessionId, blocks ...sdk.ContentBlock) (sdk.PromptResponse, error) {
	t.Helper()
	return e.Prompt(t.Context(), sdk.PromptRequest{SessionId: id, Prompt: blocks})
}

func working(f *fakeRuns, _ string) {
	call := core.ToolCall{ID: "c1", Name: "read_file", Arguments: json.RawMessage(`{"path":"a.txt"}`)}
	st := core.Step{ID: "r:1", Index: 1, Kind: core.StepTool, Name: "read_file", CallID: "c1", Status: core.StepRunning}
	i := len(f.messages)
	f.emit(core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: i, Attempt: 1, Text: "I "}}, nil)
	f.emit(core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: i, Attempt: 1, Offset: 2, Text: "look."}}, nil)
	f.say(core.RoleAssistant, "I look.", call)
	f.emit(core.Event{Type: core.EventStepStarted, Step: &st}, nil)
	f.emit(core.Event{Type: core.EventMessageCompleted, Message: &core.Message{Index: i + 1, Role: core.RoleTool, ToolCallID: "c1", Text: "milk"}}, func() {
		f.messages = append(f.messages, core.Message{Index: i + 1, Role: core.RoleTool, ToolCallID: "c1", Text: "milk"})
	})
	done := st
	done.Status = core.StepSucceeded
	f.emit(core.Event{Type: core.EventStepCompleted, Step: &done}, func() { f.steps = append(f.steps, done) })
	f.say(core.RoleAssistant, "It says milk.")
	f.end(core.EventRunSucceeded, core.RunSucceeded, nil)
}

func TestATurnIsStreamed(t *testing.T) {
	t.Parallel()
	e := connect(t, newFake(t, working))
	id := e.session(t)
	want := []string{"agent: I ", "agent: look.", `call r:1 "read_file a.txt" read in_progress`, "call r:1 milk", "call r:1 completed", "agent: It says milk."}
	for range 2 { // a second turn goes on in the same run
		r, err := e.say(t, id, sdk.TextBlock("look"))
		if err != nil || r.StopReason != sdk.StopReasonEndTurn {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	got := e.heard()
	if first := got[:min(len(want), len(got))]; !slices.Equal(first, want) {
		t.Errorf("got  %q\nwant %q", first, want)
	}
	if !slices.Contains(got[min(len(want), len(got)):], "agent: It says milk.") {
		t.Errorf("the second turn: %q", got)
	}
}

func TestASessionIsLoadedAndGoesOn(t *testing.T) {
	t.Parallel()
	f := newFake(t, working)
	e := connect(t, f)
	id := e.session(t)
	if _, err := e.say(t, id, sdk.TextBlock("look")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []sdk.SessionId{id, sdk.SessionId(f.run.ID)} {
		later := connect(t, f)
		if _, err := later.LoadSession(t.Context(), sdk.LoadSessionRequest{SessionId: name, Cwd: "/", McpServers: []sdk.McpServer{}}); err != nil {
			t.Fatal(err)
		}
		want := []string{"user: look", "agent: I look.", `call r:1 "read_file a.txt" read in_progress`, "call r:1 completed", "agent: It says milk."}
		if got := later.heard(); !slices.Equal(got[:min(5, len(got))], want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if _, err := e.LoadSession(t.Context(), sdk.LoadSessionRequest{SessionId: "never", Cwd: "/", McpServers: []sdk.McpServer{}}); err == nil || !strings.Contains(err.Error(), "params.sessionId is no session") {
		t.Errorf("got %v", err)
	}
}

func TestApprovalsAreRequestsForPermission(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outcome sdk.RequestPermissionOutcome
		want    core.Decision
	}{
		{sdk.NewRequestPermissionOutcomeSelected("allow"), core.DecideApprove},
		{sdk.NewRequestPermissionOutcomeSelected("reject"), core.DecideDeny},
	} {
		f := newFake(t, func(f *fakeRuns, _ string) {
			f.emit(core.Event{Type: core.EventApprovalRequested, Approval: &core.Approval{ID: "a1", Tool: "pay", Status: core.ApprovalPending, Reason: core.ReasonPolicy, Arguments: json.RawMessage(`{"n":1}`)}}, nil)
			f.end(core.EventRunWaiting, core.RunWaiting, nil)
			v := <-f.decided
			f.say(core.RoleAssistant, string(v.Decision))
			f.end(core.EventRunSucceeded, core.RunSucceeded, nil)
		})
		e := connect(t, f)
		e.permit = func(sdk.RequestPermissionRequest) (sdk.RequestPermissionResponse, error) {
			return sdk.RequestPermissionResponse{Outcome: c.outcome}, nil
		}
		r, err := e.say(t, e.session(t), sdk.TextBlock("pay"))
		if got := e.heard(); err != nil || r.StopReason != sdk.StopReasonEndTurn || !slices.Equal(got, []string{"asked: pay", "agent: " + string(c.want)}) {
			t.Errorf("got %+v, %v, %q", r, err, got)
		}
	}
}

func TestADecisionMadeElsewhereEndsTheTurnToo(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	hang := make(chan struct{})
	f := newFake(t, func(f *fakeRuns, _ string) {
		f.emit(core.Event{Type: core.EventApprovalRequested, Approval: &core.Approval{ID: "a1", Tool: "pay", Status: core.ApprovalPending, Reason: core.ReasonPolicy}}, nil)
		<-asked
		f.end(core.EventRunSucceeded, core.RunSucceeded, nil)
	})
	e := connect(t, f)
	e.permit = func(sdk.RequestPermissionRequest) (sdk.RequestPermissionResponse, error) {
		close(asked)
		<-hang
		return sdk.RequestPermissionResponse{}, errors.New("too late")
	}
	r, err := e.say(t, e.session(t), sdk.TextBlock("pay"))
	close(hang)
	if err != nil || r.StopReason != sdk.StopReasonEndTurn {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestAQuestionEndsTheTurnAndTheNextMessageAnswersIt(t *testing.T) {
	t.Parallel()
	e := connect(t, newFake(t, func(f *fakeRuns, text string) {
		if text == "the first" {
			working(f, text)
			return
		}
		f.emit(core.Event{Type: core.EventApprovalRequested, Approval: &core.Approval{ID: "a1", Status: core.ApprovalPending, Reason: core.ReasonQuestion, Arguments: json.RawMessage(`{"question":"Which?"}`)}}, nil)
		f.emit(core.Event{Type: core.EventRunWaiting}, func() { f.run.Status, f.run.WaitReason = core.RunWaiting, core.WaitQuestion })
	}))
	id := e.session(t)
	r, err := e.say(t, id, sdk.TextBlock("choose"))
	if got := e.heard(); err != nil || r.StopReason != sdk.StopReasonEndTurn || !slices.Equal(got, []string{"agent: Which?"}) {
		t.Fatalf("got %+v, %v, %q", r, err, got)
	}
	if r, err = e.say(t, id, sdk.TextBlock("the first")); err != nil || r.StopReason != sdk.StopReasonEndTurn {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestACancelledTurn(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	e := connect(t, newFake(t, func(*fakeRuns, string) { close(began) }))
	id := e.session(t)
	go func() {
		<-began
		_ = e.Cancel(context.Background(), sdk.CancelNotification{SessionId: id})
	}()
	if r, err := e.say(t, id, sdk.TextBlock("work")); err != nil || r.StopReason != sdk.StopReasonCancelled {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestEndsOfRunsHaveTheirStopReasons(t *testing.T) {
	t.Parallel()
	for code, want := range map[core.Code]string{
		core.CodeLimit: "max_turn_requests", core.CodeContextFull: "max_tokens", core.CodeRefused: "refusal", core.CodeUnavailable: "error",
	} {
		e := connect(t, newFake(t, func(f *fakeRuns, _ string) {
			f.end(core.EventRunFailed, core.RunFailed, &core.RunError{Code: code, Message: "because"})
		}))
		r, err := e.say(t, e.session(t), sdk.TextBlock("work"))
		got := string(r.StopReason)
		if err != nil {
			got = "error"
			if !strings.Contains(err.Error(), "because") {
				t.Errorf("got %v", err)
			}
		}
		if got != want {
			t.Errorf("%s: got %s, %v", code, got, err)
		}
	}
}

func TestFilesOfThePromptAreTakenIn(t *testing.T) {
	t.Parallel()
	input := make(chan string, 1)
	e := connect(t, newFake(t, func(f *fakeRuns, text string) {
		input <- text
		f.end(core.EventRunSucceeded, core.RunSucceeded, nil)
	}))
	_, err := e.say(t, e.session(t), sdk.TextBlock("Read these."), sdk.ResourceLinkBlock("notes", "file:///x/notes.md"), sdk.ResourceLinkBlock("gone", "file:///x/gone.md"),
		sdk.ResourceLinkBlock("page", "https://example.com/p"), sdk.ResourceBlock(sdk.EmbeddedResourceResource{TextResourceContents: &sdk.TextResourceContents{Uri: "file:///x/a.go", Text: "a ``` b"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := "Read these.\n\nnotes.md (file:///x/notes.md):\n```\nremember the milk\n```\n\n[gone](file:///x/gone.md) (it could not be read)\n\n[page](https://example.com/p)\n\na.go (file:///x/a.go):\n````\na ``` b\n````"
	if got := <-input; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	hello := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}`
	for name, c := range map[string]struct{ agent, first, line, want string }{
		"no version":      {"clerk", "", `{"jsonrpc":"2.0","id":2,"method":"initialize","params":{}}`, "params.protocolVersion is missing"},
		"no agent":        {"missing", "", hello, "there is no agent"},
		"not JSON":        {"clerk", hello, `{`, "not JSON"},
		"unknown method":  {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"x"}`, "not known here"},
		"no cwd":          {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"session/new","params":{}}`, "params.cwd is missing"},
		"no params":       {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"session/new"}`, "params is missing"},
		"cwd a number":    {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"session/new","params":{"cwd":1}}`, "params.cwd must be text"},
		"unknown session": {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"session/prompt","params":{"sessionId":"x","prompt":[{"type":"text","text":"a"}]}}`, "params.sessionId is not an open session"},
		"no prompt":       {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"session/prompt","params":{"sessionId":"x"}}`, "params.prompt must have"},
		"login":           {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"authenticate","params":{"methodId":"x"}}`, "params.methodId"},
		"load nothing":    {"clerk", hello, `{"jsonrpc":"2.0","id":2,"method":"session/load","params":{"cwd":"/"}}`, "params.sessionId is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out := serve(t, newFake(t, nil), c.agent)
			lines := bufio.NewScanner(out)
			for _, line := range []string{c.first, c.line} {
				if line != "" {
					_, _ = io.WriteString(in, line+"\n")
					lines.Scan()
				}
			}
			if got := lines.Text(); !strings.Contains(got, c.want) || !strings.Contains(got, `"error"`) {
				t.Errorf("got %s, want %q", got, c.want)
			}
		})
	}
}

func TestARestartedMessageIsNotToldTwice(t *testing.T) {
	t.Parallel()
	e := connect(t, newFake(t, func(f *fakeRuns, _ string) {
		model := &core.Step{ID: "r:0", Kind: core.StepModel}
		delta := func(attempt, offset int, text string) {
			f.emit(core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: 1, Attempt: attempt, Offset: offset, Text: text}}, nil)
		}
		f.emit(core.Event{Type: core.EventStepStarted, Step: model}, nil)
		delta(1, 0, "Hello w")
		delta(2, 0, "Hello")
		delta(2, 5, " world")
		f.say(core.RoleAssistant, "Hello world")
		f.end(core.EventRunSucceeded, core.RunSucceeded, nil)
	}))
	if _, err := e.say(t, e.session(t), sdk.TextBlock("hi")); err != nil {
		t.Fatal(err)
	}
	if got := e.heard(); !slices.Equal(got, []string{"agent: Hello w", "agent: orld"}) {
		t.Errorf("got %q", got)
	}
}
