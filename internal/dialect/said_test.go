package dialect_test

import (
	"testing"

	"github.com/sutazai/sutazai/internal/dialect"
)

func TestOnlyWhatTheModelSaysIsCounted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		in     dialect.Name
		answer string
		want   int64
	}{
		{"a chat's delta", dialect.OpenAIChat, `{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}`, 3},
		{"with spaces", dialect.OpenAIChat, `{"choices": [{"delta": {"content" : "Hel"}}]}`, 3},
		{"thoughts and a tool's arguments", dialect.OpenAIChat, `{"choices":[{"delta":{"reasoning_content":"hm","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}`, 2 + 7},
		{"characters, not bytes", dialect.OpenAIChat, `{"choices":[{"delta":{"content":"größe \u00e9\n\"日本"}}]}`, 11},
		{"probabilities are not said", dialect.OpenAIChat, `{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"token":"abcdefgh","bytes":[1]}]}}]}`, 1},
		{"a delta of Anthropic's", dialect.Anthropic, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`, 5},
		{"its signature", dialect.Anthropic, `{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"abcdefgh"}}`, 0},
		{"a tool's beginning", dialect.Anthropic, `{"type":"content_block_start","content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`, 0},
		{"a whole answer with a tool", dialect.Anthropic, `{"content":[{"type":"text","text":"ab"},{"type":"tool_use","input":{"text":"abc"}}]}`, 2 + 14},
		{"a whole one of responses", dialect.OpenAIResponses, `{"instructions":"be nice","output":[{"type":"message","content":[{"type":"output_text","text":"abc"}]}],"text":{"format":{"type":"text"}}}`, 3},
		{"a line of Ollama's", dialect.OllamaChat, `{"model":"m","message":{"role":"assistant","content":"abcd","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}}`, 4 + 7},
		{"generate", dialect.OllamaGenerate, `{"model":"m","response":"ab","thinking":"c","done":true,"context":[1,2,3]}`, 3},
		{"cut short", dialect.OpenAIChat, `{"choices":[{"delta":{"content":"ab","reasoning":"c`, 2},
		{"not JSON", dialect.OpenAIChat, `"`, 0},
	} {
		if got := c.in.Characters([]byte(c.answer)); got != c.want {
			t.Errorf("%s: %d characters, want %d", c.name, got, c.want)
		}
	}
}

func TestOnlyWhatAModelReadsIsAsked(t *testing.T) {
	t.Parallel()
	o, err := dialect.Scan([]byte(`{"model":"provider/a-long-name","temperature":0.5,"messages":[{"role":"user","content":"hi"},
		{"role":"user","content":[{"type":"text","text":"abc"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAAAAAA"}}]}],
		"tools":[{"type":"function","function":{"name":"f","description":"does","parameters":{"type":"object"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Asked(); got != 2+3+4+17 {
		t.Errorf("%d characters", got)
	}
}

func TestAStreamsTextIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := dialect.NewWatch(dialect.OpenAIResponses)
	for _, e := range [][2]string{
		{"response.created", `{"type":"response.created","response":{"output":[]}}`},
		{"response.output_text.delta", `{"type":"response.output_text.delta","delta":"Hel"}`},
		{"response.output_text.delta", `{"type":"response.output_text.delta","delta":"lo"}`},
		{"response.output_text.done", `{"type":"response.output_text.done","text":"Hello"}`},
		{"response.completed", `{"type":"response.completed","response":{"output":[{"content":[{"type":"output_text","text":"Hello"}]}]}}`},
	} {
		w.See([]byte(e[0]), []byte(e[1]), false)
	}
	if w.Characters() != 5 {
		t.Errorf("%d characters", w.Characters())
	}
}

func BenchmarkCharactersOfAnEvent(b *testing.B) {
	event := []byte(`{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}`)
	b.ReportAllocs()
	for b.Loop() {
		dialect.OpenAIChat.Characters(event)
	}
}

func BenchmarkAnEventThatGoesBy(b *testing.B) {
	event := []byte(`{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}`)
	w := dialect.NewWatch(dialect.OpenAIChat)
	for b.Loop() {
		w.See(nil, event, true)
	}
}
