package guardrails

import (
	"cmp"
	"slices"
	"strings"
)

// span is a piece of a text, in bytes, that a detector found.
type span struct {
	start, end int
	kind       string
	weak       bool // where spans overlap, the kind of another one counts
	lead       int  // bytes before start without which it would not be found, such as the name of a password
	void       bool // it is allowed; it is told because nothing else was looked for inside it
}

// detector finds spans in a text that may still grow.
type detector interface {
	// scan looks at text from the offset from on; what is before has been judged and is there as context. With final the
	// text is complete. Without, held is the first offset of which is not known yet whether a span begins there: what is
	// found before held, and that nothing else is, holds whatever follows. Spans may overlap and come in any order; those
	// that end behind held are found again when the scan goes on at or before where they, with their lead, begin.
	//
	// What a detector says about an offset depends on at most lookBehind bytes before it and a bounded number behind it.
	// That makes the result the same in whatever pieces a text arrives.
	scan(text string, from int, final bool) (found []span, held int)
}

// lookBehind is how many judged bytes are kept as context.
const lookBehind = 256

// merge joins spans that overlap and sorts them, without the void ones. The kind of a joined span is the first one's that
// is not weak.
func merge(spans []span) []span {
	spans = slices.DeleteFunc(spans, func(s span) bool { return s.void })
	if len(spans) < 2 {
		return spans
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(a.start-b.start, order(a.weak)-order(b.weak), b.end-a.end)
	})
	out := spans[:1]
	for _, s := range spans[1:] {
		last := &out[len(out)-1]
		if s.start >= last.end {
			out = append(out, s)
			continue
		}
		last.end = max(last.end, s.end)
		last.lead = max(last.lead, last.start-(s.start-s.lead))
		if last.weak && !s.weak {
			last.kind, last.weak = s.kind, false
		}
	}
	return out
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// replace puts [kind] for each of the merged spans of text, which are given relative to base.
func replace(text string, base int, spans []span) string {
	var b strings.Builder
	b.Grow(len(text) + 16*len(spans))
	at := 0
	for _, s := range spans {
		b.WriteString(text[at : s.start-base])
		b.WriteByte('[')
		b.WriteString(s.kind)
		b.WriteByte(']')
		at = s.end - base
	}
	b.WriteString(text[at:])
	return b.String()
}

// all is the spans of several detectors over the same text.
type all []detector

func (d all) scan(text string, from int, final bool) (found []span, held int) {
	held = len(text)
	for _, one := range d {
		f, h := one.scan(text, from, final)
		found = append(found, f...)
		held = min(held, h)
	}
	return found, held
}

// alnum says whether the byte before or at an offset belongs to an ASCII word, as \b of RE2 sees it.
func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// inWord says whether the byte before offset i belongs to an ASCII word.
func inWord(text string, i int) bool { return i > 0 && alnum(text[i-1]) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
