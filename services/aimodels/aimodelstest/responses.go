package aimodelstest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// ResponsesServer is a scripted server in the Responses dialect; its base URL ends in /v1.
func ResponsesServer(script Script, models ...string) *Server {
	return newServer(script, models, &responses{}, "/v1/responses", "/v1/models")
}

// responses writes one answer: its items have the places in which they are begun.
type responses struct {
	id      string
	seq     int
	items   []map[string]any
	message map[string]any // being streamed; nil = not begun
	thought map[string]any
}

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

func (*responses) decode(body []byte) (core.ModelRequest, bool, error) {
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

func (*responses) fresh() dialect { return &responses{id: "resp_" + strings.ToLower(rand.Text())} }

func (*responses) contentType(stream bool) string { return openAI{}.contentType(stream) }

func (r *responses) begin() []byte {
	return append(r.event("response.created", map[string]any{"response": r.object("in_progress")}),
		r.event("response.in_progress", map[string]any{"response": r.object("in_progress")})...)
}

// open begins an item.
func (r *responses) open(kind string, fields map[string]any) (item map[string]any, out []byte) {
	item = map[string]any{"type": kind, "id": kind + "_" + strings.ToLower(rand.Text()), "status": "in_progress"}
	maps.Copy(item, fields)
	r.items = append(r.items, item)
	return item, r.event("response.output_item.added", map[string]any{"output_index": len(r.items) - 1, "item": item})
}

// done ends an item.
func (r *responses) done(item, fields map[string]any) []byte {
	maps.Copy(item, fields)
	item["status"] = "completed"
	return r.event("response.output_item.done", map[string]any{"output_index": r.index(item), "item": item})
}

func (r *responses) index(item map[string]any) int {
	return slices.IndexFunc(r.items, func(other map[string]any) bool { return other["id"] == item["id"] })
}

func (r *responses) delta(text string) []byte {
	var out []byte
	if r.message == nil {
		r.message, out = r.open("message", map[string]any{"role": "assistant", "content": []any{}})
		out = append(out, r.event("response.content_part.added", r.at(r.message, "content_index", map[string]any{"part": responsesText("")}))...)
	}
	return append(out, r.event("response.output_text.delta", r.at(r.message, "content_index", map[string]any{"delta": text, "logprobs": []any{}}))...)
}

func (r *responses) reasoning(text string) []byte {
	var out []byte
	if r.thought == nil {
		r.thought, out = r.open("reasoning", map[string]any{"summary": []any{}})
		out = append(out, r.event("response.reasoning_summary_part.added", r.at(r.thought, "summary_index", map[string]any{"part": responsesSummary("")}))...)
	}
	return append(out, r.event("response.reasoning_summary_text.delta", r.at(r.thought, "summary_index", map[string]any{"delta": text}))...)
}

func (r *responses) at(item map[string]any, index string, fields map[string]any) map[string]any {
	fields["item_id"], fields["output_index"], fields[index] = item["id"], r.index(item), 0
	return fields
}

func (r *responses) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	r.finish(resp, &out)
	o := r.complete(resp)
	out.Write(r.event("response."+o["status"].(string), map[string]any{"response": o}))
	return out.Bytes()
}

func (r *responses) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	r.finish(resp, &out)
	return mustJSON(r.complete(resp))
}

// finish completes the items that were streamed, and adds the others.
func (r *responses) finish(resp core.ModelResponse, out *bytes.Buffer) {
	begin := func(kind string, fields map[string]any) map[string]any {
		item, b := r.open(kind, fields)
		out.Write(b)
		return item
	}
	for _, p := range resp.Message.Parts {
		if p.Kind != core.PartReasoning {
			continue
		}
		item := r.thought
		if item == nil {
			item = begin("reasoning", map[string]any{"summary": []any{}})
		}
		r.thought = nil
		fields := map[string]any{"encrypted_content": p.Signature, "summary": []any{}}
		if p.Text != "" {
			fields["summary"] = []any{responsesSummary(p.Text)}
		}
		out.Write(r.done(item, fields))
	}
	if text := resp.Message.Text; text != "" {
		if r.message == nil {
			r.message = begin("message", map[string]any{"role": "assistant", "content": []any{}})
		}
		out.Write(r.event("response.output_text.done", r.at(r.message, "content_index", map[string]any{"text": text, "logprobs": []any{}})))
		out.Write(r.event("response.content_part.done", r.at(r.message, "content_index", map[string]any{"part": responsesText(text)})))
		out.Write(r.done(r.message, map[string]any{"content": []any{responsesText(text)}}))
	}
	for _, c := range resp.Message.ToolCalls {
		arguments := string(c.Arguments)
		item := begin("function_call", map[string]any{"call_id": c.ID, "name": c.Name, "arguments": ""})
		for _, piece := range []string{arguments[:len(arguments)/2], arguments[len(arguments)/2:]} {
			out.Write(r.event("response.function_call_arguments.delta", map[string]any{"item_id": item["id"], "output_index": r.index(item), "delta": piece}))
		}
		out.Write(r.event("response.function_call_arguments.done", map[string]any{"item_id": item["id"], "output_index": r.index(item), "name": c.Name, "arguments": arguments}))
		out.Write(r.done(item, map[string]any{"arguments": arguments}))
	}
}

// complete is the response object at its end.
func (r *responses) complete(resp core.ModelResponse) map[string]any {
	o := r.object("completed")
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
	o["output"] = append([]map[string]any{}, r.items...)
	return o
}

func (r *responses) object(status string) map[string]any {
	return map[string]any{
		"id": r.id, "object": "response", "created_at": 1, "model": "default", "status": status, "output": []any{},
		"error": nil, "incomplete_details": nil, "tools": []any{}, "tool_choice": "auto", "parallel_tool_calls": true, "metadata": map[string]any{},
	}
}

func responsesText(text string) map[string]any {
	return map[string]any{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func responsesSummary(text string) map[string]any {
	return map[string]any{"type": "summary_text", "text": text}
}

func (r *responses) event(name string, fields map[string]any) []byte {
	fields["type"], fields["sequence_number"] = name, r.seq
	r.seq++
	return append([]byte("event: "+name+"\n"), sse(fields)...)
}

func (*responses) errorBody(status int, message string) []byte {
	return openAI{}.errorBody(status, message)
}

func (*responses) garbage() []byte {
	return []byte("event: response.output_text.delta\ndata: {\"type\": \"response.output_te\n\n")
}

func (*responses) list(models []string) []byte { return openAI{}.list(models) }
