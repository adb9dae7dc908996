package config

import (
	"errors"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

var (
	// positionInMessage matches what the parser writes of places; the finding names them its own way.
	positionInMessage = regexp.MustCompile(` at \[\d+:\d+\]`)
	// contentInMessage matches what the parser quotes of the file: it may be a secret.
	contentInMessage = regexp.MustCompile(`(?s):? ".*"`)
)

// parseYAML reads one document of settings, nil when it holds none. Everything gets the given place; where that is
// a file (its line is not 0), the line is the value's own. Problems are collected, without any of the content.
func parseYAML(content []byte, at place, key string, found *findings) *node {
	file, err := parser.ParseBytes(content, parser.ParseComments)
	if err != nil {
		line := 1
		message := "this is not YAML"
		if yamlError, ok := errors.AsType[yaml.Error](err); ok {
			if token := yamlError.GetToken(); token != nil && token.Position != nil {
				line = token.Position.Line
			}
			said := positionInMessage.ReplaceAllString(yamlError.GetMessage(), "")
			if !strings.HasPrefix(said, "mapping key ") { // a key may be shown
				said = contentInMessage.ReplaceAllString(said, "")
			}
			message = "this is not YAML: " + said
		}
		found.add(at.onLine(line), key, "%s; expected keys and values such as \"log: {level: info}\", indented by spaces", message)
		return nil
	}
	r := yamlReader{at: at, found: found, key: key}
	var root *node
	for _, document := range file.Docs {
		switch document.Body.(type) {
		case nil, *ast.CommentGroupNode:
			continue
		}
		if root != nil {
			found.add(at.onLine(document.Body.GetToken().Position.Line), key, "a second document begins here (after ---); expected one document")
			return root
		}
		root = r.read(document.Body)
	}
	return root
}

// onLine moves a place within a file; what has no lines stays.
func (p place) onLine(line int) place {
	if p.line > 0 {
		p.line = line
	}
	return p
}

// yamlReader turns the parser's tree into nodes.
type yamlReader struct {
	at    place
	key   string
	found *findings
}

func (r yamlReader) read(n ast.Node) *node {
	at := r.at
	if token := n.GetToken(); token != nil && token.Position != nil {
		at = at.onLine(token.Position.Line)
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		return r.mapping(v, at)
	case *ast.SequenceNode:
		list := &node{shape: shapeList, at: at}
		for _, item := range v.Values {
			if child := r.read(item); child != nil {
				list.items = append(list.items, child)
			}
		}
		return list
	case *ast.StringNode:
		return &node{shape: shapeText, text: v.Value, at: at}
	case *ast.LiteralNode:
		return &node{shape: shapeText, text: v.Value.Value, at: at}
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return &node{shape: shapeNumber, text: n.GetToken().Value, at: at}
	case *ast.BoolNode:
		return &node{shape: shapeBool, text: n.GetToken().Value, at: at}
	case *ast.NullNode, *ast.CommentGroupNode:
		return &node{shape: shapeNull, at: at}
	}
	r.found.add(at, r.key, "anchors, aliases and tags (&, *, !) are not understood here; write the value out")
	return nil
}

func (r yamlReader) mapping(v *ast.MappingNode, at place) *node {
	m := newMapping(at)
	for _, entry := range v.Values {
		token := entry.Key.GetToken()
		at := r.at.onLine(token.Position.Line)
		if _, merges := entry.Key.(*ast.MergeKeyNode); merges {
			r.found.add(at, r.key, "merge keys (<<) are not understood here; write the keys out")
			continue
		}
		child := r.read(entry.Value)
		if child == nil {
			continue
		}
		child.at = at // the line of the key, also where the value begins further down
		child.comment = commentAbove(entry.GetComment(), token.Position.Line)
		m.set(token.Value, child)
	}
	return m
}

// commentAbove returns the unbroken run of comment lines that ends right above a line.
func commentAbove(group *ast.CommentGroupNode, line int) string {
	if group == nil {
		return ""
	}
	var lines []string
	for i := len(group.Comments) - 1; i >= 0; i-- {
		token := group.Comments[i].GetToken()
		if token.Position.Line != line-1 {
			break
		}
		lines = append([]string{strings.TrimSpace(token.Value)}, lines...)
		line--
	}
	return strings.Join(lines, " ")
}
