package guardrails

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatIsHiddenByInvisibleCharactersIsFound(t *testing.T) {
	t.Parallel()
	pii := one(t, Check{Kind: KindPII, Action: Redact})
	secret := one(t, Check{Kind: KindSecrets, Action: Redact})
	name := one(t, Check{Kind: KindPattern, Name: "falcon", Pattern: `(?i)\bproject falcon\b`, Action: Redact})
	for _, c := range []struct {
		p          *Policy
		text, want string
	}{
		{pii, "pay 41\u200b11 1111 11\u00ad11 1111\u2060 now", "pay [card]\u2060 now"},
		{pii, "\ufeff4\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1\u200b1", "\ufeff[card]"},
		{pii, "4111111111111111\u200b9", "[card]\u200b9"}, // also what shows without it
		{pii, "DE89 37\u206004 0044 0532 0130 00", "[iban]"},
		{pii, "jane\u200b.doe@exam\u00adple.co\ufe0fm, größe", "[email], größe"},
		{secret, "ghp_" + mixed[:18] + "\u200b" + mixed[18:36] + "\u00ad!", "[secret:github-pat]\u00ad!"},
		{name, "about Pro\u200bject\u034f Fal\U000e0001con.", "about [falcon]."},
		{name, "日本 Ünï 😀\ufe0f project falcon 👩\u200d💻", "日本 Ünï 😀\ufe0f [falcon] 👩\u200d💻"},
		{name, "project\u200b\u200b\u200b", "project\u200b\u200b\u200b"},
	} {
		got, err := c.p.CheckText(t.Context(), Input, c.text)
		if err != nil || got.Text != c.want {
			t.Errorf("%q became %q (%v), want %q", c.text, got.Text, err, c.want)
		}
	}
}

func TestPlacesInAStrippedTextAreThoseOfTheText(t *testing.T) {
	t.Parallel()
	text := "\u200bab\u00ad\u2060cé\u200b日d\ufeff"
	first, _ := nextInvisible(text, 0)
	s := strip(text, first)
	if s.plain != "abcé日d" {
		t.Fatalf("%q", s.plain)
	}
	for at := range s.plain {
		r, _ := utf8.DecodeRuneInString(s.plain[at:])
		if want := strings.IndexRune(text, r); s.up(at) != want || s.down(want) != at {
			t.Errorf("%q stands at %d and %d, want %d and %d", r, s.up(at), s.down(want), want, at)
		}
	}
	if s.up(len(s.plain)) != len(text) || s.down(len(text)) != len(s.plain) {
		t.Errorf("the ends are %d and %d", s.up(len(s.plain)), s.down(len(text)))
	}
	if at, _ := nextInvisible(strings.Repeat("plain words, größer 日本語 ", 100), 0); at != len(strings.Repeat("plain words, größer 日本語 ", 100)) {
		t.Errorf("found something at %d of a text without", at)
	}
}

func TestNoInvisibleCharacterIsPassedOver(t *testing.T) {
	t.Parallel()
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if at, width := nextInvisible("plain 日"+string(r)+"x", 0); invisible(r) != (at < len("plain 日"+string(r)+"x")) || invisible(r) && width != utf8.RuneLen(r) {
			t.Fatalf("%U: at %d, %d bytes", r, at, width)
		}
	}
}

func BenchmarkNothingIsInvisible(b *testing.B) {
	for kind, text := range prompts(b) {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				nextInvisible(text, 0)
			}
		})
	}
}
