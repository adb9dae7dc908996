package aimodelstest

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// ResponsesServer is a scripted server in the Responses dialect; its base URL ends in /v1.
func ResponsesServer(script Script, models ...string) *Server {
	return newServer(script, models, responses{}, "/v1/responses", "/v1/models")
}

type responses struct{}

// responsesID is the id of every scripted response.
const responsesID = "resp_scripted"

type responsesItem struct {
	Type      string          `json:"type"`
	Role      core.Role       `json:"role"`
	Content   json.RawMessage `json:"content"`
	Summary   []responsesPart `json:"summary"`
	Encrypted string          `json:"encrypted_content"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Output    json.RawMessage `json:"output"`
}

type responsesPart struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	ImageURL string `json:"image_url"`
	FileData string `json:"file_data"`
	FileURL  string `json:"file_url"`
	Filename string `json:"filename"`
}

func (responses) decode(body []byte) (core.ModelRequest, bool, error) {
	var in struct {
		Model        string          `json:"model"`
		Instructions string          `json:"instructions"`
		Input        json.RawMessage `json:"input"`
		Stream       bool            `json:"stream"`
		Tools        []core.ToolSpec `json:"tools"`
		Text         struct {
			Format struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"format"`
		} `json:"text"`
		Reasoning struct {
			Effort string `json:"effort"`
		} `json:"reasoning"`
		MaxOutputTokens int      `json:"max_output_tokens"`
		Temperature     *float64 `json:"temperature"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return core.ModelRequest{}, false, err
	}
	req := core.ModelRequest{
		Model: in.Model, Tools: in.Tools, Schema: in.Text.Format.Schema, MaxTokens: in.MaxOutputTokens, Temperature: in.Temperature,
		Reasoning: in.Reasoning.Effort,
	}
	add := func(m core.Message) {
		m.Index = len(req.Messages)
		req.Messages = append(req.Messages, m)
	}
	if in.Instructions != "" {
		add(core.Message{Role: core.RoleSystem, Text: in.Instructions})
	}
	var text string
	if json.Unmarshal(in.Input, &text) == nil {
		add(core.Message{Role: core.RoleUser, Text: text})
		return req, in.Stream, nil
	}
	var items []responsesItem
	if err := json.Unmarshal(in.Input, &items); err != nil {
		return req, in.Stream, err
	}
	var thought []core.Part
	for _, it := range items {
		m := core.Message{Role: core.RoleAssistant, Parts: thought}
		var content json.RawMessage
		switch it.Type {
		case "reasoning":
			p := core.Part{Kind: core.PartReasoning, Signature: it.Encrypted}
			for _, s := range it.Summary {
				p.Text += s.Text
			}
			thought = append(thought, p)
			continue
		case "function_call":
			m.ToolCalls = []core.ToolCall{{ID: it.CallID, Name: it.Name, Arguments: json.RawMessage(it.Arguments)}}
		case "function_call_output":
			m.Role, m.ToolCallID, content = core.RoleTool, it.CallID, it.Output
		case "", "message":
			m.Role, content = it.Role, it.Content
		default:
			return req, in.Stream, core.Errorf(core.CodeInvalid, "input: items of type %q are not known", it.Type)
		}
		thought = nil
		if err := responsesContent(&m, content); err != nil {
			return req, in.Stream, err
		}
		add(m)
	}
	return req, in.Stream, nil
}

func responsesContent(m *core.Message, content json.RawMessage) error {
	if len(content) == 0 || json.Unmarshal(content, &m.Text) == nil {
		return nil
	}
	var parts []responsesPart
	if err := json.Unmarshal(content, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		part := core.Part{Kind: core.PartText, Text: p.Text}
		url := p.ImageURL + p.FileData + p.FileURL
		switch p.Type {
		case "input_image":
			part.Kind = core.PartImage
		case "input_file":
			part.Kind, part.Name = core.PartFile, p.Filename
		default:
			m.Text += p.Text
		}
		if head, data, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,"); ok {
			part.MediaType = head
			if err := json.Unmarshal(mustJSON(data), &part.Data); err != nil {
				return err
			}
		} else {
			part.URL = url
		}
		m.Parts = append(m.Parts, part)
	}
	return nil
}

func (responses) contentType(stream bool) string { return openAI{}.contentType(stream) }

// begin opens the message that texts belong to.
func (responses) begin() []byte {
	return bytes.Join([][]byte{
		responsesEvent("response.created", map[string]any{"response": responsesObject("in_progress", nil)}),
		responsesEvent("response.in_progress", map[string]any{"response": responsesObject("in_progress", nil)}),
		responsesEvent("response.output_item.added", map[string]any{"output_index": 0, "item": responsesMessage("", "in_progress")}),
		responsesEvent("response.content_part.added", map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": responsesText("")}),
	}, nil)
}

func (responses) delta(text string) []byte {
	return responsesEvent("response.output_text.delta", map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": text, "logprobs": []any{}})
}

func (responses) reasoning(text string) []byte {
	return responsesEvent("response.reasoning_summary_text.delta", map[string]any{"item_id": "rs_1", "output_index": 1, "summary_index": 0, "delta": text})
}

func (responses) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	items := responsesItems(resp)
	for i, it := range items {
		out.Write(responsesEvent("response.output_item.done", map[string]any{"output_index": i, "item": it}))
	}
	o := responsesWhole(resp, items)
	out.Write(responsesEvent("response."+o["status"].(string), map[string]any{"response": o}))
	return out.Bytes()
}

func (responses) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	return mustJSON(responsesWhole(resp, responsesItems(resp)))
}

func responsesItems(resp core.ModelResponse) []any {
	items := []any{}
	for _, p := range resp.Message.Parts {
		if p.Kind == core.PartReasoning {
			summary := []any{}
			if p.Text != "" {
				summary = append(summary, map[string]any{"type": "summary_text", "text": p.Text})
			}
			items = append(items, map[string]any{"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": p.Signature})
		}
	}
	if resp.Message.Text != "" {
		items = append(items, responsesMessage(resp.Message.Text, "completed"))
	}
	for _, c := range resp.Message.ToolCalls {
		items = append(items, map[string]any{
			"type": "function_call", "id": "fc_" + c.ID, "call_id": c.ID, "name": c.Name, "arguments": string(c.Arguments), "status": "completed",
		})
	}
	return items
}

func responsesWhole(resp core.ModelResponse, items []any) map[string]any {
	o := responsesObject("completed", items)
	switch resp.Finish {
	case core.FinishLength:
		o["status"], o["incomplete_details"] = "incomplete", map[string]any{"reason": "max_output_tokens"}
	case core.FinishRefusal:
		o["status"], o["incomplete_details"] = "incomplete", map[string]any{"reason": "content_filter"}
	}
	u := resp.Usage
	o["usage"] = map[string]any{
		"input_tokens": u.InputTokens, "input_tokens_details": map[string]any{"cached_tokens": u.CachedTokens},
		"output_tokens": u.OutputTokens, "output_tokens_details": map[string]any{"reasoning_tokens": u.ReasoningTokens},
		"total_tokens": u.Tokens(),
	}
	return o
}

func responsesObject(status string, items []any) map[string]any {
	if items == nil {
		items = []any{}
	}
	return map[string]any{
		"id": responsesID, "object": "response", "created_at": 1, "model": "default", "status": status, "output": items,
		"error": nil, "incomplete_details": nil, "tools": []any{}, "tool_choice": "auto", "parallel_tool_calls": true, "metadata": map[string]any{},
	}
}

func responsesMessage(text, status string) map[string]any {
	content := []any{}
	if text != "" {
		content = append(content, responsesText(text))
	}
	return map[string]any{"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": content}
}

func responsesText(text string) map[string]any {
	return map[string]any{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func responsesEvent(name string, fields map[string]any) []byte {
	fields["type"] = name
	return append([]byte("event: "+name+"\n"), sse(fields)...)
}

func (responses) errorBody(status int, message string) []byte {
	return openAI{}.errorBody(status, message)
}

func (responses) garbage() []byte {
	return []byte("event: response.output_text.delta\ndata: {\"type\": \"response.output_te\n\n")
}

func (responses) list(models []string) []byte { return openAI{}.list(models) }
