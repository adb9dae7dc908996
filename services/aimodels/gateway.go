package aimodels

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sutazai/sutazai/core"
)

// Gateway resolves a model's or route's name and calls its targets in order, with retries and circuit breakers.
// It starts no goroutine that outlives a call.
type Gateway struct {
	cfg       Config
	providers map[string]Endpoint
	routes    map[string][]Target

	mu       sync.Mutex
	breakers map[Target]circuitbreaker.CircuitBreaker[any]
	failures map[Target]string // why a target failed last
}

// NewGateway makes a gateway over the named providers. A route that names no target, or a target without a configured
// provider, is an error with code core.CodeInvalid.
func NewGateway(cfg Config, providers map[string]Endpoint) (*Gateway, error) {
	g := &Gateway{
		cfg:       cfg.withDefaults(),
		providers: maps.Clone(providers),
		routes:    map[string][]Target{},
		breakers:  map[Target]circuitbreaker.CircuitBreaker[any]{},
		failures:  map[Target]string{},
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		targets, err := g.parseRoute(name, cfg.Routes[name])
		if err != nil {
			return nil, err
		}
		g.routes[name] = targets
	}
	return g, nil
}

func (g *Gateway) parseRoute(name string, list []string) ([]Target, error) {
	if len(list) == 0 {
		return nil, core.Errorf(core.CodeInvalid, "models.routes.%s has no target; give it at least one \"provider/model\"", name)
	}
	var targets []Target
	for i, s := range list {
		t, ok := ParseTarget(s)
		if !ok {
			return nil, core.Errorf(core.CodeInvalid, "models.routes.%s[%d].target: %q is not of the form \"provider/model\"", name, i, s)
		}
		if _, ok := g.providers[t.Provider]; !ok {
			return nil, core.Errorf(core.CodeInvalid, "models.routes.%s[%d].target: there is no provider %q under models.providers%s",
				name, i, t.Provider, didYouMean(t.Provider, slices.Collect(maps.Keys(g.providers))))
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// Check says whether name is a configured route or "provider/model"; a wrong one is core.CodeInvalid with the nearest
// valid name. It asks no server: which models a provider really has is known only when it is called.
func (g *Gateway) Check(name string) error {
	_, err := g.resolve(name)
	return err
}

func (g *Gateway) resolve(name string) ([]Target, error) {
	if targets, ok := g.routes[name]; ok {
		return targets, nil
	}
	t, ok := ParseTarget(name)
	if ok {
		if _, known := g.providers[t.Provider]; known {
			return []Target{t}, nil
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
	for name, targets := range g.routes {
		all = append(all, core.Model{ID: name, Provider: targets[0].Provider, Kind: "route", State: g.state(targets[0]), Detail: routeDetail(targets)})
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
