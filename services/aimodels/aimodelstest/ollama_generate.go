package aimodelstest

import (
	"encoding/json"

	"github.com/sutazai/sutazai/core"
)

// ollamaGenerate is the form of Ollama's dialect for one prompt without a conversation.
type ollamaGenerate struct{ ollama }

func (ollamaGenerate) decode(body []byte) (core.ModelRequest, bool, error) {
	req, stream, err := ollama{}.decode(body)
	if err != nil {
		return req, stream, err
	}
	var in struct {
		System string   `json:"system"`
		Prompt string   `json:"prompt"`
		Images [][]byte `json:"images"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return req, stream, err
	}
	if in.System != "" {
		req.Messages = append(req.Messages, core.Message{Role: core.RoleSystem, Text: in.System})
	}
	user := core.Message{Index: len(req.Messages), Role: core.RoleUser, Text: in.Prompt}
	for _, data := range in.Images {
		user.Parts = append(user.Parts, core.Part{Kind: core.PartImage, Data: data})
	}
	req.Messages = append(req.Messages, user)
	return req, stream, nil
}

func (ollamaGenerate) delta(text string) []byte {
	return line(map[string]any{"response": text, "done": false})
}

func (ollamaGenerate) reasoning(text string) []byte {
	return line(map[string]any{"response": "", "thinking": text, "done": false})
}

func (g ollamaGenerate) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	return line(g.done(resp, ""))
}

func (g ollamaGenerate) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	return mustJSON(g.done(resp, resp.Message.Text))
}

func (ollamaGenerate) done(resp core.ModelResponse, text string) map[string]any {
	d := ollamaDone(resp, nil)
	delete(d, "message")
	d["response"] = text
	return d
}
