package ollama_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend/ollama"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestItLooksLikeAnOllama(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, method := range []string{"GET", "HEAD"} {
		if w := b.do(t, method, "/ollama/", ""); w.Code != 200 || w.Body.String() != "Ollama is running" {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	if w := b.do(t, "GET", "/ollama/api/version", ""); strings.TrimSpace(w.Body.String()) != `{"version":"0.13.0"}` {
		t.Errorf("version: %s", w.Body)
	}
}

// model is what clients read of an entry of a list.
type model struct {
	Name       string `json:"name"`
	Model      string `json:"model"`
	ModifiedAt string `json:"modified_at"`
	ExpiresAt  string `json:"expires_at"`
	Size       *int64 `json:"size"`
	Digest     string `json:"digest"`
	Details    struct {
		Format            string   `json:"format"`
		Families          []string `json:"families"`
		ParameterSize     string   `json:"parameter_size"`
		QuantizationLevel string   `json:"quantization_level"`
	} `json:"details"`
}

func TestModelsAreListedWithWhatIsKnownOfThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list := func(path string) []model {
		var out struct{ Models []model }
		if err := json.Unmarshal(b.do(t, "GET", path, "").Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return out.Models
	}
	tags := list("/ollama/api/tags")
	var names []string
	digests := map[string]bool{}
	for _, m := range tags {
		names = append(names, m.Name)
		digests[m.Digest] = true
		if m.Model != m.Name || m.Size == nil || len(m.Digest) != 64 || m.ModifiedAt != "2026-01-02T03:04:06Z" || m.Details.Families == nil {
			t.Errorf("got %+v", m)
		}
	}
	if want := []string{"agent/assistant", "default", "local/default", "cloud/gpt"}; !reflect.DeepEqual(names, want) || len(digests) != len(want) {
		t.Errorf("got %v, %d digests", names, len(digests))
	}
	if d := tags[2].Details; d.Format != "gguf" || d.ParameterSize != "135M" || d.QuantizationLevel != "Q4_1" {
		t.Errorf("details %+v", d)
	}
	if d := tags[3].Details; d.Format+d.ParameterSize+d.QuantizationLevel != "" {
		t.Errorf("details of a model of which nothing is known: %+v", d)
	}
	if again := list("/ollama/api/tags"); !reflect.DeepEqual(again, tags) {
		t.Error("the list is another one the second time")
	}
	if ps := list("/ollama/api/ps"); len(ps) != 1 || ps[0].Name != "local/default" || ps[0].Digest != tags[2].Digest || ps[0].ExpiresAt < "2100" {
		t.Errorf("running: %+v", ps)
	}
	b.gateway.listErr = core.Errorf(core.CodeUnavailable, "no list today")
	for _, path := range []string{"/ollama/api/tags", "/ollama/api/ps"} {
		if w := b.do(t, "GET", path, ""); w.Code != 503 || strings.TrimSpace(w.Body.String()) != `{"error":"no list today"}` {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestShowTellsWhatAModelCanDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, want := range map[string]string{
		`{"model":"local/default"}`:   `["completion","tools"]`,
		`{"model":"default:latest"}`:  `["completion","tools"]`,
		`{"name":"agent/assistant"}`:  `["completion"]`,
		`{"model":"agent/assistant"}`: `["completion"]`,
	} {
		w := b.do(t, "POST", "/ollama/api/show", body)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"capabilities":`+want) || !strings.Contains(w.Body.String(), `"model_info":{}`) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	for body, status := range map[string]int{`{"model":"down/x"}`: 503, `{"model":"nobody"}`: 404, `{}`: 400, `[]`: 400} {
		if w := b.do(t, "POST", "/ollama/api/show", body); w.Code != status || !strings.Contains(w.Body.String(), `{"error":"`) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestWhatIsNotSupportedSaysSoInTheDialectsForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"POST", "/ollama/api/pull", 501, "sutazai models pull"},
		{"POST", "/ollama/api/push", 501, "sutazai models pull"},
		{"POST", "/ollama/api/create", 501, "models.providers"},
		{"POST", "/ollama/api/copy", 501, "models.providers"},
		{"DELETE", "/ollama/api/delete", 501, "models.providers"},
		{"POST", "/ollama/api/blobs/sha256:abc", 501, "models.providers"},
		{"GET", "/ollama/api/chat", 405, "/api/chat takes POST, not GET"},
		{"POST", "/ollama/api/tags", 405, "/api/tags takes GET, not POST"},
		{"GET", "/ollama/api/nothing", 404, "no such call"},
		{"GET", "/ollama/api/chat/x", 404, "no such call"},
		{"POST", "/ollama/v1/chat/completions", 404, "no such call"},
	} {
		w := b.do(t, c.method, c.path, "{}")
		var e struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != c.status || !strings.Contains(e.Error, c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

func TestEmbedGivesAVectorForEachText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.gateway.embed = func(req core.EmbedRequest) (core.EmbedResponse, error) {
		out := core.EmbedResponse{Usage: core.Usage{InputTokens: 7}}
		for i := range req.Inputs {
			out.Vectors = append(out.Vectors, []float32{float32(i), 0.5})
		}
		return out, nil
	}
	for _, c := range []struct{ url, body, want string }{
		{"embed", `{"model":"default","input":"a"}`, `{"model":"default","embeddings":[[0,0.5]],"total_duration":1000000000,"load_duration":0,"prompt_eval_count":7}`},
		{"embed", `{"model":"default:latest","input":["a","b"],"dimensions":2,"truncate":true,"keep_alive":"5m","options":{}}`, `"embeddings":[[0,0.5],[1,0.5]]`},
		{"embed", `{"model":"default","input":[]}`, `"embeddings":[]`},
		{"embed", `{"model":"default"}`, `"embeddings":[]`},
		{"embeddings", `{"model":"default","prompt":"a"}`, `{"embedding":[0,0.5]}`},
		{"embeddings", `{"model":"default","prompt":""}`, `{"embedding":[]}`},
		{"embed", `{"model":"nobody","input":"a"}`, `{"error":"model not found: unknown model \"nobody\"`},
		{"embed", `{"model":"nobody:latest","input":"a"}`, `{"error":"model not found: unknown model \"nobody:latest\"`},
		{"embed", `{"input":"a"}`, `{"error":"model is required"}`},
		{"embed", `{"model":"default","input":[1]}`, `{"error":"input must be a text or a list of texts"}`},
		{"embed", `{"model":"default","input":["a",""]}`, `{"error":"input[1] is empty"}`},
		{"embed", `{"model":"default","input":"a","dimensions":-1}`, `{"error":"dimensions must not be negative"}`},
		{"embed", `{"model":"default","input":["a"` + strings.Repeat(`,"a"`, 2048) + `]}`, `{"error":"input has 2049 texts; at most 2048 can be sent at once"}`},
		{"embeddings", `{"model":"default","prompt":7}`, `{"error":"prompt has the wrong type: number"}`},
	} {
		if w := b.do(t, "POST", "/ollama/api/"+c.url, c.body); !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%.60s: %d %.200s", c.body, w.Code, w.Body)
		}
	}
	last := b.gateway.embeds[2]
	if last.Model != "default" || last.Dimensions != 2 || len(last.Inputs) != 2 {
		t.Errorf("got %+v", last)
	}
	b.gateway.embed = func(core.EmbedRequest) (core.EmbedResponse, error) {
		return core.EmbedResponse{}, core.Errorf(core.CodeContextFull, "a text is too long")
	}
	for url, body := range map[string]string{"embed": `{"model":"default","input":"a"}`, "embeddings": `{"model":"default","prompt":"a"}`} {
		if w := b.do(t, "POST", "/ollama/api/"+url, body); w.Code != 400 || !strings.Contains(w.Body.String(), "too long") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestAnOwnListenerServesTheDialectAndNothingElse(t *testing.T) {
	t.Parallel()
	var got []string
	h := ollama.OwnListener(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
		_, _ = io.WriteString(w, "inner")
	}))
	for _, c := range []struct{ method, target, want string }{
		{"HEAD", "/", "HEAD /ollama/?"},
		{"GET", "/api/tags?x=1", "GET /ollama/api/tags?x=1"},
		{"POST", "/api/blobs/sha256:a", "POST /ollama/api/blobs/sha256:a?"},
		{"GET", "/api/a%2Fb", "GET /ollama/api/a/b?"},
		{"GET", "/api/", "GET /ollama/api/?"},
		{"GET", "/", "GET /ollama/?"},
		{"GET", "/v1/models", ""},
		{"GET", "/ollama/api/tags", ""},
		{"GET", "/api/v1/../../v1/keys", ""},
		{"GET", "/api/%2e%2e/v1/keys", ""},
		{"GET", "/api//tags", ""},
		{"GET", "//api/tags", ""},
		{"GET", "/metrics", ""},
		{"GET", "/api", ""},
	} {
		got = nil
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.target, nil)
		before := *r.URL
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case c.want == "" && (len(got) > 0 || w.Code != 404 || !strings.HasPrefix(w.Body.String(), `{"error":"`)):
			t.Errorf("%s: %v, %d %s", c.target, got, w.Code, w.Body)
		case c.want != "" && (len(got) != 1 || got[0] != c.want):
			t.Errorf("%s: %v", c.target, got)
		case *r.URL != before:
			t.Errorf("%s: the caller's request was changed", c.target)
		}
	}
}

func TestEveryCodeHasAStatusOfItsOwnKind(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "../../error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		id, ok := v.Type.(*ast.Ident)
		if !ok || id.Name != "Code" || len(v.Values) != 1 {
			return true
		}
		code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if _, ok := ollama.Statuses()[core.Code(code)]; !ok {
			t.Errorf("the code %q has no status", code)
		}
		return true
	})
	if seen < 10 {
		t.Errorf("only %d codes were found", seen)
	}
	for err, want := range map[error]int{
		errors.New("internals"): 500,
		&dialect.UnknownModel{Err: core.Errorf(core.CodeInvalid, "x")}: 404,
	} {
		if got := ollama.StatusOf(err); got != want {
			t.Errorf("%v: %d", err, got)
		}
	}
}
