package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/auth"
)

func TestWhatIsWrongWithAMessageIsSaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(core.ScopeAdmin)
	id := b.open(key)
	for _, c := range []struct {
		body   string
		status int
		code   int
		want   string
	}{
		{`{`, 400, -32700, "not one JSON value (at byte 1)"},
		{"{\"a\":\"\xff\"}", 400, -32700, "not UTF-8"},
		{strings.Repeat("[", 300), 400, -32700, "deeper"},
		{`5`, 400, -32600, "a message must be a JSON object"},
		{`[]`, 400, -32600, "a batch holds 1 to"},
		{`{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, -32600, `jsonrpc: must be "2.0"`},
		{`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, 400, -32600, "id: must be"},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, -32600, "id: must be"},
		{`{"jsonrpc":"2.0","id":1e999,"method":"ping"}`, 400, -32600, "id: must be"},
		{`{"jsonrpc":"2.0","id":1,"method":7}`, 400, -32600, "method: must be"},
		{`{"jsonrpc":"2.0","id":1}`, 400, -32600, "method: is missing"},
		{`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, 400, -32600, "result: an answer has either"},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}`, 400, -32600, "error: must be"},
		{`{"jsonrpc":"2.0","id":1,"result":5}`, 400, -32600, "result: must be an object"},
		{`{"jsonrpc":"2.0","method":"tools/list"}`, 400, -32600, "id: tools/list is a request"},
		{`{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}`, 400, -32600, "id: notifications/initialized is a notification"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/burn"}`, 200, -32601, `no method "tools/burn"`},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[1]}`, 200, -32602, "params: must be an object"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5}}`, 200, -32602, "params.cursor: must be a text"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"zzz"}}`, 200, -32602, "params.cursor: is not one"},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/list","params":{"cursor":"zzz"}}`, 200, -32602, "params.cursor: is not one"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":3}}`, 200, -32602, "params._meta: must be an object"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":{}}}}`, 200, -32602, "params._meta.progressToken"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, 200, -32602, "params.name: is missing"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, 200, -32602, "params.name: is missing"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{}}}`, 200, -32602, "params.name: must be a text"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_run","arguments":"x"}}`, 200, -32602, "params.arguments: must be an object"},
		{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nothing"}}`, 200, -32602, `unknown tool "nothing"`},
		{`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"nothing"}}`, 200, -32602, `unknown prompt "nothing"`},
		{`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"clerk"}}`, 200, -32602, "params.arguments.task: is missing"},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"sutazai://runs/none"}}`, 200, -32602, "not found"},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}`, 200, -32602, "not found"},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"sutazai://runs/none"}}`, 200, -32602, "not found"},
		{`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`, 200, -32602, "params.level: must be one of"},
		{`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/nothing"},"argument":{"name":"a","value":""}}}`, 200, -32602, "params"},
		{`{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"clerk"},"argument":{"name":"a"}}}`, 200, -32602, "params.argument.value: is missing"},
		{`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`, 200, -32600, "initialized before"},
		{`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":5}}}`, 200, -32602, "params.capabilities.roots: must be an object"},
	} {
		status, _, body := b.post(key, c.body, "Mcp-Session-Id", id, "Mcp-Protocol-Version", "2025-11-25")
		if i := strings.Index(body, "data: {"); i >= 0 {
			body = body[i+len("data: "):]
		}
		var answer struct {
			Error struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(strings.TrimSpace(body)), &answer); err != nil {
			t.Errorf("%s: %v: %s", c.body, err, body)
			continue
		}
		if status != c.status || answer.Error.Code != c.code || !strings.Contains(answer.Error.Message, c.want) {
			t.Errorf("%s:\n  %d %+v, want %d %d %q", c.body, status, answer.Error, c.status, c.code, c.want)
		}
	}
	if status, _, _ := b.post(key, `{"jsonrpc":"2.0","method":"notifications/of_tomorrow"}`, "Mcp-Session-Id", id); status != http.StatusAccepted {
		t.Errorf("a notification that nobody knows: %d", status)
	}
}

func TestRevisionsAreAgreedUpon(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(core.ScopeAdmin)
	for asked, want := range map[string]string{"2025-11-25": "2025-11-25", "2025-06-18": "2025-06-18", "2024-11-05": "2024-11-05", "2026-07-28": "2025-11-25", "1999-01-01": "2025-11-25"} {
		_, _, body := b.post(key, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"`+asked+`","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
		if !strings.Contains(body, `"protocolVersion":"`+want+`"`) {
			t.Errorf("%s: %s", asked, body)
		}
	}
	for version, want := range map[string]int{"2026-07-28": 200, "2027-01-01": 400, "1999-01-01": 400, "nonsense": 400} {
		body := strings.ReplaceAll(modern("tools/list", ""), "2026-07-28", version)
		if status, _, answer := b.post(key, body, "Mcp-Protocol-Version", version, "Mcp-Method", "tools/list"); status != want {
			t.Errorf("%s: %d %s", version, status, answer)
		}
	}
	if status, _, answer := b.post(key, modern("tools/list", ""), "Mcp-Method", "tools/list"); status != 400 || !strings.Contains(answer, "-32020") {
		t.Errorf("without the header: %d %s", status, answer)
	}
	status, _, answer := b.post(key, modern("server/discover", ""), modernHeader("server/discover", "")...)
	if status != 200 || !strings.Contains(answer, `"2026-07-28"`) || !strings.Contains(answer, `"2025-11-25"`) || !strings.Contains(answer, `"subscribe":true`) {
		t.Errorf("discover: %d %s", status, answer)
	}
	for _, method := range []string{"initialize", "ping", "logging/setLevel", "resources/subscribe"} {
		if status, _, answer := b.post(key, modern(method, ""), modernHeader(method, "")...); status != 404 || !strings.Contains(answer, "-32601") {
			t.Errorf("%s: %d %s", method, status, answer)
		}
	}
}

func TestASessionEndsAtOnceAndItsRunsGoOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(core.ScopeAdmin)
	id := b.open(key)
	started, answered := make(chan struct{}), make(chan string, 1)
	b.runs.onStart = func(*runs, core.Run) { close(started) }
	go func() {
		_, _, body := b.post(key, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"agent_clerk","arguments":{"task":"x"}}}`, "Mcp-Session-Id", id)
		answered <- body
	}()
	<-started
	if status, _, body := b.do(http.MethodDelete, key, "", "Mcp-Session-Id", id); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	<-answered
	if status, _, _ := b.post(key, `{"jsonrpc":"2.0","id":3,"method":"ping"}`, "Mcp-Session-Id", id); status != http.StatusNotFound {
		t.Errorf("the session is still there: %d", status)
	}
	b.runs.seen(func() {
		if len(b.runs.cancelled) > 0 {
			t.Errorf("cancelled %v", b.runs.cancelled)
		}
	})
}

func TestABrokenStreamIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(core.ScopeAdmin)
	id := b.open(key)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"agent_clerk","arguments":{"task":"x"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": id, "Mcp-Protocol-Version": "2025-11-25"} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for read := bufio.NewScanner(res.Body); last == "" && read.Scan(); {
		if event, ok := strings.CutPrefix(read.Text(), "id: "); ok {
			last = event
		}
	}
	leave() // the connection breaks before the answer
	_ = res.Body.Close()
	eventually(t, "the run is started", func() (is bool) { b.runs.seen(func() { is = len(b.runs.runs) == 1 }); return is })
	b.runs.emit("run-1", core.EventRunSucceeded, func(r *core.Run) { r.Status, r.Output = core.RunSucceeded, "Paid." })
	var status int
	var body string
	eventually(t, "the answer is there", func() bool {
		status, _, body = b.do(http.MethodGet, key, "", "Mcp-Session-Id", id, "Mcp-Protocol-Version", "2025-11-25", "Last-Event-ID", last)
		return status != http.StatusConflict // the broken connection has not been noticed yet
	})
	if status != 200 || !strings.Contains(body, "Paid.") {
		t.Errorf("%d %s", status, body)
	}
	b.runs.seen(func() {
		if len(b.runs.cancelled) > 0 {
			t.Errorf("cancelled %v", b.runs.cancelled)
		}
	})
	for _, bad := range []string{"nonsense", "abc_5"} {
		if status, _, body := b.do(http.MethodGet, key, "", "Mcp-Session-Id", id, "Last-Event-ID", bad); status != 400 || !strings.Contains(body, `"error"`) {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

func TestResourcesAreRunsAndAgents(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		for range 60 {
			if _, _, err := b.runs.Start(t.Context(), core.StartRun{Agent: "clerk", Input: "Pay."}); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]bool{}
		for r, err := range cs.Resources(t.Context(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			if seen[r.URI] {
				t.Errorf("%s twice", r.URI)
			}
			seen[r.URI] = true
		}
		if len(seen) != 62 || !seen["sutazai://agents/clerk"] || !seen["sutazai://runs/run-1"] {
			t.Errorf("%d resources", len(seen))
		}
		b.runs.emit("run-1", core.EventRunSucceeded, func(r *core.Run) { r.Output = "*Paid.*" })
		for uri, want := range map[string]string{
			"sutazai://runs/run-1": `"id": "run-1"`, "sutazai://runs/run-1/steps": `"name": "local/tiny"`, "sutazai://runs/run-1/answer": "*Paid.*",
			"sutazai://agents/clerk": `"tool": "agent_clerk"`,
		} {
			res, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
			if err != nil || !strings.Contains(res.Contents[0].Text, want) || res.Contents[0].URI != uri {
				t.Errorf("%s: %v %+v", uri, err, res)
			}
		}
		done, err := cs.Complete(t.Context(), &sdk.CompleteParams{Ref: &sdk.CompleteReference{Type: "ref/resource", URI: "sutazai://agents/{name}"}, Argument: sdk.CompleteParamsArgument{Name: "name", Value: "cl"}})
		if err != nil || len(done.Completion.Values) != 1 || done.Completion.Values[0] != "clerk" {
			t.Errorf("%v %+v", err, done)
		}
		done, err = cs.Complete(t.Context(), &sdk.CompleteParams{Ref: &sdk.CompleteReference{Type: "ref/resource", URI: "sutazai://runs/{id}"}, Argument: sdk.CompleteParamsArgument{Name: "id", Value: "run-6"}})
		if err != nil || len(done.Completion.Values) != 2 {
			t.Errorf("%v %+v", err, done)
		}
	})
}

func TestSubscribersAreToldOfChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	told := make(chan string, 100)
	cs := b.client(b.key(core.ScopeAdmin), true, &sdk.ClientOptions{ResourceUpdatedHandler: func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) { told <- r.Params.URI }})
	if _, _, err := b.runs.Start(t.Context(), core.StartRun{Agent: "clerk", Input: "Pay."}); err != nil {
		t.Fatal(err)
	}
	b.runs.step("run-1", "before")
	time.Sleep(2 * time.Millisecond) // what is older than the subscription is no news
	const uri = "sutazai://runs/run-1"
	if err := cs.Subscribe(t.Context(), &sdk.SubscribeParams{URI: uri}); err != nil {
		t.Fatal(err)
	}
	b.runs.step("run-1", "read_file")
	b.runs.step("run-1", "read_file")
	if got := <-told; got != uri {
		t.Errorf("told of %s", got)
	}
	if err := cs.Unsubscribe(t.Context(), &sdk.UnsubscribeParams{URI: uri}); err != nil {
		t.Fatal(err)
	}
	b.runs.step("run-1", "after")
	select {
	case got := <-told:
		t.Errorf("told of %s after the end of the subscription", got)
	case <-time.After(500 * time.Millisecond):
	}
}

func TestPromptsGiveTasksToAgents(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, connect func(*sdk.ClientOptions) *sdk.ClientSession) {
		cs := connect(nil)
		res, err := cs.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "clerk", Arguments: map[string]string{"task": "Pay invoice 7."}})
		if err != nil {
			t.Fatal(err)
		}
		text := res.Messages[0].Content.(*sdk.TextContent).Text
		if !strings.Contains(text, "agent_clerk") || !strings.HasSuffix(text, "Pay invoice 7.") {
			t.Errorf("got %q", text)
		}
	})
}

func TestASessionMoreEndsTheOldest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, other := b.key(core.ScopeAdmin), b.key(core.ScopeAdmin)
	theirs, first := b.open(other), b.open(key)
	for range 100 {
		b.open(key)
	}
	ping := `{"jsonrpc":"2.0","id":3,"method":"ping"}`
	if status, _, _ := b.post(key, ping, "Mcp-Session-Id", first); status != http.StatusNotFound {
		t.Errorf("the oldest is still there: %d", status)
	}
	if status, _, _ := b.post(other, ping, "Mcp-Session-Id", theirs); status != http.StatusOK {
		t.Errorf("another's is gone: %d", status)
	}
}

func TestAStreamEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k, secret, err := b.auth.CreateKey(t.Context(), auth.NewKey{Name: "short", Scopes: []core.Scope{core.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	id := b.open(secret)
	if _, err := b.auth.RevokeKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := b.do(http.MethodGet, secret, "", "Mcp-Session-Id", id); status != http.StatusUnauthorized {
		t.Errorf("a revoked key: %d", status)
	}
	k, secret, err = b.auth.CreateKey(t.Context(), auth.NewKey{Name: "short", Scopes: []core.Scope{core.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	id = b.open(secret)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + secret, "Accept": "text/event-stream", "Mcp-Session-Id": id} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req) // returns when the stream has begun
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}()
	if _, err := b.auth.RevokeKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the stream goes on")
	}
}

func TestAServerThatStopsTellsWhatBecomesOfARun(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, b *bench, _ func(*sdk.ClientOptions) *sdk.ClientSession) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		life, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- backend.Serve(life, b.handler, slog.New(slog.DiscardHandler), l) }()
		b.url = "http://" + l.Addr().String()
		key := b.key(core.ScopeAdmin)
		old := strings.HasSuffix(t.Name(), "2025-11-25")
		body, header := modern("tools/call", `"name":"agent_clerk","arguments":{"task":"x"}`), modernHeader("tools/call", "agent_clerk")
		if old {
			body, header = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"agent_clerk","arguments":{"task":"x"}}}`, []string{"Mcp-Session-Id", b.open(key)}
		}
		b.runs.onStart = func(*runs, core.Run) { stop() }
		_, _, answer := b.post(key, body, header...)
		if !strings.Contains(answer, "the server stops; the run run-1 goes on") {
			t.Errorf("got %s", answer)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		b.runs.seen(func() {
			if len(b.runs.cancelled) > 0 {
				t.Errorf("cancelled %v", b.runs.cancelled)
			}
		})
	})
}
