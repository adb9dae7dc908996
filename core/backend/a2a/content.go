package a2a

import (
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

// content is what a message of a client says.
type content struct {
	text  string // text parts, and structured data as JSON
	data  []map[string]any
	files []core.File
}

// read takes a message apart. Files come as bytes: this server fetches nothing that a message points at.
func read(m *a2a.Message) (content, error) {
	var (
		c     content
		texts []string
	)
	for i, part := range m.Parts {
		field := fmt.Sprintf("message.parts.%d", i)
		if part == nil {
			return c, wrong(field, "it is empty")
		}
		switch v := part.Content.(type) {
		case a2a.Text:
			texts = append(texts, string(v))
		case a2a.Data:
			if object, ok := v.Value.(map[string]any); ok {
				c.data = append(c.data, object)
			}
			b, err := json.Marshal(v.Value)
			if err != nil {
				return c, wrong(field+".data", "it cannot be written as JSON")
			}
			texts = append(texts, "```json\n"+string(b)+"\n```")
		case a2a.Raw:
			name := part.Filename
			if name == "" {
				name = fmt.Sprintf("file-%d%s", i+1, extension(part.MediaType))
			}
			c.files = append(c.files, core.File{Name: name, Content: v})
		case a2a.URL:
			return c, refuse(a2a.ErrUnsupportedContentType, field+": files by their address are not fetched; send the bytes as raw")
		default:
			return c, wrong(field, "it has none of text, raw, data and url")
		}
	}
	c.text = core.CleanText(strings.Join(texts, "\n"))
	if len(c.files) > 64 {
		return c, wrong("message.parts", "there are more than 64 files")
	}
	return c, nil
}

// extension is the usual ending of a media type's files.
func extension(kind string) string {
	switch kind, _, _ := strings.Cut(kind, ";"); kind {
	case "text/plain":
		return ".txt"
	case "image/jpeg":
		return ".jpg"
	default:
		ext, err := mime.ExtensionsByType(kind)
		if err != nil || len(ext) == 0 {
			return ""
		}
		return ext[0]
	}
}

func mediaType(name string) string {
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

// accepts says whether a client takes what agents answer with: text.
func accepts(c *a2a.SendMessageConfig) bool {
	if c == nil || len(c.AcceptedOutputModes) == 0 {
		return true
	}
	return slices.ContainsFunc(c.AcceptedOutputModes, func(mode string) bool {
		mode, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(mode)), ";")
		return mode == "*/*" || mode == "text" || strings.HasPrefix(mode, "text/") || mode == "application/json"
	})
}
