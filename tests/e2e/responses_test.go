//go:build e2e

package e2e

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// responsesScripted are models that follow responsesScript: one behind a server of the Responses dialect, whose bytes go
// through, and one each behind servers of OpenAI's and Anthropic's, which are translated.
const responsesScripted = "up/default,words/default,claude/default"

func TestResponses(t *testing.T) {
	var (
		interpreter string
		l           *lab
	)
	prepare(t, func() {
		nodePackages(t)
		interpreter = python(t)
		var settings []string
		for _, p := range []struct {
			name, kind string
			server     func(aimodelstest.Script, ...string) *aimodelstest.Server
		}{
			{"UP", "responses", aimodelstest.ResponsesServer}, {"WORDS", "openai", aimodelstest.OpenAIServer}, {"CLAUDE", "anthropic", aimodelstest.AnthropicServer},
		} {
			s := httptest.NewServer(p.server(responsesScript))
			t.Cleanup(s.Close)
			settings = append(settings, "SUTAZAI_MODELS_PROVIDERS_"+p.name+"_KIND="+p.kind, "SUTAZAI_MODELS_PROVIDERS_"+p.name+"_BASE_URL="+s.URL+"/v1")
		}
		l = newLab(t, settings...)
	})
	env := []string{"E2E_URL=" + l.server.URL, "E2E_KEY=" + l.key, "E2E_MODELS=" + modelsAsked, "E2E_SCRIPTED=" + responsesScripted}
	interop(t, "responses-npm", func(t *testing.T) { runScript(t, "npm openai, responses", env, "node", "responses.mjs") })
	interop(t, "responses-python", func(t *testing.T) {
		runScript(t, "Python openai, responses", env, interpreter, "responses_client.py")
	})
}

// responsesScript tells what it was given: what a tool said, an image or file, its instructions, or how often the user has
// spoken. It calls every tool that it may call, and breaks off when told to.
func responsesScript(_ int, req core.ModelRequest) aimodelstest.Turn {
	last := req.Messages[len(req.Messages)-1]
	kinds := map[core.PartKind]int{}
	for _, p := range last.Parts {
		kinds[p.Kind]++
	}
	turns, system := 0, ""
	for _, m := range req.Messages {
		switch m.Role {
		case core.RoleUser:
			turns++
		case core.RoleSystem:
			system = m.Text
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
	case kinds[core.PartImage]+kinds[core.PartFile] > 0:
		return aimodelstest.Text(fmt.Sprintf("I see %d images and %d files.", kinds[core.PartImage], kinds[core.PartFile]))
	case strings.Contains(last.Text, "Break off"):
		return aimodelstest.Fault{Text: "The capital ", Reset: true}.Turn()
	case system != "":
		return aimodelstest.Text("I was told: " + system)
	default:
		return aimodelstest.Text(fmt.Sprintf("You have spoken %d times.", turns))
	}
}
