package guardrails

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// visible lets a detector see a text twice: as it is, and without the characters that nobody sees. Models read over
// those, so that they hide from a check what they do not hide from a model.
type visible struct{ inner detector }

func (v visible) scan(text string, from int, final bool) (found []span, held int) {
	found, held = v.inner.scan(text, from, final)
	first, _ := nextInvisible(text, 0)
	if first == len(text) {
		return found, held
	}
	s := strip(text, first)
	seen, until := v.inner.scan(s.plain, s.down(from), final)
	for _, one := range seen {
		start := s.up(one.start)
		one.lead = start - s.up(one.start-one.lead)
		one.start, one.end = start, s.up(one.end-1)+1
		found = append(found, one)
	}
	return found, min(held, s.up(until))
}

// stripped is a text without its invisible characters.
type stripped struct {
	plain string
	gaps  []gap
}

// gap is a place where characters were left out.
type gap struct {
	at      int // in plain
	removed int // bytes so far, with those of this place
}

// strip leaves the invisible characters out, of which the first is at an offset.
func strip(text string, first int) stripped {
	var s stripped
	var b strings.Builder
	b.Grow(len(text))
	removed := 0
	for at, begin := 0, first; at < len(text); begin = at {
		next, width := nextInvisible(text, begin)
		b.WriteString(text[at:next])
		if next == len(text) {
			break
		}
		removed += width
		if n := len(s.gaps); n > 0 && s.gaps[n-1].at == b.Len() {
			s.gaps[n-1].removed = removed
		} else {
			s.gaps = append(s.gaps, gap{b.Len(), removed})
		}
		at = next + width
	}
	s.plain = b.String()
	return s
}

// up returns where a byte of plain stands in the text, and for the end of plain the text's.
func (s stripped) up(at int) int {
	i := sort.Search(len(s.gaps), func(i int) bool { return s.gaps[i].at > at })
	if i == 0 {
		return at
	}
	return at + s.gaps[i-1].removed
}

// down returns where in plain the first byte stands that is at or behind an offset of the text.
func (s stripped) down(at int) int {
	return sort.Search(len(s.plain), func(i int) bool { return s.up(i) >= at })
}

// nextInvisible returns the place of the first invisible character from an offset on, and its length; the text's length
// where there is none.
func nextInvisible(text string, from int) (at, width int) {
	for i := from; i < len(text); i++ {
		c := text[i]
		if c < utf8.RuneSelf { // most texts are ASCII
			for len(text)-i >= 8 {
				t := text[i : i+8]
				if (t[0]|t[1]|t[2]|t[3]|t[4]|t[5]|t[6]|t[7])&utf8.RuneSelf != 0 {
					break
				}
				i += 8
			}
			for i < len(text) && text[i] < utf8.RuneSelf {
				i++
			}
			if i == len(text) {
				break
			}
			c = text[i]
		}
		if c < 0xC2 || i+1 == len(text) || !mayBeInvisible(c, text[i+1]) {
			continue
		}
		if r, n := utf8.DecodeRuneInString(text[i:]); invisible(r) {
			return i, n
		}
	}
	return len(text), 0
}

// mayBeInvisible says whether invisible characters begin with these two bytes. Most characters of all scripts do not.
func mayBeInvisible(first, second byte) bool {
	switch first {
	case 0xC2:
		return second == 0xAD
	case 0xCD:
		return second == 0x8F
	case 0xD8:
		return second == 0x9C
	case 0xE1:
		return second == 0x85 || second == 0x9E || second == 0xA0
	case 0xE2:
		return second == 0x80 || second == 0x81
	case 0xE3:
		return second == 0x85
	case 0xEF:
		return second == 0xB8 || second >= 0xBB
	case 0xF0:
		return second == 0x9B || second == 0x9D
	case 0xF3:
		return true
	}
	return false
}

// invisible says whether a character has no form of its own (Unicode, Default_Ignorable_Code_Point).
func invisible(r rune) bool {
	switch {
	case r == 0xAD, r == 0x34F, r == 0x61C, r == 0x3164, r == 0xFEFF, r == 0xFFA0:
		return true
	case r < 0x115F:
		return false
	}
	return r <= 0x1160 || r == 0x17B4 || r == 0x17B5 || r >= 0x180B && r <= 0x180F || r >= 0x200B && r <= 0x200F ||
		r >= 0x202A && r <= 0x202E || r >= 0x2060 && r <= 0x206F || r >= 0xFE00 && r <= 0xFE0F || r >= 0xFFF0 && r <= 0xFFF8 ||
		r >= 0x1BCA0 && r <= 0x1BCA3 || r >= 0x1D173 && r <= 0x1D17A || r >= 0xE0000 && r <= 0xE0FFF
}
