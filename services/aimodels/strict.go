package aimodels

import (
	"encoding/json"
	"slices"
)

// FitsStrict says whether OpenAI's strict mode takes a schema; with any other, its servers refuse the whole request. Every
// object must be closed and require all that it names, and only some keywords are known.
func FitsStrict(schema json.RawMessage) bool {
	var root map[string]any
	if json.Unmarshal(schema, &root) != nil || root["type"] != "object" {
		return false
	}
	return fitsStrict(root)
}

func fitsStrict(v any) bool {
	s, ok := v.(map[string]any)
	if !ok {
		return false
	}
	for _, refused := range []string{"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"} {
		if _, there := s[refused]; there {
			return false
		}
	}
	properties, _ := s["properties"].(map[string]any)
	if kinds, list := s["type"].([]any); properties != nil || s["type"] == "object" || list && slices.Contains(kinds, "object") {
		required, _ := s["required"].([]any)
		if s["additionalProperties"] != false || len(required) != len(properties) {
			return false
		}
		for name := range properties {
			if !slices.Contains(required, any(name)) {
				return false
			}
		}
	}
	for _, key := range []string{"properties", "$defs", "definitions"} {
		named, _ := s[key].(map[string]any)
		for _, inner := range named {
			if !fitsStrict(inner) {
				return false
			}
		}
	}
	choices, _ := s["anyOf"].([]any)
	for _, inner := range choices {
		if !fitsStrict(inner) {
			return false
		}
	}
	items, there := s["items"]
	return !there || fitsStrict(items)
}
