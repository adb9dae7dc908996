package anthropic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/anthropic"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// gateway is a backend.Gateway whose answer a test chooses, and which keeps what it was asked.
type gateway struct {
	exchange func(ctx context.Context, c *dialect.Call, out dialect.Answer) error
	call     *dialect.Call
	req      core.ModelRequest
}

func (g *gateway) Exchange(ctx context.Context, c *dialect.Call, out dialect.Answer) error {
	g.call = c
	return g.exchange(ctx, c, out)
}

func (g *gateway) Embed(context.Context, core.EmbedRequest) (core.EmbedResponse, error) {
	return core.EmbedResponse{}, errors.New("not asked for")
}

func (g *gateway) Models(context.Context) ([]core.Model, error) { return nil, nil }

// translated answers as a provider of another dialect: the body is decoded, then deltas and the answer follow.
func (g *gateway) translated(deltas []core.Delta, res core.ModelResponse) *gateway {
	g.exchange = func(_ context.Context, c *dialect.Call, out dialect.Answer) (err error) {
		if g.req, err = c.Decode(c.Body.Bytes); err != nil {
			return err
		}
		for _, d := range deltas {
			if err := out.Delta(d); err != nil {
				return err
			}
		}
		return out.Done(res)
	}
	return g
}

func failing(err error) *gateway {
	return &gateway{exchange: func(context.Context, *dialect.Call, dialect.Answer) error { return err }}
}

// post sends a body to the dialect's routes.
func post(t *testing.T, g *gateway, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, r := range anthropic.Routes(anthropic.Deps{Chats: &backend.Chats{Models: g, Logger: log}, Logger: log}) {
		mux.Handle(r.Pattern, r.Handler)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

const hello = `{"model":"local/tiny","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}`

func with(body string, fields string) string {
	return strings.TrimSuffix(body, "}") + "," + fields + "}"
}

func text(s string) core.ModelResponse {
	return core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: s}, Finish: core.FinishStop,
		Usage: core.Usage{InputTokens: 12, OutputTokens: 5, CachedTokens: 4},
	}
}

func thought(answer, signature string) core.ModelResponse {
	r := text(answer)
	r.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "hm", Signature: signature}, {Kind: core.PartText, Text: answer}}
	return r
}

func full() core.ModelResponse {
	return core.ModelResponse{
		Message: core.Message{
			Role: core.RoleAssistant, Text: "I look it up.",
			Parts: []core.Part{
				{Kind: core.PartReasoning, Text: "Which tool?", Signature: core.MakerAnthropic.Mark("c2ln")}, {Kind: core.PartReasoning, Data: []byte(core.MakerAnthropic.Mark("b3BhcXVl"))},
				{Kind: core.PartText, Text: "I look it up."},
			},
			ToolCalls: []core.ToolCall{
				{ID: "toolu_1", Name: "weather", Arguments: json.RawMessage(`{"city":"Łódź"}`)}, {ID: "toolu_2", Name: "now", Arguments: json.RawMessage(`{}`)},
			},
		},
		Finish: core.FinishTools, Usage: core.Usage{InputTokens: 40, OutputTokens: 30, ReasoningTokens: 9},
	}
}

// TestAnswers holds whole answers and streams against files, which tests/sdk reads with the official client.
func TestAnswers(t *testing.T) {
	t.Parallel()
	thinks := with(hello, `"thinking":{"type":"enabled","budget_tokens":1024}`)
	thinks = strings.Replace(thinks, `"max_tokens":64`, `"max_tokens":2048`, 1)
	stopped := text("one two")
	stopped.StopText = "three"
	cut := text("one two")
	cut.Finish = core.FinishLength
	refused := text("I must not")
	refused.Finish = core.FinishRefusal
	for _, c := range []struct {
		name, body string
		deltas     []core.Delta
		res        core.ModelResponse
	}{
		{"text", hello, []core.Delta{{Text: "Hel"}, {Text: "lo <there>"}}, text("Hello <there>")},
		{"text-at-once", hello, nil, text("Hello")},
		{"empty", hello, nil, text("")},
		{"stop-sequence", hello, nil, stopped},
		{"max-tokens", hello, []core.Delta{{Text: "one two"}}, cut},
		{"refusal", hello, []core.Delta{{Text: "I must not"}}, refused},
		{"thinking-and-tools", thinks, []core.Delta{{Reasoning: "Which "}, {Reasoning: "tool?"}, {Signature: core.MakerAnthropic.Mark("c2ln")}, {Text: "I look "}, {Text: "it up."}}, full()},
		{"thinking-at-once", thinks, nil, full()},
		{"thinking-omitted", strings.Replace(thinks, `1024}`, `1024,"display":"omitted"}`, 1), []core.Delta{{Reasoning: "Which tool?"}, {Signature: core.MakerAnthropic.Mark("c2ln")}, {Text: "I look it up."}}, full()},
		{"thinking-of-another-maker", thinks, []core.Delta{{Reasoning: "hm"}, {Signature: core.MakerOpenAI.Mark("c2ln")}, {Text: "So."}}, thought("So.", core.MakerOpenAI.Mark("c2ln"))},
		{"thinking-unsigned", thinks, []core.Delta{{Reasoning: "hm"}, {Text: "So."}}, thought("So.", "")},
		{"thinking-not-asked-for", hello, []core.Delta{{Reasoning: "Which tool?"}, {Signature: core.MakerAnthropic.Mark("c2ln")}, {Text: "I look it up."}}, full()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := post(t, (&gateway{}).translated(c.deltas, c.res), "/v1/messages", c.body)
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("%d %v", w.Code, w.Header())
			}
			golden(t, "answers/"+c.name+".json", indent(t, w.Body.Bytes()))

			w = post(t, (&gateway{}).translated(c.deltas, c.res), "/v1/messages", with(c.body, `"stream":true`))
			if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
				t.Fatalf("%d %v", w.Code, w.Header())
			}
			golden(t, "answers/"+c.name+".sse", w.Body.Bytes())
		})
	}
}

func indent(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return append(out.Bytes(), '\n')
}

// golden compares got with a file; ids, which are random, are made equal first.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	for {
		i := bytes.Index(got, []byte(`msg_`))
		if i < 0 || len(got) < i+36 {
			break
		}
		got = append(append(bytes.Clone(got[:i]), "MSG"...), got[i+36:]...)
	}
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; review the change, then run with -update:\n%s", file, got)
	}
}

func TestAStreamThatFailsInTheMiddleEndsWithAnErrorEvent(t *testing.T) {
	t.Parallel()
	g := &gateway{exchange: func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
		if err := out.Delta(core.Delta{Text: "The capital "}); err != nil {
			return err
		}
		return core.Errorf(core.CodeUnavailable, "the connection broke")
	}}
	body := post(t, g, "/v1/messages", with(hello, `"stream":true`)).Body.String()
	if !strings.HasSuffix(body, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"the connection broke\"}}\n\n") ||
		strings.Contains(body, "message_stop") || strings.Contains(body, "message_delta") {
		t.Error(body)
	}
}

func TestAnAnswerThatIsNotWhatWasStreamedIsAnError(t *testing.T) {
	t.Parallel()
	body := post(t, (&gateway{}).translated([]core.Delta{{Text: "Paris"}}, text("London")), "/v1/messages", with(hello, `"stream":true`)).Body.String()
	if !strings.Contains(body, "event: error") || strings.Contains(body, "message_stop") {
		t.Error(body)
	}
}

func TestRawBytesGoThroughAsTheyAre(t *testing.T) {
	t.Parallel()
	const whole = `{"id":"msg_x","type":"message","new_field":[1]}`
	w := post(t, &gateway{exchange: func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
		out.Header("X-SutazAI-Cache", "miss")
		return out.Raw([]byte(whole))
	}}, "/v1/messages", hello)
	if w.Body.String() != whole || w.Header().Get("X-SutazAI-Cache") != "miss" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", w.Body, w.Header())
	}
	const events = "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: news\ndata: {}\n\n"
	w = post(t, &gateway{exchange: func(_ context.Context, _ *dialect.Call, out dialect.Answer) error {
		out.Header("X-SutazAI-Cache", "hit")
		return out.Raw([]byte(events))
	}}, "/v1/messages", with(hello, `"stream":true`))
	if w.Body.String() != events || w.Header().Get("X-SutazAI-Cache") != "hit" {
		t.Errorf("%s %v", w.Body, w.Header())
	}
}

func TestWhatTheGatewayIsToldOfACall(t *testing.T) {
	t.Parallel()
	g := (&gateway{}).translated(nil, text("x"))
	post(t, g, "/v1/messages", with(hello, `"metadata":{"user_id":"u-1"},"stream":false`),
		"Anthropic-Version", "2023-06-01", "Anthropic-Beta", "a-2025-01-01", "Anthropic-Beta", "b-2025-01-01", "X-Api-Key", "secret")
	c := g.call
	if c.Dialect != dialect.Anthropic || c.Model != "local/tiny" || c.Stream || c.MaxOutput != 64 || c.Session != "u-1" || c.Metadata["user_id"] != "u-1" {
		t.Errorf("%+v", c)
	}
	if len(c.Header) != 2 || c.Header["Anthropic-Version"] != "2023-06-01" || c.Header["Anthropic-Beta"] != "a-2025-01-01,b-2025-01-01" {
		t.Errorf("headers %v", c.Header)
	}
	if g.req.User != "u-1" || g.req.MaxTokens != 64 {
		t.Errorf("%+v", g.req)
	}
	post(t, g, "/v1/messages", with(hello, `"metadata":{"user_id":"u-1"}`), "X-SutazAI-Session", "mine")
	if g.call.Session != "mine" {
		t.Errorf("session %q", g.call.Session)
	}
}

func TestErrorsAreTheDialectsOwn(t *testing.T) {
	t.Parallel()
	slow := core.Errorf(core.CodeRateLimited, "slow down")
	slow.RetryAfter = 1500 * time.Millisecond
	for name, c := range map[string]struct {
		err     error
		status  int
		kind    string
		message string
		after   string
	}{
		"rate limit": {slow, 429, "rate_limit_error", "slow down", "2"},
		"overloaded": {core.Errorf(core.CodeUnavailable, "down"), 529, "overloaded_error", "down", ""},
		// The client's key was right: only the owner of the server can mend the provider's.
		"key":           {core.Errorf(core.CodeUnauthorized, "the provider refuses the key"), 500, "api_error", "the provider refuses the key", ""},
		"right":         {core.Errorf(core.CodeForbidden, "no right"), 403, "permission_error", "no right", ""},
		"unknown model": {&dialect.UnknownModel{Err: core.Errorf(core.CodeNotFound, "there is no x")}, 404, "not_found_error", "model: there is no x", ""},
		"too large":     {core.Errorf(core.CodeTooLarge, "large"), 413, "request_too_large", "large", ""},
		"timeout":       {core.Errorf(core.CodeTimeout, "late"), 504, "timeout_error", "late", ""},
		"full context":  {core.Errorf(core.CodeContextFull, "9000 tokens"), 400, "invalid_request_error", "prompt is too long: 9000 tokens", ""},
		"a defect":      {errors.New("secret detail"), 500, "api_error", "internal error; the server's log has the details", ""},
	} {
		for _, body := range []string{hello, with(hello, `"stream":true`)} {
			w := post(t, failing(c.err), "/v1/messages", body)
			var got struct {
				Type  string
				Error struct{ Type, Message string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v: %s", name, err, w.Body)
			}
			if w.Code != c.status || got.Type != "error" || got.Error.Type != c.kind || got.Error.Message != c.message || w.Header().Get("Retry-After") != c.after {
				t.Errorf("%s: %d %s %v", name, w.Code, w.Body, w.Header())
			}
		}
	}
}

func TestEveryCodeHasAnError(t *testing.T) {
	t.Parallel()
	for _, code := range []core.Code{
		core.CodeInvalid, core.CodeNotFound, core.CodeConflict, core.CodeForbidden, core.CodeLimit, core.CodeRateLimited,
		core.CodeUnavailable, core.CodeTimeout, core.CodeCancelled, core.CodeTooLarge, core.CodeStorageFull, core.CodeRefused, core.CodeContextFull,
	} {
		if w := post(t, failing(core.Errorf(code, "x")), "/v1/messages", hello); w.Code == http.StatusInternalServerError || w.Code < 400 {
			t.Errorf("%s: %d %s", code, w.Code, w.Body)
		}
	}
}

func TestAClientThatLeftIsToldNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	g := &gateway{exchange: func(ctx context.Context, _ *dialect.Call, _ dialect.Answer) error {
		cancel()
		return ctx.Err()
	}}
	mux := http.NewServeMux()
	for _, r := range anthropic.Routes(anthropic.Deps{Chats: &backend.Chats{Models: g}, Logger: slog.New(slog.DiscardHandler)}) {
		mux.Handle(r.Pattern, r.Handler)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/messages", strings.NewReader(hello)))
	if w.Body.Len() != 0 {
		t.Error(w.Body)
	}
}

func TestTokensAreEstimated(t *testing.T) {
	t.Parallel()
	g := failing(errors.New("a model was asked"))
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"text":              {`{"model":"m","messages":[{"role":"user","content":"12345678"}]}`, `{"input_tokens":2}`},
		"system and tools":  {`{"model":"m","system":"1234","tools":[{"name":"abcd","input_schema":{}}],"messages":[{"role":"user","content":"1"}]}`, `{"input_tokens":4}`},
		"an image":          {`{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x/y"}}]}]}`, `{"input_tokens":1600}`},
		"a text document":   {`{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"12345678"}}]}]}`, `{"input_tokens":2}`},
		"calls and results": {`{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"abcd","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1234"}]}]}`, `{"input_tokens":3}`},
	} {
		w := post(t, g, "/v1/messages/count_tokens", c.body)
		if w.Code != http.StatusOK || w.Body.String() != c.want || w.Header().Get("X-SutazAI-Estimate") != "characters/4" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := post(t, g, "/v1/messages/count_tokens", `{"model":"m"}`); w.Code != http.StatusBadRequest {
		t.Errorf("without messages: %d %s", w.Code, w.Body)
	}
}
