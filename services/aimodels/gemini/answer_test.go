package gemini_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/gemini"
)

// playing serves a file of testdata, or a text, as the answer to everything.
func playing(t *testing.T, status int, file, body string) *gemini.Provider {
	t.Helper()
	if file != "" {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		body = string(b)
	}
	contentType := "text/event-stream"
	if strings.HasSuffix(file, ".json") {
		contentType = "application/json; charset=UTF-8"
	}
	url, _ := aimodelstest.Replay(t, status, contentType, body)
	return newProvider(t, aimodels.HTTPConfig{Name: "g", BaseURL: url, APIKey: "our-key"})
}

// TestPublishedAnswers reads answers that are written after the published examples.
func TestPublishedAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		one  bool
		want aimodelstest.Played
	}{
		{"text.sse", false, aimodelstest.Played{
			Deltas: "T:AI learns T: from data.", Text: "AI learns from data.",
			Finish: core.FinishStop, Usage: core.Usage{InputTokens: 1108, OutputTokens: 5, CachedTokens: 1024},
		}},
		{"thinking.sse", false, aimodelstest.Played{
			Deltas: "R:**Adding**\n\nThree primes. T:The sum is 10. S:~sutazai.gemini:CtcBAXLI2nx", Text: "The sum is 10.",
			Parts:  "reasoning|**Adding**\n\nThree primes.||~sutazai.gemini:CtcBAXLI2nx;text|The sum is 10.||",
			Finish: core.FinishStop, Usage: core.Usage{InputTokens: 14, OutputTokens: 46, ReasoningTokens: 40},
		}},
		{"tools.sse", false, aimodelstest.Played{
			Deltas: "T:I look. S:~sutazai.gemini:EqQBCgIY", Text: "I look.", Parts: "reasoning|||~sutazai.gemini:EqQBCgIY;text|I look.||",
			Calls:  `get_current_temperature {"location": "Paris"};f2 now {}`,
			Finish: core.FinishTools, Usage: core.Usage{InputTokens: 100, OutputTokens: 30},
		}},
		{"tools.sse", true, aimodelstest.Played{
			Deltas: "T:I look. S:~sutazai.gemini:EqQBCgIY", Text: "I look.", Parts: "reasoning|||~sutazai.gemini:EqQBCgIY;text|I look.||",
			Calls:  `get_current_temperature {"location": "Paris"}`,
			Finish: core.FinishTools, Usage: core.Usage{InputTokens: 100, OutputTokens: 30},
		}},
		{"message.json", false, aimodelstest.Played{
			Deltas: "T:Hello.", Text: "Hello.", Finish: core.FinishLength, Usage: core.Usage{InputTokens: 2, OutputTokens: 3},
		}},
	} {
		t.Run(fmt.Sprint(c.file, c.one), func(t *testing.T) {
			t.Parallel()
			if got := aimodelstest.Play(t, playing(t, http.StatusOK, c.file, ""), core.ModelRequest{Model: "m", OneTool: c.one}); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPublishedFailures(t *testing.T) {
	t.Parallel()
	end := func(reason string) string { return `data: {"candidates":[{"finishReason":"` + reason + `"}]}` + "\n\n" }
	for _, c := range []struct {
		name, file, body string
		status           int
		code             core.Code
		retryable        bool
		after            time.Duration
		says             string
	}{
		{"a blocked prompt", "blocked.sse", "", 200, core.CodeRefused, false, 0, "PROHIBITED_CONTENT"},
		{"a blocked answer", "safety.sse", "", 200, core.CodeRefused, false, 0, "SAFETY"},
		{"recited", "", end("RECITATION"), 200, core.CodeRefused, false, 0, "RECITATION"},
		{"overloaded in the middle", "overloaded.sse", "", 200, core.CodeUnavailable, true, 0, "overloaded"},
		{"cut off", "cut.sse", "", 200, core.CodeUnavailable, true, 0, "broke in mid answer"},
		{"a call that is none", "malformed-call.sse", "", 200, core.CodeUnavailable, true, 0, "MALFORMED_FUNCTION_CALL"},
		{"nothing", "", end("OTHER"), 200, core.CodeUnavailable, true, 0, "no answer"},
		{"a limit", "limit.json", "", 429, core.CodeRateLimited, true, 37 * time.Second, "quota"},
		{"a limit in the middle", "", `data: {"error":{"code":429,"message":"Too many tokens"}}` + "\n\n", 200, core.CodeRateLimited, true, 0, "Too many tokens"},
		{"a wrong key", "wrong-key.json", "", 400, core.CodeUnauthorized, false, 0, "api_key"},
		{"too long", "too-long.json", "", 400, core.CodeContextFull, false, 0, "1200000"},
		{"too many calls", "", `data: {"candidates":[{"content":{"parts":[` + strings.TrimSuffix(strings.Repeat(`{"functionCall":{"name":"x"}},`, 1001), ",") + `]}}]}` + "\n\n", 200, core.CodeUnavailable, true, 0, "cannot be read"},
		{"a line without end", "", "data: " + strings.Repeat("x", 17<<20), 200, core.CodeUnavailable, true, 0, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := playing(t, c.status, c.file, c.body).Chat(t.Context(), core.ModelRequest{Model: "m"}, nil)
			ce, ok := errors.AsType[*aimodels.CallError](err)
			if !ok || core.CodeOf(err) != c.code || ce.Retryable != c.retryable || core.RetryAfterOf(err) != c.after || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q %+v", core.CodeOf(err), err)
			}
		})
	}
}

func TestATextThatWasBegunStaysWhereAFilterStopsIt(t *testing.T) {
	t.Parallel()
	body := `data: {"candidates":[{"content":{"parts":[{"text":"One"}]},"finishReason":"SAFETY"}]}` + "\n\n"
	got, err := playing(t, http.StatusOK, "", body).Chat(t.Context(), core.ModelRequest{Model: "m"}, nil)
	if err != nil || got.Message.Text != "One" || got.Finish != core.FinishRefusal {
		t.Errorf("%+v %v", got, err)
	}
}
