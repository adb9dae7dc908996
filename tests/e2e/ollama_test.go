//go:build e2e

package e2e

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// ollamaAsked are models that follow ollamaScript: one behind a server of Ollama's own dialect, whose bytes go through, and
// one behind a server of OpenAI's, which is translated.
const ollamaAsked = "native/default,words/default"

func TestOllama(t *testing.T) {
	var (
		interpreter string
		l           *lab
	)
	prepare(t, func() {
		nodePackages(t)
		interpreter = python(t)
		native, words := httptest.NewServer(aimodelstest.OllamaServer(ollamaScript)), httptest.NewServer(aimodelstest.OpenAIServer(ollamaScript))
		t.Cleanup(native.Close)
		t.Cleanup(words.Close)
		l = newLab(t,
			"SUTAZAI_MODELS_PROVIDERS_NATIVE_KIND=ollama", "SUTAZAI_MODELS_PROVIDERS_NATIVE_BASE_URL="+native.URL,
			"SUTAZAI_MODELS_PROVIDERS_WORDS_KIND=openai", "SUTAZAI_MODELS_PROVIDERS_WORDS_BASE_URL="+words.URL+"/v1",
		)
	})
	env := []string{
		"E2E_URL=" + l.server.URL, "E2E_KEY=" + l.key, "E2E_MODELS=" + modelsAsked, "E2E_SCRIPTED=" + ollamaAsked,
		"E2E_VECTORS=local/default," + ollamaAsked,
	}
	interop(t, "ollama-npm", func(t *testing.T) { runScript(t, "npm ollama", env, "node", "ollama.mjs") })
	interop(t, "ollama-python", func(t *testing.T) { runScript(t, "Python ollama", env, interpreter, "ollama_client.py") })
}

// ollamaScript thinks when told to, and is anthropicScript otherwise.
func ollamaScript(n int, req core.ModelRequest) aimodelstest.Turn {
	if !strings.Contains(req.Messages[len(req.Messages)-1].Text, "Think hard") {
		return anthropicScript(n, req)
	}
	return func(_ context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		for _, d := range []core.Delta{{Reasoning: "France, "}, {Reasoning: "so Paris."}, {Text: "It is "}, {Text: "Paris."}} {
			onDelta(d)
		}
		parts := []core.Part{{Kind: core.PartReasoning, Text: "France, so Paris."}, {Kind: core.PartText, Text: "It is Paris."}}
		return core.ModelResponse{Message: core.Message{Text: "It is Paris.", Parts: parts}}, nil
	}
}
