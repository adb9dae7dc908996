package aimodels_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

// sink keeps what a client would get.
type sink struct {
	mu     sync.Mutex
	header map[string]string
	raw    strings.Builder
	text   string
	done   *core.ModelResponse
	fail   error // of every write
}

func (s *sink) Header(name, value string) {
	if s.header == nil {
		s.header = map[string]string{}
	}
	s.header[name] = value
}

func (s *sink) Raw(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(b)
	return s.fail
}
func (s *sink) Delta(d core.Delta) error        { s.text += d.Text; return s.fail }
func (s *sink) Done(r core.ModelResponse) error { s.done = &r; return s.fail }
func (s *sink) String() string                  { s.mu.Lock(); defer s.mu.Unlock(); return s.raw.String() }

// upstream serves one handler as an OpenAI-compatible provider.
func upstream(t *testing.T, name string, h http.HandlerFunc) aimodels.Endpoint {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p, err := openaicompat.New(openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: name, BaseURL: srv.URL + "/v1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return aimodels.Endpoint{Kind: "openai", Provider: p}
}

func gateway(t *testing.T, cfg aimodels.Config, endpoints map[string]aimodels.Endpoint) *aimodels.Gateway {
	t.Helper()
	cfg.BaseDelay, cfg.Attempts = time.Millisecond, max(cfg.Attempts, 1)
	g, err := aimodels.NewGateway(cfg, endpoints)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newCall(t *testing.T, body string) *dialect.Call {
	t.Helper()
	o, err := dialect.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	model, _ := o.Text("model")
	return &dialect.Call{
		Dialect: dialect.OpenAIChat, Body: o, Model: model, Stream: o.True("stream"), HideUsage: !o.Has("stream_options"),
		Decode: func([]byte) (core.ModelRequest, error) {
			return core.ModelRequest{Model: model, Messages: []core.Message{{Role: core.RoleUser, Text: "hi"}}}, nil
		},
	}
}

const whole = `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2},"odd":{"kept":true}}`

func TestFieldsThatNobodyKnowsSurviveInBothDirections(t *testing.T) {
	t.Parallel()
	var got string
	g := gateway(t, aimodels.Config{}, map[string]aimodels.Endpoint{"up": upstream(t, "up", func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(b)
		got = string(b)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(whole))
	})})
	out := &sink{}
	body := `{ "unknown" : [1, 2.50 ,{"a":null}], "model":"up/m", "messages":[{"role":"user","content":"hi","odd":1e3}]}`
	if err := g.Exchange(t.Context(), newCall(t, body), out); err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(body, `"up/m"`, `"m"`, 1); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	if out.String() != whole || out.header["X-SutazAI-Model"] != "up/m" || out.header["X-SutazAI-Cache"] != "bypass" {
		t.Errorf("got %s %v", out, out.header)
	}
}

func events(w http.ResponseWriter, list ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range list {
		_, _ = w.Write([]byte("data: " + e + "\n\n"))
		_ = http.NewResponseController(w).Flush()
	}
}

const (
	hel   = `{"choices":[{"index":0,"delta":{"content":"Hel"}}]}`
	lo    = `{"choices":[{"index":0,"delta":{"content":"lo"}}]}`
	stop  = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	usage = `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}`
)

func TestUsageInAStreamIsLearntAndNotShownToAClientThatDidNotAsk(t *testing.T) {
	t.Parallel()
	asked := ""
	var seen []aimodels.Observation
	g := gateway(t, aimodels.Config{Observe: func(o aimodels.Observation) { seen = append(seen, o) }}, map[string]aimodels.Endpoint{
		"up": upstream(t, "up", func(w http.ResponseWriter, r *http.Request) {
			var q struct {
				Options json.RawMessage `json:"stream_options"`
			}
			_ = json.NewDecoder(r.Body).Decode(&q)
			asked = string(q.Options)
			events(w, hel, lo, stop, usage, "[DONE]")
		}),
	})
	out := &sink{}
	if err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"messages":[]}`), out); err != nil {
		t.Fatal(err)
	}
	want := "data: " + hel + "\n\ndata: " + lo + "\n\ndata: " + stop + "\n\ndata: [DONE]\n\n"
	if out.String() != want || asked != `{"include_usage":true}` {
		t.Errorf("asked %s, got\n%s", asked, out)
	}
	if len(seen) != 1 || seen[0].Usage.InputTokens != 7 || seen[0].Usage.OutputTokens != 2 {
		t.Errorf("observed %+v", seen)
	}
	out = &sink{}
	if err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"stream_options":{"include_usage":true},"messages":[]}`), out); err != nil || !strings.Contains(out.String(), usage) {
		t.Errorf("a client that asked got %s %v", out, err)
	}
}

func TestAStreamThatIsCutIsAnErrorAndNeverAMadeUpEnd(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) {
		events(w, hel)
		_, _ = w.Write([]byte(`data: {"choices":[{"index":0,"delta":{"content":"half of an ev`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	other := false
	g := gateway(t, aimodels.Config{Attempts: 3, Routes: map[string]aimodels.Route{"r": aimodels.Ordered("a/m", "b/m")}}, map[string]aimodels.Endpoint{
		"a": upstream(t, "a", cut),
		"b": upstream(t, "b", func(w http.ResponseWriter, _ *http.Request) { other = true; events(w, hel, lo, stop, "[DONE]") }),
	})
	out := &sink{}
	err := g.Exchange(t.Context(), newCall(t, `{"model":"r","stream":true,"messages":[]}`), out)
	if core.CodeOf(err) != core.CodeUnavailable || out.String() != "data: "+hel+"\n\n" {
		t.Errorf("got %q and %v", out, err)
	}
	if other {
		t.Error("another target was asked although the client had read a part")
	}
}

func TestBeforeTheFirstWordTheNextTargetIsTaken(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]http.HandlerFunc{
		"overloaded":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"error event": func(w http.ResponseWriter, _ *http.Request) { events(w, `{"error":{"message":"no","code":500}}`) },
		"cut before a word": func(w http.ResponseWriter, _ *http.Request) {
			events(w)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("<html>"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": aimodels.Ordered("a/m", "b/m")}}, map[string]aimodels.Endpoint{
				"a": upstream(t, "a", broken),
				"b": upstream(t, "b", func(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo, stop, "[DONE]") }),
			})
			out := &sink{}
			if err := g.Exchange(t.Context(), newCall(t, `{"model":"r","stream":true,"messages":[]}`), out); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(out.String(), "[DONE]\n\n") || out.header["X-SutazAI-Model"] != "b/m" {
				t.Errorf("got %s %v", out, out.header)
			}
		})
	}
}

func TestAClientThatLeavesCancelsTheCallUpstream(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	g := gateway(t, aimodels.Config{}, map[string]aimodels.Endpoint{"up": upstream(t, "up", func(w http.ResponseWriter, r *http.Request) {
		events(w, hel)
		<-r.Context().Done()
		close(gone)
	})})
	ctx, leave := context.WithCancel(t.Context())
	out := &leaver{sink: &sink{}, leave: leave}
	err := g.Exchange(ctx, newCall(t, `{"model":"up/m","stream":true,"messages":[]}`), out)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-gone:
	case <-t.Context().Done():
		t.Error("the call upstream went on")
	}
}

// leaver goes away after the first piece.
type leaver struct {
	*sink
	leave func()
}

func (l *leaver) Raw(b []byte) error       { l.leave(); return l.sink.Raw(b) }
func (l *leaver) Delta(d core.Delta) error { l.leave(); return l.sink.Delta(d) }

// goer leaves when it has read the end.
type goer struct {
	*sink
	leave func()
}

func (g *goer) Raw(b []byte) error {
	err := g.sink.Raw(b)
	if strings.Contains(string(b), "[DONE]") {
		g.leave()
	}
	return err
}

func TestAClientThatLeavesWhenItHasReadTheEndHasHadItsAnswer(t *testing.T) {
	t.Parallel()
	money := &till{}
	g := gateway(t, aimodels.Config{Money: money}, map[string]aimodels.Endpoint{"up": upstream(t, "up", func(w http.ResponseWriter, r *http.Request) {
		events(w, hel, lo, stop, usage, "[DONE]")
		<-r.Context().Done() // the connection stays open
	})})
	ctx, leave := context.WithCancel(t.Context())
	if err := g.Exchange(ctx, newCall(t, `{"model":"up/m","stream":true,"messages":[]}`), &goer{sink: &sink{}, leave: leave}); err != nil {
		t.Errorf("got %v", err)
	}
	if h := g.Health(); len(money.entries) != 1 || money.entries[0].Code != "" || money.entries[0].Usage.OutputTokens != 2 || h[0].Failures != 0 {
		t.Errorf("charged %+v, %+v", money.entries, h)
	}
}

func TestTheFasterOfTwoHedgedTargetsAnswersAndTheOtherIsCancelled(t *testing.T) {
	t.Parallel()
	cancelled := make(chan struct{})
	r := aimodels.Ordered("slow/m", "quick/m")
	r.Hedge = 5 * time.Millisecond
	g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": r}}, map[string]aimodels.Endpoint{
		"slow": upstream(t, "slow", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1<<10))
			<-r.Context().Done()
			close(cancelled)
		}),
		"quick": upstream(t, "quick", func(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo, stop, "[DONE]") }),
	})
	out := &sink{}
	if err := g.Exchange(t.Context(), newCall(t, `{"model":"r","stream":true,"messages":[]}`), out); err != nil {
		t.Fatal(err)
	}
	if out.header["X-SutazAI-Model"] != "quick/m" || strings.Count(out.String(), hel) != 1 {
		t.Errorf("got %s %v", out, out.header)
	}
	<-cancelled
	for _, h := range g.Health() {
		if h.State != "closed" || h.LastError != "" {
			t.Errorf("losing a race counted against %+v", h)
		}
	}
}

func TestAFullProviderRefusesWithAHintAndIsNotCountedAsIll(t *testing.T) {
	t.Parallel()
	started, end := make(chan struct{}), make(chan struct{})
	g := gateway(t, aimodels.Config{Limits: map[string]aimodels.Limit{"up": {Max: 1}}}, map[string]aimodels.Endpoint{
		"up": upstream(t, "up", func(w http.ResponseWriter, _ *http.Request) {
			close(started)
			<-end
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(whole))
		}),
	})
	first := make(chan error, 1)
	go func() { first <- g.Exchange(t.Context(), newCall(t, `{"model":"up/m","messages":[]}`), &sink{}) }()
	<-started
	err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","messages":[]}`), &sink{})
	if core.CodeOf(err) != core.CodeRateLimited || core.RetryAfterOf(err) <= 0 {
		t.Errorf("got %v", err)
	}
	close(end)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if h := g.Health()[0]; h.State != "closed" || h.InFlight != 0 {
		t.Errorf("health %+v", h)
	}
}

func TestAConversationStaysWithItsTargetAndMovesOnlyWhenThatFails(t *testing.T) {
	t.Parallel()
	answers := func(name string) aimodels.Endpoint {
		return upstream(t, name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(whole))
		})
	}
	r := aimodels.Ordered("a/m", "b/m", "c/m")
	r.Sticky = true
	g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": r}}, map[string]aimodels.Endpoint{"a": answers("a"), "b": answers("b"), "c": answers("c")})
	used := map[string]int{}
	for i := range 30 {
		target := ""
		for range 3 {
			c := newCall(t, `{"model":"r","messages":[]}`)
			c.Session = strings.Repeat("s", i+1)
			out := &sink{}
			if err := g.Exchange(t.Context(), c, out); err != nil {
				t.Fatal(err)
			}
			got := out.header["X-SutazAI-Model"]
			if target != "" && got != target {
				t.Fatalf("session %d went from %s to %s", i, target, got)
			}
			target = got
		}
		used[target]++
	}
	if len(used) != 3 {
		t.Errorf("30 sessions used only %v", used)
	}
}

func TestAConversationIsKnownByItsBeginningWithoutAnId(t *testing.T) {
	t.Parallel()
	r := aimodels.Ordered("a/m", "b/m", "c/m")
	r.Sticky = true
	endpoints := map[string]aimodels.Endpoint{}
	for _, name := range []string{"a", "b", "c"} {
		endpoints[name] = upstream(t, name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(whole))
		})
	}
	g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": r}}, endpoints)
	used := map[string]bool{}
	for i := range 20 {
		messages, target := `{"role":"system","content":"s"},{"role":"user","content":"question `+strings.Repeat("x", i)+`"}`, ""
		for range 3 {
			out := &sink{}
			if err := g.Exchange(t.Context(), newCall(t, `{"model":"r","messages":[`+messages+`]}`), out); err != nil {
				t.Fatal(err)
			}
			if got := out.header["X-SutazAI-Model"]; target != "" && got != target {
				t.Fatalf("conversation %d went from %s to %s", i, target, got)
			}
			target = out.header["X-SutazAI-Model"]
			messages += `,{"role":"assistant","content":"yes"},{"role":"user","content":"and then?"}`
		}
		used[target] = true
	}
	if len(used) < 2 {
		t.Errorf("all conversations went to %v", used)
	}
}

func TestOfTwoHedgedTargetsOnlyTheWinnersAnswerCounts(t *testing.T) {
	t.Parallel()
	r := aimodels.Ordered("slow/m", "quick/m")
	r.Hedge = time.Millisecond
	g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": r}}, map[string]aimodels.Endpoint{
		"slow": upstream(t, "slow", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1<<10))
			<-r.Context().Done()
		}),
		"quick": upstream(t, "quick", func(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo, stop, usage, "[DONE]") }),
	})
	for range 20 {
		resp, err := g.Chat(t.Context(), core.ModelRequest{Model: "r", Messages: []core.Message{{Role: core.RoleUser, Text: "hi"}}}, nil)
		if err != nil || resp.Message.Text != "Hello" || resp.Model != "quick/m" || resp.Usage.OutputTokens != 2 {
			t.Fatalf("got %+v %v", resp, err)
		}
		c := newCall(t, `{"model":"r","stream":true,"messages":[]}`)
		c.Translate = true
		out := &sink{}
		if err := g.Exchange(t.Context(), c, out); err != nil || out.text != "Hello" || out.done == nil {
			t.Fatalf("got %q %+v %v", out.text, out.done, err)
		}
	}
}

func TestRunsWaitForTheirTurnWhereClientsAreRefused(t *testing.T) {
	t.Parallel()
	started, end := make(chan struct{}, 2), make(chan struct{})
	g := gateway(t, aimodels.Config{Limits: map[string]aimodels.Limit{"up": {Max: 1}}}, map[string]aimodels.Endpoint{
		"up": upstream(t, "up", func(w http.ResponseWriter, _ *http.Request) {
			started <- struct{}{}
			<-end
			events(w, hel, lo, stop, "[DONE]")
		}),
	})
	ask := func(c core.Caller) error {
		_, err := g.Chat(t.Context(), core.ModelRequest{Model: "up/m", Caller: c, Messages: []core.Message{{Role: core.RoleUser, Text: "hi"}}}, nil)
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- ask(core.Caller{Run: "r1"}) }()
	<-started
	go func() { ended <- ask(core.Caller{Run: "r2"}) }()
	if err := ask(core.Caller{Key: "k"}); core.CodeOf(err) != core.CodeRateLimited {
		t.Errorf("a client beyond the queue got %v", err)
	}
	close(end)
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("a run got %v", err)
		}
	}
}

// till keeps what calls were charged.
type till struct {
	mu      sync.Mutex
	entries []core.UsageEntry
}

func (t *till) Reserve(context.Context, core.Caller, core.Amount) (*budget.Reservation, error) {
	return &budget.Reservation{}, nil
}

func (t *till) Settle(e core.UsageEntry, _ *budget.Reservation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

// strict refuses every answer.
type strict struct{}

func (strict) Allow([]string, string) error { return nil }
func (strict) Texts(_ context.Context, _, texts []string, _ []int) ([]string, error) {
	return texts, nil
}
func (strict) Called(_ context.Context, _ []string, args []byte) ([]byte, error) { return args, nil }
func (strict) JSON(_ context.Context, _ []string, body []byte) ([]byte, error)   { return body, nil }
func (strict) Arguments(_ context.Context, _ []string, args []byte) ([]byte, error) {
	return args, nil
}
func (strict) Answer(context.Context, []string) aimodels.AnswerCheck { return refuser{} }

type refuser struct{}

func (refuser) Add(string) (string, error) { return "", nil }
func (refuser) End() (string, error) {
	return "", core.Errorf(core.CodeRefused, "the answer is not allowed")
}

func TestWhatAProviderWorkedForIsChargedAlsoWhereTheClientGetsNoAnswer(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, r *http.Request) {
		events(w, hel, lo)
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		handler   http.HandlerFunc
		translate bool
		guards    aimodels.Guards
		leaves    bool
	}{
		"leaves a stream of bytes":         {handler: endless, leaves: true},
		"leaves a translated stream":       {handler: endless, translate: true, leaves: true},
		"leaves before the first word":     {handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"a guardrail refuses the answer":   {handler: func(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo, stop, usage, "[DONE]") }, guards: strict{}},
		"the provider breaks in midstream": {handler: func(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo); panic(http.ErrAbortHandler) }, translate: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			money := &till{}
			g := gateway(t, aimodels.Config{
				Money: money, Guards: c.guards, DefaultGuardrails: []string{"strict"}, Prices: map[string]aimodels.Price{"up/m": {Input: 100, Output: 1000}},
			}, map[string]aimodels.Endpoint{"up": upstream(t, "up", func(w http.ResponseWriter, r *http.Request) {
				_, _ = r.Body.Read(make([]byte, 1<<10)) // only then is a caller's leaving seen
				c.handler(w, r)
			})})
			ctx, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer leave()
			call := newCall(t, `{"model":"up/m","stream":true,"messages":[{"role":"user","content":"a question of some length"}]}`)
			call.Translate = c.translate
			var out dialect.Answer = &sink{}
			if c.leaves {
				out = &leaver{sink: &sink{}, leave: leave}
			}
			if err := g.Exchange(ctx, call, out); err == nil {
				t.Error("there was an answer")
			}
			if len(money.entries) != 1 || money.entries[0].Usage.InputTokens == 0 || money.entries[0].Usage.CostMicroUSD == 0 || money.entries[0].Code == "" {
				t.Errorf("charged %+v", money.entries)
			}
		})
	}
}
