package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"reflect"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// Bounds of a result.
const (
	maxParts  = 200
	noteBytes = 400 // left for the note about a text that is stored
)

// render turns a result into what the model gets: text as it is, anything else as files in the workspace. A result that the
// tool calls an error becomes one.
func (t *Tool) render(res *sdk.CallToolResult, inv core.ToolInvocation) (string, error) {
	r := &rendering{tool: t, inv: inv}
	for i, c := range res.Content {
		if i == maxParts {
			r.text = append(r.text, fmt.Sprintf("[%d further parts are left out]", len(res.Content)-maxParts))
			break
		}
		r.part(c)
	}
	r.structured(res.StructuredContent)
	text := core.CleanText(strings.Join(r.text, "\n"))
	switch {
	case text == "" && res.IsError:
		text = t.spec.Name + " failed and does not say why"
	case text == "":
		text = "[the tool returned nothing]"
	}
	if most := t.server.m.o.OutputMax(); len(text) > most {
		text = r.large(text, most)
	}
	if res.IsError {
		return "", core.Errorf(core.CodeInvalid, "%s", text)
	}
	return text, nil
}

type rendering struct {
	tool  *Tool
	inv   core.ToolInvocation
	text  []string
	files int
}

func (r *rendering) part(c sdk.Content) {
	switch c := c.(type) {
	case *sdk.TextContent:
		r.text = append(r.text, c.Text)
	case *sdk.ImageContent:
		r.file("image", c.MIMEType, c.Data)
	case *sdk.AudioContent:
		r.file("sound", c.MIMEType, c.Data)
	case *sdk.EmbeddedResource:
		switch {
		case c.Resource == nil:
		case len(c.Resource.Blob) > 0:
			r.file("resource "+clip(visible(c.Resource.URI), 200), c.Resource.MIMEType, c.Resource.Blob)
		default:
			r.text = append(r.text, fmt.Sprintf("[resource %s]\n%s", clip(visible(c.Resource.URI), 200), c.Resource.Text))
		}
	case *sdk.ResourceLink:
		r.text = append(r.text, strings.TrimSpace(fmt.Sprintf("[resource %s is at %s] %s", clip(visible(c.Name), 200), clip(visible(c.URI), 500), clip(visible(c.Description), 500))))
	default:
		r.text = append(r.text, "[a part of a kind that is not known is left out]")
	}
}

// structured adds the structured result, unless the text says the same, as it should for clients that know only text.
func (r *rendering) structured(v any) {
	if v == nil {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return
	}
	for _, text := range r.text {
		var same, other any
		if json.Unmarshal([]byte(text), &same) == nil && json.Unmarshal(raw, &other) == nil && reflect.DeepEqual(same, other) {
			return
		}
	}
	r.text = append(r.text, string(raw))
}

// file puts bytes into the workspace and says where they are.
func (r *rendering) file(what, kind string, content []byte) {
	name, err := r.store(extension(kind), content)
	if err != nil {
		r.text = append(r.text, fmt.Sprintf("[%s of %d bytes; it could not be kept: %s]", what, len(content), core.MessageOf(err)))
		return
	}
	r.text = append(r.text, fmt.Sprintf("[%s of %d bytes, in the file %s]", what, len(content), name))
}

// large keeps a long text as a file and returns its beginning.
func (r *rendering) large(text string, most int) string {
	kind := ".txt"
	if json.Valid([]byte(text)) {
		kind = ".json"
	}
	name, err := r.store(kind, []byte(text))
	cut := max(0, min(len(text), most-noteBytes))
	for cut > 0 && cut < len(text) && !utf8.RuneStart(text[cut]) {
		cut--
	}
	head := text[:cut]
	if err != nil {
		return fmt.Sprintf("%s\n[cut: the result has %d bytes and could not be kept: %s. Ask for less]", head, len(text), core.MessageOf(err))
	}
	return fmt.Sprintf("%s\n[cut: the whole result of %d bytes is in the file %s; read on with read_file, or look into it with search_files]", head, len(text), name)
}

// store puts a file into the workspace of the run. A repeated call writes the same file.
func (r *rendering) store(extension string, content []byte) (string, error) {
	if r.inv.Workspace == "" {
		return "", core.Errorf(core.CodeInvalid, "there is no workspace here")
	}
	r.files++
	sum := sha256.Sum256([]byte(r.inv.IdempotencyKey))
	tool := strings.Map(func(c rune) rune {
		if c == '/' || c == '.' {
			return '-'
		}
		return c
	}, r.tool.name)
	name := path.Join("mcp", r.tool.server.spec.Name, fmt.Sprintf("%s-%s-%d%s", clip(tool, 60), hex.EncodeToString(sum[:4]), r.files, extension))
	return name, r.tool.server.m.o.Files.Attach(r.inv.Workspace, []core.File{{Name: name, Content: content}})
}

// extension is the end of a file's name for a media type. Never one by which a file could be run.
func extension(kind string) string {
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return ".bin"
	}
	switch media {
	case "image/png":
		return ".png"
	case "image/jpeg":
		return ".jpg"
	case "image/gif":
		return ".gif"
	case "image/webp":
		return ".webp"
	case "audio/wav", "audio/x-wav":
		return ".wav"
	case "audio/mpeg":
		return ".mp3"
	case "application/pdf":
		return ".pdf"
	case "application/json":
		return ".json"
	case "text/csv":
		return ".csv"
	}
	if strings.HasPrefix(media, "text/") {
		return ".txt"
	}
	return ".bin"
}
