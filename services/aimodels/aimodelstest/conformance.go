package aimodelstest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Dialect is a provider under test with the scripted server that speaks its language.
type Dialect struct {
	Server   func(script Script, models ...string) *Server
	Provider func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider // cfg.BaseURL is the server's root
	NoSeed   bool                                                          // the dialect has no field for a seed
	NoStop   bool                                                          // … nor for stop sequences
}

const secret = "sk-canary-4711-do-not-print"

// answerSchema is one that every dialect with structured output takes as it is.
const answerSchema = `{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"],"additionalProperties":false}`

// setup starts a scripted server and a provider that calls it.
func (d Dialect) setup(t *testing.T, script Script, change ...func(*aimodels.HTTPConfig)) (aimodels.Provider, *Server) {
	t.Helper()
	s := d.Server(script)
	s.Key = secret
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	cfg := aimodels.HTTPConfig{Name: "test", BaseURL: h.URL, APIKey: secret}
	for _, c := range change {
		c(&cfg)
	}
	return d.Provider(t, cfg), s
}

func ask(text string) core.ModelRequest {
	return core.ModelRequest{Model: "default", Messages: []core.Message{
		{Role: core.RoleSystem, Text: "Be brief."}, {Index: 0, Role: core.RoleUser, Text: text},
	}}
}

// Conformance runs every rule of the Provider contract over a dialect.
func Conformance(t *testing.T, d Dialect) {
	t.Run("answers", func(t *testing.T) { t.Parallel(); d.answers(t) })
	t.Run("fails", func(t *testing.T) { t.Parallel(); d.fails(t) })
	t.Run("through the gateway", func(t *testing.T) { t.Parallel(); d.gateway(t) })
}

func (d Dialect) answers(t *testing.T) {
	t.Run("plain: the whole text, role, finish and usage", func(t *testing.T) {
		t.Parallel()
		want := core.ModelResponse{Message: core.Message{Text: "The capital of France is Paris. ✓"}, Usage: core.Usage{InputTokens: 31, OutputTokens: 9}}
		p, _ := d.setup(t, Always(Answer(want)))
		got, err := p.Chat(t.Context(), ask("What is the capital of France?"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Message.Text != want.Message.Text || got.Message.Role != core.RoleAssistant || got.Finish != core.FinishStop || got.Usage != want.Usage {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("streamed: the deltas joined are the text, in more than one piece", func(t *testing.T) {
		t.Parallel()
		p, _ := d.setup(t, Always(Text("one two three — vier 五 🙂 end")))
		var deltas []string
		got, err := p.Chat(t.Context(), ask("count"), func(c core.Delta) { deltas = append(deltas, c.Text) })
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(deltas, "") != got.Message.Text || len(deltas) < 5 {
			t.Errorf("deltas %q, text %q", deltas, got.Message.Text)
		}
	})
	t.Run("request: everything asked for reaches the server", func(t *testing.T) {
		t.Parallel()
		p, s := d.setup(t, Always(Text("{}")))
		temperature, seed := 0.25, int64(42)
		req := ask("go")
		req.Messages = append(req.Messages,
			core.Message{Role: core.RoleAssistant, ToolCalls: []core.ToolCall{{ID: "c1", Name: "now", Arguments: json.RawMessage(`{"zone":"UTC"}`)}}},
			core.Message{Role: core.RoleTool, ToolCallID: "c1", Text: "noon"})
		req.Tools = []core.ToolSpec{{Name: "now", Description: "Tell the time.", Parameters: json.RawMessage(`{"type":"object"}`)}}
		req.Schema, req.MaxTokens, req.Temperature, req.Seed, req.Stop = json.RawMessage(answerSchema), 77, &temperature, &seed, []string{"END"}
		if _, err := p.Chat(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
		got := s.Requests()[0].Request
		if got.Model != "default" || got.MaxTokens != 77 || *got.Temperature != temperature || string(got.Schema) != answerSchema {
			t.Errorf("settings did not arrive: %s", s.Requests()[0].Body)
		}
		if !d.NoStop && !slices.Equal(got.Stop, req.Stop) {
			t.Errorf("the stop sequences did not arrive: %s", s.Requests()[0].Body)
		}
		if !d.NoSeed && (got.Seed == nil || *got.Seed != seed) {
			t.Errorf("the seed did not arrive: %s", s.Requests()[0].Body)
		}
		if len(got.Tools) != 1 || got.Tools[0].Name != "now" || got.Tools[0].Description != "Tell the time." {
			t.Errorf("tools did not arrive: %s", s.Requests()[0].Body)
		}
		if n := len(got.Messages); n != 4 || got.Messages[2].ToolCalls[0].Name != "now" || string(got.Messages[2].ToolCalls[0].Arguments) != `{"zone":"UTC"}` ||
			got.Messages[3].Role != core.RoleTool || got.Messages[3].ToolCallID == "" || got.Messages[3].Text != "noon" {
			t.Errorf("messages did not arrive: %s", s.Requests()[0].Body)
		}
	})
	for name, calls := range map[string][]core.ToolCall{
		"one tool call":       {Call("calculator", map[string]string{"expression": "17*23"})},
		"parallel tool calls": {Call("read_file", map[string]string{"path": "a \"b\".txt"}), Call("now", struct{}{}), Call("read_file", map[string]any{"path": "c", "n": 3})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := d.setup(t, Always(Calls(calls...)))
			got, err := p.Chat(t.Context(), ask("work"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Message.ToolCalls) != len(calls) || got.Finish != core.FinishTools {
				t.Fatalf("got %+v", got)
			}
			ids := map[string]bool{}
			for i, c := range got.Message.ToolCalls {
				if c.Name != calls[i].Name || string(c.Arguments) != string(calls[i].Arguments) || c.ID == "" || ids[c.ID] {
					t.Errorf("call %d: got %s %s id %q, want %s %s", i, c.Name, c.Arguments, c.ID, calls[i].Name, calls[i].Arguments)
				}
				ids[c.ID] = true
			}
		})
	}
	t.Run("models are listed without the provider's prefix", func(t *testing.T) {
		t.Parallel()
		p, _ := d.setup(t, Always(Text("x")))
		got, err := p.Models(t.Context())
		if err != nil || len(got) != 1 || got[0].ID != "default" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func (d Dialect) fails(t *testing.T) {
	for _, c := range []struct {
		name      string
		turn      Turn
		code      core.Code
		retryable bool
		after     time.Duration
	}{
		{"401", Fault{Status: 401, Message: "wrong key " + secret}.Turn(), core.CodeUnauthorized, false, 0},
		{"403", Fault{Status: 403}.Turn(), core.CodeUnauthorized, false, 0},
		{"404", Fault{Status: 404, Message: "no such model"}.Turn(), core.CodeNotFound, false, 0},
		{"400", Fault{Status: 400, Message: "temperature is too high for " + secret}.Turn(), core.CodeInvalid, false, 0},
		{"full context", Fault{Status: 400, Message: "this model's maximum context length is 8192 tokens"}.Turn(), core.CodeContextFull, false, 0},
		{"413", Fault{Status: 413}.Turn(), core.CodeTooLarge, false, 0},
		{"429 with Retry-After", Fault{Status: 429, RetryAfter: 7 * time.Second, Message: "slow down " + secret}.Turn(), core.CodeRateLimited, true, 7 * time.Second},
		{"500", Fault{Status: 500, Message: "oops " + secret}.Turn(), core.CodeUnavailable, true, 0},
		{"503", Fault{Status: 503}.Turn(), core.CodeUnavailable, true, 0},
		{"connection reset before the answer", Fault{Reset: true}.Turn(), core.CodeUnavailable, true, 0},
		{"connection reset in mid stream", Fault{Text: "The capital ", Reset: true}.Turn(), core.CodeUnavailable, true, 0},
		{"malformed JSON", Fault{Text: "The ", Garbage: true}.Turn(), core.CodeUnavailable, true, 0},
		{"endless stream", Fault{Endless: true}.Turn(), core.CodeTooLarge, false, 0},
		{"silence before the first byte", Hang(""), core.CodeTimeout, true, 0},
		{"silence in mid stream", Hang("The capital "), core.CodeTimeout, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, _ := d.setup(t, Always(c.turn), func(cfg *aimodels.HTTPConfig) {
				cfg.MaxBody = 256 << 10
				cfg.FirstByteTimeout, cfg.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond
			})
			_, err := p.Chat(t.Context(), ask("x"), func(core.Delta) {})
			if core.CodeOf(err) != c.code {
				t.Fatalf("code %q, want %q: %v", core.CodeOf(err), c.code, err)
			}
			var ce *aimodels.CallError
			if !errors.As(err, &ce) || ce.Retryable != c.retryable || core.RetryAfterOf(err) != c.after {
				t.Errorf("retryable and Retry-After: got %+v of %v, want %t %s", ce, err, c.retryable, c.after)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
	t.Run("a wrong key is not in the error", func(t *testing.T) {
		t.Parallel()
		p, _ := d.setup(t, Always(Text("x")), func(cfg *aimodels.HTTPConfig) { cfg.APIKey = "sk-canary-wrong" })
		_, err := p.Chat(t.Context(), ask("x"), nil)
		if core.CodeOf(err) != core.CodeUnauthorized || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		h := httptest.NewServer(http.NotFoundHandler())
		h.Close()
		p := d.Provider(t, aimodels.HTTPConfig{Name: "test", BaseURL: h.URL})
		_, err := p.Chat(t.Context(), ask("x"), nil)
		var ce *aimodels.CallError
		if core.CodeOf(err) != core.CodeUnavailable || !errors.As(err, &ce) || !ce.Retryable || !strings.Contains(err.Error(), "is it running?") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a redirect to another origin carries neither key nor conversation", func(t *testing.T) {
		t.Parallel()
		hits := make(chan string, 8)
		other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hits <- r.URL.String() }))
		t.Cleanup(other.Close)
		first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/steal", http.StatusTemporaryRedirect)
		}))
		t.Cleanup(first.Close)
		p := d.Provider(t, aimodels.HTTPConfig{Name: "test", BaseURL: first.URL, APIKey: secret})
		_, err := p.Chat(t.Context(), ask("x"), nil)
		if core.CodeOf(err) != core.CodeInvalid || strings.Contains(err.Error(), "canary") || len(hits) != 0 {
			t.Errorf("got %v, hits %d", err, len(hits))
		}
	})
	t.Run("cancelling reaches the server within 100 ms", func(t *testing.T) { t.Parallel(); d.cancels(t) })
}

func (d Dialect) cancels(t *testing.T) {
	streaming := make(chan struct{})
	stopped := make(chan time.Time, 1)
	p, _ := d.setup(t, Always(func(ctx context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		onDelta(core.Delta{Text: "The "})
		close(streaming)
		<-ctx.Done()
		stopped <- time.Now()
		return core.ModelResponse{}, ctx.Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := p.Chat(ctx, ask("x"), func(core.Delta) {})
		result <- err
	}()
	<-streaming
	start := time.Now()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if took := time.Since(start); took > 100*time.Millisecond {
		t.Errorf("Chat returned %s after cancel", took)
	}
	if took := (<-stopped).Sub(start); took > 100*time.Millisecond {
		t.Errorf("the server noticed %s after cancel", took)
	}
}

func (d Dialect) gateway(t *testing.T) {
	t.Run("500, then 429, then an answer: three attempts, deltas of the last", func(t *testing.T) {
		t.Parallel()
		p, _ := d.setup(t, Sequence(Fault{Status: 500}.Turn(), Fault{Status: 429}.Turn(), Text("Paris")))
		g, err := aimodels.NewGateway(aimodels.Config{BaseDelay: time.Millisecond}, map[string]aimodels.Endpoint{"p": {Kind: "test", Provider: p}})
		if err != nil {
			t.Fatal(err)
		}
		req := ask("x")
		req.Model = "p/default"
		got, err := g.Chat(t.Context(), req, nil)
		if err != nil || got.Message.Text != "Paris" || len(got.Attempts) != 3 || got.Model != "p/default" {
			t.Fatalf("got %+v, %v", got, err)
		}
		if got.Attempts[0].Error == "" || got.Attempts[1].Error == "" || got.Attempts[2].Error != "" {
			t.Errorf("attempts %+v", got.Attempts)
		}
	})
	t.Run("a stream that breaks is begun anew with a larger attempt", func(t *testing.T) {
		t.Parallel()
		p, _ := d.setup(t, Sequence(Fault{Text: "The cap", Reset: true}.Turn(), Text("Paris it is")))
		g, err := aimodels.NewGateway(aimodels.Config{BaseDelay: time.Millisecond}, map[string]aimodels.Endpoint{"p": {Kind: "test", Provider: p}})
		if err != nil {
			t.Fatal(err)
		}
		req := ask("x")
		req.Model = "p/default"
		text := map[int]string{}
		got, err := g.Chat(t.Context(), req, func(c core.Delta) { text[c.Attempt] += c.Text })
		if err != nil || text[1] != "The cap" || text[2] != "Paris it is" || got.Message.Text != "Paris it is" {
			t.Errorf("got %+v, %v, text %v", got, err, text)
		}
	})
}
