package aimodels

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// questionGuard sums up what a vector of meaning hardly shows and an answer depends on: numbers, quoted texts, names,
// negations and words of direction, in their order. "Not" or another year moves a vector less than other words for the
// same do. Two questions with different guards never share an answer; what the guard misses, the threshold must hold.
// Case and spelling of everything else do not count. The guard is cheap, knows English best, and when in doubt tells two
// questions apart: a capital letter makes a name, at the beginning of a sentence too.
func questionGuard(text string) (guard [16]byte) {
	var seen []byte
	mark := func(kind byte, what string) {
		seen = append(seen, kind)
		seen = binary.AppendUvarint(seen, uint64(len(what)))
		seen = append(seen, what...)
	}
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case closing(r) != 0:
			quoted, rest, ok := strings.Cut(text[size:], string(closing(r)))
			if !ok {
				text = text[size:]
				continue
			}
			mark('q', strings.TrimSpace(quoted))
			text = rest
		case unicode.IsDigit(r):
			n := numberEnd(text)
			mark('n', text[:n])
			text = text[n:]
		case unicode.IsLetter(r):
			n := wordEnd(text)
			if kind, word := wordKind(text[:n]); kind != 0 {
				mark(kind, word)
			}
			text = text[n:]
		default:
			if strings.ContainsRune("+-−*/^=<>%$€£", r) {
				mark('o', string(r))
			}
			text = text[size:]
		}
	}
	sum := sha256.Sum256(seen)
	copy(guard[:], sum[:])
	return guard
}

// closing returns what ends a quotation that r begins; 0 = it begins none. An apostrophe does not.
func closing(r rune) rune {
	switch r {
	case '"', '`':
		return r
	case '“':
		return '”'
	case '„':
		return '“'
	case '«':
		return '»'
	case '「':
		return '」'
	}
	return 0
}

// numberEnd is where a number ends: 1,000.50, 12:30 and 2026/11/24 are one each, and so is 3rd or 10km.
func numberEnd(text string) int {
	end := 0
	for end < len(text) {
		r, size := utf8.DecodeRuneInString(text[end:])
		if !unicode.IsDigit(r) && !unicode.IsLetter(r) {
			next, _ := utf8.DecodeRuneInString(text[end+size:])
			if !strings.ContainsRune(".,:/", r) || !unicode.IsDigit(next) {
				break
			}
		}
		end += size
	}
	return end
}

func wordEnd(text string) int {
	end := 0
	for end < len(text) {
		r, size := utf8.DecodeRuneInString(text[end:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '\'' && r != '’' {
			break
		}
		end += size
	}
	return end
}

// wordKind says what a word is to the guard; 0 = nothing.
func wordKind(word string) (kind byte, form string) {
	low := strings.ReplaceAll(strings.ToLower(word), "’", "'")
	if strings.HasSuffix(low, "n't") {
		return '!', ""
	}
	low = strings.Trim(strings.TrimSuffix(low, "'s"), "'")
	switch low {
	case "not", "no", "never", "none", "without", "neither", "nor", "nothing", "nobody", "nowhere", "cannot", "except", "unless",
		"nicht", "nie", "niemals", "ohne", "kein", "keine", "keinen", "keiner", "pas", "jamais", "sans", "aucun", "aucune", "nunca", "jamás", "sin", "ninguno", "ninguna":
		return '!', "" // which word negates does not matter
	case "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "dozen",
		"hundred", "thousand", "million", "billion", "half", "double", "first", "second", "third", "last", "next", "previous":
		return 'n', low
	case "before", "after", "above", "below", "over", "under", "more", "less", "most", "least", "fewer", "larger", "smaller", "bigger", "higher", "lower",
		"increase", "decrease", "increases", "decreases", "enable", "disable", "enabled", "disabled", "start", "stop", "open", "close", "add", "remove",
		"minimum", "maximum", "min", "max", "buy", "sell", "hot", "cold", "best", "worst", "oldest", "newest", "highest", "lowest", "largest", "smallest",
		"advantages", "disadvantages", "pros", "cons", "legal", "illegal", "true", "false", "yes", "only", "all", "any", "today", "tomorrow", "yesterday",
		"encrypt", "decrypt", "encode", "decode", "import", "export", "upload", "download", "inside", "outside", "left", "right", "down", "out", "off":
		return 'd', low
	case "what", "what's", "which", "who", "whom", "whose", "when", "where", "why", "how", "is", "are", "was", "were", "do", "does", "did", "can", "could", "would",
		"will", "should", "shall", "may", "might", "must", "have", "has", "had", "please", "tell", "give", "show", "explain", "describe", "list", "write", "name", "find",
		"help", "make", "create", "summarize", "summarise", "translate", "i", "i'm", "i'd", "i've", "i'll", "me", "my", "we", "our", "you", "your", "it", "its", "this", "that",
		"these", "those", "there", "the", "a", "an", "at", "for", "of", "and", "or", "if", "hi", "hello", "hey", "thanks", "so", "but", "with", "by", "as":
		return 0, "" // begins many sentences, and is no name
	}
	if first, _ := utf8.DecodeRuneInString(word); unicode.IsUpper(first) {
		return 'p', low
	}
	return 0, ""
}
