package openaicompat

import (
	"encoding/json"
	"maps"

	"github.com/sutazai/sutazai/core"
)

type wireMessage struct {
	Role       string         `json:"role"`
	Content    *string        `json:"content"` // null beside tool calls without text, as the dialect wants it
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
}

// request builds the body of a chat call. Extra fields come first, so that none of them replaces one of ours.
func (p *Provider) request(req core.ModelRequest) map[string]any {
	body := map[string]any{}
	maps.Copy(body, p.cfg.Extra)
	body["model"] = req.Model
	body["messages"] = messages(req.Messages)
	body["stream"] = true
	body["stream_options"] = map[string]any{"include_usage": true}
	if len(req.Tools) > 0 {
		body["tools"] = tools(req.Tools)
		switch req.ToolChoice {
		case "":
		case "required":
			body["tool_choice"] = req.ToolChoice
		default:
			body["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": req.ToolChoice}}
		}
	}
	if len(req.Schema) > 0 {
		body["response_format"] = map[string]any{
			"type": "json_schema",
			"json_schema": map[string]any{
				"name": "answer", "schema": req.Schema, "strict": true,
			},
		}
	}
	if req.MaxTokens > 0 {
		body[p.cfg.MaxTokensField] = req.MaxTokens
	}
	if req.Temperature != nil {
		body["temperature"] = *req.Temperature
	}
	if req.Seed != nil {
		body["seed"] = *req.Seed
	}
	if len(req.Stop) > 0 {
		body["stop"] = req.Stop
	}
	return body
}

func messages(list []core.Message) []wireMessage {
	out := make([]wireMessage, 0, len(list))
	for _, m := range list {
		w := wireMessage{Role: string(m.Role), Content: &m.Text, ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			w.ToolCalls = append(w.ToolCalls, wireToolCall{
				ID: c.ID, Type: "function", Function: wireFunction{Name: c.Name, Arguments: string(c.Arguments)},
			})
		}
		if m.Text == "" && len(m.ToolCalls) > 0 {
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
}

func tools(specs []core.ToolSpec) []wireTool {
	out := make([]wireTool, len(specs))
	for i, s := range specs {
		params := s.Parameters
		if len(params) == 0 {
			params = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out[i] = wireTool{Type: "function", Function: wireToolSpec{s.Name, s.Description, params}}
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
