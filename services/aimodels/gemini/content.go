package gemini

import (
	"encoding/json"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// unsigned stands for the signature of a call that no Gemini model has made, or whose signature a client did not keep.
// Models since 3 refuse a call without one; the API's documentation gives this value for such cases.
const unsigned = "skip_thought_signature_validator"

type wireContent struct {
	Role  string     `json:"role,omitempty"`
	Parts []wirePart `json:"parts"`
}

// wirePart is a part of any kind, in requests and answers.
type wirePart struct {
	Text      string        `json:"text,omitempty"`
	Thought   bool          `json:"thought,omitempty"`
	Signature string        `json:"thoughtSignature,omitempty"`
	Inline    *wireInline   `json:"inlineData,omitempty"`
	File      *wireFile     `json:"fileData,omitempty"`
	Call      *wireCall     `json:"functionCall,omitempty"`
	Response  *wireResponse `json:"functionResponse,omitempty"`
}

type wireInline struct {
	MediaType string `json:"mimeType"`
	Data      []byte `json:"data"` // JSON writes it in base64
}

type wireFile struct {
	MediaType string `json:"mimeType,omitempty"`
	URL       string `json:"fileUri"`
}

type wireCall struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

type wireResponse struct {
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name"`
	Response map[string]string `json:"response"`
}

// conversation takes the system messages out, in their order, and joins neighbours of the same role: the dialect has one
// system instruction, and tools' results are the user's.
func conversation(list []core.Message, g generation) (system []string, out []wireContent, err *core.Error) {
	names := map[string]string{} // of the tools, by the calls' ids: a result must tell it
	out = []wireContent{}
	for _, m := range list {
		if m.Role == core.RoleSystem {
			if strings.TrimSpace(m.Text) != "" {
				system = append(system, m.Text)
			}
			continue
		}
		role := "user"
		var parts []wirePart
		switch m.Role {
		case core.RoleTool:
			parts, err = toolResult(m, names[m.ToolCallID])
		case core.RoleAssistant:
			role = "model"
			parts, err = assistant(m, g)
			for _, c := range m.ToolCalls {
				names[c.ID] = c.Name
			}
		default:
			parts, err = translate(m.Content())
		}
		if err != nil {
			return nil, nil, err
		}
		if n := len(out); n > 0 && out[n-1].Role == role {
			out[n-1].Parts = append(out[n-1].Parts, parts...)
		} else if len(parts) > 0 { // the dialect refuses empty contents
			out = append(out, wireContent{role, parts})
		}
	}
	return system, out, nil
}

// assistant translates what a model said and called. Its signature stands where Gemini gave it: at the first call, else at
// the end of the text. What it thought does not go back.
func assistant(m core.Message, g generation) ([]wirePart, *core.Error) {
	parts, err := translate(m.Content())
	if err != nil {
		return nil, err
	}
	signature := ""
	for _, p := range m.Parts {
		if own, ok := core.MakerGemini.Own(p.Signature); ok && p.Kind == core.PartReasoning {
			signature = own
		}
	}
	for i, c := range m.ToolCalls {
		call := wirePart{Call: &wireCall{ID: c.ID, Name: c.Name, Args: c.Arguments}}
		switch {
		case i > 0: // only the first of parallel calls is signed
		case signature != "":
			call.Signature = signature
		case !g.before(3, 0):
			call.Signature = unsigned
		}
		parts = append(parts, call)
	}
	if n := len(parts); len(m.ToolCalls) == 0 && n > 0 {
		parts[n-1].Signature = signature
	}
	return parts, nil
}

// toolResult gives the text as the dialect's documentation names it; images and files follow as parts of their own.
func toolResult(m core.Message, name string) ([]wirePart, *core.Error) {
	key := "output"
	if m.IsError {
		key = "error"
	}
	if name == "" {
		name = "tool" // the call is not in the conversation; the dialect wants a name all the same
	}
	out := []wirePart{{Response: &wireResponse{ID: m.ToolCallID, Name: name, Response: map[string]string{key: m.Text}}}}
	for _, p := range m.Parts {
		if p.Kind == core.PartText {
			continue
		}
		more, err := translate([]core.Part{p})
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func translate(list []core.Part) ([]wirePart, *core.Error) {
	var out []wirePart
	for _, p := range list {
		switch p.Kind {
		case core.PartText:
			if p.Text != "" {
				out = append(out, wirePart{Text: p.Text})
			}
		case core.PartReasoning:
		case core.PartImage, core.PartFile, core.PartAudio:
			if p.URL != "" {
				out = append(out, wirePart{File: &wireFile{mediaTypeOfURL(p), p.URL}})
				continue
			}
			out = append(out, wirePart{Inline: &wireInline{mediaType(p), p.Data}})
		default:
			return nil, core.Errorf(core.CodeInvalid, "models of Gemini's dialect take no %s; send text, an image, a file or audio", p.Kind)
		}
	}
	return out, nil
}

// mediaType is the part's own, else what its first bytes say. Texts of types that the dialect does not list (JSON, YAML,
// source code) are plain text to it.
func mediaType(p core.Part) string {
	kind := p.MediaType
	if kind == "" || kind == "application/octet-stream" {
		kind = http.DetectContentType(p.Data)
	}
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.TrimSpace(strings.ToLower(kind))
	switch {
	case kind == "image/jpg":
		return "image/jpeg"
	case p.Kind == core.PartFile && strings.HasPrefix(kind, "application/") && kind != "application/pdf" && utf8.Valid(p.Data):
		return "text/plain"
	default:
		return kind
	}
}

// mediaTypeOfURL is the part's own, else what the end of the address says, else "".
func mediaTypeOfURL(p core.Part) string {
	if p.MediaType != "" {
		return p.MediaType
	}
	address, _, _ := strings.Cut(p.URL, "?")
	kind, _, _ := strings.Cut(mime.TypeByExtension(strings.ToLower(path.Ext(address))), ";")
	return kind
}
