package backend_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// mcpServers is one server, erp, at which each user logs in, and another, shared, at which all have one login.
type mcpServers struct{}

func (mcpServers) Servers(_ context.Context, c core.Caller) ([]core.MCPServer, error) {
	return []core.MCPServer{{Name: "erp", Detail: "seen by " + c.Actor}}, nil
}

func (m mcpServers) Server(ctx context.Context, name string, c core.Caller) (core.MCPServerDetails, error) {
	if name != "erp" {
		return core.MCPServerDetails{}, core.Errorf(core.CodeNotFound, "there is no MCP server %q", name)
	}
	list, err := m.Servers(ctx, c)
	return core.MCPServerDetails{MCPServer: list[0], Tools: []core.MCPTool{{Name: "erp.pay", Definition: []byte(`{"name":"pay"}`), Flow: []string{}, Changes: []core.MCPChange{}}}, Problems: []string{}}, err
}

func (m mcpServers) Approve(ctx context.Context, name string, tools []core.MCPApproval, c core.Caller) (core.MCPServerDetails, error) {
	if tools[0].Hash != "right" {
		return core.MCPServerDetails{}, core.Errorf(core.CodeConflict, "the description has changed")
	}
	return m.Server(ctx, name, c)
}

func (mcpServers) Owner(name string, c core.Caller) (string, error) {
	switch {
	case name == "shared":
		return "", nil
	case c.Project != core.DefaultProject:
		return "project:" + c.Project, nil
	}
	return c.Actor, nil
}

func (m mcpServers) Login(_ context.Context, name string, c core.Caller) (core.MCPLogin, error) {
	owner, err := m.Owner(name, c)
	return core.MCPLogin{ID: "l1", Server: name, Owner: owner, URL: "https://sso.example/authorize", State: "pending"}, err
}

func (mcpServers) LoginState(id string, _ core.Caller) (core.MCPLogin, error) {
	if id != "l1" {
		return core.MCPLogin{}, core.Errorf(core.CodeNotFound, "there is no such login")
	}
	return core.MCPLogin{ID: id, State: "done"}, nil
}

func (mcpServers) Callback(_ context.Context, q url.Values) (core.MCPLogin, error) {
	switch q.Get("state") {
	case "good":
		return core.MCPLogin{Server: "erp", State: "done"}, nil
	case "refused":
		return core.MCPLogin{Server: "erp", State: "failed", Error: "the authorization server did not give us access"}, nil
	}
	return core.MCPLogin{}, core.Errorf(core.CodeInvalid, "this login is not known")
}

func (mcpServers) Logout(context.Context, string, core.Caller) error { return nil }

func TestMCPServersAreShownApprovedAndLoggedInAt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const servers = "/api/v1/mcp/servers"
	b.check(t, []scenario{
		{name: "list", url: servers, key: "read", status: 200, has: []string{`"items":[{"name":"erp"`, `"detail":"seen by key:`}},
		{name: "show", url: servers + "/erp", key: "read", status: 200, has: []string{`"tools":[{"name":"erp.pay"`, `"definition":{"name":"pay"}`}},
		{name: "show none", url: servers + "/nope", key: "read", status: 404},
		{name: "approve", method: "POST", url: servers + "/erp/approve", key: "admin", status: 200, body: `{"tools":[{"tool":"erp.pay","hash":"right"}]}`},
		{name: "approve something else", method: "POST", url: servers + "/erp/approve", key: "admin", status: 409, body: `{"tools":[{"tool":"erp.pay","hash":"old"}]}`},
		{name: "approve without a hash", method: "POST", url: servers + "/erp/approve", key: "admin", status: 422, body: `{"tools":[{"tool":"erp.pay"}]}`, has: []string{"hash"}},
		{name: "approve nothing", method: "POST", url: servers + "/erp/approve", key: "admin", status: 422, body: `{"tools":[]}`},
		{name: "approve without the right", method: "POST", url: servers + "/erp/approve", key: "approve", status: 403, body: `{"tools":[{"tool":"erp.pay","hash":"right"}]}`},
		{name: "a command", method: "POST", url: servers + "/erp/approve", key: "admin", status: 422, body: `{"tools":[{"tool":"erp.pay","hash":"right"}],"command":["sh"]}`},
		{name: "log in for oneself", method: "POST", url: servers + "/erp/login", key: "run", status: 201, body: `{}`, has: []string{`"url":"https://sso.example/authorize"`}},
		{name: "log in for everybody", method: "POST", url: servers + "/shared/login", key: "run", status: 403, body: `{}`, has: []string{"administrator"}},
		{name: "log in for another project", method: "POST", url: servers + "/erp/login", key: "run", status: 403, body: `{"project":"other"}`},
		{name: "an administrator for another project", method: "POST", url: servers + "/erp/login", key: "admin", status: 201, body: `{"project":"other"}`, has: []string{`"owner":"project:other"`}},
		{name: "how it goes", url: "/api/v1/mcp/logins/l1", key: "run", status: 200, has: []string{`"state":"done"`}},
		{name: "the browser comes back", url: "/api/v1/mcp/callback?state=good&code=x", status: 200, has: []string{"You are logged in at erp"}},
		{name: "it was refused", url: "/api/v1/mcp/callback?state=refused&error=access_denied", status: 502, has: []string{"did not give us access"}},
		{name: "it comes from nowhere", url: "/api/v1/mcp/callback?state=%3Cscript%3E", status: 400, hasNot: []string{"script"}},
		{name: "log out for everybody", method: "DELETE", url: servers + "/shared/login", key: "run", status: 403},
		{name: "log out", method: "DELETE", url: servers + "/erp/login", key: "run", status: 204},
	})
	for _, want := range []string{"mcp.approve ok", "mcp.approve error", "mcp.login ok", "mcp.logout ok"} {
		if !strings.Contains(strings.Join(b.audit.actions(), "\n"), want) {
			t.Errorf("%q was not audited: %v", want, b.audit.actions())
		}
	}
}
