package acp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/coder/acp-go-sdk"
	"go.uber.org/goleak"
)

// The test program is its own agent: with ACP_TEST_AGENT set it speaks the protocol by a library that nobody here wrote.
func TestMain(m *testing.M) {
	if mode := os.Getenv("ACP_TEST_AGENT"); mode != "" {
		playAgent(mode)
		return
	}
	if lines := os.Getenv("ACP_TEST_LINES"); lines != "" {
		playLines(lines)
		return
	}
	goleak.VerifyTestMain(m)
}

// playLines answers each line that it reads with the next of its own; "die" ends it, "hang" answers no more.
func playLines(lines string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 32<<20)
	for line := range strings.SplitSeq(lines, "\n") {
		if !in.Scan() {
			return
		}
		switch {
		case line == "die":
			fmt.Fprintln(os.Stderr, "panic: out of cheese")
			os.Exit(3)
		case line == "hang":
			time.Sleep(time.Hour)
		case strings.HasPrefix(line, "long "):
			fmt.Println(strings.Repeat("x", 17<<20))
		default:
			fmt.Println(line)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// scripted is an agent whose behaviour the user's message names. It keeps its sessions in the folder ACP_TEST_STATE.
type scripted struct {
	mode  string
	state string
	conn  *sdk.AgentSideConnection

	mu       sync.Mutex
	cwd      map[sdk.SessionId]string
	loggedIn bool
	cancels  map[sdk.SessionId]context.CancelFunc
}

func playAgent(mode string) {
	a := &scripted{mode: mode, state: os.Getenv("ACP_TEST_STATE"), cwd: map[sdk.SessionId]string{}, cancels: map[sdk.SessionId]context.CancelFunc{}}
	a.conn = sdk.NewAgentSideConnection(a, os.Stdout, os.Stdin)
	a.conn.SetLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	<-a.conn.Done()
}

func (a *scripted) Initialize(context.Context, sdk.InitializeRequest) (sdk.InitializeResponse, error) {
	r := sdk.InitializeResponse{ProtocolVersion: 1, AgentCapabilities: sdk.AgentCapabilities{LoadSession: a.mode != "forgetful" && a.mode != "suite forgets"}}
	if strings.HasPrefix(a.mode, "login") {
		r.AuthMethods = []sdk.AuthMethod{{Agent: &sdk.AuthMethodAgent{Id: "key", Name: "API key", Description: sdk.Ptr("Set THE_KEY.")}}}
	}
	return r, nil
}

func (a *scripted) Authenticate(_ context.Context, r sdk.AuthenticateRequest) (sdk.AuthenticateResponse, error) {
	if a.mode == "login fails" {
		return sdk.AuthenticateResponse{}, sdk.NewInternalError(map[string]any{"details": "THE_KEY is not set"})
	}
	a.loggedIn = true
	return sdk.AuthenticateResponse{}, nil
}

func (a *scripted) NewSession(_ context.Context, r sdk.NewSessionRequest) (sdk.NewSessionResponse, error) {
	if strings.HasPrefix(a.mode, "login") && !a.loggedIn {
		return sdk.NewSessionResponse{}, sdk.NewAuthRequired(nil)
	}
	id := sdk.SessionId(fmt.Sprintf("s-%d", time.Now().UnixNano()))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cwd[id] = r.Cwd
	return sdk.NewSessionResponse{SessionId: id}, a.record(id, "", "")
}

// record adds to a session's file.
func (a *scripted) record(id sdk.SessionId, who, text string) error {
	f, err := os.OpenFile(filepath.Join(a.state, string(id)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if who != "" {
		line, _ := json.Marshal([2]string{who, text})
		_, err = f.Write(append(line, '\n'))
	}
	return err
}

// LoadSession implements the library's optional interface.
func (a *scripted) LoadSession(ctx context.Context, r sdk.LoadSessionRequest) (sdk.LoadSessionResponse, error) {
	b, err := os.ReadFile(filepath.Join(a.state, string(r.SessionId)))
	if err != nil {
		return sdk.LoadSessionResponse{}, &sdk.RequestError{Code: -32002, Message: "Resource not found"}
	}
	a.mu.Lock()
	a.cwd[r.SessionId] = r.Cwd
	a.mu.Unlock()
	for line := range strings.Lines(string(b)) {
		var said [2]string
		if json.Unmarshal([]byte(line), &said) != nil {
			continue
		}
		u := sdk.UpdateAgentMessageText(said[1])
		if said[0] == "user" {
			u = sdk.UpdateUserMessageText(said[1])
		}
		if err := a.conn.SessionUpdate(ctx, sdk.SessionNotification{SessionId: r.SessionId, Update: u}); err != nil {
			return sdk.LoadSessionResponse{}, err
		}
	}
	return sdk.LoadSessionResponse{}, nil
}

func (a *scripted) Cancel(_ context.Context, r sdk.CancelNotification) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = os.WriteFile(filepath.Join(a.state, "stopped"), nil, 0o600)
	if stop := a.cancels[r.SessionId]; stop != nil {
		stop()
	}
	return nil
}

func (a *scripted) SetSessionMode(context.Context, sdk.SetSessionModeRequest) (sdk.SetSessionModeResponse, error) {
	return sdk.SetSessionModeResponse{}, nil
}

func (a *scripted) CloseSession(context.Context, sdk.CloseSessionRequest) (sdk.CloseSessionResponse, error) {
	return sdk.CloseSessionResponse{}, nil
}

func (a *scripted) ListSessions(context.Context, sdk.ListSessionsRequest) (sdk.ListSessionsResponse, error) {
	return sdk.ListSessionsResponse{}, nil
}

func (a *scripted) ResumeSession(context.Context, sdk.ResumeSessionRequest) (sdk.ResumeSessionResponse, error) {
	return sdk.ResumeSessionResponse{}, sdk.NewMethodNotFound("session/resume")
}

func (a *scripted) SetSessionConfigOption(context.Context, sdk.SetSessionConfigOptionRequest) (sdk.SetSessionConfigOptionResponse, error) {
	return sdk.SetSessionConfigOptionResponse{}, nil
}

func (a *scripted) say(ctx context.Context, id sdk.SessionId, u sdk.SessionUpdate) {
	_ = a.conn.SessionUpdate(ctx, sdk.SessionNotification{SessionId: id, Update: u})
}

func (a *scripted) Prompt(ctx context.Context, r sdk.PromptRequest) (sdk.PromptResponse, error) {
	var all []string
	for _, b := range r.Prompt {
		switch {
		case b.Text != nil:
			all = append(all, b.Text.Text)
		case b.ResourceLink != nil:
			all = append(all, b.ResourceLink.Name+"="+b.ResourceLink.Uri)
		}
	}
	text := strings.Join(all, "|")
	_ = a.record(r.SessionId, "user", text)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.mu.Lock()
	a.cancels[r.SessionId] = stop
	dir := a.cwd[r.SessionId]
	a.mu.Unlock()
	work := a.work
	if strings.HasPrefix(a.mode, "suite ") {
		work = a.suite
	}
	answer, end, err := work(ctx, r.SessionId, dir, text)
	if err != nil {
		return sdk.PromptResponse{}, err
	}
	if answer != "" {
		a.say(ctx, r.SessionId, sdk.UpdateAgentMessageText(answer))
		_ = a.record(r.SessionId, "agent", answer)
	}
	return sdk.PromptResponse{StopReason: end, Usage: &sdk.Usage{InputTokens: 7, OutputTokens: 3, TotalTokens: 10}}, nil
}

func (a *scripted) work(ctx context.Context, id sdk.SessionId, dir, text string) (string, sdk.StopReason, error) {
	done := sdk.StopReasonEndTurn
	words := strings.Fields(text[strings.LastIndex(text, "|")+1:])
	switch words[0] {
	case "echo":
		return text, done, nil
	case "env":
		return strings.Join(os.Environ(), "\n"), done, nil
	case "stream":
		a.say(ctx, id, sdk.UpdateAgentThoughtText("hm"))
		a.say(ctx, id, sdk.UpdateAgentMessageText("First "))
		a.say(ctx, id, sdk.UpdateAgentMessageText("words."))
		a.say(ctx, id, sdk.StartToolCall("t1", "Reading notes", sdk.WithStartKind(sdk.ToolKindRead)))
		a.say(ctx, id, sdk.UpdateToolCall("t1", sdk.WithUpdateStatus(sdk.ToolCallStatusCompleted)))
		a.say(ctx, id, sdk.UpdatePlan(sdk.PlanEntry{Content: "one", Priority: "high", Status: "pending"}))
		return "Done.", done, nil
	case "permission":
		return a.permission(ctx, id)
	case "files":
		return a.files(ctx, id, dir)
	case "refuse":
		return "I would rather not.", sdk.StopReasonRefusal, nil
	case "tired":
		return "", sdk.StopReasonMaxTokens, nil
	case "wait":
		a.say(ctx, id, sdk.UpdateAgentMessageText("waiting"))
		<-ctx.Done()
		return "", sdk.StopReasonCancelled, nil
	case "deaf":
		a.say(ctx, id, sdk.UpdateAgentMessageText("deaf"))
		select {}
	case "die", "die-always":
		marker := filepath.Join(a.state, "died")
		if _, err := os.Stat(marker); err == nil && words[0] == "die" {
			return "again", done, nil
		}
		_ = os.WriteFile(marker, nil, 0o600)
		fmt.Fprintln(os.Stderr, "out of cheese, and the key is", os.Getenv("THE_KEY"))
		os.Exit(3)
	case "You": // go on
		return "went on", done, nil
	case "huge":
		for range 17 {
			a.say(ctx, id, sdk.UpdateAgentMessageText(strings.Repeat("x", 1<<20)))
		}
		return "", done, nil
	case "many":
		for range 3000 {
			a.say(ctx, id, sdk.UpdateAgentMessageText("x"))
		}
		return "", done, nil
	case "terminal":
		_, err := a.conn.CreateTerminal(ctx, sdk.CreateTerminalRequest{SessionId: id, Command: "id"})
		return fmt.Sprint(err), done, nil
	case "error":
		return "", done, sdk.NewInternalError(map[string]any{"details": "model overloaded"})
	}
	return "what?", done, nil
}

func (a *scripted) permission(ctx context.Context, id sdk.SessionId) (string, sdk.StopReason, error) {
	r, err := a.conn.RequestPermission(ctx, sdk.RequestPermissionRequest{
		SessionId: id,
		ToolCall:  sdk.ToolCallUpdate{ToolCallId: "t1", Title: sdk.Ptr("Delete everything"), RawInput: map[string]any{"path": "/"}},
		Options: []sdk.PermissionOption{
			{OptionId: "always", Kind: sdk.PermissionOptionKindAllowAlways, Name: "Always"},
			{OptionId: "yes", Kind: sdk.PermissionOptionKindAllowOnce, Name: "Yes"},
			{OptionId: "no", Kind: sdk.PermissionOptionKindRejectOnce, Name: "No"},
		},
	})
	switch {
	case err != nil:
		return "", "", err
	case r.Outcome.Cancelled != nil:
		return "", sdk.StopReasonCancelled, nil
	}
	return "chose " + string(r.Outcome.Selected.OptionId), sdk.StopReasonEndTurn, nil
}

func (a *scripted) files(ctx context.Context, id sdk.SessionId, dir string) (string, sdk.StopReason, error) {
	if _, err := a.conn.WriteTextFile(ctx, sdk.WriteTextFileRequest{SessionId: id, Path: filepath.Join(dir, "sub/new.txt"), Content: "one\ntwo\nthree\n"}); err != nil {
		return "", "", err
	}
	r, err := a.conn.ReadTextFile(ctx, sdk.ReadTextFileRequest{SessionId: id, Path: filepath.Join(dir, "sub/new.txt"), Line: sdk.Ptr(2), Limit: sdk.Ptr(1)})
	if err != nil {
		return "", "", err
	}
	out := []string{r.Content}
	_ = os.Symlink("/etc", filepath.Join(dir, "link"))
	for _, path := range []string{"/etc/passwd", filepath.Join(dir, "../x"), filepath.Join(dir, "link/passwd"), "relative", dir, filepath.Join(dir, "nowhere")} {
		_, err := a.conn.ReadTextFile(ctx, sdk.ReadTextFileRequest{SessionId: id, Path: path})
		_, werr := a.conn.WriteTextFile(ctx, sdk.WriteTextFileRequest{SessionId: id, Path: path, Content: "x"})
		if path == filepath.Join(dir, "nowhere") {
			werr = errors.New("not tried")
		}
		if err == nil || werr == nil {
			return "let in: " + path, sdk.StopReasonEndTurn, nil
		}
		if strings.Contains(err.Error()+werr.Error(), "/passwd") {
			return "tells paths: " + err.Error(), sdk.StopReasonEndTurn, nil
		}
	}
	return strings.Join(out, ""), sdk.StopReasonEndTurn, nil
}
