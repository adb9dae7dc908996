package a2a_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	liba2a "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	grpcv1 "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"google.golang.org/grpc"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/peers"
	"github.com/sutazai/sutazai/services/peers/a2a"
	"github.com/sutazai/sutazai/services/peers/peerstest"
)

// agent plays scenarios behind the library's own server.
type agent struct {
	scenario peerstest.Scenario
	begun    atomic.Int64
	stopped  atomic.Bool
	release  chan struct{}
	once     sync.Once
}

func (g *agent) Execute(ctx context.Context, x *a2asrv.ExecutorContext) iter.Seq2[liba2a.Event, error] {
	return func(yield func(liba2a.Event, error) bool) {
		if x.StoredTask == nil {
			g.begun.Add(1)
			if !yield(liba2a.NewSubmittedTask(x, x.Message), nil) {
				return
			}
		}
		say := func(state liba2a.TaskState, parts ...*liba2a.Part) {
			var m *liba2a.Message
			if len(parts) > 0 {
				m = liba2a.NewMessageForTask(liba2a.MessageRoleAgent, x, parts...)
			}
			yield(liba2a.NewStatusUpdateEvent(x, state, m), nil)
		}
		artifact := func(parts ...*liba2a.Part) { yield(liba2a.NewArtifactEvent(x, parts...), nil) }
		text := x.Message.Parts[0].Text()
		switch g.scenario {
		case peerstest.Answers:
			first := liba2a.NewArtifactEvent(x, liba2a.NewTextPart("Hello, "))
			if !yield(first, nil) || !yield(liba2a.NewArtifactUpdateEvent(x, first.Artifact.ID, liba2a.NewTextPart("world.")), nil) {
				return
			}
			say(liba2a.TaskStateCompleted)
		case peerstest.Asks:
			if x.StoredTask == nil {
				say(liba2a.TaskStateInputRequired, liba2a.NewTextPart("Which colour?"))
				return
			}
			artifact(liba2a.NewTextPart("You said " + text))
			say(liba2a.TaskStateCompleted)
		case peerstest.Permits:
			if x.StoredTask == nil {
				say(liba2a.TaskStateInputRequired, liba2a.NewTextPart("May I pay?"), liba2a.NewDataPart(map[string]any{
					"approval": map[string]any{"id": "a1", "tool": "pay", "effect": "unsafe", "arguments": map[string]any{"amount": 5}, "reason": "policy"},
				}))
				return
			}
			answer, _ := x.Message.Parts[0].Data().(map[string]any)
			if answer["approval"] != "a1" {
				say(liba2a.TaskStateFailed, liba2a.NewTextPart("the answer names no approval"))
				return
			}
			artifact(liba2a.NewTextPart(map[string]string{"approve": "paid", "deny": "not paid"}[answer["decision"].(string)]))
			say(liba2a.TaskStateCompleted)
		case peerstest.Fails:
			say(liba2a.TaskStateFailed, liba2a.NewTextPart("no ink"))
		case peerstest.Hands:
			artifact(liba2a.NewTextPart("See the report."))
			file := liba2a.NewRawPart([]byte("ink: 0"))
			file.Filename, file.MediaType = "../report.txt", "text/plain"
			artifact(file)
			say(liba2a.TaskStateCompleted)
		default:
			say(liba2a.TaskStateWorking)
			select {
			case <-g.release:
				artifact(liba2a.NewTextPart("Done."))
				say(liba2a.TaskStateCompleted)
			case <-ctx.Done():
			}
		}
	}
}

func (g *agent) Cancel(_ context.Context, x *a2asrv.ExecutorContext) iter.Seq2[liba2a.Event, error] {
	g.stopped.Store(true)
	return func(yield func(liba2a.Event, error) bool) {
		yield(liba2a.NewStatusUpdateEvent(x, liba2a.TaskStateCanceled, nil), nil)
	}
}

// side is the other side: a server with a card.
type side struct {
	url     string
	handler atomic.Pointer[http.Handler]
}

func (s *side) set(h http.Handler) { s.handler.Store(&h) }

func (s *side) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) }

func newSide(t *testing.T) *side {
	t.Helper()
	s := &side{}
	s.set(http.NotFoundHandler())
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(s)
	srv.Listener.Close()
	srv.Listener = l
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	s.url = srv.URL
	return s
}

// kind is a way to talk.
type kind struct {
	binding   liba2a.TransportProtocol
	version   liba2a.ProtocolVersion
	streaming bool
}

func (k kind) name() string {
	return strings.ToLower(fmt.Sprintf("%s-%s-streaming-%v", strings.NewReplacer("+", "").Replace(string(k.binding)), k.version, k.streaming))
}

// serve makes the agent's handler in a way to talk.
func (k kind) serve(url string, g *agent) http.Handler {
	card := &liba2a.AgentCard{
		Name: "clerk", Description: "Files invoices.", Version: "1", DefaultInputModes: []string{"text/plain"}, DefaultOutputModes: []string{"text/plain"},
		Skills: []liba2a.AgentSkill{}, Capabilities: liba2a.AgentCapabilities{Streaming: k.streaming},
		SupportedInterfaces: []*liba2a.AgentInterface{{URL: url, ProtocolBinding: k.binding, ProtocolVersion: k.version}},
	}
	handler := a2asrv.NewHandler(g, a2asrv.WithLogger(slog.New(slog.DiscardHandler)), a2asrv.WithCallInterceptors(anybody{}))
	mux := http.NewServeMux()
	if k.version == a2av0.Version {
		mux.Handle("GET /.well-known/agent-card.json", a2asrv.NewAgentCardHandler(a2av0.NewStaticAgentCardProducer(card)))
		if k.binding == liba2a.TransportProtocolHTTPJSON {
			mux.Handle("/", a2av0.NewRESTHandler(handler))
		} else {
			mux.Handle("/", a2av0.NewJSONRPCHandler(handler))
		}
		return mux
	}
	mux.Handle("GET /.well-known/agent-card.json", a2asrv.NewStaticAgentCardHandler(card))
	switch k.binding {
	case liba2a.TransportProtocolGRPC:
		s := grpc.NewServer()
		grpcv1.NewHandler(handler).RegisterWith(s)
		mux.Handle("/", s)
	case liba2a.TransportProtocolHTTPJSON:
		mux.Handle("/", a2asrv.NewRESTHandler(handler))
	default:
		mux.Handle("/", a2asrv.NewJSONRPCHandler(handler))
	}
	return mux
}

// anybody lets the store of the library list tasks.
type anybody struct {
	a2asrv.PassthroughCallInterceptor
}

func (anybody) Before(ctx context.Context, c *a2asrv.CallContext, _ *a2asrv.Request) (context.Context, any, error) {
	c.User = &a2asrv.User{Name: "ann", Authenticated: true}
	return ctx, nil, nil
}

func peer(t *testing.T, o a2a.Options) peers.Peer {
	t.Helper()
	o.Name, o.Logger, o.Poll = "peer", slog.New(slog.DiscardHandler), 20*time.Millisecond
	p, err := a2a.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return p
}

func TestPeersOfA2AKeepToTheSuite(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{
		{liba2a.TransportProtocolJSONRPC, liba2a.Version, true},
		{liba2a.TransportProtocolJSONRPC, liba2a.Version, false},
		{liba2a.TransportProtocolHTTPJSON, liba2a.Version, true},
		{liba2a.TransportProtocolGRPC, liba2a.Version, true},
		{liba2a.TransportProtocolGRPC, liba2a.Version, false},
		{liba2a.TransportProtocolJSONRPC, a2av0.Version, true},
		{liba2a.TransportProtocolHTTPJSON, a2av0.Version, true},
	} {
		t.Run(k.name(), func(t *testing.T) {
			t.Parallel()
			peerstest.Run(t, peerstest.World{
				Scenarios: []peerstest.Scenario{
					peerstest.Answers, peerstest.Asks, peerstest.Permits, peerstest.Works, peerstest.Outlives, peerstest.Forgets, peerstest.Absent, peerstest.Fails, peerstest.Hands,
				},
				Play: func(t *testing.T, s peerstest.Scenario) peerstest.Playing { return k.play(t, s) },
			})
		})
	}
}

func (k kind) play(t *testing.T, s peerstest.Scenario) peerstest.Playing {
	g := &agent{scenario: s, release: make(chan struct{})}
	t.Cleanup(func() { g.once.Do(func() { close(g.release) }) })
	other := newSide(t)
	url := other.url
	if s == peerstest.Absent {
		url = "http://127.0.0.1:1" // nobody listens there
	} else {
		other.set(k.serve(url, g))
	}
	return peerstest.Playing{
		Peer: peer(t, a2a.Options{URL: url}),
		Again: func() peers.Peer {
			if s == peerstest.Forgets {
				other.set(k.serve(url, g))
			}
			return peer(t, a2a.Options{URL: url})
		},
		Begun: func() int { return int(g.begun.Load()) }, Stopped: g.stopped.Load,
		Release: func() { g.once.Do(func() { close(g.release) }) },
	}
}

// raw plays an agent that answers every call with the same bytes.
func raw(t *testing.T, binding liba2a.TransportProtocol, contentType string, status int, body string) peers.Peer {
	t.Helper()
	other := newSide(t)
	card := `{"name":"x","description":"","version":"1","capabilities":{"streaming":true},"skills":[],"defaultInputModes":[],"defaultOutputModes":[],` +
		`"supportedInterfaces":[{"url":"` + other.url + `/rpc","protocolBinding":"` + string(binding) + `","protocolVersion":"1.0"}]}`
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/agent-card.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, card) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	other.set(mux)
	return peer(t, a2a.Options{URL: other.url})
}

func TestWhatBreaksTheProtocolIsTold(t *testing.T) {
	t.Parallel()
	sse := func(result string) string {
		return "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":" + result + "}\n\n"
	}
	const stream = "text/event-stream"
	w := peerstest.World{Malformed: map[string]peerstest.Malformed{}}
	for name, m := range map[string]struct {
		contentType, body, field string
	}{
		"no JSON":                   {stream, "data: {\n\n", "JSON-RPC"},
		"an answer without result":  {stream, "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\"}\n\n", "result"},
		"an event of no kind":       {stream, sse(`{}`), "result"},
		"a state of no kind":        {stream, sse(`{"statusUpdate":{"taskId":"a","contextId":"c","status":{"state":"TASK_STATE_ASLEEP"}}}`), "result.statusUpdate.status.state"},
		"a part that is a number":   {stream, sse(`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[7]}}`), "result.message.parts.0"},
		"an id that is a list":      {stream, sse(`{"task":{"id":[],"contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}`), "result.task.id"},
		"bytes that are not base64": {stream, sse(`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"raw":"%"}]}}`), "result.message.parts.0.raw"},
		"an error of no form":       {stream, "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"error\":\"no\"}\n\n", "error"},
		"too deep":                  {stream, sse(strings.Repeat("[", 200)), "nested"},
		"an endless line":           {stream, "data: " + strings.Repeat("x", 9<<20), "larger"},
		"a stream without an event": {stream, ": nothing\n\n", "neither a task nor a message"},
		"a page":                    {"text/html", "<html>", "JSON-RPC"},
		"a task that changes":       {stream, sse(`{"task":{"id":"a","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}`) + sse(`{"statusUpdate":{"taskId":"b","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}}`), "taskId"},
	} {
		w.Malformed[name] = peerstest.Malformed{Field: m.field, Play: func(t *testing.T) peers.Peer {
			return raw(t, liba2a.TransportProtocolJSONRPC, m.contentType, http.StatusOK, m.body)
		}}
	}
	w.Malformed["a REST event of no kind"] = peerstest.Malformed{Field: "task", Play: func(t *testing.T) peers.Peer {
		return raw(t, liba2a.TransportProtocolHTTPJSON, stream, http.StatusOK, "data: {\"nothing\":1}\n\n")
	}}
	peerstest.Run(t, w)
}

func TestAnAnswerOfAnotherStatusSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		code core.Code
		say  string
	}{
		401: {core.CodeRefused, "peers.peer.auth"}, 403: {core.CodeRefused, "peers.peer.auth"}, 404: {core.CodeInvalid, "peers.peer.url"},
		429: {core.CodeRateLimited, "too many"}, 500: {core.CodeTimeout, "out of order"}, 503: {core.CodeTimeout, "out of order"},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			p := raw(t, liba2a.TransportProtocolJSONRPC, "text/plain", status, "secret detail of the other side")
			_, err := p.Talk(t.Context(), peerstest.Call("run:1", "Do it."), peerstest.NewEvents().Peer())
			if core.CodeOf(err) != want.code || !strings.Contains(core.MessageOf(err), want.say) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %s: %v", core.CodeOf(err), err)
			}
		})
	}
}

func TestACardNamesNoForeignHost(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token":"fresh","token_type":"Bearer"}`)
			return
		}
		hits.Add(1)
	}))
	t.Cleanup(canary.Close)
	elsewhere := strings.Replace(canary.URL, "127.0.0.1", "localhost", 1)
	other := newSide(t)
	other.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, elsewhere+"/", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, `{"name":"x","supportedInterfaces":[{"url":"`+elsewhere+`","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`)
	}))
	auth := a2a.Auth{Kind: "bearer", Token: core.NewSecret("s3cret")}
	_, err := peer(t, a2a.Options{URL: other.url, Auth: auth}).Talk(t.Context(), peerstest.Call("run:1", "x"), peerstest.NewEvents().Peer())
	if core.CodeOf(err) != core.CodeForbidden || !strings.Contains(core.MessageOf(err), "peers.peer.hosts") {
		t.Errorf("got %v", err)
	}
	// The server of tokens gets what it is for, and nothing else.
	byToken := a2a.Auth{Kind: "oauth", TokenURL: elsewhere + "/token", ClientID: "us", ClientSecret: core.NewSecret("pw")}
	_, err = peer(t, a2a.Options{URL: other.url, Auth: byToken}).Talk(t.Context(), peerstest.Call("run:1", "x"), peerstest.NewEvents().Peer())
	if core.CodeOf(err) != core.CodeForbidden {
		t.Errorf("got %v", err)
	}
	other.set(http.RedirectHandler(elsewhere+"/", http.StatusFound))
	_, err = peer(t, a2a.Options{URL: other.url, Auth: auth}).Talk(t.Context(), peerstest.Call("run:1", "x"), peerstest.NewEvents().Peer())
	if err == nil || hits.Load() != 0 {
		t.Errorf("got %v, and %d requests at the foreign host", err, hits.Load())
	}
}

func TestWhatLetsUsInIsSent(t *testing.T) {
	t.Parallel()
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "us" || pass != "pw" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"fresh","token_type":"Bearer","expires_in":3600}`)
	}))
	t.Cleanup(tokens.Close)
	for name, tc := range map[string]struct {
		auth         a2a.Auth
		header, want string
	}{
		"bearer":  {a2a.Auth{Kind: "bearer", Token: core.NewSecret("tok")}, "Authorization", "Bearer tok"},
		"api_key": {a2a.Auth{Kind: "api_key", Token: core.NewSecret("tok")}, "X-Api-Key", "tok"},
		"basic":   {a2a.Auth{Kind: "basic", User: "us", Token: core.NewSecret("pw")}, "Authorization", "Basic dXM6cHc="},
		"oauth":   {a2a.Auth{Kind: "oauth", TokenURL: tokens.URL, ClientID: "us", ClientSecret: core.NewSecret("pw")}, "Authorization", "Bearer fresh"},
	} {
		for _, binding := range []liba2a.TransportProtocol{liba2a.TransportProtocolJSONRPC, liba2a.TransportProtocolGRPC} {
			t.Run(name+"/"+string(binding), func(t *testing.T) {
				t.Parallel()
				g := &agent{scenario: peerstest.Answers}
				other := newSide(t)
				k := kind{binding, liba2a.Version, true}
				inner := k.serve(other.url, g)
				other.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if got := r.Header.Get(tc.header); got != tc.want || r.Header.Get("X-Extra") != "more" {
						t.Errorf("%s: %s is %q", r.URL.Path, tc.header, got)
					}
					inner.ServeHTTP(w, r)
				}))
				p := peer(t, a2a.Options{URL: other.url, Auth: tc.auth, Headers: map[string]core.Secret{"X-Extra": core.NewSecret("more")}})
				if a, err := p.Talk(t.Context(), peerstest.Call("run:1", "x"), peerstest.NewEvents().Peer()); err != nil || a.Text != "Hello, world." {
					t.Errorf("answered %+v, %v", a, err)
				}
			})
		}
	}
}

func TestATaskAndItsFilesAreSentOnceInAConversation(t *testing.T) {
	t.Parallel()
	var (
		mu       sync.Mutex
		messages []liba2a.Message
	)
	g := &agent{scenario: peerstest.Asks}
	other := newSide(t)
	inner := kind{liba2a.TransportProtocolJSONRPC, liba2a.Version, true}.serve(other.url, g)
	other.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			var call struct {
				Params struct{ Message liba2a.Message }
			}
			if json.Unmarshal(body, &call) == nil {
				mu.Lock()
				messages = append(messages, call.Params.Message)
				mu.Unlock()
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
		}
		inner.ServeHTTP(w, r)
	}))
	p := peer(t, a2a.Options{URL: other.url, File: func(_ context.Context, workspace, name string) (core.File, error) {
		return core.File{Name: name, Content: []byte("of " + workspace)}, nil
	}})
	call := peerstest.Call("run:1", "Paint it.")
	call.Instructions, call.Files = "Be careful.", []string{"plan.txt"}
	a, err := p.Talk(t.Context(), call, peerstest.NewEvents().Peer())
	if err != nil {
		t.Fatal(err)
	}
	next := peerstest.Call("run:3", "blue")
	next.Instructions, next.Files, next.Session = call.Instructions, call.Files, a.Session
	if _, err := p.Talk(t.Context(), next, peerstest.NewEvents().Peer()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(messages) != 2 {
		t.Fatalf("%d messages were sent", len(messages))
	}
	first, second := messages[0], messages[1]
	if first.ID != "run:1" || len(first.Parts) != 2 || first.Parts[0].Text() != "Be careful.\n\nPaint it." || string(first.Parts[1].Raw()) != "of run" || first.Parts[1].Filename != "plan.txt" {
		t.Errorf("the first is %+v", first)
	}
	if second.ID != "run:3" || len(second.Parts) != 1 || second.Parts[0].Text() != "blue" || second.TaskID == "" || second.ContextID == "" {
		t.Errorf("the second is %+v", second)
	}
}
