package openai

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// chatRequest holds the fields that this server understands; others are ignored, as OpenAI does.
type chatRequest struct {
	Model               string            `json:"model"`
	Messages            []chatMessage     `json:"messages"`
	Tools               []chatTool        `json:"tools"`
	ToolChoice          json.RawMessage   `json:"tool_choice"`
	ResponseFormat      *responseFormat   `json:"response_format"`
	MaxTokens           *int              `json:"max_tokens"`
	MaxCompletionTokens *int              `json:"max_completion_tokens"`
	Temperature         *float64          `json:"temperature"`
	Seed                *int64            `json:"seed"`
	Stop                json.RawMessage   `json:"stop"`
	N                   *int              `json:"n"`
	TopP                *float64          `json:"top_p"`
	TopK                *int              `json:"top_k"` // of many compatible servers, not of OpenAI's own
	Presence            *float64          `json:"presence_penalty"`
	Frequency           *float64          `json:"frequency_penalty"`
	ParallelToolCalls   *bool             `json:"parallel_tool_calls"`
	ReasoningEffort     string            `json:"reasoning_effort"`
	User                string            `json:"user"`
	Metadata            map[string]string `json:"metadata"`
	ServiceTier         string            `json:"service_tier"`
	Verbosity           string            `json:"verbosity"`
}

type chatMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCalls  []chatToolCall  `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
	Reasoning  string          `json:"reasoning_content"`
}

type chatToolCall struct {
	Index    *int         `json:"index,omitempty"` // in streams only
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type chatTool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
		Strict      bool            `json:"strict"`
	} `json:"function"`
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Name   string          `json:"name"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// decode translates a request whose fields have been found.
func decode(body []byte) (core.ModelRequest, error) {
	var q chatRequest
	if err := decodeJSON(body, &q); err != nil {
		return core.ModelRequest{}, err
	}
	switch {
	case len(q.Messages) == 0:
		return core.ModelRequest{}, backend.OpenAIBadRequest("messages", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	case q.N != nil && *q.N != 1:
		return core.ModelRequest{}, backend.OpenAIBadRequest("n", "Only n = 1 is supported for this model.")
	}
	messages := make([]core.Message, 0, len(q.Messages))
	for i, m := range q.Messages {
		c, err := m.message(i)
		if err != nil {
			return core.ModelRequest{}, err
		}
		messages = append(messages, c)
	}
	return q.modelRequest(messages)
}

// decodeJSON reads a body whose nesting is bounded.
func decodeJSON(body []byte, out any) error {
	if err := backend.CheckDepth(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			if t.Field == "" {
				return backend.OpenAIBadRequest("", "Invalid type: the body must be an object, not %s.", t.Value)
			}
			return backend.OpenAIBadRequest(t.Field, "Invalid type for '%s': got %s.", t.Field, t.Value)
		}
		return backend.OpenAIBadRequest("", "We could not parse the JSON body of your request: %s.", err)
	}
	return nil
}

func (m chatMessage) message(i int) (core.Message, error) {
	param := func(field string) string { return fmt.Sprintf("messages.[%d].%s", i, field) }
	out := core.Message{Index: i}
	switch m.Role {
	case "system", "developer":
		out.Role = core.RoleSystem
	case "user":
		out.Role = core.RoleUser
	case "assistant":
		out.Role = core.RoleAssistant
	case "tool":
		out.Role, out.ToolCallID = core.RoleTool, m.ToolCallID
		if m.ToolCallID == "" {
			return out, backend.OpenAIBadRequest(param("tool_call_id"), "A message with role 'tool' needs the 'tool_call_id' that it answers.")
		}
	default:
		return out, backend.OpenAIBadRequest(param("role"), "Invalid value: '%s'. Supported values are: 'system', 'developer', 'user', 'assistant' and 'tool'.", m.Role)
	}
	parts, err := partsOf(m.Content, param("content"))
	if err != nil {
		return out, err
	}
	if m.Reasoning != "" {
		parts = append([]core.Part{{Kind: core.PartReasoning, Text: m.Reasoning}}, parts...)
	}
	for _, p := range parts {
		if p.Kind == core.PartText {
			out.Text += p.Text
		} else {
			out.Parts = parts // more than text: the order counts
		}
	}
	if m.Role != "assistant" && len(m.Content) == 0 {
		return out, backend.OpenAIBadRequest(param("content"), "Missing required parameter: '%s'.", param("content"))
	}
	for _, c := range m.ToolCalls {
		arguments := json.RawMessage(c.Function.Arguments)
		if c.Function.Arguments == "" {
			arguments = json.RawMessage("{}")
		}
		if !json.Valid(arguments) {
			return out, backend.OpenAIBadRequest(param("tool_calls"), "The arguments of the tool call '%s' are not JSON.", c.ID)
		}
		out.ToolCalls = append(out.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: arguments})
	}
	return out, nil
}

// modelRequest makes the gateway's request of a chat with a plain model.
func (q chatRequest) modelRequest(messages []core.Message) (core.ModelRequest, error) {
	req := core.ModelRequest{
		Model: q.Model, Messages: messages, Temperature: q.Temperature, TopP: q.TopP, TopK: q.TopK, Presence: q.Presence, Frequency: q.Frequency,
		Seed: q.Seed, Reasoning: q.ReasoningEffort, User: q.User, OneTool: q.ParallelToolCalls != nil && !*q.ParallelToolCalls,
		Metadata: q.Metadata, ServiceTier: q.ServiceTier, Verbosity: q.Verbosity,
	}
	if q.MaxTokens != nil {
		req.MaxTokens = *q.MaxTokens
	}
	if q.MaxCompletionTokens != nil {
		req.MaxTokens = *q.MaxCompletionTokens
	}
	if req.MaxTokens < 0 {
		return req, backend.OpenAIBadRequest("max_completion_tokens", "Invalid 'max_completion_tokens': it cannot be negative.")
	}
	if len(q.Stop) > 0 && string(q.Stop) != "null" {
		var one string
		if json.Unmarshal(q.Stop, &one) == nil {
			req.Stop = []string{one}
		} else if json.Unmarshal(q.Stop, &req.Stop) != nil {
			return req, backend.OpenAIBadRequest("stop", "Invalid type for 'stop': expected a string or an array of strings.")
		}
	}
	for i, t := range q.Tools {
		if t.Type != "function" || t.Function.Name == "" {
			return req, backend.OpenAIBadRequest(fmt.Sprintf("tools[%d]", i), "Only tools of type 'function' with a name are supported.")
		}
		parameters := t.Function.Parameters
		if len(parameters) == 0 || string(parameters) == "null" {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Function.Name, Description: t.Function.Description, Parameters: parameters, Strict: t.Function.Strict})
	}
	choice, err := q.toolChoice(req.Tools)
	if err != nil {
		return req, err
	}
	req.ToolChoice = choice
	if f := q.ResponseFormat; f != nil {
		switch f.Type {
		case "", "text":
		case "json_object":
			req.JSONObject = true
		case "json_schema":
			if len(f.JSONSchema.Schema) == 0 {
				return req, backend.OpenAIBadRequest("response_format.json_schema.schema", "Missing required parameter: 'response_format.json_schema.schema'.")
			}
			req.Schema, req.SchemaName = f.JSONSchema.Schema, f.JSONSchema.Name
		default:
			return req, backend.OpenAIBadRequest("response_format.type", "Invalid value: '%s'. Supported values are: 'text', 'json_object' and 'json_schema'.", f.Type)
		}
	}
	return req, nil
}

// toolChoice returns "" (the model decides), "none", "required" or a tool's name.
func (q chatRequest) toolChoice(tools []core.ToolSpec) (string, error) {
	if len(q.ToolChoice) == 0 || string(q.ToolChoice) == "null" {
		return "", nil
	}
	var word string
	if json.Unmarshal(q.ToolChoice, &word) == nil {
		switch word {
		case "auto":
			return "", nil
		case "none":
			return word, nil
		case "required":
			if len(tools) > 0 {
				return word, nil
			}
		}
		return "", backend.OpenAIBadRequest("tool_choice", "Invalid value: '%s'. Supported values are: 'none', 'auto', and 'required' together with tools.", word)
	}
	var named chatTool
	if json.Unmarshal(q.ToolChoice, &named) == nil {
		for _, t := range tools {
			if t.Name == named.Function.Name {
				return t.Name, nil
			}
		}
	}
	return "", backend.OpenAIBadRequest("tool_choice", "The tool_choice names no function of 'tools'.")
}
