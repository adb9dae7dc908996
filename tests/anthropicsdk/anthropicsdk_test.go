// Package anthropicsdk reads with Anthropic's official Go client what SutazAI writes in Anthropic's dialect: the answers of
// core/backend/anthropic and the requests of services/aimodels/anthropic, from the files that their own tests hold them to.
// It is a module of its own, so that the client and what it brings along are no part of the product's.
package anthropicsdk

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

const (
	answers  = "../../core/backend/anthropic/testdata/answers"
	provider = "../../services/aimodels/anthropic/testdata"
)

func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: no files (%v)", pattern, err)
	}
	return list
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client returns a client of a server that answers everything with a file.
func client(t *testing.T, file string) anthropic.Client {
	t.Helper()
	body := read(t, file)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", map[string]string{".sse": "text/event-stream; charset=utf-8", ".json": "application/json"}[filepath.Ext(file)])
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return anthropic.NewClient(option.WithBaseURL(s.URL), option.WithAPIKey("k"), option.WithMaxRetries(0))
}

func params() anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: "m", MaxTokens: 9, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("x"))},
	}
}

func stream(t *testing.T, file string) anthropic.Message {
	t.Helper()
	c := client(t, file)
	events := c.Messages.NewStreaming(t.Context(), params())
	var m anthropic.Message
	last := ""
	for events.Next() {
		e := events.Current()
		if err := m.Accumulate(e); err != nil {
			t.Fatalf("%s: %v", e.Type, err)
		}
		last = e.Type
	}
	if err := events.Err(); err != nil || last != "message_stop" {
		t.Fatalf("the stream ends with %q: %v", last, err)
	}
	return m
}

// TestAnswersReadTheSameWholeAndStreamed also holds that every block and field is one that the client knows.
func TestAnswersReadTheSameWholeAndStreamed(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, answers+"/*.json") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			c := client(t, file)
			whole, err := c.Messages.New(t.Context(), params())
			if err != nil {
				t.Fatal(err)
			}
			streamed := stream(t, strings.TrimSuffix(file, ".json")+".sse")
			for name, m := range map[string]*anthropic.Message{"whole": whole, "streamed": &streamed} {
				if m.ID == "" || m.Type != "message" || m.Role != "assistant" || m.Model != "local/tiny" || m.StopReason == "" || m.Usage.OutputTokens == 0 {
					t.Errorf("%s: %+v", name, m)
				}
				for field := range m.JSON.ExtraFields {
					t.Errorf("%s: the client does not know the field %s", name, field)
				}
				for i, b := range m.Content {
					if b.AsAny() == nil {
						t.Errorf("%s: the client does not know the block %d, %s", name, i, b.Type)
					}
				}
			}
			if whole.StopReason != streamed.StopReason || whole.StopSequence != streamed.StopSequence ||
				whole.Usage.InputTokens != streamed.Usage.InputTokens || whole.Usage.CacheReadInputTokens != streamed.Usage.CacheReadInputTokens {
				t.Errorf("whole %s %q %+v\nstreamed %s %q %+v", whole.StopReason, whole.StopSequence, whole.Usage, streamed.StopReason, streamed.StopSequence, streamed.Usage)
			}
			if got, want := contents(streamed), contents(*whole); !reflect.DeepEqual(got, want) {
				t.Errorf("streamed %v\nwhole %v", got, want)
			}
		})
	}
}

// contents says what an answer holds, by the kind of its blocks: a stream may order them otherwise.
func contents(m anthropic.Message) map[string]string {
	out := map[string]string{}
	for _, b := range m.Content {
		var input bytes.Buffer
		if b.Type == "tool_use" && json.Compact(&input, b.Input) != nil {
			input.WriteString("not JSON")
		}
		out[b.Type] += "|" + b.Text + b.Thinking + b.Signature + b.Data + b.ID + b.Name + input.String()
	}
	return out
}

func TestFixturesAreWhatTheClientReads(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"text", "tools", "thinking", "refusal"} {
		if m := stream(t, filepath.Join(provider, name+".sse")); m.StopReason == "" || m.Usage.OutputTokens == 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	c := client(t, filepath.Join(provider, "overloaded.sse"))
	events := c.Messages.NewStreaming(t.Context(), params())
	for events.Next() {
	}
	if err := events.Err(); err == nil || !strings.Contains(err.Error(), "overloaded_error") {
		t.Errorf("an error event is no error: %v", err)
	}
}

// TestRequestsAreWhatTheClientWouldSend reads each request into the client's own type and writes it again: a field that the
// client does not know, or reads otherwise, is missing then.
func TestRequestsAreWhatTheClientWouldSend(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, provider+"/requests/*.json") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var p anthropic.MessageNewParams
			var want, got map[string]any
			sent := read(t, file)
			if err := json.Unmarshal(sent, &want); err != nil {
				t.Fatal(err)
			}
			delete(want, "stream")                       // the client sets it by the method that is called
			if text, ok := want["system"].(string); ok { // a text is short for one block, which the client's type holds
				want["system"] = []any{map[string]any{"type": "text", "text": text}}
			}
			normal, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(normal, &p); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(again, &got); err != nil {
				t.Fatal(err)
			}
			longResults(want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %s\nwant %s", again, normal)
			}
		})
	}
}

// longResults writes results of tools that are a text, which is short for one block, as the client's type holds them.
func longResults(v any) {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["content"].(string); ok && v["type"] == "tool_result" {
			v["content"] = []any{map[string]any{"type": "text", "text": text}}
		}
		for _, inner := range v {
			longResults(inner)
		}
	case []any:
		for _, inner := range v {
			longResults(inner)
		}
	}
}
