package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/internal/nearest"
)

// checkModels reports what is impossible in combination in the settings of the model gateway.
func checkModels(c *Config, tree *node, found *findings) {
	m := modelsChecker{c: c.Models, tree: tree, found: found}
	if c.Models.Retry.Base > c.Models.Retry.Max && !found.about("models.retry") {
		found.add(tree.placeOf("models", "retry", "base"), "models.retry.base", "is %s, longer than models.retry.max (%s, %s); expected base to be at most max",
			c.Models.Retry.Base, c.Models.Retry.Max, tree.placeOf("models", "retry", "max"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models.Providers)) {
		m.provider(name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Models.Routes)) {
		m.route(name)
	}
	if model := c.Models.Cache.Semantic.Model; model != "" {
		m.target(model, tree.placeOf("models", "cache", "semantic", "model"), "models.cache.semantic.model")
	}
	m.guardrailNames(c.Models.DefaultGuardrails, "models", "default_guardrails")
	for _, name := range slices.Sorted(maps.Keys(c.Models.Guardrails)) {
		m.guardrail(name)
	}
}

// modelsChecker holds what the checks of the gateway's settings need.
type modelsChecker struct {
	c     Models
	tree  *node
	found *findings
}

// fieldRule says which kinds a field is for: other kinds must leave it as it is by default.
type fieldRule struct {
	field  string
	set    bool     // the field has a value of its own
	kinds  []string // that know the field
	needed bool     // they cannot do without
}

// fields holds a mapping with a kind to its rules.
func (m modelsChecker) fields(kind, key string, n *node, rules []fieldRule) {
	kindChecker{m.found}.fields("kind", kind, key, n, rules)
}

// kindChecker holds mappings to the rules of their kind.
type kindChecker struct{ found *findings }

// fields holds a mapping to its rules; word is the field that says its kind.
func (m kindChecker) fields(word, kind, key string, n *node, rules []fieldRule) {
	at := func(field string) place {
		if child := n.lookup(field); child != nil && child.at.source != originDefault {
			return child.at
		}
		return n.at
	}
	for _, r := range rules {
		if m.found.about(key + "." + r.field) {
			continue
		}
		switch knows := slices.Contains(r.kinds, kind); {
		case r.set && !knows:
			m.found.add(at(r.field), key+"."+r.field, "has no meaning where %s is %s; expected none: it is for %s", word, kind, strings.Join(r.kinds, ", "))
		case r.needed && knows && !r.set:
			m.found.add(at(r.field), key+"."+r.field, "is missing; expected a value, since %s is %s", word, kind)
		}
	}
}

func (m modelsChecker) provider(name string) {
	key := "models.providers." + name
	n := m.tree.lookup("models", "providers", name)
	if name == "agent" {
		m.found.add(n.at, key, "the name agent is taken: agent/<name> is an agent as a model; expected another name")
	}
	p := m.c.Providers[name]
	if p.Kind == "" { // missing or wrong, which is already said
		return
	}
	if example := map[string]string{"openai": "https://api.example.com/v1", "azure": "https://name.openai.azure.com"}[p.Kind]; example != "" &&
		p.BaseURL == "" && !m.found.about(key+".base_url") {
		m.found.add(n.at, key+".base_url", "is missing; expected the address of the API, such as %s, since kind is %s", example, p.Kind)
	}
	m.fields(p.Kind, key, n, []fieldRule{
		{"region", p.Region != "", []string{"bedrock"}, true},
		{"api_version", p.APIVersion != "", []string{"azure"}, false},
		{"deployments", len(p.Deployments) > 0, []string{"azure"}, false},
		{"quirks", p.Quirks != "auto", []string{"openai"}, false},
	})
}

func (m modelsChecker) route(name string) {
	route := m.c.Routes[name]
	key := "models.routes." + name
	n := m.tree.lookup("models", "routes", name)
	list := n.lookup("targets")
	if list == nil { // missing or wrong, which is already said
		return
	}
	listKey := key + ".targets"
	if list.inPlace {
		listKey = key
	}
	if len(route.Targets) == 0 {
		m.found.add(list.at, listKey, "is an empty list; expected at least one target, such as [{target: local/default}]")
	}
	weights := 0
	for i, target := range route.Targets {
		m.target(target.Target, list.items[i].placeOf("target"), fmt.Sprintf("%s[%d].target", listKey, i))
		weights += target.Weight
	}
	if route.Strategy == "weighted" && weights == 0 && len(route.Targets) > 0 {
		m.found.add(list.at, listKey, "every weight is 0; expected at least one target with a weight, since strategy is weighted")
	}
	if route.Cache == "semantic" && m.c.Cache.Semantic.Model == "" && !m.found.about("models.cache.semantic") {
		m.found.add(n.placeOf("cache"), key+".cache", "is semantic, but there is no model that tells what means the same; set models.cache.semantic.model to an embedding model, or this to exact")
	}
	m.guardrailNames(route.Guardrails, "models", "routes", name, "guardrails")
}

// target reports a model whose provider there is not.
func (m modelsChecker) target(text string, at place, key string) {
	provider, _, ok := strings.Cut(text, "/")
	if _, known := m.c.Providers[provider]; known || !ok {
		return
	}
	if m.found.about("models.providers." + provider) {
		return // it is there, and what is wrong with it is already said
	}
	names := slices.Sorted(maps.Keys(m.c.Providers))
	m.found.add(at, key, "%q names the provider %q, which is not in models.providers; expected one of %s%s",
		text, provider, strings.Join(names, ", "), didYouMean(nearest.Nearest(provider, names)))
}

// guardrailNames reports names that stand for nothing.
func (m modelsChecker) guardrailNames(list []string, path ...string) {
	names := slices.Sorted(maps.Keys(m.c.Guardrails))
	expected := "one of " + strings.Join(names, ", ")
	if len(names) == 0 {
		expected = "none, since that has no entries"
	}
	for i, name := range list {
		if _, known := m.c.Guardrails[name]; known || m.found.about("models.guardrails."+name) {
			continue
		}
		m.found.add(m.tree.lookup(path...).items[i].at, fmt.Sprintf("%s[%d]", strings.Join(path, "."), i),
			"%q is not in models.guardrails; expected %s%s", name, expected, didYouMean(nearest.Nearest(name, names)))
	}
}

func (m modelsChecker) guardrail(name string) {
	list := m.tree.lookup("models", "guardrails", name)
	checks := m.c.Guardrails[name]
	if len(checks) == 0 {
		m.found.add(list.at, "models.guardrails."+name, "is an empty list; expected at least one check, such as [{kind: secrets}]")
	}
	for i, check := range checks {
		key := fmt.Sprintf("models.guardrails.%s[%d]", name, i)
		m.fields(check.Kind, key, list.items[i], []fieldRule{
			{"pattern", check.Pattern != "", []string{"pattern"}, true},
			{"max_length", check.MaxLength != 0, []string{"pattern"}, false},
			{"types", len(check.Types) > 0, []string{"pii"}, false},
			{"max", check.Max != 0, []string{"size"}, true},
			{"models", len(check.Models) > 0, []string{"models"}, true},
			{"url", check.URL != "", []string{"http"}, true},
			{"format", check.Format != "generic", []string{"http"}, false},
			{"fail", check.Fail == "open", []string{"http"}, false},
		})
		if check.Action == "redact" && (check.Kind == "size" || check.Kind == "models") {
			m.found.add(list.items[i].placeOf("action"), key+".action", "is redact, but there is nothing to black out where kind is %s; expected block or flag", check.Kind)
		}
		if check.Kind == "models" && check.On == "output" {
			m.found.add(list.items[i].placeOf("on"), key+".on", "is output, but kind models looks at the call; expected input or both")
		}
	}
}
