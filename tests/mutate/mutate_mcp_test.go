//go:build mutate

package mutate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/app"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

const (
	mcpMessages = 10_000
	mcpPatience = 10 * time.Second // for an answer
)

// mcpValid are messages of both kinds of revisions to begin with; _meta is added for the one without sessions.
var mcpValid = []string{
	`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{}}},"clientInfo":{"name":"t","version":"1"}}}`,
	`{"jsonrpc":"2.0","id":2,"method":"ping"}`,
	`{"jsonrpc":"2.0","id":"a","method":"server/discover","params":{}}`,
	`{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":""}}`,
	`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"agent_assistant","arguments":{"task":"Say hello.","metadata":{"k":"v"},"files":[{"name":"a.txt","content_base64":"aGk="}]},"_meta":{"progressToken":"p"}}}`,
	`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"start_run","arguments":{"agent":"assistant","input":"Say hello.","limits":{"steps":2,"tokens":100,"cost_usd":0.5,"time":"1m","depth":1},"idempotency_key":"k"}}}`,
	`{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"get_run","arguments":{"id":"019ab3c1-7c2e-7a3b-9f00-1234567890ab","steps":true}}}`,
	`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_runs","arguments":{"agent":"assistant","status":"succeeded","parent":"x","before":"y","limit":5}}}`,
	`{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"decide_approval","arguments":{"id":"x","decision":"edit","arguments":{"a":1},"result":"r","comment":"c"}}}`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"send_message","arguments":{"id":"x","text":"hello"}}}`,
	`{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"cancel_run","arguments":{"id":"x"}}}`,
	`{"jsonrpc":"2.0","id":11,"method":"prompts/list","params":{}}`,
	`{"jsonrpc":"2.0","id":12,"method":"prompts/get","params":{"name":"assistant","arguments":{"task":"x"}}}`,
	`{"jsonrpc":"2.0","id":13,"method":"resources/list","params":{"cursor":"runs.x"}}`,
	`{"jsonrpc":"2.0","id":14,"method":"resources/templates/list"}`,
	`{"jsonrpc":"2.0","id":15,"method":"resources/read","params":{"uri":"sutazai://agents/assistant"}}`,
	`{"jsonrpc":"2.0","id":16,"method":"resources/subscribe","params":{"uri":"sutazai://agents/assistant"}}`,
	`{"jsonrpc":"2.0","id":17,"method":"resources/unsubscribe","params":{"uri":"sutazai://agents/assistant"}}`,
	`{"jsonrpc":"2.0","id":18,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"sutazai://runs/{id}"},"argument":{"name":"id","value":""},"context":{"arguments":{"a":"b"}}}}`,
	`{"jsonrpc":"2.0","id":19,"method":"logging/setLevel","params":{"level":"info"}}`,
	`{"jsonrpc":"2.0","id":20,"method":"subscriptions/listen","params":{"notifications":{}}}`,
	`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99,"reason":"x"}}`,
	`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"total":2,"message":"m"}}`,
	`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
	`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`,
	`{"jsonrpc":"2.0","id":77,"result":{"roots":[]}}`,
	`{"jsonrpc":"2.0","id":78,"error":{"code":-1,"message":"no"}}`,
}

// mcpNames is what an explained error speaks of.
var mcpNames = []string{
	"params", "id:", "method", "jsonrpc", "result", "error:", "arguments", "body", "batch", "header", "tool", "prompt", "resource", "session", "run ", "agent", "approval",
	"file ", "message", "_meta", "protocol version", "accept", "cursor", "initialized", "page", "input",
}

// mcpLog counts what must not happen.
type mcpLog struct {
	slog.Handler
	mu     sync.Mutex
	panics int
	errors []string
}

func (l *mcpLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

func (l *mcpLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(r.Message, "panic") {
		l.panics++
	}
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.errors = append(l.errors, text)
	return nil
}

func (l *mcpLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *mcpLog) WithGroup(string) slog.Handler      { return l }

func TestMCPServer(t *testing.T) {
	before := runtime.NumGoroutine()
	model := httptest.NewServer(aimodelstest.OpenAIServer(func(int, core.ModelRequest) aimodelstest.Turn { return aimodelstest.Text("Hello.") }, "m"))
	dir := t.TempDir()
	cfg, err := config.Load(config.Options{Set: []string{
		"server.listen=127.0.0.1:0", "server.data_dir=" + dir, "server.auth=none", "models.local.runtime=off",
		"models.providers.fake.kind=openai", "models.providers.fake.base_url=" + model.URL + "/v1", "models.routes.default=[{target: fake/m}]",
		"server.rate_limit.per_key_per_minute=10000000", "server.rate_limit.per_address_per_minute=10000000",
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := &mcpLog{}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Logger: slog.New(log), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	p := &mcpPeer{t: t, url: a.URL() + "/mcp", client: &http.Client{Transport: &http.Transport{}}, m: New(7)}
	p.open()
	for n := range mcpMessages {
		p.send(n%2 == 0)
	}
	p.client.CloseIdleConnections()
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	model.Close()
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if left := runtime.NumGoroutine() - before; left > 2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left:\n%s", left, buf[:runtime.Stack(buf, true)])
		p.leaks++
	}
	for _, e := range log.errors {
		t.Errorf("the log holds an error: %s", e)
	}
	fmt.Printf("RESULT mutate protocol=mcp role=server messages=%d panics=%d leaks=%d unexplained=%d refused=%d\n", mcpMessages, log.panics, p.leaks, p.unexplained, p.refused)
	if log.panics+p.leaks+p.unexplained > 0 {
		t.Fail()
	}
}

// mcpPeer is a client that sends what it should not.
type mcpPeer struct {
	t       *testing.T
	url     string
	client  *http.Client
	m       *Mutator
	session string

	leaks, unexplained, refused int
}

func (p *mcpPeer) open() {
	header, _, _ := p.post(mcpValid[0], http.Header{})
	if p.session = header.Get("Mcp-Session-Id"); p.session == "" {
		p.t.Fatal("no session")
	}
	p.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, http.Header{"Mcp-Session-Id": {p.session}})
}

func (p *mcpPeer) send(modern bool) {
	valid := Pick(p.m, mcpValid)
	header := http.Header{"Mcp-Session-Id": {p.session}, "Mcp-Protocol-Version": {"2025-11-25"}}
	if modern {
		var o map[string]any
		_ = json.Unmarshal([]byte(valid), &o) // it is valid
		params, _ := o["params"].(map[string]any)
		if params == nil {
			params = map[string]any{}
		}
		meta, _ := params["_meta"].(map[string]any)
		if meta == nil {
			meta = map[string]any{}
		}
		meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28"
		meta["io.modelcontextprotocol/clientCapabilities"] = map[string]any{"sampling": map[string]any{}}
		meta["io.modelcontextprotocol/clientInfo"] = map[string]any{"name": "t", "version": "1"}
		params["_meta"], o["params"] = meta, params
		b, _ := json.Marshal(o)
		valid = string(b)
		header = http.Header{"Mcp-Protocol-Version": {"2026-07-28"}}
	}
	body := string(p.m.Message([]byte(valid)))
	if modern {
		p.headers(header, body)
	}
	got, status, answer := p.post(body, header)
	if got == nil { // it hung, or the connection was cut
		p.t.Errorf("no answer to %.300s", body)
		p.unexplained++
		return
	}
	if status >= 500 {
		p.t.Errorf("status %d for %.300s: %s", status, body, answer)
		p.unexplained++
	}
	if status == http.StatusNotFound && !modern && strings.Contains(answer, "no such session") {
		p.open()
	}
	if leak := Leak(answer, body); leak != "" {
		p.t.Errorf("%q leaks in the answer to %.300s:\n%.600s", leak, body, answer)
		p.leaks++
	}
	for _, message := range errorsIn(answer) {
		p.refused++
		if !Explained(message, mcpNames...) {
			p.t.Errorf("%q explains nothing about %.300s", message, body)
			p.unexplained++
		}
	}
	if status >= 400 && len(errorsIn(answer)) == 0 {
		p.t.Errorf("status %d without an error for %.300s: %.300s", status, body, answer)
		p.unexplained++
	}
}

// headers are what a client of the revision without sessions sends beside a body, if it has the fields.
func (p *mcpPeer) headers(h http.Header, body string) {
	var o struct {
		Method any `json:"method"`
		Params any `json:"params"`
	}
	if json.Unmarshal([]byte(body), &o) != nil {
		return
	}
	set := func(name string, v any) {
		if s, ok := v.(string); ok && !strings.ContainsAny(s, "\x00\r\n") && len(s) < 2000 {
			h.Set(name, s)
		}
	}
	set("Mcp-Method", o.Method)
	if params, ok := o.Params.(map[string]any); ok {
		set("Mcp-Name", params["uri"])
		set("Mcp-Name", params["name"])
	}
}

func (p *mcpPeer) post(body string, header http.Header) (http.Header, int, string) {
	ctx, cancel := context.WithTimeout(p.t.Context(), mcpPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	res, err := p.client.Do(req)
	if err != nil {
		return nil, 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, 0, err.Error()
	}
	return res.Header, res.StatusCode, string(b)
}

// errorsIn returns the texts of the errors in an answer: of the protocol and of tools.
func errorsIn(answer string) (out []string) {
	look := func(raw []byte) {
		var m struct {
			Error *struct {
				Message string `json:"message"`
			} `json:"error"`
			Result struct {
				IsError bool `json:"isError"`
				Content []struct {
					Text string `json:"text"`
				} `json:"content"`
			} `json:"result"`
		}
		if json.Unmarshal(raw, &m) != nil {
			return
		}
		if m.Error != nil {
			out = append(out, m.Error.Message)
		}
		if m.Result.IsError && len(m.Result.Content) > 0 {
			out = append(out, m.Result.Content[0].Text)
		}
	}
	look([]byte(answer))
	lines := bufio.NewScanner(strings.NewReader(answer))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			look(data)
		}
	}
	return out
}
