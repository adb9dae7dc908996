package core

import "strings"

// PartKind says what a part of a message is.
type PartKind string

// The kinds of parts.
const (
	PartText      PartKind = "text"
	PartImage     PartKind = "image"
	PartFile      PartKind = "file"
	PartAudio     PartKind = "audio"
	PartReasoning PartKind = "reasoning" // what a model thought before it answered
)

// Part is a piece of a message's content that may be more than text. An image, file or audio part has Data or URL.
type Part struct {
	Kind      PartKind
	Text      string // of text and reasoning parts
	MediaType string // such as image/png; "" where unknown
	Data      []byte
	URL       string // where the bytes are, for providers that fetch them; SutazAI itself never does
	Name      string // of a file
	Detail    string // of an image: how closely to look, in OpenAI's words (low, high, auto)
	Signature string // of reasoning: opaque behind its Maker's mark, and goes back to that maker alone
}

// Content returns what the message says in order: its parts, or its text as the only one.
func (m Message) Content() []Part {
	if len(m.Parts) > 0 || m.Text == "" {
		return m.Parts
	}
	return []Part{{Kind: PartText, Text: m.Text}}
}

// PartsText joins the text parts, which is what Message.Text of a message with parts holds.
func PartsText(parts []Part) string {
	var texts []string
	for _, p := range parts {
		if p.Kind == PartText {
			texts = append(texts, p.Text)
		}
	}
	return strings.Join(texts, "\n")
}
