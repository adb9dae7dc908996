package anthropic_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/anthropic"
)

// playing serves a file of testdata, or a text, as the answer to everything.
func playing(t *testing.T, file, body string) *anthropic.Provider {
	t.Helper()
	if file != "" {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		body = string(b)
	}
	contentType := "text/event-stream; charset=utf-8"
	if strings.HasSuffix(file, ".json") {
		contentType = "application/json"
	}
	url, _ := aimodelstest.Replay(t, http.StatusOK, contentType, body)
	return newProvider(t, aimodels.HTTPConfig{Name: "claude", BaseURL: url})
}

// TestPublishedAnswers reads answers that are written after the published examples.
func TestPublishedAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		want aimodelstest.Played
	}{
		{"text.sse", aimodelstest.Played{
			Deltas: "T:Hello T:!", Text: "Hello!",
			Finish: core.FinishStop, Usage: core.Usage{InputTokens: 1125, OutputTokens: 15, CachedTokens: 1000},
		}},
		{"tools.sse", aimodelstest.Played{
			Deltas: "T:Okay, let's check T: the weather:", Text: "Okay, let's check the weather:",
			Calls:  `toolu_01T1x1fJ34qAmk2tNTrN7Up6 get_weather {"location": "San Francisco, CA"};toolu_02 get_time {}`,
			Finish: core.FinishTools, Usage: core.Usage{InputTokens: 472, OutputTokens: 89},
		}},
		{"thinking.sse", aimodelstest.Played{
			Deltas: "R:The greatest common divisor of 1071 and 462: R:\n1071 = 2 * 462 + 147 S:~sutazai.anthropic:EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds T:It is 21.", Text: "It is 21.",
			Parts:  "reasoning|The greatest common divisor of 1071 and 462:\n1071 = 2 * 462 + 147||~sutazai.anthropic:EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds;reasoning||~sutazai.anthropic:EmwKAhgBEgy3va3pzix|;text|It is 21.||",
			Finish: core.FinishStop, Stop: "END", Usage: core.Usage{InputTokens: 51, OutputTokens: 60, ReasoningTokens: 48},
		}},
		{"message.json", aimodelstest.Played{
			Deltas: "T:I'll check the current weather for you.", Text: "I'll check the current weather for you.",
			Calls:  `toolu_01A09q90qw90lq917835lq9 get_weather {"location": "San Francisco, CA"}`,
			Finish: core.FinishTools, Usage: core.Usage{InputTokens: 2095, OutputTokens: 503},
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			if got := aimodelstest.Play(t, playing(t, c.file, ""), core.ModelRequest{Model: "m"}); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPublishedFailures(t *testing.T) {
	t.Parallel()
	kind := func(k string) string {
		return "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" + k + "\",\"message\":\"what it says\"}}\n\n"
	}
	for _, c := range []struct {
		name, file, body string
		code             core.Code
		retryable        bool
		says             string
	}{
		{"overloaded in the middle", "overloaded.sse", "", core.CodeUnavailable, true, "Overloaded"},
		{"too long in the middle", "too-long.sse", "", core.CodeContextFull, false, "205000"},
		{"cut off", "cut.sse", "", core.CodeUnavailable, true, "broke in mid answer"},
		{"a refusal", "refusal.sse", "", core.CodeRefused, false, "It asks for an attack."},
		{"an unknown kind", "", kind("new_error"), core.CodeUnavailable, true, "what it says"},
		{"a timeout", "", kind("timeout_error"), core.CodeUnavailable, true, "what it says"},
		{"a key", "", kind("authentication_error"), core.CodeUnauthorized, false, "refuses the key"},
		{"no money", "", kind("billing_error"), core.CodeInvalid, false, "what it says"},
		{"no model", "", kind("not_found_error"), core.CodeNotFound, false, "what it says"},
		{"a delta of nothing", "", "data: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n", core.CodeUnavailable, true, "cannot be read"},
		{"too many blocks", "", strings.Repeat("data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\"}}\n\n", 1001), core.CodeUnavailable, true, "cannot be read"},
		{"a line without end", "", "data: " + strings.Repeat("x", 5<<20), core.CodeUnavailable, true, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := playing(t, c.file, c.body).Chat(t.Context(), core.ModelRequest{Model: "m"}, nil)
			ce, ok := errors.AsType[*aimodels.CallError](err)
			if !ok || core.CodeOf(err) != c.code || ce.Retryable != c.retryable || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q %+v", core.CodeOf(err), err)
			}
		})
	}
}

func TestWhatIsForwarded(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var sent string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, sent = r, string(b)
		_, _ = io.WriteString(w, `{"type":"message"}`)
	}))
	t.Cleanup(s.Close)
	p := newProvider(t, aimodels.HTTPConfig{Name: "claude", BaseURL: s.URL, APIKey: "our-key"})
	o, err := dialect.Scan([]byte(`{"model":"claude/opus","max_tokens":1,"new_field":{"x": 1.50}}`))
	if err != nil {
		t.Fatal(err)
	}
	call := &dialect.Call{Dialect: dialect.Anthropic, Body: o, Header: map[string]string{"Anthropic-Beta": "a,b", "Anthropic-Version": "2026-01-01"}}
	if !p.Forwards(call) || p.Forwards(&dialect.Call{Dialect: dialect.OpenAIChat}) {
		t.Error("it forwards its own dialect and no other")
	}
	body, err := p.Forward(t.Context(), "claude-opus-4-7", call)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil || string(answer) != `{"type":"message"}` {
		t.Errorf("%s %v", answer, err)
	}
	if sent != `{"model":"claude-opus-4-7","max_tokens":1,"new_field":{"x": 1.50}}` || got.URL.Path != "/v1/messages" {
		t.Errorf("%s %s", got.URL, sent)
	}
	h := got.Header
	if h.Get("X-Api-Key") != "our-key" || h.Get("Authorization") != "" || h.Get("Anthropic-Beta") != "a,b" || h.Get("Anthropic-Version") != "2026-01-01" {
		t.Errorf("%v", h)
	}
	call.Header = nil
	if body, err = p.Forward(t.Context(), "m", call); err != nil {
		t.Fatal(err)
	}
	_ = body.Close()
	if got.Header.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("the version is missing: %v", got.Header)
	}
}
