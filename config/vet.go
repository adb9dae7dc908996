package config

import (
	"fmt"
	"strings"

	"github.com/sutazai/sutazai/internal/nearest"
)

// vetter holds one layer to the description of the settings. Each layer is held to it by itself, so that a mistake is
// found also where a later layer hides it, and so that what is merged fits together.
type vetter struct {
	root  *spec
	found *findings
}

// vet returns what is right of a value, nil when nothing is, and reports the rest.
func (v vetter) vet(n *node, s *spec, path string) *node {
	switch s.kind {
	case kindSection:
		return v.section(n, s, path)
	case kindMap:
		return v.entries(n, s, path)
	case kindList:
		return v.list(n, s, path)
	}
	if _, problem := s.value(n); problem != "" {
		v.found.add(n.at, path, "%s", problem)
		return nil
	}
	return n
}

func (v vetter) section(n *node, s *spec, path string) *node {
	if n.shape == shapeNull { // every line below it is a comment
		return nil
	}
	kept := newMapping(n.at)
	kept.comment = n.comment
	if n.shape == shapeList && s.short != nil {
		right := v.list(n, s.short, path)
		if right == nil {
			return nil
		}
		right.inPlace = true
		kept.set(s.short.key, right)
		return kept
	}
	if n.shape != shapeMapping {
		v.found.add(n.at, path, "is %s; expected %s", n.sort(), s.expected())
		return nil
	}
	for _, key := range n.keys {
		child := n.fields[key]
		field := s.field(key)
		if field == nil {
			v.found.add(child.at, join(path, key), "%s", v.unknown(key, s))
			continue
		}
		if right := v.vet(child, field, s.below(path, field, child)); right != nil {
			right.inPlace = child.inPlace
			kept.set(key, right)
		}
	}
	return kept
}

// unknown says what an unknown key could have meant: a neighbour misspelt, or a setting of another section.
func (v vetter) unknown(key string, s *spec) string {
	suggestion := nearest.Nearest(key, s.names())
	if suggestion == "" {
		suggestion = v.elsewhere(key)
	}
	return fmt.Sprintf("unknown key; expected one of %s%s", strings.Join(s.names(), ", "), didYouMean(suggestion))
}

// elsewhere returns the one setting whose own name is key, "" when there is none or more than one.
func (v vetter) elsewhere(key string) string {
	var candidates []string
	v.root.paths("", func(path string, s *spec) {
		if s.key == key {
			candidates = append(candidates, path)
		}
	})
	if len(candidates) == 1 {
		return candidates[0]
	}
	return ""
}

func (v vetter) entries(n *node, s *spec, path string) *node {
	if n.shape == shapeNull {
		return nil
	}
	if n.shape != shapeMapping {
		v.found.add(n.at, path, "is %s; expected %s", n.sort(), s.expected())
		return nil
	}
	kept := newMapping(n.at)
	for _, key := range n.keys {
		child := n.fields[key]
		if !s.keys.MatchString(key) {
			v.found.add(child.at, join(path, key), "the name is not usable; expected one that matches %s", s.keys)
			continue
		}
		if child.shape == shapeNull {
			kept.set(key, child) // removes the entry of a layer below
			continue
		}
		if right := v.vet(child, s.elem, join(path, key)); right != nil {
			kept.set(key, right)
		}
	}
	return kept
}

// list keeps a list only as a whole: half of one would mean something else.
func (v vetter) list(n *node, s *spec, path string) *node {
	if n.shape != shapeList {
		v.found.add(n.at, path, "is %s; expected %s", n.sort(), s.expected())
		return nil
	}
	kept := &node{shape: shapeList, at: n.at, comment: n.comment}
	for i, item := range n.items {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		right := v.vet(item, s.elem, itemPath)
		if right == nil && !v.found.about(itemPath) {
			v.found.add(item.at, itemPath, "is %s; expected %s", item.sort(), s.elem.expected())
		}
		if right != nil {
			kept.items = append(kept.items, right)
		}
	}
	if len(kept.items) < len(n.items) {
		return nil
	}
	return kept
}

// complete gives entries of maps and items of lists the fields that nobody wrote, and reports those that somebody must.
func (v vetter) complete(n *node, s *spec, path string) {
	switch s.kind {
	case kindSection:
		for _, f := range s.fields {
			child := n.fields[f.key]
			if child == nil && f.fallback != nil {
				child = f.defaultNode()
				n.set(f.key, child)
			}
			below := s.below(path, f, child)
			if child == nil {
				if f.required && !v.found.about(below) {
					v.found.add(n.at, below, "is missing; expected %s", f.expected())
				}
				continue
			}
			v.complete(child, f, below)
		}
	case kindMap:
		for _, key := range n.keys {
			v.complete(n.fields[key], s.elem, join(path, key))
		}
	case kindList:
		for i, item := range n.items {
			v.complete(item, s.elem, fmt.Sprintf("%s[%d]", path, i))
		}
	}
}

// defaultNode makes the value of a default tag.
func (s *spec) defaultNode() *node {
	at := place{source: originDefault}
	switch s.kind {
	case kindMap, kindSection:
		return newMapping(at)
	case kindList:
		list := &node{shape: shapeList, at: at}
		for word := range strings.SplitSeq(strings.Trim(*s.fallback, "[]"), ",") {
			if word != "" {
				list.items = append(list.items, &node{shape: shapeRaw, text: word, at: at})
			}
		}
		return list
	}
	return &node{shape: shapeRaw, text: *s.fallback, at: at}
}
