package ollama_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/ollama"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg aimodels.HTTPConfig) *ollama.Provider {
	t.Helper()
	return aimodelstest.Open(t, ollama.New, ollama.Config{HTTP: cfg})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, aimodelstest.Dialect{
		Server:   aimodelstest.OllamaServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider { return newProvider(t, cfg) },
	})
}

func serve(t *testing.T, path, body string) *ollama.Provider {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return newProvider(t, aimodels.HTTPConfig{Name: "o", BaseURL: s.URL})
}

// scripted starts a scripted server and a provider that calls it.
func scripted(t *testing.T, script aimodelstest.Script) (*ollama.Provider, *aimodelstest.Server) {
	t.Helper()
	s := aimodelstest.OllamaServer(script)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return newProvider(t, aimodels.HTTPConfig{Name: "o", BaseURL: h.URL}), s
}

func TestARequestHoldsEverySettingImageAndThought(t *testing.T) {
	t.Parallel()
	p, s := scripted(t, aimodelstest.Always(aimodelstest.Text("{}")))
	req := core.ModelRequest{
		Model: "m", TopP: new(0.5), TopK: new(7), Presence: new(0.25), Frequency: new(-0.25), JSONObject: true, Reasoning: "minimal",
		Messages: []core.Message{
			{Role: core.RoleUser, Text: "What is this?", Parts: []core.Part{
				{Kind: core.PartText, Text: "What is this?"}, {Kind: core.PartImage, MediaType: "image/png", Data: []byte("png")},
				{Kind: core.PartFile, MediaType: "text/csv", Name: "a.csv", Data: []byte("1,2")},
			}},
			{Role: core.RoleAssistant, Text: "A cat.", Parts: []core.Part{{Kind: core.PartReasoning, Text: "fur"}, {Kind: core.PartText, Text: "A cat."}}},
			{Role: core.RoleUser, Text: "Sure?"},
		},
	}
	if _, err := p.Chat(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	got := s.Requests()[0].Request
	if *got.TopP != 0.5 || *got.TopK != 7 || *got.Presence != 0.25 || *got.Frequency != -0.25 || !got.JSONObject || got.Reasoning != "low" {
		t.Errorf("settings: %s", s.Requests()[0].Body)
	}
	first, second := got.Messages[0], got.Messages[1]
	if first.Text != "What is this?\na.csv\n1,2" || len(first.Parts) != 3 || string(first.Parts[2].Data) != "png" {
		t.Errorf("image and file: %+v", first)
	}
	if second.Text != "A cat." || second.Parts[0].Text != "fur" {
		t.Errorf("thought: %+v", second)
	}
}

func TestPartsThatTheDialectDoesNotKnowAreRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	p, s := scripted(t, aimodelstest.Always(aimodelstest.Text("x")))
	for says, part := range map[string]core.Part{
		"does not fetch images": {Kind: core.PartImage, URL: "https://example.com/a.png"},
		`kind "audio"`:          {Kind: core.PartAudio, Data: []byte("x")},
		`kind "file"`:           {Kind: core.PartFile, MediaType: "application/pdf", Data: []byte("x")},
	} {
		_, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Messages: []core.Message{{Role: core.RoleUser, Parts: []core.Part{part}}}}, nil)
		if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", says, err)
		}
	}
	if len(s.Requests()) != 0 {
		t.Error("something was sent")
	}
}

func TestThoughtsAreStreamedAndKeptApartFromTheText(t *testing.T) {
	t.Parallel()
	p, _ := scripted(t, aimodelstest.Always(func(_ context.Context, _ core.ModelRequest, on func(core.Delta)) (core.ModelResponse, error) {
		for _, d := range []core.Delta{{Reasoning: "Let me "}, {Reasoning: "see."}, {Text: "It is "}, {Text: "4."}} {
			on(d)
		}
		return core.ModelResponse{Message: core.Message{Text: "It is 4."}}, nil
	}))
	var text, thoughts string
	got, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Messages: []core.Message{{Role: core.RoleUser, Text: "2+2"}}}, func(d core.Delta) {
		text += d.Text
		thoughts += d.Reasoning
	})
	want := []core.Part{{Kind: core.PartReasoning, Text: "Let me see."}, {Kind: core.PartText, Text: "It is 4."}}
	if err != nil || text != "It is 4." || thoughts != "Let me see." || got.Message.Text != "It is 4." || !reflect.DeepEqual(got.Message.Parts, want) {
		t.Errorf("got %+v, %v; streamed %q %q", got, err, text, thoughts)
	}
}

func TestToolChoiceIsHeldAsFarAsTheDialectGoes(t *testing.T) {
	t.Parallel()
	a, b := core.ToolSpec{Name: "a"}, core.ToolSpec{Name: "b"}
	for choice, want := range map[string]int{"": 2, "none": 0, "required": 2, "b": 1} {
		p, s := scripted(t, aimodelstest.Always(aimodelstest.Calls(aimodelstest.Call("b", struct{}{}), aimodelstest.Call("b", struct{}{}))))
		req := core.ModelRequest{Model: "m", ToolChoice: choice, OneTool: true, Tools: []core.ToolSpec{a, b}, Messages: []core.Message{{Role: core.RoleUser, Text: "x"}}}
		got, err := p.Chat(t.Context(), req, nil)
		if err != nil || len(s.Requests()[0].Request.Tools) != want || len(got.Message.ToolCalls) != 1 {
			t.Errorf("%q: got %+v, %v, tools %s", choice, got, err, s.Requests()[0].Body)
		}
	}
}

func TestForwardSendsTheClientsBytesWithTheServersModelAndContext(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 1)
	bodies := make(chan string, 1)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		paths <- r.URL.Path
		bodies <- string(b)
		_, _ = io.WriteString(w, `{"done":true,"new_field":1}`+"\n")
	}))
	t.Cleanup(h.Close)
	p, err := ollama.New(ollama.Config{HTTP: aimodels.HTTPConfig{Name: "o", BaseURL: h.URL}, Context: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	for _, c := range []struct {
		dialect          dialect.Name
		body, path, want string
	}{
		{dialect.OllamaChat, `{"model":"x","later":[1]}`, "/api/chat", `{"options":{"num_ctx":4096},"model":"tiny","later":[1]}`},
		{dialect.OllamaGenerate, `{"model":"x","options":{"top_k":1}}`, "/api/generate", `{"model":"tiny","options":{"num_ctx":4096,"top_k":1}}`},
		{dialect.OllamaChat, `{"model":"x","options":{"num_ctx":9}}`, "/api/chat", `{"model":"tiny","options":{"num_ctx":9}}`},
		{dialect.OllamaChat, `{"model":"x","options":null}`, "/api/chat", `{"model":"tiny","options":{"num_ctx":4096}}`},
	} {
		o, err := dialect.Scan([]byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		call := &dialect.Call{Dialect: c.dialect, Body: o}
		if !p.Forwards(call) {
			t.Fatalf("%s is not forwarded", c.dialect)
		}
		body, err := p.Forward(t.Context(), "tiny", call)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(body)
		_ = body.Close()
		if got, path := <-bodies, <-paths; got != c.want || path != c.path || err != nil || string(answer) != `{"done":true,"new_field":1}`+"\n" {
			t.Errorf("%s: sent %s to %s, got %s, %v", c.body, got, path, answer, err)
		}
	}
	if p.Forwards(&dialect.Call{Dialect: dialect.OpenAIChat}) {
		t.Error("a foreign dialect is forwarded")
	}
	o, err := dialect.Scan([]byte(`{"options":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Forward(t.Context(), "m", &dialect.Call{Dialect: dialect.OllamaChat, Body: o}); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("options that are no object: %v", err)
	}
}

func TestForwardBoundsTheAnswerWhereMoneyIsLimited(t *testing.T) {
	t.Parallel()
	var sent []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"done":true}`)
	}))
	t.Cleanup(server.Close)
	p, err := ollama.New(ollama.Config{HTTP: aimodels.HTTPConfig{Name: "up", BaseURL: server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	for in, want := range map[string]string{
		`{"model":"x"}`: `{"options":{"num_predict":50},"model":"m"}`,
		`{"model":"x","options":{"num_predict":-1}}`: `{"model":"m","options":{"num_predict":50}}`,
	} {
		o, err := dialect.Scan([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Forward(t.Context(), "m", &dialect.Call{Dialect: dialect.OllamaChat, Body: o, CapOutput: 50})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(body)
		_ = body.Close()
		if string(sent) != want {
			t.Errorf("%s: sent %s, want %s", in, sent, want)
		}
	}
}

func TestEmbedGivesAVectorForEachTextInOrder(t *testing.T) {
	t.Parallel()
	p, _ := scripted(t, aimodelstest.Always(aimodelstest.Text("x")))
	got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"a cat", "two dogs bark"}, Dimensions: 8})
	want := [][]float32{aimodelstest.Vector("a cat", 8), aimodelstest.Vector("two dogs bark", 8)}
	if err != nil || !reflect.DeepEqual(got.Vectors, want) || got.Usage.InputTokens != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		req  core.EmbedRequest
		code core.Code
	}{
		"a text that is too long":     {core.EmbedRequest{Model: "m", Inputs: []string{strings.Repeat("word ", 2000)}}, core.CodeContextFull},
		"more dimensions than it has": {core.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: 4096}, core.CodeInvalid},
	} {
		if _, err := p.Embed(t.Context(), c.req); core.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, body := range []string{`{"embeddings":[]}`, `{"embeddings":[[]]}`, `{}`, `<html>`} {
		_, err := serve(t, "/api/embed", body).Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"a"}})
		if core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestCapabilitiesComeFromTheModelsTemplateAndSize(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]aimodels.Capabilities{
		`{"capabilities":["completion","tools"],"model_info":{"general.parameter_count":8030261312}}`: {Tools: true},
		`{"capabilities":["completion"],"model_info":{"general.parameter_count":134515008}}`:          {Small: true},
		`{}`: {},
	} {
		got, err := serve(t, "/api/show", body).Capabilities(t.Context(), "m")
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", body, got, err)
		}
	}
}

func TestPullReportsProgressAndFailsClearly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		lines      int
		code       core.Code
		says       string
	}{
		{"to the end", `{"status":"pulling"}` + "\n" + `{"status":"pulling","completed":5,"total":10}` + "\n" + `{"status":"success"}` + "\n", 3, "", ""},
		{"unknown model", `{"error":"pull model manifest: file does not exist"}` + "\n", 0, core.CodeUnavailable, "file does not exist"},
		{"broken off", `{"status":"pulling"}` + "\n", 1, core.CodeUnavailable, "broke"},
		{"garbage", "<html>", 0, core.CodeUnavailable, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var seen []string
			err := serve(t, "/api/pull", c.body).Pull(t.Context(), "m", func(status string, done, total int64) {
				seen = append(seen, fmt.Sprint(status, done, total))
			})
			if core.CodeOf(err) != c.code || len(seen) != c.lines || (c.says != "" && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, progress %q", err, seen)
			}
		})
	}
}
