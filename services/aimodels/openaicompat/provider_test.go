package openaicompat_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg openaicompat.Config) *openaicompat.Provider {
	t.Helper()
	cfg.HTTP.BaseURL += "/v1"
	return aimodelstest.Open(t, openaicompat.New, cfg)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, aimodelstest.Dialect{
		Server: aimodelstest.OpenAIServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
			return newProvider(t, openaicompat.Config{HTTP: cfg})
		},
	})
}

// TestServersInTheWild plays bodies as real servers send them, quirks included.
func TestServersInTheWild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType, body string
		text                    string
		calls                   string // name+arguments of each, joined by ;
		finish                  core.FinishReason
		code                    core.Code
	}{
		{
			name: "one JSON object although a stream was asked for", contentType: "application/json",
			body: `{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`,
			text: "Hi", finish: core.FinishStop,
		},
		{
			name: "whole calls that all have index 0",
			body: `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{}"}}]}}]}` + "\n\n" +
				`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"y","arguments":"{\"k\":1}"}}]},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
			calls: `x{};y{"k":1}`, finish: core.FinishTools,
		},
		{
			name:  "calls without index and id, interleaved with comments and CRLF",
			body:  ": ping\r\n\r\n" + `data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"x","arguments":""}}]}}]}` + "\r\n\r\n: ping\r\n\r\n" + `data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\r\n\r\n",
			calls: `x{}`, finish: core.FinishTools,
		},
		{
			name: "fragments of two calls mixed",
			body: `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":""}},{"index":1,"id":"b","function":{"name":"y","arguments":"{\"k"}}]}}]}` + "\n\n" +
				`data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"\":2}"}},{"index":0,"function":{"arguments":"{}"}}]}}]}` + "\n\n" +
				`data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n\ndata: [DONE]\n\n",
			calls: `x{};y{"k":2}`, finish: core.FinishTools,
		},
		{
			name: "no [DONE] after the finish reason",
			body: `data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"length"}]}` + "\n\n",
			text: "Hi", finish: core.FinishLength,
		},
		{name: "an error in mid stream", body: `data: {"choices":[{"delta":{"content":"Hi"}}]}` + "\n\n" + `data: {"error":{"code":503,"message":"loading"}}` + "\n\n", code: core.CodeUnavailable},
		{name: "a full context in mid stream", body: `data: {"error":{"code":400,"type":"exceed_context_size_error","message":"too long"}}` + "\n\n", code: core.CodeContextFull},
		{name: "arguments that are not JSON", body: `data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{\"k\":"}}]},"finish_reason":"tool_calls"}]}` + "\n\n", calls: `x{"not_a_json_object":"{\"k\":"}`, finish: core.FinishTools},
		{name: "a refusal", body: `data: {"choices":[{"delta":{"refusal":"No."},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n", code: core.CodeRefused},
		{name: "a content filter", body: `data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}` + "\n\ndata: [DONE]\n\n", code: core.CodeRefused},
		{name: "a page instead of an answer", contentType: "text/html", body: "<html>login</html>", code: core.CodeUnavailable},
		{name: "a line without end", body: "data: " + strings.Repeat("x", 5<<20), code: core.CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.contentType == "" {
				c.contentType = "text/event-stream"
			}
			url, _ := aimodelstest.Replay(t, http.StatusOK, c.contentType, c.body)
			p := newProvider(t, openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "wild", BaseURL: url}})
			got, err := p.Chat(t.Context(), core.ModelRequest{Model: "m"}, func(core.Delta) {})
			if core.CodeOf(err) != c.code {
				t.Fatalf("code %q, want %q: %v", core.CodeOf(err), c.code, err)
			}
			var calls []string
			for _, call := range got.Message.ToolCalls {
				calls = append(calls, call.Name+string(call.Arguments))
				if call.ID == "" {
					t.Error("a call has no id")
				}
			}
			if got.Message.Text != c.text || strings.Join(calls, ";") != c.calls || got.Finish != c.finish {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestExtraFieldsAreSentAndReplaceNothing(t *testing.T) {
	t.Parallel()
	s := aimodelstest.OpenAIServer(aimodelstest.Always(aimodelstest.Text("x")))
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	p := newProvider(t, openaicompat.Config{
		HTTP:   aimodels.HTTPConfig{Name: "x", BaseURL: h.URL},
		Quirks: "openai",
		Extra:  map[string]any{"dry_multiplier": 0.8, "model": "other"},
	})
	if _, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", MaxTokens: 5}, nil); err != nil {
		t.Fatal(err)
	}
	body := string(s.Requests()[0].Body)
	for _, want := range []string{`"dry_multiplier":0.8`, `"model":"m"`, `"max_completion_tokens":5`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
}

func TestAToolThatMustBeCalledIsNamed(t *testing.T) {
	t.Parallel()
	for choice, want := range map[string]string{
		"":         `"tools"`,
		"required": `"tool_choice":"required"`,
		"look":     `"tool_choice":{"function":{"name":"look"},"type":"function"}`,
	} {
		s := aimodelstest.OpenAIServer(aimodelstest.Always(aimodelstest.Text("x")))
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		p := newProvider(t, openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: h.URL}})
		req := core.ModelRequest{Model: "m", ToolChoice: choice, Tools: []core.ToolSpec{{Name: "look", Parameters: []byte(`{"type":"object"}`)}}}
		if _, err := p.Chat(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
		if body := string(s.Requests()[0].Body); !strings.Contains(body, want) || choice == "" && strings.Contains(body, "tool_choice") {
			t.Errorf("%q: %s", choice, body)
		}
	}
}

func TestOnlyServersWithOpenAIsNewestFieldsGetThem(t *testing.T) {
	t.Parallel()
	const closed, open = `{"type":"object","properties":{},"additionalProperties":false}`, `{"type":"object","properties":{}}`
	for _, c := range []struct {
		quirks, schema string
		has, not       []string
	}{
		{"openai", closed, []string{`"verbosity":"low"`, `"service_tier":"flex"`, `"parameters":` + closed + `,"strict":true`, `"strict":true}`}, []string{"top_k", "metadata"}},
		{"openai", open, []string{`"parameters":` + open + `}`, `"strict":false`}, []string{`"strict":true`}},
		{"auto", closed, []string{`"verbosity":"low"`, `"service_tier":"flex"`, `"parameters":` + closed + `,"strict":true`, `"top_k":3`}, []string{"metadata"}},
		{"groq", open, []string{`"parameters":` + open + `}`, `"strict":true`}, []string{"verbosity", "service_tier", "top_k"}},
		{"llamacpp", closed, []string{`"parameters":` + closed + `}`, `"strict":true`, `"top_k":3`}, []string{"verbosity", "service_tier"}},
	} {
		s := aimodelstest.OpenAIServer(aimodelstest.Always(aimodelstest.Text("x")))
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		p := newProvider(t, openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: h.URL}, Quirks: c.quirks})
		req := core.ModelRequest{
			Model: "m", Tools: []core.ToolSpec{{Name: "look", Strict: true, Parameters: []byte(c.schema)}}, Schema: []byte(c.schema),
			Metadata: map[string]string{"k": "v"}, ServiceTier: "flex", Verbosity: "low", TopK: new(3),
		}
		if _, err := p.Chat(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
		body := string(s.Requests()[0].Body)
		for _, want := range c.has {
			if !strings.Contains(body, want) {
				t.Errorf("%s: %s is missing in %s", c.quirks, want, body)
			}
		}
		for _, odd := range c.not {
			if strings.Contains(body, odd) {
				t.Errorf("%s: %s is in %s", c.quirks, odd, body)
			}
		}
	}
}

func TestBaseURLIsChecked(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "127.0.0.1:8000/v1", "ftp://h/v1", "http:///v1", "http://user:pw@h/v1", "http://h/v1?key=1"} {
		_, err := openaicompat.New(openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: url}})
		if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(fmt.Sprint(err), "models.providers.x.base_url") {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
