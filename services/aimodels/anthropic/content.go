package anthropic

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// wireBlock is a block of content, of any kind, in requests.
type wireBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	Source    *wireSource     `json:"source,omitempty"`      // image, document
	Title     string          `json:"title,omitempty"`       // document
	ID        string          `json:"id,omitempty"`          // tool_use
	Name      string          `json:"name,omitempty"`        // tool_use
	Input     json.RawMessage `json:"input,omitempty"`       // tool_use
	ToolUseID string          `json:"tool_use_id,omitempty"` // tool_result
	Content   any             `json:"content,omitempty"`     // tool_result: a text or blocks
	IsError   bool            `json:"is_error,omitempty"`    // tool_result
	Thinking  *string         `json:"thinking,omitempty"`    // may be empty beside its signature
	Signature string          `json:"signature,omitempty"`
	Data      string          `json:"data,omitempty"` // redacted_thinking
}

type wireSource struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type,omitempty"`
	Data      any    `json:"data,omitempty"` // bytes, which JSON writes in base64, or a text
	URL       string `json:"url,omitempty"`
}

// conversation takes the system messages out, in their order, and joins neighbours of the same role: the dialect has one
// system prompt, and tools' results are the user's.
func conversation(list []core.Message) (system []string, out []wireMessage, err *core.Error) {
	for _, m := range list {
		if m.Role == core.RoleSystem {
			if text := strings.TrimSpace(m.Text); text != "" {
				system = append(system, m.Text)
			}
			continue
		}
		role := "user"
		var blocks []wireBlock
		switch m.Role {
		case core.RoleTool:
			blocks, err = toolResult(m)
		case core.RoleAssistant:
			role = "assistant"
			blocks, err = assistant(m)
		default:
			blocks, err = parts(m.Content())
		}
		if err != nil {
			return nil, nil, err
		}
		if n := len(out); n > 0 && out[n-1].Role == role {
			out[n-1].Content = append(out[n-1].Content, blocks...)
		} else if len(blocks) > 0 { // the dialect refuses empty messages
			out = append(out, wireMessage{role, blocks})
		}
	}
	trimEnd(out)
	return system, out, nil
}

// trimEnd takes white space from the end of an answer that the model shall continue: the dialect refuses it.
func trimEnd(list []wireMessage) {
	if len(list) == 0 || list[len(list)-1].Role != "assistant" {
		return
	}
	content := list[len(list)-1].Content
	if last := &content[len(content)-1]; last.Type == "text" {
		last.Text = strings.TrimRight(last.Text, " \t\r\n")
	}
}

func assistant(m core.Message) ([]wireBlock, *core.Error) {
	blocks, err := parts(m.Content())
	if err != nil {
		return nil, err
	}
	for _, c := range m.ToolCalls {
		input := c.Arguments
		if len(input) == 0 {
			input = json.RawMessage("{}")
		}
		blocks = append(blocks, wireBlock{Type: "tool_use", ID: callID(c.ID), Name: c.Name, Input: input})
	}
	return blocks, nil
}

func toolResult(m core.Message) ([]wireBlock, *core.Error) {
	b := wireBlock{Type: "tool_result", ToolUseID: callID(m.ToolCallID), IsError: m.IsError}
	if len(m.Parts) == 0 {
		if m.Text != "" {
			b.Content = m.Text
		}
		return []wireBlock{b}, nil
	}
	blocks, err := parts(m.Parts)
	if err != nil {
		return nil, err
	}
	if len(blocks) > 0 {
		b.Content = blocks
	}
	return []wireBlock{b}, nil
}

// callID makes an id of another provider fit: the dialect takes letters, digits, _ and -.
func callID(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		default:
			return '_'
		}
	}, id)
}

// parts translates content. What another maker's model thought is left out: the dialect takes back only what its own
// models have signed.
func parts(list []core.Part) ([]wireBlock, *core.Error) {
	var out []wireBlock
	for _, p := range list {
		b, err := block(p)
		if err != nil {
			return nil, err
		}
		if b.Type != "" {
			out = append(out, b)
		}
	}
	return out, nil
}

func block(p core.Part) (wireBlock, *core.Error) {
	switch p.Kind {
	case core.PartText:
		if strings.TrimSpace(p.Text) == "" {
			return wireBlock{}, nil // refused by the dialect
		}
		return wireBlock{Type: "text", Text: p.Text}, nil
	case core.PartReasoning:
		if sealed, ok := core.MakerAnthropic.Own(string(p.Data)); ok {
			return wireBlock{Type: "redacted_thinking", Data: sealed}, nil
		}
		if signature, ok := core.MakerAnthropic.Own(p.Signature); ok {
			return wireBlock{Type: "thinking", Thinking: &p.Text, Signature: signature}, nil
		}
		return wireBlock{}, nil
	case core.PartImage:
		if p.URL != "" {
			return wireBlock{Type: "image", Source: &wireSource{Type: "url", URL: p.URL}}, nil
		}
		return wireBlock{Type: "image", Source: &wireSource{Type: "base64", MediaType: mediaType(p), Data: p.Data}}, nil
	case core.PartFile:
		return document(p)
	default:
		return wireBlock{}, core.Errorf(core.CodeInvalid, "models of Anthropic's dialect take no %s; send text, an image, a PDF or a text file", p.Kind)
	}
}

func document(p core.Part) (wireBlock, *core.Error) {
	b := wireBlock{Type: "document", Title: p.Name}
	switch kind := mediaType(p); {
	case p.URL != "":
		b.Source = &wireSource{Type: "url", URL: p.URL}
	case kind == "application/pdf":
		b.Source = &wireSource{Type: "base64", MediaType: kind, Data: p.Data}
	case utf8.Valid(p.Data) && !strings.Contains(string(p.Data), "\x00"):
		b.Source = &wireSource{Type: "text", MediaType: "text/plain", Data: string(p.Data)}
	default:
		return b, core.Errorf(core.CodeInvalid, "models of Anthropic's dialect take PDF and text files, not %s; convert the file", kind)
	}
	return b, nil
}

// mediaType is the part's own, else what its first bytes say.
func mediaType(p core.Part) string {
	kind := p.MediaType
	if kind == "" {
		kind = http.DetectContentType(p.Data)
	}
	kind, _, _ = strings.Cut(kind, ";")
	if kind = strings.TrimSpace(strings.ToLower(kind)); kind == "image/jpg" {
		return "image/jpeg"
	}
	return kind
}
