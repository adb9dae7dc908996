package aimodels

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Health tells the state of every target that was called or stands in a route, sorted by name.
func (g *Gateway) Health() []core.ModelHealth {
	known := map[Target]*targetState{}
	for _, s := range g.targets.list() {
		known[s.target] = s
	}
	for _, r := range g.routes {
		for _, t := range r.targets {
			known[t] = g.targets.get(t)
		}
	}
	out := make([]core.ModelHealth, 0, len(known))
	for t, s := range known {
		h := s.health()
		h.Kind = g.providers[t.Provider].Kind
		p := g.cfg.price(t)
		h.InputUSDPerMillion, h.OutputUSDPerMillion = p.Input, p.Output
		if l := g.limiters[t.Provider]; l != nil {
			h.InFlight, h.Waiting, h.Limit = l.now()
		}
		for _, name := range slices.Sorted(maps.Keys(g.routes)) {
			if slices.Contains(g.routes[name].targets, t) {
				h.Routes = append(h.Routes, name)
			}
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b core.ModelHealth) int { return strings.Compare(a.Target, b.Target) })
	return out
}

func (s *targetState) health() core.ModelHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := core.ModelHealth{
		Target: s.target.String(), Provider: s.target.Provider, State: s.word(), Calls: s.calls, Failures: s.failures,
		FirstWordMS: float64(s.firstWord.Microseconds()) / 1000, CostUSD: float64(s.cost) / 1e6, LastError: s.failure, Routes: []string{},
	}
	if !s.failedAt.IsZero() && s.failure != "" {
		h.LastErrorAt = new(s.failedAt.UTC())
	}
	if s.breaker.IsOpen() {
		h.NextProbe = new(time.Now().Add(s.breaker.RemainingDelay()).UTC())
	}
	return h
}

// Routes tells how the routes are made, sorted by name.
func (g *Gateway) Routes() []core.ModelRoute {
	out := make([]core.ModelRoute, 0, len(g.routes))
	for _, name := range slices.Sorted(maps.Keys(g.routes)) {
		r := g.routes[name]
		m := core.ModelRoute{
			Name: name, Strategy: string(r.Strategy), Sticky: r.Sticky, HedgeMS: r.Hedge.Milliseconds(), Cache: string(r.Cache),
			Guardrails: slices.Concat([]string{}, g.policies(r)), Fallback: []string{}, Targets: []core.ModelRouteTarget{},
		}
		if m.Strategy == "" {
			m.Strategy = string(InOrder)
		}
		if m.Cache == "" {
			m.Cache = "off"
		}
		for _, f := range r.Fallback {
			m.Fallback = append(m.Fallback, string(f))
		}
		for i, t := range r.targets {
			m.Targets = append(m.Targets, core.ModelRouteTarget{Target: t.String(), Weight: r.Targets[i].Weight, State: g.state(t)})
		}
		out = append(out, m)
	}
	return out
}
