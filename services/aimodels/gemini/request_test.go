package gemini_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
	"github.com/sutazai/sutazai/services/aimodels/gemini"
)

var update = flag.Bool("update", false, "write the golden files anew")

func conversation() []core.Message {
	return []core.Message{
		{Role: core.RoleSystem, Text: "Be brief."},
		{Role: core.RoleUser, Text: "See", Parts: []core.Part{
			{Kind: core.PartText, Text: "See"}, {Kind: core.PartImage, MediaType: "image/jpg", Data: []byte("JPG"), Detail: "low"}, {Kind: core.PartImage, URL: "https://h/i.png?x=1"},
			{Kind: core.PartFile, MediaType: "application/pdf", Name: "a.pdf", Data: []byte("%PDF-1.7")}, {Kind: core.PartFile, MediaType: "application/json", Name: "b.json", Data: []byte("{}")},
			{Kind: core.PartAudio, MediaType: "audio/wav", Data: []byte("RIFF")},
		}},
		{Role: core.RoleUser, Text: "and tell."},
		{Role: core.RoleSystem, Text: "In French."},
		{
			Role: core.RoleAssistant, Text: "I look.", Parts: []core.Part{
				{Kind: core.PartReasoning, Text: "hm", Signature: core.MakerGemini.Mark("sig")}, {Kind: core.PartReasoning, Text: "other", Signature: core.MakerAnthropic.Mark("sig")}, {Kind: core.PartText, Text: "I look."},
			},
			ToolCalls: []core.ToolCall{{ID: "c1", Name: "now", Arguments: json.RawMessage(`{"zone":"UTC"}`)}, {ID: "c2", Name: "look"}},
		},
		{Role: core.RoleTool, ToolCallID: "c1", Text: "noon"},
		{Role: core.RoleTool, ToolCallID: "c2", Text: "failed", IsError: true, Parts: []core.Part{{Kind: core.PartText, Text: "failed"}, {Kind: core.PartImage, Data: []byte("\x89PNG\r\n\x1a\n")}}},
		{Role: core.RoleAssistant, ToolCalls: []core.ToolCall{{ID: "c3", Name: "now"}}},
		{Role: core.RoleTool, ToolCallID: "c3", Text: "one"},
		{Role: core.RoleUser, Text: ""},
		{Role: core.RoleUser, Text: "Go on."},
		{Role: core.RoleAssistant, Text: "It is", Parts: []core.Part{{Kind: core.PartReasoning, Signature: core.MakerGemini.Mark("end")}, {Kind: core.PartText, Text: "It is"}}},
	}
}

// TestRequests holds bodies against files.
func TestRequests(t *testing.T) {
	t.Parallel()
	tools := []core.ToolSpec{{Name: "now", Description: "Tell the time.", Parameters: json.RawMessage(`{"type":"object","properties":{"zone":{"type":"string"}}}`)}, {Name: "look"}}
	schema := json.RawMessage(`{"type":"object","properties":{"z":{"type":"integer","minimum":1}}}`)
	for name, req := range map[string]core.ModelRequest{
		"conversation": {Model: "gemini-3-pro-preview", Messages: conversation(), Tools: tools},
		"older":        {Model: "gemini-2.5-flash", Messages: conversation(), Tools: tools, Schema: schema},
		"settings": {
			Model: "gemini-2.5-pro", Messages: conversation()[:1], MaxTokens: 100, Temperature: new(1.5), TopP: new(0.9), TopK: new(7), Seed: new(int64(1)), Presence: new(0.5), Frequency: new(-0.5),
			Stop: []string{"END"}, User: "u-1", Tools: tools, ToolChoice: "now", OneTool: true, Reasoning: "low",
		},
		"schema": {Model: "gemini-3-flash", Messages: conversation()[:1], Schema: schema, SchemaName: "thing", Tools: tools, Reasoning: "none"},
		"json":   {Model: "gemini-2.0-flash", Messages: conversation()[:1], JSONObject: true},
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
	for _, c := range []struct {
		name string
		req  core.ModelRequest
		has  string
		not  string
	}{
		{"as it likes", core.ModelRequest{Model: "gemini-3-pro"}, `"generationConfig":{}`, "thinkingConfig"},
		{"2.0 does not think", core.ModelRequest{Model: "gemini-2.0-flash", Reasoning: "high"}, `"generationConfig":{}`, "thinkingConfig"},
		{"2.5 Flash stops thinking", core.ModelRequest{Model: "gemini-2.5-flash-lite", Reasoning: "none"}, `{"thinkingBudget":0}`, "includeThoughts"},
		{"2.5 Pro thinks as little as it can", core.ModelRequest{Model: "models/gemini-2.5-pro", Reasoning: "none"}, `{"thinkingBudget":128}`, "includeThoughts"},
		{"2.5 is told of tokens", core.ModelRequest{Model: "gemini-2.5-pro", ReasoningMax: 3000}, `{"thinkingBudget":3000,"includeThoughts":true}`, "thinkingLevel"},
		{"2.5 takes no more than it can", core.ModelRequest{Model: "gemini-2.5-pro", ReasoningMax: 300000}, `{"thinkingBudget":24576,"includeThoughts":true}`, "thinkingLevel"},
		{"3 is told of a level", core.ModelRequest{Model: "gemini-3-flash", ReasoningMax: 3000}, `{"thinkingLevel":"medium","includeThoughts":true}`, "thinkingBudget"},
		{"3 Pro has no medium", core.ModelRequest{Model: "gemini-3-pro", Reasoning: "medium"}, `{"thinkingLevel":"high","includeThoughts":true}`, "thinkingBudget"},
		{"3.1 Pro has", core.ModelRequest{Model: "gemini-3.1-pro", Reasoning: "medium"}, `{"thinkingLevel":"medium","includeThoughts":true}`, "thinkingBudget"},
		{"3 Pro always thinks", core.ModelRequest{Model: "gemini-3-pro", Reasoning: "none"}, `{"thinkingLevel":"low"}`, "includeThoughts"},
		{"the newest", core.ModelRequest{Model: "gemini-flash-latest", Reasoning: "minimal"}, `{"thinkingLevel":"minimal","includeThoughts":true}`, "thinkingBudget"},
		{"a tier", core.ModelRequest{Model: "m", ServiceTier: "priority"}, `"serviceTier":"priority"`, ""},
		{"the usual tier", core.ModelRequest{Model: "m", ServiceTier: "default"}, `"serviceTier":"standard"`, ""},
		{"whatever tier", core.ModelRequest{Model: "m", ServiceTier: "auto"}, `"generationConfig":{}`, "serviceTier"},
		{"no tool", core.ModelRequest{Model: "m", Tools: tools, ToolChoice: "none"}, `"mode":"NONE"`, ""},
		{"some tool", core.ModelRequest{Model: "m", Tools: tools, ToolChoice: "required"}, `"mode":"ANY"`, "allowedFunctionNames"},
		{"an object beside tools, before 3", core.ModelRequest{Model: "gemini-2.5-pro", Tools: tools, JSONObject: true}, `one JSON object`, "responseMimeType"},
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

func TestImagesAreLookedAtTogether(t *testing.T) {
	t.Parallel()
	for details, want := range map[string]string{
		"low": `"mediaResolution":"MEDIA_RESOLUTION_LOW"`, "low low": `"mediaResolution":"MEDIA_RESOLUTION_LOW"`,
		"low high": `"mediaResolution":"MEDIA_RESOLUTION_HIGH"`, "auto high": `"mediaResolution":"MEDIA_RESOLUTION_HIGH"`,
		"low auto": `"generationConfig":{}`, "auto": `"generationConfig":{}`,
	} {
		req := core.ModelRequest{Model: "gemini-3-flash"}
		for detail := range strings.FieldsSeq(details) {
			req.Messages = append(req.Messages, core.Message{Role: core.RoleUser, Parts: []core.Part{{Kind: core.PartImage, Data: []byte("\x89PNG\r\n\x1a\n"), Detail: detail}}})
		}
		if body := string(underTest().Sent(t, req)); !strings.Contains(body, want) {
			t.Errorf("%s: %s", details, body)
		}
	}
}

func TestWhereCallsGo(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]string{
		"gemini-2.5-flash": "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
		"models/m":         "/v1beta/models/m:streamGenerateContent",
		"tunedModels/mine": "/v1beta/tunedModels/mine:streamGenerateContent",
		"../../v1/x?y#z":   "/v1beta/models/..%2F..%2Fv1%2Fx%3Fy%23z:streamGenerateContent",
		"tunedModels/..":   "/v1beta/tunedModels/..:streamGenerateContent",
	} {
		var got *http.Request
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			w.WriteHeader(http.StatusNotFound)
		}))
		p := newProvider(t, aimodels.HTTPConfig{Name: "g", BaseURL: s.URL, APIKey: "k"})
		_, err := p.Chat(t.Context(), core.ModelRequest{Model: model}, nil)
		s.Close()
		if core.CodeOf(err) != core.CodeNotFound || got.URL.EscapedPath() != want || got.URL.RawQuery != "alt=sse" {
			t.Errorf("%s: %s %v", model, got.URL, err)
		}
		if got.Header.Get("X-Goog-Api-Key") != "k" || got.Header.Get("Authorization") != "" {
			t.Errorf("%v", got.Header)
		}
	}
	if _, err := gemini.New(gemini.Config{HTTP: aimodels.HTTPConfig{Name: "g"}}); err != nil {
		t.Errorf("without an address it is Google's: %v", err)
	}
}

func TestWrongKeysArePutAside(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/wrong-key.json")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Goog-Api-Key") == "old" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(b)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}`))
	}))
	t.Cleanup(s.Close)
	keys := aimodels.NewKeyRing("g", []core.Secret{core.NewSecret("old"), core.NewSecret("new")}, time.Now)
	got, err := newProvider(t, aimodels.HTTPConfig{Name: "g", BaseURL: s.URL, Keys: keys}).Chat(t.Context(), core.ModelRequest{Model: "m"}, nil)
	if err != nil || got.Message.Text != "Hi" || keys.Healthy() != 1 {
		t.Errorf("%+v %v, %d keys left", got, err, keys.Healthy())
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	h := httptest.NewServer(aimodelstest.GeminiServer(aimodelstest.Always(aimodelstest.Text("x"))))
	t.Cleanup(h.Close)
	p := newProvider(t, aimodels.HTTPConfig{Name: "g", BaseURL: h.URL})
	texts := strings.Split(strings.Repeat("a cat,two dogs bark,", 60), ",")[:101] // more than one batch
	got, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: texts, Dimensions: 8})
	if err != nil || len(got.Vectors) != 101 || !reflect.DeepEqual(got.Vectors[1], aimodelstest.Vector("two dogs bark", 8)) || !reflect.DeepEqual(got.Vectors[100], aimodelstest.Vector("a cat", 8)) {
		t.Errorf("%d vectors, %v", len(got.Vectors), err)
	}
	for text, want := range map[string]core.Code{"a": core.CodeInvalid, strings.Repeat("word ", 2000): core.CodeContextFull} {
		if _, err := p.Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{text}, Dimensions: 4096}); core.CodeOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, body := range []string{`{"embeddings":[]}`, `{"embeddings":[{"values":[]}]}`, `<html>`} {
		if _, err := playing(t, http.StatusOK, "", body).Embed(t.Context(), core.EmbedRequest{Model: "m", Inputs: []string{"a"}}); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("%s: %v", body, err)
		}
	}
}
