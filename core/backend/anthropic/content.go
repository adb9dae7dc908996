package anthropic

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// block is a block of content, of any kind.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Source    json.RawMessage `json:"source"` // image, document: an object; search_result: a text
	Title     string          `json:"title"`  // document, search_result
	Context   string          `json:"context"`
	ID        string          `json:"id"`          // tool_use
	Name      string          `json:"name"`        // tool_use
	Input     json.RawMessage `json:"input"`       // tool_use
	ToolUseID string          `json:"tool_use_id"` // tool_result
	Content   json.RawMessage `json:"content"`     // tool_result, search_result
	IsError   bool            `json:"is_error"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	Data      string          `json:"data"` // redacted_thinking
}

type source struct {
	Type      string          `json:"type"`
	MediaType string          `json:"media_type"`
	Data      json.RawMessage `json:"data"`
	URL       string          `json:"url"`
	Content   json.RawMessage `json:"content"`
}

// systemMessage reads the system prompt: a text, or blocks of text.
func systemMessage(raw json.RawMessage) ([]core.Message, error) {
	blocks, err := blocksOf(raw, "system")
	if err != nil || len(blocks) == 0 {
		return nil, err
	}
	m := core.Message{Role: core.RoleSystem}
	for i, b := range blocks {
		if b.Type != "text" {
			return nil, invalid(fmt.Sprintf("system.%d.type", i), "Input should be 'text'")
		}
		m.Parts = append(m.Parts, core.Part{Kind: core.PartText, Text: b.Text})
	}
	return []core.Message{settle(m)}, nil
}

// blocksOf reads content: a text, which is short for one block of it, or a list of blocks.
func blocksOf(raw json.RawMessage, field string) ([]block, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var text string
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, invalid(field, "Input should be a text or a list of blocks")
		}
		return []block{{Type: "text", Text: text}}, nil
	}
	var blocks []block
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, invalid(field, "Input should be a text or a list of blocks")
	}
	return blocks, nil
}

// messages translates a turn. The results of tools, which are blocks of a user's turn here, become messages of their own.
func (m message) messages(field string) ([]core.Message, error) {
	if len(m.Content) == 0 {
		return nil, invalid(field+".content", "Field required")
	}
	blocks, err := blocksOf(m.Content, field+".content")
	if err != nil {
		return nil, err
	}
	turn := core.Message{Role: core.Role(m.Role)}
	switch turn.Role {
	case core.RoleUser, core.RoleAssistant, core.RoleSystem:
	default:
		return nil, invalid(field+".role", "Input should be 'user', 'assistant' or 'system'")
	}
	var out []core.Message
	for i, b := range blocks {
		at := fmt.Sprintf("%s.content.%d", field, i)
		switch {
		case b.Type == "tool_result" && turn.Role == core.RoleUser:
			if len(turn.Parts) > 0 {
				out = append(out, settle(turn))
				turn.Parts = nil
			}
			result, err := b.toolResult(at)
			if err != nil {
				return nil, err
			}
			out = append(out, result)
		case b.Type == "tool_use" && turn.Role == core.RoleAssistant:
			if b.ID == "" || b.Name == "" || len(b.Input) == 0 || b.Input[0] != '{' {
				return nil, invalid(at, "a tool_use has an id, a name and an input, which is an object")
			}
			turn.ToolCalls = append(turn.ToolCalls, core.ToolCall{ID: b.ID, Name: b.Name, Arguments: b.Input})
		case b.Type == "tool_result" || b.Type == "tool_use":
			return nil, invalid(at, "a %s block cannot be in a message of the role %s", b.Type, m.Role)
		case (b.Type == "thinking" || b.Type == "redacted_thinking") && turn.Role != core.RoleAssistant:
			return nil, invalid(at, "a %s block can only be in a message of the role assistant", b.Type)
		default:
			parts, err := b.parts(at)
			if err != nil {
				return nil, err
			}
			turn.Parts = append(turn.Parts, parts...)
		}
	}
	if len(turn.Parts)+len(turn.ToolCalls) > 0 || len(out) == 0 {
		out = append(out, settle(turn))
	}
	return out, nil
}

// settle gives a message its text; parts are kept only where they say more.
func settle(m core.Message) core.Message {
	m.Text = core.PartsText(m.Parts)
	if len(m.Parts) == 1 && m.Parts[0].Kind == core.PartText {
		m.Parts = nil
	}
	return m
}

func (b block) toolResult(field string) (core.Message, error) {
	m := core.Message{Role: core.RoleTool, ToolCallID: b.ToolUseID, IsError: b.IsError}
	if b.ToolUseID == "" {
		return m, invalid(field+".tool_use_id", "Field required")
	}
	inner, err := blocksOf(b.Content, field+".content")
	if err != nil {
		return m, err
	}
	for i, c := range inner {
		at := fmt.Sprintf("%s.content.%d", field, i)
		if c.Type == "thinking" || c.Type == "redacted_thinking" {
			return m, invalid(at, "a %s block can only be in a message of the role assistant", c.Type)
		}
		parts, err := c.parts(at)
		if err != nil {
			return m, err
		}
		m.Parts = append(m.Parts, parts...)
	}
	return settle(m), nil
}

// parts translates a block that is neither a call nor a result.
func (b block) parts(field string) ([]core.Part, error) {
	switch b.Type {
	case "text":
		return []core.Part{{Kind: core.PartText, Text: b.Text}}, nil
	case "thinking":
		return []core.Part{{Kind: core.PartReasoning, Text: b.Thinking, Signature: marked(b.Signature)}}, nil
	case "redacted_thinking":
		return []core.Part{{Kind: core.PartReasoning, Data: []byte(marked(b.Data))}}, nil
	case "image":
		p, err := b.image(field + ".source")
		return []core.Part{p}, err
	case "document":
		return b.document(field + ".source")
	case "search_result":
		return b.searchResult(field)
	default:
		return nil, invalid(field, "a block of type %q can be read by Anthropic's own servers only; use a model of such a provider", b.Type)
	}
}

// marked is a signature with its maker's mark. One that has none is Claude's, for what others' models think goes out with
// their mark, and what nobody has signed says so.
func marked(signature string) string {
	if signature == core.Unsigned {
		return ""
	}
	return core.MakerAnthropic.Mark(signature)
}

// shownSignature is a signature as clients see it, who send it back with the thought.
func shownSignature(signature string) string {
	if signature == "" {
		return core.Unsigned
	}
	return core.MakerAnthropic.Shown(signature)
}

func (b block) source(field string) (source, error) {
	var s source
	if len(b.Source) == 0 || json.Unmarshal(b.Source, &s) != nil {
		return s, invalid(field, "Field required: an object with a type")
	}
	return s, nil
}

func (b block) image(field string) (core.Part, error) {
	p := core.Part{Kind: core.PartImage}
	s, err := b.source(field)
	if err != nil {
		return p, err
	}
	switch s.Type {
	case "base64":
		switch p.MediaType = s.MediaType; p.MediaType {
		case "image/jpeg", "image/png", "image/gif", "image/webp":
		default:
			return p, invalid(field+".media_type", "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'")
		}
		p.Data, err = s.bytes(field)
	case "url":
		p.URL, err = s.address(field)
	default:
		err = s.unknown(field)
	}
	return p, err
}

func (b block) document(field string) ([]core.Part, error) {
	s, err := b.source(field)
	if err != nil {
		return nil, err
	}
	p := core.Part{Kind: core.PartFile, MediaType: "application/pdf", Name: b.Title}
	var out []core.Part
	if b.Context != "" {
		out = append(out, core.Part{Kind: core.PartText, Text: b.Context})
	}
	switch s.Type {
	case "base64":
		if s.MediaType != p.MediaType {
			return nil, invalid(field+".media_type", "Input should be 'application/pdf'")
		}
		p.Data, err = s.bytes(field)
	case "text":
		var text string
		if json.Unmarshal(s.Data, &text) != nil {
			return nil, invalid(field+".data", "Field required: a text")
		}
		p.MediaType, p.Data = "text/plain", []byte(text)
	case "url":
		p.URL, err = s.address(field)
	case "content":
		return s.content(field, out)
	default:
		err = s.unknown(field)
	}
	return append(out, p), err
}

// content translates a document that is given as blocks of its own.
func (s source) content(field string, out []core.Part) ([]core.Part, error) {
	inner, err := blocksOf(s.Content, field+".content")
	if err != nil {
		return nil, err
	}
	for i, c := range inner {
		at := fmt.Sprintf("%s.content.%d", field, i)
		if c.Type != "text" && c.Type != "image" {
			return nil, invalid(at+".type", "Input should be 'text' or 'image'")
		}
		parts, err := c.parts(at)
		if err != nil {
			return nil, err
		}
		out = append(out, parts...)
	}
	return out, nil
}

// searchResult is the text of what was found, below where it was found.
func (b block) searchResult(field string) ([]core.Part, error) {
	var from string
	if json.Unmarshal(b.Source, &from) != nil {
		return nil, invalid(field+".source", "Field required: a text")
	}
	inner, err := blocksOf(b.Content, field+".content")
	if err != nil {
		return nil, err
	}
	lines := []string{b.Title, from}
	for _, c := range inner {
		lines = append(lines, c.Text)
	}
	return []core.Part{{Kind: core.PartText, Text: strings.Join(lines, "\n")}}, nil
}

func (s source) bytes(field string) ([]byte, error) {
	var b []byte // JSON's form of bytes is base64
	if err := json.Unmarshal(s.Data, &b); err != nil || len(b) == 0 {
		return nil, invalid(field+".data", "Field required: bytes in base64")
	}
	return b, nil
}

func (s source) address(field string) (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return "", invalid(field+".url", "Input should be a URL that begins with https://")
	}
	return s.URL, nil
}

func (s source) unknown(field string) error {
	if s.Type == "file" {
		return invalid(field+".type", "a file that was uploaded to Anthropic can be read by its own servers only; send its bytes in base64")
	}
	return invalid(field+".type", "Input has an unknown value: %q", s.Type)
}
