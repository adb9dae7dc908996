package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/internal/nearest"
)

// envPrefix begins every variable that sets something.
const envPrefix = "SUTAZAI_"

// otherVariables are known, but no settings: they choose layers, or belong to the command line as a client.
func otherVariables() []string {
	return []string{"SUTAZAI_ENV", "SUTAZAI_CONFIG", "SUTAZAI_API_KEY", "SUTAZAI_SERVER"}
}

// serviceVariable matches what Kubernetes adds to every container beside a Service whose name begins with sutazai.
var serviceVariable = regexp.MustCompile(`^(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// notMeant reports whether a variable is no attempt to give a setting: one of the others, one of the tests, or one that
// Kubernetes made. SUTAZAI_PORT=8080 is such an attempt, SUTAZAI_PORT=tcp://10.0.0.1:80 is not.
func notMeant(name, rest, text string) bool {
	if slices.Contains(otherVariables(), name) || strings.HasPrefix(rest, "TEST_") || strings.HasPrefix(rest, "E2E_") {
		return true
	}
	return serviceVariable.MatchString(rest) || (strings.HasSuffix("_"+rest, "_PORT") && strings.Contains(text, "://"))
}

// envName returns the part of a variable's name that stands for a key.
func envName(key string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(key))
}

// assigner makes layers of single values: variables and --set. below is everything merged so far; it tells which
// entries of maps there are.
type assigner struct {
	root  *spec
	below *node
	found *findings
}

// variables makes the layer of the SUTAZAI_* variables. An empty variable counts as not set.
func (a assigner) variables(env []string) *node {
	layer := newMapping(place{source: "env"})
	for _, pair := range slices.Sorted(slices.Values(env)) {
		name, text, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || text == "" || notMeant(name, rest, text) {
			continue
		}
		at := place{source: "env " + name}
		path, s := a.fromVariable(a.root, a.below, rest)
		if s == nil {
			a.found.add(at, "", "unknown variable; expected the name of a setting, such as SUTAZAI_SERVER_LISTEN for server.listen%s",
				didYouMean(a.nearestVariable(rest)))
			continue
		}
		a.put(layer, path, s, text, at)
	}
	return layer
}

// fromVariable finds the setting that a variable's name (without what is already matched) stands for; nil for none.
func (a assigner) fromVariable(s *spec, below *node, rest string) (path []string, found *spec) {
	switch s.kind {
	case kindSection:
		for _, f := range s.fields {
			name := envName(f.key)
			if rest == name && f.kind != kindSection {
				return []string{f.key}, f
			}
			if deeper, ok := strings.CutPrefix(rest, name+"_"); ok {
				if path, found := a.fromVariable(f, below.lookup(f.key), deeper); found != nil {
					return append([]string{f.key}, path...), found
				}
			}
		}
	case kindMap:
		return a.entryFromVariable(s, below, rest)
	}
	return nil, nil
}

// entryFromVariable finds an entry that exists, or names a new one where the map allows that.
func (a assigner) entryFromVariable(s *spec, below *node, rest string) (path []string, found *spec) {
	whole := s.elem.kind != kindSection || s.elem.short != nil // a variable may hold the whole entry
	if below != nil {
		for _, key := range below.keys {
			if rest == envName(key) && whole {
				return []string{key}, s.elem
			}
			if deeper, ok := strings.CutPrefix(rest, envName(key)+"_"); ok {
				if path, found := a.fromVariable(s.elem, below.fields[key], deeper); found != nil {
					return append([]string{key}, path...), found
				}
			}
		}
	}
	if !s.envKeys {
		return nil, nil
	}
	if s.elem.kind != kindSection {
		return []string{strings.ToLower(rest)}, s.elem
	}
	for i, r := range rest {
		if r == '_' && i > 0 {
			if path, found := a.fromVariable(s.elem, nil, rest[i+1:]); found != nil {
				return append([]string{strings.ToLower(rest[:i])}, path...), found
			}
		}
	}
	if whole {
		return []string{strings.ToLower(rest)}, s.elem
	}
	return nil, nil
}

// nearestVariable returns the name that was probably meant, "" for none. The names are compared without the prefix,
// which all share.
func (a assigner) nearestVariable(rest string) string {
	var names []string
	for _, name := range otherVariables() {
		names = append(names, strings.TrimPrefix(name, envPrefix))
	}
	for _, l := range flatten(a.below, a.root) {
		names = append(names, envName(l.key))
	}
	if name := nearest.Nearest(rest, names); name != "" {
		return envPrefix + name
	}
	return ""
}

// flag makes the layer of one --set key=value.
func (a assigner) flag(assignment string) *node {
	at := place{source: "--set"}
	layer := newMapping(at)
	key, text, ok := strings.Cut(assignment, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		a.found.add(at, "", "there is no key=value in it; expected something such as --set log.level=debug")
		return layer
	}
	path, s, problem := a.fromKey(a.root, strings.Split(key, "."))
	if s == nil {
		a.found.add(at, key, "%s", problem)
		return layer
	}
	a.put(layer, path, s, text, at)
	return layer
}

// fromKey finds the setting of a dotted key. A map's key may itself hold dots (a model's name): the shortest key that
// leaves a known setting is taken.
func (a assigner) fromKey(s *spec, parts []string) (path []string, found *spec, problem string) {
	if len(parts) == 0 {
		return nil, s, ""
	}
	switch s.kind {
	case kindSection:
		f := s.field(parts[0])
		if f == nil {
			return nil, nil, vetter{root: a.root}.unknown(parts[0], s)
		}
		path, found, problem = a.fromKey(f, parts[1:])
		return append([]string{f.key}, path...), found, problem
	case kindMap:
		for i := 1; i <= len(parts); i++ {
			key := strings.Join(parts[:i], ".")
			if i > 1 && !s.keys.MatchString(key) {
				break
			}
			path, found, deeper := a.fromKey(s.elem, parts[i:])
			if found != nil {
				return append([]string{key}, path...), found, ""
			}
			if problem == "" {
				problem = deeper
			}
		}
		return nil, nil, problem
	}
	return nil, nil, fmt.Sprintf("unknown key; %s is one value and has no keys below it", s.key)
}

// put writes a text into a layer as what the setting holds.
func (a assigner) put(layer *node, path []string, s *spec, text string, at place) {
	value := a.fromText(s, text, at, strings.Join(path, "."))
	if value == nil {
		return
	}
	n := layer
	for _, key := range path[:len(path)-1] {
		child := n.fields[key]
		if child == nil || child.shape != shapeMapping {
			child = newMapping(at)
			n.set(key, child)
		}
		n = child
	}
	n.set(path[len(path)-1], value)
}

// fromText reads the text of a variable or flag: as it is for one value, separated by commas or as YAML for a list,
// as YAML for everything else.
func (a assigner) fromText(s *spec, text string, at place, key string) *node {
	if s.leaf() {
		return &node{shape: shapeRaw, text: text, at: at}
	}
	trimmed := strings.TrimSpace(text)
	if s.kind == kindList && s.elem.leaf() && !strings.HasPrefix(trimmed, "[") {
		list := &node{shape: shapeList, at: at}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list.items = append(list.items, &node{shape: shapeRaw, text: part, at: at})
			}
		}
		return list
	}
	before := len(a.found.list)
	value := parseYAML([]byte(trimmed), at, key, a.found)
	if value == nil && len(a.found.list) == before { // nothing in it
		return &node{shape: shapeNull, at: at}
	}
	if value != nil && value.shape == shapeList && s.short != nil { // so that a further variable can add to it
		value.inPlace = true
		section := newMapping(at)
		section.set(s.short.key, value)
		return section
	}
	return value
}
