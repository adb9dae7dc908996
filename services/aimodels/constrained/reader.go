package constrained

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// answerStart is what comes before the answer's value.
var answerStart = regexp.MustCompile(`^\s*\{\s*"answer"\s*:\s*`)

// answerReader reads {"answer": …} while it is written and gives the value's text as soon as it is certain: a string's
// characters with escapes decoded (a surrogate pair or a character cut by the chunk is held back), or with raw set the
// value's JSON.
type answerReader struct {
	raw     bool
	pending string // read but not yet understood
	inside  bool   // the value has begun
	ended   bool
	text    strings.Builder // everything given so far
}

func (r *answerReader) started() bool { return r.text.Len() > 0 }

// write takes the next piece of the stream and returns the next piece of the answer.
func (r *answerReader) write(piece string) string {
	r.pending += piece
	if !r.inside {
		loc := answerStart.FindStringIndex(r.pending)
		if loc == nil || loc[1] == len(r.pending) { // white space may still follow
			return ""
		}
		r.inside = true
		r.pending = r.pending[loc[1]:]
		if !r.raw {
			if r.pending[0] != '"' { // not text after all: the whole is judged at the end
				r.ended = true
			}
			r.pending = r.pending[1:]
		}
	}
	var out string
	if r.raw {
		out = r.rawPart()
	} else {
		out = r.stringPart()
	}
	r.text.WriteString(out)
	return out
}

// rawPart gives all but a last closing brace, which may be that of the object around the value.
func (r *answerReader) rawPart() string {
	end := len(strings.TrimRight(r.pending, " \t\r\n"))
	if end > 0 && r.pending[end-1] == '}' {
		end--
	}
	out := r.pending[:end]
	r.pending = r.pending[end:]
	return out
}

func (r *answerReader) stringPart() string {
	var b strings.Builder
	for !r.ended && len(r.pending) > 0 {
		switch c := r.pending[0]; {
		case c == '"':
			r.ended = true
		case c == '\\':
			char, n := unescape(r.pending)
			if n == 0 {
				return b.String()
			}
			b.WriteRune(char)
			r.pending = r.pending[n:]
		case !utf8.FullRuneInString(r.pending):
			return b.String()
		default:
			char, n := utf8.DecodeRuneInString(r.pending)
			b.WriteRune(char)
			r.pending = r.pending[n:]
		}
	}
	return b.String()
}

// unescape decodes the escape at the start of s and says how long it is; 0 = more is needed to know.
func unescape(s string) (rune, int) {
	if len(s) < 2 {
		return 0, 0
	}
	if s[1] != 'u' {
		if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
			return rune("\"\\/\b\f\n\r\t"[i]), 2
		}
		return utf8.RuneError, 2
	}
	high, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(high) {
		return high, 6
	}
	if len(s) < 12 && strings.HasPrefix(`\u`, s[6:min(len(s), 8)]) {
		return 0, 0
	}
	if low, ok := hex4(s[6:]); ok {
		if pair := utf16.DecodeRune(high, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[:2] != `\u` {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return utf8.RuneError, true
	}
	return rune(n), true
}
