package ollama_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/ollama"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg aimodels.HTTPConfig) *ollama.Provider {
	t.Helper()
	p, err := ollama.New(ollama.Config{HTTP: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
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
