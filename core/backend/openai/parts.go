package openai

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

type chatPart struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Refusal  string `json:"refusal"`
	ImageURL struct {
		URL    string `json:"url"`
		Detail string `json:"detail"`
	} `json:"image_url"`
	File struct {
		Name string `json:"filename"`
		Data string `json:"file_data"`
		ID   string `json:"file_id"`
	} `json:"file"`
	Audio struct {
		Data   string `json:"data"`
		Format string `json:"format"`
	} `json:"input_audio"`
}

// partsOf reads content that is a text, null, or a list of parts.
func partsOf(content json.RawMessage, param string) ([]core.Part, error) {
	if len(content) == 0 || string(content) == "null" {
		return nil, nil
	}
	var text string
	if json.Unmarshal(content, &text) == nil {
		return []core.Part{{Kind: core.PartText, Text: text}}, nil
	}
	var parts []chatPart
	if json.Unmarshal(content, &parts) != nil {
		return nil, backend.OpenAIBadRequest(param, "Invalid type for '%s': expected a string or an array of parts.", param)
	}
	out := make([]core.Part, 0, len(parts))
	for _, p := range parts {
		part, err := p.part(param)
		if err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	return out, nil
}

func (p chatPart) part(param string) (core.Part, error) {
	switch p.Type {
	case "text":
		return core.Part{Kind: core.PartText, Text: p.Text}, nil
	case "refusal":
		return core.Part{Kind: core.PartText, Text: p.Refusal}, nil
	case "image_url":
		part := core.Part{Kind: core.PartImage, Detail: p.ImageURL.Detail}
		return bytesOf(part, p.ImageURL.URL, param)
	case "file":
		if p.File.Data == "" {
			return core.Part{}, backend.OpenAIBadRequest(param, "A part of type 'file' needs 'file_data': files are not kept on this server, so that a 'file_id' means nothing.")
		}
		return bytesOf(core.Part{Kind: core.PartFile, Name: p.File.Name}, p.File.Data, param)
	case "input_audio":
		data, err := base64.StdEncoding.DecodeString(p.Audio.Data)
		if err != nil {
			return core.Part{}, backend.OpenAIBadRequest(param, "The 'data' of a part of type 'input_audio' is not base64.")
		}
		return core.Part{Kind: core.PartAudio, MediaType: "audio/" + p.Audio.Format, Data: data}, nil
	default:
		return core.Part{}, backend.OpenAIBadRequest(param, "Content parts of type '%s' are not supported; supported are 'text', 'image_url', 'file' and 'input_audio'.", p.Type)
	}
}

// bytesOf fills in what a data: URL holds, or keeps the address of anything else.
func bytesOf(part core.Part, address, param string) (core.Part, error) {
	rest, ok := strings.CutPrefix(address, "data:")
	if !ok {
		if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
			return part, backend.OpenAIBadRequest(param, "The address of a part must be a data:, https:// or http:// URL.")
		}
		part.URL = address
		return part, nil
	}
	head, data, ok := strings.Cut(rest, ",")
	media, base64ed := strings.CutSuffix(head, ";base64")
	if !ok || !base64ed {
		return part, backend.OpenAIBadRequest(param, "A data: URL must have the form 'data:image/png;base64,…'.")
	}
	var err error
	if part.Data, err = base64.StdEncoding.DecodeString(data); err != nil {
		return part, backend.OpenAIBadRequest(param, "The data: URL does not hold base64.")
	}
	part.MediaType = media
	return part, nil
}
