package guardrails

import (
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestWhatIsSplitOverThePartsOfAMessageIsFound(t *testing.T) {
	t.Parallel()
	p := one(t, Check{Kind: KindPattern, Name: "falcon", Pattern: `project falcon`, Action: Redact})
	for name, c := range map[string]struct{ body, want string }{
		"chat": {`{"messages":[{"role":"user","content":[{"type":"text","text":"about project "},{"type":"text","text":"falcon, please"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"about [falcon]"},{"type":"text","text":"[falcon], please"}]}]}`},
		"three parts, an image and an empty one between": {
			`{"messages":[{"content":[{"text":"pro"},{"image_url":{"url":"x"}},{"text":""},{"text":"ject fal"},{"text":"con"}]}]}`,
			`{"messages":[{"content":[{"text":"[falcon]"},{"image_url":{"url":"x"}},{"text":""},{"text":"[falcon]"},{"text":"[falcon]"}]}]}`},
		"one in a part and one across": {`{"messages":[{"content":[{"text":"project falcon, project "},{"text":"falcon"}]}]}`,
			`{"messages":[{"content":[{"text":"[falcon], [falcon]"},{"text":"[falcon]"}]}]}`},
		"anthropic's system": {`{"system":[{"type":"text","text":"project ","cache_control":{"type":"ephemeral"}},{"type":"text","text":"falcon"}]}`,
			`{"system":[{"type":"text","text":"[falcon]","cache_control":{"type":"ephemeral"}},{"type":"text","text":"[falcon]"}]}`},
		"a tool's result": {`{"messages":[{"content":[{"type":"tool_result","content":[{"text":"project "},{"text":"falcon"}]}]}]}`,
			`{"messages":[{"content":[{"type":"tool_result","content":[{"text":"[falcon]"},{"text":"[falcon]"}]}]}]}`},
		"responses": {`{"input":[{"role":"user","content":[{"type":"input_text","text":"project "},{"type":"input_text","text":"falcon"}]}]}`,
			`{"input":[{"role":"user","content":[{"type":"input_text","text":"[falcon]"},{"type":"input_text","text":"[falcon]"}]}]}`},
		"two messages":       {`{"messages":[{"content":"project "},{"content":"falcon"}]}`, ""},
		"parts of two":       {`{"messages":[{"content":[{"text":"project "}]},{"content":[{"text":"falcon"}]}]}`, ""},
		"two texts to embed": {`{"input":["project ","falcon"]}`, ""},
	} {
		out, found, err := p.Pass(Input, nil).JSON(t.Context(), []byte(c.body))
		want := c.want
		if want == "" {
			want = c.body
		}
		if err != nil || string(out) != want {
			t.Errorf("%s: %s %v", name, out, err)
		}
		if (len(found) > 0) != (c.want != "") {
			t.Errorf("%s: found %+v", name, found)
		}
	}
}

func TestWhatLiesAcrossPartsIsStoppedAndToldOnce(t *testing.T) {
	t.Parallel()
	const body = `{"messages":[{"content":[{"text":"pay 4111 1111 "},{"text":"1111 1111 with 4111111111111111"}]}]}`
	if _, _, err := one(t, Check{Kind: KindPII}).Pass(Input, nil).JSON(t.Context(), []byte(body)); core.CodeOf(err) != core.CodeRefused || strings.Contains(err.Error(), "4111") {
		t.Errorf("got %v", err)
	}
	out, found, err := one(t, Check{Kind: KindPII, Action: Flag}).Pass(Input, nil).JSON(t.Context(), []byte(body))
	if err != nil || string(out) != body || len(found) != 2 || found[1].Text != 0 || found[1].Start != 4 || found[1].End != 14 {
		t.Errorf("%s %+v %v", out, found, err)
	}
}

func TestAcrossTheBordersOfLongParts(t *testing.T) {
	t.Parallel()
	p := one(t, Check{Kind: KindPattern, Name: "x", Pattern: `project falcon`, Action: Redact})
	for _, n := range []int{chunk / 2, chunk - 8, chunk, 3 * chunk / 2, 2*chunk - 3} {
		texts := []string{strings.Repeat("a", n) + " project", " falcon " + strings.Repeat("b", n)}
		out, found, err := p.Pass(Input, nil).Parts(t.Context(), texts, []int{1, 1})
		if err != nil || len(found) != 1 || !strings.HasSuffix(out[0], "a [x]") || !strings.HasPrefix(out[1], "[x] b") || strings.HasSuffix(texts[0], "[x]") {
			t.Errorf("%d: %+v %v", n, found, err)
		}
	}
}

func TestAnOutsideCheckerSeesAMessageAsAWhole(t *testing.T) {
	t.Parallel()
	var calls []analyze
	c := newChecker(t, Check{Format: Presidio, Action: Redact, Types: []string{"PERSON"}}, analyzer(t, &calls))
	out, found, err := c.policy.Pass(Input, nil).JSON(t.Context(), []byte(`{"messages":[{"content":[{"text":"I am Ja"},{"text":"ne. Jane"}]}]}`))
	if want := `{"messages":[{"content":[{"text":"I am [person]"},{"text":"[person]. [person]"}]}]}`; err != nil || string(out) != want || len(found) != 2 {
		t.Errorf("%s %+v %v", out, found, err)
	}
}
