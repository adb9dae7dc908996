package guardrails

import (
	"unicode"
	"unicode/utf8"
)

// digitAt returns the value of the decimal digit of any script at an offset and its length in bytes. For anything else the
// value is -1 and the length that of the character.
func digitAt(text string, i int) (value, width int) {
	c := text[i]
	if c < utf8.RuneSelf {
		if isDigit(c) {
			return int(c - '0'), 1
		}
		return -1, 1
	}
	r, width := utf8.DecodeRuneInString(text[i:])
	switch c { // the first bytes of all digits beyond ASCII; most texts have none of them
	case 0xD9, 0xDB, 0xDF, 0xE0, 0xE1, 0xEA, 0xEF, 0xF0:
		return digitValue(r), width
	}
	return -1, width
}

// digitValue returns a digit's value, -1 for other characters. Unicode keeps the ten digits of a script together and in
// order (UAX #44, General_Category Nd).
func digitValue(r rune) int {
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10
		}
	}
	return -1
}

// maxGap is how many characters may stand between two groups of a number.
const maxGap = 3

// What stands between two groups: one of the characters that people write there (' ', '-', '.'), or something looser.
const (
	noGap    byte = 0
	looseGap byte = '*' // several characters, a slash or an underscore
	lineGap  byte = '|' // the end of a line or of a table's cell is among them
)

// gapAt returns what stands between the groups of a number at an offset, and its length in bytes; noGap, 0 where that is
// something else, or too much.
func gapAt(text string, i int) (kind byte, width int) {
	for n := 0; i+width < len(text); n++ {
		one, w := separatorAt(text, i+width)
		if w == 0 {
			break
		}
		if n == maxGap {
			return noGap, 0
		}
		switch {
		case one == '\n' || kind == lineGap:
			kind = lineGap
		case n > 0 || one == '/' || one == '_':
			kind = looseGap
		default:
			kind = one
		}
		width += w
	}
	return kind, width
}

// separatorAt returns the character at an offset if it is one that people write between the groups of a number, and its
// length; 0, 0 for others. The kinds of spaces are one, the kinds of dashes, and those that end a line or a cell.
func separatorAt(text string, i int) (kind byte, width int) {
	switch c := text[i]; {
	case c == ' ' || c == '-' || c == '.' || c == '/' || c == '_':
		return c, 1
	case c == '\n' || c == '\r' || c == '\t':
		return '\n', 1
	case c == 0xC2 || c == 0xE2: // U+00A0, U+2009 to U+2013, U+202F
		switch r, width := utf8.DecodeRuneInString(text[i:]); r {
		case '\u00a0', '\u2009', '\u202f':
			return ' ', width
		case '\u2010', '\u2011', '\u2012', '\u2013':
			return '-', width
		}
	}
	return 0, 0
}

// digitBefore says whether a digit ends at offset i.
func digitBefore(text string, i int) bool {
	if i == 0 {
		return false
	}
	if text[i-1] < utf8.RuneSelf {
		return isDigit(text[i-1])
	}
	r, _ := utf8.DecodeLastRuneInString(text[:i])
	return digitValue(r) >= 0
}

// startsNumber says whether a number may begin at offset i: not within a word, a longer number, or behind a decimal point.
func startsNumber(text string, i int) bool {
	return !inWord(text, i) && !digitBefore(text, i) && !(i > 1 && text[i-1] == '.' && digitBefore(text, i-1))
}

// answer is what a detector can say about an offset.
type answer int

const (
	no answer = iota
	yes
	more // it depends on text that is not there yet
)

// endsNumber says whether a number may end at offset i: nothing of a word or a decimal fraction follows.
func endsNumber(text string, i int, final bool) answer {
	switch {
	case i == len(text):
		return openEnd(final)
	case alnum(text[i]):
		return no
	case text[i] == '.':
		if i+1 == len(text) {
			return openEnd(final)
		}
		if v, _ := digitAt(text, i+1); v >= 0 {
			return no
		}
	default:
		if v, _ := digitAt(text, i); v >= 0 {
			return no
		}
	}
	return yes
}

func openEnd(final bool) answer {
	if final {
		return yes
	}
	return more
}
