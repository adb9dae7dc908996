package responses

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// object is a response as clients get it. Fields that repeat the request hold its own JSON.
type object struct {
	ID                 string            `json:"id"`
	Object             string            `json:"object"`
	CreatedAt          int64             `json:"created_at"`
	CompletedAt        *int64            `json:"completed_at"`
	Status             string            `json:"status"`
	Background         bool              `json:"background"`
	Error              *objectError      `json:"error"`
	IncompleteDetails  *incompleteReason `json:"incomplete_details"`
	Instructions       json.RawMessage   `json:"instructions"`
	MaxOutputTokens    json.RawMessage   `json:"max_output_tokens"`
	MaxToolCalls       json.RawMessage   `json:"max_tool_calls"`
	Model              string            `json:"model"`
	Output             []any             `json:"output"`
	ParallelToolCalls  json.RawMessage   `json:"parallel_tool_calls"`
	PreviousResponseID json.RawMessage   `json:"previous_response_id"`
	PromptCacheKey     json.RawMessage   `json:"prompt_cache_key"`
	Reasoning          json.RawMessage   `json:"reasoning"`
	SafetyIdentifier   json.RawMessage   `json:"safety_identifier"`
	ServiceTier        string            `json:"service_tier"`
	Store              bool              `json:"store"`
	Temperature        json.RawMessage   `json:"temperature"`
	Text               json.RawMessage   `json:"text"`
	ToolChoice         json.RawMessage   `json:"tool_choice"`
	Tools              []json.RawMessage `json:"tools"`
	TopLogprobs        int               `json:"top_logprobs"`
	TopP               json.RawMessage   `json:"top_p"`
	PresencePenalty    json.RawMessage   `json:"presence_penalty"`
	FrequencyPenalty   json.RawMessage   `json:"frequency_penalty"`
	Truncation         string            `json:"truncation"`
	Usage              *usage            `json:"usage"`
	User               json.RawMessage   `json:"user"`
	Metadata           json.RawMessage   `json:"metadata"`
}

type objectError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type incompleteReason struct {
	Reason string `json:"reason"`
}

type usage struct {
	InputTokens        int64         `json:"input_tokens"`
	InputTokensDetails inputDetails  `json:"input_tokens_details"`
	OutputTokens       int64         `json:"output_tokens"`
	OutputDetails      outputDetails `json:"output_tokens_details"`
	TotalTokens        int64         `json:"total_tokens"`
}

type inputDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type outputDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

func usageOf(u core.Usage) *usage {
	return &usage{u.InputTokens, inputDetails{u.CachedTokens}, u.OutputTokens, outputDetails{u.ReasoningTokens}, u.Tokens()}
}

// newObject is the response to a call, as it begins.
func newObject(call *dialect.Call, now time.Time) object {
	body := call.Body
	echo := func(key, otherwise string) json.RawMessage {
		if v := body.Get(key); v != nil {
			return v
		}
		return json.RawMessage(otherwise)
	}
	o := object{
		ID: newID("resp"), Object: "response", CreatedAt: now.Unix(), Status: "in_progress", Model: call.Model, Output: []any{},
		Instructions: echo("instructions", "null"), MaxOutputTokens: echo("max_output_tokens", "null"), MaxToolCalls: echo("max_tool_calls", "null"),
		ParallelToolCalls: echo("parallel_tool_calls", "true"), PreviousResponseID: echo("previous_response_id", "null"),
		PromptCacheKey: echo("prompt_cache_key", "null"), SafetyIdentifier: echo("safety_identifier", "null"), User: echo("user", "null"),
		Reasoning: filled(echo("reasoning", "{}"), pair{"effort", "null"}, pair{"summary", "null"}), ServiceTier: "default", Store: stores(body),
		Temperature: echo("temperature", "1"), TopP: echo("top_p", "1"),
		PresencePenalty: echo("presence_penalty", "0"), FrequencyPenalty: echo("frequency_penalty", "0"), Truncation: "disabled",
		Text: filled(echo("text", "{}"), pair{"format", `{"type":"text"}`}), ToolChoice: echo("tool_choice", `"auto"`), Tools: []json.RawMessage{},
		Metadata: echo("metadata", "{}"),
	}
	var tools []json.RawMessage
	if json.Unmarshal(body.Get("tools"), &tools) == nil {
		for _, t := range tools {
			o.Tools = append(o.Tools, filled(t, pair{"description", "null"}, pair{"parameters", "null"}, pair{"strict", "false"}))
		}
	}
	return o
}

// stores says whether the client wants its response kept.
func stores(body dialect.Object) bool { return string(body.Get("store")) != "false" }

// pair is a field and its JSON.
type pair struct{ key, value string }

// filled adds the fields that an object lacks.
func filled(raw json.RawMessage, pairs ...pair) json.RawMessage {
	o, err := dialect.Scan(raw)
	if err != nil {
		return raw
	}
	edits := make([]dialect.Edit, len(pairs))
	for i, p := range pairs {
		edits[i] = dialect.Edit{Key: p.key, Value: []byte(p.value), IfMissing: true}
	}
	return o.With(edits...)
}

// newID makes an id that cannot be guessed.
func newID(kind string) string { return kind + "_" + strings.ReplaceAll(uuid.NewString(), "-", "") }

// The items of an answer, and the parts that they are made of.
type (
	messageItem struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Status  string `json:"status"`
		Role    string `json:"role"`
		Content []any  `json:"content"`
	}
	callItem struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Status    string `json:"status"`
		CallID    string `json:"call_id"`
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	reasoningItem struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Summary   []any  `json:"summary"`
		Encrypted string `json:"encrypted_content,omitempty"`
	}
	textPart struct {
		Type        string `json:"type"`
		Text        string `json:"text"`
		Annotations []any  `json:"annotations"`
		Logprobs    []any  `json:"logprobs"`
	}
	summaryPart struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

func newTextPart(text string) textPart {
	return textPart{Type: "output_text", Text: text, Annotations: []any{}, Logprobs: []any{}}
}

func newSummaryPart(text string) summaryPart { return summaryPart{Type: "summary_text", Text: text} }
