package ollama

import (
	"encoding/json"
	"net/http"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

type generateRequest struct {
	common
	Prompt   string          `json:"prompt"`
	System   string          `json:"system"`
	Images   [][]byte        `json:"images"`
	Suffix   string          `json:"suffix"`
	Template string          `json:"template"`
	Raw      bool            `json:"raw"`
	Context  json.RawMessage `json:"context"`
}

// generate answers POST /api/generate: one prompt without a conversation.
func (h *handler) generate(w http.ResponseWriter, r *http.Request) {
	h.answer(w, r, dialect.OllamaGenerate, decodeGenerate, func(body dialect.Object) bool {
		prompt := string(body.Get("prompt"))
		images := string(body.Get("images"))
		return (prompt == "" || prompt == `""`) && (images == "" || images == "[]")
	})
}

func decodeGenerate(body []byte) (core.ModelRequest, error) {
	var q generateRequest
	if err := decode(body, &q); err != nil {
		return core.ModelRequest{}, err
	}
	req, err := q.request()
	if err != nil {
		return req, err
	}
	foreign := func(field string) error {
		return badRequest("%s is understood by an Ollama server only; the model %s is behind another one: use prompt and system, or /api/chat", field, q.Model)
	}
	switch context := string(q.Context); {
	case q.Suffix != "":
		return req, foreign("suffix")
	case q.Template != "":
		return req, foreign("template")
	case q.Raw:
		return req, foreign("raw")
	case context != "" && context != "null" && context != "[]":
		return req, foreign("context")
	}
	if q.System != "" {
		req.Messages = append(req.Messages, core.Message{Role: core.RoleSystem, Text: q.System})
	}
	user := core.Message{Index: len(req.Messages), Role: core.RoleUser, Text: q.Prompt}
	images, err := imageParts("images", q.Images)
	if err != nil {
		return req, err
	}
	if len(images) > 0 {
		if q.Prompt != "" {
			user.Parts = []core.Part{{Kind: core.PartText, Text: q.Prompt}}
		}
		user.Parts = append(user.Parts, images...)
	}
	req.Messages = append(req.Messages, user)
	return req, nil
}
