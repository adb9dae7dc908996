package openaicompat_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

func embedder(t *testing.T, h http.Handler) *openaicompat.Provider {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	p, err := openaicompat.New(openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "o", BaseURL: s.URL + "/v1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestEmbedPutsVectorsInTheOrderOfTheTexts(t *testing.T) {
	t.Parallel()
	p := embedder(t, aimodelstest.OpenAIServer(aimodelstest.Always(aimodelstest.Text("x"))))
	got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"a cat", "two dogs bark"}, Dimensions: 8})
	want := [][]float32{aimodelstest.Vector("a cat", 8), aimodelstest.Vector("two dogs bark", 8)}
	if err != nil || !reflect.DeepEqual(got.Vectors, want) || got.Usage.InputTokens != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"a"}, Dimensions: 4096}); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("more dimensions than the model has: %v", err)
	}
}

func TestEmbedSendsWhatWasAskedForAndRefusesAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]core.Code{
		`{"data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[2]}],"usage":{"prompt_tokens":3}}`: "",
		`{"data":[{"index":0,"embedding":[1]}]}`:                                                         core.CodeUnavailable,
		`{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`:                             core.CodeUnavailable,
		`{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}`:                             core.CodeUnavailable,
		`{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[1]}]}`:                              core.CodeUnavailable,
		`<html>`: core.CodeUnavailable,
	} {
		var sent map[string]any
		p := embedder(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewDecoder(r.Body).Decode(&sent)
			_, _ = io.WriteString(w, body)
		}))
		got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}, User: "u"})
		if core.CodeOf(err) != code {
			t.Errorf("%s: %v", body, err)
		}
		if code == "" && (got.Vectors[0][0] != 2 || got.Usage.InputTokens != 3) {
			t.Errorf("got %+v", got)
		}
		if sent["encoding_format"] != "float" || sent["user"] != "u" || sent["model"] != "m" || sent["dimensions"] != nil {
			t.Errorf("sent %v", sent)
		}
	}
}

func TestEmbedErrorsAreTheServers(t *testing.T) {
	t.Parallel()
	p := embedder(t, aimodelstest.OpenAIServer(aimodelstest.Always(aimodelstest.Text("x"))))
	_, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{strings.Repeat("word ", 2000)}})
	if core.CodeOf(err) != core.CodeContextFull {
		t.Errorf("got %v", err)
	}
}
