package dialect

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
)

const (
	maxDepth  = 100 // how deep values may be nested
	fewFields = 32  // so many names are compared with each other; more are looked up
)

// Object is a JSON object whose top-level fields have been found, and nothing else been decoded. The scan checks the
// structure (strings, brackets, commas), not the spelling of numbers and words inside, which is for whoever decodes them.
type Object struct {
	Bytes  []byte
	fields []field
	open   int // where the first field would begin, just behind the brace
}

type field struct {
	key        string
	start, end int // of the value
}

// Scan finds the top-level fields of b in one pass and without copying. A key that stands twice is refused: readers
// disagree about which one counts, and what is checked must be what is used.
func Scan(b []byte) (Object, error) {
	s := scanner{b: b}
	s.space()
	if s.at >= len(b) || b[s.at] != '{' {
		return Object{}, core.Errorf(core.CodeInvalid, "the body is not a JSON object")
	}
	s.at++
	o := Object{Bytes: b, open: s.at, fields: make([]field, 0, 8)}
	var seen map[string]struct{} // of the keys, once there are many: a request of a hundred thousand fields must not be slow
	s.space()
	if s.take('}') {
		return o, s.end()
	}
	for {
		s.space()
		key, ok := s.key()
		if !ok {
			return Object{}, s.wrong("a field's name in double quotes")
		}
		if len(o.fields) == fewFields {
			seen = make(map[string]struct{}, 2*fewFields)
			for i := range o.fields {
				seen[o.fields[i].key] = struct{}{}
			}
		}
		twice := seen == nil && o.index(key) >= 0
		if seen != nil {
			_, twice = seen[key]
			seen[key] = struct{}{}
		}
		if twice {
			return Object{}, core.Errorf(core.CodeInvalid, "the field %q stands twice in the body", key)
		}
		s.space()
		if !s.take(':') {
			return Object{}, s.wrong("a colon")
		}
		s.space()
		start := s.at
		if !s.value() {
			if s.deep {
				return Object{}, core.Errorf(core.CodeInvalid, "the JSON is nested deeper than %d levels", maxDepth)
			}
			return Object{}, s.wrong("a value")
		}
		o.fields = append(o.fields, field{key, start, s.at})
		s.space()
		if s.take(',') {
			continue
		}
		if s.take('}') {
			return o, s.end()
		}
		return Object{}, s.wrong("a comma or the end of the object")
	}
}

// Get returns the bytes of a field's value; nil where it is missing or null.
func (o Object) Get(key string) []byte {
	for i := range o.fields {
		if o.fields[i].key == key {
			v := o.Bytes[o.fields[i].start:o.fields[i].end]
			if string(v) == "null" {
				return nil
			}
			return v
		}
	}
	return nil
}

// Spelled refuses a field that is one of the names but for its case: some readers take it for that one, others do not.
func (o Object) Spelled(names ...string) error {
	for i := range o.fields {
		key := o.fields[i].key
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" {
			continue
		}
		for _, name := range names {
			if strings.EqualFold(key, name) {
				return core.Errorf(core.CodeInvalid, "the field %q must be spelled %q", key, name)
			}
		}
	}
	return nil
}

// Has says whether a field has a value other than null.
func (o Object) Has(key string) bool { return o.Get(key) != nil }

// Text returns a field that is a string; ok is false for anything else.
func (o Object) Text(key string) (text string, ok bool) {
	v := o.Get(key)
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1]), true
	}
	if json.Unmarshal(v, &text) != nil {
		return "", false
	}
	return text, true
}

// True says whether a field is true.
func (o Object) True(key string) bool { return string(o.Get(key)) == "true" }

// Int returns a field that is a whole number, 0 for anything else.
func (o Object) Int(key string) int64 {
	v := o.Get(key)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Edit is a new value for a field; Value is JSON. With IfMissing a field that is there (null included) keeps its value. An
// empty Value takes the field away.
type Edit struct {
	Key       string
	Value     []byte
	IfMissing bool
}

// With returns the object's bytes with the edits made. All other bytes stay as they are.
func (o Object) With(edits ...Edit) []byte {
	size := len(o.Bytes)
	for _, e := range edits {
		size += len(e.Key) + len(e.Value) + 4
	}
	out := append(make([]byte, 0, size), o.Bytes[:o.open]...)
	kept := 0
	begin := func() {
		if kept > 0 {
			out = append(out, ',')
		}
		kept++
	}
	// New fields come first and old ones follow in their order, each with the bytes between its key and its value.
	for _, e := range edits {
		if len(e.Value) == 0 || o.index(e.Key) >= 0 {
			continue
		}
		begin()
		out = strconv.AppendQuote(out, e.Key)
		out = append(out, ':')
		out = append(out, e.Value...)
	}
	for i := range o.fields {
		f := o.fields[i]
		value := o.Bytes[f.start:f.end]
		if e := find(edits, f.key); e != nil && !e.IfMissing {
			value = e.Value
		}
		if len(value) == 0 {
			continue
		}
		begin()
		out = append(out, o.head(i)...)
		out = append(out, value...)
	}
	if n := len(o.fields); n > 0 {
		return append(out, o.Bytes[o.fields[n-1].end:]...)
	}
	return append(out, o.Bytes[o.open:]...)
}

// head returns a field's key and colon, as they stand.
func (o Object) head(i int) []byte {
	start := o.open
	if i > 0 {
		start = o.fields[i-1].end
		start += bytes.IndexByte(o.Bytes[start:], ',') + 1
	}
	return o.Bytes[start:o.fields[i].start]
}

func (o Object) index(key string) int {
	for i := range o.fields {
		if o.fields[i].key == key {
			return i
		}
	}
	return -1
}

func find(edits []Edit, key string) *Edit {
	for i := range edits {
		if edits[i].Key == key {
			return &edits[i]
		}
	}
	return nil
}

// String returns text as a JSON string.
func String(text string) []byte {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return append(append(append(make([]byte, 0, len(text)+2), '"'), text...), '"')
	}
	b, err := json.Marshal(text)
	if err != nil {
		return []byte(`""`) // cannot be: every string has a JSON form
	}
	return b
}

type scanner struct {
	b    []byte
	at   int
	deep bool // it is nested too deep
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) key() (string, bool) {
	start := s.at
	if !s.text() {
		return "", false
	}
	raw := s.b[start:s.at]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var key string
	if json.Unmarshal(raw, &key) != nil {
		return "", false
	}
	return key, true
}

// text skips a string. IndexByte makes long texts cheap.
func (s *scanner) text() bool {
	if s.at >= len(s.b) || s.b[s.at] != '"' {
		return false
	}
	s.at++
	for {
		i := bytes.IndexByte(s.b[s.at:], '"')
		if i < 0 {
			return false
		}
		end := s.at + i
		slashes := 0
		for j := end - 1; j >= s.at && s.b[j] == '\\'; j-- {
			slashes++
		}
		s.at = end + 1
		if slashes%2 == 0 {
			return true
		}
	}
}

// value skips a value of any kind, nested ones without recursion.
func (s *scanner) value() bool {
	if s.at >= len(s.b) {
		return false
	}
	switch s.b[s.at] {
	case '"':
		return s.text()
	case '{', '[':
		return s.nested()
	default:
		return s.word()
	}
}

func (s *scanner) nested() bool {
	var room [16]byte
	closers := room[:0] // of the values that are open
	for s.at < len(s.b) {
		switch c := s.b[s.at]; c {
		case '"':
			if !s.text() {
				return false
			}
			continue
		case '{', '[':
			if len(closers) == maxDepth {
				s.deep = true
				return false
			}
			closers = append(closers, c+2) // '{'+2 is '}', '['+2 is ']'
		case '}', ']':
			last := len(closers) - 1
			if last < 0 || closers[last] != c {
				return false
			}
			closers = closers[:last]
			if last == 0 {
				s.at++
				return true
			}
		}
		s.at++
	}
	return false
}

func (s *scanner) word() bool {
	start := s.at
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			return s.at > start
		case '"', '{', '[', ':':
			return false
		}
		s.at++
	}
	return false
}

func (s *scanner) end() error {
	s.space()
	if s.at != len(s.b) {
		return s.wrong("nothing more")
	}
	return nil
}

func (s *scanner) wrong(want string) error {
	return core.Errorf(core.CodeInvalid, "the body is not JSON: at byte %d %s was expected", s.at+1, want)
}

// Opening returns the part of a list of messages up to and with the first one of the user, which is the same in every
// later call of a conversation; all of v where it is no such list.
func Opening(v []byte) []byte {
	s := scanner{b: v}
	if !s.take('[') {
		return v
	}
	for {
		s.space()
		start := s.at
		if !s.value() {
			return v
		}
		if o, err := Scan(v[start:s.at]); err == nil {
			if role, _ := o.Text("role"); role == "user" {
				return v[:s.at]
			}
		}
		s.space()
		if !s.take(',') {
			return v
		}
	}
}
