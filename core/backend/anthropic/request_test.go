package anthropic_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// decoded is what the gateway gets of a body.
func decoded(t *testing.T, body string) core.ModelRequest {
	t.Helper()
	g := (&gateway{}).translated(nil, text("x"))
	if w := post(t, g, "/v1/messages", body); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return g.req
}

// short writes messages in a line each: role, text, parts, calls.
func short(list []core.Message) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%s %q", m.Role, m.Text)
		if m.ToolCallID != "" {
			fmt.Fprintf(&b, " to %s", m.ToolCallID)
		}
		if m.IsError {
			b.WriteString(" error")
		}
		for _, p := range m.Parts {
			fmt.Fprintf(&b, " [%s %s%s%s%s%s %s]", p.Kind, p.Text, p.MediaType, p.URL, p.Name, p.Data, p.Signature)
		}
		for _, c := range m.ToolCalls {
			fmt.Fprintf(&b, " %s=%s%s", c.ID, c.Name, c.Arguments)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestMessagesAreTranslated(t *testing.T) {
	t.Parallel()
	png := base64.StdEncoding.EncodeToString([]byte("PNG"))
	for name, c := range map[string]struct{ fields, want string }{
		"a text":             {`"messages":[{"role":"user","content":"Hi"}]`, "user \"Hi\"\n"},
		"a system text":      {`"system":"Be brief.","messages":[{"role":"user","content":"Hi"}]`, "system \"Be brief.\"\nuser \"Hi\"\n"},
		"system blocks":      {`"system":[{"type":"text","text":"A"},{"type":"text","text":"B","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"Hi"}]`, "system \"A\\nB\" [text A ] [text B ]\nuser \"Hi\"\n"},
		"a system turn":      {`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Now in French."}]`, "user \"Hi\"\nsystem \"Now in French.\"\n"},
		"images":             {`"messages":[{"role":"user","content":[{"type":"text","text":"What?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}},{"type":"image","source":{"type":"url","url":"https://h/i.png"}}]}]`, "user \"What?\" [text What? ] [image image/pngPNG ] [image https://h/i.png ]\n"},
		"documents":          {`"messages":[{"role":"user","content":[{"type":"document","title":"T","context":"C","source":{"type":"base64","media_type":"application/pdf","data":"` + png + `"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"D"}},{"type":"document","source":{"type":"url","url":"https://h/d.pdf"}},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"E"}]}}]}]`, "user \"C\\nE\" [text C ] [file application/pdfTPNG ] [file text/plainD ] [file application/pdfhttps://h/d.pdf ] [text E ]\n"},
		"a search result":    {`"messages":[{"role":"user","content":[{"type":"search_result","source":"https://h","title":"T","content":[{"type":"text","text":"found"}]}]}]`, "user \"T\\nhttps://h\\nfound\"\n"},
		"calls and thoughts": {`"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"sig"},{"type":"redacted_thinking","data":"xyz"},{"type":"text","text":"Look"},{"type":"tool_use","id":"a","name":"f","input":{"k":1}},{"type":"tool_use","id":"b","name":"g","input":{}}]}]`, "user \"Hi\"\nassistant \"Look\" [reasoning hm ~sutazai.anthropic:sig] [reasoning ~sutazai.anthropic:xyz ] [text Look ] a=f{\"k\":1} b=g{}\n"},
		"results":            {`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"noon"},{"type":"tool_result","tool_use_id":"b","is_error":true,"content":[{"type":"text","text":"no"}]},{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"see"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}]},{"type":"tool_result","tool_use_id":"d"},{"type":"text","text":"Go on"}]}]`, "tool \"noon\" to a\ntool \"no\" to b error\ntool \"see\" to c [text see ] [image image/pngPNG ]\ntool \"\" to d\nuser \"Go on\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := decoded(t, `{"model":"m","max_tokens":9,`+c.fields+`}`)
			if got := short(req.Messages); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			for i, m := range req.Messages {
				if m.Index != i {
					t.Errorf("message %d has the index %d", i, m.Index)
				}
			}
		})
	}
}

func TestSettingsAreTranslated(t *testing.T) {
	t.Parallel()
	const tools = `"tools":[{"name":"now","description":"Tell the time.","input_schema":{"type":"object"}},{"type":"custom","name":"look","input_schema":{"type":"object"}}]`
	for name, c := range map[string]struct {
		fields string
		want   func(core.ModelRequest) bool
	}{
		"sampling": {`"temperature":0.5,"top_p":0.9,"top_k":7,"stop_sequences":["END"]`, func(r core.ModelRequest) bool {
			return *r.Temperature == 0.5 && *r.TopP == 0.9 && *r.TopK == 7 && r.Stop[0] == "END"
		}},
		"tools": {tools, func(r core.ModelRequest) bool {
			return len(r.Tools) == 2 && r.Tools[0].Description == "Tell the time." && r.ToolChoice == "" && !r.OneTool
		}},
		"any tool":          {tools + `,"tool_choice":{"type":"any"}`, func(r core.ModelRequest) bool { return r.ToolChoice == "required" }},
		"one tool":          {tools + `,"tool_choice":{"type":"tool","name":"look"}`, func(r core.ModelRequest) bool { return r.ToolChoice == "look" }},
		"no tool":           {tools + `,"tool_choice":{"type":"none"}`, func(r core.ModelRequest) bool { return r.ToolChoice == "none" && len(r.Tools) == 2 }},
		"one at a time":     {tools + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, func(r core.ModelRequest) bool { return r.ToolChoice == "" && r.OneTool }},
		"a schema":          {`"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`, func(r core.ModelRequest) bool { return string(r.Schema) == `{"type":"object"}` }},
		"a schema, old":     {`"output_format":{"type":"json_schema","schema":{"type":"object"}}`, func(r core.ModelRequest) bool { return string(r.Schema) == `{"type":"object"}` }},
		"an effort":         {`"output_config":{"effort":"max"}`, func(r core.ModelRequest) bool { return r.Reasoning == "high" }},
		"adaptive thinking": {`"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}`, func(r core.ModelRequest) bool { return r.Reasoning == "low" && r.ReasoningMax == 0 }},
		"adaptive alone":    {`"thinking":{"type":"adaptive"}`, func(r core.ModelRequest) bool { return r.Reasoning == "high" }},
		"a thinking budget": {`"thinking":{"type":"enabled","budget_tokens":5000}`, func(r core.ModelRequest) bool { return r.ReasoningMax == 5000 && r.Reasoning == "medium" }},
		"between tools":     {`"thinking":{"type":"between_tools"}`, func(r core.ModelRequest) bool { return r.Reasoning == "" }},
		"no thinking":       {`"thinking":{"type":"disabled"}`, func(r core.ModelRequest) bool { return r.Reasoning == "none" }},
		"unknown fields":    {`"service_tier":"auto","new_field":{"x":1},"cache_control":{"type":"ephemeral"}`, func(r core.ModelRequest) bool { return r.Model == "local/tiny" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := strings.Replace(with(hello, c.fields), `"max_tokens":64`, `"max_tokens":8000`, 1)
			if req := decoded(t, body); !c.want(req) {
				t.Errorf("%+v", req)
			}
		})
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	message := func(role, content string) string {
		return `{"model":"m","max_tokens":9,"messages":[{"role":"` + role + `","content":` + content + `}]}`
	}
	for name, c := range map[string]struct{ body, want string }{
		"not JSON":                    {`{`, "the body is not JSON"},
		"not UTF-8":                   {with(hello, `"x":"`+"\xff"+`"`), "the body is not UTF-8"},
		"a stream in words":           {with(hello, `"stream":"yes"`), "stream: Invalid type"},
		"a stream as a number":        {with(hello, `"stream":1`), "stream: Invalid type"},
		"no model":                    {`{"max_tokens":9,"messages":[]}`, "model: Field required"},
		"no messages":                 {`{"model":"m","max_tokens":9}`, "messages: Field required"},
		"empty messages":              {`{"model":"m","max_tokens":9,"messages":[]}`, "messages: at least one"},
		"no max_tokens":               {`{"model":"m","messages":[]}`, "max_tokens: Field required"},
		"negative max_tokens":         {`{"model":"m","max_tokens":-1,"messages":[]}`, "max_tokens: Input should be"},
		"a text as max_tokens":        {`{"model":"m","max_tokens":"9","messages":[]}`, "max_tokens: Input should be"},
		"cache warming":               {`{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, "max_tokens: 0 warms"},
		"a wrong type":                {with(hello, `"top_k":"many"`), "top_k: Input has the wrong type: string"},
		"an unknown role":             {message("tool", `"x"`), "messages.0.role"},
		"no content":                  {`{"model":"m","max_tokens":9,"messages":[{"role":"user"}]}`, "messages.0.content: Field required"},
		"content that is a number":    {message("user", `7`), "messages.0.content: Input should be"},
		"an unknown block":            {message("user", `[{"type":"container_upload","file_id":"f"}]`), `messages.0.content.0: a block of type "container_upload"`},
		"a call of a user":            {message("user", `[{"type":"tool_use","id":"a","name":"b","input":{}}]`), "messages.0.content.0: a tool_use block"},
		"a result of an assistant":    {message("assistant", `[{"type":"tool_result","tool_use_id":"a"}]`), "messages.0.content.0: a tool_result block"},
		"a user's thought":            {message("user", `[{"type":"thinking","thinking":"x"}]`), "messages.0.content.0: a thinking block"},
		"a call without input":        {message("assistant", `[{"type":"tool_use","id":"a","name":"b","input":7}]`), "messages.0.content.0: a tool_use has"},
		"a result without its call":   {message("user", `[{"type":"tool_result"}]`), "messages.0.content.0.tool_use_id"},
		"an image that is not base64": {message("user", `[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%%"}}]`), "messages.0.content.0.source.data"},
		"an image of another kind":    {message("user", `[{"type":"image","source":{"type":"base64","media_type":"image/bmp","data":"QQ=="}}]`), "messages.0.content.0.source.media_type"},
		"an image at a file URL":      {message("user", `[{"type":"image","source":{"type":"url","url":"file:///etc/passwd"}}]`), "messages.0.content.0.source.url"},
		"an uploaded image":           {message("user", `[{"type":"image","source":{"type":"file","file_id":"f"}}]`), "messages.0.content.0.source.type: a file that was uploaded"},
		"a server's tool":             {with(hello, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`), `tools.0.type: "web_search_20250305"`},
		"a tool without schema":       {with(hello, `"tools":[{"name":"a"}]`), "tools.0.input_schema"},
		"a tool twice":                {with(hello, `"tools":[{"name":"a","input_schema":{}},{"name":"a","input_schema":{}}]`), "tools.1.name"},
		"a choice among nothing":      {with(hello, `"tool_choice":{"type":"any"}`), "tool_choice:"},
		"a choice of another tool":    {with(hello, `"tools":[{"name":"a","input_schema":{}}],"tool_choice":{"type":"tool","name":"b"}`), "tool_choice.tool.name"},
		"MCP servers":                 {with(hello, `"mcp_servers":[{"type":"url","url":"https://x"}]`), "mcp_servers:"},
		"a tiny thinking budget":      {with(hello, `"thinking":{"type":"enabled","budget_tokens":5}`), "thinking.enabled.budget_tokens"},
		"a thinking budget too large": {with(hello, `"thinking":{"type":"enabled","budget_tokens":1024}`), "max_tokens: it must be greater"},
		"an unknown effort":           {with(hello, `"output_config":{"effort":"huge"}`), "output_config.effort"},
		"an unknown format":           {with(hello, `"output_config":{"format":{"type":"xml"}}`), "output_config.format.type"},
		"a nesting bomb":              {with(hello, `"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := post(t, (&gateway{}).translated(nil, text("x")), "/v1/messages", c.body)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"invalid_request_error"`) || !strings.Contains(unescape(w.Body.String()), c.want) {
				t.Errorf("%d %s, want %q", w.Code, w.Body, c.want)
			}
		})
	}
}

func unescape(s string) string { return strings.ReplaceAll(s, `\"`, `"`) }
