package aimodels

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/sutazai/sutazai/internal/dialect"
)

// cacheDepth bounds how deep a document may be nested.
const cacheDepth = 256

// cacheNode is a value in a document. Places are byte offsets.
type cacheNode struct {
	start, end       int32
	keyStart, keyEnd int32 // of the member's name with its quotes, in an object
	first, next      int32 // of the children, and of the parent's; -1 = none
	kind             byte  // '{', '[', '"', or 0 for numbers and words
}

// cacheDocument is a JSON text whose values have been found in one pass. It exists to write the text in one form whatever
// its white space and the order of its members, with every other byte as it was: numbers and strings are not decoded.
type cacheDocument struct {
	b     []byte
	nodes []cacheNode // the first is the whole
	at    int
	order []int32 // members that are being sorted, a stack
	form  []byte  // what the last key was made of
}

// cacheDocuments keeps documents for the next call: a prompt of 50 KB has thousands of values.
type cacheDocuments struct{ pool sync.Pool }

// parse returns nil where b is not JSON, or nested too deep. release gives the document back.
func (p *cacheDocuments) parse(b []byte) *cacheDocument {
	d, _ := p.pool.Get().(*cacheDocument)
	if d == nil {
		d = &cacheDocument{}
	}
	d.b, d.at, d.nodes, d.order, d.form = b, 0, d.nodes[:0], d.order[:0], d.form[:0]
	const largest = 1 << 30 // offsets have 32 bits
	if len(b) < largest && d.value(0, 0, 0) {
		if d.space(); d.at == len(b) {
			return d
		}
	}
	p.release(d)
	return nil
}

func (p *cacheDocuments) release(d *cacheDocument) {
	const keep = 1 << 20 // bytes; what one huge prompt has needed is not kept for good
	d.b = nil
	if cap(d.form) <= keep && cap(d.nodes) <= keep/24 {
		p.pool.Put(d)
	}
}

func (d *cacheDocument) space() {
	for d.at < len(d.b) {
		switch d.b[d.at] {
		case ' ', '\n', '\r', '\t':
			d.at++
		default:
			return
		}
	}
}

func (d *cacheDocument) take(c byte) bool {
	d.space()
	if d.at < len(d.b) && d.b[d.at] == c {
		d.at++
		return true
	}
	return false
}

// value reads a value and appends its node, and then its children's.
func (d *cacheDocument) value(keyStart, keyEnd, depth int) bool {
	d.space()
	if d.at >= len(d.b) || depth > cacheDepth {
		return false
	}
	me := len(d.nodes)
	d.nodes = append(d.nodes, cacheNode{start: int32(d.at), keyStart: int32(keyStart), keyEnd: int32(keyEnd), first: -1, next: -1})
	var ok bool
	switch c := d.b[d.at]; c {
	case '{', '[':
		d.nodes[me].kind = c
		d.at++
		ok = d.children(me, c, depth+1)
	case '"':
		d.nodes[me].kind = c
		ok = d.text()
	default:
		ok = d.word()
	}
	d.nodes[me].end = int32(d.at)
	return ok
}

func (d *cacheDocument) children(parent int, open byte, depth int) bool {
	closer := open + 2 // '{'+2 is '}', '['+2 is ']'
	if d.take(closer) {
		return true
	}
	last := -1
	for {
		var keyStart, keyEnd int
		if open == '{' {
			d.space()
			keyStart = d.at
			if !d.text() {
				return false
			}
			keyEnd = d.at
			if !d.take(':') {
				return false
			}
		}
		child := len(d.nodes)
		if !d.value(keyStart, keyEnd, depth) {
			return false
		}
		if last < 0 {
			d.nodes[parent].first = int32(child)
		} else {
			d.nodes[last].next = int32(child)
		}
		last = child
		if d.take(',') {
			continue
		}
		return d.take(closer)
	}
}

// text skips a string. IndexByte makes long texts cheap.
func (d *cacheDocument) text() bool {
	if d.at >= len(d.b) || d.b[d.at] != '"' {
		return false
	}
	d.at++
	for {
		i := bytes.IndexByte(d.b[d.at:], '"')
		if i < 0 {
			return false
		}
		end := d.at + i
		slashes := 0
		for j := end - 1; j >= d.at && d.b[j] == '\\'; j-- {
			slashes++
		}
		d.at = end + 1
		if slashes%2 == 0 {
			return true
		}
	}
}

func (d *cacheDocument) word() bool {
	start := d.at
	for d.at < len(d.b) {
		switch d.b[d.at] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			return d.at > start
		case '"', '{', '[', ':':
			return false
		}
		d.at++
	}
	return d.at > start
}

// write appends a value in its one form: without white space, members by name. Members of the whole document for which
// skip is true are left out, and in the place of the node cut stands a byte that no JSON text has.
func (d *cacheDocument) write(out []byte, node int32, cut int32, skip func(name []byte) bool) []byte {
	n := d.nodes[node]
	switch {
	case node == cut:
		return append(out, 0)
	case n.kind == '[':
		out = append(out, '[')
		for c := n.first; c >= 0; c = d.nodes[c].next {
			if c != n.first {
				out = append(out, ',')
			}
			out = d.write(out, c, cut, nil)
		}
		return append(out, ']')
	case n.kind == '{':
		base := len(d.order)
		sorted := true
		for c := n.first; c >= 0; c = d.nodes[c].next {
			if skip != nil && skip(d.name(c)) {
				continue
			}
			if sorted && len(d.order) > base {
				sorted = bytes.Compare(d.name(d.order[len(d.order)-1]), d.name(c)) <= 0
			}
			d.order = append(d.order, c)
		}
		if !sorted {
			// Stable: of a name that stands twice, readers may take the first or the last one.
			slices.SortStableFunc(d.order[base:], func(a, b int32) int { return bytes.Compare(d.name(a), d.name(b)) })
		}
		out = append(out, '{')
		for i := base; i < len(d.order); i++ { // d.order may move while children are written
			if i > base {
				out = append(out, ',')
			}
			out = append(out, d.name(d.order[i])...)
			out = append(out, ':')
			out = d.write(out, d.order[i], cut, nil)
		}
		d.order = d.order[:base]
		return append(out, '}')
	}
	return append(out, d.b[n.start:n.end]...)
}

// name is a member's name as it stands, with its quotes.
func (d *cacheDocument) name(node int32) []byte {
	return d.b[d.nodes[node].keyStart:d.nodes[node].keyEnd]
}

// member returns a member of an object, the last one of that name; -1 = none, or no object.
func (d *cacheDocument) member(node int32, name string) int32 {
	found := int32(-1)
	if node < 0 || d.nodes[node].kind != '{' {
		return found
	}
	for c := d.nodes[node].first; c >= 0; c = d.nodes[c].next {
		if k := d.name(c); string(k[1:len(k)-1]) == name {
			found = c
		}
	}
	return found
}

// last returns the last element of an array; -1 = none, or no array.
func (d *cacheDocument) last(node int32) int32 {
	found := int32(-1)
	if node < 0 || d.nodes[node].kind != '[' {
		return found
	}
	for c := d.nodes[node].first; c >= 0; c = d.nodes[c].next {
		found = c
	}
	return found
}

func (d *cacheDocument) is(node int32, word string) bool {
	return node >= 0 && string(d.b[d.nodes[node].start:d.nodes[node].end]) == word
}

// question finds the text that the user wrote last, if nothing was said after it: the node and what it says. -1 = none.
func (d *cacheDocument) question(n dialect.Name) (node int32, text string) {
	node = d.questionNode(n)
	if node < 0 || d.nodes[node].kind != '"' || json.Unmarshal(d.b[d.nodes[node].start:d.nodes[node].end], &text) != nil {
		return -1, ""
	}
	return node, text
}

func (d *cacheDocument) questionNode(n dialect.Name) int32 {
	var list int32
	switch n {
	case dialect.OllamaGenerate:
		return d.member(0, "prompt")
	case dialect.OpenAIResponses:
		list = d.member(0, "input")
		if list >= 0 && d.nodes[list].kind == '"' {
			return list
		}
	default:
		list = d.member(0, "messages")
	}
	message := d.last(list)
	if !d.is(d.member(message, "role"), `"user"`) {
		return -1
	}
	content := d.member(message, "content")
	if content < 0 || d.nodes[content].kind != '[' {
		return content
	}
	found := int32(-1)
	for c := d.nodes[content].first; c >= 0; c = d.nodes[c].next {
		if kind := d.member(c, "type"); d.is(kind, `"text"`) || d.is(kind, `"input_text"`) {
			found = d.member(c, "text")
		}
	}
	return found
}
