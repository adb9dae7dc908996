//go:build e2e

package e2e

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// scriptedAsked are models that follow anthropicScript: one behind a server of Anthropic's own dialect, whose bytes go
// through, and one behind a server of OpenAI's, which is translated.
const scriptedAsked = "claude/default,words/default"

func TestAnthropic(t *testing.T) {
	var (
		interpreter string
		l           *lab
	)
	prepare(t, func() {
		nodePackages(t)
		interpreter = python(t)
		claude, words := httptest.NewServer(aimodelstest.AnthropicServer(anthropicScript)), httptest.NewServer(aimodelstest.OpenAIServer(anthropicScript))
		t.Cleanup(claude.Close)
		t.Cleanup(words.Close)
		l = newLab(t,
			"SUTAZAI_MODELS_PROVIDERS_CLAUDE_KIND=anthropic", "SUTAZAI_MODELS_PROVIDERS_CLAUDE_BASE_URL="+claude.URL+"/v1",
			"SUTAZAI_MODELS_PROVIDERS_WORDS_KIND=openai", "SUTAZAI_MODELS_PROVIDERS_WORDS_BASE_URL="+words.URL+"/v1",
		)
	})
	env := []string{"E2E_URL=" + l.server.URL, "E2E_KEY=" + l.key, "E2E_MODELS=" + modelsAsked, "E2E_SCRIPTED=" + scriptedAsked}
	interop(t, "anthropic-npm", func(t *testing.T) { runScript(t, "npm anthropic", env, "node", "anthropic.mjs") })
	interop(t, "anthropic-python", func(t *testing.T) { runScript(t, "Python anthropic", env, interpreter, "anthropic_client.py") })
}

// anthropicScript calls every tool that it is given, says what a tool said or that it sees an image, and fails when told to.
func anthropicScript(_ int, req core.ModelRequest) aimodelstest.Turn {
	last := req.Messages[len(req.Messages)-1]
	images := 0
	for _, p := range last.Parts {
		if p.Kind == core.PartImage {
			images++
		}
	}
	switch {
	case last.Role == core.RoleTool:
		return aimodelstest.Text("The tool says: " + last.Text)
	case len(req.Tools) > 0:
		var calls []core.ToolCall
		for _, tool := range req.Tools {
			calls = append(calls, aimodelstest.Call(tool.Name, map[string]string{"city": "Paris"}))
		}
		return aimodelstest.Calls(calls...)
	case images > 0:
		return aimodelstest.Text(fmt.Sprintf("I see %d image.", images))
	case strings.Contains(last.Text, "Break off"):
		return aimodelstest.Fault{Text: "The capital ", Reset: true}.Turn()
	case strings.Contains(last.Text, "Too many"):
		return aimodelstest.Fault{Status: 429, RetryAfter: time.Second, Message: "slow down"}.Turn()
	default:
		return aimodelstest.Text("The capital of France is Paris.")
	}
}
