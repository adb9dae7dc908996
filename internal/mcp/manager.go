package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// watchEvery is how soon what another process on the same database approves is taken over here.
const watchEvery = 3 * time.Second

// Manager holds the servers of the settings. It is safe for use by several goroutines.
type Manager struct {
	o        Options
	servers  map[string]*server
	logins   *logins
	instance string // makes progress tokens hard to guess

	life  context.Context //nolint:containedctx // set by Start; connections that are begun later end with it
	quit  context.CancelFunc
	group sync.WaitGroup
}

// New reads what is recorded of the servers' tools and hands it to Options.Changed, so that agents know the tools before
// any server is connected. It connects to nothing.
func New(ctx context.Context, o Options) (*Manager, error) {
	m := &Manager{o: o, servers: map[string]*server{}, instance: rand.Text()}
	m.logins = newLogins(m)
	for _, spec := range o.Servers {
		s := &server{m: m, spec: spec, links: map[string]*ownedLink{}}
		m.servers[spec.Name] = s
		if err := s.reload(ctx); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Start connects to the servers and keeps the connections until Close. Servers whose credentials are a project's or user's
// are connected when the first of them needs it.
func (m *Manager) Start(ctx context.Context) {
	m.life, m.quit = context.WithCancel(ctx)
	for _, name := range m.Names() {
		if s := m.servers[name]; s.shared() {
			_, _ = s.link("") // cannot fail at the start
		}
	}
	m.group.Go(func() { m.watch(m.life) })
}

// Close ends the connections and the programs of servers, and returns when they are gone. No call may be under way.
func (m *Manager) Close() error {
	if m.quit != nil {
		m.quit()
	}
	m.group.Wait()
	return nil
}

// watch takes over what other processes approve, and closes what nobody uses.
func (m *Manager) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var failed error
		for _, s := range m.servers {
			s.sweep(m.o.Now())
			failed = errors.Join(failed, s.reload(ctx))
		}
		if failed != nil && ctx.Err() == nil && !failing {
			m.o.Logger.Warn("the recorded tools of MCP servers cannot be read; those known stay in use", "error", failed)
		}
		failing = failed != nil
	}
}

// Names lists the servers, sorted.
func (m *Manager) Names() []string { return slices.Sorted(maps.Keys(m.servers)) }

func (m *Manager) server(name string) (*server, error) {
	s, ok := m.servers[name]
	if !ok {
		there := strings.Join(m.Names(), ", ")
		if there == "" {
			there = "none"
		}
		return nil, core.Errorf(core.CodeNotFound, "there is no MCP server %q in the settings; there is: %s", clip(name, 60), there)
	}
	return s, nil
}

// Servers says how every server does, as the caller sees it, sorted by name.
func (m *Manager) Servers(ctx context.Context, c core.Caller) ([]core.MCPServer, error) {
	out := make([]core.MCPServer, 0, len(m.servers))
	for _, name := range m.Names() {
		s, err := m.servers[name].status(ctx, c)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Server says how one does and what tools it has. CodeNotFound: there is none of that name.
func (m *Manager) Server(ctx context.Context, name string, c core.Caller) (core.MCPServerDetails, error) {
	s, err := m.server(name)
	if err != nil {
		return core.MCPServerDetails{}, err
	}
	if err := s.reload(ctx); err != nil {
		return core.MCPServerDetails{}, err
	}
	status, err := s.status(ctx, c)
	if err != nil {
		return core.MCPServerDetails{}, err
	}
	d := core.MCPServerDetails{MCPServer: status, Tools: []core.MCPTool{}, Problems: []string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pins {
		d.Tools = append(d.Tools, s.describe(p))
	}
	d.Problems = append(d.Problems, s.problems...)
	if s.unusable != "" {
		d.Problems = append(d.Problems, strings.Split(s.unusable, "\n")...)
	}
	return d, nil
}

// Approve approves descriptions of tools, all or none, and returns the server as it is then. CodeConflict: a description has
// changed since it was looked at.
func (m *Manager) Approve(ctx context.Context, name string, tools []core.MCPApproval, c core.Caller) (core.MCPServerDetails, error) {
	if _, err := m.server(name); err != nil {
		return core.MCPServerDetails{}, err
	}
	own := make([]core.MCPApproval, len(tools))
	for i, t := range tools {
		own[i] = core.MCPApproval{Tool: strings.TrimPrefix(t.Tool, name+"."), Hash: t.Hash}
	}
	if err := m.o.Store.ApproveMCPTools(ctx, name, own, c.Actor, m.o.Now()); err != nil {
		return core.MCPServerDetails{}, err
	}
	return m.Server(ctx, name, c)
}

// describe is a recorded tool as people see it. s.mu is held.
func (s *server) describe(p core.MCPPin) core.MCPTool {
	t := core.MCPTool{
		Name: s.spec.Name + "." + p.Tool, State: s.state(p), Hash: p.SeenHash, Definition: []byte(p.Seen),
		ApprovedBy: p.ApprovedBy, ApprovedAt: p.ApprovedAt, Changes: []core.MCPChange{}, Flow: []string{},
	}
	d, err := parse(p.Seen)
	if err != nil {
		return t
	}
	spec := s.spec.spec(d)
	t.Effect, t.Description = spec.Effect, shown(d.Description)
	for _, bit := range []struct {
		flow core.Flow
		name string
	}{{core.FlowPrivate, "private"}, {core.FlowUntrusted, "untrusted"}, {core.FlowEgress, "egress"}} {
		if spec.Flow.Has(bit.flow) {
			t.Flow = append(t.Flow, bit.name)
		}
	}
	if t.State == core.MCPToolChanged {
		t.Changes = changes(p.Approved, p.Seen)
	}
	return t
}

// status says how the server does for a caller.
func (s *server) status(ctx context.Context, c core.Caller) (core.MCPServer, error) {
	out := core.MCPServer{
		Name: s.spec.Name, Transport: s.spec.transport(), State: core.ServiceUnknown, Detail: "not connected: nobody has used it yet",
		Pin: string(s.spec.Pin), Auth: string(s.spec.Auth.Kind), Per: string(s.spec.Auth.Per), Since: s.m.o.Now(),
	}
	owner, err := s.spec.owner(c)
	if err != nil {
		owner = "-" // nobody's
	}
	if s.spec.Auth.Kind == AuthOAuth {
		out.Login = "needed"
		_, found, err := s.m.o.Store.MCPToken(ctx, s.spec.Name, owner)
		if err != nil {
			return out, err
		}
		if found {
			out.Login = "done"
		}
	}
	l := s.existing(owner)
	s.mu.Lock()
	for _, p := range s.pins {
		switch s.state(p) {
		case core.MCPToolUsable:
			out.Usable++
		case core.MCPToolNew, core.MCPToolChanged:
			out.Pending++
		}
	}
	s.mu.Unlock()
	if l == nil {
		return out, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	out.State, out.Detail, out.Since, out.Restarts = l.state, l.detail, l.since, l.restarts
	if errors.Is(l.err, errLogin) {
		out.Login = "needed"
	}
	if l.session != nil {
		if res := l.session.InitializeResult(); res != nil {
			out.Protocol = res.ProtocolVersion
			if res.ServerInfo != nil {
				out.Software = clip(visible(strings.TrimSpace(res.ServerInfo.Name+" "+res.ServerInfo.Version)), 100)
			}
		}
	}
	return out, nil
}

// Health is how the servers do as services. It asks nobody.
func (m *Manager) Health() []core.Service {
	out := make([]core.Service, 0, len(m.servers))
	for _, name := range m.Names() {
		s := m.servers[name]
		svc := core.Service{Name: "mcp/" + name, Kind: "external", State: core.ServiceUnknown, Detail: "not connected: nobody has used it yet", CheckedAt: m.o.Now()}
		if len(s.spec.Command) > 0 {
			svc.Kind = "process"
		}
		s.mu.Lock()
		pending, links := 0, len(s.links)
		for _, p := range s.pins {
			if st := s.state(p); st == core.MCPToolNew || st == core.MCPToolChanged {
				pending++
			}
		}
		s.mu.Unlock()
		if l := s.existing(""); l != nil {
			l.mu.Lock()
			svc.State, svc.Detail, svc.Since, svc.Restarts = l.state, l.detail, l.since, l.restarts
			l.mu.Unlock()
		} else if links > 0 {
			svc.State, svc.Detail = core.ServiceHealthy, ""
		}
		if pending > 0 {
			svc.Detail = strings.TrimPrefix(svc.Detail+"; "+pendingText(pending, name), "; ")
		}
		out = append(out, svc)
	}
	return out
}

func pendingText(n int, server string) string {
	if n == 1 {
		return "1 tool waits for approval: sutazai mcp show " + server
	}
	return strconv.Itoa(n) + " tools wait for approval: sutazai mcp show " + server
}
