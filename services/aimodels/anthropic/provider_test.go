package anthropic_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/anthropic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg aimodels.HTTPConfig) *anthropic.Provider {
	t.Helper()
	cfg.BaseURL += "/v1"
	return aimodelstest.Open(t, anthropic.New, anthropic.Config{HTTP: cfg})
}

// underTest is the provider with the scripted server of its dialect.
func underTest() aimodelstest.Dialect {
	return aimodelstest.Dialect{
		Server: aimodelstest.AnthropicServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
			return newProvider(t, cfg)
		},
		NoSeed: true,
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, underTest())
}
