package openaicompat

import (
	"encoding/base64"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// content returns a message's text, or its parts where it is more than text. Reasoning is left out: servers of this
// dialect want none back.
func content(m core.Message) any {
	var parts []map[string]any
	onlyText := true
	for _, p := range m.Parts {
		switch p.Kind {
		case core.PartText:
			parts = append(parts, map[string]any{"type": "text", "text": p.Text})
		case core.PartImage:
			onlyText = false
			image := map[string]any{"url": address(p)}
			if p.Detail != "" {
				image["detail"] = p.Detail
			}
			parts = append(parts, map[string]any{"type": "image_url", "image_url": image})
		case core.PartFile:
			onlyText = false
			parts = append(parts, map[string]any{"type": "file", "file": map[string]any{"filename": orElse(p.Name, "file"), "file_data": address(p)}})
		case core.PartAudio:
			onlyText = false
			parts = append(parts, map[string]any{"type": "input_audio", "input_audio": map[string]any{
				"data": base64.StdEncoding.EncodeToString(p.Data), "format": strings.TrimPrefix(p.MediaType, "audio/"),
			}})
		case core.PartReasoning:
		}
	}
	if onlyText {
		return m.Text
	}
	return parts
}

func address(p core.Part) string {
	if p.URL != "" {
		return p.URL
	}
	return "data:" + orElse(p.MediaType, "application/octet-stream") + ";base64," + base64.StdEncoding.EncodeToString(p.Data)
}
