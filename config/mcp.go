package config

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// MCP is which servers give agents tools.
type MCP struct {
	Servers map[string]MCPServer `yaml:"servers" envkeys:"true" keys:"^[a-z0-9][a-z0-9_-]{0,31}$"`
}

// MCPServer is one server of tools: a program of this machine, or one at an address.
type MCPServer struct {
	Command    []string          `yaml:"command" default:"[]" doc:"The program that is the server, with its arguments; it is talked to over its standard input and output. It runs as this user, with few variables of the environment, and what it writes to its standard error is in logs/ of the data folder. Either this or url."`
	URL        string            `yaml:"url" format:"optional url" default:"" doc:"Address of a server that speaks streamable HTTP, such as https://erp.example.com/mcp. It may be a private one. Either this or command."`
	Headers    map[string]Secret `yaml:"headers" keys:"^[A-Za-z0-9!#$%&'*+.^_|~-]+$" default:"{}" doc:"Further HTTP headers of every call; a value may be a reference: env:NAME or file:/path. With url."`
	Env        map[string]Secret `yaml:"env" keys:"^[A-Za-z_][A-Za-z0-9_]*$" default:"{}" doc:"Variables that the program gets besides PATH, HOME and the like; a value may be a reference: env:NAME or file:/path. With command."`
	Cwd        string            `yaml:"cwd" default:"" doc:"Folder that the program runs in. Empty: mcp/<name> in the data folder. With command."`
	Allow      []string          `yaml:"allow" default:"[]" doc:"The tools that agents may have, by their names at the server; * stands for any text. Empty: all."`
	Deny       []string          `yaml:"deny" default:"[]" doc:"Tools that no agent may have, even if allow names them; * stands for any text."`
	Effects    map[string]string `yaml:"effects" keys:"." enum:"read_only,idempotent,unsafe" default:"{}" doc:"What a repeated call does, by tool: read_only (nothing), idempotent (the same as one call), unsafe (it would be done twice). It overrides what the server says of the tool."`
	Flow       []string          `yaml:"flow" enum:"private,untrusted,egress,none" default:"[]" doc:"What the tools let through: private (their results must not leave), untrusted (strangers may have written what they return), egress (their arguments leave for somewhere that the agent chooses), none. Empty: untrusted, and egress for tools of which the server does not say that they stay in a closed world."`
	Pin        string            `yaml:"pin" enum:"approve,warn,off" default:"approve" doc:"What happens when the server describes a tool in a new or other way: approve (nobody can call it until an administrator has approved the description), warn (it is used and logged), off (it is used)."`
	Timeout    time.Duration     `yaml:"timeout" min:"1s" max:"24h" default:"60s" doc:"How long a call may take without a sign of progress."`
	MaxTimeout time.Duration     `yaml:"max_timeout" min:"1s" max:"24h" default:"10m" doc:"How long a call may take altogether."`
	Protocol   string            `yaml:"protocol" enum:"auto,2025-11-25" default:"auto" doc:"How the conversation begins: auto (as the newest version has it, and as the older ones have it where the server does not know that), 2025-11-25 (as the older ones have it, for servers that are confused by anything else)."`
	Auth       MCPAuth           `yaml:"auth" default:"{}" doc:"How the server knows who calls. With url."`
}

// MCPAuth is how a server knows who calls.
type MCPAuth struct {
	Kind              string            `yaml:"kind" enum:"none,bearer,oauth" default:"none" doc:"none (no token; headers may still hold a key), bearer (a token of the settings), oauth (a login in the browser: sutazai mcp login NAME)."`
	Per               string            `yaml:"per" enum:"server,project,user" default:"server" doc:"Whose token is used: server (one for all), project (one for each project), user (one for each user or API key)."`
	Token             Secret            `yaml:"token" default:"" doc:"The token, by reference: env:NAME or file:/path; for bearer with per: server."`
	Tokens            map[string]Secret `yaml:"tokens" keys:"." default:"{}" doc:"Tokens by project, by reference; for bearer with per: project."`
	ClientID          string            `yaml:"client_id" default:"" doc:"Id under which SutazAI is registered at the authorization server; for oauth. Empty: it registers itself."`
	ClientSecret      Secret            `yaml:"client_secret" default:"" doc:"The secret of client_id, by reference, where there is one."`
	ClientMetadataURL string            `yaml:"client_metadata_url" format:"optional url" default:"" doc:"Address of a document that describes SutazAI to authorization servers that take one in place of a registration; for oauth."`
	Scopes            []string          `yaml:"scopes" default:"[]" doc:"The rights to ask for; for oauth. Empty: those that the server asks for."`
	AllowHosts        []string          `yaml:"allow_hosts" format:"host" default:"[]" doc:"Hosts of authorization servers that may be private; others must be public; for oauth."`
}

// checkMCP reports what is impossible in combination in the settings of MCP servers.
func checkMCP(c *Config, tree *node, found *findings) {
	for _, name := range slices.Sorted(maps.Keys(c.MCP.Servers)) {
		s, n := c.MCP.Servers[name], tree.lookup("mcp", "servers", name)
		key := "mcp.servers." + name
		at := func(field string) place {
			if child := n.lookup(field); child != nil && child.at.source != originDefault {
				return child.at
			}
			return n.at
		}
		wrong := func(field, format string, args ...any) {
			if !found.about(key + "." + field) {
				found.add(at(field), key+"."+field, format, args...)
			}
		}
		switch {
		case len(s.Command) == 0 && s.URL == "":
			if !found.about(key+".command") && !found.about(key+".url") {
				found.add(n.at, key, "has neither a command nor a url; expected one of them, such as {command: [erp-mcp]} or {url: https://erp.example.com/mcp}")
			}
		case len(s.Command) > 0 && s.URL != "":
			wrong("url", "stands beside command; expected one of them")
		case len(s.Command) > 0 && s.Command[0] == "":
			wrong("command", "begins with an empty text; expected the name or path of a program")
		}
		for _, only := range []struct {
			field string
			set   bool
			http  bool // it belongs to url
		}{
			{"headers", len(s.Headers) > 0, true}, {"auth", s.Auth.Kind != "none", true},
			{"env", len(s.Env) > 0, false}, {"cwd", s.Cwd != "", false},
		} {
			if has := s.URL != ""; only.set && has != only.http && (has || len(s.Command) > 0) {
				wrong(only.field, "has no meaning here; expected none: it is for servers with a %s", map[bool]string{true: "url", false: "command"}[only.http])
			}
		}
		if s.Timeout > s.MaxTimeout {
			wrong("timeout", "is %s, longer than max_timeout (%s); expected at most that", s.Timeout, s.MaxTimeout)
		}
		if slices.Contains(s.Flow, "none") && len(s.Flow) > 1 {
			wrong("flow", "holds none beside others; expected none alone, or the others")
		}
		for _, tool := range append(slices.Clone(s.Allow), s.Deny...) {
			if strings.TrimSpace(tool) == "" {
				wrong("allow", "holds an empty text; expected names of tools")
			}
		}
		checkMCPAuth(s, wrong)
	}
}

func checkMCPAuth(s MCPServer, wrong func(field, format string, args ...any)) {
	a := s.Auth
	switch {
	case a.Kind == "bearer" && a.Per == "user":
		wrong("auth.per", "is user, but tokens of the settings are for all or for projects; expected server or project, or kind oauth, where each user logs in")
	case a.Kind == "bearer" && a.Per == "server" && !a.Token.IsSet():
		wrong("auth.token", "is missing; expected a reference such as env:ERP_TOKEN, since kind is bearer")
	case a.Kind == "bearer" && a.Per == "project" && len(a.Tokens) == 0:
		wrong("auth.tokens", "is missing; expected a reference for each project, such as {default: env:ERP_TOKEN}, since kind is bearer and per is project")
	case a.Kind != "bearer" && (a.Token.IsSet() || len(a.Tokens) > 0):
		wrong("auth.token", "has no meaning where kind is %s; expected none: it is for bearer", a.Kind)
	case a.Kind != "oauth" && (a.ClientID != "" || a.ClientSecret.IsSet() || a.ClientMetadataURL != "" || len(a.Scopes) > 0 || len(a.AllowHosts) > 0):
		wrong("auth.kind", "is %s, but client_id, client_secret, client_metadata_url, scopes and allow_hosts are for oauth; expected oauth, or none of them", a.Kind)
	case a.ClientSecret.IsSet() && a.ClientID == "":
		wrong("auth.client_secret", "stands alone; expected a client_id with it")
	}
	if u, err := url.Parse(s.URL); s.URL != "" && err == nil && u.User != nil {
		wrong("url", "holds a user name or password; expected them in headers or auth")
	}
}
