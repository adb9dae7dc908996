package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Setting is one effective value, as `sutazai config show` prints it.
type Setting struct {
	Key        string `json:"key"`
	Value      string `json:"value"`  // secrets hidden
	Origin     string `json:"origin"` // "default", "config/production/sutazai.yaml:8", "/etc/sutazai.yaml:7", "env SUTAZAI_LOG_LEVEL", "--set"
	Reloadable bool   `json:"reloadable"`
}

// Show returns every effective value with its origin, in the order of the shared file; entries of maps by name.
func (c *Config) Show() []Setting {
	settings := []Setting{}
	if c.origin == nil {
		return settings
	}
	for _, l := range flatten(c.origin.tree, c.origin.root) {
		settings = append(settings, Setting{Key: l.key, Value: l.show(), Origin: l.node.at.String(), Reloadable: l.spec.reload})
	}
	return settings
}

// Diff says which settings differ: those that a running server can take over, and those that need a restart.
func Diff(before, after *Config) (reloadable, restart []string) {
	was, is := before.leaves(), after.leaves()
	either := maps.Clone(was)
	maps.Copy(either, is)
	for _, key := range slices.Sorted(maps.Keys(either)) {
		w, had := was[key]
		i, has := is[key]
		switch {
		case had && has && w.identity() == i.identity():
		case had && has && w.spec.reload:
			reloadable = append(reloadable, key)
		default:
			restart = append(restart, key)
		}
	}
	return reloadable, restart
}

// leaves returns the effective values by key.
func (c *Config) leaves() map[string]leaf {
	byKey := map[string]leaf{}
	if c.origin != nil {
		for _, l := range flatten(c.origin.tree, c.origin.root) {
			byKey[l.key] = l
		}
	}
	return byKey
}

// leaf is a value at the end of the tree: one value, a list, or a map without entries.
type leaf struct {
	key  string
	spec *spec
	node *node
}

// flatten lists the leaves of a merged tree, in the order of the description.
func flatten(n *node, s *spec) []leaf {
	var leaves []leaf
	var walk func(n *node, s *spec, path string)
	walk = func(n *node, s *spec, path string) {
		switch {
		case n == nil:
		case s.kind == kindSection && n.shape == shapeMapping:
			for _, f := range s.fields {
				walk(n.fields[f.key], f, join(path, f.key))
			}
		case s.kind == kindMap && n.shape == shapeMapping && len(n.fields) > 0:
			for _, key := range slices.Sorted(maps.Keys(n.fields)) {
				walk(n.fields[key], s.elem, join(path, key))
			}
		default:
			leaves = append(leaves, leaf{path, s, n})
		}
	}
	walk(n, s, "")
	return leaves
}

// secret returns the value as a Secret; only for settings that are one.
func (l leaf) secret(env *environ) Secret {
	return Secret{&secretValue{key: l.key, text: &l.node.text, dir: l.node.at.dir, env: env, url: l.spec.format == "database"}}
}

// show returns the value as it may be seen.
func (l leaf) show() string {
	switch l.spec.kind {
	case kindSecret:
		return l.secret(nil).String()
	case kindMap:
		return "{}"
	case kindList:
		text, err := json.Marshal(l.node.plain(l.spec))
		if err != nil { // strings and maps of strings always encode
			return "[]"
		}
		return string(text)
	}
	return l.node.text
}

// plain returns a value as JSON has it, secrets hidden; durations and sizes as they are written.
func (n *node) plain(s *spec) any {
	switch {
	case s.kind == kindList:
		list := []any{}
		for _, item := range n.items {
			list = append(list, item.plain(s.elem))
		}
		return list
	case s.kind == kindSection:
		fields := map[string]any{}
		for _, f := range s.fields {
			if child := n.fields[f.key]; child != nil {
				fields[f.key] = child.plain(f)
			}
		}
		return fields
	case s.kind == kindInteger || s.kind == kindNumber || s.kind == kindBool:
		if value, problem := s.value(n); problem == "" {
			return value
		}
	}
	return leaf{spec: s, node: n}.show()
}

// identity is equal for equal values, however they are written ("60s", "1m"). It may hold a secret: only compare it.
func (l leaf) identity() string {
	switch {
	case l.spec.kind == kindSecret && strings.HasPrefix(l.node.text, "file:"):
		return l.node.at.dir + "\x00" + l.node.text
	case l.spec.leaf():
		value, _ := l.spec.value(l.node)
		return fmt.Sprint(value)
	case l.spec.kind == kindList:
		var items []string
		for _, item := range l.node.items {
			items = append(items, leaf{spec: l.spec.elem, node: item}.identity())
		}
		return strings.Join(items, "\x00")
	case l.spec.kind == kindSection:
		var fields []string
		for _, f := range l.spec.fields {
			if child := l.node.fields[f.key]; child != nil {
				fields = append(fields, f.key+"="+leaf{spec: f, node: child}.identity())
			}
		}
		return strings.Join(fields, "\x00")
	}
	return l.show()
}
