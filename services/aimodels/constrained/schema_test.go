package constrained

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sutazai/sutazai/core"
)

func TestSchemasAreBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"a string without a bound", `{"properties":{"a":{"type":"string"}}}`, `{"a":{"maxLength":50,"type":"string"}}`},
		{"a larger bound is lowered", `{"properties":{"a":{"type":"string","maxLength":4000,"minLength":1}}}`, `{"a":{"maxLength":50,"minLength":1,"type":"string"}}`},
		{"a smaller bound stays", `{"properties":{"a":{"type":"string","maxLength":5}}}`, `{"a":{"maxLength":5,"type":"string"}}`},
		{"a lower bound that cannot be met is dropped", `{"properties":{"a":{"type":"string","minLength":60}}}`, `{"a":{"maxLength":50,"type":"string"}}`},
		{"what a grammar cannot express is dropped", `{"properties":{"a":{"type":"string","pattern":"^[^x]+(?!y)$","format":"uri","title":"A","default":"q"}}}`, `{"a":{"maxLength":50,"type":"string"}}`},
		{"arrays are bounded", `{"properties":{"a":{"type":"array","items":{"type":"integer","minimum":0}}}}`, `{"a":{"items":{"minimum":0,"type":"integer"},"maxItems":16,"type":"array"}}`},
		{"arrays of anything", `{"properties":{"a":{"type":"array"}}}`, `{"a":{"items":{"maxLength":50,"type":"string"},"maxItems":16,"type":"array"}}`},
		{"choices stay", `{"properties":{"a":{"type":"string","enum":["x","y"]},"b":{"const":3}}}`, `{"a":{"enum":["x","y"]},"b":{"const":3}}`},
		{"alternatives", `{"properties":{"a":{"oneOf":[{"type":"string"},{"type":"null"}]}}}`, `{"a":{"anyOf":[{"maxLength":50,"type":"string"},{"type":"null"}]}}`},
		{"several types", `{"properties":{"a":{"type":["string","null"]}}}`, `{"a":{"anyOf":[{"maxLength":50,"type":"string"},{"type":"null"}]}}`},
		{"references are put in place", `{"properties":{"a":{"$ref":"#/$defs/d"}},"$defs":{"d":{"type":"string"}}}`, `{"a":{"maxLength":50,"type":"string"}}`},
		{"references that lead nowhere", `{"properties":{"a":{"$ref":"https://elsewhere"}}}`, `{"a":{"maxLength":50,"type":"string"}}`},
		{"nested objects", `{"properties":{"a":{"type":"object","properties":{"b":{"type":"boolean"}},"required":["b"]}}}`,
			`{"a":{"additionalProperties":false,"properties":{"b":{"type":"boolean"}},"required":["b"],"type":"object"}}`},
		{"nothing", `null`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := bounder{maxString: 50}.object(parameters(core.ToolSpec{Parameters: json.RawMessage(c.in)}))
			if got["type"] != "object" || got["additionalProperties"] != false {
				t.Errorf("got %v", got)
			}
			if properties := string(encode(got["properties"])); properties != c.want {
				t.Errorf("got  %s\nwant %s", properties, c.want)
			}
		})
	}
}

func TestASchemaThatRefersToItselfEnds(t *testing.T) {
	t.Parallel()
	got := bounder{maxString: 50}.object(parameters(core.ToolSpec{Parameters: json.RawMessage(
		`{"properties":{"tree":{"$ref":"#/$defs/node"}},"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}}}}}`)}))
	if text := string(encode(got)); len(text) > 2000 || strings.Contains(text, "$ref") {
		t.Errorf("got %s", text)
	}
}

func FuzzAnswerReader(f *testing.F) {
	f.Add("plain", uint8(1))
	f.Add("quotes \" and \\ and \u00e9 \U0001F642 \x00 \u2028 \uFFFD", uint8(3))
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		raw := encode(map[string]string{"answer": text})
		var want struct{ Answer string }
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Skip()
		}
		ascii := []byte(escapeAll(want.Answer))
		for _, doc := range [][]byte{raw, ascii} {
			r := &answerReader{}
			var got string
			step := int(size)%7 + 1
			for i := 0; i < len(doc); i += step {
				got += r.write(string(doc[i:min(i+step, len(doc))]))
			}
			if got != want.Answer {
				t.Errorf("got %q, want %q from %s", got, want.Answer, doc)
			}
		}
	})
}

// escapeAll writes every character as \uXXXX, as some servers do.
func escapeAll(s string) string {
	var b strings.Builder
	b.WriteString(`{"answer":"`)
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	b.WriteString(`"}`)
	return b.String()
}
