package dialect

import (
	"bytes"
	"unicode/utf8"
)

// Characters counts what of an answer, a whole one or an event's data, is the model's own: text, thoughts and the arguments
// of tools, in characters. It is for those who must estimate what a provider did not report; nothing is decoded for it.
func (n Name) Characters(answer []byte) int64 {
	switch n {
	case OpenAIChat:
		at := max(0, bytes.Index(answer, []byte(`"choices"`))) // what stands before it are names: half of an event's fields
		return characters(answer[at:], chatText)
	case Anthropic:
		return characters(answer, anthropicText)
	case OpenAIResponses:
		return characters(answer, responsesText)
	default:
		return characters(answer, ollamaText)
	}
}

// added counts what of an event is new. Events of the responses dialect other than deltas repeat what those have said.
func (n Name) added(name, data []byte) int64 {
	if n != OpenAIResponses {
		return n.Characters(data)
	}
	if !bytes.HasSuffix(name, []byte(".delta")) {
		return 0
	}
	return characters(data, responsesDelta)
}

// Asked counts the characters of a request that a model reads: texts, the arguments of tools and what tools there are. It
// knows the fields of every dialect.
func (o Object) Asked() int64 { return characters(o.Bytes, askedText) }

// kind is what a field holds.
type kind uint8

const (
	other  kind = iota
	text        // words in a string
	either      // words in a string, or an object that counts as it stands
)

func chatText(key []byte) kind {
	switch string(key) {
	case "content", "reasoning_content", "reasoning", "refusal", "arguments":
		return text
	}
	return other
}

func anthropicText(key []byte) kind {
	switch string(key) {
	case "text", "thinking", "partial_json":
		return text
	case "input":
		return either
	}
	return other
}

func responsesText(key []byte) kind {
	switch string(key) {
	case "text", "refusal", "arguments":
		return text
	}
	return other
}

func responsesDelta(key []byte) kind {
	if string(key) == "delta" {
		return text
	}
	return other
}

func ollamaText(key []byte) kind {
	switch string(key) {
	case "content", "response", "thinking":
		return text
	case "arguments":
		return either
	}
	return other
}

func askedText(key []byte) kind {
	switch string(key) {
	case "content", "text", "system", "instructions", "prompt", "output", "description", "thinking", "reasoning_content":
		return text
	case "input", "arguments", "parameters", "input_schema", "schema", "format":
		return either
	}
	return other
}

// characters adds up the values under the keys that of names, wherever they stand.
func characters(b []byte, of func(key []byte) kind) (n int64) {
	s := scanner{b: b}
	for {
		i := bytes.IndexByte(b[s.at:], '"')
		if i < 0 {
			return n
		}
		s.at += i
		start := s.at
		if !s.text() {
			return n
		}
		key := b[start+1 : s.at-1]
		s.space()
		if !s.take(':') {
			continue // a text in a list
		}
		s.space()
		if s.at >= len(b) {
			return n
		}
		start = s.at
		switch b[start] {
		case '"':
			if !s.text() {
				return n
			}
			if of(key) != other {
				n += runes(b[start+1 : s.at-1])
			}
		case '{':
			if of(key) == either {
				if !s.nested() {
					return n
				}
				if object := b[start:s.at]; len(object) > len("{}") {
					n += int64(utf8.RuneCount(object))
				}
			}
		}
	}
}

// runes counts the characters of the inside of a JSON string; one beyond the Basic Multilingual Plane that is escaped
// counts twice.
func runes(raw []byte) int64 {
	n := int64(0)
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return n + int64(utf8.RuneCount(raw))
		}
		n += int64(utf8.RuneCount(raw[:i])) + 1
		width := 2
		if i+1 < len(raw) && raw[i+1] == 'u' {
			width = 6
		}
		raw = raw[min(len(raw), i+width):]
	}
}
