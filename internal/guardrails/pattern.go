package guardrails

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// The limits of MaxLength in bytes: the default, and the most that may be configured.
const (
	defaultMaxLength = 256
	largestMaxLength = 65536
)

// pattern finds the matches of a regular expression, from left to right and without overlap, as regexp.FindAll does. A
// match is what the expression matches when it sees no more than window bytes from the match's beginning on: that is
// what makes it the same in a stream. For an expression whose matches cannot be longer it makes no difference.
type pattern struct {
	kind    string
	re      *regexp.Regexp
	inner   *regexp.Regexp // behind the text's first character: the match is group 1; nil where re does not look back
	open    *regexp.Regexp // the text's end may be the beginning of a match; nil = it always may
	words   *words         // every match holds one of them; nil = not known
	window  int
	bounded bool // no match is longer than window
}

func newPattern(kind, expr string, maxLength int) (*pattern, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if mayBeEmpty(tree) {
		return nil, fmt.Errorf("it matches the empty text; use + instead of *, or {1,n} instead of {0,n}")
	}
	p := &pattern{kind: kind, window: maxLength}
	if p.re, err = regexp.Compile(expr); err != nil {
		return nil, err
	}
	if n := longest(tree); n != unbounded && n <= maxLength {
		p.bounded, p.window = true, max(16, n+utf8.UTFMax) // with the character behind it, which \b and $ look at
	}
	if looksBack(tree) {
		if p.inner, err = regexp.Compile(`\A(?s:.)(?s:.*?)(` + expr + `)`); err != nil {
			return nil, err
		}
	}
	p.open = beginning(tree, false)
	p.words = newWords(factors(tree))
	return p, nil
}

func (p *pattern) scan(whole string, from int, final bool) (found []span, held int) {
	held = len(whole)
	if !final {
		held = p.hold(whole, from)
	}
	// take adds the matches of text that begin at from or later and up to last, and says whether to go on behind them.
	take := func(text string, last int) bool {
		for from <= last {
			start, end, ok := p.find(text, from)
			if !ok || start > last {
				return true
			}
			if start >= held {
				return false
			}
			found = append(found, span{start: start, end: end, kind: p.kind})
			from = end
			if end > held {
				held = p.hold(whole, end)
			}
		}
		return true
	}
	if p.words == nil {
		take(whole, len(whole))
		return found, held
	}
	base := from
	p.words.each(whole[from:], func(at int, _ int32) bool {
		at += base // a match that holds this word begins within window before it, and ends within window behind that
		if at < from {
			return true
		}
		from = max(from, runeStart(whole, at-p.window))
		return take(whole[:runeStart(whole, at+2*p.window)], at)
	})
	return found, held
}

// hold returns the first offset, from on, where text may hold the beginning of a match that is not complete.
func (p *pattern) hold(text string, from int) int {
	from = max(from, runeStart(text, len(text)-p.window))
	if p.open == nil || from >= len(text) {
		return from
	}
	at := p.context(text, from)
	loc := p.open.FindStringIndex(text[at:])
	if loc == nil {
		return len(text)
	}
	return max(from, at+loc[0])
}

// find returns the first match that begins at from or later.
func (p *pattern) find(text string, from int) (start, end int, ok bool) {
	if p.bounded {
		return p.search(text, from)
	}
	for from < len(text) {
		seen := runeStart(text, from+2*p.window)
		settled := seen - p.window // from here on a match may go on behind seen
		if seen == len(text) {
			settled = seen
		}
		start, _, ok = p.search(text[:seen], from)
		if !ok || start > settled {
			from = runeStart(text, max(settled, from+1))
			if seen == len(text) {
				return 0, 0, false
			}
			continue
		}
		if s, e, ok := p.search(text[:runeStart(text, start+p.window)], start); ok && s == start {
			return s, e, true
		}
		_, width := utf8.DecodeRuneInString(text[start:])
		from = start + width
	}
	return 0, 0, false
}

// search returns the first match that begins at from or later; of an expression that is not bounded, whatever its length.
func (p *pattern) search(text string, from int) (start, end int, ok bool) {
	for {
		at := p.context(text, from)
		loc := p.re.FindStringIndex(text[at:])
		if loc == nil {
			return 0, 0, false
		}
		if at+loc[0] >= from {
			return at + loc[0], at + loc[1], true
		}
		// It begins in the context, which belongs to a match that was found before. A short piece of text is enough to
		// find the one behind it, mostly.
		cut := runeStart(text, from+2*p.window)
		settled := cut - p.window
		if cut == len(text) {
			settled = cut
		}
		groups := p.inner.FindStringSubmatchIndex(text[at:cut])
		if groups != nil && at+groups[2] <= settled {
			return at + groups[2], at + groups[3], true
		}
		if cut == len(text) {
			return 0, 0, false
		}
		from = runeStart(text, settled)
	}
}

// context returns where a search from an offset begins: one character before, where the expression looks at it.
func (p *pattern) context(text string, from int) int {
	if p.inner == nil || from == 0 {
		return from
	}
	return runeStart(text, from-1)
}

// runeStart returns the largest offset up to i at which a character of text begins; at least 0 and at most len(text).
func runeStart(text string, i int) int {
	if i >= len(text) {
		return len(text)
	}
	i = max(i, 0)
	for n := 0; n < utf8.UTFMax-1 && i > 0 && !utf8.RuneStart(text[i]); n++ {
		i--
	}
	return i
}
