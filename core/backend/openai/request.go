package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// chatRequest holds the fields that this server understands; others are ignored, as OpenAI does.
type chatRequest struct {
	Model               string            `json:"model"`
	Messages            []chatMessage     `json:"messages"`
	Stream              bool              `json:"stream"`
	StreamOptions       *streamOptions    `json:"stream_options"`
	Tools               []chatTool        `json:"tools"`
	ToolChoice          json.RawMessage   `json:"tool_choice"`
	ResponseFormat      *responseFormat   `json:"response_format"`
	MaxTokens           *int              `json:"max_tokens"`
	MaxCompletionTokens *int              `json:"max_completion_tokens"`
	Temperature         *float64          `json:"temperature"`
	Seed                *int64            `json:"seed"`
	Stop                json.RawMessage   `json:"stop"`
	N                   *int              `json:"n"`
	Metadata            map[string]string `json:"metadata"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCalls  []chatToolCall  `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
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
	} `json:"function"`
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// decode reads a request and its messages.
func decode(r *http.Request) (chatRequest, []core.Message, error) {
	var q chatRequest
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close() // it has been read; closing lets the next large body in
	if err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return q, nil, core.Errorf(core.CodeTooLarge, "the body is larger than the %d bytes that this call takes", tooLarge.Limit)
		}
		return q, nil, core.Wrap(core.CodeTimeout, err, "the body did not arrive in full")
	}
	if err := backend.CheckDepth(body); err != nil {
		return q, nil, err
	}
	if err := json.Unmarshal(body, &q); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return q, nil, badRequest(t.Field, "Invalid type for '%s': got %s.", t.Field, t.Value)
		}
		return q, nil, badRequest("", "We could not parse the JSON body of your request: %s.", err)
	}
	switch {
	case q.Model == "":
		return q, nil, badRequest("model", "you must provide a model parameter")
	case len(q.Messages) == 0:
		return q, nil, badRequest("messages", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	case q.N != nil && *q.N != 1:
		return q, nil, badRequest("n", "Only n = 1 is supported.")
	}
	messages := make([]core.Message, 0, len(q.Messages))
	for i, m := range q.Messages {
		c, err := m.message(i)
		if err != nil {
			return q, nil, err
		}
		messages = append(messages, c)
	}
	return q, messages, nil
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
			return out, badRequest(param("tool_call_id"), "A message with role 'tool' needs the 'tool_call_id' that it answers.")
		}
	default:
		return out, badRequest(param("role"), "Invalid value: '%s'. Supported values are: 'system', 'developer', 'user', 'assistant' and 'tool'.", m.Role)
	}
	text, err := textOf(m.Content, param("content"))
	if err != nil {
		return out, err
	}
	out.Text = text
	if m.Role != "assistant" && len(m.Content) == 0 {
		return out, badRequest(param("content"), "Missing required parameter: '%s'.", param("content"))
	}
	for _, c := range m.ToolCalls {
		arguments := json.RawMessage(c.Function.Arguments)
		if c.Function.Arguments == "" {
			arguments = json.RawMessage("{}")
		}
		if !json.Valid(arguments) {
			return out, badRequest(param("tool_calls"), "The arguments of the tool call '%s' are not JSON.", c.ID)
		}
		out.ToolCalls = append(out.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: arguments})
	}
	return out, nil
}

// textOf reads content that is a text, null, or a list of text parts.
func textOf(content json.RawMessage, param string) (string, error) {
	if len(content) == 0 || string(content) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return "", badRequest(param, "Invalid type for '%s': expected a string or an array of parts.", param)
	}
	var b strings.Builder
	for _, p := range parts {
		switch p.Type {
		case "text":
			b.WriteString(p.Text)
		case "refusal":
			b.WriteString(p.Refusal)
		default:
			return "", badRequest(param, "Content parts of type '%s' are not supported; send text.", p.Type)
		}
	}
	return b.String(), nil
}

// modelRequest makes the gateway's request of a chat with a plain model.
func (q chatRequest) modelRequest(messages []core.Message) (core.ModelRequest, error) {
	req := core.ModelRequest{Model: q.Model, Messages: messages, Temperature: q.Temperature, Seed: q.Seed}
	if q.MaxTokens != nil {
		req.MaxTokens = *q.MaxTokens
	}
	if q.MaxCompletionTokens != nil {
		req.MaxTokens = *q.MaxCompletionTokens
	}
	if req.MaxTokens < 0 {
		return req, badRequest("max_completion_tokens", "Invalid 'max_completion_tokens': it cannot be negative.")
	}
	if len(q.Stop) > 0 && string(q.Stop) != "null" {
		var one string
		if json.Unmarshal(q.Stop, &one) == nil {
			req.Stop = []string{one}
		} else if json.Unmarshal(q.Stop, &req.Stop) != nil {
			return req, badRequest("stop", "Invalid type for 'stop': expected a string or an array of strings.")
		}
	}
	for i, t := range q.Tools {
		if t.Type != "function" || t.Function.Name == "" {
			return req, badRequest(fmt.Sprintf("tools[%d]", i), "Only tools of type 'function' with a name are supported.")
		}
		parameters := t.Function.Parameters
		if len(parameters) == 0 || string(parameters) == "null" {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Function.Name, Description: t.Function.Description, Parameters: parameters})
	}
	choice, err := q.toolChoice(req.Tools)
	if err != nil {
		return req, err
	}
	if choice == "none" {
		req.Tools = nil
	} else {
		req.ToolChoice = choice
	}
	if f := q.ResponseFormat; f != nil {
		switch f.Type {
		case "", "text":
		case "json_object":
			req.Schema = json.RawMessage(`{"type":"object"}`)
		case "json_schema":
			if len(f.JSONSchema.Schema) == 0 {
				return req, badRequest("response_format.json_schema.schema", "Missing required parameter: 'response_format.json_schema.schema'.")
			}
			req.Schema = f.JSONSchema.Schema
		default:
			return req, badRequest("response_format.type", "Invalid value: '%s'. Supported values are: 'text', 'json_object' and 'json_schema'.", f.Type)
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
		return "", badRequest("tool_choice", "Invalid value: '%s'. Supported values are: 'none', 'auto', and 'required' together with tools.", word)
	}
	var named chatTool
	if json.Unmarshal(q.ToolChoice, &named) == nil {
		for _, t := range tools {
			if t.Name == named.Function.Name {
				return t.Name, nil
			}
		}
	}
	return "", badRequest("tool_choice", "The tool_choice names no function of 'tools'.")
}
