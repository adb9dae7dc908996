package guardrails

import "strings"

// emails finds mail addresses: what stands around an @, in the form that mail systems accept everywhere (RFC 5321,
// dot-string and domain, in ASCII).
type emails struct{}

const (
	maxLocal  = 64  // bytes before the @
	maxDomain = 255 // bytes behind it
)

func (emails) scan(text string, from int, final bool) (found []span, held int) {
	floor := from
	for at := from; ; at++ {
		i := strings.IndexByte(text[at:], '@')
		if i < 0 {
			break
		}
		at += i
		start := localStart(text, floor, at)
		end, a := domainEnd(text, at+1, final)
		if start == at {
			continue
		}
		switch a {
		case yes:
			found = append(found, span{start: start, end: end, kind: "email"})
			floor, at = end, end-1
		case more:
			return found, start
		}
	}
	if final {
		return found, len(text)
	}
	held = len(text) // a name at the end may be followed by an @; a dot in front of it does not belong to it
	return found, localStart(text, floor, held)
}

// localStart returns where the part before an @ begins; at = there is none.
func localStart(text string, floor, at int) int {
	i := at
	for i > floor && at-i < maxLocal && isLocal(text[i-1]) {
		i--
	}
	for i < at && !alnum(text[i]) {
		i++
	}
	return i
}

func isLocal(c byte) bool {
	return alnum(c) || strings.IndexByte(".+-%'&=~", c) >= 0
}

// domainEnd returns where a domain name that begins at an offset ends: two labels or more, the last one of letters.
func domainEnd(text string, at int, final bool) (end int, a answer) {
	end = at
	for end < len(text) && end-at < maxDomain && isDomain(text[end]) {
		end++
	}
	if end == len(text) && !final && end-at < maxDomain {
		return 0, more
	}
	for end > at && !isDigit(text[end-1]) && !isLetter(text[end-1]) {
		end--
	}
	name := text[at:end]
	dot := strings.LastIndexByte(name, '.')
	if dot < 1 || strings.Contains(name, "..") || name[0] == '-' || name[0] == '.' {
		return 0, no
	}
	top := name[dot+1:]
	if len(top) < 2 || !isLetter(top[0]) {
		return 0, no
	}
	return end, yes
}

func isDomain(c byte) bool { return isDigit(c) || isLetter(c) || c == '.' || c == '-' }
