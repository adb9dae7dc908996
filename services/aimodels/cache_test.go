package aimodels

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// heard is a dialect.Answer that remembers what it was given.
type heard struct {
	header map[string]string
	said   []string
}

func (h *heard) Header(name, value string) {
	if h.header == nil {
		h.header = map[string]string{}
	}
	h.header[name] = value
}
func (h *heard) Raw(b []byte) error { h.said = append(h.said, string(b)); return nil }
func (h *heard) Delta(d core.Delta) error {
	h.said = append(h.said, fmt.Sprintf("delta %d %s|%s", d.Attempt, d.Reasoning, d.Text))
	return nil
}
func (h *heard) Done(r core.ModelResponse) error {
	h.said = append(h.said, "done "+r.Message.Text)
	return nil
}

const wholeChat = `{"choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`

const streamedChat = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Par\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"is\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"

// answers has an answer in its cache after a first call.
func (a *answerCache) ask1(t *testing.T, q cacheQuery, control, raw string) *cacheLookup {
	t.Helper()
	q.Call.CacheControl = control
	l := a.lookup(t.Context(), q)
	if l.State != cacheHit {
		r := l.recorder()
		for _, part := range strings.SplitAfter(raw, "\n\n") {
			r.write([]byte(part))
		}
		l.storeRaw(r, "openai/m", core.Usage{InputTokens: 3, OutputTokens: 1, CostMicroUSD: 50})
	}
	return l
}

func newCache(t *testing.T, cfg CacheConfig) *answerCache {
	t.Helper()
	if cfg.Cache == nil {
		cfg.Cache = cache.New(cache.Options{})
		t.Cleanup(cfg.Cache.Close)
	}
	return newAnswerCache(cfg)
}

func question(t *testing.T, text string) cacheQuery {
	t.Helper()
	return askFor(t, dialect.OpenAIChat, `{"model":"smart","messages":[{"role":"user","content":`+string(dialect.String(text))+`}]}`)
}

func TestTheSecondCallIsAnsweredFromTheCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newCache(t, CacheConfig{})
		q := question(t, "Capital of France?")
		if l := a.ask1(t, q, "", wholeChat); l.State != cacheMiss {
			t.Errorf("the first call: %s", l.State)
		}
		time.Sleep(90 * time.Second)
		l := a.ask1(t, q, "", wholeChat)
		var out heard
		l.header(&out)
		if err := l.Entry.replay(&out, false); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.said, []string{wholeChat}) || !maps.Equal(out.header, map[string]string{"X-SutazAI-Cache": "hit", "Age": "90"}) {
			t.Errorf("the second call: %q, %v", out.said, out.header)
		}
		if l.Entry.Model != "openai/m" || l.Entry.Usage.CostMicroUSD != 50 || l.wanted() {
			t.Errorf("the entry: %+v", l.Entry)
		}
		stream := askFor(t, dialect.OpenAIChat, string(q.Call.Body.With(dialect.Edit{Key: "stream", Value: []byte("true")})))
		if l := a.ask1(t, stream, "", streamedChat); l.State != cacheMiss {
			t.Errorf("the first stream: %s", l.State)
		}
		if l := a.ask1(t, stream, "", streamedChat); l.State != cacheHit || string(l.Entry.Raw) != streamedChat {
			t.Errorf("the second stream: %s %q", l.State, l.Entry.Raw)
		}
		time.Sleep(time.Hour)
		if l := a.ask1(t, q, "", wholeChat); l.State != cacheMiss {
			t.Errorf("after the time to live: %s", l.State)
		}
	})
}

func TestAProjectNeverSeesAnothersAnswers(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		shared := cache.New(cache.Options{Store: database.NewCache(db)})
		a := newCache(t, CacheConfig{Cache: shared, Embed: oneVector, EmbedModel: "local/e"})
		q := question(t, "the capital of France")
		q.Rule.Mode = CacheSemantic
		a.ask1(t, q, "", wholeChat)
		shared.Close() // all is written
		again := cache.New(cache.Options{Store: database.NewCache(db), Timeout: 5 * time.Second})
		defer again.Close()
		for project, want := range map[string]string{"p": cacheHit, "q": cacheMiss, "": cacheMiss} {
			// Every vector is the same, so that only the names tell the questions apart.
			for _, text := range []string{"the capital of France", "What is the capital of France?"} {
				b := newCache(t, CacheConfig{Cache: again, Embed: oneVector, EmbedModel: "local/e"})
				q := question(t, text)
				q.Rule.Mode, q.Call.Caller.Project = CacheSemantic, project
				if l := b.lookup(t.Context(), q); l.State != want {
					t.Errorf("project %q, %q: %s, want %s", project, text, l.State, want)
				}
			}
		}
	})
}

func oneVector(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = []float32{3, 4}
	}
	return out, nil
}

func TestTheClientsWordCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newCache(t, CacheConfig{})
		on, off := question(t, "A?"), question(t, "B?")
		off.Rule.Mode = CacheOff
		for i, c := range []struct {
			q             cacheQuery
			control, want string
			kept          bool
		}{
			{on, "no-store", cacheBypass, false},
			{on, "no-cache", cacheBypass, true},
			{on, "", cacheHit, false},
			{on, "no-cache, no-store", cacheBypass, false},
			{on, "max-age=0", cacheBypass, true},
			{on, "max-age=5", cacheHit, false},
			{on, "Max-Age = 5, what-is-this", cacheHit, false},
			{on, "max-age=many", cacheBypass, true},
			{off, "", cacheBypass, false},
			{off, "on", cacheMiss, true},
			{off, "ON", cacheHit, false},
			{off, "", cacheBypass, false},
		} {
			l := a.ask1(t, c.q, c.control, wholeChat)
			if l.State != c.want || l.wanted() != c.kept {
				t.Errorf("%d. %q: %s (kept: %v), want %s (%v)", i, c.control, l.State, l.wanted(), c.want, c.kept)
			}
		}
		time.Sleep(6 * time.Second)
		if l := a.lookup(t.Context(), withControl(on, "max-age=5")); l.State != cacheMiss {
			t.Errorf("an answer of 6 s with max-age=5: %s", l.State)
		}
		if l := a.lookup(t.Context(), withControl(on, "")); l.State != cacheHit {
			t.Errorf("the same without max-age: %s", l.State)
		}
	})
}

func withControl(q cacheQuery, control string) cacheQuery {
	q.Call.CacheControl = control
	return q
}

func TestOnlyCompleteAnswersAreKept(t *testing.T) {
	t.Parallel()
	whole := func(finish string) string { return strings.Replace(wholeChat, `"stop"`, finish, 1) }
	for name, c := range map[string]struct {
		dialect dialect.Name
		stream  bool
		raw     string
		want    bool
	}{
		"chat":                      {dialect.OpenAIChat, false, wholeChat, true},
		"chat, tools":               {dialect.OpenAIChat, false, whole(`"tool_calls"`), true},
		"chat, cut off":             {dialect.OpenAIChat, false, whole(`"length"`), false},
		"chat, filtered":            {dialect.OpenAIChat, false, whole(`"content_filter"`), false},
		"chat, unfinished":          {dialect.OpenAIChat, false, whole(`null`), false},
		"chat, refusal":             {dialect.OpenAIChat, false, strings.Replace(wholeChat, `"content":"Paris"`, `"refusal":"I cannot"`, 1), false},
		"chat, an error":            {dialect.OpenAIChat, false, `{"error":{"message":"no"}}`, false},
		"chat, no choice":           {dialect.OpenAIChat, false, `{"choices":[]}`, false},
		"chat, not JSON":            {dialect.OpenAIChat, false, `<html>`, false},
		"chat, a stream":            {dialect.OpenAIChat, true, streamedChat, true},
		"chat, a cut stream":        {dialect.OpenAIChat, true, streamedChat[:60], false},
		"chat, one of two":          {dialect.OpenAIChat, true, "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}]}\n\n" + streamedChat, false},
		"chat, an error in it":      {dialect.OpenAIChat, true, strings.Replace(streamedChat, "data: [DONE]", `data: {"error":{"message":"no"}}`, 1), false},
		"responses":                 {dialect.OpenAIResponses, false, `{"status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}]}`, true},
		"responses, refusal":        {dialect.OpenAIResponses, false, `{"status":"completed","output":[{"content":[{"type":"refusal","refusal":"x"}]}]}`, false},
		"responses, incomplete":     {dialect.OpenAIResponses, false, `{"status":"incomplete","output":[]}`, false},
		"responses, a stream":       {dialect.OpenAIResponses, true, "event: response.created\ndata: {\"type\":\"response.created\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n", true},
		"responses, failed":         {dialect.OpenAIResponses, true, "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\"}}\n\n", false},
		"responses, cut":            {dialect.OpenAIResponses, true, "event: response.created\ndata: {\"type\":\"response.created\"}\n\n", false},
		"anthropic":                 {dialect.Anthropic, false, `{"type":"message","stop_reason":"end_turn","content":[]}`, true},
		"anthropic, cut off":        {dialect.Anthropic, false, `{"type":"message","stop_reason":"max_tokens"}`, false},
		"anthropic, refusal":        {dialect.Anthropic, false, `{"type":"message","stop_reason":"refusal"}`, false},
		"anthropic, paused":         {dialect.Anthropic, false, `{"type":"message","stop_reason":"pause_turn"}`, false},
		"anthropic, a stream":       {dialect.Anthropic, true, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true},
		"anthropic, no stop":        {dialect.Anthropic, true, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n", false},
		"anthropic, an error in it": {dialect.Anthropic, true, "event: error\ndata: {\"type\":\"error\"}\n\n", false},
		"ollama":                    {dialect.OllamaChat, false, `{"message":{},"done":true,"done_reason":"stop"}`, true},
		"ollama, cut off":           {dialect.OllamaChat, false, `{"done":true,"done_reason":"length"}`, false},
		"ollama, a stream":          {dialect.OllamaGenerate, true, "{\"response\":\"a\",\"done\":false}\n{\"done\":true}\n", true},
		"ollama, a cut stream":      {dialect.OllamaGenerate, true, "{\"response\":\"a\",\"done\":false}\n", false},
		"ollama, an error":          {dialect.OllamaChat, true, "{\"error\":\"no\"}\n", false},
		"another dialect":           {"else", false, wholeChat, false},
	} {
		if got := rawComplete(c.dialect, c.stream, []byte(c.raw)); got != c.want {
			t.Errorf("%s: kept %v, want %v", name, got, c.want)
		}
	}
	for finish, want := range map[core.FinishReason]bool{core.FinishStop: true, core.FinishTools: true, core.FinishLength: false, core.FinishRefusal: false, "": false} {
		a := newCache(t, CacheConfig{})
		l := a.lookup(t.Context(), question(t, "A?"))
		l.storeResponse(&core.ModelResponse{Finish: finish, Model: "m/x"})
		if got := a.lookup(t.Context(), question(t, "A?")).State == cacheHit; got != want {
			t.Errorf("a translated answer with finish %q was kept: %v", finish, got)
		}
	}
}

func TestATranslatedAnswerComesBackAsItWas(t *testing.T) {
	t.Parallel()
	a := newCache(t, CacheConfig{})
	want := core.ModelResponse{
		Message: core.Message{
			Role: core.RoleAssistant, Text: "Paris",
			Parts: []core.Part{
				{Kind: core.PartReasoning, Text: "thinking", Signature: "sig"}, {Kind: core.PartText, Text: "Paris"},
				{Kind: core.PartImage, MediaType: "image/png", Data: []byte{0, 255}, URL: "u", Name: "n", Detail: "low"},
			},
			ToolCalls: []core.ToolCall{{ID: "1", Name: "f", Arguments: []byte(`{"a":1.0}`)}},
		},
		Finish: core.FinishTools, StopText: "END", Model: "claude/m",
		Usage: core.Usage{InputTokens: 1, OutputTokens: 2, CachedTokens: 3, ReasoningTokens: 4, CostMicroUSD: 5},
	}
	a.lookup(t.Context(), question(t, "A?")).storeResponse(&want)
	l := a.lookup(t.Context(), question(t, "A?"))
	if l.State != cacheHit || !reflect.DeepEqual(*l.Entry.Response, want) {
		t.Fatalf("%s: %+v, want %+v", l.State, l.Entry.Response, want)
	}
	var stream, whole heard
	if err := errors.Join(l.Entry.replay(&stream, true), l.Entry.replay(&whole, false)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(stream.said, []string{"delta 1 thinking|Paris", "done Paris"}) || !slices.Equal(whole.said, []string{"done Paris"}) {
		t.Errorf("replayed as %q and %q", stream.said, whole.said)
	}
}

func FuzzEntries(f *testing.F) {
	good, err := encodeEntry(cacheEntry{Created: time.UnixMilli(5), Model: "a/b", Usage: core.Usage{InputTokens: 1}, Raw: []byte("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{entryNeutral, 0, 0, 0, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := encodeEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := decodeEntry(again); err != nil || !reflect.DeepEqual(e, f) {
			t.Errorf("%+v came back as %+v (%v)", e, f, err)
		}
	})
}

func TestAnAnswerThatIsTooLongIsNotKept(t *testing.T) {
	t.Parallel()
	small := cache.New(cache.Options{MaxValue: 1000})
	defer small.Close()
	a := newCache(t, CacheConfig{Cache: small})
	l := a.lookup(t.Context(), question(t, "A?"))
	r := l.recorder()
	for range 10 {
		r.write(make([]byte, 300))
	}
	if !r.over || r.heard.Len() > 0 {
		t.Errorf("the recorder holds %d bytes of a stream that is too long", r.heard.Len())
	}
	l.storeRaw(r, "m/x", core.Usage{})
	var none *cacheRecorder
	none.write([]byte("x"))
	l.storeRaw(none, "m/x", core.Usage{})
	if l := a.lookup(t.Context(), question(t, "A?")); l.State != cacheMiss {
		t.Errorf("afterwards: %s", l.State)
	}
}

func TestWithoutACacheEverythingPassesBy(t *testing.T) {
	t.Parallel()
	a := newAnswerCache(CacheConfig{Embeddings: true})
	l := a.lookup(t.Context(), question(t, "A?"))
	var out heard
	l.header(&out)
	l.storeResponse(&core.ModelResponse{Finish: core.FinishStop})
	if l.State != cacheBypass || l.recorder() != nil || out.header["X-SutazAI-Cache"] != "bypass" {
		t.Errorf("%s, %v", l.State, out.header)
	}
	vectors, _, hits, err := a.embedCached(t.Context(), embedQuery{Inputs: []string{"a"}}, func(context.Context, []string) ([][]float32, core.Usage, error) {
		return [][]float32{{1}}, core.Usage{}, nil
	})
	if len(vectors) != 1 || hits != 0 || err != nil {
		t.Errorf("%v, %d, %v", vectors, hits, err)
	}
}

func TestVectorsOfKnownTextsAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		var asked []string
		call := func(_ context.Context, texts []string) ([][]float32, core.Usage, error) {
			asked = append(asked, texts...)
			out := make([][]float32, len(texts))
			for i, text := range texts {
				out[i] = []float32{float32(len(text)), float32(text[0]), -0.1}
			}
			return out, core.Usage{InputTokens: int64(len(texts))}, nil
		}
		embed := func(a *answerCache, q embedQuery, wantAsked string, wantHits int) {
			t.Helper()
			asked = nil
			vectors, usage, hits, err := a.embedCached(t.Context(), q, call)
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range q.Inputs {
				if !slices.Equal(vectors[i], []float32{float32(len(text)), float32(text[0]), -0.1}) {
					t.Errorf("%q: the vector of another text: %v", text, vectors[i])
				}
			}
			if got := strings.Join(asked, " "); got != wantAsked || hits != wantHits || usage.InputTokens != int64(len(asked)) {
				t.Errorf("asked for %q with %d hits (%+v), want %q with %d", got, hits, usage, wantAsked, wantHits)
			}
		}
		first := cache.New(cache.Options{Store: database.NewCache(db)})
		a := newCache(t, CacheConfig{Cache: first, Embeddings: true})
		q := embedQuery{Project: "p", Target: "local/e", Inputs: []string{"b", "aa", "b", "ccc"}}
		embed(a, q, "b aa ccc", 0)
		embed(a, q, "", 4)
		first.Close()
		second := cache.New(cache.Options{Store: database.NewCache(db), Timeout: 5 * time.Second})
		defer second.Close()
		b := newCache(t, CacheConfig{Cache: second, Embeddings: true})
		q.Inputs = []string{"new", "ccc", "other", "aa", "new"}
		embed(b, q, "new other", 2)
		for _, other := range []embedQuery{
			{Project: "q", Target: "local/e", Inputs: []string{"aa"}}, {Project: "p", Target: "local/f", Inputs: []string{"aa"}},
			{Project: "p", Target: "local/e", Dims: 64, Inputs: []string{"aa"}}, {Project: "p", Target: "local/e", Inputs: []string{"aa"}, Control: "no-cache"},
			{Project: "p", Target: "local/e", Inputs: []string{"aa"}, Control: "no-store"},
		} {
			embed(b, other, "aa", 0)
		}
	})
}

func TestEmbeddingsThatGoWrongAreNotKept(t *testing.T) {
	t.Parallel()
	a := newCache(t, CacheConfig{Embeddings: true})
	q := embedQuery{Project: "p", Target: "local/e", Inputs: []string{"a", "b"}}
	answer := func(vectors [][]float32, err error) embedCall {
		return func(context.Context, []string) ([][]float32, core.Usage, error) { return vectors, core.Usage{}, err }
	}
	broken := errors.New("broken")
	if _, _, _, err := a.embedCached(t.Context(), q, answer(nil, broken)); !errors.Is(err, broken) {
		t.Errorf("an error: %v", err)
	}
	if _, _, _, err := a.embedCached(t.Context(), q, answer([][]float32{{1}}, nil)); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("one vector for two texts: %v", err)
	}
	hole := [][]float32{{float32(math.NaN())}, {}}
	if _, _, _, err := a.embedCached(t.Context(), q, answer(hole, nil)); err != nil {
		t.Errorf("vectors with holes: %v", err)
	}
	if _, _, hits, err := a.embedCached(t.Context(), q, answer([][]float32{{1}, {2}}, nil)); hits != 0 || err != nil {
		t.Errorf("%d hits of what went wrong (%v)", hits, err)
	}
}
