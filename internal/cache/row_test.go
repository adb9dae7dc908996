package cache

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestIDsOfSpacesNeverMeet(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]core.CacheSpace{}
	for _, s := range []core.CacheSpace{
		{}, {Kind: "ab"}, {Kind: "a", Project: "b"}, {Project: "ab"}, {Project: "a", Route: "b"}, {Route: "ab"}, {Route: "a", Group: "b"}, {Group: "ab"},
	} {
		id := rowID(s, [32]byte{})
		if other, ok := seen[id]; ok {
			t.Errorf("%+v and %+v have one id", s, other)
		}
		seen[id] = s
	}
}

func FuzzOnlyWhatWasPackedIsUnpacked(f *testing.F) {
	f.Add([]byte("short"), 0, byte(1))
	f.Add([]byte(strings.Repeat("long and packed ", 100)), 20, byte(128))
	f.Fuzz(func(t *testing.T, value []byte, at int, flip byte) {
		id := [32]byte{1}
		row := pack(id, value)
		got, err := unpack(id, row, 1<<20)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("%q came back as %q (%v)", value, got, err)
		}
		if _, err := unpack([32]byte{2}, row, 1<<20); err == nil {
			t.Error("the row of another id was taken")
		}
		if len(value) > 0 {
			if _, err := unpack(id, row, len(value)-1); err == nil {
				t.Error("a value beyond the limit was taken")
			}
		}
		if flip != 0 && at >= 0 {
			row[at%len(row)] ^= flip
			if _, err := unpack(id, row, 1<<20); err == nil {
				t.Errorf("a changed byte at %d was not noticed", at%len(row))
			}
		}
		if _, err := unpack(id, value, 1<<20); err == nil {
			t.Error("bytes that nobody packed were taken")
		}
	})
}
