package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
)

// maxArguments bounds the JSON of one call's arguments: a file to write is the largest of them.
const maxArguments = 4 << 20

// compileSchema reads a JSON Schema of type object.
func compileSchema(raw json.RawMessage) (*jsonschema.Schema, error) {
	var top struct{ Type any }
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	if top.Type != "object" {
		return nil, errors.New("the schema is not of type object")
	}
	return schema.Compile(raw)
}

// checkArguments returns the arguments as a JSON object, or what a model must mend. No arguments at all, which
// some models write as "" or null, are an empty object.
func checkArguments(schema *jsonschema.Schema, raw json.RawMessage) (args json.RawMessage, problem string) {
	raw = bytes.TrimSpace(raw)
	if len(raw) > maxArguments {
		return nil, fmt.Sprintf("the arguments are larger than %s; split the work into smaller calls", bytesText(maxArguments))
	}
	if len(raw) == 0 || string(raw) == "null" || string(raw) == `""` {
		raw = []byte("{}")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, "the arguments are not valid JSON: " + clip(err.Error(), 200) + ". Send one JSON object"
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, "the arguments must be one JSON object, such as " + example(schema)
	}
	err = schema.Validate(v)
	if err == nil {
		return raw, ""
	}
	ve, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return nil, "the arguments could not be checked: " + clip(err.Error(), 200)
	}
	var problems []string
	collect(schema, ve, &problems)
	slices.Sort(problems)
	return nil, "wrong arguments: " + strings.Join(slices.Compact(problems), "; ")
}

// collect writes the leaves of a validation error, each with the name of its field.
func collect(schema *jsonschema.Schema, ve *jsonschema.ValidationError, out *[]string) {
	if len(ve.Causes) > 0 {
		for _, c := range ve.Causes {
			collect(schema, c, out)
		}
		return
	}
	field := "the arguments"
	if len(ve.InstanceLocation) > 0 {
		field = fmt.Sprintf("%q", strings.Join(ve.InstanceLocation, "."))
	}
	switch k := ve.ErrorKind.(type) {
	case *kind.Required:
		*out = append(*out, fmt.Sprintf("%s missing", quoteAll(k.Missing, "is", "are")))
	case *kind.AdditionalProperties:
		*out = append(*out, fmt.Sprintf("%s unknown; known: %s", quoteAll(k.Properties, "is", "are"), strings.Join(properties(schema), ", ")))
	case *kind.Type:
		*out = append(*out, fmt.Sprintf("%s must be of type %s, not %s", field, strings.Join(k.Want, " or "), k.Got))
	default:
		*out = append(*out, field+": "+k.LocalizedString(message.NewPrinter(language.English)))
	}
}

// quoteAll writes names with the verb that fits their number.
func quoteAll(names []string, one, many string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", clip(n, 60))
	}
	slices.Sort(quoted)
	verb := one
	if len(names) > 1 {
		verb = many
	}
	return strings.Join(quoted, ", ") + " " + verb
}

// properties are the names of a schema's fields, sorted.
func properties(schema *jsonschema.Schema) []string {
	names := make([]string, 0, len(schema.Properties))
	for n := range schema.Properties {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// example shows the shape of the arguments.
func example(schema *jsonschema.Schema) string {
	names := schema.Required
	if len(names) == 0 {
		return "{}"
	}
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%q: …", n)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// decode reads checked arguments.
func decode[A any](raw json.RawMessage) (A, error) {
	var args A
	if err := json.Unmarshal(raw, &args); err != nil {
		return args, core.Wrap(core.CodeInvalid, err, "the arguments cannot be read")
	}
	return args, nil
}
