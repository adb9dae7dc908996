package responses_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// decoded is what the gateway would ask of a model for a body.
func decoded(t *testing.T, body string) core.ModelRequest {
	t.Helper()
	b := setup(t)
	var got core.ModelRequest
	b.exchange = func(_ context.Context, c *dialect.Call, out dialect.Answer) (err error) {
		if got, err = c.Decode(c.Body.Bytes); err != nil {
			return err
		}
		return out.Done(said("ok"))
	}
	if w := b.post(t, body); w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return got
}

// told is a conversation in short: role, text, parts and calls of each message.
func told(list []core.Message) string {
	var out []string
	for _, m := range list {
		s := string(m.Role) + ":" + m.Text
		for _, p := range m.Parts {
			s += "{" + string(p.Kind) + " " + p.Text + p.MediaType + " " + string(p.Data) + p.URL + p.Name + p.Detail + p.Signature + "}"
		}
		for _, c := range m.ToolCalls {
			s += "<" + c.ID + " " + c.Name + " " + string(c.Arguments) + ">"
		}
		out = append(out, s+m.ToolCallID)
	}
	return strings.Join(out, " | ")
}

func TestInputBecomesMessages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, input, want string }{
		{"a text", `"Hi"`, "user:Hi"},
		{"messages without a type", `[{"role":"developer","content":"Be brief."},{"role":"user","content":"Hi"}]`, "system:Be brief. | user:Hi"},
		{"one text part is a text", `[{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]}]`, "user:Hi"},
		{"an image as data and by address", `[{"role":"user","content":[{"type":"input_text","text":"See"},{"type":"input_image","image_url":"data:image/png;base64,cG5n","detail":"low"},{"type":"input_image","image_url":"https://e.org/a.png"}]}]`,
			"user:See{text See }{image image/png pnglow}{image  https://e.org/a.png}"},
		{"files", `[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,cGRm"},{"type":"input_file","filename":"b","file_data":"cGRm"},{"type":"input_file","file_url":"https://e.org/a.pdf"}]}]`,
			"user:{file application/pdf pdfa.pdf}{file  pdfb}{file  https://e.org/a.pdf}"},
		{"thought, text and calls of one turn are one message", `[{"role":"user","content":"?"},{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"e"},
			{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look."}]},{"type":"function_call","call_id":"c1","name":"look","arguments":"{\"q\":1}"},{"type":"function_call","call_id":"c2","name":"now","arguments":""},
			{"type":"function_call_output","call_id":"c1","output":"found"},{"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"noon"}]}]`,
			`user:? | assistant:I look.{reasoning hm ~sutazai.openai:e}{text I look. }<c1 look {"q":1}><c2 now {}> | tool:foundc1 | tool:noonc2`},
		{"thoughts behind the text come before it", `[{"role":"assistant","content":"Hi"},{"type":"reasoning","summary":[],"encrypted_content":"e"},{"role":"user","content":"?"}]`, "assistant:Hi{reasoning  ~sutazai.openai:e}{text Hi } | user:?"},
		{"another maker's thoughts stay its own", `[{"type":"reasoning","summary":[],"encrypted_content":"~sutazai.anthropic:e"},{"role":"user","content":"?"}]`, "assistant:{reasoning  ~sutazai.anthropic:e} | user:?"},
		{"unsigned thoughts stay so", `[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"~sutazai.none:"},{"role":"user","content":"?"}]`, "assistant:{reasoning hm } | user:?"},
		{"thoughts whose content is elsewhere are left out", `[{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"?"}]`, "user:?"},
		{"two answers stay two", `[{"role":"assistant","content":"One"},{"role":"assistant","content":"Two"},{"role":"user","content":"?"}]`, "assistant:One | assistant:Two | user:?"},
		{"a refusal is what was said", `[{"role":"assistant","content":[{"type":"refusal","refusal":"No."}]},{"role":"user","content":"?"}]`, "assistant:No. | user:?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := told(decoded(t, `{"model":"m","input":`+c.input+`}`).Messages); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSettingsAreTranslated(t *testing.T) {
	t.Parallel()
	got := decoded(t, `{"model":"m","input":"Hi","instructions":"Be brief.","max_output_tokens":50,"temperature":0.5,"top_p":0.9,"parallel_tool_calls":false,
		"safety_identifier":"s","user":"u","service_tier":"flex","metadata":{"k":"v"},"reasoning":{"effort":"xhigh"},"text":{"verbosity":"low","format":{"type":"json_schema","name":"reply","schema":{"type":"object"}}},
		"tools":[{"type":"function","name":"look","description":"d","parameters":{"type":"object"},"strict":true},{"type":"function","name":"now"}],"tool_choice":{"type":"function","name":"now"}}`)
	if told(got.Messages) != "system:Be brief. | user:Hi" || got.MaxTokens != 50 || *got.Temperature != 0.5 || *got.TopP != 0.9 || !got.OneTool || got.User != "s" ||
		got.Reasoning != "high" || string(got.Schema) != `{"type":"object"}` || got.SchemaName != "reply" || got.ToolChoice != "now" || len(got.Tools) != 2 ||
		got.Tools[0].Description != "d" || !got.Tools[0].Strict || got.Tools[1].Strict || got.ServiceTier != "flex" || got.Verbosity != "low" || got.Metadata["k"] != "v" || !json.Valid(got.Tools[1].Parameters) {
		t.Errorf("got %+v", got)
	}
	for body, want := range map[string]string{
		`"tool_choice":"none"`:     "none look now",
		`"tool_choice":"auto"`:     " look now",
		`"tool_choice":"required"`: "required look now",
		`"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"now"}]}`: "required now",
		`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"look"}]}`:    " look",
		`"text":{"format":{"type":"json_object"}}`:                                                            " json look now",
	} {
		got := decoded(t, `{"model":"m","input":"Hi","tools":[{"type":"function","name":"look"},{"type":"function","name":"now"}],`+body+`}`)
		have := got.ToolChoice
		if got.JSONObject {
			have += " json"
		}
		for _, tool := range got.Tools {
			have += " " + tool.Name
		}
		if have != want {
			t.Errorf("%s: got %q, want %q", body, have, want)
		}
	}
}

func TestCallKnowsItsSessionAndBound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exchange = translated(said("ok"))
	b.post(t, `{"model":"m","input":"Hi","prompt_cache_key":"p","max_output_tokens":50,"metadata":{"k":"v"},"stream":true}`)
	if c := b.call; c.Session != "p" || c.MaxOutput != 50 || !c.Stream || c.Translate || c.Caller.Actor != "key:a" || c.Metadata["k"] != "v" {
		t.Errorf("got %+v", c)
	}
}

func TestWrongRequestsAreExplained(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exchange = translated(said("ok"))
	for _, c := range []struct{ body, param, has string }{
		{`{`, "", "JSON"},
		{`{"input":"Hi"}`, "model", "model parameter"},
		{`{"model":"m"}`, "input", "Missing required parameter"},
		{`{"model":"m","input":[]}`, "input", "nothing"},
		{`{"model":"m","input":7}`, "input", "expected a string or an array"},
		{`{"model":"m","input":"Hi","background":true}`, "background", "not supported"},
		{`{"model":"m","input":"Hi","store":"no"}`, "store", "boolean"},
		{`{"model":"m","input":"Hi","stream":1}`, "stream", "boolean"},
		{`{"model":"m","input":"Hi` + "\xff" + `"}`, "", "not UTF-8"},
		{`{"model":"m","input":"Hi","conversation":"conv_1"}`, "conversation", "previous_response_id"},
		{`{"model":"m","input":"Hi","prompt":{"id":"p"}}`, "prompt", "instructions"},
		{`{"model":"m","input":"Hi","temperature":"warm"}`, "temperature", "Invalid type"},
		{`{"model":"m","input":"Hi","max_output_tokens":0}`, "max_output_tokens", "at least 1"},
		{`{"model":"m","input":"Hi","reasoning":{"effort":"huge"}}`, "reasoning.effort", "huge"},
		{`{"model":"m","input":"Hi","text":{"format":{"type":"xml"}}}`, "text.format.type", "xml"},
		{`{"model":"m","input":"Hi","text":{"format":{"type":"json_schema","name":"x"}}}`, "text.format.schema", "Missing"},
		{`{"model":"m","input":"Hi","tools":[{"type":"web_search"}]}`, "tools[0].type", "agent/<name>"},
		{`{"model":"m","input":"Hi","tools":[{"type":"function"}]}`, "tools[0].name", "Missing"},
		{`{"model":"m","input":"Hi","tool_choice":"required"}`, "tool_choice", "together with tools"},
		{`{"model":"m","input":"Hi","tool_choice":{"type":"function","name":"x"}}`, "tool_choice", "'x'"},
		{`{"model":"m","input":"Hi","tool_choice":{"type":"mcp"}}`, "tool_choice.type", "mcp"},
		{`{"model":"m","input":[{"type":"web_search_call","id":"w"}]}`, "input[0].type", "web_search_call"},
		{`{"model":"m","input":[{"type":"item_reference","id":"i"}]}`, "input[0].type", "item_reference"},
		{`{"model":"m","input":[{"role":"robot","content":"Hi"}]}`, "input[0].role", "robot"},
		{`{"model":"m","input":[{"role":"user"}]}`, "input[0].content", "Missing"},
		{`{"model":"m","input":[{"role":"user","content":[{"type":"input_video"}]}]}`, "input[0].content[0].type", "input_video"},
		{`{"model":"m","input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`, "input[0].content[0].image_url", "file_id"},
		{`{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png,x"}]}]}`, "input[0].content[0].image_url", "base64"},
		{`{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_data":"%%%"}]}]}`, "input[0].content[0].file_data", "base64"},
		{`{"model":"m","input":[{"type":"function_call","name":"x","arguments":"{}"}]}`, "input[0]", "call_id"},
		{`{"model":"m","input":[{"type":"function_call","call_id":"c","name":"x","arguments":"{"}]}`, "input[0].arguments", "not JSON"},
		{`{"model":"m","input":[{"type":"function_call_output","output":"x"}]}`, "input[0].call_id", "Missing"},
		{`{"model":"m","input":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "", "nested deeper"},
	} {
		w := b.post(t, c.body)
		var got struct {
			Error struct{ Message, Type, Param string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if e := got.Error; w.Code != http.StatusBadRequest || e.Param != c.param || !strings.Contains(e.Message, c.has) || e.Type != "invalid_request_error" {
			t.Errorf("%.120s: status %d, %+v", c.body, w.Code, e)
		}
	}
}
