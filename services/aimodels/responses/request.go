package responses

import (
	"encoding/base64"
	"encoding/json"
	"maps"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// wireItem is an item of the input, of any kind.
type wireItem struct {
	Type      string     `json:"type"`
	Role      core.Role  `json:"role,omitempty"`
	Content   any        `json:"content,omitempty"` // a string or parts
	Summary   []wirePart `json:"summary,omitzero"`  // of reasoning, which must have one
	Encrypted string     `json:"encrypted_content,omitempty"`
	CallID    string     `json:"call_id,omitempty"`
	Name      string     `json:"name,omitempty"`
	Arguments *string    `json:"arguments,omitempty"`
	Output    any        `json:"output,omitempty"` // a string or parts
}

type wirePart struct {
	Type     string `json:"type"`
	Text     string `json:"text,omitempty"`
	ImageURL string `json:"image_url,omitempty"`
	Detail   string `json:"detail,omitempty"`
	FileData string `json:"file_data,omitempty"`
	FileURL  string `json:"file_url,omitempty"`
	Filename string `json:"filename,omitempty"`
}

type wireTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"` // servers assume true, which not every schema is fit for
}

// request builds the body of a call. Extra fields come first, so that none of them replaces one of ours.
func (p *Provider) request(req core.ModelRequest) map[string]any {
	body := map[string]any{}
	maps.Copy(body, p.cfg.Extra)
	instructions, items := input(req.Messages)
	body["model"] = req.Model
	body["input"] = items
	body["stream"] = true
	body["store"] = false
	if instructions != "" {
		body["instructions"] = instructions
	}
	tools(body, req)
	if text := form(req); len(text) > 0 {
		body["text"] = text
	}
	if req.MaxTokens > 0 {
		body["max_output_tokens"] = req.MaxTokens
	}
	if req.Temperature != nil {
		body["temperature"] = *req.Temperature
	}
	if req.TopP != nil {
		body["top_p"] = *req.TopP
	}
	if req.User != "" {
		body["user"] = req.User
	}
	if req.ServiceTier != "" {
		body["service_tier"] = req.ServiceTier
	}
	if len(req.Metadata) > 0 {
		body["metadata"] = req.Metadata
	}
	reasoning(body, req)
	return body
}

// form says how the answer shall look.
func form(req core.ModelRequest) map[string]any {
	text := map[string]any{}
	switch {
	case len(req.Schema) > 0:
		name := req.SchemaName
		if name == "" {
			name = "answer"
		}
		text["format"] = map[string]any{"type": "json_schema", "name": name, "schema": req.Schema, "strict": aimodels.FitsStrict(req.Schema)}
	case req.JSONObject:
		text["format"] = map[string]any{"type": "json_object"}
	}
	if req.Verbosity != "" {
		text["verbosity"] = req.Verbosity
	}
	return text
}

func tools(body map[string]any, req core.ModelRequest) {
	if len(req.Tools) == 0 {
		return
	}
	list := make([]wireTool, len(req.Tools))
	for i, t := range req.Tools {
		list[i] = wireTool{Type: "function", Name: t.Name, Description: t.Description, Parameters: t.Parameters}
		if len(t.Parameters) == 0 {
			list[i].Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		list[i].Strict = t.Strict && aimodels.FitsStrict(t.Parameters)
	}
	body["tools"] = list
	switch req.ToolChoice {
	case "":
	case "none", "required":
		body["tool_choice"] = req.ToolChoice
	default:
		body["tool_choice"] = map[string]any{"type": "function", "name": req.ToolChoice}
	}
	if req.OneTool {
		body["parallel_tool_calls"] = false
	}
}

// Budgets of thinking up to which an effort is asked for, in tokens.
const (
	lowBudget    = 2048
	mediumBudget = 8192
)

// reasoning asks for an effort, and for the encrypted thoughts that a later call carries: nothing is kept at the server.
// A model that does not think refuses to be asked for thoughts, so only a call that speaks of thinking does.
func reasoning(body map[string]any, req core.ModelRequest) {
	effort := req.Reasoning
	if effort == "" && req.ReasoningMax > 0 {
		switch {
		case req.ReasoningMax <= lowBudget:
			effort = "low"
		case req.ReasoningMax <= mediumBudget:
			effort = "medium"
		default:
			effort = "high"
		}
	}
	set := map[string]any{}
	if given, ok := body["reasoning"].(map[string]any); ok {
		maps.Copy(set, given)
	}
	if effort != "" {
		set["effort"] = effort
	}
	if len(set) == 0 && !thought(req.Messages) {
		return
	}
	if len(set) > 0 {
		body["reasoning"] = set
	}
	if _, ok := body["include"]; !ok && set["effort"] != "none" {
		body["include"] = []string{"reasoning.encrypted_content"}
	}
}

// heard refuses audio, which the dialect has no form for (CodeInvalid).
func heard(list []core.Message) *core.Error {
	for _, m := range list {
		for _, p := range m.Parts {
			if p.Kind == core.PartAudio {
				return core.Errorf(core.CodeInvalid, "models of the Responses dialect take no audio; send text, an image or a file, or use a provider of another kind")
			}
		}
	}
	return nil
}

func thought(list []core.Message) bool {
	for _, m := range list {
		for _, p := range m.Parts {
			if _, ok := core.MakerOpenAI.Own(p.Signature); ok {
				return true
			}
		}
	}
	return false
}

// input turns messages into items. System messages at the beginning are the instructions.
func input(list []core.Message) (instructions string, items []wireItem) {
	items = []wireItem{}
	for _, m := range list {
		switch {
		case m.Role == core.RoleSystem && len(items) == 0:
			if instructions != "" {
				instructions += "\n\n"
			}
			instructions += m.Text
		case m.Role == core.RoleTool:
			items = append(items, wireItem{Type: "function_call_output", CallID: m.ToolCallID, Output: content(m)})
		case m.Role == core.RoleAssistant:
			items = append(items, assistant(m)...)
		default:
			items = append(items, wireItem{Type: "message", Role: m.Role, Content: content(m)})
		}
	}
	return instructions, items
}

// assistant is what the model thought, said and called, an item each. Other makers' thoughts are left out: servers of this
// dialect take back only what their own models have signed.
func assistant(m core.Message) []wireItem {
	var out []wireItem
	for _, p := range m.Parts {
		if signature, ok := core.MakerOpenAI.Own(p.Signature); ok {
			it := wireItem{Type: "reasoning", Summary: []wirePart{}, Encrypted: signature}
			if p.Text != "" {
				it.Summary = append(it.Summary, wirePart{Type: "summary_text", Text: p.Text})
			}
			out = append(out, it)
		}
	}
	if m.Text != "" {
		out = append(out, wireItem{Type: "message", Role: m.Role, Content: m.Text})
	}
	for _, c := range m.ToolCalls {
		arguments := string(c.Arguments)
		out = append(out, wireItem{Type: "function_call", CallID: c.ID, Name: c.Name, Arguments: &arguments})
	}
	return out
}

// content is a message's text, or its parts where it is more than text.
func content(m core.Message) any {
	if len(m.Parts) == 0 {
		return m.Text
	}
	out := []wirePart{}
	for _, p := range m.Parts {
		switch p.Kind {
		case core.PartText:
			if p.Text != "" {
				out = append(out, wirePart{Type: "input_text", Text: p.Text})
			}
		case core.PartImage:
			out = append(out, wirePart{Type: "input_image", ImageURL: address(p, "image/png"), Detail: p.Detail})
		case core.PartFile:
			w := wirePart{Type: "input_file", Filename: p.Name, FileURL: p.URL}
			if len(p.Data) > 0 {
				w.FileURL, w.FileData = "", address(p, "application/pdf")
				if w.Filename == "" {
					w.Filename = "file" // the dialect wants one
				}
			}
			out = append(out, w)
		}
	}
	return out
}

// address is where a part's bytes are: its URL, or the bytes themselves as a data URL.
func address(p core.Part, otherwise string) string {
	if len(p.Data) == 0 {
		return p.URL
	}
	media := p.MediaType
	if media == "" {
		media = otherwise
	}
	return "data:" + media + ";base64," + base64.StdEncoding.EncodeToString(p.Data)
}
