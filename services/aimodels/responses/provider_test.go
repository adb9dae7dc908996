package responses_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/responses"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg responses.Config) *responses.Provider {
	t.Helper()
	cfg.HTTP.BaseURL += "/v1"
	return aimodelstest.Open(t, responses.New, cfg)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, aimodelstest.Dialect{
		Server: aimodelstest.ResponsesServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
			return newProvider(t, responses.Config{HTTP: cfg})
		},
		NoSeed: true, NoStop: true,
	})
}

func event(data string) string {
	var e struct{ Type string }
	_ = json.Unmarshal([]byte(data), &e)
	return "event: " + e.Type + "\ndata: " + data + "\n\n"
}

const completed = `{"type":"response.completed","response":{"object":"response","status":"completed","output":[]}}`

func textDelta(item, text string) string {
	return event(`{"type":"response.output_text.delta","item_id":"` + item + `","content_index":0,"delta":"` + text + `"}`)
}

// TestServersInTheWild plays bodies as servers send them, quirks included.
func TestServersInTheWild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, contentType, body string
		text                    string
		calls                   string // name+arguments of each, joined by ;
		thought                 string // text+signature of each, joined by ;
		finish                  core.FinishReason
		code                    core.Code
		retryable               bool
	}{
		{
			name: "one JSON object although a stream was asked for", contentType: "application/json",
			body: `{"object":"response","status":"completed","output":[{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","id":"m","content":[{"type":"output_text","text":"Hi"}]}],"error":null}`,
			text: "Hi", thought: "hm", finish: core.FinishStop,
		},
		{
			name: "only the last event has the answer",
			body: event(`{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]},{"type":"function_call","call_id":"c","name":"x","arguments":{"k":1}}]}}`),
			text: "Hi", calls: `x{"k":1}`, finish: core.FinishTools,
		},
		{
			name: "comments, CRLF and no event names",
			body: ": ping\r\n\r\n" + `data: {"type":"response.output_text.delta","delta":"Hi"}` + "\r\n\r\n" + "data: " + completed + "\r\n\r\n",
			text: "Hi", finish: core.FinishStop,
		},
		{
			name: "other ids in the end than in the pieces",
			body: textDelta("a", "Hi") + event(`{"type":"response.output_item.done","item":{"type":"message","id":"b","content":[{"type":"output_text","text":"Hi"}]}}`) + event(completed),
			text: "Hi", finish: core.FinishStop,
		},
		{
			name: "two messages are two paragraphs",
			body: textDelta("a", "One") + event(`{"type":"response.output_item.done","item":{"type":"message","id":"a","content":[{"type":"output_text","text":"One"}]}}`) + textDelta("b", "Two") + event(completed),
			text: "One\n\nTwo", finish: core.FinishStop,
		},
		{
			name: "reasoning in two parts, then encrypted without any text",
			body: event(`{"type":"response.reasoning_summary_text.delta","item_id":"r","summary_index":0,"delta":"a"}`) +
				event(`{"type":"response.reasoning_summary_text.delta","item_id":"r","summary_index":1,"delta":"b"}`) +
				event(`{"type":"response.output_item.done","item":{"type":"reasoning","id":"r","summary":[],"encrypted_content":"e1"}}`) +
				event(`{"type":"response.output_item.done","item":{"type":"reasoning","id":"s","summary":[],"encrypted_content":"e2"}}`) +
				textDelta("m", "Hi") + event(completed),
			text: "Hi", thought: "a\n\nb|~sutazai.openai:e1;|~sutazai.openai:e2", finish: core.FinishStop,
		},
		{
			name: "cut off by the limit",
			body: textDelta("a", "Hi") + event(`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}`),
			text: "Hi", finish: core.FinishLength,
		},
		{
			name: "cut off by the filter",
			body: textDelta("a", "Hi") + event(`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}}`),
			text: "Hi", finish: core.FinishRefusal,
		},
		{name: "filtered as a whole", body: event(`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}}`), code: core.CodeRefused},
		{name: "a refusal", body: event(`{"type":"response.refusal.delta","delta":"No."}`) + event(completed), code: core.CodeRefused},
		{name: "arguments that are not JSON", body: event(`{"type":"response.output_item.done","item":{"type":"function_call","call_id":"c","name":"x","arguments":"{\"k\":"}}`) + event(completed), calls: `x{"not_a_json_object":"{\"k\":"}`, finish: core.FinishTools},
		{name: "a failure of the server", body: textDelta("a", "Hi") + event(`{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"oops"}}}`), code: core.CodeUnavailable, retryable: true},
		{name: "a failure without an error", body: event(`{"type":"response.failed","response":{"status":"failed","error":null}}`), code: core.CodeUnavailable, retryable: true},
		{name: "a limit that is reached", body: event(`{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}}`), code: core.CodeRateLimited, retryable: true},
		{name: "a wrong image", body: event(`{"type":"response.failed","response":{"status":"failed","error":{"code":"invalid_image","message":"no"}}}`), code: core.CodeInvalid},
		{name: "a full context", body: event(`{"type":"response.failed","response":{"status":"failed","error":{"code":"context_length_exceeded","message":"long"}}}`), code: core.CodeContextFull},
		{name: "an error event", body: textDelta("a", "Hi") + event(`{"type":"error","code":"server_error","message":"oops","param":null}`), code: core.CodeUnavailable, retryable: true},
		{name: "an error event with a nested error", body: event(`{"type":"error","error":{"type":"invalid_request_error","code":"rate_limit_exceeded","message":"slow"}}`), code: core.CodeRateLimited, retryable: true},
		{name: "an error object in place of a response", contentType: "application/json", body: `{"error":{"code":503,"message":"loading"}}`, code: core.CodeUnavailable, retryable: true},
		{name: "another dialect's object", contentType: "application/json", body: `{"object":"chat.completion","choices":[]}`, code: core.CodeUnavailable, retryable: true},
		{name: "cut before its end", body: textDelta("a", "Hi") + "data: [DONE]\n\n", code: core.CodeUnavailable, retryable: true},
		{name: "a page instead of an answer", contentType: "text/html", body: "<html>login</html>", code: core.CodeUnavailable, retryable: true},
		{name: "a line without end", body: "data: " + strings.Repeat("x", 17<<20), code: core.CodeUnavailable, retryable: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.contentType == "" {
				c.contentType = "text/event-stream"
			}
			url, _ := aimodelstest.Replay(t, http.StatusOK, c.contentType, c.body)
			p := newProvider(t, responses.Config{HTTP: aimodels.HTTPConfig{Name: "wild", BaseURL: url}})
			var text, thought strings.Builder
			got, err := p.Chat(t.Context(), core.ModelRequest{Model: "m"}, func(d core.Delta) {
				text.WriteString(d.Text)
				thought.WriteString(d.Reasoning)
			})
			ce, _ := errors.AsType[*aimodels.CallError](err)
			if core.CodeOf(err) != c.code || (ce != nil && ce.Retryable) != c.retryable {
				t.Fatalf("code %q, want %q, retryable %t: %v", core.CodeOf(err), c.code, c.retryable, err)
			}
			if err != nil {
				return
			}
			var calls, thoughts []string
			for _, call := range got.Message.ToolCalls {
				calls = append(calls, call.Name+string(call.Arguments))
			}
			for _, p := range got.Message.Parts {
				if p.Kind == core.PartReasoning {
					thoughts = append(thoughts, strings.TrimSuffix(p.Text+"|"+p.Signature, "|"))
				}
			}
			if got.Message.Text != c.text || text.String() != c.text || strings.Join(calls, ";") != c.calls || strings.Join(thoughts, ";") != c.thought || got.Finish != c.finish {
				t.Errorf("got %+v, deltas %q and %q", got, text.String(), thought.String())
			}
		})
	}
}

var update = flag.Bool("update", false, "write the files of expected requests anew")

func pointer[T any](v T) *T { return &v }

// TestRequests holds every kind of request against its file; tests/sdk reads the same files with OpenAI's types.
func TestRequests(t *testing.T) {
	t.Parallel()
	tools := []core.ToolSpec{{Name: "look", Description: "Look it up.", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "now"}}
	user := core.Message{Role: core.RoleUser, Text: "Go."}
	for name, req := range map[string]core.ModelRequest{
		"plain": {Messages: []core.Message{{Role: core.RoleSystem, Text: "Be brief."}, {Role: core.RoleSystem, Text: "Be kind."}, user, {Role: core.RoleSystem, Text: "Now be long."}, user}},
		"settings": {
			Messages: []core.Message{user}, MaxTokens: 50, Temperature: pointer(0.5), TopP: pointer(0.9), User: "ann", Seed: pointer(int64(1)), Stop: []string{"x"},
			Schema: json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`), SchemaName: "reply", Reasoning: "low",
		},
		"settings_of_openai": {
			Messages: []core.Message{user}, Verbosity: "low", ServiceTier: "flex", Metadata: map[string]string{"k": "v"}, Schema: json.RawMessage(`{"type":"object","properties":{}}`),
			Tools: []core.ToolSpec{
				{Name: "fits", Strict: true, Parameters: json.RawMessage(`{"type":"object","properties":{},"additionalProperties":false}`)},
				{Name: "open", Strict: true, Parameters: json.RawMessage(`{"type":"object","properties":{}}`)},
			},
		},
		"json_object":  {Messages: []core.Message{user}, JSONObject: true, ReasoningMax: 4000},
		"tools":        {Messages: []core.Message{user}, Tools: tools, ToolChoice: "required", OneTool: true},
		"tools_none":   {Messages: []core.Message{user}, Tools: tools, ToolChoice: "none"},
		"tools_one":    {Messages: []core.Message{user}, Tools: tools, ToolChoice: "look"},
		"no_reasoning": {Messages: []core.Message{user}, Reasoning: "none"},
		"round_trip": {Tools: tools, Messages: []core.Message{
			user,
			{
				Role: core.RoleAssistant, Text: "I look.",
				Parts: []core.Part{
					{Kind: core.PartReasoning, Text: "hm", Signature: core.MakerOpenAI.Mark("e1")}, {Kind: core.PartReasoning, Text: "another provider's"},
					{Kind: core.PartReasoning, Text: "another provider's", Signature: core.MakerAnthropic.Mark("e3")},
					{Kind: core.PartReasoning, Signature: core.MakerOpenAI.Mark("e2")}, {Kind: core.PartText, Text: "I look."},
				},
				ToolCalls: []core.ToolCall{{ID: "c1", Name: "look", Arguments: json.RawMessage(`{"q":1}`)}, {ID: "c2", Name: "now", Arguments: json.RawMessage(`{}`)}},
			},
			{Role: core.RoleTool, ToolCallID: "c1", Text: "found"},
			{Role: core.RoleTool, ToolCallID: "c2", Text: "", Parts: []core.Part{{Kind: core.PartImage, Data: []byte("png"), MediaType: "image/png"}}},
		}},
		"parts": {Messages: []core.Message{{Role: core.RoleUser, Text: "See.", Parts: []core.Part{
			{Kind: core.PartText, Text: "See."},
			{Kind: core.PartImage, Data: []byte("jpg"), MediaType: "image/jpeg", Detail: "low"},
			{Kind: core.PartImage, URL: "https://example.org/a.png"},
			{Kind: core.PartFile, Data: []byte("pdf"), MediaType: "application/pdf", Name: "a.pdf"},
			{Kind: core.PartFile, URL: "https://example.org/a.pdf"},
			{Kind: core.PartFile, Data: []byte("pdf")},
		}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, last := aimodelstest.Replay(t, http.StatusOK, "text/event-stream", event(completed))
			p := newProvider(t, responses.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: url}, Extra: map[string]any{"truncation": "auto", "model": "other"}})
			req.Model = "m"
			if _, err := p.Chat(t.Context(), req, nil); err != nil {
				t.Fatal(err)
			}
			aimodelstest.Golden(t, "testdata/requests/"+name+".json", *last, *update)
		})
	}
}

func TestAudioIsRefusedAndNotLost(t *testing.T) {
	t.Parallel()
	url, last := aimodelstest.Replay(t, http.StatusOK, "text/event-stream", event(completed))
	p := newProvider(t, responses.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: url}})
	said := core.Message{Role: core.RoleUser, Parts: []core.Part{{Kind: core.PartAudio, Data: []byte("RIFF"), MediaType: "audio/wav"}}}
	if _, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Messages: []core.Message{said}}, nil); core.CodeOf(err) != core.CodeInvalid || len(*last) > 0 {
		t.Errorf("%v, sent %s", err, *last)
	}
}

func TestEffortReplacesTheSettingAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	url, last := aimodelstest.Replay(t, http.StatusOK, "text/event-stream", event(completed))
	p := newProvider(t, responses.Config{
		HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: url}, Extra: map[string]any{"reasoning": map[string]any{"summary": "auto", "effort": "high"}},
	})
	for effort, want := range map[string]string{"low": `"reasoning":{"effort":"low","summary":"auto"}`, "": `"reasoning":{"effort":"high","summary":"auto"}`} {
		if _, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Reasoning: effort}, nil); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(*last), want) || !strings.Contains(string(*last), `"include":["reasoning.encrypted_content"]`) {
			t.Errorf("%q: %s", effort, *last)
		}
	}
}

func TestReasoningGoesBackToTheServerThatThought(t *testing.T) {
	t.Parallel()
	s := aimodelstest.ResponsesServer(aimodelstest.Always(aimodelstest.Answer(core.ModelResponse{
		Message: core.Message{Text: "Paris", Parts: []core.Part{{Kind: core.PartReasoning, Text: "hm", Signature: "opaque"}, {Kind: core.PartText, Text: "Paris"}}},
		Usage:   core.Usage{InputTokens: 9, OutputTokens: 8, CachedTokens: 7, ReasoningTokens: 6},
	})))
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	p := newProvider(t, responses.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: h.URL}})
	var deltas []core.Delta
	first, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Messages: []core.Message{{Role: core.RoleUser, Text: "?"}}}, func(d core.Delta) { deltas = append(deltas, d) })
	if err != nil {
		t.Fatal(err)
	}
	if first.Usage != (core.Usage{InputTokens: 9, OutputTokens: 8, CachedTokens: 7, ReasoningTokens: 6}) {
		t.Errorf("usage %+v", first.Usage)
	}
	if last := deltas[len(deltas)-1]; last.Signature != core.MakerOpenAI.Mark("opaque") {
		t.Errorf("deltas %+v", deltas)
	}
	if _, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Messages: []core.Message{{Role: core.RoleUser, Text: "?"}, first.Message}}, nil); err != nil {
		t.Fatal(err)
	}
	m := s.Requests()[1].Request.Messages[1]
	if m.Text != "Paris" || len(m.Parts) == 0 || m.Parts[0].Signature != "opaque" || m.Parts[0].Text != "hm" {
		t.Errorf("got %+v", m)
	}
}

func TestForwardChangesTheModelAndNothingElse(t *testing.T) {
	t.Parallel()
	url, last := aimodelstest.Replay(t, http.StatusOK, "text/event-stream", event(completed))
	p := newProvider(t, responses.Config{HTTP: aimodels.HTTPConfig{Name: "x", BaseURL: url}, Extra: map[string]any{"truncation": "auto", "top_p": 1}})
	const body = `{ "model":"r/m","input":[{"type":"new_thing","x":1.50}],"top_p":0.5,"max_output_tokens":9}`
	o, err := dialect.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	call := &dialect.Call{Dialect: dialect.OpenAIResponses, Body: o, Model: "r/m"}
	foreign, err := dialect.Scan([]byte(`{"model":"r/m","input":[{"type":"reasoning","encrypted_content":"` + core.MakerAnthropic.Mark("c2ln") + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Forwards(&dialect.Call{Dialect: dialect.OpenAIResponses, Body: foreign}) {
		t.Error("another maker's signature goes through")
	}
	if !p.Forwards(call) || p.Forwards(&dialect.Call{Dialect: dialect.OpenAIChat}) {
		t.Error("Forwards takes the wrong dialects")
	}
	for limit, want := range map[int]string{
		0: `{"truncation":"auto", "model":"m","input":[{"type":"new_thing","x":1.50}],"top_p":0.5,"max_output_tokens":9}`,
		5: `{"truncation":"auto", "model":"m","input":[{"type":"new_thing","x":1.50}],"top_p":0.5,"max_output_tokens":5}`,
	} {
		call.CapOutput = limit
		answer, err := p.Forward(t.Context(), "m", call)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer)
		_ = answer.Close()
		if err != nil || string(got) != event(completed) {
			t.Errorf("got %q, %v", got, err)
		}
		if string(*last) != want {
			t.Errorf("sent %s", *last)
		}
	}
}
