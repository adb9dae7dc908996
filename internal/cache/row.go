package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/s2"

	"github.com/sutazai/sutazai/core"
)

// A row's value is a byte that says how the rest is packed, a checksum, and the packed bytes.
const (
	packedPlain byte = 1
	packedS2    byte = 2

	sumSize  = 16 // bytes of a SHA-256 over the row's id, the first byte and the packed bytes
	headSize = 1 + sumSize

	packFrom = 256 // bytes; shorter values are not worth it
)

var errDamaged = errors.New("the row is damaged")

// rowID is the id of a key in a space: other spaces have other ids for the same key.
func rowID(space core.CacheSpace, key [32]byte) [32]byte {
	h := make([]byte, 0, 256)
	for _, s := range []string{space.Kind, space.Project, space.Route, space.Group} {
		h = binary.AppendUvarint(h, uint64(len(s)))
		h = append(h, s...)
	}
	return sha256.Sum256(append(h, key[:]...))
}

// storable says whether a database takes the names of a space: a client may have chosen a model's name.
func storable(space core.CacheSpace) bool {
	for _, s := range []string{space.Kind, space.Project, space.Route, space.Group} {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			return false
		}
	}
	return true
}

func pack(id [32]byte, value []byte) []byte {
	out := make([]byte, headSize, headSize+len(value))
	out[0] = packedPlain
	if len(value) >= packFrom {
		if small := s2.Encode(nil, value); len(small) < len(value)-len(value)/8 {
			out[0] = packedS2
			value = small
		}
	}
	out = append(out, value...)
	sum := rowSum(id, out)
	copy(out[1:headSize], sum[:])
	return out
}

// unpack returns the value of a row. limit bounds what it may grow to. The result is no part of row.
func unpack(id [32]byte, row []byte, limit int) ([]byte, error) {
	if len(row) < headSize {
		return nil, errDamaged
	}
	if sum := rowSum(id, row); !bytes.Equal(sum[:], row[1:headSize]) {
		return nil, errDamaged
	}
	packed := row[headSize:]
	switch row[0] {
	case packedPlain:
		if len(packed) > limit {
			return nil, errDamaged
		}
		return bytes.Clone(packed), nil
	case packedS2:
		if n, err := s2.DecodedLen(packed); err != nil || n > limit {
			return nil, errDamaged
		}
		value, err := s2.Decode(nil, packed)
		if err != nil {
			return nil, errDamaged
		}
		return value, nil
	}
	return nil, errDamaged
}

func rowSum(id [32]byte, row []byte) (sum [sumSize]byte) {
	h := sha256.New()
	h.Write(id[:])
	h.Write(row[:1])
	h.Write(row[headSize:])
	copy(sum[:], h.Sum(nil))
	return sum
}

// alive says whether something that expires at a time is still good.
func alive(expires, now time.Time) bool { return now.Before(expires) }
