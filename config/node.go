package config

import (
	"fmt"
	"slices"
)

// shape says what kind of value a node holds.
type shape int

const (
	shapeNull    shape = iota // a key with nothing after it
	shapeMapping              // keys and nodes
	shapeList                 // nodes
	shapeText                 // a YAML string
	shapeNumber               // a YAML number, with text as written
	shapeBool                 // true or false
	shapeRaw                  // text of a variable or flag: its type is whatever the setting wants
)

// place is where a value was written.
type place struct {
	source string // "default", a file's name, "env NAME" or "--set"
	line   int    // 0 where there are no lines
	dir    string // folder of the file, for relative references; "" = the working folder
}

func (p place) String() string {
	if p.line > 0 {
		return fmt.Sprintf("%s:%d", p.source, p.line)
	}
	return p.source
}

// node is one value of a layer, or of all layers merged, with the place that it came from.
type node struct {
	shape   shape
	text    string
	fields  map[string]*node
	keys    []string // of fields, in the order written
	items   []*node
	at      place
	inPlace bool   // a list that was written in the place of the section that holds it
	comment string // the lines of comment right above the key
}

func newMapping(at place) *node {
	return &node{shape: shapeMapping, fields: map[string]*node{}, at: at}
}

// set puts a child under a key, after the others or in the place of an earlier one.
func (n *node) set(key string, child *node) {
	if _, has := n.fields[key]; !has {
		n.keys = append(n.keys, key)
	}
	n.fields[key] = child
}

func (n *node) remove(key string) {
	delete(n.fields, key)
	n.keys = slices.DeleteFunc(n.keys, func(k string) bool { return k == key })
}

// lookup follows keys down the mappings; nil when there is no such value.
func (n *node) lookup(path ...string) *node {
	for _, key := range path {
		if n == nil || n.shape != shapeMapping {
			return nil
		}
		n = n.fields[key]
	}
	return n
}

// placeOf returns where the value at the end of the keys was written; what nobody wrote is a default.
func (n *node) placeOf(path ...string) place {
	if n = n.lookup(path...); n != nil {
		return n.at
	}
	return place{source: originDefault}
}

// merge lays over on top of n: mappings merge key by key, null removes an entry, anything else replaces.
// Both have passed the vetter, so that the same key has the same kind of value in both.
func (n *node) merge(over *node) {
	for _, key := range over.keys {
		child := over.fields[key]
		below, has := n.fields[key]
		switch {
		case child.shape == shapeNull:
			n.remove(key)
		case has && below.shape == shapeMapping && child.shape == shapeMapping:
			below.merge(child)
		case child.shape == shapeMapping: // a copy without the markers that say "remove"
			fresh := newMapping(child.at)
			fresh.comment = child.comment
			fresh.merge(child)
			n.set(key, fresh)
		default:
			n.set(key, child)
		}
	}
}
