package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// Text refuses bytes that are not UTF-8, which JSON must be (RFC 8259, 8.1): some servers fail at them, others read
// something else than what was checked.
func Text(b []byte) error {
	if utf8.Valid(b) {
		return nil
	}
	at := 0
	for at < len(b) {
		r, width := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && width == 1 {
			break
		}
		at += width
	}
	return core.Errorf(core.CodeInvalid, "the body is not UTF-8: byte %d (0x%02x) belongs to no character; send JSON in UTF-8", at+1, b[at])
}

// Sound checks what Scan leaves out: all of the JSON inside, and that half a surrogate pair (RFC 8259, 8.2), which is no
// character, is nowhere written as an escape. It takes a hundred times as long as Scan. Code: CodeInvalid.
func (o Object) Sound() error {
	if err := json.Unmarshal(o.Bytes, new(json.RawMessage)); err != nil {
		at := int64(len(o.Bytes))
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = s.Offset
		}
		return core.Wrap(core.CodeInvalid, err, "the body is not JSON: %s, at byte %d", err, at)
	}
	b := o.Bytes
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\\')
		if i < 0 {
			return nil
		}
		at += i
		switch high, low := surrogate(b[at:]); {
		case low:
			return core.Errorf(core.CodeInvalid, "the body is not Unicode: at byte %d the second half of a surrogate pair stands alone", at+1)
		case high:
			if _, low := surrogate(b[at+6:]); !low {
				return core.Errorf(core.CodeInvalid, "the body is not Unicode: at byte %d the first half of a surrogate pair stands alone", at+1)
			}
			at += 12
		default:
			at += 2
		}
	}
}

// surrogate says which half of a pair the escape at the beginning of b is, if any. b is part of valid JSON.
func surrogate(b []byte) (high, low bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' || b[2]|0x20 != 'd' {
		return false, false
	}
	switch b[3] | 0x20 {
	case '8', '9', 'a', 'b':
		return true, false
	case 'c', 'd', 'e', 'f':
		return false, true
	}
	return false, false
}
