package bedrock

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// wireBlock is a block of content, of any kind: exactly one field is set.
type wireBlock struct {
	Text       string          `json:"text,omitempty"`
	Image      *wireMedia      `json:"image,omitempty"`
	Document   *wireMedia      `json:"document,omitempty"`
	ToolUse    *wireToolUse    `json:"toolUse,omitempty"`
	ToolResult *wireToolResult `json:"toolResult,omitempty"`
	Reasoning  *wireReasoning  `json:"reasoningContent,omitempty"`
}

type wireMedia struct {
	Format string     `json:"format"`
	Name   string     `json:"name,omitempty"` // of a document, which must have one
	Source wireSource `json:"source"`
}

type wireSource struct {
	Bytes []byte  `json:"bytes,omitempty"` // JSON writes it in base64
	S3    *wireS3 `json:"s3Location,omitempty"`
}

type wireS3 struct {
	URI string `json:"uri"`
}

type wireToolUse struct {
	ID    string          `json:"toolUseId"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type wireToolResult struct {
	ID      string      `json:"toolUseId"`
	Content []wireBlock `json:"content"`
	Status  string      `json:"status,omitempty"`
}

type wireReasoning struct {
	Text     *wireThought `json:"reasoningText,omitempty"`
	Redacted string       `json:"redactedContent,omitempty"` // base64
}

type wireThought struct {
	Text      string `json:"text"`
	Signature string `json:"signature,omitempty"`
}

// translator turns content into blocks; documents need names that differ.
type translator struct {
	family    family
	documents int
}

// conversation takes the system messages out, in their order, and joins neighbours of the same role: the dialect has one
// system prompt, and tools' results are the user's.
func conversation(list []core.Message, f family) (system []wireBlock, out []wireMessage, err *core.Error) {
	t := &translator{family: f}
	out = []wireMessage{}
	for _, m := range list {
		if m.Role == core.RoleSystem {
			if strings.TrimSpace(m.Text) != "" {
				system = append(system, wireBlock{Text: m.Text})
			}
			continue
		}
		role := "user"
		var blocks []wireBlock
		switch m.Role {
		case core.RoleTool:
			blocks, err = t.toolResult(m)
		case core.RoleAssistant:
			role = "assistant"
			blocks, err = t.assistant(m)
		default:
			blocks, err = t.parts(m.Content())
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
	return system, out, nil
}

func (t *translator) assistant(m core.Message) ([]wireBlock, *core.Error) {
	blocks, err := t.parts(m.Content())
	if err != nil {
		return nil, err
	}
	for _, c := range m.ToolCalls {
		input := c.Arguments
		if len(input) == 0 {
			input = json.RawMessage("{}")
		}
		blocks = append(blocks, wireBlock{ToolUse: &wireToolUse{callID(c.ID), c.Name, input}})
	}
	return blocks, nil
}

func (t *translator) toolResult(m core.Message) ([]wireBlock, *core.Error) {
	blocks, err := t.parts(m.Content())
	if err != nil {
		return nil, err
	}
	if len(blocks) == 0 {
		blocks = []wireBlock{{Text: "(nothing)"}} // the dialect wants content, and no blank text
	}
	r := &wireToolResult{ID: callID(m.ToolCallID), Content: blocks}
	if m.IsError {
		r.Status = "error"
	}
	return []wireBlock{{ToolResult: r}}, nil
}

// maxCallID is how long an id of a call may be.
const maxCallID = 64

// callID makes an id of another provider fit: the dialect takes letters, digits, _ and -.
func callID(id string) string {
	if len(id) > maxCallID {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])[:maxCallID]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		default:
			return '_'
		}
	}, id)
}

// parts translates content. What another maker's model thought is left out: models take back only what is theirs.
func (t *translator) parts(list []core.Part) ([]wireBlock, *core.Error) {
	var out []wireBlock
	for _, p := range list {
		switch p.Kind {
		case core.PartText:
			if strings.TrimSpace(p.Text) != "" { // refused by the dialect
				out = append(out, wireBlock{Text: p.Text})
			}
		case core.PartReasoning:
			if hidden, ok := core.MakerBedrock.Own(string(p.Data)); ok {
				out = append(out, wireBlock{Reasoning: &wireReasoning{Redacted: hidden}})
			} else if signature, ok := t.family.maker().Own(p.Signature); ok {
				out = append(out, wireBlock{Reasoning: &wireReasoning{Text: &wireThought{p.Text, signature}}})
			}
		case core.PartImage:
			m, err := t.image(p)
			if err != nil {
				return nil, err
			}
			out = append(out, wireBlock{Image: m})
		case core.PartFile:
			m, err := t.document(p)
			if err != nil {
				return nil, err
			}
			out = append(out, wireBlock{Document: m})
		default:
			return nil, core.Errorf(core.CodeInvalid, "models of Bedrock take no %s; send text, an image or a document", p.Kind)
		}
	}
	return out, nil
}

func (t *translator) image(p core.Part) (*wireMedia, *core.Error) {
	kind := mediaType(p)
	format, ok := map[string]string{"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}[kind]
	if !ok && p.URL == "" {
		return nil, core.Errorf(core.CodeInvalid, "models of Bedrock take images as PNG, JPEG, GIF or WebP, not %s; convert the image", kind)
	}
	s, err := source(p)
	if err != nil {
		return nil, err
	}
	if format == "" {
		if format = ending(p.URL); format == "" || format == "jpg" {
			format = "jpeg"
		}
	}
	return &wireMedia{Format: format, Source: s}, nil
}

func (t *translator) document(p core.Part) (*wireMedia, *core.Error) {
	kind := mediaType(p)
	format := documentFormats()[kind]
	if format == "" {
		format = ending(p.URL)
	}
	if format == "" && len(p.Data) > 0 && utf8.Valid(p.Data) && !strings.Contains(string(p.Data), "\x00") {
		format = "txt"
	}
	if format == "" {
		return nil, core.Errorf(core.CodeInvalid, "models of Bedrock take documents as PDF, Word, Excel, CSV, HTML, Markdown or text, not %s; convert the file", kind)
	}
	s, err := source(p)
	if err != nil {
		return nil, err
	}
	t.documents++
	return &wireMedia{Format: format, Name: documentName(p.Name, t.documents), Source: s}, nil
}

// ending is how a file's name in an address ends, without the dot.
func ending(address string) string {
	return strings.ToLower(strings.TrimPrefix(path.Ext(address), "."))
}

func documentFormats() map[string]string {
	return map[string]string{
		"application/pdf": "pdf", "text/csv": "csv", "text/html": "html", "text/markdown": "md", "text/plain": "txt", "application/msword": "doc",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx", "application/vnd.ms-excel": "xls",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	}
}

// maxName is how long a document's name is left, in bytes; the dialect takes 200.
const maxName = 150

// documentName makes a name fit: letters, digits, single spaces, hyphens, parentheses and brackets, and no name twice.
func documentName(name string, n int) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '(', r == ')', r == '[', r == ']':
			return r
		default:
			return ' '
		}
	}, name)
	if name = strings.Join(strings.Fields(name), " "); name == "" {
		name = "document"
	}
	if len(name) > maxName {
		name = name[:maxName]
	}
	return fmt.Sprintf("%s (%d)", name, n)
}

func source(p core.Part) (wireSource, *core.Error) {
	switch {
	case p.URL == "":
		return wireSource{Bytes: p.Data}, nil
	case strings.HasPrefix(p.URL, "s3://"):
		return wireSource{S3: &wireS3{p.URL}}, nil
	default:
		return wireSource{}, core.Errorf(core.CodeInvalid, "models of Bedrock fetch nothing from the web; send the bytes of the %s, or its s3:// address", p.Kind)
	}
}

// mediaType is the part's own, else what its first bytes say, else "".
func mediaType(p core.Part) string {
	kind := p.MediaType
	if (kind == "" || kind == "application/octet-stream") && len(p.Data) > 0 {
		kind = http.DetectContentType(p.Data)
	}
	kind, _, _ = strings.Cut(kind, ";")
	return strings.TrimSpace(strings.ToLower(kind))
}
