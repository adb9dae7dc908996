package bedrock_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/bedrock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProvider(t *testing.T, cfg aimodels.HTTPConfig) *bedrock.Provider {
	t.Helper()
	return aimodelstest.Open(t, bedrock.New, bedrock.Config{HTTP: cfg, Region: "eu-central-1"})
}

// underTest is the provider with the scripted server of its dialect.
func underTest() aimodelstest.Dialect {
	return aimodelstest.Dialect{
		Server: aimodelstest.BedrockServer,
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
