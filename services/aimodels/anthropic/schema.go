package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// maxSchemaDepth bounds how deep a schema may be nested.
const maxSchemaDepth = 64

// Structured output (output_config.format) takes a part of JSON Schema: objects must be closed, and most limits are
// refused. What is refused moves into the description, where the model reads it; whoever asked checks the answer anyway.
// Source: the dialect's documentation of structured outputs, and its official clients, which do the same.

// closedSchema makes a schema fit; one that fits is left byte for byte as it is. ok is false where nothing makes it fit: an
// object whose properties are not named cannot be closed.
func closedSchema(raw json.RawMessage) (fitting json.RawMessage, ok bool, err *core.Error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, readErr := readOrdered(d, 0)
	if readErr != nil {
		return nil, false, core.Wrap(core.CodeInvalid, readErr, "the schema of the answer is not JSON, or nested more than %d deep", maxSchemaDepth)
	}
	o, ok := v.(*object)
	if !ok || o.get("type") == "object" && o.get("properties") == nil {
		return nil, false, nil
	}
	changed := false
	o.fit(&changed)
	if !changed {
		return raw, true, nil
	}
	out, writeErr := json.Marshal(o)
	if writeErr != nil {
		return nil, false, core.Wrap(core.CodeInternal, writeErr, "the schema of the answer cannot be written")
	}
	return out, true, nil
}

// fit changes a schema, and those in it, so that the dialect takes them.
func (o *object) fit(changed *bool) {
	if o.get("$ref") != nil {
		if len(o.members) > 1 {
			o.members = slices.DeleteFunc(o.members, func(m member) bool { return m.key != "$ref" && m.key != "$defs" })
			*changed = true
		}
		o.each("$defs", changed)
		return
	}
	if one := o.get("oneOf"); one != nil && o.get("anyOf") == nil {
		o.set("anyOf", one)
		o.remove("oneOf")
		*changed = true
	}
	var lost []string
	o.members = slices.DeleteFunc(o.members, func(m member) bool {
		if taken(m) {
			return false
		}
		if m.key != "$schema" && m.key != "$id" {
			if b, err := json.Marshal(m.value); err == nil {
				lost = append(lost, m.key+": "+string(b))
			}
		}
		*changed = true
		return true
	})
	if len(lost) > 0 {
		text, _ := o.get("description").(string)
		o.set("description", strings.TrimPrefix(text+"\n\n{"+strings.Join(lost, ", ")+"}", "\n\n"))
	}
	if o.get("properties") != nil && o.get("additionalProperties") != false {
		o.set("additionalProperties", false)
		*changed = true
	}
	o.each("properties", changed)
	o.each("$defs", changed)
	for _, key := range []string{"anyOf", "allOf"} {
		if list, ok := o.get(key).([]any); ok {
			for _, v := range list {
				if s, ok := v.(*object); ok {
					s.fit(changed)
				}
			}
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if s, ok := o.get(key).(*object); ok {
			s.fit(changed)
		}
	}
}

// each fits every schema in an object of schemas.
func (o *object) each(key string, changed *bool) {
	if list, ok := o.get(key).(*object); ok {
		for _, m := range list.members {
			if s, ok := m.value.(*object); ok {
				s.fit(changed)
			}
		}
	}
}

// taken says whether the dialect takes a keyword with its value.
func taken(m member) bool {
	switch m.key {
	case "$ref", "$defs", "type", "anyOf", "allOf", "description", "title", "enum", "const",
		"properties", "additionalProperties", "required", "items", "pattern":
		return true
	case "minItems":
		return m.value == json.Number("0") || m.value == json.Number("1")
	case "format":
		return slices.Contains([]any{"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}, m.value)
	default:
		return false
	}
}

// object is a JSON object that keeps the order of its members: a model answers in that order.
type object struct{ members []member }

type member struct {
	key   string
	value any // *object, []any, string, json.Number, bool or nil
}

func (o *object) get(key string) any {
	for _, m := range o.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

func (o *object) set(key string, value any) {
	for i := range o.members {
		if o.members[i].key == key {
			o.members[i].value = value
			return
		}
	}
	o.members = append(o.members, member{key, value})
}

func (o *object) remove(key string) {
	o.members = slices.DeleteFunc(o.members, func(m member) bool { return m.key == key })
}

// MarshalJSON writes the members in their order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

var errTooDeep = errors.New("nested too deep")

// readOrdered reads one value.
func readOrdered(d *json.Decoder, depth int) (any, error) {
	if depth > maxSchemaDepth {
		return nil, errTooDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := readOrdered(d, depth+1)
			if err != nil {
				return nil, err
			}
			o.set(fmt.Sprint(key), value)
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := readOrdered(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := d.Token()
		return list, err
	default:
		return t, nil
	}
}
