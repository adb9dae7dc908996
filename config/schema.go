package config

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/sutazai/sutazai/core"
)

// schemaNode is what is used of JSON Schema 2020-12.
type schemaNode struct {
	Schema               string                 `json:"$schema,omitempty"`
	Title                string                 `json:"title,omitempty"`
	Description          string                 `json:"description,omitempty"`
	Type                 any                    `json:"type,omitempty"` // a name or a list of names
	Enum                 []string               `json:"enum,omitempty"`
	Pattern              string                 `json:"pattern,omitempty"`
	Minimum              *float64               `json:"minimum,omitempty"`
	Maximum              *float64               `json:"maximum,omitempty"`
	AnyOf                []*schemaNode          `json:"anyOf,omitempty"`
	OneOf                []*schemaNode          `json:"oneOf,omitempty"`
	Default              any                    `json:"default,omitempty"`
	Properties           map[string]*schemaNode `json:"properties,omitempty"`
	PropertyNames        *schemaNode            `json:"propertyNames,omitempty"`
	AdditionalProperties any                    `json:"additionalProperties,omitempty"` // false or a schema
	Required             []string               `json:"required,omitempty"`
	Items                *schemaNode            `json:"items,omitempty"`
}

// Schema returns the JSON Schema (2020-12) of a settings file, for editors: the keys with their descriptions, defaults
// and what they may hold. What is wrong only in combination is left to Load.
func Schema() ([]byte, error) {
	content, err := layerFiles.ReadFile(sharedFile)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the built-in settings cannot be read")
	}
	found := &findings{}
	shared := parseYAML(content, place{source: sharedFile, line: 1}, "", found)
	if err := found.err(); err != nil {
		return nil, err
	}
	schema := describe().schema(shared)
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "SutazAI settings"
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the schema cannot be written")
	}
	return append(text, '\n'), nil
}

// schema describes a setting; shared is its default in the shared file with the comment above it, nil inside maps and
// lists, where the tags say both.
func (s *spec) schema(shared *node) *schemaNode {
	n := &schemaNode{Description: s.doc}
	if shared != nil && shared.comment != "" {
		n.Description = shared.comment
	}
	switch s.kind {
	case kindSection:
		n.Type = []string{"object", "null"}
		n.AdditionalProperties = false
		n.Properties = map[string]*schemaNode{}
		for _, f := range s.fields {
			n.Properties[f.key] = f.schema(shared.lookup(f.key))
		}
		if s.short != nil {
			return &schemaNode{OneOf: []*schemaNode{s.short.schema(nil), n}}
		}
		return n
	case kindMap:
		n.Type = []string{"object", "null"}
		n.PropertyNames = &schemaNode{Pattern: s.keys.String()}
		elem := s.elem.schema(nil)
		if elem.Type != nil { // an empty entry removes one of a layer below
			elem.Type = nullable(elem.Type)
		}
		n.AdditionalProperties = elem
	case kindList:
		n.Type = "array"
		n.Items = s.elem.schema(nil)
		for _, f := range s.elem.fields { // lists are replaced as a whole, so that an item must be complete
			if f.required {
				n.Items.Type = "object"
				n.Items.Required = append(n.Items.Required, f.key)
			}
		}
	default:
		s.leafSchema(n)
	}
	n.Default = s.schemaDefault(shared)
	return n
}

func (s *spec) leafSchema(n *schemaNode) {
	switch s.kind {
	case kindText, kindSecret:
		n.Type = "string"
		n.Enum = s.enum
		n.Pattern = formatPattern(s.format)
	case kindBool:
		n.Type = "boolean"
	case kindInteger:
		n.Type = "integer"
		n.Minimum, n.Maximum = s.schemaBound(s.min), s.schemaBound(s.max)
	case kindNumber:
		n.Type = "number"
		n.Minimum, n.Maximum = s.schemaBound(s.min), s.schemaBound(s.max)
	case kindDuration:
		n.Type = "string"
		n.Pattern = durationPattern
		n.Description += s.boundsInWords()
	case kindSize:
		n.AnyOf = []*schemaNode{
			{Type: "integer", Minimum: s.schemaBound(s.min), Maximum: s.schemaBound(s.max)},
			{Type: "string", Pattern: sizePattern},
		}
		n.Description += s.boundsInWords()
	}
}

func (s *spec) schemaBound(text string) *float64 {
	if text == "" {
		return nil
	}
	bound := s.bound(text)
	return &bound
}

// boundsInWords tells the bounds that a pattern cannot.
func (s *spec) boundsInWords() string {
	switch {
	case s.min != "" && s.max != "":
		return fmt.Sprintf(" From %s to %s.", s.min, s.max)
	case s.min != "":
		return fmt.Sprintf(" At least %s.", s.min)
	}
	return ""
}

// schemaDefault returns the default in JSON's types; nil where nothing is a default.
func (s *spec) schemaDefault(shared *node) any {
	if shared == nil {
		if s.fallback == nil {
			return nil
		}
		shared = s.defaultNode()
	}
	return shared.typed(s)
}

// typed returns a value in JSON's own types.
func (n *node) typed(s *spec) any {
	switch s.kind {
	case kindMap:
		entries := map[string]any{}
		for key, child := range n.fields {
			entries[key] = child.typed(s.elem)
		}
		return entries
	case kindSection:
		fields := map[string]any{}
		for key, child := range n.fields {
			if f := s.field(key); f != nil {
				fields[key] = child.typed(f)
			}
		}
		return fields
	case kindList:
		items := []any{}
		for _, item := range n.items {
			items = append(items, item.typed(s.elem))
		}
		return items
	case kindBool:
		return n.text == "true"
	case kindInteger, kindNumber:
		if f, err := strconv.ParseFloat(n.text, 64); err == nil {
			return f
		}
	}
	return n.text
}

// nullable adds null to a schema's type.
func nullable(t any) any {
	if name, ok := t.(string); ok {
		return []string{name, "null"}
	}
	return t
}
