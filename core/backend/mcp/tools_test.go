package mcp_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

func call(t *testing.T, cs *sdk.ClientSession, name string, args any) *sdk.CallToolResult {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return res
}

func succeed(output string) func(*runs, core.Run) {
	return func(r *runs, run core.Run) {
		r.emit(run.ID, core.EventRunStarted, func(run *core.Run) { run.Status = core.RunRunning })
		r.step(run.ID, "read_file")
		r.emit(run.ID, core.EventRunSucceeded, func(run *core.Run) { run.Status, run.Output = core.RunSucceeded, output })
	}
}

func TestEachAgentIsATool(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		res, err := connect(nil).ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range res.Tools {
			names = append(names, tool.Name)
			if tool.Description == "" || tool.InputSchema == nil {
				t.Errorf("%s has no description or schema", tool.Name)
			}
			if has := tool.OutputSchema != nil; strings.HasPrefix(tool.Name, "agent_") && has != (tool.Name == "agent_counter") {
				t.Errorf("%s has an output schema: %t", tool.Name, has)
			}
		}
		want := []string{"agent_clerk", "agent_counter", "cancel_run", "decide_approval", "get_run", "list_agents", "list_runs", "send_message", "start_run"}
		if !slices.Equal(names, want) {
			t.Errorf("got %v", names)
		}
	})
}

func TestAnAgentsToolAnswersWhatTheRunAnswered(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		var mu sync.Mutex
		var told []string
		cs := connect(&sdk.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, r.Params.Message)
		}})
		b.runs.onStart = succeed("Paid.")
		params := &sdk.CallToolParams{Name: "agent_clerk", Arguments: map[string]any{"task": "Pay it.", "metadata": map[string]string{"k": "v"}}}
		params.SetProgressToken("token")
		res, err := cs.CallTool(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		if textOf(res) != "Paid." || res.IsError || res.StructuredContent != nil || res.Meta["sutazai/run"] != "run-1" {
			t.Errorf("got %+v %q", res, textOf(res))
		}
		s := b.runs.started[0]
		if s.Agent != "clerk" || s.Input != "Pay it." || s.Metadata["k"] != "v" || !strings.HasPrefix(s.Actor, "key:") {
			t.Errorf("started %+v", s)
		}
		eventually(t, "progress", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Equal(told, []string{"started", "tool read_file: succeeded"})
		})
	})
}

func TestAnAnswerWithAFormIsStructured(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		b.runs.onStart = succeed(`{"n": 3}`)
		res := call(t, cs, "agent_counter", map[string]any{"task": "Count."})
		if m, _ := res.StructuredContent.(map[string]any); m["n"] != 3.0 || res.IsError {
			t.Errorf("got %+v", res)
		}
		b.runs.onStart = succeed("three")
		if res := call(t, cs, "agent_counter", map[string]any{"task": "Count."}); !res.IsError || !strings.Contains(textOf(res), "run-2") {
			t.Errorf("an answer without the form: %+v", res)
		}
	})
}

func TestARunThatWaitsForAPersonSaysWhatFor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		b.runs.approvals = []core.Approval{{ID: "approval-1", Run: "run-1", Tool: "erp.pay", Arguments: json.RawMessage(`{"sum":9}`), Reason: core.ReasonPolicy}}
		b.runs.onStart = func(r *runs, run core.Run) {
			r.emit(run.ID, core.EventRunWaiting, func(run *core.Run) {
				run.Status, run.WaitReason, run.WaitDetail = core.RunWaiting, core.WaitApproval, "erp.pay"
			})
		}
		for agent, promised := range map[string]bool{"agent_clerk": false, "agent_counter": true} {
			res := call(t, cs, agent, map[string]any{"task": "Pay."})
			for _, want := range []string{"run-", "approval-1", `erp.pay {"sum":9}`, "decide_approval", "get_run", "https://agents.example.com/runs/"} {
				if !strings.Contains(textOf(res), want) {
					t.Errorf("%s: %q lacks %q", agent, textOf(res), want)
				}
			}
			if res.IsError != promised || (res.StructuredContent == nil) != promised {
				t.Errorf("%s: error %t, structured %v", agent, res.IsError, res.StructuredContent)
			}
		}
	})
}

func TestAFailedRunIsAnError(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		b.runs.onStart = func(r *runs, run core.Run) {
			r.emit(run.ID, core.EventRunFailed, func(run *core.Run) {
				run.Status, run.Error = core.RunFailed, &core.RunError{Code: core.CodeLimit, Message: "it used all its steps"}
			})
		}
		res := call(t, connect(nil), "agent_clerk", map[string]any{"task": "Pay."})
		if !res.IsError || textOf(res) != "it used all its steps (run run-1)" {
			t.Errorf("got %+v %q", res, textOf(res))
		}
	})
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		for _, c := range []struct {
			tool string
			args any
			want string
		}{
			{"agent_clerk", map[string]any{}, "task"},
			{"agent_clerk", map[string]any{"task": 5}, "task"},
			{"agent_clerk", map[string]any{"task": "x", "files": []any{map[string]any{"name": "a", "content_base64": "no base64!"}}}, "content_base64"},
			{"agent_clerk", map[string]any{"task": "x", "taks": "x"}, "taks"},
			{"start_run", map[string]any{"agent": "clerk"}, "input"},
			{"start_run", map[string]any{"agent": "clerk", "input": "x", "limits": map[string]any{"time": "soon"}}, "limits"},
			{"start_run", map[string]any{"agent": "nobody", "input": "x"}, `no agent "nobody"`},
			{"get_run", map[string]any{"id": "run-9"}, "no run run-9"},
			{"list_runs", map[string]any{"status": "lost"}, "status"},
			{"decide_approval", map[string]any{"id": "a", "decision": "maybe"}, "decision"},
			{"decide_approval", map[string]any{"id": "a", "decision": "edit"}, "arguments"},
		} {
			res := call(t, cs, c.tool, c.args)
			if !res.IsError || !strings.Contains(textOf(res), c.want) || strings.Contains(textOf(res), "Go ") {
				t.Errorf("%s %v: %q", c.tool, c.args, textOf(res))
			}
		}
	})
}

func TestRunsAreStartedShownAndSteered(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		structured := func(name string, args map[string]any) map[string]any {
			t.Helper()
			res := call(t, cs, name, args)
			m, ok := res.StructuredContent.(map[string]any)
			if res.IsError || !ok {
				t.Fatalf("%s: %+v %q", name, res, textOf(res))
			}
			return m
		}
		started := structured("start_run", map[string]any{"agent": "clerk", "input": "Pay.", "limits": map[string]any{"steps": 3}, "idempotency_key": "k",
			"files": []any{map[string]any{"name": "a.txt", "content_base64": "aGk="}}})
		if run := started["run"].(map[string]any); run["id"] != "run-1" || run["status"] != "queued" {
			t.Errorf("got %v", started)
		}
		if s := b.runs.started[0]; s.Limits.Steps != 3 || s.IdempotencyKey != "k" || string(s.Files[0].Content) != "hi" {
			t.Errorf("started %+v", s)
		}
		if shown := structured("get_run", map[string]any{"id": "run-1", "steps": true}); len(shown["steps"].([]any)) != 1 {
			t.Errorf("got %v", shown)
		}
		if listed := structured("list_runs", nil); len(listed["runs"].([]any)) != 1 || listed["next"] != "" {
			t.Errorf("got %v", listed)
		}
		if listed := structured("list_agents", nil)["agents"].([]any); len(listed) != 2 || listed[0].(map[string]any)["tool"] != "agent_clerk" {
			t.Errorf("got %v", listed)
		}
		structured("send_message", map[string]any{"id": "run-1", "text": "Hurry."})
		structured("decide_approval", map[string]any{"id": "a-1", "decision": "edit", "arguments": map[string]any{"sum": 1}, "comment": "less"})
		structured("cancel_run", map[string]any{"id": "run-1"})
		b.runs.seen(func() {
			v := b.runs.verdicts[0]
			if b.runs.texts[0] != "Hurry." || v.Decision != core.DecideEdit || string(v.Arguments) != `{"sum":1}` || v.Comment != "less" || !strings.HasPrefix(v.Actor, "key:") {
				t.Errorf("%v %+v", b.runs.texts, v)
			}
			if len(b.runs.cancelled) != 1 || !strings.HasPrefix(b.runs.cancelled[0], "run-1 by key:") {
				t.Errorf("cancelled %v", b.runs.cancelled)
			}
		})
		if !b.audit.has("run.cancel", "ok") || !b.audit.has("approval.decide", "ok") {
			t.Errorf("the audit log holds %v", b.audit.events)
		}
	})
}

func TestCancellingACallCancelsTheRunThatItStarted(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		started := make(chan struct{})
		b.runs.onStart = func(*runs, core.Run) { close(started) }
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		if _, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "agent_clerk", Arguments: map[string]any{"task": "Pay."}}); err == nil {
			t.Fatal("the call was answered")
		}
		eventually(t, "the run is cancelled", func() (is bool) {
			b.runs.seen(func() { is = len(b.runs.cancelled) == 1 && strings.HasPrefix(b.runs.cancelled[0], "run-1 by key:") })
			return is
		})
		eventually(t, "it is in the audit log", func() bool { return b.audit.has("run.cancel", "ok") })
	})
}

func TestAgentsThatComeAndGoChangeTheLists(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		changed := make(chan struct{}, 10)
		cs := connect(&sdk.ClientOptions{ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { changed <- struct{}{} }})
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { b.server.Watch(ctx) })
		defer watching.Wait()
		defer cancel()
		b.agents.add(core.Agent{Name: "new", Version: "1", Description: "Came later."})
		<-changed
		b.runs.onStart = nil
		res := call(t, cs, "agent_new", map[string]any{"task": "x"})
		if !res.IsError || !strings.Contains(textOf(res), `no agent "new"`) { // the scripted runs know only two
			t.Errorf("got %q", textOf(res))
		}
	})
}
