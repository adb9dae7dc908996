package guardrails

import (
	"strings"

	"github.com/sutazai/sutazai/core"
)

// keyRole says what the values under a key of a protocol's object are. The keys are those of the OpenAI, Anthropic, Ollama
// and Gemini protocols.
func keyRole(key []byte, object bool) (zone, role) {
	switch string(key) {
	case "model", "role", "type", "id", "object", "name", "url", "image_url", "file_url", "fileUri", "images", "format",
		"encoding_format", "media_type", "mime_type", "mimeType", "detail", "status", "finish_reason", "stop_reason",
		"finishReason", "tool_choice", "service_tier", "effort", "reasoning_effort", "verbosity", "modalities", "include",
		"truncation", "keep_alive", "voice", "created_at", "system_fingerprint", "tool_name", "allowed_tools":
		if string(key) == "format" && object { // Ollama: the schema of the answer
			return schema, skipped
		}
		return protocol, skipped
	case "data", "file_data", "signature", "encrypted_content", "thoughtSignature", "thought_signature":
		return protocol, encoded
	case "schema", "parameters", "input_schema", "responseSchema", "response_schema", "parametersJsonSchema", "responseJsonSchema":
		if object {
			return schema, skipped
		}
	case "arguments", "input":
		if object {
			return free, prose
		}
		if string(key) == "arguments" {
			return protocol, arguments
		}
	}
	if strings.HasSuffix(string(key), "_id") || strings.HasSuffix(string(key), "_ids") {
		return protocol, skipped
	}
	return protocol, prose
}

// schemaRole says which strings of a JSON Schema are texts.
func schemaRole(key []byte) role {
	switch string(key) {
	case "description", "title", "$comment":
		return prose
	}
	return skipped
}

// dataURL says whether a text is a file in itself.
func dataURL(text string) bool {
	head, _, ok := strings.Cut(text[:min(len(text), 128)], ",")
	return ok && strings.HasPrefix(head, "data:") && strings.HasSuffix(head, ";base64")
}

// opaque says whether a text is base64, or a file in itself.
func opaque(text string) bool {
	if dataURL(text) {
		return true
	}
	if rest, ok := strings.CutPrefix(text, core.SignatureMark); ok { // a signature, behind its maker's mark
		text = strings.Replace(rest, ":", "", 1)
	}
	for i := range len(text) {
		if c := text[i]; !isDigit(c) && !isLetter(c) && strings.IndexByte("+/=-_\r\n", c) < 0 {
			return false
		}
	}
	return true
}
