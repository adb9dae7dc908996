package guardrails

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unbounded is the length of a match that has no limit.
const unbounded = -1

// longest returns how many bytes a match of re has at most, or unbounded.
func longest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		n := 0
		for _, r := range re.Rune {
			n += runeLen(r, re.Flags&syntax.FoldCase != 0)
		}
		return n
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return 0
		}
		return utf8.RuneLen(re.Rune[len(re.Rune)-1])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpCapture, syntax.OpQuest:
		return longest(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return times(longest(re.Sub[0]), unbounded)
	case syntax.OpRepeat:
		return times(longest(re.Sub[0]), re.Max)
	case syntax.OpConcat, syntax.OpAlternate:
		n := 0
		for _, sub := range re.Sub {
			l := longest(sub)
			switch {
			case l == unbounded:
				return unbounded
			case re.Op == syntax.OpConcat:
				n += l
			default:
				n = max(n, l)
			}
		}
		return n
	}
	return 0 // assertions
}

func times(n, count int) int {
	switch {
	case n == 0:
		return 0
	case n == unbounded || count == unbounded:
		return unbounded
	}
	return n * count
}

// runeLen returns the length of the longest way to write r.
func runeLen(r rune, fold bool) int {
	n := utf8.RuneLen(r)
	if fold {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			n = max(n, utf8.RuneLen(f))
		}
	}
	return n
}

// mayBeEmpty says whether re can match a text without characters.
func mayBeEmpty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch:
		return false
	case syntax.OpLiteral:
		return len(re.Rune) == 0
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpCapture, syntax.OpPlus:
		return mayBeEmpty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || mayBeEmpty(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !mayBeEmpty(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if mayBeEmpty(sub) {
				return true
			}
		}
		return false
	}
	return true // assertions, ?, *
}

// looksBack says whether re asks what stands before it: \b, \B, ^.
func looksBack(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	for _, sub := range re.Sub {
		if looksBack(sub) {
			return true
		}
	}
	return false
}

// maxFactors bounds how many words stand for a pattern.
const maxFactors = 64

// factors returns words, with ASCII letters in lower case, of which every match of re holds at least one. nil = there
// are none that are worth looking for.
func factors(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return literalFactor(re)
	case syntax.OpCapture, syntax.OpPlus:
		return factors(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return factors(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if f := factors(sub); shortestOf(f) > shortestOf(best) {
				best = f
			}
		}
		return best
	case syntax.OpAlternate:
		var every []string
		for _, sub := range re.Sub {
			f := factors(sub)
			if f == nil || len(every)+len(f) > maxFactors {
				return nil
			}
			every = append(every, f...)
		}
		return every
	}
	return nil
}

// literalFactor returns the longest part of a literal that has one form only, but for the case of ASCII letters: k and s
// have a third one (KELVIN SIGN, LONG S) where case is folded.
func literalFactor(re *syntax.Regexp) []string {
	fold := re.Flags&syntax.FoldCase != 0
	pieces := strings.FieldsFunc(string(re.Rune), func(r rune) bool {
		return fold && (r >= utf8.RuneSelf || strings.ContainsRune("kKsS", r)) || r == utf8.RuneError
	})
	best := ""
	for _, p := range pieces {
		if len(p) > len(best) {
			best = p
		}
	}
	if len(best) < 2 {
		return nil
	}
	return []string{strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, best)}
}

func shortestOf(words []string) int {
	n := 0
	for i, w := range words {
		if i == 0 || len(w) < n {
			n = len(w)
		}
	}
	return n
}

// beginning compiles an expression that matches where a text ends in what may become a match of re, or may become a
// longer or a different one: every proper beginning of a match, and whatever still depends on what follows. It may match
// more than that, never less. nil = re is too large for it.
func beginning(re *syntax.Regexp, anchored bool) *regexp.Regexp {
	parts := []*syntax.Regexp{begun(re), {Op: syntax.OpEndText}}
	if anchored {
		parts = append([]*syntax.Regexp{{Op: syntax.OpBeginText}}, parts...)
	}
	out, err := regexp.Compile(concat(parts...).String())
	if err != nil {
		return nil
	}
	return out
}

// begun builds what beginning compiles. The empty text is always a beginning.
func begun(re *syntax.Regexp) *syntax.Regexp {
	switch re.Op {
	case syntax.OpLiteral:
		var out *syntax.Regexp
		for i := len(re.Rune) - 2; i >= 0; i-- {
			one := &syntax.Regexp{Op: syntax.OpLiteral, Rune: re.Rune[i : i+1], Flags: re.Flags}
			if out != nil {
				one = concat(one, out)
			}
			out = &syntax.Regexp{Op: syntax.OpQuest, Sub: []*syntax.Regexp{one}}
		}
		if out == nil {
			out = &syntax.Regexp{Op: syntax.OpEmptyMatch}
		}
		return out
	case syntax.OpCapture, syntax.OpQuest:
		return begun(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return concat(&syntax.Regexp{Op: syntax.OpStar, Sub: re.Sub}, begun(re.Sub[0]))
	case syntax.OpRepeat:
		most := re.Max
		if most > 0 {
			most--
		}
		return concat(&syntax.Regexp{Op: syntax.OpRepeat, Min: 0, Max: most, Sub: re.Sub}, begun(re.Sub[0]))
	case syntax.OpConcat:
		var out *syntax.Regexp
		for i := len(re.Sub) - 1; i >= 0; i-- {
			here := begun(re.Sub[i])
			if out == nil {
				out = here
				continue
			}
			out = &syntax.Regexp{Op: syntax.OpAlternate, Sub: []*syntax.Regexp{concat(re.Sub[i], out), here}}
		}
		return out
	case syntax.OpAlternate:
		out := &syntax.Regexp{Op: syntax.OpAlternate}
		for _, sub := range re.Sub {
			out.Sub = append(out.Sub, begun(sub))
		}
		return out
	}
	return &syntax.Regexp{Op: syntax.OpEmptyMatch} // one character, or an assertion
}

func concat(subs ...*syntax.Regexp) *syntax.Regexp {
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: subs}
}
