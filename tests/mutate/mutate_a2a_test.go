//go:build mutate

package mutate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2apb/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/app"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/peers/a2a"
)

const (
	a2aMessages = 10_000
	a2aPatience = 20 * time.Second // for an answer
)

// a2aCall is a request to begin with. TASK stands for a task that is done.
type a2aCall struct{ version, method, path, body string }

func a2aCalls() []a2aCall {
	const message = `{"messageId":"m","contextId":"c","role":"ROLE_USER","parts":[{"text":"Say hello.","metadata":{"a":1}},{"data":{"a":[1,null]}},{"raw":"aGk=","filename":"a.txt","mediaType":"text/plain"}],"extensions":["x"],"referenceTaskIds":["TASK"],"metadata":{"k":"v"}}`
	const send = `{"message":` + message + `,"configuration":{"acceptedOutputModes":["text/plain"],"historyLength":2,"returnImmediately":true,"taskPushNotificationConfig":{"id":"p","url":"https://client.example/","token":"t","authentication":{"scheme":"Bearer","credentials":"c"}}},"metadata":{"k":"v"}}`
	const old = `{"message":{"kind":"message","messageId":"m","contextId":"c","role":"user","parts":[{"kind":"text","text":"Say hello."},{"kind":"data","data":{"a":1}},{"kind":"file","file":{"bytes":"aGk=","name":"a.txt","mimeType":"text/plain"}}]},"configuration":{"acceptedOutputModes":["text/plain"],"blocking":false,"historyLength":1,"pushNotificationConfig":{"id":"p","url":"https://client.example/","token":"t","authentication":{"schemes":["Bearer"],"credentials":"c"}}}}`
	const oldRest = `{"request":{"message_id":"m","role":"ROLE_USER","content":[{"text":"Say hello."},{"data":{"data":{"a":1}}},{"file":{"file_with_bytes":"YUdrPQ==","mime_type":"text/plain","name":"a.txt"}}]},"configuration":{"blocking":false,"history_length":1}}`
	rpc := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`
	}
	const at = "/a2a/assistant"
	calls := []a2aCall{
		{"1.0", "POST", at + "/message:send", send}, {"1.0", "POST", at + "/message:stream", send}, {"1.0", "POST", at + "/tasks/TASK/pushNotificationConfigs", `{"id":"p","url":"https://client.example/","token":"t"}`},
		{"0.3", "POST", at + "/v1/message:send", oldRest}, {"0.3", "POST", at + "/v1/message:stream", oldRest},
		{"0.3", "POST", at + "/v1/tasks/TASK/pushNotificationConfigs", `{"parent":"tasks/TASK","config_id":"p","config":{"name":"x","push_notification_config":{"id":"p","url":"https://client.example/"}}}`},
	}
	for method, params := range map[string]string{
		"SendMessage": send, "SendStreamingMessage": send, "GetTask": `{"id":"TASK","historyLength":1}`, "CancelTask": `{"id":"TASK","metadata":{}}`, "SubscribeToTask": `{"id":"TASK"}`,
		"ListTasks":                        `{"contextId":"c","status":"TASK_STATE_COMPLETED","pageSize":5,"pageToken":"","historyLength":1,"statusTimestampAfter":"2026-01-01T00:00:00Z","includeArtifacts":true}`,
		"CreateTaskPushNotificationConfig": `{"taskId":"TASK","id":"p","url":"https://client.example/","token":"t","authentication":{"scheme":"Bearer","credentials":"c"}}`,
		"GetTaskPushNotificationConfig":    `{"taskId":"TASK","id":"p"}`, "ListTaskPushNotificationConfigs": `{"taskId":"TASK","pageSize":1}`, "DeleteTaskPushNotificationConfig": `{"taskId":"TASK","id":"p"}`,
		"GetExtendedAgentCard": `{"tenant":"assistant"}`,
	} {
		calls = append(calls, a2aCall{"1.0", "POST", at, rpc(method, params)}, a2aCall{"1.0", "POST", "/a2a", rpc(method, params)})
	}
	for method, params := range map[string]string{
		"message/send": old, "message/stream": old, "tasks/get": `{"id":"TASK","historyLength":1}`, "tasks/cancel": `{"id":"TASK"}`, "tasks/resubscribe": `{"id":"TASK"}`,
		"tasks/pushNotificationConfig/set": `{"taskId":"TASK","pushNotificationConfig":{"id":"p","url":"https://client.example/"}}`, "tasks/pushNotificationConfig/get": `{"id":"TASK","pushNotificationConfigId":"p"}`,
		"tasks/pushNotificationConfig/list": `{"id":"TASK"}`, "tasks/pushNotificationConfig/delete": `{"id":"TASK","pushNotificationConfigId":"p"}`, "agent/getAuthenticatedExtendedCard": `{}`,
	} {
		calls = append(calls, a2aCall{"0.3", "POST", at, rpc(method, params)})
	}
	return calls
}

// a2aNames is what an explained error speaks of.
var a2aNames = []string{
	"params", "message", "method", "jsonrpc", "id:", "task", "body", "json", "configuration", "contextId", "pageToken", "pageSize", "historyLength", "status", "url", "token", "tenant", "A2A-Version", "nested",
	"statusTimestampAfter", "includeArtifacts", "metadata", "config", "parent", "request", "agent", "property", "name", "file", "run", "push", "extended", "frame", "protobuf", "text", "write it", "authentication", "referenceTaskIds", "parts",
}

// a2aTally counts.
type a2aTally struct {
	t                                    *testing.T
	refused, panics, leaks, unexplained_ atomic.Int64
}

func (c *a2aTally) leak(format string, args ...any) {
	c.leaks.Add(1)
	c.t.Errorf(format, args...)
}

func (c *a2aTally) unexplained(format string, args ...any) {
	c.unexplained_.Add(1)
	c.t.Errorf(format, args...)
}

func (c *a2aTally) tell(role string) {
	fmt.Printf("RESULT mutate protocol=a2a role=%s messages=%d panics=%d leaks=%d unexplained=%d refused=%d\n",
		role, a2aMessages, c.panics.Load(), c.leaks.Load(), c.unexplained_.Load(), c.refused.Load())
	if c.panics.Load() > 0 || c.refused.Load() == 0 {
		c.t.Fail()
	}
}

// goroutines counts what is left once everything has ended.
func (c *a2aTally) goroutines(before int) {
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before+2 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if left := runtime.NumGoroutine() - before; left > 2 {
		buf := make([]byte, 1<<20)
		c.leak("%d goroutines are left:\n%s", left, buf[:runtime.Stack(buf, true)])
	}
}

func TestA2AServer(t *testing.T) {
	before := runtime.NumGoroutine()
	c := &a2aTally{t: t}
	model := httptest.NewServer(aimodelstest.OpenAIServer(func(int, core.ModelRequest) aimodelstest.Turn { return aimodelstest.Text("Hello.") }, "m"))
	cfg, err := config.Load(config.Options{Set: []string{
		"server.listen=127.0.0.1:0", "server.data_dir=" + t.TempDir(), "server.auth=none", "models.local.runtime=off",
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
	h1 := &http.Client{Transport: &http.Transport{}}
	h2 := &http.Client{Transport: &http.Transport{Protocols: unencryptedHTTP2()}}
	p := &a2aClient{a2aTally: c, url: a.URL(), client: h1, h2: h2, m: New(11)}
	p.begin()
	calls := a2aCalls()
	for n := range a2aMessages {
		if n%10 == 0 {
			p.sendGRPC(n)
		} else {
			p.send(n, Pick(p.m, calls))
		}
	}
	h1.CloseIdleConnections()
	h2.CloseIdleConnections()
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	model.Close()
	c.goroutines(before)
	c.panics.Add(int64(log.panics))
	for _, e := range log.errors {
		t.Errorf("the log holds an error: %s", e)
	}
	c.tell("server")
}

func unencryptedHTTP2() *http.Protocols {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	return p
}

// a2aClient sends what it should not.
type a2aClient struct {
	*a2aTally
	url    string
	client *http.Client
	h2     *http.Client
	m      *Mutator
	task   string
}

// begin makes the task that calls speak of.
func (p *a2aClient) begin() {
	_, _, answer := p.do(a2aCall{"1.0", "POST", "/a2a/assistant/message:send", ""}, `{"message":{"messageId":"first","role":"ROLE_USER","parts":[{"text":"Hi."}]}}`)
	var got struct{ Task struct{ ID string } }
	if json.Unmarshal([]byte(answer), &got) != nil || got.Task.ID == "" {
		p.t.Fatalf("no task: %s", answer)
	}
	p.task = got.Task.ID
}

func (p *a2aClient) do(call a2aCall, body string) (header http.Header, status int, answer string) {
	ctx, cancel := context.WithTimeout(p.t.Context(), a2aPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, call.method, p.url+strings.ReplaceAll(call.path, "TASK", p.task), strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("A2A-Version", call.version)
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

func (p *a2aClient) send(n int, call a2aCall) {
	valid := strings.ReplaceAll(call.body, "TASK", p.task)
	valid = strings.ReplaceAll(valid, `"m"`, fmt.Sprintf(`"m%d"`, n))
	body := string(p.m.Message([]byte(valid)))
	header, status, answer := p.do(call, body)
	if header == nil {
		p.unexplained("no answer to %s %.300s: %s", call.path, body, answer)
		return
	}
	if status >= 500 {
		p.unexplained("status %d for %s %.300s: %s", status, call.path, body, answer)
	}
	if leak := Leak(answer, body); leak != "" {
		p.leak("%q leaks in the answer to %s %.300s:\n%.600s", leak, call.path, body, answer)
	}
	messages := a2aErrors(answer)
	for _, message := range messages {
		p.refused.Add(1)
		if !Explained(message, a2aNames...) {
			p.unexplained("%q explains nothing about %s %.300s", message, call.path, body)
		}
	}
	if status >= 400 && len(messages) == 0 {
		p.unexplained("status %d without an error for %s %.300s: %.300s", status, call.path, body, answer)
	}
}

// a2aErrors returns the texts of the errors in an answer.
func a2aErrors(answer string) (out []string) {
	look := func(raw []byte) {
		var m struct {
			Error *struct {
				Message string `json:"message"`
			} `json:"error"`
			Detail string `json:"detail"` // of an error that comes before the protocol
		}
		if json.Unmarshal(raw, &m) != nil {
			return
		}
		if m.Error != nil {
			out = append(out, m.Error.Message)
		} else if m.Detail != "" {
			out = append(out, m.Detail)
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

// sendGRPC sends a call by gRPC: a message whose fields are changed, or whose bytes are.
func (p *a2aClient) sendGRPC(n int) {
	method := Pick(p.m, []string{"SendMessage", "SendStreamingMessage", "GetTask", "ListTasks", "CancelTask", "SubscribeToTask", "CreateTaskPushNotificationConfig", "GetExtendedAgentCard", "Nonsense"})
	var m proto.Message
	var valid string
	switch method {
	case "SendMessage", "SendStreamingMessage":
		m, valid = &a2apb.SendMessageRequest{}, fmt.Sprintf(`{"tenant":"assistant","message":{"messageId":"g%d","role":"ROLE_USER","parts":[{"text":"Hi."},{"data":{"a":1}}]},"configuration":{"returnImmediately":true}}`, n)
	case "ListTasks":
		m, valid = &a2apb.ListTasksRequest{}, `{"tenant":"assistant","contextId":"c","pageSize":5}`
	case "CreateTaskPushNotificationConfig":
		m, valid = &a2apb.TaskPushNotificationConfig{}, `{"taskId":"`+p.task+`","id":"p","url":"https://client.example/"}`
	case "GetExtendedAgentCard":
		m, valid = &a2apb.GetExtendedAgentCardRequest{}, `{"tenant":"assistant"}`
	default:
		m, valid = &a2apb.GetTaskRequest{}, `{"id":"`+p.task+`"}`
	}
	body := p.m.Message([]byte(valid))
	if protojson.Unmarshal(body, m) != nil { // what no protocol buffer can hold
		if err := protojson.Unmarshal([]byte(valid), m); err != nil {
			p.t.Fatal(err)
		}
	}
	raw, err := proto.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if n%3 == 0 && len(raw) > 0 {
		raw = p.m.bytes(raw)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(raw)))
	frame = append(frame, raw...)
	if n%7 == 0 {
		frame = p.m.bytes(frame)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), a2aPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/lf.a2a.v1.A2AService/"+method, bytes.NewReader(frame))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	res, err := p.h2.Do(req)
	if err != nil {
		p.unexplained("no answer to %s by gRPC, %q: %v", method, frame, err)
		return
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		p.unexplained("no whole answer to %s by gRPC, %q: %v", method, frame, err)
		return
	}
	status, message := res.Trailer.Get("Grpc-Status"), res.Trailer.Get("Grpc-Message")
	if status == "" {
		status, message = res.Header.Get("Grpc-Status"), res.Header.Get("Grpc-Message")
	}
	if leak := Leak(string(answer)+message, string(frame)); leak != "" {
		p.leak("%q leaks in the answer to %s by gRPC: %s", leak, method, message)
	}
	if status == "0" {
		return
	}
	p.refused.Add(1)
	if !Explained(message, append(a2aNames, "method", "grpc", "utf-8")...) {
		p.unexplained("%q (status %q) explains nothing about %s by gRPC, %q", message, status, method, frame)
	}
}

// a2aAnswers are what an agent says, to begin with.
var a2aAnswers = []string{
	`{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED","timestamp":"2026-01-01T00:00:00Z","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"done"}]}},"artifacts":[{"artifactId":"a","name":"answer","parts":[{"text":"Hello."},{"raw":"aGk=","filename":"a.txt"}]}],"history":[{"messageId":"h","role":"ROLE_USER","parts":[{"text":"x"}]}],"metadata":{"k":1}}}`,
	`{"message":{"messageId":"m","contextId":"c","role":"ROLE_AGENT","parts":[{"text":"Hello."},{"data":{"a":1}},{"url":"https://elsewhere.example/a.txt"}]}}`,
	`{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"May I?"},{"data":{"approval":{"id":"a","tool":"pay","effect":"unsafe","arguments":{"n":1},"reason":"policy"},"decisions":["approve"]}}]}}}}`,
	`{"artifactUpdate":{"taskId":"t","contextId":"c","append":true,"lastChunk":false,"artifact":{"artifactId":"a","name":"n","description":"d","parts":[{"text":"piece"}]}}}`,
	`{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_FAILED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"no ink"}]}}}}`,
}

// a2aAgent is an agent that says what it should not.
type a2aAgent struct {
	mu   sync.Mutex
	m    *Mutator
	url  string
	sent atomic.Pointer[string]
}

func (g *a2aAgent) mutated(valid string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return string(g.m.Message([]byte(valid)))
}

func (g *a2aAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		card := `{"name":"x","description":"d","version":"1","capabilities":{"streaming":true},"skills":[{"id":"s","name":"s","description":"d","tags":["t"]}],"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"supportedInterfaces":[{"url":"` + g.url + `/rpc","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"provider":{"organization":"o","url":"https://o.example"}}`
		if strings.HasPrefix(r.URL.Path, "/bad") {
			card = g.mutated(card)
			g.sent.Store(&card)
		}
		_, _ = io.WriteString(w, card)
		return
	}
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	first, second := Pick(g.m, a2aAnswers), Pick(g.m, a2aAnswers)
	whole := g.m.rnd.IntN(6) == 0
	g.mu.Unlock()
	envelope := func(result string) string { return `{"jsonrpc":"2.0","id":"1","result":` + result + `}` }
	if bytes.Contains(body, []byte(`"SendStreamingMessage"`)) && !whole {
		w.Header().Set("Content-Type", "text/event-stream")
		text := "data: " + oneLine(g.mutated(envelope(first))) + "\n\ndata: " + oneLine(g.mutated(envelope(second))) + "\n\n"
		g.sent.Store(&text)
		_, _ = io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	text := g.mutated(envelope(first))
	if bytes.Contains(body, []byte(`"GetTask"`)) {
		text = g.mutated(envelope(`{"id":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[{"text":"Hello."}]}]}`))
	}
	if whole {
		text = g.mutated(`{"jsonrpc":"2.0","id":"1","error":{"code":-32001,"message":"no such task","data":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TASK_NOT_FOUND","domain":"a2a-protocol.org"}]}}`)
	}
	g.sent.Store(&text)
	_, _ = io.WriteString(w, text)
}

func oneLine(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

func TestA2AClient(t *testing.T) {
	before := runtime.NumGoroutine()
	c := &a2aTally{t: t}
	g := &a2aAgent{m: New(12)}
	other := httptest.NewServer(g)
	g.url = other.URL
	open := func(path string) *a2a.Peer {
		p, err := a2a.New(a2a.Options{Name: "bad", URL: other.URL + path, Logger: slog.New(slog.DiscardHandler), Timeout: 250 * time.Millisecond, Poll: 5 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	steady := open("/good")
	for n := range a2aMessages {
		p := steady
		if n%5 == 0 {
			p = open("/bad")
		}
		c.talk(n, p, g)
		if p != steady {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := steady.Close(); err != nil {
		t.Error(err)
	}
	other.CloseClientConnections()
	other.Close()
	c.goroutines(before)
	c.tell("client")
}

// talk makes one turn with an agent that says what it should not.
func (c *a2aTally) talk(n int, p *a2a.Peer, g *a2aAgent) {
	defer func() {
		if r := recover(); r != nil {
			c.panics.Add(1)
			c.t.Errorf("panic: %v", r)
		}
	}()
	call := core.PeerCall{Peer: "bad", Run: "run", IdempotencyKey: fmt.Sprintf("run:%d", n), Text: "Say hello."}
	began := time.Now()
	_, err := p.Talk(c.t.Context(), call, core.PeerEvents{
		Delta:   func(string) {},
		Session: func(context.Context, string) error { return nil },
		Ask: func(context.Context, core.PeerQuestion) (core.Verdict, error) {
			return core.Verdict{Decision: core.DecideDeny}, nil
		},
	})
	sent := ""
	if s := g.sent.Load(); s != nil {
		sent = *s
	}
	if took := time.Since(began); took > a2aPatience {
		c.unexplained("a turn took %s after %.300s", took, sent)
	}
	if err == nil {
		return
	}
	c.refused.Add(1)
	message := core.MessageOf(err)
	if core.CodeOf(err) == core.CodeInternal || !Explained(message, append(a2aNames, "peer bad")...) || strings.HasSuffix(message, "cannot be read") {
		c.unexplained("%s: %q explains nothing about %.600s (%v)", core.CodeOf(err), message, sent, err)
	}
	if leak := Leak(message, sent); leak != "" {
		c.leak("%q leaks in %q after %.300s", leak, message, sent)
	}
}
