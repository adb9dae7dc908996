package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/guardrails"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

func TestAConversationIsCheckedWithItsPartsAndTheToolsThatWereCalled(t *testing.T) {
	t.Parallel()
	request := func() core.ModelRequest {
		return core.ModelRequest{Model: "p/m", Messages: []core.Message{
			{Role: core.RoleUser, Text: "hi", Parts: []core.Part{{Kind: core.PartText, Text: "project "}, {Kind: core.PartImage}, {Kind: core.PartText, Text: "falcon"}}},
			{Role: core.RoleAssistant, ToolCalls: []core.ToolCall{{ID: "c", Name: "pay", Arguments: json.RawMessage(`{"model":"4111 1111 1111 1111","n":1}`)}}},
			{Role: core.RoleTool, ToolCallID: "c", Text: "done"},
		}}
	}
	made := func(action guardrails.Action) (*aimodels.Gateway, *aimodelstest.Scripted) {
		g, err := guardrails.New(guardrails.Config{Policies: map[string][]guardrails.Check{"p": {
			{Kind: guardrails.KindPII, On: guardrails.Input, Action: action},
			{Kind: guardrails.KindPattern, Name: "falcon", Pattern: "project falcon", On: guardrails.Input, Action: guardrails.Redact},
		}}}, guardrails.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		model := aimodelstest.NewScripted(aimodelstest.Always(aimodelstest.Text("ok")))
		gateway, err := aimodels.NewGateway(aimodels.Config{Guards: &guards{g}, DefaultGuardrails: []string{"p"}}, map[string]aimodels.Endpoint{"p": {Kind: "test", Provider: model}})
		if err != nil {
			t.Fatal(err)
		}
		return gateway, model
	}
	gateway, model := made(guardrails.Redact)
	asked := request()
	if _, err := gateway.Chat(t.Context(), asked, nil); err != nil {
		t.Fatal(err)
	}
	got := model.Requests()[0].Messages
	if args := string(got[1].ToolCalls[0].Arguments); args != `{"model":"[card]","n":1}` {
		t.Errorf("the arguments of the tool that was called went on as %s", args)
	}
	if got[0].Parts[0].Text != "[falcon]" || got[0].Parts[2].Text != "[falcon]" {
		t.Errorf("the parts went on as %+v", got[0].Parts)
	}
	if !strings.Contains(string(asked.Messages[1].ToolCalls[0].Arguments), "4111") {
		t.Error("the caller's own request was changed")
	}
	gateway, _ = made(guardrails.Block)
	if _, err := gateway.Chat(t.Context(), request(), nil); core.CodeOf(err) != core.CodeRefused {
		t.Errorf("what is stopped: %v", err)
	}
}
