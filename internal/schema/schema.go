// Package schema compiles the JSON Schemas that agents and tools bring along. It owns the one rule about them: a schema
// stands alone, and nothing is read from a file or the network for it.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a compiled JSON Schema.
type Schema = jsonschema.Schema

const location = "schema:///schema"

// alone refuses references out of a schema.
type alone struct{}

func (alone) Load(url string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s; it must stand alone", url)
}

// Compile reads a JSON Schema whose top is an object, such as {"type": "object", …}.
func Compile(raw json.RawMessage) (*Schema, error) {
	c, err := read(raw)
	if err != nil {
		return nil, err
	}
	s, err := c.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("compile the schema: %w", err)
	}
	return s, nil
}

// Definitions compiles some of the schemas in the $defs of a document, by their names.
func Definitions(raw json.RawMessage, names []string) (map[string]*Schema, error) {
	c, err := read(raw)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*Schema, len(names))
	for _, name := range names {
		if all[name], err = c.Compile(location + "#/$defs/" + strings.ReplaceAll(name, "/", "~1")); err != nil {
			return nil, fmt.Errorf("compile the schema of %s: %w", name, err)
		}
	}
	return all, nil
}

func read(raw json.RawMessage) (*jsonschema.Compiler, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(alone{})
	if err := c.AddResource(location, doc); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	return c, nil
}

// Decode reads one JSON value as a Schema wants it to validate.
func Decode(raw []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(raw)) }

// Explain says in one line what a value that a Schema refused has wrong.
func Explain(err error) string {
	ve, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err.Error()
	}
	var parts []string
	var leaves func(unit jsonschema.OutputUnit)
	leaves = func(unit jsonschema.OutputUnit) {
		for _, below := range unit.Errors {
			leaves(below)
		}
		if unit.Error != nil {
			where := strings.TrimPrefix(strings.ReplaceAll(unit.InstanceLocation, "/", "."), ".")
			parts = append(parts, strings.TrimPrefix(where+": "+unit.Error.String(), ": "))
		}
	}
	leaves(*ve.DetailedOutput())
	if len(parts) == 0 {
		return strings.Join(strings.Fields(err.Error()), " ")
	}
	return strings.Join(parts, "; ")
}
