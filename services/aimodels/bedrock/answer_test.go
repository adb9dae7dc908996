package bedrock_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/bedrock"
)

// events makes a binary stream of lines, each the kind of an event and its payload; those of exceptions begin with "!".
func events(t *testing.T, lines string) []byte {
	t.Helper()
	var out bytes.Buffer
	for line := range strings.Lines(lines) {
		name, payload, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !json.Valid([]byte(payload)) {
			t.Fatalf("no event: %q", line)
		}
		kind := "event"
		if name[0] == '!' {
			kind, name = "exception", name[1:]
		}
		out.Write(aimodelstest.BedrockEvent(kind, name, json.RawMessage(payload)))
	}
	return out.Bytes()
}

// playing serves a file of testdata, or bytes, as the answer to everything.
func playing(t *testing.T, file string, body []byte) *bedrock.Provider {
	t.Helper()
	if file != "" {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if body = b; strings.HasSuffix(file, ".events") {
			body = events(t, string(b))
		}
	}
	contentType := "application/vnd.amazon.eventstream"
	if strings.HasSuffix(file, ".json") {
		contentType = "application/json"
	}
	url, _ := aimodelstest.Replay(t, http.StatusOK, contentType, string(body))
	return newProvider(t, aimodels.HTTPConfig{Name: "aws", BaseURL: url})
}

// TestPublishedAnswers reads answers that are written after the published examples.
func TestPublishedAnswers(t *testing.T) {
	t.Parallel()
	asked := core.ModelRequest{Model: "m"}
	formed := core.ModelRequest{Model: "amazon.nova-pro-v1:0", Schema: json.RawMessage(`{"type":"object","properties":{"ok":{"type":"boolean"}}}`)}
	for _, c := range []struct {
		file string
		req  core.ModelRequest
		want aimodelstest.Played
	}{
		{"text.events", asked, aimodelstest.Played{
			Deltas: "T:Hello T:!", Text: "Hello!",
			Finish: core.FinishStop, Stop: "END", Usage: core.Usage{InputTokens: 1225, OutputTokens: 15, CachedTokens: 1000},
		}},
		{"tools.events", asked, aimodelstest.Played{
			Deltas: "T:I look.", Text: "I look.", Calls: `tooluse_kZJMlvQmRJ6eAyJE5GIl7Q top_song {"sign": "WZPZ"};tooluse_2 now {}`,
			Finish: core.FinishTools, Usage: core.Usage{InputTokens: 375, OutputTokens: 36},
		}},
		{"tools.events", core.ModelRequest{Model: "m", OneTool: true}, aimodelstest.Played{
			Deltas: "T:I look.", Text: "I look.", Calls: `tooluse_kZJMlvQmRJ6eAyJE5GIl7Q top_song {"sign": "WZPZ"}`,
			Finish: core.FinishTools, Usage: core.Usage{InputTokens: 375, OutputTokens: 36},
		}},
		{"thinking.events", asked, aimodelstest.Played{
			Deltas: "R:1071 = 2 * 462 R: + 147 S:~sutazai.bedrock:EqQBCgIYAhIM T:It is 21.", Text: "It is 21.",
			Parts:  "reasoning|1071 = 2 * 462 + 147||~sutazai.bedrock:EqQBCgIYAhIM;reasoning||~sutazai.bedrock:aGlkZGVu|;text|It is 21.||",
			Finish: core.FinishStop, Usage: core.Usage{InputTokens: 51, OutputTokens: 60},
		}},
		{"answer-tool.events", formed, aimodelstest.Played{
			Deltas: `T:{"ok":  T:true}`, Text: `{"ok": true}`, Finish: core.FinishStop, Usage: core.Usage{InputTokens: 1, OutputTokens: 2},
		}},
		{"message.json", asked, aimodelstest.Played{
			Deltas: "R:hm S:~sutazai.bedrock:s T:I look.", Text: "I look.", Parts: "reasoning|hm||~sutazai.bedrock:s;reasoning||~sutazai.bedrock:aGlkZGVu|;text|I look.||",
			Calls:  `tooluse_1 top_song {"sign": "WZPZ"}`,
			Finish: core.FinishLength, Usage: core.Usage{InputTokens: 30, OutputTokens: 628},
		}},
	} {
		t.Run(fmt.Sprint(c.file, c.req.OneTool), func(t *testing.T) {
			t.Parallel()
			if got := aimodelstest.Play(t, playing(t, c.file, nil), c.req); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestPublishedFailures(t *testing.T) {
	t.Parallel()
	whole := events(t, "messageStart {}\nmessageStop {\"stopReason\":\"end_turn\"}")
	broken := bytes.Clone(whole)
	broken[len(broken)-1] ^= 1
	for _, c := range []struct {
		name, file string
		body       []byte
		code       core.Code
		retryable  bool
		says       string
	}{
		{"a limit in the middle", "throttled.events", nil, core.CodeRateLimited, true, "Too many tokens"},
		{"the model fails", "model-error.events", nil, core.CodeUnavailable, true, "The model has stopped."},
		{"too long", "too-long.events", nil, core.CodeContextFull, false, "too long"},
		{"filtered", "filtered.events", nil, core.CodeRefused, false, "guardrail_intervened"},
		{"cut off between events", "cut.events", nil, core.CodeUnavailable, true, "broke in mid answer"},
		{"cut off in an event", "", whole[:len(whole)-5], core.CodeUnavailable, true, "broke in mid answer"},
		{"a wrong checksum", "", broken, core.CodeUnavailable, true, "cannot be read"},
		{"no events", "", []byte(strings.Repeat("<html>", 100)), core.CodeUnavailable, true, "cannot be read"},
		{"an event that is not JSON", "", aimodelstest.BedrockEvent("event", "messageStop", "x"), core.CodeUnavailable, true, "cannot be read"},
		{"an unknown exception", "", events(t, `!newException {"message":"what it says"}`), core.CodeUnavailable, true, "what it says"},
		{"a key", "", events(t, `!accessDeniedException {"message":"no"}`), core.CodeUnauthorized, false, "refuses the key"},
		{"no model", "", events(t, `!resourceNotFoundException {"message":"no such model"}`), core.CodeNotFound, false, "no such model"},
		{"a call that is none", "", events(t, `messageStop {"stopReason":"malformed_tool_use"}`), core.CodeUnavailable, true, "malformed_tool_use"},
		{"too many blocks", "", events(t, manyBlocks()), core.CodeUnavailable, true, "cannot be read"},
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

func manyBlocks() string {
	var b strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&b, "contentBlockDelta {\"contentBlockIndex\":%d,\"delta\":{\"text\":\"x\"}}\n", i)
	}
	return b.String()
}
