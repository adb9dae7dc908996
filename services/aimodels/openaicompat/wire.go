package openaicompat

import (
	"encoding/json"
	"maps"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

type wireMessage struct {
	Role       string         `json:"role"`
	Content    any            `json:"content"` // a string or parts; null beside tool calls without text, as the dialect wants it
	ToolCalls  []wireToolCall `json:"tool_calls,omitempty"`
	ToolCallID string         `json:"tool_call_id,omitempty"`
}

type wireToolCall struct {
	Index    *int         `json:"index,omitempty"`
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function wireFunction `json:"function"`
}

type wireFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type wireUsage struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
	Prompt           struct {
		CachedTokens int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	Completion struct {
		ReasoningTokens int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// wireAnswer is both the whole answer (Message) and one chunk of a streamed one (Delta).
type wireAnswer struct {
	Choices []struct {
		Message      *wireDelta `json:"message"`
		Delta        *wireDelta `json:"delta"`
		FinishReason string     `json:"finish_reason"`
	} `json:"choices"`
	Usage *wireUsage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type wireDelta struct {
	Content   string         `json:"content"`
	Refusal   string         `json:"refusal"`
	ToolCalls []wireToolCall `json:"tool_calls"`

	ReasoningContent string `json:"reasoning_content"` // DeepSeek, vLLM, llama.cpp
	Reasoning        string `json:"reasoning"`         // OpenRouter, Groq
}

// request builds the body of a chat call. Metadata is lost: servers take it only together with the wish to keep the answer.
// Extra fields come first, so that none of them replaces one of ours.
func (p *Provider) request(req core.ModelRequest) map[string]any {
	body := map[string]any{}
	maps.Copy(body, p.cfg.Extra)
	body["model"] = req.Model
	body["messages"] = messages(req.Messages)
	body["stream"] = true
	body["stream_options"] = map[string]any{"include_usage": true}
	p.tools(body, req)
	switch {
	case len(req.Schema) > 0 && !p.quirks.noSchema:
		body["response_format"] = map[string]any{
			"type":        "json_schema",
			"json_schema": map[string]any{"name": orElse(req.SchemaName, "answer"), "schema": req.Schema, "strict": !p.quirks.newest || aimodels.FitsStrict(req.Schema)},
		}
	case len(req.Schema) > 0 || req.JSONObject:
		body["response_format"] = map[string]any{"type": "json_object"}
	}
	if req.MaxTokens > 0 {
		body[p.quirks.maxTokensField()] = req.MaxTokens
	}
	set(body, "temperature", req.Temperature)
	set(body, "top_p", req.TopP)
	set(body, "top_k", req.TopK)
	set(body, "presence_penalty", req.Presence)
	set(body, "frequency_penalty", req.Frequency)
	set(body, orElse(p.quirks.seed, "seed"), req.Seed)
	if len(req.Stop) > 0 {
		body["stop"] = req.Stop
	}
	setText(body, "reasoning_effort", req.Reasoning)
	setText(body, "user", req.User)
	if p.quirks.newest {
		setText(body, "verbosity", req.Verbosity)
		setText(body, "service_tier", req.ServiceTier)
	}
	if p.quirks.noUsage {
		delete(body, "stream_options")
	}
	for _, field := range p.quirks.drop {
		delete(body, field)
	}
	return body
}

func set[T any](body map[string]any, field string, v *T) {
	if v != nil {
		body[field] = *v
	}
}

func setText(body map[string]any, field, text string) {
	if text != "" {
		body[field] = text
	}
}

func (p *Provider) tools(body map[string]any, req core.ModelRequest) {
	if len(req.Tools) == 0 {
		return
	}
	body["tools"] = p.specs(req.Tools)
	switch req.ToolChoice {
	case "":
	case "none":
		body["tool_choice"] = "none"
	case "required":
		body["tool_choice"] = orElse(p.quirks.required, "required")
	default:
		body["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": req.ToolChoice}}
	}
	if req.OneTool {
		body["parallel_tool_calls"] = false
	}
}

func messages(list []core.Message) []wireMessage {
	out := make([]wireMessage, 0, len(list))
	for _, m := range list {
		w := wireMessage{Role: string(m.Role), Content: content(m), ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			w.ToolCalls = append(w.ToolCalls, wireToolCall{
				ID: c.ID, Type: "function", Function: wireFunction{Name: c.Name, Arguments: string(c.Arguments)},
			})
		}
		if m.Text == "" && len(m.Parts) == 0 && len(m.ToolCalls) > 0 {
			w.Content = nil
		}
		out = append(out, w)
	}
	return out
}

type wireTool struct {
	Type     string       `json:"type"`
	Function wireToolSpec `json:"function"`
}

type wireToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict,omitempty"`
}

func (p *Provider) specs(specs []core.ToolSpec) []wireTool {
	out := make([]wireTool, len(specs))
	for i, s := range specs {
		params := s.Parameters
		if len(params) == 0 {
			params = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out[i] = wireTool{Type: "function", Function: wireToolSpec{s.Name, s.Description, params, s.Strict && p.quirks.newest && aimodels.FitsStrict(params)}}
	}
	return out
}

func finish(reason string, calls int) core.FinishReason {
	switch {
	case calls > 0:
		return core.FinishTools
	case reason == "length":
		return core.FinishLength
	case reason == "content_filter":
		return core.FinishRefusal
	default:
		return core.FinishStop
	}
}
