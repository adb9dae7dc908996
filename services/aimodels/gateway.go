package aimodels

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Gateway resolves a model's or route's name and calls its targets, with retries, circuit breakers, limits and accounts.
// It starts no goroutine that outlives a call; Probe is the caller's to run.
type Gateway struct {
	cfg       Config
	providers map[string]Endpoint
	routes    map[string]*route
	limiters  map[string]*limiter
	targets   *targetStates
	probing   atomic.Bool
	buffers   *buffers
	answers   *answerCache
	common    string          // what the answers of all routes depend on
	named     map[Target]bool // targets that the settings name; others come from callers
	seed      maphash.Seed
}

// NewGateway makes a gateway over the named providers. A route that names no target, or a target without a configured
// provider, is an error with code core.CodeInvalid.
func NewGateway(cfg Config, providers map[string]Endpoint) (*Gateway, error) {
	cfg = cfg.withDefaults()
	g := &Gateway{
		cfg: cfg, providers: maps.Clone(providers), routes: map[string]*route{}, limiters: map[string]*limiter{},
		seed: maphash.MakeSeed(), buffers: newBuffers(),
		answers: newAnswerCache(cfg.Cache),
	}
	g.common = fmt.Sprint(cfg.DefaultGuardrails, cfg.GuardsRevision)
	g.named = map[Target]bool{}
	for name := range cfg.Prices {
		if t, ok := ParseTarget(name); ok {
			g.named[t] = true
		}
	}
	for name := range providers {
		limit, ok := cfg.Limits[name]
		if !ok {
			limit = Limit{Queue: 64, Wait: 30 * time.Second}
		}
		g.limiters[name] = newLimiter(name, limit)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		r, err := g.newRoute(name, cfg.Routes[name])
		if err != nil {
			return nil, err
		}
		g.routes[name] = r
		for _, t := range r.targets {
			g.named[t] = true
		}
	}
	g.targets = newTargetStates(cfg, g.named)
	return g, nil
}

// label is a target's name where names are counted for long: one that only a caller has made up is not among them.
func (g *Gateway) label(t Target) string {
	if g.named[t] {
		return t.String()
	}
	return t.Provider + "/other"
}

// Check says whether name is a configured route or "provider/model"; a wrong one is core.CodeInvalid with the nearest
// valid name. It asks no server: which models a provider really has is known only when it is called.
func (g *Gateway) Check(name string) error {
	_, err := g.resolve(name)
	return err
}

// maxName is the longest name of a model, in bytes.
const maxName = 256

func (g *Gateway) resolve(name string) (*route, error) {
	if r, ok := g.routes[name]; ok {
		return r, nil
	}
	if len(name) > maxName || name != core.CleanText(name) {
		return nil, core.Errorf(core.CodeInvalid, "the model's name is longer than %d bytes or holds characters that no name has", maxName)
	}
	t, ok := ParseTarget(name)
	if ok {
		if _, known := g.providers[t.Provider]; known {
			return &route{targets: []Target{t}, Route: Route{Fallback: []Failure{}}, revision: g.common}, nil
		}
	}
	if name == "" {
		return nil, core.Errorf(core.CodeInvalid, "no model is named; give a route (%s) or \"provider/model\"", g.routeNames())
	}
	if ok {
		var names []string
		for p := range g.providers {
			names = append(names, p+"/"+t.Model)
		}
		return nil, core.Errorf(core.CodeInvalid, "unknown model %q: there is no provider %q under models.providers%s",
			name, t.Provider, didYouMean(name, names))
	}
	var names []string
	names = slices.AppendSeq(names, maps.Keys(g.routes))
	for p := range g.providers {
		names = append(names, p+"/default")
	}
	return nil, core.Errorf(core.CodeInvalid, "unknown model %q: it is neither a route (%s) nor of the form \"provider/model\"%s",
		name, g.routeNames(), didYouMean(name, names))
}

func (g *Gateway) routeNames() string {
	if len(g.routes) == 0 {
		return "none is configured under models.routes"
	}
	return fmt.Sprintf("%q", slices.Sorted(maps.Keys(g.routes)))
}

// Models lists the routes and every provider's models, sorted by id. A provider that does not answer within
// Config.ListTimeout is one entry "provider/*" whose Detail says why; that is no error.
func (g *Gateway) Models(ctx context.Context) ([]core.Model, error) {
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		all = []core.Model{}
	)
	for name, r := range g.routes {
		all = append(all, core.Model{ID: name, Provider: r.targets[0].Provider, Kind: "route", State: g.state(r.targets[0]), Detail: r.detail()})
	}
	for name, e := range g.providers {
		wg.Go(func() {
			list := g.list(ctx, name, e)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, list...)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b core.Model) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func (g *Gateway) list(ctx context.Context, name string, e Endpoint) []core.Model {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.ListTimeout)
	defer cancel()
	list, err := e.Provider.Models(ctx)
	if err != nil {
		return []core.Model{{ID: name + "/*", Provider: name, Kind: e.Kind, Detail: listFailure(err, g.cfg.ListTimeout)}}
	}
	for i := range list {
		m := &list[i]
		m.State = g.state(Target{Provider: name, Model: m.ID})
		m.ID, m.Provider, m.Kind = name+"/"+m.ID, name, e.Kind
	}
	return list
}

// state returns the state of a target's breaker; "" for a target that was not called yet.
func (g *Gateway) state(t Target) string {
	if s, ok := g.targets.peek(t); ok {
		return s.word()
	}
	return ""
}
