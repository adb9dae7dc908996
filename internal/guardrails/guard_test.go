package guardrails

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

func one(t *testing.T, checks ...Check) *Policy {
	t.Helper()
	g, err := New(Config{Policies: map[string][]Check{"p": checks}}, Deps{Transport: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Policy("p")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryMistakeIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check Check
		want  string
	}{
		"no kind":               {Check{}, `p[0].kind: "" is not one of: pattern`},
		"an unknown kind":       {Check{Kind: "regex"}, `p[0].kind: "regex"`},
		"an unknown way":        {Check{Kind: KindSecrets, On: "in"}, "p[0].on"},
		"an unknown action":     {Check{Kind: KindSecrets, Action: "drop"}, "p[0].action"},
		"an error as action":    {Check{Kind: KindSecrets, Action: ActionError}, "p[0].action"},
		"a bad expression":      {Check{Kind: KindPattern, Pattern: "(a"}, "p[0].pattern: not a regular expression (RE2) that can be used: missing closing )"},
		"a look-ahead":          {Check{Kind: KindPattern, Pattern: "a(?=b)"}, "p[0].pattern"},
		"an empty match":        {Check{Kind: KindPattern, Pattern: "a*|b"}, "matches the empty text"},
		"an assertion only":     {Check{Kind: KindPattern, Pattern: `\b`}, "matches the empty text"},
		"no expression":         {Check{Kind: KindPattern}, "p[0].pattern: say what"},
		"a length":              {Check{Kind: KindPattern, Pattern: "a", MaxLength: 1 << 20}, "p[0].max_length"},
		"a type":                {Check{Kind: KindPII, Types: []string{"card", "ssn"}}, `p[0].types: "ssn" is not one of`},
		"a rule":                {Check{Kind: KindSecrets, Except: []string{"nothing"}}, "p[0].except"},
		"no size":               {Check{Kind: KindSize}, "p[0].max"},
		"a size that redacts":   {Check{Kind: KindSize, Max: 1, Action: Redact}, "p[0].action"},
		"no models":             {Check{Kind: KindModels}, "p[0].models"},
		"a bad glob":            {Check{Kind: KindModels, Models: []string{"openai/[a"}}, "p[0].models"},
		"models on output":      {Check{Kind: KindModels, Models: []string{"*"}, On: Output}, "p[0].on"},
		"no address":            {Check{Kind: KindHTTP}, "p[0].url"},
		"another scheme":        {Check{Kind: KindHTTP, URL: "file:///etc/passwd"}, "p[0].url"},
		"a password in it":      {Check{Kind: KindHTTP, URL: "http://u:p@x/"}, "p[0].url: credentials"},
		"a format":              {Check{Kind: KindHTTP, URL: "http://x", Format: "grpc"}, "p[0].format"},
		"types without a sense": {Check{Kind: KindHTTP, URL: "http://x", Types: []string{"PERSON"}}, "p[0].format"},
		"a timeout":             {Check{Kind: KindHTTP, URL: "http://x", Timeout: time.Hour}, "p[0].timeout"},
		"a threshold":           {Check{Kind: KindHTTP, URL: "http://x", Format: Presidio, Threshold: 2}, "p[0].threshold"},
		"a failure":             {Check{Kind: KindHTTP, URL: "http://x", Fail: "maybe"}, "p[0].fail"},
		"a small call":          {Check{Kind: KindHTTP, URL: "http://x", Max: 10}, "p[0].max"},
		"a header":              {Check{Kind: KindHTTP, URL: "http://x", Headers: map[string]string{"a b": "c"}}, "p[0].headers"},
		"another kind's field":  {Check{Kind: KindSecrets, Pattern: "a"}, "p[0].pattern: a check of kind secrets has no pattern"},
		"a name":                {Check{Kind: KindSecrets, Name: "a b"}, "p[0].name"},
	} {
		_, err := New(Config{Policies: map[string][]Check{"p": {c.check}}}, Deps{Transport: http.DefaultTransport})
		if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	_, err := New(Config{Policies: map[string][]Check{
		"a": {{Kind: KindSecrets, Name: "x"}, {Kind: KindPII, Name: "x"}}, "b": {{Kind: KindHTTP, URL: "http://x"}},
	}}, Deps{})
	if msg := core.MessageOf(err); !strings.Contains(msg, "a[1].name") || !strings.Contains(msg, "b[0].kind: no transport") {
		t.Errorf("two mistakes: %v", err)
	}
}

func TestWhatSettingsSayOfEveryCheckIsTaken(t *testing.T) {
	t.Parallel()
	one(t,
		Check{Kind: KindSecrets, On: Both, Action: Block, Format: Generic, Timeout: 2 * time.Second, Fail: Closed, Types: []string{}, Models: []string{}},
		Check{Kind: KindModels, On: Both, Action: Block, Format: Generic, Timeout: 2 * time.Second, Fail: Closed, Models: []string{"a"}},
	)
}

func TestAPolicyIsFoundByItsName(t *testing.T) {
	t.Parallel()
	g, err := New(Config{Policies: map[string][]Check{"strict": {{Kind: KindSecrets, On: Output}, {Kind: KindModels, Models: []string{"*"}}}, "none": nil}}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := g.Policy("strict"); err != nil || p.Name() != "strict" || p.On(Input) || !p.On(Output) {
		t.Errorf("%v", err)
	}
	if _, err = g.Policy("strikt"); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "none, strict") {
		t.Errorf("%v", err)
	}
	if body, _, err := mustPolicy(t, g, "none").Pass(Input, nil).JSON(t.Context(), []byte("not looked at")); err != nil || string(body) != "not looked at" {
		t.Errorf("a policy without checks looks at nothing: %q, %v", body, err)
	}
}

func mustPolicy(t *testing.T, g *Guard, name string) *Policy {
	t.Helper()
	p, err := g.Policy(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestModelsAreAllowedByName(t *testing.T) {
	t.Parallel()
	p := one(t, Check{Kind: KindModels, Models: []string{"openai/*", "local/smol?", "*-mini"}}, Check{Kind: KindModels, Models: []string{"*"}, Action: Flag})
	for model, ok := range map[string]bool{
		"openai/gpt-5": true, "openai/org/gpt": true, "local/smol2": true, "x/a-b-mini": true,
		"local/smol": false, "local/smol22": false, "anthropic/x": false, "xopenai/gpt": false, "": false, "mini-": false,
	} {
		if err := p.AllowModel(model); (err == nil) != ok || err != nil && core.CodeOf(err) != core.CodeRefused {
			t.Errorf("%q: %v", model, err)
		}
	}
}

func TestBlockRedactAndFlag(t *testing.T) {
	t.Parallel()
	text := "mail jane@example.com now"
	for action, want := range map[Action]string{Block: "", Redact: "mail [email] now", Flag: text} {
		var seen []string
		g, err := New(Config{Policies: map[string][]Check{"p": {{Kind: KindPII, Action: action, On: Input}}}}, Deps{
			Observe: func(policy, check string, dir Direction, a Action) {
				seen = append(seen, fmt.Sprint(policy, " ", check, " ", dir, " ", a))
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		p := mustPolicy(t, g, "p")
		out, err := p.CheckText(t.Context(), Input, text)
		if action == Block {
			if core.CodeOf(err) != core.CodeRefused || core.MessageOf(err) != "the guardrail p/pii stopped the request: it contains email" {
				t.Errorf("block: %v", err)
			}
		} else if err != nil || out.Text != want || len(out.Findings) != 1 || out.Findings[0] != (Finding{Check: "pii", Kind: "email", Start: 5, End: 21, Action: action}) {
			t.Errorf("%s: %+v, %v", action, out, err)
		}
		if !slices.Equal(seen, []string{"p pii input " + string(action)}) {
			t.Errorf("%s: observed %q", action, seen)
		}
		if out, err = p.CheckText(t.Context(), Output, text); err != nil || out.Text != text || out.Findings != nil {
			t.Errorf("%s: a check on input looks at output: %+v, %v", action, out, err)
		}
	}
}

func TestChecksRunInOrderAndSeeWhatTheOnesBeforeLeft(t *testing.T) {
	t.Parallel()
	p := one(t,
		Check{Kind: KindSecrets, Action: Redact},
		Check{Kind: KindPII, Action: Redact},
		Check{Kind: KindPattern, Name: "project", Pattern: `(?i)\bproject (falcon|osprey)\b`, Action: Redact},
		Check{Kind: KindPattern, Pattern: `ghp_|@example`, Action: Block},
	)
	out, err := p.CheckText(t.Context(), Input, "Project Falcon: a@example.com, ghp_"+mixed[:36]+", 4111 1111 1111 1111")
	if err != nil || out.Text != "[project]: [email], [secret:github-pat], [card]" {
		t.Errorf("%q, %v", out.Text, err)
	}
	var kinds []string
	for _, f := range out.Findings {
		kinds = append(kinds, f.Check+"/"+f.Kind)
	}
	if want := "[secrets/secret:github-pat pii/email pii/card project/project]"; fmt.Sprint(kinds) != want {
		t.Errorf("found %v, want %s", kinds, want)
	}
	body, found, err := p.Pass(Input, nil).JSON(t.Context(), []byte(`{"model":"a@b.com", "messages":[{"content":"x"},{"content":"to c@d.com"}] }`))
	if err != nil || string(body) != `{"model":"a@b.com", "messages":[{"content":"x"},{"content":"to [email]"}] }` || len(found) != 1 || found[0].Text != 1 {
		t.Errorf("%s, %+v, %v", body, found, err)
	}
	_, _, err = p.Pass(Input, nil).JSON(t.Context(), []byte(`{"model`))
	if core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("%v", err)
	}
}

func TestSizeCountsAllTextsOfAPass(t *testing.T) {
	t.Parallel()
	p := one(t, Check{Kind: KindSize, Max: 10})
	if _, err := p.CheckText(t.Context(), Input, "äöüäöüäöüä"); err != nil {
		t.Errorf("ten characters: %v", err)
	}
	_, _, err := p.Pass(Input, nil).JSON(t.Context(), []byte(`{"messages":[{"content":"123456"},{"content":"78901"}]}`))
	if core.CodeOf(err) != core.CodeRefused || !strings.Contains(err.Error(), "more than 10 characters") {
		t.Errorf("eleven in two: %v", err)
	}
	pass := p.Pass(Output, nil)
	a, b := pass.Stream(), pass.Stream()
	if out, _, err := a.Add(t.Context(), "123456"); err != nil || out != "123456" {
		t.Errorf("%q, %v", out, err)
	}
	if out, _, err := b.Add(t.Context(), "78901"); core.CodeOf(err) != core.CodeRefused || out != "" || !strings.Contains(err.Error(), "the answer") {
		t.Errorf("%q, %v", out, err)
	}
	for range 2 {
		if _, _, err := a.Add(t.Context(), "x"); core.CodeOf(err) != core.CodeRefused {
			t.Errorf("and it stays too much: %v", err)
		}
	}
	flag := one(t, Check{Kind: KindSize, Max: 3, Action: Flag})
	out := inPieces(t, flag, "1234567890", []int{2})
	if out.Text != "1234567890" || len(out.Findings) != 1 || out.Findings[0].Kind != "size" {
		t.Errorf("flagged once: %+v", out)
	}
}

func TestNothingOfAMatchLeavesAStreamThatIsBlocked(t *testing.T) {
	t.Parallel()
	p := one(t, Check{Kind: KindSecrets, On: Output}, Check{Kind: KindPII, On: Output})
	for _, text := range []string{"Here it is: ghp_" + mixed[:36] + " and more", "the card 4111 1111 1111 1111 is", "mail jane@example.com"} {
		for size := 1; size <= len(text); size++ {
			s := p.Pass(Output, nil).Stream()
			given, rest := "", text
			var err error
			for rest != "" && err == nil {
				n := min(size, len(rest))
				var out string
				out, _, err = s.Add(t.Context(), rest[:n])
				given, rest = given+out, rest[n:]
			}
			if err == nil {
				var out string
				out, _, err = s.End(t.Context())
				given += out
			}
			if core.CodeOf(err) != core.CodeRefused || len(given) > len("Here it is: ") || !strings.HasPrefix(text, given) {
				t.Fatalf("pieces of %d: %q left, %v", size, given, err)
			}
			if out, _, again := s.Add(t.Context(), "x"); out != "" || !errors.Is(again, err) {
				t.Fatalf("after the error: %q, %v", out, again)
			}
			if out, _, again := s.End(t.Context()); out != "" || !errors.Is(again, err) {
				t.Fatalf("at the end: %q, %v", out, again)
			}
		}
	}
}

func TestAGuardServesManyAtATime(t *testing.T) {
	t.Parallel()
	p := one(t, Check{Kind: KindSecrets, Action: Redact}, Check{Kind: KindPII, Action: Redact}, Check{Kind: KindSize, Max: 1 << 20})
	pass := p.Pass(Input, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, text := range corpus() {
				if _, err := pass.Text(t.Context(), text); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
