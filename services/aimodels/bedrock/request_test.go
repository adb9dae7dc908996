package bedrock_test

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func conversation() []core.Message {
	return []core.Message{
		{Role: core.RoleSystem, Text: "Be brief."},
		{Role: core.RoleUser, Text: "See", Parts: []core.Part{
			{Kind: core.PartText, Text: "See"}, {Kind: core.PartImage, Data: []byte("\x89PNG\r\n\x1a\n")}, {Kind: core.PartImage, URL: "s3://bucket.eu/i.jpg"},
			{Kind: core.PartFile, MediaType: "application/pdf", Name: "my_plan v1.2.pdf", Data: []byte("%PDF-1.7")}, {Kind: core.PartFile, MediaType: "application/json", Name: "b.json", Data: []byte("{}")},
			{Kind: core.PartFile, URL: "s3://bucket.eu/d.docx"},
		}},
		{Role: core.RoleUser, Text: "and tell."},
		{Role: core.RoleSystem, Text: "In French."},
		{
			Role: core.RoleAssistant, Text: "I look.", Parts: []core.Part{
				{Kind: core.PartReasoning, Text: "hm", Signature: core.MakerBedrock.Mark("sig")}, {Kind: core.PartReasoning, Data: []byte(core.MakerBedrock.Mark("eHl6"))},
				{Kind: core.PartReasoning, Text: "other", Signature: core.MakerAnthropic.Mark("sig")}, {Kind: core.PartReasoning, Data: []byte(core.MakerAnthropic.Mark("eHl6"))}, {Kind: core.PartText, Text: "I look."},
			},
			ToolCalls: []core.ToolCall{{ID: "functions.now:0", Name: "now", Arguments: json.RawMessage(`{"zone":"UTC"}`)}, {ID: strings.Repeat("x", 65), Name: "look"}},
		},
		{Role: core.RoleTool, ToolCallID: "functions.now:0", Text: "noon"},
		{Role: core.RoleTool, ToolCallID: strings.Repeat("x", 65), Text: "", IsError: true},
		{Role: core.RoleUser, Text: " "},
		{Role: core.RoleUser, Text: "Go on."},
	}
}

// TestRequests holds bodies against files.
func TestRequests(t *testing.T) {
	t.Parallel()
	tools := []core.ToolSpec{{Name: "now", Description: "Tell the time.", Parameters: json.RawMessage(`{"type":"object","properties":{"zone":{"type":"string"}}}`)}, {Name: "look"}}
	schema := json.RawMessage(`{"type":"object","properties":{"z":{"type":"integer","minimum":1}}}`)
	for name, req := range map[string]core.ModelRequest{
		"conversation": {Model: "m", Messages: conversation()},
		"settings": {
			Model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0", Messages: conversation()[2:3], MaxTokens: 100, Temperature: new(0.5), TopP: new(0.9), TopK: new(7), Seed: new(int64(1)),
			Stop: []string{"END"}, User: "u-1", Tools: tools, ToolChoice: "now", OneTool: true,
		},
		"thinking":      {Model: "anthropic.claude-opus-4-6-v1:0", Messages: conversation()[2:3], Reasoning: "medium"},
		"schema":        {Model: "anthropic.claude-opus-4-6-v1:0", Messages: conversation()[2:3], Schema: schema, SchemaName: "thing"},
		"schema-tool":   {Model: "eu.amazon.nova-pro-v1:0", Messages: conversation()[2:3], Schema: schema},
		"schema-tools":  {Model: "anthropic.claude-3-5-sonnet-20241022-v2:0", Messages: conversation()[2:3], Schema: schema, SchemaName: "now", Tools: tools, Reasoning: "low"},
		"schema-words":  {Model: "us.meta.llama3-3-70b-instruct-v1:0", Messages: conversation()[2:3], Schema: schema},
		"schema-barred": {Model: "amazon.nova-pro-v1:0", Messages: conversation()[4:8], Schema: schema},
		"no-tools-left": {Model: "m", Messages: conversation()[:8], Tools: tools[:1], ToolChoice: "none", JSONObject: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aimodelstest.Golden(t, "testdata/requests/"+name+".json", underTest().Sent(t, req), *update)
		})
	}
}

func TestSettingsByFamily(t *testing.T) {
	t.Parallel()
	tools := []core.ToolSpec{{Name: "now"}}
	strict := []core.ToolSpec{{Name: "now", Strict: true, Parameters: json.RawMessage(`{"type":"object","properties":{"a":{"type":"integer","minimum":1}}}`)}}
	for _, c := range []struct {
		name string
		req  core.ModelRequest
		has  string
		not  string
	}{
		{"nothing asked for", core.ModelRequest{Model: "m"}, `"messages"`, "inferenceConfig"},
		{"Nova's top_k", core.ModelRequest{Model: "us.amazon.nova-pro-v1:0", TopK: new(5)}, `{"inferenceConfig":{"topK":5}}`, ""},
		{"Mistral's top_k", core.ModelRequest{Model: "mistral.mistral-large-2407-v1:0", TopK: new(5)}, `{"top_k":5}`, ""},
		{"Cohere's top_k", core.ModelRequest{Model: "cohere.command-r-v1:0", TopK: new(5)}, `{"k":5}`, ""},
		{"no top_k known", core.ModelRequest{Model: "meta.llama3-3-70b-instruct-v1:0", TopK: new(5)}, `"messages"`, "additionalModelRequestFields"},
		{"Nova thinks", core.ModelRequest{Model: "amazon.nova-2-lite-v1:0", ReasoningMax: 5000}, `{"reasoningConfig":{"maxReasoningEffort":"medium","type":"enabled"}}`, ""},
		{"Nova does not think", core.ModelRequest{Model: "amazon.nova-2-lite-v1:0", Reasoning: "none"}, `{"type":"disabled"}`, ""},
		{"gpt-oss thinks", core.ModelRequest{Model: "openai.gpt-oss-120b-1:0", Reasoning: "minimal"}, `{"reasoning_effort":"low"}`, ""},
		{"gpt-oss always thinks", core.ModelRequest{Model: "openai.gpt-oss-120b-1:0", Reasoning: "none"}, `"messages"`, "reasoning_effort"},
		{"Claude is asked for the stop sequence", core.ModelRequest{Model: "anthropic.claude-3-haiku-20240307-v1:0"}, `["/stop_sequence"]`, ""},
		{"a forced tool rules thinking out", core.ModelRequest{Model: "anthropic.claude-opus-4-6-v1:0", Tools: tools, ToolChoice: "required", Reasoning: "high"}, `"toolChoice":{"any":{}}`, "thinking"},
		{"a strict tool has a schema that fits", core.ModelRequest{Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", Tools: strict}, `{"json":{"type":"object","properties":{"a":{"type":"integer","description":"{minimum: 1}"}},"additionalProperties":false}},"strict":true`, ""},
		{"an open tool is not strict", core.ModelRequest{Model: "us.anthropic.claude-haiku-4-5-20251001-v1:0", Tools: []core.ToolSpec{{Name: "now", Strict: true}}}, `"toolSpec"`, "strict"},
		{"older models know no strict tools", core.ModelRequest{Model: "anthropic.claude-3-haiku-20240307-v1:0", Tools: strict}, `"minimum":1`, "strict"},
		{"no temperature above 1", core.ModelRequest{Model: "m", Temperature: new(1.7)}, `"temperature":1}`, "1.7"},
		{"notes that fit", core.ModelRequest{Model: "m", Metadata: map[string]string{"team": "a-1", "odd": "a*b", "": "x"}}, `"requestMetadata":{"team":"a-1"}`, "odd"},
		{"no notes", core.ModelRequest{Model: "m", Metadata: map[string]string{"odd": "a*b"}}, `"messages"`, "requestMetadata"},
		{"the model decides", core.ModelRequest{Model: "m", Tools: tools}, `"toolSpec"`, "toolChoice"},
		{"an open schema is asked for in words", core.ModelRequest{Model: "m", Schema: json.RawMessage(`{"type":"object"}`)}, `JSON Schema: {\"type\":\"object\"}`, "outputConfig"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.req.Messages = []core.Message{{Role: core.RoleUser, Text: "x"}}
			if body := string(underTest().Sent(t, c.req)); !strings.Contains(body, c.has) || c.not != "" && strings.Contains(body, c.not) {
				t.Error(body)
			}
		})
	}
}

func TestWhatTheDialectHasNoFormFor(t *testing.T) {
	t.Parallel()
	part := func(p core.Part) core.ModelRequest {
		return core.ModelRequest{Model: "m", Messages: []core.Message{{Role: core.RoleUser, Parts: []core.Part{p}}}}
	}
	for name, req := range map[string]core.ModelRequest{
		"audio":                 part(core.Part{Kind: core.PartAudio, Data: []byte("x")}),
		"an image of the web":   part(core.Part{Kind: core.PartImage, URL: "https://h/i.png"}),
		"an image of a kind":    part(core.Part{Kind: core.PartImage, MediaType: "image/tiff", Data: []byte("x")}),
		"a file of bytes":       part(core.Part{Kind: core.PartFile, Data: []byte{0, 1, 2, 255}}),
		"a file of the web":     part(core.Part{Kind: core.PartFile, URL: "https://h/d.pdf"}),
		"a schema that is none": {Model: "m", Schema: json.RawMessage(`{"type":`)},
	} {
		if _, err := playing(t, "text.events", nil).Chat(t.Context(), req, nil); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
