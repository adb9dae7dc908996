package responses

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// wireItem holds the fields of every kind of item that can be translated.
type wireItem struct {
	Type      string          `json:"type"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"` // of messages and reasoning
	Summary   []wirePart      `json:"summary"`
	Encrypted string          `json:"encrypted_content"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Output    json.RawMessage `json:"output"`
}

// wirePart holds the fields of every kind of content part.
type wirePart struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Refusal  string `json:"refusal"`
	ImageURL string `json:"image_url"`
	Detail   string `json:"detail"`
	FileID   string `json:"file_id"`
	FileData string `json:"file_data"`
	FileURL  string `json:"file_url"`
	Filename string `json:"filename"`
}

// conversation collects messages from items.
type conversation struct{ messages []core.Message }

// input adds a request's input: a text, or a list of items.
func (c *conversation) input(raw json.RawMessage) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		c.add(core.Message{Role: core.RoleUser, Text: text})
		return nil
	}
	return c.items(raw, "input", false)
}

// items adds a list of items. Those of kinds that only their provider understands are an error, or left out where
// lenient: an answer's hosted tool calls say nothing to another model.
func (c *conversation) items(raw json.RawMessage, param string, lenient bool) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return backend.OpenAIBadRequest(param, "Invalid type for '%s': expected a string or an array of items.", param)
	}
	for i, one := range list {
		at := fmt.Sprintf("%s[%d]", param, i)
		var item wireItem
		if err := json.Unmarshal(one, &item); err != nil {
			return wrongType(at, err)
		}
		if item.Type == "" && item.Role != "" {
			item.Type = "message"
		}
		switch item.Type {
		case "message", "reasoning", "function_call", "function_call_output":
		default:
			if lenient {
				continue
			}
			return backend.OpenAIBadRequest(at+".type", "Items of type '%s' are understood by the provider that makes them only; the model that answers this call takes 'message', 'reasoning', 'function_call' and 'function_call_output'.", item.Type)
		}
		if err := c.item(item, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *conversation) item(item wireItem, at string) error {
	switch item.Type {
	case "reasoning":
		parts, err := contentParts(item.Content, at+".content")
		if err != nil {
			return err
		}
		text := joined(parts)
		if text == "" {
			text = joined(item.Summary)
		}
		signature := core.MakerOpenAI.Mark(item.Encrypted) // without a mark it is OpenAI's: others' go out with theirs
		if signature == core.Unsigned {
			signature = ""
		}
		if text == "" && signature == "" {
			return nil // its content is at the provider that made it
		}
		m := c.assistant(false)
		m.Parts = m.Content()
		n := slices.IndexFunc(m.Parts, func(p core.Part) bool { return p.Kind != core.PartReasoning })
		if n < 0 {
			n = len(m.Parts)
		}
		m.Parts = slices.Insert(m.Parts, n, core.Part{Kind: core.PartReasoning, Text: text, Signature: signature})
	case "function_call":
		if item.CallID == "" || item.Name == "" {
			return backend.OpenAIBadRequest(at, "A 'function_call' needs a 'call_id' and a 'name'.")
		}
		arguments := json.RawMessage(item.Arguments)
		if strings.TrimSpace(item.Arguments) == "" {
			arguments = json.RawMessage("{}")
		}
		if !json.Valid(arguments) {
			return backend.OpenAIBadRequest(at+".arguments", "The arguments of the call '%s' are not JSON.", item.CallID)
		}
		m := c.assistant(false)
		m.ToolCalls = append(m.ToolCalls, core.ToolCall{ID: item.CallID, Name: item.Name, Arguments: arguments})
	case "function_call_output":
		if item.CallID == "" {
			return backend.OpenAIBadRequest(at+".call_id", "Missing required parameter: '%s.call_id'.", at)
		}
		m := core.Message{Role: core.RoleTool, ToolCallID: item.CallID}
		if err := content(&m, item.Output, at+".output"); err != nil {
			return err
		}
		c.add(m)
	default:
		return c.message(item, at)
	}
	return nil
}

func (c *conversation) message(item wireItem, at string) error {
	m := core.Message{}
	switch item.Role {
	case "user":
		m.Role = core.RoleUser
	case "system", "developer":
		m.Role = core.RoleSystem
	case "assistant":
		m.Role = core.RoleAssistant
	default:
		return backend.OpenAIBadRequest(at+".role", "Invalid value: '%s'. Supported values are: 'user', 'system', 'developer' and 'assistant'.", item.Role)
	}
	if len(item.Content) == 0 {
		return backend.OpenAIBadRequest(at+".content", "Missing required parameter: '%s.content'.", at)
	}
	if err := content(&m, item.Content, at+".content"); err != nil {
		return err
	}
	if m.Role != core.RoleAssistant {
		c.add(m)
		return nil
	}
	into := c.assistant(true)
	if into.Text == "" && len(into.Parts) == 0 && len(m.Parts) == 0 {
		into.Text = m.Text
		return nil
	}
	into.Parts = append(into.Content(), m.Content()...)
	into.Text = core.PartsText(into.Parts)
	return nil
}

func (c *conversation) add(m core.Message) {
	m.Index = len(c.messages)
	c.messages = append(c.messages, m)
}

// assistant returns the message that the assistant's next item belongs to. What it thinks, says and calls in one go is
// one message to other dialects; only a text behind a complete text begins another one.
func (c *conversation) assistant(text bool) *core.Message {
	if n := len(c.messages); n > 0 {
		if last := &c.messages[n-1]; last.Role == core.RoleAssistant && !(text && last.Text != "" && len(last.ToolCalls) == 0) {
			return last
		}
	}
	c.add(core.Message{Role: core.RoleAssistant})
	return &c.messages[len(c.messages)-1]
}

// content reads content that is a text or a list of parts.
func content(m *core.Message, raw json.RawMessage, param string) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &m.Text); err != nil {
			return wrongType(param, err)
		}
		return nil
	}
	list, err := contentParts(raw, param)
	if err != nil {
		return err
	}
	parts := make([]core.Part, 0, len(list))
	for i, p := range list {
		part, err := p.part(fmt.Sprintf("%s[%d]", param, i))
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	m.Text = core.PartsText(parts)
	if len(parts) > 1 || len(parts) == 1 && parts[0].Kind != core.PartText {
		m.Parts = parts
	}
	return nil
}

func contentParts(raw json.RawMessage, param string) ([]wirePart, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var list []wirePart
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, backend.OpenAIBadRequest(param, "Invalid type for '%s': expected a string or an array of parts.", param)
	}
	return list, nil
}

func joined(parts []wirePart) string {
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, "\n\n")
}

func (p wirePart) part(at string) (core.Part, error) {
	switch p.Type {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		return core.Part{Kind: core.PartText, Text: p.Text}, nil
	case "refusal":
		return core.Part{Kind: core.PartText, Text: p.Refusal}, nil
	case "input_image":
		return media(core.Part{Kind: core.PartImage, Detail: p.Detail}, p.ImageURL, "", p.FileID, at+".image_url")
	case "input_file":
		return media(core.Part{Kind: core.PartFile, Name: p.Filename}, p.FileURL, p.FileData, p.FileID, at+".file_data")
	default:
		return core.Part{}, backend.OpenAIBadRequest(at+".type", "Content of type '%s' is not supported; send 'input_text', 'input_image' or 'input_file'.", p.Type)
	}
}

// media fills a part from a URL, which may be a data URL, or from data: a data URL or plain base64.
func media(p core.Part, url, data, fileID, param string) (core.Part, error) {
	if strings.HasPrefix(url, "data:") {
		url, data = "", url
	}
	switch {
	case data != "":
		if rest, ok := strings.CutPrefix(data, "data:"); ok {
			head, body, found := strings.Cut(rest, ",")
			media, isBase64 := strings.CutSuffix(head, ";base64")
			if !found || !isBase64 {
				return p, backend.OpenAIBadRequest(param, "Invalid '%s': a data URL has the form data:<media type>;base64,<data>.", param)
			}
			p.MediaType, _, _ = strings.Cut(media, ";")
			data = body
		}
		decoded, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return p, backend.OpenAIBadRequest(param, "Invalid '%s': the data is not base64.", param)
		}
		p.Data = decoded
	case url != "":
		if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
			return p, backend.OpenAIBadRequest(param, "Invalid '%s': an address begins with https:// or http://.", param)
		}
		p.URL = url
	case fileID != "":
		return p, backend.OpenAIBadRequest(param, "A 'file_id' names a file at one provider, which the model that answers this call cannot read; send the data itself.")
	default:
		return p, backend.OpenAIBadRequest(param, "Missing required parameter: '%s'.", param)
	}
	return p, nil
}
