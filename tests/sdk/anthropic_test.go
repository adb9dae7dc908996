package sdk

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

const (
	anthropicSuite    = "anthropic-sdk-go"
	anthropicAnswers  = "../../core/backend/anthropic/testdata/answers"
	anthropicProvider = "../../services/aimodels/anthropic/testdata"
)

// anthropicClient returns a client of a server that answers everything with a file.
func anthropicClient(t *testing.T, file string) anthropic.Client {
	t.Helper()
	return anthropic.NewClient(option.WithBaseURL(serve(t, file)), option.WithAPIKey("k"), option.WithMaxRetries(0))
}

func anthropicParams() anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: "m", MaxTokens: 9, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("x"))},
	}
}

func anthropicStream(t *testing.T, file string) anthropic.Message {
	t.Helper()
	c := anthropicClient(t, file)
	events := c.Messages.NewStreaming(t.Context(), anthropicParams())
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

// TestAnthropicAnswersReadTheSameWholeAndStreamed also holds that every block and field is one that the client knows.
func TestAnthropicAnswersReadTheSameWholeAndStreamed(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, anthropicAnswers+"/*.json") {
		check(t, anthropicSuite, filepath.Base(file), func(t *testing.T) {
			c := anthropicClient(t, file)
			whole, err := c.Messages.New(t.Context(), anthropicParams())
			if err != nil {
				t.Fatal(err)
			}
			streamed := anthropicStream(t, strings.TrimSuffix(file, ".json")+".sse")
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

func TestAnthropicFixturesAreWhatTheClientReads(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"text", "tools", "thinking", "refusal"} {
		check(t, anthropicSuite, name, func(t *testing.T) {
			if m := anthropicStream(t, filepath.Join(anthropicProvider, name+".sse")); m.StopReason == "" || m.Usage.OutputTokens == 0 {
				t.Errorf("%+v", m)
			}
		})
	}
	check(t, anthropicSuite, "an error event is an error", func(t *testing.T) {
		c := anthropicClient(t, filepath.Join(anthropicProvider, "overloaded.sse"))
		events := c.Messages.NewStreaming(t.Context(), anthropicParams())
		for events.Next() {
		}
		if err := events.Err(); err == nil || !strings.Contains(err.Error(), "overloaded_error") {
			t.Error(err)
		}
	})
}

func TestAnthropicRequestsAreWhatTheClientWouldSend(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, anthropicProvider+"/requests/*.json") {
		check(t, anthropicSuite, filepath.Base(file), func(t *testing.T) {
			want := object(t, read(t, file))
			delete(want, "stream")                       // the client sets it by the method that is called
			if text, ok := want["system"].(string); ok { // a text is short for one block, which the client's type holds
				want["system"] = []any{map[string]any{"type": "text", "text": text}}
			}
			request, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got := rewritten(t, request, &anthropic.MessageNewParams{})
			longResults(want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
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
