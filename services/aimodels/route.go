package aimodels

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Strategy says which target of a route is tried first.
type Strategy string

// The strategies.
const (
	InOrder      Strategy = "ordered"       // as they are written
	Weighted     Strategy = "weighted"      // by chance, in proportion to their weights
	LeastLatency Strategy = "least_latency" // the one whose first word came soonest of late
	Cheapest     Strategy = "cheapest"      // by Config.Prices
)

// Failure is a kind of failure after which a route may try its next target.
type Failure string

// The kinds of failures.
const (
	Overload Failure = "overload" // 429, a full queue, an open breaker
	Timeout  Failure = "timeout"
	Context  Failure = "context" // the conversation is too long for the model
	Refusal  Failure = "refusal"
	Fault    Failure = "error" // anything else that is the server's fault
)

// Route is what a public model name stands for.
type Route struct {
	Targets    []RouteTarget
	Strategy   Strategy      // "" = InOrder
	Fallback   []Failure     // nil = Overload, Timeout, Fault
	Sticky     bool          // a conversation stays with its target while that works
	Hedge      time.Duration // without a first word for so long, the next target is asked too; 0 = never
	Cache      CacheMode     // "" = off
	CacheTTL   time.Duration // 0 = the cache's own
	Threshold  float64       // of the semantic cache; 0 = the cache's own
	Guardrails []string      // policies that apply besides those of all calls
}

// RouteTarget is one place where a route may send a call.
type RouteTarget struct {
	Target string // "provider/model"
	Weight int    // share of the calls, for Weighted
}

// Ordered returns a route that tries its targets in order.
func Ordered(targets ...string) Route {
	var r Route
	for _, t := range targets {
		r.Targets = append(r.Targets, RouteTarget{Target: t, Weight: 1})
	}
	return r
}

// route is a Route whose targets have been found.
type route struct {
	Route
	name     string // "" for a model that was named itself
	targets  []Target
	revision string // changes with what its answers depend on
}

func (r *route) rule() CacheRule {
	return CacheRule{Mode: r.Cache, TTL: r.CacheTTL, Threshold: r.Threshold}
}

func (g *Gateway) newRoute(name string, r Route) (*route, error) {
	if len(r.Targets) == 0 {
		return nil, core.Errorf(core.CodeInvalid, "models.routes.%s has no target; give it at least one \"provider/model\"", name)
	}
	out := &route{Route: r, name: name}
	for i, rt := range r.Targets {
		t, ok := ParseTarget(rt.Target)
		if !ok {
			return nil, core.Errorf(core.CodeInvalid, "models.routes.%s[%d].target: %q is not of the form \"provider/model\"", name, i, rt.Target)
		}
		if _, ok := g.providers[t.Provider]; !ok {
			return nil, core.Errorf(core.CodeInvalid, "models.routes.%s[%d].target: there is no provider %q under models.providers%s",
				name, i, t.Provider, didYouMean(t.Provider, slices.Collect(maps.Keys(g.providers))))
		}
		out.targets = append(out.targets, t)
	}
	if out.Fallback == nil {
		out.Fallback = []Failure{Overload, Timeout, Fault}
	}
	out.revision = fmt.Sprint(out.detail(), out.Guardrails, g.common)
	return out, nil
}

// order returns the targets in the order in which they are tried. Those whose breaker is open come last: asking them
// costs nothing, but tells nothing new either.
func (g *Gateway) order(r *route, session string) []Target {
	if len(r.targets) == 1 {
		return r.targets
	}
	targets := slices.Clone(r.targets)
	switch {
	case r.Sticky && session != "":
		g.byAffinity(r, targets, session)
	case r.Strategy == Weighted:
		shuffle(r, targets)
	case r.Strategy == LeastLatency:
		slices.SortStableFunc(targets, func(a, b Target) int { return cmp.Compare(g.targets.get(a).latency(), g.targets.get(b).latency()) })
	case r.Strategy == Cheapest:
		slices.SortStableFunc(targets, func(a, b Target) int { return cmp.Compare(g.cfg.price(a).sum(), g.cfg.price(b).sum()) })
	}
	slices.SortStableFunc(targets, func(a, b Target) int {
		return cmp.Compare(open(g.targets.get(a)), open(g.targets.get(b)))
	})
	return targets
}

func open(s *targetState) int {
	if s.breaker.IsOpen() {
		return 1
	}
	return 0
}

// byAffinity sorts by rendezvous hashing (Thaler and Ravishankar, 1998) with weights: the same session gets the same
// order everywhere in this process, and a target that goes takes only its own sessions with it.
func (g *Gateway) byAffinity(r *route, targets []Target, session string) {
	score := map[Target]float64{}
	for i, t := range r.targets {
		h := maphash.String(g.seed, session+"\x00"+t.String())
		// -w/ln(u) with u uniform in (0, 1) makes shares proportional to the weights.
		u := (float64(h>>11) + 0.5) / (1 << 53)
		score[t] = -float64(max(r.Targets[i].Weight, 1)) / math.Log(u)
	}
	slices.SortStableFunc(targets, func(a, b Target) int { return cmp.Compare(score[b], score[a]) })
}

// shuffle draws the targets one after the other, each with the chance that its weight gives among those left.
func shuffle(r *route, targets []Target) {
	weights := make([]int, len(targets))
	for i := range targets {
		weights[i] = max(r.Targets[i].Weight, 0)
	}
	for i := range targets {
		total := 0
		for _, w := range weights[i:] {
			total += w
		}
		if total == 0 {
			return // weights of 0: only when the others fail, in order
		}
		n, at := rand.IntN(total), i
		for n >= weights[at] {
			n -= weights[at]
			at++
		}
		t, w := targets[at], weights[at]
		copy(targets[i+1:at+1], targets[i:at])
		copy(weights[i+1:at+1], weights[i:at])
		targets[i], weights[i] = t, w
	}
}

// fallsBack says whether the route's next target may be tried after err.
func (r *route) fallsBack(err error) bool {
	kind, ok := failureOf(err)
	return ok && slices.Contains(r.Fallback, kind)
}

func (r *route) detail() string {
	s := ""
	for i, t := range r.targets {
		if i > 0 {
			s += " → "
		}
		s += t.String()
	}
	if r.Strategy != "" && r.Strategy != InOrder {
		s = fmt.Sprintf("%s: %s", r.Strategy, s)
	}
	return s
}
