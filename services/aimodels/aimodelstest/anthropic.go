package aimodelstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/sutazai/sutazai/core"
)

// AnthropicServer is a scripted server in Anthropic's Messages dialect; its base URL ends in /v1.
func AnthropicServer(script Script, models ...string) *Server {
	return newServer(script, models, anthropic{}, "/v1/messages", "/v1/models")
}

type anthropic struct{}

type anthropicBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	Content   json.RawMessage `json:"content"`
	IsError   bool            `json:"is_error"`
	Source    struct {
		Type      string          `json:"type"`
		MediaType string          `json:"media_type"`
		Data      json.RawMessage `json:"data"`
		URL       string          `json:"url"`
	} `json:"source"`
}

func (anthropic) keyHeader() string { return "X-Api-Key" }

func (anthropic) decode(body []byte) (core.ModelRequest, bool, error) {
	var in struct {
		Model     string `json:"model"`
		MaxTokens *int   `json:"max_tokens"`
		System    string `json:"system"`
		Stream    bool   `json:"stream"`
		Messages  []struct {
			Role    core.Role       `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		Tools []struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			InputSchema json.RawMessage `json:"input_schema"`
		} `json:"tools"`
		OutputConfig struct {
			Format struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"format"`
		} `json:"output_config"`
		Temperature   *float64 `json:"temperature"`
		StopSequences []string `json:"stop_sequences"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return core.ModelRequest{}, false, err
	}
	if in.MaxTokens == nil {
		return core.ModelRequest{}, false, core.Errorf(core.CodeInvalid, "max_tokens: Field required")
	}
	req := core.ModelRequest{
		Model: in.Model, Schema: in.OutputConfig.Format.Schema, MaxTokens: *in.MaxTokens, Temperature: in.Temperature, Stop: in.StopSequences,
	}
	if in.System != "" {
		req.Messages = append(req.Messages, core.Message{Role: core.RoleSystem, Text: in.System})
	}
	for _, m := range in.Messages {
		if m.Role != core.RoleUser && m.Role != core.RoleAssistant {
			return req, in.Stream, core.Errorf(core.CodeInvalid, "messages: the role %q is not known", m.Role)
		}
		list, err := anthropicMessages(m.Role, m.Content)
		if err != nil {
			return req, in.Stream, err
		}
		req.Messages = append(req.Messages, list...)
	}
	for i := range req.Messages {
		req.Messages[i].Index = i
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Name, Description: t.Description, Parameters: t.InputSchema})
	}
	return req, in.Stream, nil
}

// anthropicMessages makes a message of a turn, and one of each tool's result in it.
func anthropicMessages(role core.Role, content json.RawMessage) ([]core.Message, error) {
	blocks, err := anthropicBlocks(content)
	if err != nil {
		return nil, err
	}
	var out []core.Message
	turn := core.Message{Role: role}
	for _, b := range blocks {
		switch b.Type {
		case "text":
			turn.Text += b.Text
		case "image", "document":
			kind := map[string]core.PartKind{"image": core.PartImage, "document": core.PartFile}[b.Type]
			part := core.Part{Kind: kind, MediaType: b.Source.MediaType, URL: b.Source.URL}
			if b.Source.Type == "base64" {
				if err := json.Unmarshal(b.Source.Data, &part.Data); err != nil {
					return nil, err
				}
			}
			turn.Parts = append(turn.Parts, part)
		case "tool_use":
			turn.ToolCalls = append(turn.ToolCalls, core.ToolCall{ID: b.ID, Name: b.Name, Arguments: b.Input})
		case "tool_result":
			inner, err := anthropicBlocks(b.Content)
			if err != nil {
				return nil, err
			}
			m := core.Message{Role: core.RoleTool, ToolCallID: b.ToolUseID, IsError: b.IsError}
			for _, i := range inner {
				m.Text += i.Text
			}
			out = append(out, m)
		}
	}
	if turn.Text != "" || len(turn.Parts)+len(turn.ToolCalls) > 0 {
		out = append(out, turn)
	}
	return out, nil
}

func anthropicBlocks(content json.RawMessage) (blocks []anthropicBlock, err error) {
	var text string
	if len(content) == 0 {
		return nil, nil
	}
	if json.Unmarshal(content, &text) == nil {
		return []anthropicBlock{{Type: "text", Text: text}}, nil
	}
	return blocks, json.Unmarshal(content, &blocks)
}

func (anthropic) contentType(stream bool) string {
	if stream {
		return "text/event-stream; charset=utf-8"
	}
	return "application/json"
}

// begin opens the message and its first block, which holds the text.
func (anthropic) begin() []byte {
	var out bytes.Buffer
	out.Write(anthropicEvent("message_start", map[string]any{"message": anthropicMessage(nil, nil, map[string]any{"input_tokens": 0, "output_tokens": 0})}))
	out.Write(anthropicStart(0, map[string]any{"type": "text", "text": ""}))
	out.Write(anthropicEvent("ping", map[string]any{}))
	return out.Bytes()
}

func (anthropic) delta(text string) []byte {
	return anthropicDelta(0, map[string]any{"type": "text_delta", "text": text})
}

// end streams each tool call as the real servers do: its name first, its arguments in pieces. Before them comes what the
// script has signed.
func (anthropic) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	out.Write(anthropicEvent("content_block_stop", map[string]any{"index": 0}))
	i := 0
	for _, p := range anthropicThoughts(resp) {
		i++
		out.Write(anthropicStart(i, map[string]any{"type": "thinking", "thinking": "", "signature": ""}))
		out.Write(anthropicDelta(i, map[string]any{"type": "thinking_delta", "thinking": p.Text}))
		out.Write(anthropicDelta(i, map[string]any{"type": "signature_delta", "signature": p.Signature}))
		out.Write(anthropicEvent("content_block_stop", map[string]any{"index": i}))
	}
	for _, c := range resp.Message.ToolCalls {
		half := len(c.Arguments) / 2
		out.Write(anthropicStart(i+1, map[string]any{"type": "tool_use", "id": c.ID, "name": c.Name, "input": struct{}{}}))
		for _, piece := range []string{"", string(c.Arguments[:half]), string(c.Arguments[half:])} {
			out.Write(anthropicDelta(i+1, map[string]any{"type": "input_json_delta", "partial_json": piece}))
		}
		i++
		out.Write(anthropicEvent("content_block_stop", map[string]any{"index": i}))
	}
	stop := map[string]any{"stop_reason": anthropicStop(resp.Finish), "stop_sequence": nil}
	out.Write(anthropicEvent("message_delta", map[string]any{"delta": stop, "usage": anthropicUsage(resp)}))
	out.Write(anthropicEvent("message_stop", map[string]any{}))
	return out.Bytes()
}

func (anthropic) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	content := []any{}
	for _, p := range anthropicThoughts(resp) {
		content = append(content, map[string]any{"type": "thinking", "thinking": p.Text, "signature": p.Signature})
	}
	if resp.Message.Text != "" {
		content = append(content, map[string]any{"type": "text", "text": resp.Message.Text})
	}
	for _, c := range resp.Message.ToolCalls {
		content = append(content, map[string]any{"type": "tool_use", "id": c.ID, "name": c.Name, "input": c.Arguments})
	}
	return mustJSON(anthropicMessage(content, anthropicStop(resp.Finish), anthropicUsage(resp)))
}

// anthropicThoughts are the thoughts of an answer that have a signature.
func anthropicThoughts(resp core.ModelResponse) []core.Part {
	var out []core.Part
	for _, p := range resp.Message.Parts {
		if p.Kind == core.PartReasoning && p.Signature != "" {
			out = append(out, p)
		}
	}
	return out
}

func (anthropic) errorBody(status int, message string) []byte {
	kind, ok := map[int]string{
		http.StatusUnauthorized: "authentication_error", http.StatusForbidden: "permission_error", http.StatusNotFound: "not_found_error",
		http.StatusRequestEntityTooLarge: "request_too_large", http.StatusTooManyRequests: "rate_limit_error", 529: "overloaded_error",
	}[status]
	switch {
	case !ok && status < 500:
		kind = "invalid_request_error"
	case !ok:
		kind = "api_error"
	}
	return mustJSON(map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": message}, "request_id": "req_scripted"})
}

func (anthropic) garbage() []byte {
	return []byte("event: content_block_delta\ndata: {\"type\": \"content_bl\n\n")
}

func (anthropic) list(models []string) []byte {
	data := []any{}
	for _, m := range models {
		data = append(data, map[string]any{"type": "model", "id": m, "display_name": m, "created_at": "2025-01-01T00:00:00Z"})
	}
	return mustJSON(map[string]any{"data": data, "has_more": false, "first_id": models[0], "last_id": models[len(models)-1]})
}

func anthropicMessage(content []any, stop any, usage any) map[string]any {
	if content == nil {
		content = []any{}
	}
	return map[string]any{
		"id": "msg_scripted", "type": "message", "role": "assistant", "model": "scripted", "content": content,
		"stop_reason": stop, "stop_sequence": nil, "usage": usage,
	}
}

func anthropicStart(index int, block any) []byte {
	return anthropicEvent("content_block_start", map[string]any{"index": index, "content_block": block})
}

func anthropicDelta(index int, delta any) []byte {
	return anthropicEvent("content_block_delta", map[string]any{"index": index, "delta": delta})
}

func anthropicEvent(name string, fields map[string]any) []byte {
	fields["type"] = name
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, mustJSON(fields))
}

func anthropicUsage(resp core.ModelResponse) map[string]any {
	return map[string]any{
		"input_tokens": resp.Usage.InputTokens - resp.Usage.CachedTokens, "output_tokens": resp.Usage.OutputTokens,
		"cache_read_input_tokens": resp.Usage.CachedTokens, "cache_creation_input_tokens": 0,
	}
}

func anthropicStop(f core.FinishReason) string {
	switch f {
	case core.FinishLength:
		return "max_tokens"
	case core.FinishTools:
		return "tool_use"
	case core.FinishRefusal:
		return "refusal"
	default:
		return "end_turn"
	}
}
