package gemini_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/gemini"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg aimodels.HTTPConfig) *gemini.Provider {
	t.Helper()
	cfg.BaseURL += "/v1beta"
	p, err := gemini.New(gemini.Config{HTTP: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, aimodelstest.Dialect{
		Server: aimodelstest.GeminiServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
			return newProvider(t, cfg)
		},
	})
}
