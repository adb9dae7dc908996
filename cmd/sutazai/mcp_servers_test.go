package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// toolServer plays a server that knows one MCP server, erp, with a tool that has changed and one that is new.
func toolServer(t *testing.T) (f *fake, approved *[]core.MCPApproval) {
	f = newFake(t)
	approved = &[]core.MCPApproval{}
	d := core.MCPServerDetails{
		MCPServer: core.MCPServer{Name: "erp", Transport: "stdio", State: core.ServiceHealthy, Software: "erp 1", Pending: 2, Usable: 1},
		Tools: []core.MCPTool{
			{Name: "erp.list", State: core.MCPToolUsable, Effect: core.EffectReadOnly, Flow: []string{"untrusted"}, Description: "Lists.", Hash: "h1"},
			{Name: "erp.new", State: core.MCPToolNew, Effect: core.EffectUnsafe, Flow: []string{"untrusted", "egress"}, Description: "Is new.", Hash: "h2"},
			{
				Name: "erp.pay", State: core.MCPToolChanged, Effect: core.EffectUnsafe, Flow: []string{"untrusted"}, Description: "Pays.\x1b[2J", Hash: "h3",
				Changes: []core.MCPChange{{Field: "description", Before: "Pays once.", After: "Pays."}},
			},
		},
		Problems: []string{"the description of long is longer than 16384 bytes"},
	}
	polls := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/mcp/servers", func(w http.ResponseWriter, _ *http.Request) {
		f.reply(w, 200, page[core.MCPServer]{Items: []core.MCPServer{d.MCPServer}})
	})
	mux.HandleFunc("GET /api/v1/mcp/servers/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "erp" {
			f.problem(w, 404, core.CodeNotFound, "there is no such MCP server")
			return
		}
		f.reply(w, 200, d)
	})
	mux.HandleFunc("POST /api/v1/mcp/servers/erp/approve", func(w http.ResponseWriter, r *http.Request) {
		var body newApprovals
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		*approved = append(*approved, body.Tools...)
		f.reply(w, 200, d)
	})
	mux.HandleFunc("POST /api/v1/mcp/servers/erp/login", func(w http.ResponseWriter, _ *http.Request) {
		f.reply(w, 201, core.MCPLogin{ID: "l1", Server: "erp", URL: "https://sso.example/authorize", State: "pending"})
	})
	mux.HandleFunc("GET /api/v1/mcp/logins/l1", func(w http.ResponseWriter, _ *http.Request) {
		l := core.MCPLogin{ID: "l1", Server: "erp", State: "done"}
		if polls++; polls > 1 {
			l.State, l.Error = "failed", "nobody came"
		}
		f.reply(w, 200, l)
	})
	mux.HandleFunc("DELETE /api/v1/mcp/servers/erp/login", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f, approved
}

func TestMCPServersAreListedAndShown(t *testing.T) {
	t.Parallel()
	f, _ := toolServer(t)
	call := func(args ...string) result { return f.call(t.Context(), nil, terminals{}, args...) }
	if r := call("mcp", "list"); !strings.Contains(r.out, "erp") || !strings.Contains(r.out, "stdio") {
		t.Errorf("listed %s", r.out)
	}
	r := call("mcp", "show", "erp")
	for _, want := range []string{"erp.pay  changed, unsafe", "- Pays once.", "+ Pays.", "Is new.", "untrusted egress", "description of long"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in\n%s", want, r.out)
		}
	}
	if strings.Contains(r.out, "\x1b[2J") {
		t.Error("a description writes on the terminal")
	}
	r.want(t, exitOK, "2 tools wait for approval")
	call("mcp", "show", "nope").want(t, exitNotFound, "no such MCP server")
	var d core.MCPServerDetails
	if r := call("mcp", "show", "erp", "--json"); json.Unmarshal([]byte(r.out), &d) != nil || len(d.Tools) != 3 {
		t.Errorf("printed %s", r.out)
	}
}

func TestExactlyWhatWasShownIsApproved(t *testing.T) {
	t.Parallel()
	f, approved := toolServer(t)
	f.call(t.Context(), nil, terminals{}, "mcp", "approve", "erp").want(t, exitUsage, "say --yes")
	if len(*approved) != 0 {
		t.Errorf("approved without a word: %v", *approved)
	}
	f.call(t.Context(), strings.NewReader("n\n"), terminals{in: true}, "mcp", "approve", "erp").want(t, exitOK, "nothing was approved")
	f.call(t.Context(), strings.NewReader("y\n"), terminals{in: true}, "mcp", "approve", "erp").want(t, exitOK, "approved 2 tools")
	f.call(t.Context(), nil, terminals{}, "mcp", "approve", "erp", "pay", "--yes").want(t, exitOK, "approved 1 tool")
	f.call(t.Context(), nil, terminals{}, "mcp", "approve", "erp", "nope", "--yes").want(t, exitNotFound, "no tool erp.nope")
	want := []core.MCPApproval{{Tool: "erp.new", Hash: "h2"}, {Tool: "erp.pay", Hash: "h3"}, {Tool: "erp.pay", Hash: "h3"}}
	if len(*approved) != len(want) {
		t.Fatalf("approved %v", *approved)
	}
	for i := range want {
		if (*approved)[i] != want[i] {
			t.Errorf("approved %v", *approved)
		}
	}
}

func TestLoggingInAndOutAtAnMCPServer(t *testing.T) {
	t.Parallel()
	f, _ := toolServer(t)
	call := func(args ...string) result { return f.call(t.Context(), nil, terminals{}, args...) }
	r := call("mcp", "login", "erp")
	if r.out != "https://sso.example/authorize\n" {
		t.Errorf("printed %q", r.out)
	}
	r.want(t, exitOK, "logged in at erp")
	call("mcp", "login", "erp").want(t, exitNotAllowed, "nobody came")
	call("mcp", "logout", "erp").want(t, exitOK, "logged out at erp")
}
