package ollama_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

const (
	chatURL     = "/ollama/api/chat"
	generateURL = "/ollama/api/generate"
	hello       = `{"model":"default","messages":[{"role":"user","content":"Hi"}]}`
)

func answerOf(text string, calls ...core.ToolCall) core.ModelResponse {
	return core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: text, ToolCalls: calls}, Finish: core.FinishStop,
		Usage: core.Usage{InputTokens: 5, OutputTokens: 2},
	}
}

func TestAChatIsAStreamUnlessTheClientSaysOtherwise(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := answerOf("Hello <world>", core.ToolCall{ID: "c1", Name: "now", Arguments: json.RawMessage(`{"zone":"UTC"}`)})
	res.Finish = core.FinishTools
	res.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "Greet."}, {Kind: core.PartText, Text: res.Message.Text}}
	b.answers(res, core.Delta{Reasoning: "Greet."}, core.Delta{Text: "Hello "}, core.Delta{Text: "<wor"})
	w := b.do(t, "POST", chatURL, hello)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/x-ndjson" || w.Header().Get("X-Accel-Buffering") != "no" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	want := []string{
		`{"model":"default","created_at":"2026-01-02T03:04:09Z","message":{"role":"assistant","content":"","thinking":"Greet."},"done":false}`,
		`{"model":"default","created_at":"2026-01-02T03:04:10Z","message":{"role":"assistant","content":"Hello "},"done":false}`,
		`{"model":"default","created_at":"2026-01-02T03:04:11Z","message":{"role":"assistant","content":"<wor"},"done":false}`,
		// what the deltas did not hold
		`{"model":"default","created_at":"2026-01-02T03:04:12Z","message":{"role":"assistant","content":"ld>"},"done":false}`,
		`{"model":"default","created_at":"2026-01-02T03:04:13Z","message":{"role":"assistant","content":"","tool_calls":[{"id":"c1","function":{"index":0,"name":"now","arguments":{"zone":"UTC"}}}]},"done":false}`,
		`{"model":"default","created_at":"2026-01-02T03:04:14Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":8000000000,"load_duration":0,"prompt_eval_count":5,"prompt_eval_duration":1000000000,"eval_count":2,"eval_duration":7000000000}`,
	}
	if got := strings.Split(strings.TrimSpace(w.Body.String()), "\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := b.gateway.calls[0]; c.Dialect != dialect.OllamaChat || !c.Stream || c.Model != "default" {
		t.Errorf("call %+v", c)
	}
}

func TestAWholeChatHoldsTextThoughtsAndCalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := answerOf("Hi", core.ToolCall{ID: "c1", Name: "now", Arguments: json.RawMessage(`{}`)})
	res.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "Greet."}, {Kind: core.PartText, Text: "Hi"}}
	res.Finish = core.FinishLength
	b.answers(res)
	w := b.do(t, "POST", chatURL, strings.Replace(hello, "{", `{"stream":false,`, 1))
	want := `{"model":"default","created_at":"2026-01-02T03:04:08Z","message":{"role":"assistant","content":"Hi","thinking":"Greet.","tool_calls":[{"id":"c1","function":{"index":0,"name":"now","arguments":{}}}]},"done":true,"done_reason":"length","total_duration":2000000000,"load_duration":0,"prompt_eval_count":5,"prompt_eval_duration":0,"eval_count":2,"eval_duration":2000000000}`
	if got := strings.TrimSpace(w.Body.String()); got != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w := b.do(t, "POST", chatURL, strings.Replace(hello, "{", `{"stream":false,"think":false,`, 1)); strings.Contains(w.Body.String(), "Greet") {
		t.Errorf("thoughts that nobody wants: %s", w.Body)
	}
}

func TestThoughtsThatNobodyWantsAreNotStreamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := answerOf("Hi")
	res.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "Greet."}, {Kind: core.PartText, Text: "Hi"}}
	b.answers(res, core.Delta{Reasoning: "Gre"}, core.Delta{Text: "H"})
	got := b.do(t, "POST", chatURL, strings.Replace(hello, "{", `{"think":false,`, 1)).Body.String()
	if strings.Contains(got, "Gre") || len(lines(t, got)) != 3 {
		t.Errorf("got %s", got)
	}
}

func TestGenerateAnswersOnePrompt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := answerOf("Hello")
	res.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "Greet."}, {Kind: core.PartText, Text: "Hello"}}
	req := b.answers(res, core.Delta{Reasoning: "Greet."}, core.Delta{Text: "Hel"})
	png := append([]byte("\x89PNG\r\n\x1a\n"), 0, 1)
	got := lines(t, b.do(t, "POST", generateURL, `{"model":"default","system":"Be brief.","prompt":"Hi","images":["`+base64.StdEncoding.EncodeToString(png)+`"]}`).Body.String())
	last := got[len(got)-1]
	if len(got) != 4 || got[0]["thinking"] != "Greet." || got[1]["response"] != "Hel" || got[2]["response"] != "lo" || last["response"] != "" ||
		last["done"] != true || last["done_reason"] != "stop" || last["eval_count"] != 2.0 || last["message"] != nil {
		t.Errorf("got %v", got)
	}
	want := []core.Message{
		{Role: core.RoleSystem, Text: "Be brief."},
		{Index: 1, Role: core.RoleUser, Text: "Hi", Parts: []core.Part{{Kind: core.PartText, Text: "Hi"}, {Kind: core.PartImage, MediaType: "image/png", Data: png}}},
	}
	if !reflect.DeepEqual(req.Messages, want) {
		t.Errorf("messages %+v", req.Messages)
	}
	whole := lines(t, b.do(t, "POST", generateURL, `{"model":"default","prompt":"Hi","stream":false}`).Body.String())
	if whole[0]["response"] != "Hello" || whole[0]["thinking"] != "Greet." || whole[0]["context"] != nil || b.gateway.calls[1].Dialect != dialect.OllamaGenerate {
		t.Errorf("got %v", whole)
	}
}

func TestARequestIsTranslatedInFull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req := b.answers(answerOf("ok"))
	gif := []byte("GIF89a..")
	w := b.do(t, "POST", chatURL, `{"model":"default","think":"high","format":{"type":"object"},"keep_alive":"5m",
		"options":{"num_predict":64.0,"temperature":0.5,"top_p":0.25,"top_k":40,"seed":9007199254740993,"stop":["END"],"presence_penalty":1,"frequency_penalty":-1,"num_ctx":4096,"mirostat":0},
		"tools":[{"type":"function","function":{"name":"now","description":"Tell the time.","parameters":{"type":"object","properties":{"zone":{"type":"string"}}}}},{"function":{"name":"bare"}}],
		"messages":[
			{"role":"system","content":"Be brief."},
			{"role":"user","content":"Times?","images":["`+base64.StdEncoding.EncodeToString(gif)+`"]},
			{"role":"assistant","content":"","thinking":"Ask.","tool_calls":[{"function":{"name":"now","arguments":{"zone":"A"}}},{"function":{"name":"now","arguments":{"zone":"B"}}},{"id":"x","function":{"name":"bare"}}]},
			{"role":"tool","tool_call_id":"x","content":"third"},
			{"role":"tool","tool_name":"now","content":"first"},
			{"role":"tool","content":"second"}]}`)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := core.ModelRequest{
		Model: "default", Schema: json.RawMessage(`{"type":"object"}`), MaxTokens: 64, Temperature: new(0.5), TopP: new(0.25), TopK: new(40),
		Presence: new(1.0), Frequency: new(-1.0), Seed: new(int64(9007199254740993)), Stop: []string{"END"}, Reasoning: "high",
		Tools: []core.ToolSpec{
			{Name: "now", Description: "Tell the time.", Parameters: json.RawMessage(`{"type":"object","properties":{"zone":{"type":"string"}}}`)},
			{Name: "bare", Parameters: json.RawMessage(`{"type":"object","properties":{}}`)},
		},
		Messages: []core.Message{
			{Role: core.RoleSystem, Text: "Be brief."},
			{Index: 1, Role: core.RoleUser, Text: "Times?", Parts: []core.Part{{Kind: core.PartText, Text: "Times?"}, {Kind: core.PartImage, MediaType: "image/gif", Data: gif}}},
			{Index: 2, Role: core.RoleAssistant, Parts: []core.Part{{Kind: core.PartReasoning, Text: "Ask."}}, ToolCalls: []core.ToolCall{
				{ID: "call_2_0", Name: "now", Arguments: json.RawMessage(`{"zone":"A"}`)}, {ID: "call_2_1", Name: "now", Arguments: json.RawMessage(`{"zone":"B"}`)},
				{ID: "x", Name: "bare", Arguments: json.RawMessage(`{}`)},
			}},
			{Index: 3, Role: core.RoleTool, Text: "third", ToolCallID: "x"},
			{Index: 4, Role: core.RoleTool, Text: "first", ToolCallID: "call_2_0"},
			{Index: 5, Role: core.RoleTool, Text: "second", ToolCallID: "call_2_1"},
		},
	}
	if !reflect.DeepEqual(*req, want) {
		t.Errorf("got  %+v\nwant %+v", *req, want)
	}
	for predict, want := range map[string]int{"128": 128, "-1": 0, "null": 0} {
		b.do(t, "POST", chatURL, strings.Replace(hello, "{", `{"options":{"num_predict":`+predict+`},`, 1))
		if got := b.gateway.calls[len(b.gateway.calls)-1].MaxOutput; got != want {
			t.Errorf("num_predict %s: the largest answer is %d", predict, got)
		}
	}
}

func TestSettingsThatMeanNothingInParticularAreLeftOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req := b.answers(answerOf("ok"))
	for body, check := range map[string]func(core.ModelRequest) bool{
		`"format":"json"`:                      func(r core.ModelRequest) bool { return r.JSONObject && r.Schema == nil },
		`"format":""`:                          func(r core.ModelRequest) bool { return !r.JSONObject && r.Schema == nil },
		`"options":{"num_predict":-1}`:         func(r core.ModelRequest) bool { return r.MaxTokens == 0 },
		`"options":{"top_k":0}`:                func(r core.ModelRequest) bool { return r.TopK == nil },
		`"options":{"seed":null}`:              func(r core.ModelRequest) bool { return r.Seed == nil },
		`"options":null,"think":null`:          func(r core.ModelRequest) bool { return r.Reasoning == "" },
		`"think":true`:                         func(r core.ModelRequest) bool { return r.Reasoning == "medium" },
		`"think":false`:                        func(r core.ModelRequest) bool { return r.Reasoning == "none" },
		`"think":"low","tools":null`:           func(r core.ModelRequest) bool { return r.Reasoning == "low" && r.Tools == nil },
		`"unknown":{"a":1},"logprobs":false`:   func(r core.ModelRequest) bool { return r.Model == "default" },
		`"options":{"num_predict":32,"x":"y"}`: func(r core.ModelRequest) bool { return r.MaxTokens == 32 },
	} {
		w := b.do(t, "POST", chatURL, strings.Replace(hello, "{", "{"+body+",", 1))
		if w.Code != 200 || !check(*req) {
			t.Errorf("%s: %d %s, %+v", body, w.Code, w.Body, *req)
		}
	}
}

func TestAWrongRequestIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.answers(answerOf("ok"))
	for _, c := range []struct{ url, body, says string }{
		{chatURL, `{"messages":[{"role":"user","content":"x"}]}`, "model is required"},
		{chatURL, `not json`, "not a JSON object"},
		{chatURL, `{"model":"default","stream":"false","messages":[{"role":"user","content":"x"}]}`, "Invalid type for 'stream'"},
		{generateURL, `{"model":"default","stream":0,"prompt":"x"}`, "Invalid type for 'stream'"},
		{generateURL, `{"model":"default","prompt":"` + "\xc3(" + `"}`, "not UTF-8"},
		{"/ollama/api/embed", `[]`, "the body must be an object, not array"},
		{chatURL, `{"model":"default","messages":"x"}`, "messages has the wrong type"},
		{chatURL, `{"model":"default","messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages.content has the wrong type"},
		{chatURL, `{"model":"default","messages":[{"role":"robot","content":"x"}]}`, "messages[0].role"},
		{chatURL, `{"model":"default","messages":[{"role":"user","images":["aGVsbG8="]}]}`, "messages[0].images[0] is not an image"},
		{chatURL, `{"model":"default","messages":[{"role":"user","images":["%%"]}]}`, "cannot be read"},
		{chatURL, `{"model":"default","messages":[{"role":"tool","tool_name":"now","content":"x"}]}`, "no such call"},
		{chatURL, `{"model":"default","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}`, "arguments that are an object"},
		{chatURL, `{"model":"default","messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}`, "needs a function with a name"},
		{chatURL, `{"model":"default","tools":[{"type":"function"}],"messages":[{"role":"user","content":"x"}]}`, "tools[0]"},
		{chatURL, `{"model":"default","format":"yaml","messages":[{"role":"user","content":"x"}]}`, "format must be"},
		{chatURL, `{"model":"default","think":"hard","messages":[{"role":"user","content":"x"}]}`, "think must be"},
		{chatURL, `{"model":"default","options":{"seed":1.5},"messages":[{"role":"user","content":"x"}]}`, "options.seed must be a whole number"},
		{chatURL, `{"model":"default","options":{"temperature":"hot"},"messages":[{"role":"user","content":"x"}]}`, "options.temperature has the wrong type"},
		{chatURL, `{"model":"default","logprobs":true,"messages":[{"role":"user","content":"x"}]}`, "logprobs"},
		{generateURL, `{"model":"default","prompt":"x","suffix":"y"}`, "suffix is understood by an Ollama server only"},
		{generateURL, `{"model":"default","prompt":"x","template":"y"}`, "template is"},
		{generateURL, `{"model":"default","prompt":"x","raw":true}`, "raw is"},
		{generateURL, `{"model":"default","prompt":"x","context":[1,2]}`, "context is"},
		{generateURL, `{"model":"default","prompt":["x"]}`, "prompt has the wrong type"},
		{chatURL, `{"model":"default","messages":[{"role":"user","content":"x"}],"options":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "deeper than"},
	} {
		w := b.do(t, "POST", c.url, c.body)
		var e struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != http.StatusBadRequest || !strings.Contains(e.Error, c.says) {
			t.Errorf("%s: %d %s, want %q", c.body, w.Code, w.Body, c.says)
		}
	}
}

func TestTheBytesOfAServerOfTheSameDialectPassUnchanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pieces := []string{`{"message":{"content":"a"},"new":1}` + "\n", `{"done":true}` + "\n"}
	b.gateway.exchange = func(_ context.Context, c *dialect.Call, out dialect.Answer) error {
		out.Header("X-SutazAI-Cache", "bypass")
		if !c.Stream {
			return out.Raw([]byte(pieces[1]))
		}
		for _, p := range pieces {
			if err := out.Raw([]byte(p)); err != nil {
				return err
			}
		}
		return nil
	}
	w := b.do(t, "POST", chatURL, hello)
	if w.Body.String() != strings.Join(pieces, "") || w.Header().Get("X-SutazAI-Cache") != "bypass" || w.Header().Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("stream: %s %v", w.Body, w.Header())
	}
	w = b.do(t, "POST", chatURL, strings.Replace(hello, "{", `{"stream":false,`, 1))
	if w.Body.String() != pieces[1] || w.Header().Get("X-SutazAI-Cache") != "bypass" || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Errorf("whole: %s %v", w.Body, w.Header())
	}
}

func TestAnErrorBeforeTheFirstPieceKeepsItsStatusAndWhenToTryAgain(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"true", "false"} {
		b := setup(t)
		b.gateway.exchange = func(context.Context, *dialect.Call, dialect.Answer) error {
			e := core.Errorf(core.CodeRateLimited, "too many requests")
			e.RetryAfter = 1500 * time.Millisecond
			return e
		}
		w := b.do(t, "POST", chatURL, strings.Replace(hello, "{", `{"stream":`+stream+`,`, 1))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "2" || strings.TrimSpace(w.Body.String()) != `{"error":"too many requests"}` ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
}

func TestAStreamThatFailsEndsWithTheErrorAndWithoutAnEndOfTheAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.gateway.exchange = func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
		if err := out.Delta(core.Delta{Text: "The cap"}); err != nil {
			return err
		}
		return core.Errorf(core.CodeUnavailable, "the connection broke in mid answer")
	}
	got := lines(t, b.do(t, "POST", chatURL, hello).Body.String())
	if len(got) != 2 || !reflect.DeepEqual(got[1], map[string]any{"error": "the connection broke in mid answer"}) {
		t.Errorf("got %v", got)
	}
}

func TestNothingIsWrittenOnceTheClientHasLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.gateway.exchange = func(ctx context.Context, _ *dialect.Call, _ dialect.Answer) error {
		cancel()
		return ctx.Err()
	}
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", chatURL, strings.NewReader(hello)))
	if w.Body.Len() != 0 {
		t.Errorf("got %s", w.Body)
	}
}

func TestTheTagLatestIsOptional(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.answers(answerOf("ok"))
	w := b.do(t, "POST", chatURL, strings.Replace(hello, `"default"`, `"default:latest","stream":false`, 1))
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"model":"default:latest"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, name := range []string{"nobody", "nobody:latest"} {
		w := b.do(t, "POST", chatURL, strings.Replace(hello, "default", name, 1))
		if w.Code != 404 || !strings.Contains(w.Body.String(), `model not found: unknown model \"`+name+`\"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestACallThatAsksForNothingOnlyLoadsTheModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ url, body, want string }{
		{generateURL, `{"model":"default"}`, `"response":"","done":true,"done_reason":"load"}`},
		{generateURL, `{"model":"default:latest","prompt":"","keep_alive":0}`, `"response":"","done":true,"done_reason":"unload"}`},
		{chatURL, `{"model":"agent/assistant","messages":[]}`, `"message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}`},
		{chatURL, `{"model":"default","messages":[ ],"stream":true}`, `"done_reason":"load"}`},
		{chatURL, `{"model":"nobody"}`, `{"error":"model not found`},
	} {
		if w := b.do(t, "POST", c.url, c.body); !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %s", c.body, w.Body)
		}
	}
	if len(b.gateway.calls) != 0 {
		t.Error("a model was called")
	}
}
