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
	p, err := bedrock.New(bedrock.Config{HTTP: cfg, Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	aimodelstest.Conformance(t, aimodelstest.Dialect{
		Server: aimodelstest.BedrockServer,
		Provider: func(t *testing.T, cfg aimodels.HTTPConfig) aimodels.Provider {
			return newProvider(t, cfg)
		},
		NoSeed: true,
	})
}
