package azure_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/azure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg azure.Config) *azure.Provider {
	t.Helper()
	return aimodelstest.Open(t, azure.New, cfg)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]string{"with an API version": "2024-10-21", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aimodelstest.Conformance(t, aimodelstest.Dialect{
				Server: aimodelstest.AzureServer,
				Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
					return newProvider(t, azure.Config{HTTP: cfg, APIVersion: version})
				},
			})
		})
	}
}

// resource answers every call with a body and remembers the last request.
type resource struct {
	*httptest.Server
	status int
	body   string
	last   *http.Request
	sent   string
}

func newResource(t *testing.T, status int, body string) *resource {
	t.Helper()
	s := &resource{status: status, body: body}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.last, s.sent = r, string(b)
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(s.body, "data:") {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

const answer = `{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`

func TestWhereCallsGo(t *testing.T) {
	t.Parallel()
	deployments := map[string]string{"gpt-4o": "team one"}
	for _, c := range []struct {
		name, base, version, model string
		path, query, sent          string
	}{
		{"a deployment", "", "2024-10-21", "gpt-4o", "/openai/deployments/team%20one/chat/completions", "api-version=2024-10-21", "team one"},
		{"a model without one", "/", "2024-10-21", "o3", "/openai/deployments/o3/chat/completions", "api-version=2024-10-21", "o3"},
		{"the newer form", "/openai/v1/", "", "gpt-4o", "/openai/v1/chat/completions", "", "team one"},
		{"below a gateway", "/g/openai", "2024-10-21", "o3", "/g/openai/deployments/o3/chat/completions", "api-version=2024-10-21", "o3"},
		{"a name that would leave the folder", "", "2024-10-21", "..", "/openai/deployments/%2E%2E/chat/completions", "api-version=2024-10-21", ".."},
		{"a name with steps", "", "2024-10-21", "../x?y", "/openai/deployments/..%2Fx%3Fy/chat/completions", "api-version=2024-10-21", "../x?y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newResource(t, http.StatusOK, answer)
			p := newProvider(t, azure.Config{HTTP: aimodels.HTTPConfig{Name: "az", BaseURL: s.URL + c.base, APIKey: "k"}, APIVersion: c.version, Deployments: deployments})
			if _, err := p.Chat(t.Context(), core.ModelRequest{Model: c.model, MaxTokens: 5}, nil); err != nil {
				t.Fatal(err)
			}
			check := func() {
				t.Helper()
				if s.last.URL.EscapedPath() != c.path || s.last.URL.RawQuery != c.query || !strings.Contains(s.sent, `"model":"`+c.sent+`"`) {
					t.Errorf("%s %s", s.last.URL, s.sent)
				}
				if s.last.Header.Get("Api-Key") != "k" || s.last.Header.Get("Authorization") != "" {
					t.Errorf("%v", s.last.Header)
				}
			}
			check()
			if !strings.Contains(s.sent, `"max_completion_tokens":5`) {
				t.Errorf("no bound: %s", s.sent)
			}
			o, err := dialect.Scan([]byte(`{"model":"az/x","new_field":{"x": 1.50}}`))
			if err != nil {
				t.Fatal(err)
			}
			body, err := p.Forward(t.Context(), c.model, &dialect.Call{Dialect: dialect.OpenAIChat, Body: o})
			if err != nil {
				t.Fatal(err)
			}
			_ = body.Close()
			check()
			if !strings.Contains(s.sent, `"new_field":{"x": 1.50}`) {
				t.Errorf("what was forwarded is changed: %s", s.sent)
			}
		})
	}
}

func TestEmbeddingsGoToTheDeployment(t *testing.T) {
	t.Parallel()
	s := newResource(t, http.StatusOK, `{"data":[{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":3}}`)
	p := newProvider(t, azure.Config{HTTP: aimodels.HTTPConfig{Name: "az", BaseURL: s.URL}, APIVersion: "2024-10-21", Deployments: map[string]string{"e": "vectors"}})
	got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "e", Inputs: []string{"a"}})
	if err != nil || len(got.Vectors) != 1 || s.last.URL.Path != "/openai/deployments/vectors/embeddings" {
		t.Errorf("%+v %v %s", got, err, s.last.URL)
	}
}

// TestOlderAPIVersions holds what versions before 2024-09 refuse out of the request.
func TestOlderAPIVersions(t *testing.T) {
	t.Parallel()
	s := newResource(t, http.StatusOK, answer)
	p := newProvider(t, azure.Config{HTTP: aimodels.HTTPConfig{Name: "az", BaseURL: s.URL}, APIVersion: "2024-06-01"})
	req := core.ModelRequest{Model: "m", MaxTokens: 5, Schema: []byte(`{"type":"object"}`), OneTool: true, Tools: []core.ToolSpec{{Name: "now"}}}
	if _, err := p.Chat(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"stream_options", "json_schema", "parallel_tool_calls", "max_completion_tokens"} {
		if strings.Contains(s.sent, no) {
			t.Errorf("%s was sent: %s", no, s.sent)
		}
	}
	if !strings.Contains(s.sent, `"max_tokens":5`) || !strings.Contains(s.sent, `"json_object"`) {
		t.Error(s.sent)
	}
}

func TestModelsOfTheSettings(t *testing.T) {
	t.Parallel()
	s := newResource(t, http.StatusOK, `{"data":[{"id":"gpt-4"},{"id":"gpt-4o"}]}`)
	cfg := azure.Config{HTTP: aimodels.HTTPConfig{Name: "az", BaseURL: s.URL}, Deployments: map[string]string{"b": "x", "a": "y"}}
	got, err := newProvider(t, cfg).Models(t.Context())
	if err != nil || len(got) != 2 || got[0].ID != "a" || got[1].ID != "b" || s.last != nil {
		t.Errorf("%+v %v", got, err)
	}
	cfg.Deployments = nil
	if got, err = newProvider(t, cfg).Models(t.Context()); err != nil || len(got) != 2 || got[0].ID != "gpt-4" || s.last.URL.Path != "/openai/v1/models" {
		t.Errorf("%+v %v", got, err)
	}
}

// TestPublishedFailures reads errors that are written after the published examples.
func TestPublishedFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file   string
		status int
		code   core.Code
		says   string
	}{
		{"filtered-prompt.json", http.StatusBadRequest, core.CodeRefused, "content management policy"},
		{"filtered-answer.sse", http.StatusOK, core.CodeRefused, "content filter"},
		{"no-deployment.json", http.StatusNotFound, core.CodeNotFound, "does not exist"},
		{"limit.json", http.StatusTooManyRequests, core.CodeRateLimited, "exceeded"},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile("testdata/" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			s := newResource(t, c.status, string(b))
			p := newProvider(t, azure.Config{HTTP: aimodels.HTTPConfig{Name: "az", BaseURL: s.URL}, APIVersion: "2024-10-21"})
			if _, err := p.Chat(t.Context(), core.ModelRequest{Model: "m"}, nil); core.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q %v", core.CodeOf(err), err)
			}
		})
	}
}

func TestAnEndpointIsNeeded(t *testing.T) {
	t.Parallel()
	if _, err := azure.New(azure.Config{HTTP: aimodels.HTTPConfig{Name: "az"}}); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "models.providers.az.base_url") {
		t.Error(err)
	}
}
