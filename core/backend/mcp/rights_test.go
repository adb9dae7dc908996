package mcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend/mcp"
)

// modern is the body of a request of the revision without sessions.
func modern(method, params string) string {
	if params != "" {
		params = "," + params
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}%s}}`, method, params)
}

func modernHeader(method, name string) []string {
	h := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method}
	if name != "" {
		h = append(h, "Mcp-Name", name)
	}
	return h
}

func TestEachMessageNeedsItsOwnRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	keys := map[core.Scope]string{}
	for _, s := range []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove, core.ScopeAdmin} {
		keys[s] = b.key(s)
	}
	for _, c := range []struct {
		method, name, params string
		need                 []core.Scope
	}{
		{"tools/list", "", "", []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"prompts/list", "", "", []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"server/discover", "", "", []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"resources/list", "", "", []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"resources/templates/list", "", "", []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"resources/read", "sutazai://agents/clerk", `"uri":"sutazai://agents/clerk"`, []core.Scope{core.ScopeRead}},
		{"completion/complete", "", `"ref":{"type":"ref/prompt","name":"clerk"},"argument":{"name":"task","value":""}`, []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"subscriptions/listen", "", `"notifications":{}`, []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		{"tools/call", "list_runs", `"name":"list_runs"`, []core.Scope{core.ScopeRead}},
		{"tools/call", "list_agents", `"name":"list_agents"`, []core.Scope{core.ScopeRead}},
		{"tools/call", "get_run", `"name":"get_run"`, []core.Scope{core.ScopeRead}},
		{"tools/call", "start_run", `"name":"start_run"`, []core.Scope{core.ScopeRun}},
		{"tools/call", "cancel_run", `"name":"cancel_run"`, []core.Scope{core.ScopeRun}},
		{"tools/call", "send_message", `"name":"send_message"`, []core.Scope{core.ScopeRun}},
		{"tools/call", "agent_clerk", `"name":"agent_clerk"`, []core.Scope{core.ScopeRun}},
		{"tools/call", "decide_approval", `"name":"decide_approval"`, []core.Scope{core.ScopeApprove}},
	} {
		for scope, key := range keys {
			want := http.StatusOK
			if scope != core.ScopeAdmin && !slices.Contains(c.need, scope) {
				want = http.StatusForbidden
			}
			status, header, body := b.post(key, modern(c.method, c.params), modernHeader(c.method, c.name)...)
			if status != want {
				t.Errorf("%s %s with %s: %d, want %d: %s", c.method, c.name, scope, status, want, body)
			}
			if challenge := header.Get("WWW-Authenticate"); want == http.StatusForbidden &&
				(!strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, `scope="`+string(c.need[0])+`"`)) {
				t.Errorf("%s %s with %s: %q", c.method, c.name, scope, challenge)
			}
		}
	}
	if len(b.runs.started) > 0 || !b.audit.has("auth.forbidden", "denied") {
		t.Errorf("%v %v", b.runs.started, b.audit.events)
	}
}

func TestWhoMayNotReadSeesNoResources(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(core.ScopeRun)
	for _, c := range []struct{ method, params, want string }{
		{"resources/list", "", `"resources":[]`},
		{"resources/templates/list", "", `"resourceTemplates":[]`},
		{"completion/complete", `"ref":{"type":"ref/resource","uri":"sutazai://agents/{name}"},"argument":{"name":"name","value":""}`, `"values":[]`},
		{"subscriptions/listen", `"notifications":{"resourceSubscriptions":["sutazai://agents/clerk"]}`, `needs the scope`},
	} {
		if status, _, body := b.post(key, modern(c.method, c.params), modernHeader(c.method, "")...); !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", c.method, status, body)
		}
	}
}

func TestTheListOfToolsHoldsWhatTheCallerMayUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for scope, want := range map[core.Scope][]string{
		core.ScopeRead:    {"get_run", "list_agents", "list_runs"},
		core.ScopeRun:     {"agent_clerk", "agent_counter", "cancel_run", "send_message", "start_run"},
		core.ScopeApprove: {"decide_approval"},
	} {
		res, err := b.client(b.key(scope), true, nil).ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, tool := range res.Tools {
			have = append(have, tool.Name)
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s: %v", scope, have)
		}
	}
}

func TestWithoutACredentialAClientLearnsWhereToGetOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, key := range []string{"", "sk-sutazai-nonsense", "a.b.c"} {
		status, header, body := b.post(key, modern("tools/list", ""), modernHeader("tools/list", "")...)
		challenge := header.Get("WWW-Authenticate")
		if status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer ") ||
			!strings.Contains(challenge, `resource_metadata="https://agents.example.com/.well-known/oauth-protected-resource/mcp"`) || !strings.Contains(body, `"error"`) {
			t.Errorf("%q: %d %q %s", key, status, challenge, body)
		}
	}
	for _, path := range []string{"", "/mcp"} {
		res, err := http.Get(b.url + "/.well-known/oauth-protected-resource" + path)
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Methods  []string `json:"bearer_methods_supported"`
			Scopes   []string `json:"scopes_supported"`
		}
		if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if m.Resource != "https://agents.example.com/mcp" || !slices.Equal(m.Servers, []string{"https://id.example.com"}) || m.Methods[0] != "header" || len(m.Scopes) != 3 {
			t.Errorf("%+v", m)
		}
	}
	res, err := http.Get(b.url + "/.well-known/oauth-authorization-server")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("a document that is not there: %d", res.StatusCode)
	}
}

func TestForeignPagesAndNamesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.key(core.ScopeAdmin)
	for _, c := range []struct {
		header []string
		want   int
	}{
		{nil, http.StatusOK},
		{[]string{"Origin", "https://agents.example.com"}, http.StatusOK},
		{[]string{"Origin", "https://evil.example.com"}, http.StatusForbidden},
		{[]string{"Origin", "null"}, http.StatusForbidden},
		{[]string{"Host", "evil.example.com"}, http.StatusMisdirectedRequest},
	} {
		status, _, body := b.post(key, modern("tools/list", ""), append(modernHeader("tools/list", ""), c.header...)...)
		if status != c.want {
			t.Errorf("%v: %d %s", c.header, status, body)
		}
	}
}

func TestASessionIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine, theirs := b.key(core.ScopeAdmin), b.key(core.ScopeAdmin)
	id := b.open(mine)
	list := `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	for _, c := range []struct {
		key, id string
		want    int
	}{{mine, id, http.StatusOK}, {theirs, id, http.StatusNotFound}, {mine, "none", http.StatusNotFound}, {mine, "", http.StatusBadRequest}} {
		header := []string{"Mcp-Protocol-Version", "2025-11-25"}
		if c.id != "" {
			header = append(header, "Mcp-Session-Id", c.id)
		}
		if status, _, body := b.post(c.key, list, header...); status != c.want {
			t.Errorf("%q: %d, want %d: %s", c.id, status, c.want, body)
		}
	}
	if status, _, _ := b.do(http.MethodDelete, theirs, "", "Mcp-Session-Id", id); status == http.StatusNoContent {
		t.Error("another ended the session")
	}
	if status, _, _ := b.post(mine, list, "Mcp-Session-Id", id, "Mcp-Protocol-Version", "2025-11-25"); status != http.StatusOK {
		t.Errorf("the session is gone: %d", status)
	}
}

// open opens a session with plain HTTP.
func (b *bench) open(key string) string {
	b.t.Helper()
	status, header, body := b.post(key, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	id := header.Get("Mcp-Session-Id")
	if status != http.StatusOK || id == "" {
		b.t.Fatalf("initialize: %d %s", status, body)
	}
	if status, _, body := b.post(key, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", id); status != http.StatusAccepted {
		b.t.Fatalf("initialized: %d %s", status, body)
	}
	return id
}

func TestOtherMethodsAreToldWhichThereAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	status, header, _ := b.do(http.MethodPut, b.key(core.ScopeRead), "")
	if status != http.StatusMethodNotAllowed || header.Get("Allow") == "" || mcp.Path != "/mcp" {
		t.Errorf("%d %v", status, header)
	}
}
