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
	return aimodelstest.Open(t, gemini.New, gemini.Config{HTTP: cfg})
}

// underTest is the provider with the scripted server of its dialect.
func underTest() aimodelstest.Dialect {
	return aimodelstest.Dialect{
		Server: aimodelstest.GeminiServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
			return newProvider(t, cfg)
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, underTest())
}
