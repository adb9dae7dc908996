// Package mutate breaks messages: it takes valid ones and drops fields, changes types and values, nests, cuts and doubles.
// The gates of the protocols send them to this program and look at what it answers. It knows no protocol.
package mutate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// Mutator makes the same broken messages for the same seed. It is for one goroutine.
type Mutator struct{ rnd *rand.Rand }

// New returns a Mutator.
func New(seed uint64) *Mutator { return &Mutator{rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))} }

// Pick returns one of several.
func Pick[T any](m *Mutator, list []T) T { return list[m.rnd.IntN(len(list))] }

// Message returns a message that is one to three changes away from a valid one.
func (m *Mutator) Message(valid []byte) []byte {
	var v any
	if err := json.Unmarshal(valid, &v); err != nil {
		panic("a message to begin with is no JSON: " + err.Error())
	}
	for range 1 + m.rnd.IntN(3) {
		v = m.change(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // every value came from JSON
	}
	if m.rnd.IntN(4) == 0 {
		b = m.bytes(b)
	}
	return b
}

// change changes one place of a value.
func (m *Mutator) change(v any) any {
	switch c := v.(type) {
	case map[string]any:
		if len(c) == 0 || m.rnd.IntN(8) == 0 {
			return m.replace(v)
		}
		keys := make([]string, 0, len(c))
		for k := range c {
			keys = append(keys, k)
		}
		slices.Sort(keys) // the order of a map is no seed's
		key := Pick(m, keys)
		switch m.rnd.IntN(8) {
		case 0:
			delete(c, key)
		case 1:
			c[m.text()] = c[key]
		case 2:
			other := Pick(m, keys)
			c[key], c[other] = c[other], c[key]
		case 3:
			c[strings.ToUpper(key)] = c[key]
			delete(c, key)
		default:
			c[key] = m.change(c[key])
		}
		return c
	case []any:
		if len(c) == 0 || m.rnd.IntN(4) == 0 {
			return m.replace(v)
		}
		i := m.rnd.IntN(len(c))
		switch m.rnd.IntN(4) {
		case 0:
			return slices.Delete(c, i, i+1)
		case 1:
			return append(c, c[i])
		default:
			c[i] = m.change(c[i])
			return c
		}
	default:
		return m.replace(v)
	}
}

// replace returns a value of another kind, or an odd one of the same.
func (m *Mutator) replace(v any) any {
	switch m.rnd.IntN(14) {
	case 0:
		return nil
	case 1:
		return m.rnd.IntN(2) == 0
	case 2:
		return Pick(m, []json.Number{"0", "-1", "1.5", "1e999", "9007199254740993", "18446744073709551616", "-0", "1e-400", "2147483648"})
	case 3:
		return []any{}
	case 4:
		return map[string]any{}
	case 5:
		return []any{v, v}
	case 6:
		return map[string]any{m.text(): v}
	case 7:
		return nest(v, Pick(m, []int{3, 60, 300, 2000}))
	case 8:
		return strings.Repeat(m.text(), 1+m.rnd.IntN(200))
	case 9:
		return fmt.Sprint(v)
	default:
		return m.text()
	}
}

func nest(v any, levels int) any {
	for i := range levels {
		if i%2 == 0 {
			v = []any{v}
		} else {
			v = map[string]any{"a": v}
		}
	}
	return v
}

func (m *Mutator) text() string {
	return Pick(m, []string{
		"", " ", "\x00", "a\x00b", "\u2028", "\uFEFF", "\U0001F4A9", "é", "\u202E", strings.Repeat("A", 5000), "../../etc/passwd", "%s%n%d", "' OR 1=1 --",
		"<script>", "null", "undefined", "NaN", "-1", "__proto__", "constructor", "\r\nX-Header: x", "$ref", "#/", "${x}", "file:///etc/passwd", "http://169.254.169.254/",
		"sutazai://runs/", "sutazai://runs/%00", "sutazai://runs/..%2f..", "id", "name", "method", "params",
	})
}

// bytes breaks what is written.
func (m *Mutator) bytes(b []byte) []byte {
	b = slices.Clone(b)
	at := m.rnd.IntN(len(b))
	switch m.rnd.IntN(8) {
	case 0:
		return b[:at]
	case 1:
		return append(b, b...)
	case 2:
		b[at] = byte(m.rnd.IntN(256))
	case 3:
		return slices.Insert(b, at, 0xff, 0xfe)
	case 4:
		return slices.Insert(b, at, []byte(`\ud800`)...)
	case 5:
		return append([]byte("["), append(b, ']')...)
	case 6:
		if i := strings.IndexByte(string(b), '{'); i >= 0 { // the first field twice
			return slices.Insert(b, i+1, []byte(`"method":"x","id":{},`)...)
		}
	default:
		return slices.Delete(b, at, min(len(b), at+1+m.rnd.IntN(10)))
	}
	return b
}

var internals = regexp.MustCompile(`(?i)\b(mcp|sdk|core|json|jsonrpc2?|backend|orchestrator|http|net|sql|pgx|a2a|acp)\.[A-Z]\w+|\.go:\d+|goroutine \d+|panic:|runtime error|nil pointer|` +
	`Go (struct|value)|cannot unmarshal|unmarshal(l)?ing|\*[a-z]+\.[A-Z]|/(root|work|home|usr|tmp)/|\b(SELECT|INSERT|UPDATE|DELETE) .*\b(FROM|INTO|SET|WHERE)\b|SQLITE_|SQLSTATE|map\[string\]`)

// Leak returns the part of an answer that tells of this program's inside, or "". What the message itself said is no leak.
func Leak(answer, sent string) string {
	for _, found := range internals.FindAllString(answer, -1) {
		if !strings.Contains(sent, found) {
			return found
		}
	}
	return ""
}

// Explained says whether the text of an error names something that the sender can look at.
func Explained(message string, named ...string) bool {
	message = strings.ToLower(message)
	return message != "" && slices.ContainsFunc(named, func(n string) bool { return strings.Contains(message, strings.ToLower(n)) })
}
