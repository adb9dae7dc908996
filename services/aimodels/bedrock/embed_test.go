package bedrock_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/bedrock"
)

// embedder answers calls with what answer makes of them, and remembers their bodies.
func embedder(t *testing.T, answer func(in map[string]any) string) (*bedrock.Provider, *[]string) {
	t.Helper()
	sent := &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*sent = append(*sent, r.URL.Path+" "+string(b))
		in := map[string]any{}
		_ = json.Unmarshal(b, &in)
		_, _ = io.WriteString(w, answer(in))
	}))
	t.Cleanup(s.Close)
	return newProvider(t, aimodels.HTTPConfig{Name: "aws", BaseURL: s.URL}), sent
}

func TestEmbedWithTitan(t *testing.T) {
	t.Parallel()
	p, sent := embedder(t, func(in map[string]any) string {
		return fmt.Sprintf(`{"embedding":[%d,0],"inputTextTokenCount":3}`, len(in["inputText"].(string)))
	})
	got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "amazon.titan-embed-text-v2:0", Inputs: []string{"a", "abc"}, Dimensions: 2})
	if err != nil || len(got.Vectors) != 2 || got.Vectors[0][0] != 1 || got.Vectors[1][0] != 3 || got.Usage.InputTokens != 6 {
		t.Errorf("%+v %v", got, err)
	}
	if (*sent)[0] != `/model/amazon.titan-embed-text-v2:0/invoke {"dimensions":2,"inputText":"a"}` {
		t.Error((*sent)[0])
	}
	if _, err := p.Embed(t.Context(), core.EmbedRequest{Model: "amazon.titan-embed-text-v2:0", Inputs: []string{"a"}, Dimensions: 3}); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("other dimensions: %v", err)
	}
}

func TestEmbedWithCohere(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]string{"a list": `{"embeddings":[%s]}`, "by type": `{"embeddings":{"float":[%s]},"response_type":"embeddings_by_type"}`} {
		p, sent := embedder(t, func(in map[string]any) string {
			var vectors []string
			for _, text := range in["texts"].([]any) {
				vectors = append(vectors, fmt.Sprintf("[%d]", len(text.(string))))
			}
			return fmt.Sprintf(form, strings.Join(vectors, ","))
		})
		texts := make([]string, 97) // more than one batch
		for i := range texts {
			texts[i] = strings.Repeat("x", i+1)
		}
		got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "cohere.embed-multilingual-v3", Inputs: texts})
		if err != nil || len(got.Vectors) != 97 || got.Vectors[96][0] != 97 || len(*sent) != 2 {
			t.Errorf("%s: %d vectors in %d calls, %v", name, len(got.Vectors), len(*sent), err)
		}
	}
}

func TestEmbedRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model, body string
		code        core.Code
	}{
		{"amazon.titan-embed-text-v2:0", `{}`, core.CodeUnavailable},
		{"cohere.embed-english-v3", `{"embeddings":[]}`, core.CodeUnavailable},
		{"cohere.embed-english-v3", `{"embeddings":[[]]}`, core.CodeUnavailable},
		{"cohere.embed-english-v3", `{"embeddings":"x"}`, core.CodeUnavailable},
		{"amazon.nova-pro-v1:0", `{}`, core.CodeInvalid},
	} {
		p, _ := embedder(t, func(map[string]any) string { return c.body })
		if _, err := p.Embed(t.Context(), core.EmbedRequest{Model: c.model, Inputs: []string{"a"}}); core.CodeOf(err) != c.code {
			t.Errorf("%s %s: %v", c.model, c.body, err)
		}
	}
}

func TestModelsAndProfilesAreListed(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RequestURI() {
		case "/foundation-models":
			_, _ = io.WriteString(w, `{"modelSummaries":[{"modelId":"a","outputModalities":["TEXT"],"inferenceTypesSupported":["ON_DEMAND"]},
				{"modelId":"only-by-profile","outputModalities":["TEXT"],"inferenceTypesSupported":["INFERENCE_PROFILE"]},
				{"modelId":"pictures","outputModalities":["IMAGE"],"inferenceTypesSupported":["ON_DEMAND"]},
				{"modelId":"vectors","outputModalities":["EMBEDDING"],"inferenceTypesSupported":["ON_DEMAND","PROVISIONED"]}]}`)
		case "/inference-profiles?maxResults=1000":
			_, _ = io.WriteString(w, `{"inferenceProfileSummaries":[{"inferenceProfileId":"eu.a"}],"nextToken":"x/y"}`)
		case "/inference-profiles?maxResults=1000&nextToken=x%2Fy":
			_, _ = io.WriteString(w, `{"inferenceProfileSummaries":[{"inferenceProfileId":"us.a"}]}`)
		default:
			t.Error(r.URL)
		}
	}))
	t.Cleanup(s.Close)
	got, err := newProvider(t, aimodels.HTTPConfig{Name: "aws", BaseURL: s.URL}).Models(t.Context())
	var ids []string
	for _, m := range got {
		ids = append(ids, m.ID)
	}
	if err != nil || strings.Join(ids, " ") != "a vectors eu.a us.a" {
		t.Errorf("%q %v", ids, err)
	}
}
