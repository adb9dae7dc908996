package guardrails

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// corpus is texts with things to find, things that nearly are, and things that are cut off.
func corpus() []string {
	pem := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat(mixed[:64]+"\n", 3) + "-----END PRIVATE KEY-----"
	return []string{
		"",
		"a",
		"Plain prose, with nothing in it that anybody would look for. It goes on for a sentence or two.",
		"Pay with 4111 1111 1111 1111 or 4111 1111 1111 1112, not 378282246310005. IBAN DE89 3704 0044 0532 0130 00, ok?",
		"4111111111111111@example.com and 4111-1111-1111-1111-DE89370400440532013000",
		"a@b.com,c@d.org;jane.doe+x@example.co.uk. user@localhost ...x@y.zz...",
		strings.Repeat("x", 200) + "@example.com " + strings.Repeat("y.", 150) + "com@" + strings.Repeat("z.", 160) + "com",
		"+49 30 901820, (212) 555-0100 212-555-0100 192.168.0.1:80 2001:db8::1 1.2.3.4.5 12:30:45 ::1",
		"卡号４１１１１１１１１１１１１１１１，邮箱me@example.com。项目 Project Falcon und Straße.",
		"export A=ghp_" + mixed[:36] + " B=AKIA" + "Q3EGRT7XYZ2LMNOP; api_key: \"" + mixed[:30] + "\" token=" + mixed[:40] + "key=" + mixed[:20] + "\n",
		pem, pem[:150], "x " + pem + " y " + pem + " AKIA" + "Q3EGRT7XYZ2LMNOP",
		"the key, access to the token: api auth secret password = hunter2; key key key=\"" + mixed[5:30] + "\"",
		"curl -H 'Authorization: Bearer " + mixed[:40] + "' https://x\ncurl \\\n -u admin:s3cr3tPassw0rd https://y",
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
		"https://hooks.slack.com/services/T00000000/B00000000/" + mixed[:24] + " xoxb-1234567890-1234567890123-" + mixed[:24] + "xoxb-1234567890-1234567890123-x",
		"aB38Q~" + mixed[10:44] + " 'aB38Q~" + mixed[10:44] + "' " + mixed[:6] + "_" + mixed[6:35] + "_mmk",
		"Project Falcon, project osprey, projectfalcon, PROJECT  FALCON; aaaab aab ab; foo123bar foo" + strings.Repeat("-", 70) + "bar fooxbarbar",
		"start\nstart of line\nmiddle start END\nend \xff\xfe broken \xe2\x82 utf8 \xc3",
		"4111\u200b1111 11\u00ad11 1111, DE89\u20603704 0044 0532 0130 00, jane\u200b.doe@exam\u00adple.com, pro\u200bject fal\ufeffcon, ghp_" + mixed[:18] + "\u200b" + mixed[18:36] + "\u200b",
		"4111  1111  1111  1111 4111/1111/1111/1111 4111\n1111\n1111\n1111\n12/27 1992\n4111\n1111\n1111\n1111\n1993 4111_1111_1111_1111 \u200d\u200d\u200d",
		strings.Repeat("4", 100) + " " + strings.Repeat("1 ", 60) + strings.Repeat("key ", 30) + strings.Repeat("curl ", 20),
	}
}

// somePolicies is every kind of check that needs nobody else.
func somePolicies(t testing.TB) *Guard {
	t.Helper()
	pattern := func(p string, n int) []Check {
		return []Check{{Kind: KindPattern, Name: "p", Pattern: p, MaxLength: n, Action: Redact}}
	}
	g, err := New(Config{Policies: map[string][]Check{
		"pii":     {{Kind: KindPII, Types: []string{"card", "iban", "email", "phone", "ip"}, Action: Redact}},
		"secrets": {{Kind: KindSecrets, Action: Redact}},
		"names":   pattern(`(?i)\bproject\s+(falcon|osprey)\b`, 0),
		"longest": pattern(`foo.*bar`, 64),
		"lazy":    pattern(`foo.*?bar`, 64),
		"line":    pattern(`(?m)^start.*$`, 32),
		"ends":    pattern(`\bend\b|END$|\Astart`, 0),
		"doubles": pattern(`a+b|x|\Bo\B`, 8),
		"unicode": pattern(`[\p{L}ß]{3,5}e|号.`, 0),
		"order":   pattern(`ab|aaab|(?:key )+`, 40),
		"chain": {
			{Kind: KindSecrets, Action: Redact}, {Kind: KindPII, Action: Redact}, {Kind: KindSize, Max: 100, Action: Flag},
			{Kind: KindPattern, Name: "brackets", Pattern: `\[[a-z:-]+\]`, Action: Redact}, {Kind: KindPattern, Pattern: `\d+`, Action: Flag},
		},
	}}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// inPieces sends a text through a stream in pieces of the given sizes, over and over.
func inPieces(t testing.TB, p *Policy, text string, sizes []int) Outcome {
	t.Helper()
	s := p.Pass(Output, nil).Stream()
	var out Outcome
	take := func(safe string, f []Finding, err error) {
		if err != nil {
			t.Fatalf("%s: %v", p.Name(), err)
		}
		out.Text += safe
		out.Findings = append(out.Findings, f...)
	}
	for i, rest := 0, text; rest != ""; i++ {
		n := min(len(rest), max(1, sizes[i%len(sizes)]))
		take(s.Add(t.Context(), rest[:n]))
		rest = rest[n:]
	}
	take(s.End(t.Context()))
	return out
}

// sameOutcome compares what a stream gave with what the whole text gives. Findings of different checks come in another
// order, so each check's are compared.
func sameOutcome(t testing.TB, p *Policy, text string, got Outcome, how string) {
	t.Helper()
	want, err := p.CheckText(t.Context(), Output, text)
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != want.Text {
		t.Fatalf("%s, %s: in %q\n stream %q\n whole  %q", p.Name(), how, text, got.Text, want.Text)
	}
	byCheck := func(all []Finding) string {
		lines := map[string]string{}
		for _, f := range all {
			if f.Kind != "size" { // the place of a size is the piece with which it was passed
				lines[f.Check] += fmt.Sprintf(" %s[%d:%d]", f.Kind, f.Start, f.End)
			}
		}
		return fmt.Sprint(lines)
	}
	if a, b := byCheck(got.Findings), byCheck(want.Findings); a != b {
		t.Fatalf("%s, %s: in %q\n stream found %s\n whole found  %s", p.Name(), how, text, a, b)
	}
}

func TestAStreamGivesWhatTheWholeTextGivesAtEverySplit(t *testing.T) {
	t.Parallel()
	g := somePolicies(t)
	for _, name := range g.Names() {
		p, _ := g.Policy(name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, text := range corpus() {
				for cut := 1; cut <= len(text); cut += 1 + len(text)/60 {
					sameOutcome(t, p, text, inPieces(t, p, text, []int{cut, len(text)}), fmt.Sprintf("cut at %d", cut))
				}
				for _, size := range []int{1, 3, 64} {
					sameOutcome(t, p, text, inPieces(t, p, text, []int{size}), fmt.Sprintf("pieces of %d", size))
				}
			}
		})
	}
}

func TestAStreamGivesWhatTheWholeTextGivesForAnyText(t *testing.T) {
	t.Parallel()
	g := somePolicies(t)
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"4111 1111 1111 1111", "4111", "1111", "378282246310005", "DE89370400440532013000", "DE89", "a@b.com", "@", ".com", "+49 30 901820",
			"key", "api", "token = ", "ghp_" + mixed[:36], mixed[:20], "AKIA" + "Q3EGRT7XYZ2LMNOP", "-----BEGIN PRIVATE KEY-----", "KEY-----", "curl -u ",
			"foo", "bar", "project falcon", "start", "end", "aab", " ", "\n", "-", ".", "\"", "号", "ß", "ſ", "\xff", "eyJ", "10.0.0.1", "::",
			"\u200b", "\u00ad", "\u2060\ufeff", "4111\u200b", "1111\n", "/", "_", "  ", "41\u00ad11 1111 1111 1111",
		}),
		rapid.StringMatching(`[0-9a-f .@:\n"=-]{0,8}`),
	)
	names := g.Names()
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(rt, "text"), "")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 8).Draw(rt, "sizes")
		p, _ := g.Policy(rapid.SampledFrom(names).Draw(rt, "policy"))
		sameOutcome(t, p, text, inPieces(t, p, text, sizes), fmt.Sprintf("pieces of %v", sizes))
	})
}

func FuzzStream(f *testing.F) {
	g := somePolicies(f)
	for i, text := range corpus() {
		f.Add(text, uint8(i), uint8(3*i+1))
	}
	names := g.Names()
	f.Fuzz(func(t *testing.T, text string, a, b uint8) {
		p, _ := g.Policy(names[int(a)%len(names)])
		sameOutcome(t, p, text, inPieces(t, p, text, []int{int(a), int(b)}), fmt.Sprintf("pieces of %d, %d", a, b))
	})
}

func TestAStreamFlows(t *testing.T) {
	t.Parallel()
	g := somePolicies(t)
	prose := strings.Repeat("The quick brown fox jumps over the lazy dog; it has the key to the house. ", 40)
	for policy, most := range map[string]int{"pii": 16, "secrets": 48, "names": 1, "longest": 3, "chain": 48} {
		p, _ := g.Policy(policy)
		s := p.Pass(Output, nil).Stream()
		given := 0
		for i := range len(prose) {
			out, _, err := s.Add(t.Context(), prose[i:i+1])
			if err != nil {
				t.Fatal(err)
			}
			given += len(out)
			if held := i + 1 - given; held > most {
				t.Errorf("%s holds %d bytes back after %q, want at most %d", policy, held, prose[max(0, i-60):i+1], most)
				break
			}
		}
	}
}

func TestWhatIsHeldBackIsBounded(t *testing.T) {
	t.Parallel()
	g := somePolicies(t)
	for policy, text := range map[string]string{
		"pii":     strings.Repeat("x", 3000) + strings.Repeat("4", 3000) + strings.Repeat("a.", 3000),
		"secrets": "-----BEGIN PRIVATE KEY-----" + strings.Repeat("A", 30000),
		"longest": "foo" + strings.Repeat("x", 30000),
	} {
		p, _ := g.Policy(policy)
		s := p.Pass(Output, nil).Stream()
		given := 0
		for i := 0; i < len(text); i += 50 {
			out, _, err := s.Add(t.Context(), text[i:min(len(text), i+50)])
			if err != nil {
				t.Fatal(err)
			}
			if given += len(out); i+50-given > largestSecret+largestSecret/4+100 {
				t.Fatalf("%s holds back %d bytes", policy, i+50-given)
			}
		}
	}
}
