package anthropic_test

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ptr[T any](v T) *T { return &v }

func conversation() []core.Message {
	return []core.Message{
		{Role: core.RoleSystem, Text: "Be brief."},
		{Role: core.RoleUser, Text: "See", Parts: []core.Part{
			{Kind: core.PartText, Text: "See"}, {Kind: core.PartImage, MediaType: "image/png", Data: []byte("PNG")}, {Kind: core.PartImage, URL: "https://h/i.png"},
			{Kind: core.PartFile, MediaType: "application/pdf", Name: "a.pdf", Data: []byte("%PDF-1.7")}, {Kind: core.PartFile, MediaType: "application/json", Name: "b.json", Data: []byte("{}")},
			{Kind: core.PartFile, URL: "https://h/d.pdf"},
		}},
		{Role: core.RoleUser, Text: "and tell."},
		{Role: core.RoleSystem, Text: "In French."},
		{
			Role: core.RoleAssistant, Text: "I look.", Parts: []core.Part{
				{Kind: core.PartReasoning, Text: "hm", Signature: core.MakerAnthropic.Mark("sig")}, {Kind: core.PartReasoning, Data: []byte(core.MakerAnthropic.Mark("xyz"))},
				{Kind: core.PartReasoning, Text: "unsigned"}, {Kind: core.PartReasoning, Text: "other", Signature: core.MakerGemini.Mark("sig")}, {Kind: core.PartReasoning, Data: []byte(core.MakerBedrock.Mark("xyz"))},
				{Kind: core.PartText, Text: "I look."},
			},
			ToolCalls: []core.ToolCall{{ID: "functions.now:0", Name: "now", Arguments: json.RawMessage(`{"zone":"UTC"}`)}, {ID: "c2", Name: "look"}},
		},
		{Role: core.RoleTool, ToolCallID: "functions.now:0", Text: "noon"},
		{Role: core.RoleTool, ToolCallID: "c2", Text: "failed", IsError: true, Parts: []core.Part{{Kind: core.PartText, Text: "failed"}, {Kind: core.PartImage, Data: []byte("\x89PNG\r\n\x1a\n")}}},
		{Role: core.RoleUser, Text: ""},
		{Role: core.RoleUser, Text: "Go on."},
		{Role: core.RoleAssistant, Text: "The answer is \n"},
	}
}

// TestRequests holds bodies against files, which tests/sdk reads with the official client.
func TestRequests(t *testing.T) {
	t.Parallel()
	tools := []core.ToolSpec{{Name: "now", Description: "Tell the time.", Parameters: json.RawMessage(`{"type":"object","properties":{"zone":{"type":"string"}}}`)}, {Name: "look"}}
	schema := json.RawMessage(`{"$schema":"x","type":"object","properties":{"z":{"type":"integer","minimum":1},"a":{"type":"array","minItems":2,"items":{"oneOf":[{"type":"object","properties":{}},{"type":"string","format":"date"}]}}}}`)
	for name, req := range map[string]core.ModelRequest{
		"conversation": {Model: "claude-sonnet-4-5", Messages: conversation(), Tools: tools},
		"settings": {
			Model: "claude-3-7-sonnet-20250219", Messages: conversation()[:3], MaxTokens: 100, Temperature: ptr(1.5), TopP: ptr(0.9), TopK: ptr(7), Seed: ptr(int64(1)),
			Stop: []string{"END", " "}, User: "u-1", Tools: tools, ToolChoice: "now", OneTool: true,
		},
		"thinking-budget":   {Model: "claude-sonnet-4-5", Messages: conversation()[:3], Reasoning: "low", Temperature: ptr(0.0)},
		"thinking-adaptive": {Model: "claude-opus-4-7", Messages: conversation()[:3], Reasoning: "minimal", MaxTokens: 9000, Temperature: ptr(0.0), TopK: ptr(1)},
		"schema":            {Model: "claude-opus-5", Messages: conversation()[:3], Schema: schema, Reasoning: "none"},
		"json":              {Model: "claude-opus-5", Messages: conversation()[:3], JSONObject: true, Tools: tools, ToolChoice: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aimodelstest.Golden(t, "testdata/requests/"+name+".json", underTest().Sent(t, req), *update)
		})
	}
}

func TestSettingsByGeneration(t *testing.T) {
	t.Parallel()
	tools := []core.ToolSpec{{Name: "now"}}
	strict := core.ToolSpec{Name: "now", Strict: true, Parameters: json.RawMessage(`{"type":"object","properties":{"a":{"type":"integer","minimum":1}}}`)}
	many := make([]core.ToolSpec, 21)
	for i := range many {
		many[i] = strict
	}
	for _, c := range []struct {
		name string
		req  core.ModelRequest
		has  []string
		not  []string
	}{
		{"the default length", core.ModelRequest{Model: "m"}, []string{`"max_tokens":4096`}, []string{"thinking", "output_config"}},
		{"a budget leaves room for the answer", core.ModelRequest{Model: "claude-haiku-4-5-20251001", Reasoning: "high"}, []string{`"max_tokens":28672`, `"budget_tokens":24576`}, nil},
		{"a budget above the length is cut", core.ModelRequest{Model: "m", ReasoningMax: 9000, MaxTokens: 5000}, []string{`"max_tokens":5000`, `"budget_tokens":2500`}, nil},
		{"a short answer leaves no room to think", core.ModelRequest{Model: "m", Reasoning: "low", MaxTokens: 1000}, []string{`"max_tokens":1000`}, []string{"thinking"}},
		{"tokens become an effort", core.ModelRequest{Model: "claude-sonnet-4-6", ReasoningMax: 8000}, []string{`"type":"adaptive"`, `"effort":"medium"`}, []string{"budget_tokens"}},
		{"no thinking, told", core.ModelRequest{Model: "claude-opus-4-7", Reasoning: "none"}, []string{`"thinking":{"type":"disabled"}`}, nil},
		{"no thinking, always there", core.ModelRequest{Model: "claude-fable-5-1", Reasoning: "none", Temperature: ptr(0.5)}, []string{`"effort":"low"`}, []string{`"thinking"`, "temperature"}},
		{"no thinking, never asked", core.ModelRequest{Model: "claude-sonnet-4-5", Reasoning: "none"}, nil, []string{"thinking"}},
		{"a forced tool rules thinking out", core.ModelRequest{Model: "claude-opus-4-7", Reasoning: "high", Tools: tools, ToolChoice: "required"}, []string{`"tool_choice":{"type":"any"}`}, []string{"thinking", "effort"}},
		{"no sampling since 4.7", core.ModelRequest{Model: "claude-opus-4-7", Temperature: ptr(0.0), TopP: ptr(0.5), TopK: ptr(3)}, nil, []string{"temperature", "top_p", "top_k"}},
		{"one sampler since 4.1", core.ModelRequest{Model: "claude-opus-4-1", Temperature: ptr(0.2), TopP: ptr(0.5)}, []string{`"temperature":0.2`}, []string{"top_p"}},
		{"both before", core.ModelRequest{Model: "anthropic.claude-3-5-sonnet-20241022-v2", Temperature: ptr(0.2), TopP: ptr(0.5)}, []string{`"temperature":0.2`, `"top_p":0.5`}, nil},
		{"one tool at a time", core.ModelRequest{Model: "m", Tools: tools, OneTool: true}, []string{`"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`}, nil},
		{"a strict tool has a schema that fits", core.ModelRequest{Model: "claude-sonnet-4-5", Tools: []core.ToolSpec{strict}}, []string{`{"name":"now","input_schema":{"type":"object","properties":{"a":{"type":"integer","description":"{minimum: 1}"}},"additionalProperties":false},"strict":true}`}, nil},
		{"no more strict tools than it takes", core.ModelRequest{Model: "claude-sonnet-4-5", Tools: many}, []string{`"minimum":1}}}}]`, `"strict":true`}, nil},
		{"an open tool is not strict", core.ModelRequest{Model: "claude-sonnet-4-5", Tools: []core.ToolSpec{{Name: "last", Strict: true, Parameters: json.RawMessage(`{"type":"object"}`)}}}, []string{`{"name":"last"`}, []string{"strict"}},
		{"older models know no strict tools", core.ModelRequest{Model: "claude-sonnet-4-0", Tools: []core.ToolSpec{strict}}, []string{`"minimum":1`}, []string{"strict"}},
		{"the usual tier", core.ModelRequest{Model: "m", ServiceTier: "default"}, []string{`"service_tier":"standard_only"`}, nil},
		{"whatever tier", core.ModelRequest{Model: "m", ServiceTier: "auto"}, []string{`"service_tier":"auto"`}, nil},
		{"a tier of others", core.ModelRequest{Model: "m", ServiceTier: "flex"}, nil, []string{"service_tier"}},
		{"a choice without tools", core.ModelRequest{Model: "m", ToolChoice: "required"}, nil, []string{"tool_choice"}},
		{"an open schema is asked for in words", core.ModelRequest{Model: "m", Schema: json.RawMessage(`{"type":"object"}`)}, []string{`JSON Schema: {\"type\":\"object\"}`}, []string{"output_config"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.req.Messages = []core.Message{{Role: core.RoleUser, Text: "x"}}
			body := string(underTest().Sent(t, c.req))
			for _, s := range c.has {
				if !strings.Contains(body, s) {
					t.Errorf("%s is missing: %s", s, body)
				}
			}
			for _, s := range c.not {
				if strings.Contains(body, s) {
					t.Errorf("%s is there: %s", s, body)
				}
			}
		})
	}
}

func TestWhatTheDialectHasNoFormFor(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]core.ModelRequest{
		"audio":                  {Messages: []core.Message{{Role: core.RoleUser, Parts: []core.Part{{Kind: core.PartAudio, Data: []byte("x")}}}}},
		"a file of bytes":        {Messages: []core.Message{{Role: core.RoleUser, Parts: []core.Part{{Kind: core.PartFile, Data: []byte{0, 1, 2, 255}}}}}},
		"a schema that is none":  {Schema: json.RawMessage(`{"type":`)},
		"a schema without a end": {Schema: json.RawMessage(strings.Repeat(`{"items":`, 100) + strings.Repeat("}", 100))},
	} {
		_, err := playing(t, "text.sse", "").Chat(t.Context(), req, nil)
		if core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
