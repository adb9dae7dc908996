package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// thinks is a model that thinks before it answers; "" = without a signature.
func thinks(signature string) aimodelstest.Script {
	parts := []core.Part{{Kind: core.PartReasoning, Text: "hm", Signature: signature}, {Kind: core.PartText, Text: "So."}}
	answer := aimodelstest.Answer(core.ModelResponse{Message: core.Message{Text: "So.", Parts: parts}})
	return aimodelstest.Always(func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		if onDelta != nil {
			onDelta(core.Delta{Reasoning: "hm"})
		}
		return answer(ctx, req, onDelta)
	})
}

// TestWhatAModelThinksGoesBackToItsMakerAlone lets clients hold a conversation of which another provider answers the second
// half: what the first one has thought and signed must reach its maker as it was, and nobody else.
func TestWhatAModelThinksGoesBackToItsMakerAlone(t *testing.T) {
	t.Parallel()
	const signature = "c2lnbmVkIQ=="
	providers := map[string]*gate{}
	for _, b := range backDoors() {
		switch {
		case b.title == "`openai`", b.title == "`ollama`":
			providers[b.kind] = newGate(t, b, thinks(""))
		case b.title == "`anthropic`", b.title == "`responses`":
			providers[b.kind] = newGate(t, b, thinks(signature))
		}
	}
	model := map[string]string{"anthropic": "claude-sonnet-4-5"}
	for _, from := range frontDoors() {
		if from.api != messagesAPI && from.api != responsesAPI {
			continue // the others have no words for signatures
		}
		for first, g := range providers {
			kept := history(t, g, from, nameOr(model[first]))
			for second, next := range providers {
				t.Run(from.api+" from "+first+" to "+second, func(t *testing.T) {
					sent, w := next.ask(t, from, nameOr(model[second]), kept)
					if w.Code != http.StatusOK {
						t.Fatalf("%d %s, of %s", w.Code, w.Body, kept)
					}
					own := first == second && (first == "anthropic" || first == "responses")
					if has := strings.Contains(string(sent), signature); has != own {
						t.Errorf("the signature is there: %t, want %t: %s", has, own, sent)
					}
					if strings.Contains(string(sent), core.SignatureMark) {
						t.Errorf("the provider gets a mark: %s", sent)
					}
					if !own && (second == "anthropic" || second == "responses") && strings.Contains(string(sent), `"hm"`) {
						t.Errorf("the provider gets another's thought: %s", sent)
					}
					if !strings.Contains(string(sent), "So.") || !strings.Contains(string(sent), "And?") {
						t.Errorf("the rest of the conversation is gone: %s", sent)
					}
				})
			}
		}
	}
}

func nameOr(model string) string {
	if model == "" {
		return "m"
	}
	return model
}

// history asks a first question and returns the fields of a second one, which has the answer in it as the client got it.
func history(t *testing.T, g *gate, from frontDoor, model string) string {
	t.Helper()
	think := `"max_tokens":2000,"thinking":{"type":"enabled","budget_tokens":1024}`
	if from.api == responsesAPI {
		think = `"reasoning":{"effort":"low"}`
	}
	_, w := g.ask(t, from, model, think)
	var answer struct{ Content, Output json.RawMessage }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if from.api == messagesAPI {
		return think + `,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":` + string(answer.Content) + `},{"role":"user","content":"And?"}]`
	}
	items := strings.TrimSuffix(strings.TrimPrefix(string(answer.Output), "["), "]")
	return think + `,"input":[{"role":"user","content":"Hi"},` + items + `,{"role":"user","content":"And?"}]`
}
