package responses

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// wireRequest holds the fields that are translated. Others are ignored, as OpenAI does with what it does not know.
type wireRequest struct {
	Model              string            `json:"model"`
	Input              json.RawMessage   `json:"input"`
	Instructions       string            `json:"instructions"`
	PreviousResponseID string            `json:"previous_response_id"`
	Conversation       json.RawMessage   `json:"conversation"`
	Prompt             json.RawMessage   `json:"prompt"`
	Tools              []json.RawMessage `json:"tools"`
	ToolChoice         json.RawMessage   `json:"tool_choice"`
	ParallelToolCalls  *bool             `json:"parallel_tool_calls"`
	Text               struct {
		Format *struct {
			Type   string          `json:"type"`
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
		Verbosity string `json:"verbosity"`
	} `json:"text"`
	Reasoning struct {
		Effort string `json:"effort"`
	} `json:"reasoning"`
	MaxOutputTokens  *int            `json:"max_output_tokens"`
	Temperature      *float64        `json:"temperature"`
	TopP             *float64        `json:"top_p"`
	PresencePenalty  *float64        `json:"presence_penalty"`
	FrequencyPenalty *float64        `json:"frequency_penalty"`
	User             string          `json:"user"`
	SafetyIdentifier string          `json:"safety_identifier"`
	ServiceTier      string          `json:"service_tier"`
	Metadata         json.RawMessage `json:"metadata"`
}

// decoder translates a body whose conversation may have a beginning that is stored.
type decoder struct {
	before  []core.StoredResponse // what previous_response_id stands for, the oldest first
	missing error                 // why that is not known here; nil where it is, or where there is none
}

func (d decoder) decode(body []byte) (core.ModelRequest, error) {
	if err := backend.CheckDepth(body); err != nil {
		return core.ModelRequest{}, err
	}
	var q wireRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return core.ModelRequest{}, wrongType("", err)
	}
	switch {
	case d.missing != nil:
		return core.ModelRequest{}, d.missing
	case given(q.Conversation):
		return core.ModelRequest{}, backend.OpenAIBadRequest("conversation", "A conversation is kept by the provider that made it, and the model that answers this call cannot read it; use 'previous_response_id', or send its items as 'input'.")
	case given(q.Prompt):
		return core.ModelRequest{}, backend.OpenAIBadRequest("prompt", "A prompt template is kept by the provider that made it, and the model that answers this call cannot read it; send its text as 'instructions'.")
	}
	messages, err := d.messages(q)
	if err != nil {
		return core.ModelRequest{}, err
	}
	req := core.ModelRequest{
		Model: q.Model, Messages: messages, Temperature: q.Temperature, TopP: q.TopP, Presence: q.PresencePenalty, Frequency: q.FrequencyPenalty,
		OneTool: q.ParallelToolCalls != nil && !*q.ParallelToolCalls, User: q.SafetyIdentifier,
		ServiceTier: q.ServiceTier, Verbosity: q.Text.Verbosity,
	}
	if m, err := dialect.Scan(q.Metadata); err == nil {
		req.Metadata = texts(m)
	}
	if req.User == "" {
		req.User = q.User
	}
	if q.MaxOutputTokens != nil {
		if req.MaxTokens = *q.MaxOutputTokens; req.MaxTokens < 1 {
			return req, backend.OpenAIBadRequest("max_output_tokens", "Invalid 'max_output_tokens': it must be at least 1.")
		}
	}
	if err := q.tools(&req); err != nil {
		return req, err
	}
	if err := q.format(&req); err != nil {
		return req, err
	}
	return req, q.effort(&req)
}

func (d decoder) messages(q wireRequest) ([]core.Message, error) {
	c := &conversation{}
	if q.Instructions != "" {
		c.add(core.Message{Role: core.RoleSystem, Text: q.Instructions})
	}
	for _, r := range d.before {
		if err := c.items(r.Input, "previous_response_id.input", false); err != nil {
			return nil, err
		}
		var answer struct {
			Output json.RawMessage `json:"output"`
		}
		if err := json.Unmarshal(r.Response, &answer); err != nil {
			return nil, fmt.Errorf("read the stored response %s: %w", r.ID, err)
		}
		if err := c.items(answer.Output, "previous_response_id.output", true); err != nil {
			return nil, err
		}
	}
	if !given(q.Input) {
		return nil, backend.OpenAIBadRequest("input", "Missing required parameter: 'input'.")
	}
	if err := c.input(q.Input); err != nil {
		return nil, err
	}
	if len(c.messages) == 0 {
		return nil, backend.OpenAIBadRequest("input", "Invalid 'input': it holds nothing that the model could answer.")
	}
	return c.messages, nil
}

type wireTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      *bool           `json:"strict"` // left out it is true, which only schemas that are fit for it bear
}

// tools translates the tools and which of them the model may call.
func (q wireRequest) tools(req *core.ModelRequest) error {
	for i, raw := range q.Tools {
		at := fmt.Sprintf("tools[%d]", i)
		var t wireTool
		if err := json.Unmarshal(raw, &t); err != nil {
			return wrongType(at, err)
		}
		if t.Type != "function" {
			return backend.OpenAIBadRequest(at+".type", "Tools of type '%s' run at the provider that offers them, which the model that answers this call does not; use tools of type 'function', or an agent with that tool (model 'agent/<name>').", t.Type)
		}
		if t.Name == "" {
			return backend.OpenAIBadRequest(at+".name", "Missing required parameter: '%s.name'.", at)
		}
		if !given(t.Parameters) {
			t.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict != nil && *t.Strict})
	}
	if !given(q.ToolChoice) {
		return nil
	}
	var word string
	if json.Unmarshal(q.ToolChoice, &word) == nil {
		return choose(req, word, "tool_choice")
	}
	var choice struct {
		wireTool
		Mode  string     `json:"mode"`
		Tools []wireTool `json:"tools"`
	}
	if err := json.Unmarshal(q.ToolChoice, &choice); err != nil {
		return wrongType("tool_choice", err)
	}
	switch choice.Type {
	case "function":
		if !has(req.Tools, choice.Name) {
			return backend.OpenAIBadRequest("tool_choice", "The tool_choice '%s' is not among 'tools'.", choice.Name)
		}
		req.ToolChoice = choice.Name
		return nil
	case "allowed_tools":
		for i, t := range choice.Tools {
			if !has(req.Tools, t.Name) {
				return backend.OpenAIBadRequest(fmt.Sprintf("tool_choice.tools[%d]", i), "The tool '%s' is not among 'tools'.", t.Name)
			}
		}
		req.Tools = slices.DeleteFunc(req.Tools, func(s core.ToolSpec) bool {
			return !slices.ContainsFunc(choice.Tools, func(t wireTool) bool { return t.Name == s.Name })
		})
		return choose(req, choice.Mode, "tool_choice.mode")
	default:
		return backend.OpenAIBadRequest("tool_choice.type", "A tool_choice of type '%s' is not supported; use 'function' or 'allowed_tools'.", choice.Type)
	}
}

func choose(req *core.ModelRequest, word, param string) error {
	switch {
	case word == "auto":
	case word == "none", word == "required" && len(req.Tools) > 0:
		req.ToolChoice = word
	default:
		return backend.OpenAIBadRequest(param, "Invalid value: '%s'. Supported values are: 'none', 'auto', and 'required' together with tools.", word)
	}
	return nil
}

func has(tools []core.ToolSpec, name string) bool {
	return slices.ContainsFunc(tools, func(t core.ToolSpec) bool { return t.Name == name })
}

// format translates the form of the answer.
func (q wireRequest) format(req *core.ModelRequest) error {
	f := q.Text.Format
	if f == nil {
		return nil
	}
	switch f.Type {
	case "", "text":
	case "json_object":
		req.JSONObject = true
	case "json_schema":
		if !given(f.Schema) {
			return backend.OpenAIBadRequest("text.format.schema", "Missing required parameter: 'text.format.schema'.")
		}
		req.Schema, req.SchemaName = f.Schema, f.Name
	default:
		return backend.OpenAIBadRequest("text.format.type", "Invalid value: '%s'. Supported values are: 'text', 'json_object' and 'json_schema'.", f.Type)
	}
	return nil
}

func (q wireRequest) effort(req *core.ModelRequest) error {
	switch e := q.Reasoning.Effort; e {
	case "", "none", "minimal", "low", "medium", "high":
		req.Reasoning = e
	case "xhigh", "max": // not every provider has more than high
		req.Reasoning = "high"
	default:
		return backend.OpenAIBadRequest("reasoning.effort", "Invalid value: '%s'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high' and 'xhigh'.", e)
	}
	return nil
}

// given says whether a field is there and not null.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// wrongType says which field has a value of the wrong type; at is where the value was that was read.
func wrongType(at string, err error) error {
	t, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return backend.OpenAIBadRequest(at, "We could not parse the JSON body of your request: %s.", err)
	}
	field := t.Field
	if at != "" && field != "" {
		field = at + "." + field
	} else if field == "" {
		field = at
	}
	return backend.OpenAIBadRequest(field, "Invalid type for '%s': got %s.", field, t.Value)
}
