package mcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/sutazai/sutazai/core"
)

// maxChanges bounds what is listed of one tool.
const maxChanges = 200

// changes lists what differs between two definitions, by the paths of their fields, sorted.
func changes(before, after string) []core.MCPChange {
	out := []core.MCPChange{}
	was, is := leaves(before), leaves(after)
	paths := maps.Clone(was)
	maps.Copy(paths, is)
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if was[p] == is[p] {
			continue
		}
		if len(out) == maxChanges {
			break
		}
		out = append(out, core.MCPChange{Field: p, Before: was[p], After: is[p]})
	}
	return out
}

// leaves flattens JSON: the path of each value that holds no other to its text.
func leaves(text string) map[string]string {
	out := map[string]string{}
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		flatten("", v, out)
	}
	return out
}

func flatten(path string, v any, out map[string]string) {
	join := func(key string) string {
		if path == "" {
			return key
		}
		return path + "." + key
	}
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			flatten(join(key), child, out)
		}
		if len(v) == 0 {
			out[path] = "{}"
		}
	case []any:
		for i, child := range v {
			flatten(join(strconv.Itoa(i)), child, out)
		}
		if len(v) == 0 {
			out[path] = "[]"
		}
	case string:
		out[path] = shown(v)
	default:
		out[path] = fmt.Sprint(v)
	}
}

// shown makes characters that nobody sees visible, so that a person knows what they approve.
func shown(s string) string {
	if visible(s) == s {
		return s
	}
	return strconv.QuoteToASCII(s)
}
