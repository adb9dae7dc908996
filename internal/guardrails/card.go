package guardrails

import "unicode/utf8"

// cards finds the numbers of payment cards: 12 to 19 digits of any script in one group, in groups with the same separator
// between them, or in the groups in which cards are written with anything else that keeps them apart, that begin as one of the card schemes' numbers do, have its length, and pass the Luhn check
// (ISO/IEC 7812-1).
type cards struct{}

const (
	minCard = 12
	maxCard = 19
)

func (cards) scan(text string, from int, final bool) (found []span, held int) {
	for i := from; i < len(text); {
		if c := text[i]; c < '0' || c > '9' && c < utf8.RuneSelf {
			i++
			continue
		}
		v, width := digitAt(text, i)
		if v < 0 {
			i += width
			continue
		}
		if startsNumber(text, i) {
			switch end, a := cardAt(text, i, final); a {
			case yes:
				found = append(found, span{start: i, end: end, kind: "card"})
				i = end
				continue
			case more:
				return found, i
			}
		}
		for i < len(text) { // behind this group of digits
			if v, width = digitAt(text, i); v < 0 {
				break
			}
			i += width
		}
	}
	return found, len(text)
}

// cardAt says whether a card number begins at an offset, and where it ends. The longest one counts.
func cardAt(text string, at int, final bool) (end int, a answer) {
	var digits [maxCard]int8
	var groups [maxCard + 1]cardGroups // number of digits → the groups that end after so many
	var sofar cardGroups
	n, open := 0, false
	sep := noGap
	for i := at; ; {
		group := 0
		for i < len(text) {
			v, width := digitAt(text, i)
			if v < 0 {
				break
			}
			if n == maxCard {
				group = -1
				break
			}
			digits[n] = int8(v)
			n, group, i = n+1, group+1, i+width
		}
		if group <= 0 {
			break
		}
		if i == len(text) {
			open = !final
		}
		if first := sofar.sizes[0]; sofar.count > 0 && (group > 7 || first == 1 && group > 1) {
			break
		}
		sofar.add(group, i)
		groups[n] = sofar
		if i == len(text) || !groupFits(int(sofar.sizes[0]), group) { // a shorter group, such as the last of 4-4-4-1, ends it
			break
		}
		s, width := gapAt(text, i)
		if width == 0 {
			break
		}
		if i+width == len(text) {
			open = !final
			break
		}
		sofar.gap = looser(sofar.gap, sep, s)
		sep, i = s, i+width
	}
	if !schemeOf(digits[:n]).possible {
		return 0, no
	}
	if open {
		return 0, more
	}
	for ; n >= minCard; n-- {
		if groups[n].count == 0 || !schemeOf(digits[:n]).allows(n) || !luhn(digits[:n]) {
			continue
		}
		switch a := groups[n].card(text, at, final); a {
		case yes, more:
			return groups[n].end, a
		}
	}
	return 0, no
}

// cardGroups is the groups in which the beginning of a number is written.
type cardGroups struct {
	sizes [5]int8 // of the first ones; no card has more, but for one whose digits all stand alone
	count int
	gap   byte // noGap = the same separator between all, or none
	end   int  // offset
}

func (g *cardGroups) add(size, end int) {
	if g.count < len(g.sizes) {
		g.sizes[g.count] = int8(size)
	}
	g.count, g.end = g.count+1, end
}

// looser returns what keeps the groups apart after another gap, such as it is behind the one before it.
func looser(sofar, before, gap byte) byte {
	switch {
	case sofar == lineGap || gap == lineGap:
		return lineGap
	case sofar == looseGap || gap == looseGap || before != noGap && gap != before:
		return looseGap
	}
	return noGap
}

// card says whether the number that begins at an offset stands there as cards do. Where anything may be between the groups
// they must be a card's, and what is in a column must not be longer than a card.
func (g *cardGroups) card(text string, at int, final bool) answer {
	a := endsNumber(text, g.end, final)
	if a == no || g.gap == noGap {
		return a
	}
	if !g.usual() {
		return no
	}
	if g.gap == lineGap {
		if fourBefore(text, at) {
			return no
		}
		switch fourBehind(text, g.end, final) {
		case yes:
			return no
		case more:
			return more
		}
	}
	return a
}

// usual says whether a card is written in these groups: fours, of which the last may be shorter, or 4-6-5 and 4-6-4.
func (g *cardGroups) usual() bool {
	s := g.sizes
	switch {
	case s[0] != 4:
		return false
	case g.count == 3:
		return s[1] == 6 && (s[2] == 4 || s[2] == 5)
	case g.count == 4:
		return s[1] == 4 && s[2] == 4 && s[3] <= 4
	}
	return g.count == 5 && s[1] == 4 && s[2] == 4 && s[3] == 4 && s[4] <= 3
}

// fourBefore says whether a group of four digits stands before an offset, with a gap between: the list has begun before.
func fourBefore(text string, at int) bool {
	for n := 0; ; n++ {
		begin := runeStart(text, at-1)
		if at == 0 || n > maxGap {
			return false
		}
		if _, width := separatorAt(text, begin); width != at-begin {
			break
		}
		at = begin
	}
	digits := 0
	for at > 0 && digits <= 4 {
		begin := runeStart(text, at-1)
		if v, width := digitAt(text, begin); v < 0 || width != at-begin {
			break
		}
		digits, at = digits+1, begin
	}
	return digits == 4
}

// fourBehind says whether a group of four digits stands behind an offset, with a gap between: the list goes on.
func fourBehind(text string, at int, final bool) answer {
	_, width := gapAt(text, at)
	if at += width; at == len(text) {
		return unknown(final)
	}
	if width == 0 {
		return no
	}
	digits := 0
	for at < len(text) && digits <= 4 {
		v, width := digitAt(text, at)
		if v < 0 {
			break
		}
		digits, at = digits+1, at+width
	}
	if at == len(text) && digits <= 4 && !final {
		return more
	}
	if digits == 4 {
		return yes
	}
	return no
}

// groupFits says whether another group may follow one of this size: groups of three to seven digits, or single digits.
func groupFits(first, group int) bool {
	if first == 1 {
		return group == 1
	}
	return group >= 3 && group <= 7
}

// scheme is what the beginning of a number says about it.
type scheme struct {
	possible bool
	lengths  uint32 // bit n: numbers of n digits
}

func (s scheme) allows(n int) bool { return s.lengths&(1<<n) != 0 }

// schemeOf looks the number's first digits up among the issuer identification numbers of the card schemes.
func schemeOf(digits []int8) (s scheme) {
	const (
		n13, n14, n15, n16, n19 = 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 19
		from16                  = 1<<16 | 1<<17 | 1<<18 | 1<<19
		from12                  = 1<<12 | 1<<13 | 1<<14 | 1<<15 | from16
	)
	for _, r := range [...]struct {
		low, high, width int
		lengths          uint32
	}{
		{4, 4, 1, n13 | n16 | n19},               // Visa
		{51, 55, 2, n16},                         // Mastercard
		{2221, 2720, 4, n16},                     // Mastercard
		{34, 34, 2, n15},                         // American Express
		{37, 37, 2, n15},                         // American Express
		{300, 305, 3, n14 | from16},              // Diners Club
		{36, 36, 2, n14 | from16},                // Diners Club
		{38, 39, 2, n14 | from16},                // Diners Club
		{3528, 3589, 4, from16},                  // JCB
		{6011, 6011, 4, from16},                  // Discover
		{644, 659, 3, from16},                    // Discover, RuPay
		{62, 62, 2, from16},                      // UnionPay
		{81, 82, 2, from16},                      // UnionPay, RuPay
		{508, 508, 3, n16},                       // RuPay
		{2200, 2204, 4, from16},                  // Mir
		{50, 50, 2, from12}, {56, 58, 2, from12}, // Maestro
		{639, 639, 3, from12}, {6304, 6304, 4, from12}, // Maestro
		{6759, 6763, 4, from12}, {6771, 6771, 4, from12}, // Maestro
	} {
		prefix, low, high := 0, r.low, r.high
		for i := range r.width {
			if i < len(digits) {
				prefix = prefix*10 + int(digits[i])
			}
		}
		for i := len(digits); i < r.width; i++ {
			low, high = low/10, high/10
		}
		if prefix < low || prefix > high {
			continue
		}
		s.possible = true
		if len(digits) >= r.width {
			s.lengths |= r.lengths
		}
	}
	return s
}

// luhn checks the last digit (ISO/IEC 7812-1, annex B).
func luhn(digits []int8) bool {
	sum := 0
	for i, d := range digits {
		v := int(d)
		if (len(digits)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}
