package backend_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

const chatURL = "/v1/chat/completions"

func answer(text string, calls ...core.ToolCall) core.ModelResponse {
	r := core.ModelResponse{Message: core.Message{Role: core.RoleAssistant, Text: text, ToolCalls: calls}, Finish: core.FinishStop, Usage: core.Usage{InputTokens: 5, OutputTokens: 2}}
	if len(calls) > 0 {
		r.Finish = core.FinishTools
	}
	return r
}

func TestOpenAIChatWithAModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var got core.ModelRequest
	b.ports.chat = func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
		got = req
		if len(req.Tools) > 0 && req.ToolChoice != "none" {
			return answer("", core.ToolCall{ID: "c1", Name: "weather", Arguments: json.RawMessage(`{"city":"Bern"}`)}), nil
		}
		return answer("Hello!"), nil
	}
	post := func(name, body string, status int, has ...string) scenario {
		return scenario{name: name, method: "POST", url: chatURL, key: "run", body: body, status: status, has: has}
	}
	b.check(t, []scenario{
		post("plain", `{"model":"local/tiny","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"Hi "},{"type":"text","text":"there"}]}],"unknown":{"a":1},"max_completion_tokens":9,"temperature":0,"stop":"END","seed":7}`, 200,
			`"object":"chat.completion"`, `"message":{"role":"assistant","content":"Hello!","refusal":null}`, `"finish_reason":"stop"`, `"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}`, `"model":"local/tiny"`),
	})
	if got.Messages[0].Role != core.RoleSystem || got.Messages[1].Text != "Hi there" || got.MaxTokens != 9 || *got.Temperature != 0 || *got.Seed != 7 || !slices.Equal(got.Stop, []string{"END"}) {
		t.Errorf("request %+v", got)
	}
	tools := `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]`
	b.check(t, []scenario{
		post("tool call", `{"model":"local/tiny","messages":[{"role":"user","content":"?"}],`+tools+`,"tool_choice":"required"}`, 200,
			`"content":null`, `"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]`, `"finish_reason":"tool_calls"`),
	})
	if got.ToolChoice != "required" || got.Tools[0].Name != "weather" {
		t.Errorf("request %+v", got)
	}
	b.check(t, []scenario{
		post("tool answer", `{"model":"local/tiny","messages":[{"role":"user","content":"?"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]},{"role":"tool","tool_call_id":"c1","content":"rain"}],`+tools+`,"tool_choice":"none","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}}`, 200, `"content":"Hello!"`),
	})
	if got.ToolChoice != "none" || got.Messages[1].ToolCalls[0].Name != "weather" || got.Messages[2].ToolCallID != "c1" || string(got.Schema) != `{"type":"object"}` {
		t.Errorf("request %+v", got)
	}
	b.check(t, []scenario{
		post("unknown model", `{"model":"gpt-9","messages":[{"role":"user","content":"?"}]}`, 404, `"code":"model_not_found"`, `"param":"model"`, "did you mean"),
		post("unknown agent", `{"model":"agent/nobody","messages":[{"role":"user","content":"?"}]}`, 404, `"code":"model_not_found"`),
		post("no model", `{"messages":[{"role":"user","content":"?"}]}`, 400, `"error":{`, `"code":null`),
		post("no messages", `{"model":"local/tiny","messages":[]}`, 400, `"param":"messages"`),
		post("no messages, with a space", `{"model":"local/tiny","messages":[ ]}`, 400, `"param":"messages"`, "empty array"),
		post("not UTF-8", `{"model":"local/tiny","messages":[{"role":"user","content":"`+"\xff"+`"}]}`, 400, "not UTF-8"),
		{name: "embeddings of a list", method: "POST", url: "/v1/embeddings", key: "run", body: `[]`, status: 400, has: []string{"the body must be an object, not array"}},
		post("broken JSON", `{"model":`, 400, `"type":"invalid_request_error"`, "not JSON"),
		post("wrong type", `{"model":5}`, 400, `"param":"model"`),
		post("null", `null`, 400, `"error":{`),
		post("image of a strange scheme", `{"model":"local/tiny","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`, 400, "data:", `"param":"messages.[0].content"`),
		post("image for an agent", `{"model":"agent/assistant","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}`, 400, "an agent takes text", `"param":"messages"`),
		post("wrong role", `{"model":"local/tiny","messages":[{"role":"robot","content":"x"}]}`, 400, `"param":"messages.[0].role"`),
		post("tool message without id", `{"model":"local/tiny","messages":[{"role":"tool","content":"x"}]}`, 400, "tool_call_id"),
		post("arguments that are no JSON", `{"model":"local/tiny","messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{"}}]}]}`, 400, "not JSON"),
		post("an odd spelling of a field that counts", `{"model":"local/tiny","Model":"local/other","messages":[{"role":"user","content":"x"}]}`, 400, "must be spelled"),
		post("a stream in words", `{"model":"local/tiny","stream":"yes","messages":[{"role":"user","content":"x"}]}`, 400, `"param":"stream"`),
		post("a stream as a number", `{"model":"local/tiny","stream":1,"messages":[{"role":"user","content":"x"}]}`, 400, `"param":"stream"`),
		post("a number of answers in words", `{"model":"local/tiny","n":"5","messages":[{"role":"user","content":"x"}]}`, 400, `"param":"n"`),
		post("a number of answers with a point", `{"model":"local/tiny","n":5.0,"messages":[{"role":"user","content":"x"}]}`, 400, `"param":"n"`),
		post("several answers", `{"model":"local/tiny","n":2,"messages":[{"role":"user","content":"x"}]}`, 400, `"param":"n"`),
		post("tool_choice of no tool", `{"model":"local/tiny","messages":[{"role":"user","content":"x"}],`+tools+`,"tool_choice":{"type":"function","function":{"name":"fly"}}}`, 400, `"param":"tool_choice"`),
		post("tools for an agent", `{"model":"agent/assistant","messages":[{"role":"user","content":"x"}],`+tools+`}`, 400, `"param":"tools"`),
		post("agent without a task", `{"model":"agent/assistant","messages":[{"role":"assistant","content":"x"}]}`, 400, "role \\\"user\\\""),
		{name: "no key", method: "POST", url: chatURL, body: `{}`, status: 401, has: []string{`"code":"invalid_api_key"`}, header: map[string]string{"Content-Type": "application/json"}},
		{name: "wrong right", method: "POST", url: chatURL, key: "read", body: `{}`, status: 403, has: []string{`"code":"permission_denied"`}},
		{name: "models", url: "/v1/models", key: "run", status: 200, has: []string{`"object":"list"`, `"id":"agent/assistant"`, `"id":"local/tiny"`, `"owned_by":"local"`}},
		{name: "a model", url: "/v1/models/local/tiny", key: "read", status: 200, has: []string{`"id":"local/tiny"`}},
		{name: "no such model", url: "/v1/models/local/none", key: "read", status: 404, has: []string{"model_not_found"}},
	})
	b.ports.chat = func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
		return core.ModelResponse{}, core.Errorf(core.CodeContextFull, "the conversation is too long")
	}
	b.check(t, []scenario{
		post("context full", `{"model":"local/tiny","messages":[{"role":"user","content":"x"}]}`, 400, "context_length_exceeded"),
		post("an error before the first chunk keeps its status", `{"model":"local/tiny","stream":true,"messages":[{"role":"user","content":"x"}]}`, 400, "context_length_exceeded"),
	})
}

// chunks decodes a stream and returns its text and raw data lines.
func chunks(t *testing.T, body string) (text string, data []string) {
	t.Helper()
	for line := range strings.SplitSeq(body, "\n") {
		d, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		data = append(data, d)
		var c struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if d != "[DONE]" {
			if err := json.Unmarshal([]byte(d), &c); err != nil {
				t.Fatalf("%q: %v", d, err)
			}
			for _, ch := range c.Choices {
				text += ch.Delta.Content
			}
		}
	}
	return text, data
}

func TestOpenAIStreamOfAModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ports.chat = func(_ context.Context, _ core.ModelRequest, on func(core.Delta)) (core.ModelResponse, error) {
		for _, d := range []core.Delta{{Attempt: 1, Text: "Hel"}, {Attempt: 1, Text: "lo"}, {Attempt: 1, Text: ", wörld"}} {
			on(d)
		}
		return answer("Hello, wörld", core.ToolCall{ID: "c1", Name: "f", Arguments: json.RawMessage("{}")}), nil
	}
	w := b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: `{"model":"local/tiny","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`})
	text, data := chunks(t, w.Body.String())
	n := len(data)
	if text != "Hello, wörld" || data[n-1] != "[DONE]" || !strings.Contains(data[n-2], `"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}`) ||
		!strings.Contains(data[n-3], `"finish_reason":"tool_calls"`) || !strings.Contains(data[n-4], `"tool_calls":[{"index":0,"id":"c1","type":"function"`) {
		t.Errorf("%q\n%s", text, strings.Join(data, "\n"))
	}
	if !strings.Contains(data[0], `"delta":{"role":"assistant","content":""}`) || w.Header().Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("first chunk %s", data[0])
	}
	for _, d := range data[:n-2] {
		if !strings.Contains(d, `"usage":null`) || !strings.Contains(d, `"object":"chat.completion.chunk"`) {
			t.Errorf("chunk %s", d)
		}
	}
	w = b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: `{"model":"local/tiny","stream":true,"messages":[{"role":"user","content":"x"}]}`})
	if strings.Contains(w.Body.String(), "usage") {
		t.Errorf("usage although nobody asked: %s", w.Body)
	}
	b.ports.chat = func(_ context.Context, _ core.ModelRequest, on func(core.Delta)) (core.ModelResponse, error) {
		on(core.Delta{Attempt: 1, Text: "The answer is 4"})
		return core.ModelResponse{}, core.Errorf(core.CodeUnavailable, "the model failed in mid answer")
	}
	w = b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: `{"model":"local/tiny","stream":true,"messages":[{"role":"user","content":"x"}]}`})
	if text, data := chunks(t, w.Body.String()); text != "The answer is 4" || !strings.HasPrefix(data[len(data)-1], `{"error":{"message":"the model failed`) {
		t.Errorf("a broken stream does not end in an error: %s", w.Body)
	}
}

func TestAClientThatLeavesCancelsAModelCall(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"false", "true"} {
		b := setup(t)
		started, cancelled := make(chan struct{}), make(chan struct{})
		b.ports.chat = func(ctx context.Context, _ core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			close(started)
			<-ctx.Done()
			close(cancelled)
			return core.ModelResponse{}, ctx.Err()
		}
		url, _, _ := b.serve(t)
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+chatURL, strings.NewReader(`{"model":"local/tiny","stream":`+stream+`,"messages":[{"role":"user","content":"x"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+b.keys["run"])
		go func() { <-started; leave() }()
		if res, err := http.DefaultClient.Do(r); err == nil {
			_ = res.Body.Close()
			t.Error("the request was answered")
		}
		wait(t, "the model call of a client that left", cancelled)
	}
}

func runEvents(run string, events ...core.Event) func(context.Context, string, int64) iter.Seq2[core.Event, error] {
	for i := range events {
		events[i].Run, events[i].N = run, int64(i+1)
	}
	return list(events...)
}

func delta(message, attempt, offset int, text string) core.Event {
	return core.Event{Type: core.EventMessageDelta, Delta: &core.DeltaData{Message: message, Attempt: attempt, Offset: offset, Text: text}}
}

func whole(message int, text string) core.Event {
	return core.Event{Type: core.EventMessageCompleted, Message: &core.Message{Index: message, Role: core.RoleAssistant, Text: text}}
}

func final(typ core.EventType, r core.Run) core.Event { return core.Event{Type: typ, RunData: &r} }

func TestOpenAIChatWithAnAgent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ports.events = runEvents("run-1",
		delta(1, 1, 0, "Let me "), delta(1, 1, 7, "see."), whole(1, "Let me see."),
		core.Event{Type: core.EventMessageCompleted, Message: &core.Message{Index: 2, Role: core.RoleTool, Text: "tool text"}},
		delta(3, 1, 0, "wrong sta"), delta(3, 2, 0, "It is "), delta(3, 2, 6, "4 😀"), whole(3, "It is 4 😀"),
		final(core.EventRunSucceeded, core.Run{ID: "run-1", Status: core.RunSucceeded, Output: "It is 4 😀", Usage: core.Usage{InputTokens: 30, OutputTokens: 9}}))
	body := `{"model":"agent/assistant","STREAMmessages":[{"role":"system","content":"be kind"},{"role":"user","content":"hello"},{"role":"assistant","content":"hi"},{"role":"user","content":"2+2?"}],"metadata":{"chat":"7"}}`
	w := b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: strings.Replace(body, "STREAM", "", 1)})
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"content":"It is 4 😀"`) || !strings.Contains(w.Body.String(), `"total_tokens":39`) || w.Header().Get("X-SutazAI-Run") != "run-1" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	got := b.ports.started[0]
	if got.Agent != "assistant" || got.Input != "2+2?" || len(got.History) != 3 || got.History[0].Role != core.RoleSystem || got.Metadata["chat"] != "7" || !strings.HasPrefix(got.Actor, "key:") {
		t.Errorf("started %+v", got)
	}
	w = b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: strings.Replace(body, "STREAM", `stream":true,"`, 1)})
	text, data := chunks(t, w.Body.String())
	want := "Let me see.\n\nwrong sta\n\n(The answer was interrupted; here it is in full.)\n\nIt is 4 😀"
	if text != want || data[len(data)-1] != "[DONE]" || !strings.Contains(data[len(data)-2], `"finish_reason":"stop"`) || w.Header().Get("X-SutazAI-Run") != "run-1" {
		t.Errorf("%q\n%s", text, w.Body)
	}
}

func TestAnAgentThatWaitsForAPersonSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ports.events = runEvents("run-1",
		final(core.EventRunWaiting, core.Run{ID: "run-1", Status: core.RunWaiting, WaitReason: core.WaitModel}),
		final(core.EventRunWaiting, core.Run{ID: "run-1", Status: core.RunWaiting, WaitReason: core.WaitApproval, WaitDetail: "erp.pay"}))
	b.ports.approvals = []core.Approval{{ID: "a1", Run: "run-1", Tool: "erp.pay", Arguments: json.RawMessage(`{"amount":5}`), Reason: core.ReasonPolicy}}
	for _, stream := range []string{"false", "true"} {
		b.check(t, []scenario{{name: "stream " + stream, method: "POST", url: chatURL, key: "run", status: 200,
			body: `{"model":"agent/assistant","stream":` + stream + `,"messages":[{"role":"user","content":"pay"}]}`,
			has:  []string{"waits for approval", "approval a1: erp.pay", "http://localhost:8080/runs/run-1", `"finish_reason":"stop"`}}})
	}
}

func TestAnAgentsFailureIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failed := core.Run{ID: "run-1", Status: core.RunFailed, Error: &core.RunError{Code: core.CodeLimit, Message: "the limit of 50 steps is reached"}}
	b.ports.events = runEvents("run-1", delta(1, 1, 0, "so far"), final(core.EventRunFailed, failed))
	w := b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: `{"model":"agent/assistant","messages":[{"role":"user","content":"x"}]}`})
	if w.Code != 400 || !strings.Contains(w.Body.String(), "50 steps is reached (run run-1)") || !strings.Contains(w.Body.String(), "limit_exceeded") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = b.do(t, scenario{method: "POST", url: chatURL, key: "run", body: `{"model":"agent/assistant","stream":true,"messages":[{"role":"user","content":"x"}]}`})
	if _, data := chunks(t, w.Body.String()); !strings.Contains(data[len(data)-1], `{"error":{`) || strings.Contains(w.Body.String(), "[DONE]") {
		t.Errorf("%s", w.Body)
	}
}

func TestAnAgentRunGoesOnWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events, gone := live()
	followed := make(chan struct{})
	b.ports.events = func(ctx context.Context, run string, after int64) iter.Seq2[core.Event, error] {
		close(followed)
		return events(ctx, run, after)
	}
	url, _, _ := b.serve(t)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+chatURL, strings.NewReader(`{"model":"agent/assistant","messages":[{"role":"user","content":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.keys["run"])
	go func() { <-followed; leave() }()
	if res, err := http.DefaultClient.Do(r); err == nil {
		_ = res.Body.Close()
		t.Error("the request was answered")
	}
	wait(t, "the follower of a client that left", gone)
	if run, err := b.ports.Run(t.Context(), "run-1"); err != nil || run.Status != core.RunQueued {
		t.Errorf("the run was touched: %+v %v", run, err)
	}
}
