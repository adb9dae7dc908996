package ollama_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/ollama"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is a backend.Gateway in memory. It knows the model "default" and whatever exchange answers.
type gateway struct {
	mu       sync.Mutex
	exchange func(ctx context.Context, c *dialect.Call, out dialect.Answer) error
	embed    func(req core.EmbedRequest) (core.EmbedResponse, error)
	calls    []dialect.Call
	embeds   []core.EmbedRequest
	listErr  error
}

func (g *gateway) Exchange(ctx context.Context, c *dialect.Call, out dialect.Answer) error {
	g.mu.Lock()
	g.calls = append(g.calls, *c)
	g.mu.Unlock()
	if c.Model != "default" {
		return unknownModel(c.Model)
	}
	return g.exchange(ctx, c, out)
}

func (g *gateway) Embed(_ context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	g.mu.Lock()
	g.embeds = append(g.embeds, req)
	g.mu.Unlock()
	if req.Model != "default" {
		return core.EmbedResponse{}, unknownModel(req.Model)
	}
	return g.embed(req)
}

func (g *gateway) Models(context.Context) ([]core.Model, error) {
	return []core.Model{
		{ID: "default", Kind: "route"},
		{ID: "local/default", Provider: "local", Kind: "local", Loaded: true, Detail: "SmolLM2-135M-Instruct.Q4_1.gguf"},
		{ID: "cloud/gpt", Provider: "cloud", Kind: "openai"},
		{ID: "down/*", Provider: "down", Kind: "openai", Detail: "it cannot be reached"},
	}, g.listErr
}

func unknownModel(name string) error {
	return &dialect.UnknownModel{Err: core.Errorf(core.CodeInvalid, "unknown model %q (did you mean \"default\"?)", name)}
}

type agents struct{}

func (agents) Agent(name string) (core.Agent, error) {
	return core.Agent{}, core.Errorf(core.CodeNotFound, "there is no agent %q", name)
}

func (agents) List() []core.AgentStatus {
	return []core.AgentStatus{{Agent: core.Agent{Name: "assistant", Version: "1", Description: "helps"}}}
}

// clock goes on by a second each time it is looked at.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

// testBundle is the dialect's routes over a gateway in memory.
type testBundle struct {
	gateway *gateway
	mux     *http.ServeMux
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{gateway: &gateway{}, mux: http.NewServeMux()}
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	log := slog.New(slog.DiscardHandler)
	for _, r := range ollama.Routes(ollama.Deps{Chats: &backend.Chats{Agents: agents{}, Models: b.gateway, Logger: log}, Logger: log, Now: c.Now}) {
		b.mux.Handle(r.Pattern, r.Handler)
	}
	return b
}

// answers has the gateway translate: it decodes the call, gives the deltas and then the answer.
func (b *testBundle) answers(res core.ModelResponse, deltas ...core.Delta) *core.ModelRequest {
	got := &core.ModelRequest{}
	b.gateway.exchange = func(_ context.Context, c *dialect.Call, out dialect.Answer) error {
		req, err := c.Decode(c.Body.Bytes)
		if err != nil {
			return err
		}
		*got = req
		for _, d := range deltas {
			if c.Stream {
				if err := out.Delta(d); err != nil {
					return err
				}
			}
		}
		return out.Done(res)
	}
	return got
}

func (b *testBundle) do(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

// lines decodes a stream.
func lines(t *testing.T, body string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for l := range strings.Lines(body) {
		var v map[string]any
		if err := json.Unmarshal([]byte(l), &v); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		out = append(out, v)
	}
	return out
}
