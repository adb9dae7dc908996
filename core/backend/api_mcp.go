package backend

import (
	"context"
	"net/http"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

// MCPCallback is the path to which a browser comes back after a login at an MCP server.
const MCPCallback = "/api/v1/mcp/callback"

type byServer struct {
	Name string `path:"name" maxLength:"32" doc:"The server, as in mcp.servers of the settings."`
}

type approveMCPInput struct {
	Name string `path:"name" maxLength:"32" doc:"The server, as in mcp.servers of the settings."`
	Body struct {
		Tools []core.MCPApproval `json:"tools" minItems:"1" maxItems:"1000" doc:"The tools to approve, each with the hash of the description that was looked at."`
	}
}

type mcpLoginInput struct {
	Name string `path:"name" maxLength:"32" doc:"The server, as in mcp.servers of the settings."`
	Body struct {
		Project string `json:"project,omitempty" maxLength:"100" doc:"Whose login it is, where projects log in; empty: the caller's."`
	}
}

type mcpLogoutInput struct {
	Name    string `path:"name" maxLength:"32" doc:"The server, as in mcp.servers of the settings."`
	Project string `query:"project" maxLength:"100" doc:"Whose login it is, where projects log in; empty: the caller's."`
}

func (s *server) mcpRoutes() {
	const tag = "MCP servers"
	register(s, operation(get, "/mcp/servers", "list-mcp-servers", tag, "List the servers that give agents tools"), func(ctx context.Context, _ *empty) (*output[page[core.MCPServer]], error) {
		list, err := s.mcp.Servers(ctx, CallerOf(ctx))
		if err != nil {
			return nil, err
		}
		return listOf(list, ""), nil
	})
	register(s, operation(get, "/mcp/servers/{name}", "get-mcp-server", tag, "Show a server with its tools and what changed of them"), func(ctx context.Context, in *byServer) (*output[core.MCPServerDetails], error) {
		d, err := s.mcp.Server(ctx, in.Name, CallerOf(ctx))
		if err != nil {
			return nil, err
		}
		return &output[core.MCPServerDetails]{d}, nil
	})
	approve := operation(post, "/mcp/servers/{name}/approve", "approve-mcp-tools", tag, "Approve what a server says of its tools")
	approve.Description = "Nobody can call a tool whose description is new or has changed before it is approved. All of the tools are approved or none; 409 where a description has changed since it was looked at."
	register(s, approve, func(ctx context.Context, in *approveMCPInput) (*output[core.MCPServerDetails], error) {
		d, err := s.mcp.Approve(ctx, in.Name, in.Body.Tools, CallerOf(ctx))
		for _, t := range in.Body.Tools {
			s.recordResult(ctx, "mcp.approve", in.Name, t.Tool+" "+t.Hash, err)
		}
		if err != nil {
			return nil, err
		}
		return &output[core.MCPServerDetails]{d}, nil
	})
	s.mcpLoginRoutes(tag)
	s.router.handle("GET "+MCPCallback, http.HandlerFunc(s.mcpCallback), nil)
}

func (s *server) mcpLoginRoutes(tag string) {
	login := operation(post, "/mcp/servers/{name}/login", "login-mcp-server", tag, "Begin a login at a server")
	login.DefaultStatus = http.StatusCreated
	login.Description = "The person opens the address of the answer in a browser. A login that others use too, of everybody or a project, needs the right admin."
	register(s, login, func(ctx context.Context, in *mcpLoginInput) (*output[core.MCPLogin], error) {
		c, err := s.mcpCaller(ctx, in.Name, in.Body.Project)
		if err != nil {
			return nil, err
		}
		l, err := s.mcp.Login(ctx, in.Name, c)
		s.recordResult(ctx, "mcp.login", in.Name, l.Owner, err)
		if err != nil {
			return nil, err
		}
		return &output[core.MCPLogin]{l}, nil
	})
	logout := operation(remove, "/mcp/servers/{name}/login", "logout-mcp-server", tag, "Forget a login at a server")
	logout.DefaultStatus = http.StatusNoContent
	register(s, logout, func(ctx context.Context, in *mcpLogoutInput) (*struct{}, error) {
		c, err := s.mcpCaller(ctx, in.Name, in.Project)
		if err != nil {
			return nil, err
		}
		err = s.mcp.Logout(ctx, in.Name, c)
		s.recordResult(ctx, "mcp.logout", in.Name, "", err)
		return nil, err
	})
	register(s, operation(get, "/mcp/logins/{id}", "get-mcp-login", tag, "Show how a login goes"), func(ctx context.Context, in *byID) (*output[core.MCPLogin], error) {
		l, err := s.mcp.LoginState(in.ID, CallerOf(ctx))
		if err != nil {
			return nil, err
		}
		return &output[core.MCPLogin]{l}, nil
	})
}

// mcpCaller is for whom a login is made. One that others use too is for administrators.
func (s *server) mcpCaller(ctx context.Context, name, project string) (core.Caller, error) {
	c := CallerOf(ctx)
	if project != "" {
		c.Project = project
	}
	owner, err := s.mcp.Owner(name, c)
	if err != nil {
		return c, err
	}
	if p, _ := auth.PrincipalOf(ctx); owner != c.Actor && !p.HasAny(core.ScopeAdmin) {
		return c, core.Errorf(core.CodeForbidden, "this login is used for others too; only an administrator may change it")
	}
	return c, nil
}

// mcpCallback is where an authorization server sends the browser. The request has no credential of ours: what it may do is
// in its state, which is secret and good once.
func (s *server) mcpCallback(w http.ResponseWriter, r *http.Request) {
	l, err := s.mcp.Callback(r.Context(), r.URL.Query())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(core.MessageOf(err) + "\n")) //nolint:gosec // plain text, which no browser takes for a page
	case l.State != "done":
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("The login at " + l.Server + " failed: " + l.Error + "\n"))
	default:
		_, _ = w.Write([]byte("You are logged in at " + l.Server + ". You can close this page.\n"))
	}
}
