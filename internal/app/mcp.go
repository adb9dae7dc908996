package app

import (
	"context"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/egress"
	"github.com/sutazai/sutazai/internal/mcp"
	"github.com/sutazai/sutazai/internal/supervisor"
	"github.com/sutazai/sutazai/internal/tools"
	"github.com/sutazai/sutazai/services/database"
)

// mcpStop is how long the program of a server has to end when it is asked to, each time.
const mcpStop = 2 * time.Second

// newMCP makes what gives agents the tools of MCP servers. It connects to nothing yet.
func (a *App) newMCP(ctx context.Context) error {
	cfg := a.opts.Config
	specs, err := a.mcpSpecs(cfg)
	if err != nil {
		return err
	}
	a.mcp, err = mcp.New(ctx, mcp.Options{
		Servers: specs, Store: database.NewMCP(a.db), Sealer: a.vault, Files: a.tools, Program: mcpProgram(cfg.Server.DataDir),
		OutputMax: func() int { return int(a.settings.Load().Tools.OutputMax) },
		Changed: func(server string, list []*mcp.Tool) error {
			next := make([]tools.Tool, len(list))
			for i, t := range list {
				next[i] = t
			}
			return a.tools.Replace(server+".", next)
		},
		CallbackURL: func() string {
			if public := a.publicURL(); public != "" {
				return public + backend.MCPCallback
			}
			return ""
		},
		Version: a.opts.Version, Logger: a.opts.Logger, Now: time.Now,
	})
	return err
}

// mcpSpecs reads the settings and the secrets that they refer to.
func (a *App) mcpSpecs(cfg *config.Config) ([]mcp.Spec, error) {
	var specs []mcp.Spec
	for _, name := range mcpNames(cfg) {
		s := cfg.MCP.Servers[name]
		spec := mcp.Spec{
			Name: name, Command: s.Command, Dir: s.Cwd, URL: s.URL, Allow: s.Allow, Deny: s.Deny, Effects: map[string]core.Effect{}, Flow: mcpFlow(s.Flow),
			Pin: mcp.Pin(s.Pin), Timeout: s.Timeout, MaxTimeout: s.MaxTimeout, Legacy: s.Protocol != "auto",
			Auth: mcp.Auth{Kind: mcp.AuthKind(s.Auth.Kind), Per: mcp.Per(s.Auth.Per), ClientID: s.Auth.ClientID, ClientMetadataURL: s.Auth.ClientMetadataURL, Scopes: s.Auth.Scopes},
		}
		for tool, effect := range s.Effects {
			spec.Effects[tool] = core.Effect(effect)
		}
		if spec.Dir == "" {
			spec.Dir = filepath.Join(cfg.Server.DataDir, "mcp", name)
		}
		for _, part := range []struct {
			from map[string]config.Secret
			to   *map[string]core.Secret
		}{{s.Env, &spec.Env}, {s.Headers, &spec.Headers}, {s.Auth.Tokens, &spec.Auth.Tokens}, {map[string]config.Secret{"token": s.Auth.Token, "secret": s.Auth.ClientSecret}, nil}} {
			resolved := map[string]core.Secret{}
			for key, reference := range part.from {
				text, err := reference.Resolve()
				if err != nil {
					return nil, err
				}
				resolved[key] = core.NewSecret(text)
			}
			if part.to == nil {
				spec.Auth.Token, spec.Auth.ClientSecret = resolved["token"], resolved["secret"]
				continue
			}
			*part.to = resolved
		}
		if s.URL != "" {
			client, err := mcpHTTP(s)
			if err != nil {
				return nil, err
			}
			a.onClose(func() error { client.Close(); return nil })
			spec.HTTP = client.HTTPClient()
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// mcpHTTP reaches the address of the settings, wherever it is, the private hosts that the settings name, and else only public
// ones: where a login takes place, the server says, and what a server says may lead anywhere.
func mcpHTTP(s config.MCPServer) (*egress.Client, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, core.Wrap(core.CodeInvalid, err, "the address of an MCP server is not usable")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	own := u.Hostname() + ":" + port
	return egress.New(egress.Config{AllowHosts: append([]string{own}, s.Auth.AllowHosts...), HeaderTimeout: s.MaxTimeout})
}

// mcpFlow reads the setting; nil = as the server says.
func mcpFlow(words []string) *core.Flow {
	if len(words) == 0 {
		return nil
	}
	var f core.Flow
	for _, w := range words {
		f |= map[string]core.Flow{"private": core.FlowPrivate, "untrusted": core.FlowUntrusted, "egress": core.FlowEgress}[w]
	}
	return &f
}

// mcpNames lists the servers of the settings.
func mcpNames(cfg *config.Config) []string { return slices.Sorted(maps.Keys(cfg.MCP.Servers)) }

// mcpProgram starts programs of servers. They get what any program needs to run, what their settings say, and nothing else:
// our own environment may hold keys.
func mcpProgram(dataDir string) mcp.Program {
	return func(server string, command []string, dir string, env map[string]core.Secret) (io.ReadWriteCloser, error) {
		var list []string
		for _, name := range []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"} {
			if value, ok := os.LookupEnv(name); ok && env[name].Reveal() == "" {
				list = append(list, name+"="+value)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(env)) {
			list = append(list, name+"="+env[name].Reveal())
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, core.Wrap(core.CodeInvalid, err, "the folder of the MCP server %s cannot be made", server)
		}
		log, err := supervisor.OpenLog(filepath.Join(dataDir, "logs"), "mcp-"+server)
		if err != nil {
			return nil, err
		}
		p, err := supervisor.StartPiped(supervisor.Command{Path: command[0], Args: command[1:], Env: list, Dir: dir}, log, mcpStop)
		if err != nil {
			_ = log.Close() // the other error is the one to tell
			return nil, err
		}
		return &loggedProgram{p, log}, nil
	}
}

// loggedProgram is a program whose log is closed with it.
type loggedProgram struct {
	*supervisor.Piped
	log io.Closer
}

// Close implements io.Closer.
func (p *loggedProgram) Close() error {
	_ = p.Piped.Close()
	return p.log.Close()
}

// startMCP connects to the servers, where this process calls tools.
func (a *App) startMCP(life context.Context) {
	if a.opts.Idle {
		return
	}
	a.mcp.Start(life)
}
