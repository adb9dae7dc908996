package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// maxTable is how many references a table may hold. A program without a bound of its own could fill the server's memory with
// a table, which the bound of its own memory does not count.
const maxTable = 1 << 20

// boundTables gives each table of a program the bound. https://webassembly.github.io/spec/core/binary/modules.html#table-section
func boundTables(code []byte) ([]byte, error) {
	if !bytes.HasPrefix(code, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errors.New("it does not begin as one of version 1 does")
	}
	for at := 8; at < len(code); {
		r := reader{b: code, at: at + 1}
		size := int(r.number())
		begin := r.at
		if r.err != nil || size < 0 || size > len(code)-begin {
			return nil, errors.New("it is cut off")
		}
		if code[at] == 4 {
			section, err := tables(code[begin : begin+size])
			if err != nil {
				return nil, err
			}
			out := append(bytes.Clone(code[:at+1]), binary.AppendUvarint(nil, uint64(len(section)))...)
			out = append(out, section...)
			return append(out, code[begin+size:]...), nil
		}
		at = begin + size
	}
	return code, nil
}

// tables rewrites the content of a table section.
func tables(section []byte) ([]byte, error) {
	r := reader{b: section}
	count := r.number()
	out := binary.AppendUvarint(nil, count)
	for range count {
		kind, flags := r.byte(), r.byte()
		least := r.number()
		most := uint64(maxTable)
		if flags&1 != 0 {
			most = min(r.number(), maxTable)
		}
		switch {
		case r.err != nil:
			return nil, errors.New("its table section is cut off")
		case flags > 1:
			return nil, errors.New("it has a table of an unknown kind")
		case least > most:
			return nil, errors.New("it has a table that is too large")
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, least)
		out = binary.AppendUvarint(out, most)
	}
	if r.at != len(section) {
		return nil, errors.New("its table section is not one")
	}
	return out, nil
}

// reader reads bytes and numbers (unsigned LEB128) until something is wrong.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.err = errors.New("the end")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b[min(r.at, len(r.b)):])
	if size <= 0 || n > 1<<32 {
		r.err = errors.New("no number")
		return 0
	}
	r.at += size
	return n
}
