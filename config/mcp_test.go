package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// brokenMCP are ways to get the settings of MCP servers wrong.
func brokenMCP() []broken {
	server := func(rest string) string { return "mcp:\n  servers:\n    erp: " + rest + "\n" }
	return []broken{
		{
			name: "a server without a way to it", file: server("{}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp: has neither a command nor a url; expected one of them, such as {command: [erp-mcp]} or {url: https://erp.example.com/mcp}`},
		},
		{
			name: "a server with two ways to it", file: server("{command: [erp-mcp], url: \"https://erp.example.com\"}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.url: stands beside command; expected one of them`},
		},
		{
			name: "a server's name with a dot", file: "mcp: {servers: {a.b: {command: [x]}}}\n",
			want: []string{`sutazai.yaml:1: mcp.servers.a.b: the name is not usable; expected one that matches ^[a-z0-9][a-z0-9_-]{0,31}$`},
		},
		{
			name: "an unknown effect", file: server("{command: [erp-mcp], effects: {pay: unsave}}"),
			want: []string{`sutazai.yaml:3: mcp.servers.erp.effects.pay: is "unsave"; expected one of read_only, idempotent, unsafe (did you mean "unsafe"?)`},
		},
		{
			name: "variables of a server that is no program", file: server("{url: \"https://erp.example.com\", env: {A: b}}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.env: has no meaning here; expected none: it is for servers with a command`},
		},
		{
			name: "a login at a program", file: server("{command: [erp-mcp], auth: {kind: oauth}}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.auth: has no meaning here; expected none: it is for servers with a url`},
		},
		{
			name: "a token that is missing", file: server("{url: \"https://erp.example.com\", auth: {kind: bearer}}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.auth.token: is missing; expected a reference such as env:ERP_TOKEN, since kind is bearer`},
		},
		{
			name: "a token for users", file: server("{url: \"https://erp.example.com\", auth: {kind: bearer, per: user, token: env:T}}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.auth.per: is user, but tokens of the settings are for all or for projects; expected server or project, or kind oauth, where each user logs in`},
		},
		{
			name: "a client's id without a login", file: server("{url: \"https://erp.example.com\", auth: {client_id: x}}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.auth.kind: is none, but client_id, client_secret, client_metadata_url, scopes and allow_hosts are for oauth; expected oauth, or none of them`},
		},
		{
			name: "a patience longer than all", file: server("{command: [erp-mcp], timeout: 20m}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.timeout: is 20m0s, longer than max_timeout (10m0s); expected at most that`},
		},
		{
			name: "no flow beside others", file: server("{command: [erp-mcp], flow: [none, egress]}"), loose: true,
			want: []string{`sutazai.yaml:3: mcp.servers.erp.flow: holds none beside others; expected none alone, or the others`},
		},
	}
}

func TestMCPServersAreRead(t *testing.T) {
	t.Parallel()
	c := load(t, Options{Set: []string{`mcp.servers={erp: {command: [erp-mcp, --fast], effects: {pay: unsafe, list: read_only}, env: {KEY: "env:ERP_KEY"}}, crm: {url: "http://crm.example.com/mcp", headers: {X-Key: hunter2}}}`}})
	erp, crm := c.MCP.Servers["erp"], c.MCP.Servers["crm"]
	if !slices.Equal(erp.Command, []string{"erp-mcp", "--fast"}) || erp.Effects["list"] != "read_only" || erp.Pin != "approve" || erp.Timeout != time.Minute || erp.Auth.Kind != "none" {
		t.Errorf("erp is %+v", erp)
	}
	if crm.URL != "http://crm.example.com/mcp" || crm.Protocol != "auto" || crm.MaxTimeout != 10*time.Minute {
		t.Errorf("crm is %+v", crm)
	}
	warned := false
	for _, w := range c.Check() {
		warned = warned || w.Key == "mcp.servers.crm.url" && strings.Contains(w.Message, "unencrypted")
		if strings.Contains(w.String(), "hunter2") {
			t.Errorf("the warning holds the key: %s", w)
		}
	}
	if !warned {
		t.Errorf("nothing is said about the key that travels unencrypted: %v", c.Check())
	}
}
