package guardrails

import "strings"

// secrets finds credentials by rules. A keyword that is found decides which rules are tried, and each is matched at the
// keyword's place only, over a bounded number of bytes.
type secrets struct {
	rules  []*rule
	allow  func() []allowList
	words  *words
	byWord [][]int // word → the rules that have it
}

// maxTail is how many bytes at the end of a text may belong to a keyword, and what a rule sees before it, that are not
// complete. None of it has white space. It is more than the longest keyword and Back, which a test holds.
const maxTail = 128

// genericRule is the one that gives way where a more special one found the same.
const genericRule = "generic-api-key"

func (d *secrets) scan(text string, from int, final bool) (found []span, held int) {
	held = len(text)
	if !final {
		for held > from && len(text)-held < maxTail && !isSpace(text[held-1]) {
			held--
		}
	}
	if d.words == nil { // every rule is left out
		return nil, held
	}
	var ends map[int]int // rule → where its last match ends; rules look for the next one behind it
	d.words.each(text[from:], func(at int, word int32) bool {
		for _, i := range d.byWord[word] {
			r := d.rules[i]
			start := from + at - r.Back
			if start < from || start >= held || start < ends[i] || !r.begins(text, start) {
				continue
			}
			s, a := d.try(r, text, start, final)
			switch a {
			case more:
				held = start
			case yes:
				found = append(found, s)
				if ends == nil {
					ends = map[int]int{}
				}
				ends[i] = s.end
			}
		}
		return true
	})
	return found, held
}

// try matches a rule at an offset. What an allow list covers, or has too little entropy, is void.
func (d *secrets) try(r *rule, text string, start int, final bool) (span, answer) {
	end := min(len(text), start+r.window)
	if !final && start+r.window > len(text) {
		if open := r.open(); open == nil || open.MatchString(text[start:]) {
			return span{}, more
		}
	}
	loc := r.match().FindStringSubmatchIndex(text[start:end])
	if loc == nil {
		return span{}, no
	}
	from, to := r.secretIn(loc)
	secret := text[start+from : start+to]
	s := span{start: start + from, end: start + to, lead: from, kind: "secret:" + r.ID, weak: r.ID == genericRule}
	if r.Entropy > 0 && entropy(secret) <= r.Entropy {
		s.void = true
		return s, yes
	}
	name := start // the rest of the name that the keyword is part of
	for name > 0 && start-name < 50 && (alnum(text[name-1]) || text[name-1] == '.' || text[name-1] == '-') {
		name--
	}
	match := text[name : start+loc[1]]
	begin := max(0, start-maxTail)
	line := text[begin+strings.LastIndexByte(text[begin:start], '\n')+1 : start+loc[1]]
	for _, lists := range [...][]allowList{d.allow(), r.allow()} {
		for i := range lists {
			if lists[i].covers(secret, match, line) {
				s.void = true
				return s, yes
			}
		}
	}
	return s, yes
}
