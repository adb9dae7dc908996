package guardrails

// phones finds telephone numbers in two forms: international (+, 8 to 15 digits, ITU-T E.164) and North American
// (212-555-0100, (212) 555-0100). Numbers of other countries without + look like any other number.
type phones struct{}

func (phones) scan(text string, from int, final bool) (found []span, held int) {
	for i := from; i < len(text); i++ {
		c := text[i]
		if c != '+' && c != '(' && !isDigit(c) || !startsNumber(text, i) {
			continue
		}
		p := reader{text: text, at: i, final: final}
		a := p.phone()
		switch a {
		case yes:
			found = append(found, span{start: i, end: p.at, kind: "phone"})
			i = p.at - 1
		case more:
			return found, i
		}
	}
	return found, len(text)
}

// reader reads a number from left to right; short says that it came to the end of a text that is not complete.
type reader struct {
	text  string
	at    int
	final bool
	short bool
}

func (r *reader) phone() answer {
	var ok bool
	if r.text[r.at] == '+' {
		ok = r.international()
	} else {
		ok = r.northAmerican()
	}
	switch {
	case r.short:
		return more
	case !ok:
		return no
	}
	return endsNumber(r.text, r.at, r.final)
}

// peek returns the byte at the reader's place and 0 at the end.
func (r *reader) peek(ahead int) byte {
	if r.at+ahead < len(r.text) {
		return r.text[r.at+ahead]
	}
	r.short = !r.final
	return 0
}

func (r *reader) international() bool {
	r.at++
	if c := r.peek(0); c < '1' || c > '9' {
		return false
	}
	for n := 0; ; {
		for isDigit(r.peek(0)) {
			r.at++
			if n++; n > 15 {
				return false
			}
		}
		gap := 0 // such as ")" or " (" or "/"
		for gap < 3 && isGap(r.peek(gap)) {
			gap++
		}
		if gap == 0 || !isDigit(r.peek(gap)) {
			return n >= 8
		}
		r.at += gap
	}
}

func isGap(c byte) bool {
	return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')'
}

func (r *reader) northAmerican() bool {
	if r.peek(0) == '1' {
		r.at++
		if !r.separator() {
			return false
		}
	}
	if r.peek(0) == '(' {
		r.at++
		if !r.digits(3, '2') || r.peek(0) != ')' {
			return false
		}
		r.at++
		if r.peek(0) == ' ' || r.peek(0) == '-' {
			r.at++
		}
	} else if !r.digits(3, '2') || !r.separator() {
		return false
	}
	return r.digits(3, '2') && r.separator() && r.digits(4, '0')
}

func (r *reader) separator() bool {
	if c := r.peek(0); c != ' ' && c != '-' && c != '.' {
		return false
	}
	r.at++
	return true
}

// digits reads n digits, of which the first is at least least.
func (r *reader) digits(n int, least byte) bool {
	for i := range n {
		c := r.peek(0)
		if !isDigit(c) || i == 0 && c < least {
			return false
		}
		r.at++
	}
	return true
}
