package config

import (
	"reflect"
	"regexp"
	"strings"
	"time"
)

// kind says what a setting holds.
type kind string

const (
	kindSection  kind = "section" // a struct: fixed keys
	kindMap      kind = "map"     // free keys
	kindList     kind = "list"
	kindText     kind = "text"
	kindSecret   kind = "secret"
	kindInteger  kind = "integer"
	kindNumber   kind = "number"
	kindBool     kind = "bool"
	kindDuration kind = "duration"
	kindSize     kind = "size"
)

// spec describes a setting as its struct field and tags declare it. Decoding, variables, flags, `show` and the JSON
// Schema all follow it, so that there is one description of what a setting is.
type spec struct {
	key      string
	kind     kind
	index    int     // of the struct field
	fields   []*spec // of a section, in order
	elem     *spec   // of a map or list
	enum     []string
	min, max string // as written in the tag; "" = none
	format   string
	keys     *regexp.Regexp // what a map's keys must match
	envKeys  bool
	fallback *string // value of a missing field in a map entry or list item
	short    *spec   // of a section: the field that a list in the section's place stands for; nil = none
	example  string  // of a value, for messages
	doc      string
	required bool
	reload   bool
}

// describe builds the description of the whole Config.
func describe() *spec {
	return describeType(reflect.TypeFor[Config](), reflect.StructField{}, false)
}

func describeType(t reflect.Type, field reflect.StructField, reload bool) *spec {
	tag := field.Tag
	s := &spec{
		key: tag.Get("yaml"), min: tag.Get("min"), max: tag.Get("max"), format: tag.Get("format"), doc: tag.Get("doc"),
		example: tag.Get("example"), envKeys: tag.Get("envkeys") == "true", required: tag.Get("required") == "true",
		reload: reload || tag.Get("reload") == "true",
	}
	if enum := tag.Get("enum"); enum != "" {
		s.enum = strings.Split(enum, ",")
	}
	if text, has := tag.Lookup("default"); has {
		s.fallback = &text
	}
	switch {
	case t == reflect.TypeFor[Secret]():
		s.kind = kindSecret
	case t == reflect.TypeFor[time.Duration]():
		s.kind = kindDuration
	case tag.Get("as") == "size":
		s.kind = kindSize
	default:
		s.descend(t, tag)
	}
	return s
}

// descend describes the kinds that Go's own kinds tell apart, and what lies below them.
func (s *spec) descend(t reflect.Type, tag reflect.StructTag) {
	switch t.Kind() {
	case reflect.Struct:
		s.kind = kindSection
		for i := range t.NumField() {
			if field := t.Field(i); field.IsExported() {
				child := describeType(field.Type, field, s.reload)
				child.index = i
				s.fields = append(s.fields, child)
				if field.Tag.Get("short") == "true" {
					s.short = child
				}
			}
		}
	case reflect.Map:
		s.kind = kindMap
		s.keys = regexp.MustCompile(tag.Get("keys"))
		s.elem = describeType(t.Elem(), reflect.StructField{}, s.reload)
		s.elem.enum, s.enum = s.enum, nil
	case reflect.Slice:
		s.kind = kindList
		s.elem = describeType(t.Elem(), reflect.StructField{}, s.reload)
		s.elem.format, s.format = s.format, ""
		s.elem.enum, s.enum = s.enum, nil
	case reflect.String:
		s.kind = kindText
	case reflect.Bool:
		s.kind = kindBool
	case reflect.Int, reflect.Int64:
		s.kind = kindInteger
	case reflect.Float64:
		s.kind = kindNumber
	}
}

// field returns a section's field, nil when there is none of that name.
func (s *spec) field(key string) *spec {
	for _, f := range s.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// names returns the keys of a section, in order.
func (s *spec) names() []string {
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.key
	}
	return names
}

// below returns the path of a section's field; of a list in the section's place, that is the section's own.
func (s *spec) below(path string, f *spec, n *node) string {
	if f == s.short && n != nil && n.inPlace {
		return path
	}
	return join(path, f.key)
}

// leaf reports whether a setting is one value.
func (s *spec) leaf() bool {
	return s.kind != kindSection && s.kind != kindMap && s.kind != kindList
}

// paths calls visit for every setting that has a fixed name: not for what is inside maps and lists.
func (s *spec) paths(prefix string, visit func(path string, s *spec)) {
	for _, f := range s.fields {
		path := join(prefix, f.key)
		visit(path, f)
		f.paths(path, visit)
	}
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}
