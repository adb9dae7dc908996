package guardrails

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// Guard holds the policies. It is safe to use from several goroutines.
type Guard struct {
	policies map[string]*Policy
}

// Policy is a list of checks under a name.
type Policy struct {
	name   string
	checks []*check
	deps   Deps
}

// check is a Check that is ready to be used. One of detector, hook and models is set, or max for the size.
type check struct {
	name     string
	kind     Kind
	on       Direction
	action   Action
	detector detector
	hook     *hook
	models   []string
	max      int
}

// New builds the policies. An error is a core.Error of CodeInvalid that names every policy and check with a mistake.
func New(cfg Config, deps Deps) (*Guard, error) {
	b := builder{deps: deps}
	g := &Guard{policies: map[string]*Policy{}}
	for _, name := range slices.Sorted(maps.Keys(cfg.Policies)) {
		p := &Policy{name: name, deps: deps}
		for i, c := range cfg.Policies[name] {
			b.at = name + "[" + strconv.Itoa(i) + "]"
			one := b.check(c)
			one.name = uniqueName(c, p.checks)
			p.checks = append(p.checks, one)
			if slices.ContainsFunc(p.checks[:i], func(o *check) bool { return o.name == one.name }) {
				b.wrong("name", "another check of this policy is called %q; names tell findings and metrics apart", one.name)
			}
		}
		g.policies[name] = p
	}
	if len(b.problems) > 0 {
		messages := make([]string, len(b.problems))
		for i, p := range b.problems {
			messages[i] = p.Field + ": " + p.Message
		}
		return nil, &core.Error{Code: core.CodeInvalid, Message: "guardrails: " + strings.Join(messages, "; "), Fields: b.problems}
	}
	return g, nil
}

// uniqueName returns a check's name: the configured one, or its kind, with a number where the kind's name is taken.
func uniqueName(c Check, before []*check) string {
	if c.Name != "" {
		return c.Name
	}
	name := string(c.Kind)
	for n := 2; slices.ContainsFunc(before, func(o *check) bool { return o.name == name }); n++ {
		name = string(c.Kind) + "-" + strconv.Itoa(n)
	}
	return name
}

// Names returns the names of the policies, sorted.
func (g *Guard) Names() []string { return slices.Sorted(maps.Keys(g.policies)) }

// Policy returns a policy by its name; the error is a core.Error of CodeInvalid that says which ones there are.
func (g *Guard) Policy(name string) (*Policy, error) {
	if p := g.policies[name]; p != nil {
		return p, nil
	}
	if len(g.policies) == 0 {
		return nil, core.Errorf(core.CodeInvalid, "there is no guardrails policy %q; none is configured under models.guardrails", name)
	}
	return nil, core.Errorf(core.CodeInvalid, "there is no guardrails policy %q; configured are: %s", name, strings.Join(g.Names(), ", "))
}

// Name returns the policy's name.
func (p *Policy) Name() string { return p.name }

// On says whether the policy has checks for texts in a direction. Without, text needs not be shown to it at all.
func (p *Policy) On(dir Direction) bool { return len(p.texts(dir)) > 0 }

// texts returns the checks for texts in a direction.
func (p *Policy) texts(dir Direction) []*check {
	var out []*check
	for _, c := range p.checks {
		if c.kind != KindModels && (c.on == Both || c.on == dir) {
			out = append(out, c)
		}
	}
	return out
}

// AllowModel checks the name of a model, "provider/model" or a route's, by the checks of kind models. The error is a
// core.Error of CodeRefused.
func (p *Policy) AllowModel(model string) error {
	for _, c := range p.checks {
		if c.kind != KindModels || slices.ContainsFunc(c.models, func(g string) bool { return globMatch(g, model) }) {
			continue
		}
		p.observe(c, Input, c.action)
		if c.action == Block {
			return core.Errorf(core.CodeRefused, "the guardrail %s/%s does not allow the model %q; it allows: %s",
				p.name, c.name, model, strings.Join(c.models, ", "))
		}
	}
	return nil
}

func (p *Policy) observe(c *check, dir Direction, action Action) {
	if p.deps.Observe != nil {
		p.deps.Observe(p.name, c.name, dir, action)
	}
}

// globMatch matches a name with a pattern in which * stands for any text and ? for one byte.
func globMatch(glob, name string) bool {
	// star and mark are where to go on when what follows the last * does not match.
	star, mark, g, n := -1, 0, 0, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, mark, g = g, n, g+1
		case g < len(glob) && (glob[g] == '?' || glob[g] == name[n]):
			g, n = g+1, n+1
		case star >= 0:
			mark++
			g, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}
