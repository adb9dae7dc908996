package guardrails

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// texts returns what RewriteJSON calls fn with.
func texts(t *testing.T, body string) []string {
	t.Helper()
	var all []string
	out, err := RewriteJSON([]byte(body), func(s string) (string, error) { all = append(all, s); return s, nil })
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if string(out) != body {
		t.Errorf("nothing was changed, and the body became %s", out)
	}
	return all
}

func TestTheTextsOfEveryDialectAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"openai chat": {`{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","name":"n","content":[
			{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"https://x/c","detail":"low"}},
			{"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}}]},
			{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"q\": \"d\", \"id\": [\"e\"], \"n\": 4111111111111111}"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"f"}],"user":"g","stop":["h"],"temperature":0.5,"stream":true,
			"metadata":{"note":"i"},"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","title":"j","properties":{"x":{"enum":["k"],"description":"l"}}}}}}`,
			[]string{"a", "b", "d", "e", "f", "g", "h", "i", "j", "l"}},
		"openai responses": {`{"model":"m","instructions":"a","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"b"},
			{"type":"input_file","filename":"c","file_data":"data:application/pdf;base64,QUJD"}]},
			{"type":"function_call","call_id":"1","name":"f","arguments":"not json"},{"type":"function_call_output","call_id":"1","output":"d"},
			{"type":"custom_tool_call","name":"f","input":"{\"e\":1}"},{"type":"reasoning","id":"r","encrypted_content":"QUJD","summary":[{"type":"summary_text","text":"g"}]}]}`,
			[]string{"a", "b", "c", "not json", "d", `{"e":1}`, "g"}},
		"anthropic": {`{"model":"m","system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"b"},
			{"role":"assistant","content":[{"type":"thinking","thinking":"c","signature":"QUJD"},{"type":"thinking","thinking":"","signature":"~sutazai.openai:QUJD"},{"type":"thinking","thinking":"","signature":"~sutazai.openai:some words"},{"type":"tool_use","id":"t","name":"f","input":{"type":"d","url":"e","deep":{"model":["f"]}}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"g"}]},
			{"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}},
			{"type":"document","source":{"type":"text","media_type":"text/plain","data":"h with words"},"title":"i"}]}],
			"tools":[{"name":"f","description":"j","input_schema":{"type":"object","properties":{"description":{"type":"string","description":"k","default":"l"}},"required":["description"]}}],"metadata":{"user_id":"u"}}`,
			[]string{"a", "b", "c", "~sutazai.openai:some words", "d", "e", "f", "g", "h with words", "i", "j", "k"}},
		"ollama": {`{"model":"m","prompt":"a","system":"b","images":["QUJD"],"format":"json","keep_alive":"5m","options":{"seed":1}}`, []string{"a", "b"}},
		"ollama chat": {`{"model":"m","messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"name":"a"}}}]}],"format":{"type":"object","description":"b"}}`,
			[]string{"a", "b"}},
		"embeddings": {`{"model":"m","input":["a","b"],"encoding_format":"float"}`, []string{"a", "b"}},
		"escapes":    {`{"te\u0078t":"a\n\"\u00e9\ud83d\ude00\/\\","mo\u0064el":"m"}`, []string{"a\n\"é😀/\\"}},
		"twice":      {`{"text":"a","text":"b"}`, []string{"a", "b"}},
		"a string":   {` "a" `, []string{"a"}},
		"no text":    {`[1,2.5e3,true,null,{}]`, nil},
	} {
		if got := texts(t, c.body); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
}

func TestOnlyTheTextsChangeAndAllOtherBytesStay(t *testing.T) {
	t.Parallel()
	upper := func(s string) (string, error) { return strings.ToUpper(s), nil }
	for _, c := range []struct{ body, want string }{
		{"{ \"model\" : \"m\",\n \"content\":\"a<b> & \\u00e9\" ,\t\"x\":1.50, \"unknown\":[ \"b\" ] }\n", "{ \"model\" : \"m\",\n \"content\":\"A<B> & É\" ,\t\"x\":1.50, \"unknown\":[ \"B\" ] }\n"},
		{`{"content":"A \u00c9","type":"b"}`, `{"content":"A \u00c9","type":"b"}`}, // not changed, not written anew
		{`{"arguments":"{\"q\" : \"a\\n\", \"n\":1}"}`, `{"arguments":"{\"q\" : \"A\\n\", \"n\":1}"}`},
		{`{"arguments":"{\"q\": broken"}`, `{"arguments":"{\"Q\": BROKEN"}`},
		{`{"text":"\ud800x"}`, `{"text":"` + "\uFFFD" + `X"}`},
	} {
		out, err := RewriteJSON([]byte(c.body), upper)
		if err != nil || string(out) != c.want {
			t.Errorf("%s\n became %s (%v)\n want   %s", c.body, out, err, c.want)
		}
	}
}

func TestWhatIsNotJSONIsRefused(t *testing.T) {
	t.Parallel()
	keep := func(s string) (string, error) { return s, nil }
	for _, body := range []string{
		"", " ", "{", "}", "[", "[1,]", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, "[1 2]", `"a`, `"\x"`, `"\u12g4"`,
		"\"a\nb\"", "tru", "01", "+1", "1 2", "{}{}", "nul l", `"\`, `{"\q":1}`, "[}", "{]", `[1}`,
	} {
		if _, err := RewriteJSON([]byte(body), keep); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%q: %v", body, err)
		}
	}
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if _, err := RewriteJSON(deep(maxDepth), keep); err != nil {
		t.Error(err)
	}
	if _, err := RewriteJSON(deep(maxDepth+1), keep); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("too deep: %v", err)
	}
	stop := errors.New("stop")
	if _, err := RewriteJSON([]byte(`{"text":"a"}`), func(string) (string, error) { return "", stop }); !errors.Is(err, stop) {
		t.Errorf("the function's error became %v", err)
	}
}

func FuzzRewriteJSON(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","content":"a","x":[1,{"text":"b\n"}]}`, `{"arguments":"{\"a\":\"b\"}"}`, `"\ud83d\ude00"`, `[[[`, `{"a":1e5}`, "\"\x01\"", `{"data":"a b"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		valid := json.Valid(body)
		var seen []string
		same, err := RewriteJSON(body, func(s string) (string, error) { seen = append(seen, s); return s, nil })
		if err != nil {
			if valid && !strings.Contains(err.Error(), "nested") {
				t.Fatalf("%q is valid, and refused: %v", body, err)
			}
			return
		}
		if !valid || string(same) != string(body) {
			t.Fatalf("%q (valid: %v) became %q", body, valid, same)
		}
		changed, err := RewriteJSON(body, func(s string) (string, error) { return "<" + s + ">", nil })
		if err != nil || !json.Valid(changed) {
			t.Fatalf("%q became %q: %v", body, changed, err)
		}
		onlyTexts(t, decode(t, body), decode(t, changed))
	})
}

func decode(t *testing.T, body []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return v
}

// onlyTexts checks that two values differ at most in strings, which got brackets, or are JSON in which that is so.
func onlyTexts(t *testing.T, before, after any) {
	t.Helper()
	switch b := before.(type) {
	case map[string]any:
		a, _ := after.(map[string]any)
		if len(a) != len(b) {
			t.Fatalf("%v became %v", before, after)
		}
		for key := range b {
			onlyTexts(t, b[key], a[key])
		}
	case []any:
		a, _ := after.([]any)
		if len(a) != len(b) {
			t.Fatalf("%v became %v", before, after)
		}
		for i := range b {
			onlyTexts(t, b[i], a[i])
		}
	case string:
		if a, ok := after.(string); ok && (a == b || a == "<"+b+">") {
			return
		} else if ok && json.Valid([]byte(b)) && json.Valid([]byte(a)) {
			onlyTexts(t, decode(t, []byte(b)), decode(t, []byte(a)))
			return
		}
		t.Fatalf("%q became %v", before, after)
	default:
		if before != after {
			t.Fatalf("%v became %v", before, after)
		}
	}
}

func TestArgumentsOfAToolAreCheckedAsTheyRead(t *testing.T) {
	t.Parallel()
	policy := one(t,
		Check{Kind: KindPattern, Name: "names", Pattern: `project\s+falcon`, On: Output, Action: Redact},
		Check{Kind: KindPII, Types: []string{"card", "email"}, On: Output, Action: Redact})
	for name, c := range map[string]struct{ args, want string }{
		"nothing found":             {`{ "a": 1.50, "b" : [true,null,"x"] }`, `{ "a": 1.50, "b" : [true,null,"x"] }`},
		"escaped letters":           {`{"a":"project f\u0061lcon"}`, `{"a":"[names]"}`},
		"escaped white space":       {`{"a":"project\nfalcon"}`, `{"a":"[names]"}`},
		"deep, under any name":      {`{"id":{"url":["project falcon"]}}`, `{"id":{"url":["[names]"]}}`},
		"a number becomes a string": {`{"n":4111111111111111,"m":-4,"to":"a@example.com"}`, `{"n":"[card]","m":-4,"to":"[email]"}`},
		"a name twice":              {`{"a":"project falcon","a":"x"}`, `{"a":"[names]","a":"x"}`},
		"not JSON":                  {`to a@example.com {`, `to [email] {`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := policy.Pass(Output, nil).Arguments(t.Context(), []byte(c.args))
			if err != nil || string(got) != c.want {
				t.Errorf("%s became %s (%v), want %s", c.args, got, err, c.want)
			}
			if c.args == c.want {
				return
			}
			block := one(t, Check{Kind: KindPattern, Pattern: `project\s+falcon`, On: Output}, Check{Kind: KindPII, On: Output})
			if _, _, err := block.Pass(Output, nil).Arguments(t.Context(), []byte(c.args)); core.CodeOf(err) != core.CodeRefused {
				t.Errorf("%s is not stopped: %v", c.args, err)
			}
		})
	}
}
