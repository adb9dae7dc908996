package guardrails

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// prompts is texts of 50 KB: prose, this project's documentation (which speaks of keys, tokens and passwords), Go code, and
// Chinese.
func prompts(tb testing.TB) map[string]string {
	tb.Helper()
	const size = 50_000
	files := func(pattern string) string {
		var b strings.Builder
		names, _ := filepath.Glob(pattern)
		for b.Len() < size && len(names) > 0 {
			for _, name := range names {
				text, err := os.ReadFile(name)
				if err != nil {
					tb.Fatal(err)
				}
				b.Write(text)
			}
		}
		text := b.String()
		return text[:runeStart(text, size)]
	}
	zh := strings.Repeat("我们的团队正在编写一份关于模型网关的说明，其中介绍了路由、缓存和预算。", 500)
	return map[string]string{
		"prose": strings.Repeat("The committee met in the old library and talked until noon about which of the two plans would cost less. ", 500)[:size],
		"docs":  files("../../docs/*.md"),
		"code":  files("*.go"),
		"zh":    zh[:runeStart(zh, size)],
	}
}

func benchPolicies(tb testing.TB) map[string]*Policy {
	tb.Helper()
	out := map[string]*Policy{}
	for name, checks := range map[string][]Check{
		"pii":      {{Kind: KindPII, Action: Redact}},
		"pii-more": {{Kind: KindPII, Types: []string{"card", "iban", "email", "phone", "ip"}, Action: Redact}},
		"secrets":  {{Kind: KindSecrets, Action: Redact}},
		"pattern":  {{Kind: KindPattern, Pattern: `(?i)\bproject (falcon|osprey)\b`, Action: Redact}},
		"strict": {
			{Kind: KindSecrets, Action: Redact}, {Kind: KindPII, Action: Redact},
			{Kind: KindPattern, Pattern: `(?i)\bproject (falcon|osprey)\b`, Action: Redact}, {Kind: KindSize, Max: 200_000},
		},
	} {
		g, err := New(Config{Policies: map[string][]Check{name: checks}}, Deps{})
		if err != nil {
			tb.Fatal(err)
		}
		out[name], _ = g.Policy(name)
	}
	return out
}

func BenchmarkText50KB(b *testing.B) {
	for policy, p := range benchPolicies(b) {
		for kind, text := range prompts(b) {
			b.Run(policy+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.CheckText(b.Context(), Input, text); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkJSON50KB(b *testing.B) {
	p := benchPolicies(b)["strict"]
	for kind, text := range prompts(b) {
		body, _ := json.Marshal(map[string]any{"model": "m", "messages": []any{map[string]string{"role": "user", "content": text}}})
		b.Run("walk/"+kind, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := RewriteJSON(body, func(s string) (string, error) { return s, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("strict/"+kind, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := p.Pass(Input, nil).JSON(b.Context(), body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream sends 1,000 pieces of 5 bytes through a stream; ns/op is for all of them.
func BenchmarkStream(b *testing.B) {
	for policy, p := range benchPolicies(b) {
		for _, kind := range []string{"prose", "docs"} {
			text := prompts(b)[kind][:5000]
			b.Run(policy+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s := p.Pass(Output, nil).Stream()
					for i := 0; i < len(text); i += 5 {
						if _, _, err := s.Add(b.Context(), text[i:i+5]); err != nil {
							b.Fatal(err)
						}
					}
					if _, _, err := s.End(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(Config{Policies: map[string][]Check{"p": {{Kind: KindSecrets}}}}, Deps{}); err != nil {
			b.Fatal(err)
		}
	}
}
