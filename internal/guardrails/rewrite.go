package guardrails

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// maxDepth bounds how deep the values of a body may be nested.
const maxDepth = 256

// RewriteJSON calls fn with each text of a JSON body and puts what it returns in the text's place. All other bytes stay as
// they are; where fn changes nothing, body itself is returned. Texts are the string values that can be prose in a call of
// any dialect or its answer, in their order. Left out are names and identifiers (model, role, type, id, …), addresses
// (url), base64 and data: values, and of JSON schemas everything but descriptions. In the arguments of a tool every string
// is a text, and arguments that are JSON in a string are read like a value of their own. Keys and numbers are no texts.
//
// The error is fn's, or a core.Error of CodeInvalid where body is not valid JSON or nested too deeply.
func RewriteJSON(body []byte, fn func(text string) (string, error)) ([]byte, error) {
	return rewriteJSON(body, alone(fn))
}

// rewriteJSON tells fn also which texts are parts of one message: they have the same number, all others 0.
func rewriteJSON(body []byte, fn func(text string, group int) (string, error)) ([]byte, error) {
	w := walker{body: body, fn: fn}
	return w.rewrite(protocol)
}

func alone(fn func(text string) (string, error)) func(string, int) (string, error) {
	return func(text string, _ int) (string, error) { return fn(text) }
}

// RewriteArguments does the same to the arguments of one tool call, where every value is a text, numbers included: one that
// fn changes becomes a string. Arguments that are not JSON are one text.
func RewriteArguments(args []byte, fn func(text string) (string, error)) ([]byte, error) {
	return rewriteArguments(args, alone(fn))
}

func rewriteArguments(args []byte, fn func(text string, group int) (string, error)) ([]byte, error) {
	if !json.Valid(args) {
		out, err := fn(string(args), 0)
		return []byte(out), err
	}
	w := walker{body: args, fn: fn, numbers: true}
	return w.rewrite(free)
}

// zone says what a string in a part of a body is.
type zone uint8

const (
	protocol zone = iota // it depends on the key
	free                 // a text, whatever the key
	schema               // a text where the key says so
)

// role is what a string is by its key.
type role uint8

const (
	prose     role = iota
	skipped        // a name or identifier
	encoded        // a text unless it is base64
	arguments      // JSON in a string, or a text
)

// place is an object or array that the walker is in.
type place struct {
	object  bool
	started bool // something was read of it
	zone    zone
	role    role // of strings in an array, by the key that holds it
	group   int  // of the texts in it; 0 = they do not belong together
}

// walker goes through a body once, from left to right.
type walker struct {
	body []byte
	fn   func(text string, group int) (string, error)
	at   int
	// numbers says that they are texts too.
	numbers bool
	stack   []place
	groups  int    // so many lists of parts have begun
	out     []byte // what was written before copied, once something was changed
	copied  int
}

func (w *walker) rewrite(top zone) ([]byte, error) {
	var here [32]place
	w.stack = here[:0]
	w.space()
	if err := w.value(top, prose, 0); err != nil {
		return nil, err
	}
	for len(w.stack) > 0 {
		if err := w.next(); err != nil {
			return nil, err
		}
	}
	if w.space(); w.at != len(w.body) {
		return nil, w.wrong("the end")
	}
	if w.out == nil {
		return w.body, nil
	}
	return append(w.out, w.body[w.copied:]...), nil
}

// next reads a member of the innermost object or array, or its end.
func (w *walker) next() error {
	in := &w.stack[len(w.stack)-1]
	closing, name := byte(']'), "a comma or ]"
	if in.object {
		closing, name = '}', "a comma or }"
	}
	w.space()
	if w.take(closing) {
		w.stack = w.stack[:len(w.stack)-1]
		return nil
	}
	if in.started {
		if !w.take(',') {
			return w.wrong(name)
		}
		w.space()
	}
	in.started = true
	if !in.object {
		return w.value(in.zone, in.role, in.group)
	}
	start := w.at
	escaped, ok := w.text()
	if !ok {
		return w.wrong("a name in double quotes")
	}
	key := w.body[start+1 : w.at-1]
	if escaped {
		plain, ok := unescape(key)
		if !ok {
			return w.wrong("a valid name")
		}
		key = []byte(plain)
	}
	if w.space(); !w.take(':') {
		return w.wrong("a colon")
	}
	w.space()
	z, r, group := in.zone, prose, 0
	switch in.zone {
	case protocol:
		z, r = keyRole(key, w.at < len(w.body) && w.body[w.at] == '{')
		switch string(key) {
		case "text":
			group = in.group
		case "content", "system", "parts":
			if w.at < len(w.body) && w.body[w.at] == '[' {
				w.groups++
				group = w.groups
			}
		}
	case schema:
		r = schemaRole(key)
	}
	return w.value(z, r, group)
}

// value reads a string or a word, or enters an object or array.
func (w *walker) value(z zone, r role, group int) error {
	if w.at == len(w.body) {
		return w.wrong("a value")
	}
	switch c := w.body[w.at]; c {
	case '{', '[':
		if len(w.stack) == maxDepth {
			return core.Errorf(core.CodeInvalid, "the body is nested more than %d deep", maxDepth)
		}
		w.at++
		w.stack = append(w.stack, place{object: c == '{', zone: z, role: r, group: group})
		return nil
	case '"':
		return w.str(z, r, group)
	}
	start := w.at
	for w.at < len(w.body) && isLiteral(w.body[w.at]) {
		w.at++
	}
	if !json.Valid(w.body[start:w.at]) {
		return w.wrong("a value")
	}
	if c := w.body[start]; !w.numbers || !isDigit(c) && c != '-' {
		return nil
	}
	return w.put(start, string(w.body[start:w.at]), prose, 0)
}

// str reads a string, and writes it anew where fn changes it.
func (w *walker) str(z zone, r role, group int) error {
	start := w.at
	escaped, ok := w.text()
	if !ok {
		return w.wrong("the end of a string, with control characters escaped")
	}
	raw := w.body[start+1 : w.at-1]
	text := ""
	if escaped {
		if text, ok = unescape(raw); !ok {
			return w.wrong("a string with valid escapes")
		}
	} else if r != skipped {
		text = string(raw)
	}
	if r == skipped || len(raw) == 0 || z == free && r == prose && dataURL(text) || r == encoded && opaque(text) {
		return nil
	}
	return w.put(start, text, r, group)
}

// put writes what fn makes of a text in the place of the value that has just been read, if that is something else.
func (w *walker) put(start int, text string, r role, group int) error {
	changed, err := w.ask(text, r, group)
	if err != nil || changed == text {
		return err
	}
	w.out = append(w.out, w.body[w.copied:start]...)
	w.out = appendString(w.out, changed)
	w.copied = w.at
	return nil
}

// ask gives a text to fn; arguments of a tool are looked into.
func (w *walker) ask(text string, r role, group int) (string, error) {
	if r == arguments && strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && json.Valid([]byte(text)) {
		inner := walker{body: []byte(text), fn: w.fn}
		out, err := inner.rewrite(free)
		return string(out), err
	}
	return w.fn(text, group)
}

// text skips a string and says whether it has escapes.
func (w *walker) text() (escaped, ok bool) {
	if !w.take('"') {
		return false, false
	}
	for i := w.at; i < len(w.body); i++ {
		switch c := w.body[i]; {
		case c == '"':
			w.at = i + 1
			return escaped, true
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			w.at = i
			return false, false
		}
	}
	w.at = len(w.body)
	return false, false
}

func (w *walker) space() {
	for w.at < len(w.body) {
		switch w.body[w.at] {
		case ' ', '\n', '\r', '\t':
			w.at++
		default:
			return
		}
	}
}

func (w *walker) take(c byte) bool {
	if w.at < len(w.body) && w.body[w.at] == c {
		w.at++
		return true
	}
	return false
}

func (w *walker) wrong(expected string) error {
	return core.Errorf(core.CodeInvalid, "the body is not valid JSON: at byte %d, %s was expected", w.at, expected)
}

func isLiteral(c byte) bool { return isDigit(c) || isLetter(c) || c == '-' || c == '+' || c == '.' }

// appendString writes a text as JSON; only what must be is escaped.
func appendString(out []byte, text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(text) != nil {
		return append(out, `""`...) // cannot be: every string has a JSON form
	}
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// unescape reads the inside of a JSON string (RFC 8259, section 7). Half a surrogate pair becomes U+FFFD, as in
// encoding/json.
func unescape(raw []byte) (string, bool) {
	var b strings.Builder
	b.Grow(len(raw))
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			b.Write(raw)
			return b.String(), true
		}
		b.Write(raw[:i])
		if raw = raw[i+1:]; len(raw) == 0 {
			return "", false
		}
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
			b.WriteByte(c)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, ok := hex4(raw)
			if !ok {
				return "", false
			}
			raw = raw[4:]
			if utf16.IsSurrogate(r) && len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				if low, ok := hex4(raw[2:]); ok {
					if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
						r, raw = both, raw[6:]
					}
				}
			}
			b.WriteRune(r) // U+FFFD for a surrogate that is alone
		default:
			return "", false
		}
	}
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n), err == nil
}
