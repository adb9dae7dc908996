package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	grpcv1 "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/app"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// taskScript plays what the tests of A2A ask for.
func taskScript(_ int, req core.ModelRequest) aimodelstest.Turn {
	last := req.Messages[len(req.Messages)-1]
	spoken := 0
	for _, m := range req.Messages {
		if m.Role == core.RoleUser {
			spoken++
		}
	}
	if last.Role == core.RoleTool {
		return aimodelstest.Text("The tool says: " + last.Text)
	}
	switch {
	case strings.Contains(last.Text, "ask"):
		return aimodelstest.Calls(aimodelstest.Call("ask_user", map[string]string{"question": "Which colour?"}))
	case strings.Contains(last.Text, "write"):
		return aimodelstest.Calls(aimodelstest.Call("write_file", map[string]string{"path": "report.txt", "content": "ink: 0"}))
	case strings.Contains(last.Text, "wait"):
		return aimodelstest.Hang("Working ")
	case strings.Contains(last.Text, "fail"):
		return aimodelstest.Fail(core.Errorf(core.CodeInvalid, "no ink"))
	case strings.Contains(last.Text, "count"):
		return aimodelstest.Text(fmt.Sprintf("You have spoken %d times.", spoken))
	}
	return inPieces("Hello, ", "world.")
}

// inPieces answers in two pieces, with a moment between them.
func inPieces(first, second string) aimodelstest.Turn {
	return func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		onDelta(core.Delta{Text: first})
		resp, err := aimodelstest.Slowly(150*time.Millisecond, aimodelstest.Text(second))(ctx, req, onDelta)
		resp.Message.Text = first + second
		return resp, err
	}
}

var taskAgents = map[string]string{
	"clerk": "---\nname: clerk\ndescription: Files invoices.\nmodel: fake/m\ntools: [ask_user, write_file, read_file]\n---\nBe careful.\n",
	"payer": "---\nname: payer\ndescription: Pays.\nmodel: fake/m\ntools:\n  - name: write_file\n    approval: always\n---\nPay.\n",
}

// taskWorld is a server with agents, and a key for it.
type taskWorld struct {
	app *app.App
	key string
}

func newTaskWorld(t *testing.T, set ...string) *taskWorld {
	t.Helper()
	model := httptest.NewServer(aimodelstest.OpenAIServer(taskScript, "m"))
	t.Cleanup(model.Close)
	dir, err := os.MkdirTemp("", "stz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	agents := filepath.Join(dir, "agents")
	if err := os.Mkdir(agents, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range taskAgents {
		if err := os.WriteFile(filepath.Join(agents, name+".md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(config.Options{NoFile: true, Env: []string{"HOME=" + dir}, Set: append([]string{
		"server.listen=127.0.0.1:0", "server.data_dir=" + dir, "agents.dir=" + agents, "models.local.runtime=off",
		"models.providers.fake.kind=openai", "models.providers.fake.base_url=" + model.URL + "/v1", "models.routes.default=[{target: fake/m}]",
	}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	w := &taskWorld{app: a}
	w.key = w.newKey(t, "run", "read")
	return w
}

// newKey makes a key through the owner's socket.
func (w *taskWorld) newKey(t *testing.T, scopes ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": "test", "scopes": scopes})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", w.app.Socket())
	}}}
	defer c.CloseIdleConnections()
	resp, err := c.Post("http://localhost/api/v1/keys", "application/json", bytes.NewReader(body)) //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Secret string `json:"secret"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Secret == "" {
		t.Fatalf("no key: HTTP %d, %v", resp.StatusCode, err)
	}
	return out.Secret
}

// way is how a client talks.
type way struct {
	name    string
	binding a2a.TransportProtocol
	version a2a.ProtocolVersion
}

func ways() []way {
	return []way{
		{"jsonrpc", a2a.TransportProtocolJSONRPC, a2a.Version}, {"rest", a2a.TransportProtocolHTTPJSON, a2a.Version}, {"grpc", a2a.TransportProtocolGRPC, a2a.Version},
		{"jsonrpc-0.3", a2a.TransportProtocolJSONRPC, a2av0.Version}, {"rest-0.3", a2a.TransportProtocolHTTPJSON, a2av0.Version},
	}
}

// client is the library's own.
func (w *taskWorld) client(t *testing.T, how way, agent, key string) *a2aclient.Client {
	t.Helper()
	at := w.app.URL() + "/a2a/" + agent
	i := &a2a.AgentInterface{URL: at, ProtocolBinding: how.binding, ProtocolVersion: how.version}
	if how.binding == a2a.TransportProtocolGRPC {
		i.URL, i.Tenant = strings.TrimPrefix(w.app.URL(), "http://"), agent
	}
	h := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(h.CloseIdleConnections)
	c, err := a2aclient.NewFromEndpoints(t.Context(), []*a2a.AgentInterface{i},
		a2aclient.WithDefaultsDisabled(), a2aclient.WithJSONRPCTransport(h), a2aclient.WithRESTTransport(h),
		grpcv1.WithGRPCTransport(grpc.WithTransportCredentials(insecure.NewCredentials())),
		a2av0.WithJSONRPCTransport(a2av0.JSONRPCTransportConfig{Client: h}), a2av0.WithRESTTransport(a2av0.RESTTransportConfig{Client: h}),
		a2aclient.WithCallInterceptors(withKey{key: key}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Destroy() })
	return c
}

type withKey struct {
	a2aclient.PassthroughInterceptor
	key string
}

func (k withKey) Before(ctx context.Context, r *a2aclient.Request) (context.Context, any, error) {
	if k.key != "" {
		r.ServiceParams.Append("Authorization", "Bearer "+k.key)
	}
	return ctx, nil, nil
}

func say(text string, change ...func(*a2a.Message)) *a2a.SendMessageRequest {
	m := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(text))
	for _, c := range change {
		c(m)
	}
	return &a2a.SendMessageRequest{Message: m, Config: &a2a.SendMessageConfig{}}
}

func sent(t *testing.T, c *a2aclient.Client, req *a2a.SendMessageRequest) *a2a.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	result, err := c.SendMessage(ctx, req)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	task, ok := result.(*a2a.Task)
	if !ok {
		t.Fatalf("it answered with %T", result)
	}
	return task
}

func answerOf(t *a2a.Task) string {
	var out []string
	for _, a := range t.Artifacts {
		for _, p := range a.Parts {
			out = append(out, p.Text()+string(p.Raw()))
		}
	}
	return strings.Join(out, "|")
}

func TestTasksAreRunsInEveryWayToTalk(t *testing.T) {
	t.Parallel()
	w := newTaskWorld(t)
	for _, how := range ways() {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, how, "clerk", w.key)
			old := how.version == a2av0.Version

			first := sent(t, c, say("Greet me.", func(m *a2a.Message) { m.ID = "greet-" + how.name }))
			if first.Status.State != a2a.TaskStateCompleted || answerOf(first) != "Hello, world." || first.ContextID == "" {
				t.Fatalf("got %+v", first)
			}
			again := sent(t, c, say("Greet me.", func(m *a2a.Message) { m.ID = "greet-" + how.name }))
			if again.ID != first.ID {
				t.Errorf("the same message began two tasks: %s and %s", first.ID, again.ID)
			}
			_, err := c.SendMessage(t.Context(), say("Greet her.", func(m *a2a.Message) { m.ID = "greet-" + how.name }))
			if !errors.Is(err, a2a.ErrInvalidParams) || !strings.Contains(err.Error(), "messageId") {
				t.Errorf("another message with its id: %v", err)
			}
			got, err := c.GetTask(t.Context(), &a2a.GetTaskRequest{ID: first.ID})
			if err != nil || got.Status.State != a2a.TaskStateCompleted || len(got.History) != 2 || got.History[0].ID != "greet-"+how.name {
				t.Errorf("get: %+v, %v", got, err)
			}
			next := sent(t, c, say("count", func(m *a2a.Message) { m.ContextID = first.ContextID }))
			if next.ContextID != first.ContextID || next.ID == first.ID || answerOf(next) != "You have spoken 2 times." || len(next.History) != 2 {
				t.Errorf("the conversation does not go on: %+v %s", next, answerOf(next))
			}
			_, err = c.SendMessage(t.Context(), say("more", func(m *a2a.Message) { m.TaskID = first.ID }))
			if !errors.Is(err, a2a.ErrUnsupportedOperation) {
				t.Errorf("a message to a task that has ended: %v", err)
			}

			asked := sent(t, c, say("ask"))
			if asked.Status.State != a2a.TaskStateInputRequired || asked.Status.Message == nil || asked.Status.Message.Parts[0].Text() != "Which colour?" {
				t.Fatalf("got %+v", asked)
			}
			reply := say("blue", func(m *a2a.Message) { m.TaskID, m.ContextID = asked.ID, asked.ContextID })
			answered := sent(t, c, reply)
			if answered.Status.State != a2a.TaskStateCompleted || !strings.Contains(answerOf(answered), "blue") {
				t.Errorf("got %+v", answered)
			}
			if repeated := sent(t, c, reply); repeated.Status.State != a2a.TaskStateCompleted {
				t.Errorf("the repeated answer: %+v", repeated)
			}

			file := a2a.NewRawPart([]byte("of mine"))
			file.Filename = "mine.txt"
			written := sent(t, c, say("write", func(m *a2a.Message) { m.Parts = append(m.Parts, file) }))
			if i := slices.IndexFunc(written.Artifacts, func(a *a2a.Artifact) bool { return a.Name == "report.txt" }); i < 0 || string(written.Artifacts[i].Parts[0].Raw()) != "ink: 0" {
				t.Errorf("its files: %+v", written.Artifacts)
			}

			_, err = c.GetTask(t.Context(), &a2a.GetTaskRequest{ID: "019ab3c1-0000-7000-8000-000000000000"})
			if !errors.Is(err, a2a.ErrTaskNotFound) {
				t.Errorf("an unknown task: %v", err)
			}
			if _, err := c.CancelTask(t.Context(), &a2a.CancelTaskRequest{ID: first.ID}); !errors.Is(err, a2a.ErrTaskNotCancelable) {
				t.Errorf("cancel what has ended: %v", err)
			}
			failed := sent(t, c, say("fail"))
			if failed.Status.State != a2a.TaskStateFailed || failed.Status.Message == nil {
				t.Errorf("got %+v", failed.Status)
			}
			if !old {
				list, err := c.ListTasks(t.Context(), &a2a.ListTasksRequest{ContextID: first.ContextID})
				if err != nil || len(list.Tasks) != 2 || list.TotalSize != 2 || list.Tasks[0].ID != next.ID {
					t.Errorf("list: %+v, %v", list, err)
				}
				card, err := c.GetExtendedAgentCard(t.Context(), &a2a.GetExtendedAgentCardRequest{})
				if err != nil || card.Name != "clerk" || !slices.ContainsFunc(card.Skills, func(s a2a.AgentSkill) bool { return s.ID == "tool:write_file" }) {
					t.Errorf("extended card: %+v, %v", card, err)
				}
			}
		})
	}
}

// heardEvents reads a stream to its end.
func heardEvents(t *testing.T, events iter.Seq2[a2a.Event, error], each func(a2a.Event)) []a2a.Event {
	t.Helper()
	var out []a2a.Event
	for e, err := range events {
		if err != nil {
			t.Fatalf("after %d events: %v", len(out), err)
		}
		out = append(out, e)
		if each != nil {
			each(e)
		}
	}
	return out
}

func TestTasksStreamInEveryWayToTalk(t *testing.T) {
	t.Parallel()
	w := newTaskWorld(t)
	for _, how := range ways() {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			c := w.client(t, how, "clerk", w.key)
			events := heardEvents(t, c.SendStreamingMessage(t.Context(), say("Greet me.")), nil)
			text, pieces := "", 0
			for _, e := range events {
				if a, ok := e.(*a2a.TaskArtifactUpdateEvent); ok && a.Artifact.ID == "answer" {
					if !a.Append {
						text = ""
					}
					for _, p := range a.Artifact.Parts {
						text += p.Text()
						pieces++
					}
				}
			}
			if _, ok := events[0].(*a2a.Task); !ok || text != "Hello, world." || pieces < 2 {
				t.Errorf("it began with %T and wrote %q in %d pieces", events[0], text, pieces)
			}
			if last, ok := events[len(events)-1].(*a2a.TaskStatusUpdateEvent); !ok || last.Status.State != a2a.TaskStateCompleted {
				t.Errorf("it ended with %+v", events[len(events)-1])
			}

			// A task that hangs: one client follows it, a second one subscribes, a third cancels.
			var once sync.Once
			followed := heardEvents(t, c.SendStreamingMessage(t.Context(), say("wait")), func(e a2a.Event) {
				if _, ok := e.(*a2a.TaskArtifactUpdateEvent); !ok {
					return
				}
				once.Do(func() {
					id := e.TaskInfo().TaskID
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					subscribed := false
					for s, err := range c.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: id}) {
						if err != nil {
							t.Errorf("subscribe: %v", err)
							break
						}
						if task, ok := s.(*a2a.Task); ok {
							subscribed = task.Status.State == a2a.TaskStateWorking
							break
						}
					}
					if !subscribed {
						t.Error("a second client does not see the task working")
					}
					if task, err := c.CancelTask(t.Context(), &a2a.CancelTaskRequest{ID: id}); err != nil || task.Status.State != a2a.TaskStateCanceled {
						t.Errorf("cancel: %+v, %v", task, err)
					}
				})
			})
			if last, ok := followed[len(followed)-1].(*a2a.TaskStatusUpdateEvent); !ok || last.Status.State != a2a.TaskStateCanceled {
				t.Errorf("the cancelled one ended with %+v", followed[len(followed)-1])
			}
		})
	}
}

func TestApprovalsAreDecidedByWhoMay(t *testing.T) {
	t.Parallel()
	w := newTaskWorld(t)
	how := ways()[0]
	boss := w.client(t, how, "payer", w.newKey(t, "run", "approve"))
	task := sent(t, boss, say("write"))
	if task.Status.State != a2a.TaskStateInputRequired {
		t.Fatalf("got %+v", task.Status)
	}
	data, _ := task.Status.Message.Parts[1].Data().(map[string]any)
	approval, _ := data["approval"].(map[string]any)
	if approval["tool"] != "write_file" || approval["reason"] != "policy" || approval["id"] == "" {
		t.Fatalf("the data part is %+v", data)
	}
	reply := func(parts ...*a2a.Part) *a2a.SendMessageRequest {
		return say("", func(m *a2a.Message) { m.Parts, m.TaskID = parts, task.ID })
	}
	for name, tc := range map[string]struct {
		parts []*a2a.Part
		field string
	}{
		"words that decide nothing": {[]*a2a.Part{a2a.NewTextPart("perhaps")}, "message.parts"},
		"another approval":          {[]*a2a.Part{a2a.NewDataPart(map[string]any{"approval": "x", "decision": "approve"})}, "approval"},
		"a decision of no kind":     {[]*a2a.Part{a2a.NewDataPart(map[string]any{"decision": "maybe"})}, "decision"},
		"an edit without arguments": {[]*a2a.Part{a2a.NewDataPart(map[string]any{"decision": "edit"})}, "arguments"},
		"wrong arguments":           {[]*a2a.Part{a2a.NewDataPart(map[string]any{"decision": "edit", "arguments": map[string]any{"path": 7}})}, "path"},
	} {
		if _, err := boss.SendMessage(t.Context(), reply(tc.parts...)); !errors.Is(err, a2a.ErrInvalidParams) || !strings.Contains(err.Error(), tc.field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	edited := sent(t, boss, reply(a2a.NewDataPart(map[string]any{
		"approval": approval["id"], "decision": "edit", "arguments": map[string]any{"path": "other.txt", "content": "ink: 1"},
	})))
	if edited.Status.State != a2a.TaskStateCompleted || !strings.Contains(answerOf(edited), "ink: 1") {
		t.Errorf("after the edit: %+v %s", edited.Status, answerOf(edited))
	}
	denied := sent(t, boss, say("write"))
	if denied = sent(t, boss, say("deny it is too much", func(m *a2a.Message) { m.TaskID = denied.ID })); !strings.Contains(answerOf(denied), "too much") {
		t.Errorf("after the denial: %+v %s", denied.Status, answerOf(denied))
	}

	clerk := w.client(t, how, "payer", w.key)
	mine := sent(t, clerk, say("write"))
	_, err := clerk.SendMessage(t.Context(), say("approve", func(m *a2a.Message) { m.TaskID = mine.ID }))
	if !errors.Is(err, a2a.ErrUnauthorized) || !strings.Contains(err.Error(), "approve") {
		t.Errorf("without the right: %v", err)
	}
	for name, call := range map[string]func() error{
		"get": func() error { _, err := boss.GetTask(t.Context(), &a2a.GetTaskRequest{ID: mine.ID}); return err },
		"cancel": func() error {
			_, err := boss.CancelTask(t.Context(), &a2a.CancelTaskRequest{ID: mine.ID})
			return err
		},
		"answer": func() error {
			_, err := boss.SendMessage(t.Context(), say("approve", func(m *a2a.Message) { m.TaskID = mine.ID }))
			return err
		},
		"push": func() error {
			_, err := boss.CreateTaskPushConfig(t.Context(), &a2a.PushConfig{TaskID: mine.ID, URL: "https://client.example/"})
			return err
		},
		"subscribe": func() error {
			for _, err := range boss.SubscribeToTask(t.Context(), &a2a.SubscribeToTaskRequest{ID: mine.ID}) {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, a2a.ErrTaskNotFound) {
			t.Errorf("%s of another's task: %v", name, err)
		}
	}
	if list, err := boss.ListTasks(t.Context(), &a2a.ListTasksRequest{PageSize: 1}); err != nil || list.TotalSize != 2 || len(list.Tasks) != 1 || list.NextPageToken == "" {
		t.Errorf("its own: %+v, %v", list, err)
	} else if rest, err := boss.ListTasks(t.Context(), &a2a.ListTasksRequest{PageSize: 5, PageToken: list.NextPageToken}); err != nil || len(rest.Tasks) != 1 || rest.NextPageToken != "" || rest.Tasks[0].ID == list.Tasks[0].ID {
		t.Errorf("the second page: %+v, %v", rest, err)
	}
}

func TestPushNotificationsAreSignedAndTellTheEnd(t *testing.T) {
	t.Parallel()
	type hit struct {
		header http.Header
		body   []byte
	}
	hits := make(chan hit, 20)
	var failures sync.Map
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if _, failed := failures.LoadOrStore(r.URL.Path, true); !failed && r.URL.Path == "/shaky" {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		hits <- hit{r.Header, b}
	}))
	t.Cleanup(hook.Close)
	w := newTaskWorld(t, "a2a.push.allow_private=true")
	c := w.client(t, ways()[0], "clerk", w.key)
	req := say("Greet me.")
	req.Config.PushConfig = &a2a.PushConfig{URL: hook.URL + "/shaky", Token: "tok", ID: "one"}
	task := sent(t, c, req)
	wait := func() (hit, *a2a.Task) {
		t.Helper()
		for {
			select {
			case h := <-hits:
				var got a2a.StreamResponse
				if err := json.Unmarshal(h.body, &got); err != nil {
					t.Fatalf("a message is %s: %v", h.body, err)
				}
				told, ok := got.Event.(*a2a.Task)
				if !ok {
					t.Fatalf("it tells of a %T", got.Event)
				}
				if told.Status.State.Terminal() {
					return h, told
				}
			case <-time.After(30 * time.Second):
				t.Fatal("nothing comes")
			}
		}
	}
	h, told := wait()
	if told.ID != task.ID || answerOf(told) != "Hello, world." || h.header.Get("X-A2A-Notification-Token") != "tok" {
		t.Errorf("told %+v with %v", told, h.header)
	}
	resp, err := http.Get(w.app.URL() + "/.well-known/jwks.json") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		t.Fatalf("keys: %+v, %v", set, err)
	}
	token, ok := strings.CutPrefix(h.header.Get("Authorization"), "Bearer ")
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || !ok {
		t.Fatalf("the token is %q: %v", token, err)
	}
	claims, err := parsed.Verify(set.Keys[0])
	if err != nil || !strings.Contains(string(claims), string(task.ID)) {
		t.Errorf("claims %s, %v", claims, err)
	}

	stored, err := c.GetTaskPushConfig(t.Context(), &a2a.GetTaskPushConfigRequest{TaskID: task.ID, ID: "one"})
	if err != nil || stored.URL != hook.URL+"/shaky" || stored.Token != "tok" {
		t.Errorf("stored %+v, %v", stored, err)
	}
	if list, err := c.ListTaskPushConfigs(t.Context(), &a2a.ListTaskPushConfigRequest{TaskID: task.ID}); err != nil || len(list) != 1 {
		t.Errorf("list %+v, %v", list, err)
	}
	if err := c.DeleteTaskPushConfig(t.Context(), &a2a.DeleteTaskPushConfigRequest{TaskID: task.ID, ID: "one"}); err != nil {
		t.Errorf("delete: %v", err)
	}

	asked := sent(t, c, say("ask"))
	_, err = c.CreateTaskPushConfig(t.Context(), &a2a.PushConfig{TaskID: asked.ID, URL: hook.URL + "/steady", Auth: &a2a.PushAuthInfo{Scheme: "StandardWebhooks", Credentials: "whsec_" + strings.Repeat("QUJD", 8)}})
	if err != nil {
		t.Fatal(err)
	}
	sent(t, c, say("blue", func(m *a2a.Message) { m.TaskID = asked.ID }))
	if h, _ := wait(); !strings.HasPrefix(h.header.Get("Webhook-Signature"), "v1,") || h.header.Get("Webhook-Id") == "" || h.header.Get("Authorization") != "" {
		t.Errorf("signed with %v", h.header)
	}
}

func TestPushNotificationsReachNoPrivateAddress(t *testing.T) {
	t.Parallel()
	hits := make(chan struct{}, 1)
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits <- struct{}{} }))
	t.Cleanup(canary.Close)
	w := newTaskWorld(t)
	c := w.client(t, ways()[0], "clerk", w.key)
	asked := sent(t, c, say("ask"))
	if _, err := c.CreateTaskPushConfig(t.Context(), &a2a.PushConfig{TaskID: asked.ID, URL: canary.URL}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-hits:
		t.Error("the private network was reached")
	case <-time.After(2500 * time.Millisecond): // two looks for news
	}
}

func TestACardSaysHowToCall(t *testing.T) {
	t.Parallel()
	w := newTaskWorld(t, "a2a.default_agent=clerk")
	for path, want := range map[string]string{"/a2a/clerk/.well-known/agent-card.json": "clerk", "/.well-known/agent-card.json": "SutazAI"} {
		resp, err := http.Get(w.app.URL() + path) //nolint:noctx // a test's
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var card a2a.AgentCard
		if err := json.Unmarshal(b, &card); err != nil || card.Name != want || len(card.SupportedInterfaces) != 5 || !card.Capabilities.Streaming {
			t.Errorf("%s: %s, %v", path, b, err)
		}
		old, err := a2av0.NewAgentCardParser()(b)
		if err != nil || len(old.SupportedInterfaces) == 0 || len(old.SecuritySchemes) != 2 {
			t.Errorf("%s, read by the old version: %+v, %v", path, old, err)
		}
		if strings.Contains(string(b), "write_file") {
			t.Errorf("%s tells strangers about tools: %s", path, b)
		}
	}
}

func TestWhoMayNotCallIsToldInTheProtocolsOwnWay(t *testing.T) {
	t.Parallel()
	w := newTaskWorld(t)
	for _, how := range ways() {
		if _, err := w.client(t, how, "clerk", "").SendMessage(t.Context(), say("Greet me.")); err == nil {
			t.Errorf("%s: without a key it answers", how.name)
		} else if how.name == "grpc" && !errors.Is(err, a2a.ErrUnauthenticated) {
			t.Errorf("grpc: %v", err)
		}
		if _, err := w.client(t, how, "nobody", w.key).SendMessage(t.Context(), say("Greet me.")); err == nil {
			t.Errorf("%s: an agent that there is not answers", how.name)
		}
	}
	for name, tc := range map[string]struct {
		version, body, say string
	}{
		"an unknown version":        {"7.1", `{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}`, "A2A-Version"},
		"no version means 0.3":      {"", `{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}`, "A2A-Version: 1.0"},
		"an old method in the new":  {"1.0", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"x"}}`, "method"},
		"a field of the wrong kind": {"1.0", `{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":7}}`, "params.id"},
		"no JSON":                   {"1.0", `{`, "not JSON"},
		"a list":                    {"1.0", `[]`, "one JSON object"},
		"no method":                 {"1.0", `{"jsonrpc":"2.0","id":1}`, "method"},
		"another JSON-RPC":          {"1.0", `{"jsonrpc":"1.0","id":1,"method":"GetTask"}`, "jsonrpc"},
		"an id that is a list":      {"1.0", `{"jsonrpc":"2.0","id":[],"method":"GetTask"}`, "id"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.app.URL()+"/a2a/clerk", strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.key)
		if tc.version != "" {
			req.Header.Set("A2A-Version", tc.version)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(b), tc.say) || !strings.Contains(string(b), `"error"`) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

func TestPeersAreAmongTheServices(t *testing.T) {
	t.Parallel()
	peer := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(peer.Close)
	w := newTaskWorld(t, "peers.clerk.protocol=a2a", "peers.clerk.url="+peer.URL, "peers.painter.protocol=jsonl", "peers.painter.command=[sleep]")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.app.URL()+"/api/v1/services", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct{ Items []core.Service }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range list.Items {
		got[s.Name] = s.Kind + " " + string(s.State)
	}
	if got["peer/clerk"] != "external down" || got["peer/painter"] != "process unknown" {
		t.Errorf("the services are %v", got)
	}
}
