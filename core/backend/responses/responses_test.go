package responses_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/responses"
	"github.com/sutazai/sutazai/internal/auth"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/database"
)

var update = flag.Bool("update", false, "write the files of expected answers anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBundle is the dialect in front of a scripted gateway, with a real store.
type testBundle struct {
	mux      *http.ServeMux
	now      time.Time
	exchange func(ctx context.Context, c *dialect.Call, out dialect.Answer) error
	call     *dialect.Call // the last one
}

// Exchange plays what the test wants of the gateway.
func (b *testBundle) Exchange(ctx context.Context, c *dialect.Call, out dialect.Answer) error {
	b.call = c
	return b.exchange(ctx, c, out)
}

// Embed and Models are never asked by this dialect.
func (b *testBundle) Embed(context.Context, core.EmbedRequest) (core.EmbedResponse, error) {
	return core.EmbedResponse{}, nil
}

// Models lists nothing.
func (b *testBundle) Models(context.Context) ([]core.Model, error) { return nil, nil }

func setup(t *testing.T) *testBundle {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return setupWith(t, database.NewResponses(db))
}

func setupWith(t *testing.T, store responses.Store) *testBundle {
	t.Helper()
	b := &testBundle{mux: http.NewServeMux(), now: time.Unix(1_800_000_000, 0).UTC()}
	for _, r := range responses.Routes(responses.Deps{
		Chats: &backend.Chats{Models: b}, Store: store, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now },
	}) {
		b.mux.Handle(r.Pattern, r.Handler)
	}
	return b
}

// as calls the dialect as the holder of a key.
func (b *testBundle) as(t *testing.T, key, method, url, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Kind: auth.KindKey, ID: key}))
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, r)
	return w
}

func (b *testBundle) post(t *testing.T, body string) *httptest.ResponseRecorder {
	t.Helper()
	return b.as(t, "a", "POST", "/v1/responses", body)
}

// translated answers with the model's words, its pieces first where the client streams.
func translated(res core.ModelResponse, pieces ...core.Delta) func(context.Context, *dialect.Call, dialect.Answer) error {
	return func(_ context.Context, c *dialect.Call, out dialect.Answer) error {
		if _, err := c.Decode(c.Body.Bytes); err != nil {
			return err
		}
		for _, p := range pieces {
			if err := out.Delta(p); err != nil {
				return err
			}
		}
		return out.Done(res)
	}
}

func said(text string, calls ...core.ToolCall) core.ModelResponse {
	r := core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: text, ToolCalls: calls}, Finish: core.FinishStop,
		Usage: core.Usage{InputTokens: 9, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3},
	}
	if len(calls) > 0 {
		r.Finish = core.FinishTools
	}
	return r
}

// fixed gives the ids of an answer numbers in the order in which they come.
func fixed(text string) string {
	seen := map[string]string{}
	return regexp.MustCompile(`\b(resp|msg|fc|fco|rs|item)_[0-9a-f]{32}\b`).ReplaceAllStringFunc(text, func(id string) string {
		if seen[id] == "" {
			kind, _, _ := strings.Cut(id, "_")
			seen[id] = fmt.Sprintf("%s_%d", kind, len(seen)+1)
		}
		return seen[id]
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "answers", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// TestAnswers holds what a client gets against files; tests/sdk reads the same files with OpenAI's own client.
func TestAnswers(t *testing.T) {
	t.Parallel()
	calls := []core.ToolCall{{ID: "c1", Name: "look", Arguments: json.RawMessage(`{"q":"é\"<"}`)}, {ID: "c2", Name: "now", Arguments: json.RawMessage(`{}`)}}
	thought := said("Paris.")
	thought.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "hm, France", Signature: core.MakerOpenAI.Mark("opaque")}, {Kind: core.PartText, Text: "Paris."}}
	foreign := said("Paris.")
	foreign.Message.Parts = []core.Part{{Kind: core.PartReasoning, Text: "hm", Signature: core.MakerAnthropic.Mark("opaque")}, {Kind: core.PartText, Text: "Paris."}}
	hidden := said("Paris.")
	hidden.Message.Parts = []core.Part{{Kind: core.PartReasoning, Signature: core.MakerOpenAI.Mark("opaque")}, {Kind: core.PartText, Text: "Paris."}}
	late := thought
	short := said("Once upon")
	short.Finish = core.FinishLength
	filtered := said("How to")
	filtered.Finish = core.FinishRefusal
	const settings = `,"instructions":"Be brief.","temperature":0.5,"top_p":0.9,"max_output_tokens":50,"parallel_tool_calls":false,"tool_choice":"required",
		"tools":[{"type":"function","name":"look","parameters":{"type":"object"}},{"type":"function","name":"now","description":"Time.","parameters":null,"strict":true}],
		"text":{"verbosity":"low"},"reasoning":{"effort":"low"},"metadata":{"k":"v"},"user":"ann","prompt_cache_key":"p","store":false,"truncation":"auto"`
	for _, c := range []struct {
		name     string
		more     string
		exchange func(context.Context, *dialect.Call, dialect.Answer) error
	}{
		{"text", "", translated(said("Paris."), core.Delta{Text: "Par"}, core.Delta{Text: "is."})},
		{"text_at_the_end", "", translated(said("Paris."), core.Delta{Text: "Par"})},
		{"tools", settings, translated(said("I look.", calls...), core.Delta{Text: "I look."})},
		{"tools_alone", "", translated(said("", calls[1]))},
		{"reasoning", "", translated(thought, core.Delta{Reasoning: "hm, "}, core.Delta{Reasoning: "France"}, core.Delta{Signature: core.MakerOpenAI.Mark("opaque")}, core.Delta{Text: "Paris."})},
		{"reasoning_signed_late", "", translated(late, core.Delta{Reasoning: "hm, France"}, core.Delta{Text: "Paris."})},
		{"reasoning_of_another_maker", "", translated(foreign, core.Delta{Reasoning: "hm"}, core.Delta{Signature: core.MakerAnthropic.Mark("opaque")}, core.Delta{Text: "Paris."})},
		{"reasoning_hidden", "", translated(hidden, core.Delta{Signature: core.MakerOpenAI.Mark("opaque")}, core.Delta{Text: "Paris."})},
		{"reasoning_unstreamed", "", translated(thought)},
		{"length", "", translated(short, core.Delta{Text: "Once upon"})},
		{"filtered", "", translated(filtered, core.Delta{Text: "How to"})},
		{"empty", "", translated(said(""))},
	} {
		for ext, stream := range map[string]string{".sse": "true", ".json": "false"} {
			t.Run(c.name+ext, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.exchange = c.exchange
				w := b.post(t, `{"model":"local/tiny","input":"Hi","stream":`+stream+c.more+`}`)
				if w.Code != http.StatusOK {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
				if want := map[string]string{".sse": "text/event-stream; charset=utf-8", ".json": "application/json"}[ext]; w.Header().Get("Content-Type") != want {
					t.Errorf("content type %q", w.Header().Get("Content-Type"))
				}
				golden(t, c.name+ext, fixed(w.Body.String()))
			})
		}
	}
}

// TestStreamAndWholeAnswerHaveTheSameOutput compares the files of TestAnswers with each other.
func TestStreamAndWholeAnswerHaveTheSameOutput(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/answers/*.sse")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		if strings.Contains(file, "fail") || strings.Contains(file, "signed_late") { // the late signature keeps its place
			continue
		}
		stream, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(strings.TrimSuffix(file, ".sse") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(stream)), "\n")
		var last struct {
			Response       json.RawMessage `json:"response"`
			SequenceNumber int             `json:"sequence_number"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[len(lines)-1], "data: ")), &last); err != nil {
			t.Fatal(err)
		}
		if got, want := fixed(shape(t, last.Response)), fixed(shape(t, whole)); got != want {
			t.Errorf("%s: the stream ends with\n%s\nthe whole answer is\n%s", file, got, want)
		}
		if events := strings.Count(string(stream), "event: "); last.SequenceNumber != events-1 {
			t.Errorf("%s: %d events, the last one has number %d", file, events, last.SequenceNumber)
		}
	}
}

// shape is an answer without its ids.
func shape(t *testing.T, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "id")
			for _, inner := range v {
				strip(inner)
			}
		case []any:
			for _, inner := range v {
				strip(inner)
			}
		}
	}
	strip(v)
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
