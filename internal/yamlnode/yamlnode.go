// Package yamlnode reads files that people write in YAML node by node, so that what is wrong can be told with its line. It
// must not know what the files are for.
package yamlnode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxDepth bounds nesting: deeper files are a mistake or an attack.
const maxDepth = 64

// Parse reads one YAML document; root is nil where it holds nothing. Of an error it returns the line in the text, from 1.
func Parse(text []byte) (root ast.Node, line int, err error) {
	// The library has panicked on malformed input before; a file must never stop the server.
	defer func() {
		if r := recover(); r != nil {
			root, line, err = nil, 1, errors.New("this is not valid YAML")
		}
	}()
	if depth := flowDepth(text); depth > maxDepth {
		return nil, 1, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		line, msg := 1, err.Error()
		if se, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			msg = se.Message
			if se.Token != nil && se.Token.Position != nil {
				line = se.Token.Position.Line
			}
		}
		return nil, line, fmt.Errorf("not valid YAML: %s", strings.Join(strings.Fields(msg), " "))
	}
	if len(file.Docs) > 1 {
		return nil, 1, errors.New("this holds more than one YAML document")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil || file.Docs[0].Body.Type() == ast.NullType {
		return nil, 0, nil
	}
	return file.Docs[0].Body, 0, nil
}

// flowDepth is how deep brackets are nested, at most; strings may make it larger than it is, never smaller.
func flowDepth(text []byte) int {
	depth, most := 0, 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return most
}

// Line is the line of a node in the text that was parsed, from 1.
func Line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// Key is the text of a mapping's key.
func Key(e *ast.MappingValueNode) string {
	if s, ok := e.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return strings.TrimSpace(e.Key.String())
}

// Mapping returns the entries of a mapping.
func Mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}, true
	}
	return nil, false
}

// Sequence returns the items of a list.
func Sequence(n ast.Node) ([]ast.Node, bool) {
	if v, ok := n.(*ast.SequenceNode); ok {
		return v.Values, true
	}
	return nil, false
}

// String returns the text of a plain, quoted or block string.
func String(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		if v.Value != nil {
			return v.Value.Value, true
		}
	}
	return "", false
}

// Integer returns a whole number.
func Integer(n ast.Node) (int64, bool) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch v := i.Value.(type) {
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64 //nolint:gosec // checked beside it
	}
	return 0, false
}

// Number returns a finite number.
func Number(n ast.Node) (float64, bool) {
	if f, ok := n.(*ast.FloatNode); ok {
		return f.Value, !math.IsInf(f.Value, 0) && !math.IsNaN(f.Value)
	}
	i, ok := Integer(n)
	return float64(i), ok
}

// Describe names what stands where something else was expected.
func Describe(n ast.Node) string {
	if s, ok := String(n); ok {
		return strconv.Quote(clip(s))
	}
	switch v := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return clip(v.GetToken().Value)
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return `"key: value"`
	case *ast.AnchorNode, *ast.AliasNode:
		return "a YAML anchor or alias, which is not taken here"
	case *ast.TagNode:
		return "a YAML tag, which is not taken here"
	}
	return "this"
}

// clip shortens a text that a message quotes.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// JSON writes a node as JSON; the order of keys is kept, because a model fills in a schema in that order.
// Of an error it returns the line.
func JSON(n ast.Node) (json.RawMessage, int, error) {
	var b bytes.Buffer
	if line, err := writeJSON(&b, n, 0); err != nil {
		return nil, line, err
	}
	return b.Bytes(), 0, nil
}

func writeJSON(b *bytes.Buffer, n ast.Node, depth int) (int, error) {
	if depth > maxDepth {
		return Line(n), fmt.Errorf("nested more than %d deep", maxDepth)
	}
	if entries, ok := Mapping(n); ok {
		return writeObject(b, entries, depth)
	}
	if items, ok := Sequence(n); ok {
		b.WriteByte('[')
		for i, item := range items {
			if i > 0 {
				b.WriteByte(',')
			}
			if line, err := writeJSON(b, item, depth+1); err != nil {
				return line, err
			}
		}
		b.WriteByte(']')
		return 0, nil
	}
	var v any
	switch s := n.(type) {
	case *ast.BoolNode:
		v = s.Value
	case *ast.NullNode:
		v = nil
	case *ast.IntegerNode:
		v = s.Value
	case *ast.FloatNode:
		v = s.Value
	default:
		text, ok := String(n)
		if !ok {
			return Line(n), fmt.Errorf("%s cannot be written as JSON", Describe(n))
		}
		v = text
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return Line(n), fmt.Errorf("%s cannot be written as JSON", Describe(n))
	}
	b.Write(raw)
	return 0, nil
}

func writeObject(b *bytes.Buffer, entries []*ast.MappingValueNode, depth int) (int, error) {
	seen := map[string]bool{}
	b.WriteByte('{')
	for i, e := range entries {
		key := Key(e)
		if seen[key] {
			return Line(e.Key), fmt.Errorf("key %q stands here a second time", key)
		}
		seen[key] = true
		if i > 0 {
			b.WriteByte(',')
		}
		raw, err := json.Marshal(key)
		if err != nil {
			return Line(e.Key), fmt.Errorf("key %q cannot be written as JSON", key)
		}
		b.Write(raw)
		b.WriteByte(':')
		if line, err := writeJSON(b, e.Value, depth+1); err != nil {
			return line, err
		}
	}
	b.WriteByte('}')
	return 0, nil
}
