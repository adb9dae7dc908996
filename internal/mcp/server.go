package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Bounds of the connections to one server.
const (
	maxLinks  = 256              // owners that are connected at the same time
	idleAfter = 10 * time.Minute // a connection of a project or user that nobody has used for so long is closed
)

// server is one server of the settings with its connections and what is recorded of its tools.
type server struct {
	m    *Manager
	spec Spec

	mu        sync.Mutex
	links     map[string]*ownedLink
	pins      []core.MCPPin
	problems  []string // of the latest list
	unusable  string   // what Options.Changed said of the latest tools
	published string   // which tools Options.Changed has got

	saving sync.Mutex // what was seen is recorded by one at a time
}

type ownedLink struct {
	*link
	stop context.CancelFunc
}

// link returns the connection of an owner, which is begun if need be.
func (s *server) link(owner string) (*link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.links[owner]; ok {
		return l.link, nil
	}
	if s.m.life == nil || s.m.life.Err() != nil {
		return nil, core.Errorf(core.CodeUnavailable, "the server %s is not connected: this process calls no tools", s.spec.Name)
	}
	if len(s.links) >= maxLinks {
		return nil, core.Errorf(core.CodeRateLimited, "%d users or projects are connected to %s already; try again later", maxLinks, s.spec.Name)
	}
	ctx, stop := context.WithCancel(s.m.life)
	l := &ownedLink{newLink(s, owner), stop}
	s.links[owner] = l
	s.m.group.Go(func() { l.keep(ctx) })
	return l.link, nil
}

// existing returns the connection of an owner, nil if there is none.
func (s *server) existing(owner string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.links[owner]; ok {
		return l.link
	}
	return nil
}

// sweep closes connections of projects and users that nobody uses.
func (s *server) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for owner, l := range s.links {
		l.mu.Lock()
		idle := l.inFlight == 0 && now.Sub(l.used) > idleAfter
		l.mu.Unlock()
		if owner != "" && idle {
			l.stop()
			delete(s.links, owner)
		}
	}
}

// shared says whether one connection serves everybody.
func (s *server) shared() bool { return s.spec.Auth.Kind == AuthNone || s.spec.Auth.Per == PerServer }

// saw takes over a list of tools.
func (s *server) saw(ctx context.Context, list []core.MCPPin, problems []string) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	s.problems = problems
	known := map[string]core.MCPPin{}
	for _, p := range s.pins {
		known[p.Tool] = p
	}
	s.mu.Unlock()
	var changed []string
	for _, p := range list {
		before, ok := known[p.Tool]
		if !ok || before.SeenHash != p.SeenHash || !before.Offered {
			changed = append(changed, p.Tool)
		}
		delete(known, p.Tool)
	}
	for _, p := range known { // the server has them no more, or has them not for this owner
		switch {
		case !s.shared():
			list = append(list, p)
		case p.Offered:
			changed = append(changed, p.Tool)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := s.m.o.Store.SeeMCPTools(ctx, s.spec.Name, list, s.m.o.Now()); err != nil {
		return err
	}
	if s.spec.Pin != PinOff {
		slices.Sort(changed)
		s.m.o.Logger.Warn("an MCP server describes tools in a new way", "server", s.spec.Name, "tools", strings.Join(changed, ", "), "pin", string(s.spec.Pin))
	}
	return s.reload(ctx)
}

// reload reads what is recorded and hands the tools on if they have changed.
func (s *server) reload(ctx context.Context) error {
	pins, err := s.m.o.Store.MCPPins(ctx, s.spec.Name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins = pins
	var tools []*Tool
	sum := sha256.New()
	for _, p := range pins {
		t := s.tool(p)
		if t == nil {
			continue
		}
		tools = append(tools, t)
		fmt.Fprintf(sum, "%s\n%s\n%s\n", t.name, t.hash, p.SeenHash)
	}
	if now := hex.EncodeToString(sum.Sum(nil)); now != s.published {
		s.published, s.unusable = now, ""
		if err := s.m.o.Changed(s.spec.Name, tools); err != nil {
			s.unusable = err.Error()
			s.m.o.Logger.Warn("tools of an MCP server are not usable", "server", s.spec.Name, "error", err)
		}
	}
	return nil
}

// tool is what agents get of a recorded tool, nil if they get nothing. An approved tool whose description has changed stays
// as it was approved; a call of it is refused and says why.
func (s *server) tool(p core.MCPPin) *Tool {
	text, hash := p.Approved, p.ApprovedHash
	if s.spec.Pin != PinApprove {
		text, hash = p.Seen, ""
	}
	if text == "" || !p.Offered || !s.spec.allowed(p.Tool) {
		return nil
	}
	d, err := parse(text)
	if err != nil {
		return nil
	}
	return &Tool{server: s, name: p.Tool, spec: s.spec.spec(d), hash: hash}
}

// state says how a recorded tool stands.
func (s *server) state(p core.MCPPin) core.MCPToolState {
	switch {
	case !s.spec.allowed(p.Tool):
		return core.MCPToolDenied
	case !p.Offered:
		return core.MCPToolMissing
	case s.spec.Pin != PinApprove || p.ApprovedHash == p.SeenHash:
		return core.MCPToolUsable
	case p.ApprovedHash == "":
		return core.MCPToolNew
	}
	return core.MCPToolChanged
}
