package aimodels_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// long is an event as servers write it: most of it is not text.
const long = `{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"word"},"logprobs":null,"finish_reason":null}]}`

func TestWhatIsNotReportedIsEstimatedFromTheTextWhicheverWayTheCallTakes(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) {
		for range 40 {
			events(w, long)
		}
		panic(http.ErrAbortHandler)
	}
	early := func(w http.ResponseWriter, r *http.Request) {
		events(w, `{"choices":[{"index":0,"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
		cut(w, r)
	}
	silent := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"` +
			strings.Repeat("word", 40) + `"},"finish_reason":"stop"}]}`))
	}
	for _, c := range []struct {
		name      string
		server    http.HandlerFunc
		body      string
		translate bool
		output    int64
	}{
		{"a cut stream", cut, `{"model":"up/m","stream":true,"messages":[{"role":"user","content":"hi"}]}`, false, 40},
		{"a cut stream, translated", cut, `{"model":"up/m","stream":true,"messages":[{"role":"user","content":"hi"}]}`, true, 40},
		{"a cut stream of a bounded answer", cut, `{"model":"up/m","stream":true,"max_tokens":25,"messages":[{"role":"user","content":"hi"}]}`, false, 25},
		{"a cut stream of a bounded answer, translated", cut, `{"model":"up/m","stream":true,"max_tokens":25,"messages":[{"role":"user","content":"hi"}]}`, true, 25},
		{"a cut stream that began with a report", early, `{"model":"up/m","stream":true,"messages":[{"role":"user","content":"hi"}]}`, false, 40},
		{"a whole answer", silent, `{"model":"up/m","messages":[{"role":"user","content":"hi"}]}`, false, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			money := &till{}
			g := gateway(t, aimodels.Config{Money: money}, map[string]aimodels.Endpoint{"up": upstream(t, "up", c.server)})
			call := newCall(t, c.body)
			call.Translate, call.MaxOutput = c.translate, int(call.Body.Int("max_tokens"))
			decode := call.Decode
			call.Decode = func(b []byte) (core.ModelRequest, error) {
				req, err := decode(b)
				req.MaxTokens = call.MaxOutput
				return req, err
			}
			_ = g.Exchange(t.Context(), call, &sink{})
			if len(money.entries) != 1 {
				t.Fatalf("charged %+v", money.entries)
			}
			if u := money.entries[0].Usage; u.InputTokens != 1 || u.OutputTokens != c.output {
				t.Errorf("%d tokens in and %d out, want 1 and %d", u.InputTokens, u.OutputTokens, c.output)
			}
		})
	}
}
