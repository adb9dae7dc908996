package dialect_test

import (
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestOnlyUTF8IsText(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"a":"größe 日本 😀 \ufffd �"}`: "", `{"a":"` + "\xff" + `"}`: "byte 7 (0xff)", `{"a":"ö` + "\xc3" + `"}`: "byte 9 (0xc3)", `{"a":"` + "\xed\xa0\x80" + `"}`: "byte 7",
	} {
		err := dialect.Text([]byte(body))
		if (want == "") != (err == nil) || err != nil && (core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
}

func TestWhatServersFailAtIsNotSound(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"hi\n\u00e9 \ud83d\ude00 \\ud800"}],"t":1e3}`: "",
		`{"messages":[{"role" "user"}]}`:      "not JSON",
		`{"messages":[1,,2]}`:                 "at byte 16",
		`{"messages":[{"a":tru}]}`:            "not JSON",
		`{"messages":[{"a":NaN}]}`:            "not JSON",
		`{"messages":["a` + "\n" + `b"]}`:     "not JSON",
		`{"messages":["\x"]}`:                 "not JSON",
		`{"messages":["\ud800"]}`:             "first half",
		`{"messages":["\uD83D x"]}`:           "first half",
		`{"messages":["\ud83d\ud83d"]}`:       "first half",
		`{"messages":["\\\udc00"]}`:           "second half",
		`{"messages":["\ud83d\uDE00\udead"]}`: "second half",
	} {
		o, err := dialect.Scan([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		err = o.Sound()
		if (want == "") != (err == nil) || err != nil && (core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
