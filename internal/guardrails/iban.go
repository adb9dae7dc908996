package guardrails

// ibans finds international bank account numbers (ISO 13616): the country's code and length, and the check digits
// (ISO/IEC 7064, mod 97-10). Groups of four may stand apart, with spaces, dashes and the like between them.
type ibans struct{}

func (ibans) scan(text string, from int, final bool) (found []span, held int) {
	floor := from
	for i := from + 2; i < len(text); i++ { // the first check digit, behind two letters: texts have few digits
		at := i - 2
		if !isDigit(text[i]) || !isLetter(text[at]) || !isLetter(text[at+1]) || inWord(text, at) {
			continue
		}
		switch end, a := ibanAt(text, at, final); a {
		case yes:
			found = append(found, span{start: at, end: end, kind: "iban"})
			floor, i = end, end+1
		case more:
			return found, at
		}
	}
	for at := max(floor, len(text)-2); at < len(text) && !final; at++ { // a country's code may be at the end
		if isLetter(text[at]) && !inWord(text, at) {
			if _, a := ibanAt(text, at, false); a == more {
				return found, at
			}
		}
	}
	return found, len(text)
}

func ibanAt(text string, at int, final bool) (end int, a answer) {
	var number [34]byte
	size, n := 2, 0
	for i := at; ; {
		if n == size {
			if i == len(text) {
				end, a = i, openEnd(final)
			} else if !alnum(text[i]) {
				end, a = i, yes
			}
			if a != no && !mod97(number[:n]) {
				a = no
			}
			return end, a
		}
		if i == len(text) {
			return 0, unknown(final)
		}
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case isLetter(c), isDigit(c):
		default:
			_, width := gapAt(text, i)
			if width == 0 || n < 4 || n%4 != 0 {
				return 0, no
			}
			if i += width; i == len(text) {
				return 0, unknown(final)
			}
			if c = text[i]; c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			if !isLetter(c) && !isDigit(c) {
				return 0, no
			}
		}
		if n < 2 && !isLetter(c) || (n == 2 || n == 3) && !isDigit(c) {
			return 0, no
		}
		number[n] = c
		if n++; n == 2 {
			if size = ibanLength(string(number[:2])); size == 0 {
				return 0, no
			}
		}
		i++
	}
}

// unknown is the answer about what ends too early.
func unknown(final bool) answer {
	if final {
		return no
	}
	return more
}

// mod97 checks a number whose country code and check digits stand in front.
func mod97(number []byte) bool {
	rest := 0
	for i := range number {
		c := number[(i+4)%len(number)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}

// ibanLength returns how long a country's numbers are (SWIFT IBAN registry), 0 for countries without.
func ibanLength(country string) int {
	switch country {
	case "NO":
		return 15
	case "BE":
		return 16
	case "DK", "FK", "FO", "FI", "GL", "NL", "SD":
		return 18
	case "MK", "SI":
		return 19
	case "AT", "BA", "EE", "KZ", "LT", "LU", "XK", "MN":
		return 20
	case "CH", "CR", "HR", "LI", "LV":
		return 21
	case "BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA":
		return 22
	case "AE", "GI", "IL", "IQ", "OM", "SO", "TL":
		return 23
	case "AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG":
		return 24
	case "LY", "PT", "ST":
		return 25
	case "IS", "TR":
		return 26
	case "BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM":
		return 27
	case "AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV":
		return 28
	case "BR", "EG", "PS", "QA", "UA":
		return 29
	case "JO", "KW", "MU", "YE":
		return 30
	case "MT", "SC":
		return 31
	case "LC":
		return 32
	case "RU":
		return 33
	}
	return 0
}
