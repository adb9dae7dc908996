package constrained

import (
	"encoding/json"

	"github.com/sutazai/sutazai/core"
)

const (
	maxItems     = 16 // items of an array that has no bound of its own
	maxDepth     = 6  // levels of nested objects; below, a plain string takes their place
	maxSmallList = 24 // tools that are written into one schema
)

type schema = map[string]any

// parameters parses a tool's parameters; what is not an object's schema counts as one without properties.
func parameters(spec core.ToolSpec) schema {
	var s schema
	if json.Unmarshal(spec.Parameters, &s) != nil || s == nil {
		s = schema{}
	}
	return s
}

// bounder rewrites schemas into what constrained decoding can bear: every string and array bounded, no keyword that a
// grammar cannot express, references put in place.
type bounder struct {
	maxString int
	defs      schema // of the schema being rewritten, by "#/$defs/name"
}

func (b bounder) object(s schema) schema {
	b.defs = schema{}
	for _, key := range []string{"$defs", "definitions"} {
		if defs, ok := s[key].(schema); ok {
			for name, d := range defs {
				b.defs["#/"+key+"/"+name] = d
			}
		}
	}
	s["type"] = "object"
	return b.rewrite(s, 0)
}

func (b bounder) rewrite(s schema, depth int) schema {
	text := schema{"type": "string", "maxLength": b.maxString}
	if depth > maxDepth {
		return text
	}
	if ref, ok := s["$ref"].(string); ok {
		target, ok := b.defs[ref].(schema)
		if !ok {
			return text
		}
		return b.rewrite(target, depth+1)
	}
	if v, ok := s["const"]; ok {
		return schema{"const": v}
	}
	if v, ok := s["enum"].([]any); ok {
		return schema{"enum": v}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list, ok := s[key].([]any); ok {
			return schema{"anyOf": b.list(list, depth)}
		}
	}
	switch kind := s["type"].(type) {
	case []any:
		var alternatives []any
		for _, k := range kind {
			one := schema{}
			for key, v := range s {
				one[key] = v
			}
			one["type"] = k
			alternatives = append(alternatives, b.rewrite(one, depth+1))
		}
		return schema{"anyOf": alternatives}
	case string:
		return b.typed(kind, s, depth)
	}
	if _, ok := s["properties"]; ok {
		return b.typed("object", s, depth)
	}
	return text
}

func (b bounder) list(list []any, depth int) []any {
	var out []any
	for _, v := range list {
		if s, ok := v.(schema); ok {
			out = append(out, b.rewrite(s, depth+1))
		}
	}
	return out
}

func (b bounder) typed(kind string, s schema, depth int) schema {
	out := schema{"type": kind}
	keep := func(keys ...string) {
		for _, k := range keys {
			if v, ok := s[k]; ok {
				out[k] = v
			}
		}
	}
	switch kind {
	case "string":
		keep("minLength")
		out["maxLength"] = min(b.maxString, number(s["maxLength"], b.maxString))
		if n, ok := out["minLength"].(float64); ok && int(n) > b.maxString {
			delete(out, "minLength")
		}
	case "integer":
		keep("minimum", "maximum")
	case "array":
		items, ok := s["items"].(schema)
		if !ok {
			items = schema{"type": "string"}
		}
		out["items"] = b.rewrite(items, depth+1)
		out["maxItems"] = min(maxItems, number(s["maxItems"], maxItems))
		keep("minItems")
	case "object":
		properties, _ := s["properties"].(schema)
		rewritten := schema{}
		for name, v := range properties {
			if p, ok := v.(schema); ok {
				rewritten[name] = b.rewrite(p, depth+1)
			}
		}
		out["properties"], out["additionalProperties"] = rewritten, false
		keep("required")
	}
	return out
}

func number(v any, otherwise int) int {
	if f, ok := v.(float64); ok && f >= 0 {
		return int(f)
	}
	return otherwise
}

// required returns the names of the required properties in the order in which the tool's author wrote them there.
func required(s schema) []string {
	list, _ := s["required"].([]any)
	var names []string
	for _, v := range list {
		if name, ok := v.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null") // cannot be: everything here came from JSON
	}
	return b
}
