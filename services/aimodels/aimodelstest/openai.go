package aimodelstest

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/sutazai/sutazai/core"
)

// OpenAIServer is a scripted server in OpenAI's dialect; its base URL ends in /v1.
func OpenAIServer(script Script, models ...string) *Server {
	s := newServer(script, models, openAI{}, "/v1/chat/completions", "/v1/models")
	s.mux.HandleFunc("POST /v1/embeddings", func(w http.ResponseWriter, r *http.Request) {
		model, texts, vectors, ok := s.embed(w, r)
		if !ok {
			return
		}
		data := []any{}
		for i := len(vectors) - 1; i >= 0; i-- { // in no order that a client may rely on
			data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": vectors[i]})
		}
		_, _ = w.Write(mustJSON(map[string]any{
			"object": "list", "model": model, "data": data, "usage": map[string]int{"prompt_tokens": words(texts), "total_tokens": words(texts)},
		}))
	})
	return s
}

type openAI struct{}

type openAICall struct {
	Index    int    `json:"index"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func (openAI) decode(body []byte) (core.ModelRequest, bool, error) {
	var in struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role       core.Role       `json:"role"`
			Content    json.RawMessage `json:"content"`
			ToolCalls  []openAICall    `json:"tool_calls"`
			ToolCallID string          `json:"tool_call_id"`
		} `json:"messages"`
		Tools []struct {
			Function core.ToolSpec `json:"function"`
		} `json:"tools"`
		ResponseFormat struct {
			JSONSchema struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
		MaxTokens   int      `json:"max_tokens"`
		Temperature *float64 `json:"temperature"`
		Seed        *int64   `json:"seed"`
		Stop        []string `json:"stop"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return core.ModelRequest{}, false, err
	}
	req := core.ModelRequest{
		Model: in.Model, Schema: in.ResponseFormat.JSONSchema.Schema,
		MaxTokens: in.MaxTokens, Temperature: in.Temperature, Seed: in.Seed, Stop: in.Stop,
	}
	for i, m := range in.Messages {
		msg := core.Message{Index: i, Role: m.Role, ToolCallID: m.ToolCallID}
		var err error
		if msg.Text, msg.Parts, err = openAIContent(m.Content); err != nil {
			return req, in.Stream, err
		}
		for _, c := range m.ToolCalls {
			msg.ToolCalls = append(msg.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: json.RawMessage(c.Function.Arguments)})
		}
		req.Messages = append(req.Messages, msg)
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, t.Function)
	}
	return req, in.Stream, nil
}

// openAIContent reads content that is a text, null, or a list of parts.
func openAIContent(raw json.RawMessage) (string, []core.Part, error) {
	var text string
	if len(raw) == 0 || raw[0] != '[' {
		if len(raw) == 0 {
			return "", nil, nil
		}
		err := json.Unmarshal(raw, &text)
		return text, nil, err
	}
	var list []struct {
		Type  string `json:"type"`
		Text  string `json:"text"`
		Image struct {
			URL string `json:"url"`
		} `json:"image_url"`
		File struct {
			Name string `json:"filename"`
			Data string `json:"file_data"`
		} `json:"file"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", nil, err
	}
	var parts []core.Part
	for _, p := range list {
		switch p.Type {
		case "text":
			parts = append(parts, core.Part{Kind: core.PartText, Text: p.Text})
		case "image_url":
			parts = append(parts, core.Part{Kind: core.PartImage, URL: p.Image.URL})
		case "file":
			parts = append(parts, core.Part{Kind: core.PartFile, Name: p.File.Name, URL: p.File.Data})
		default:
			return "", nil, core.Errorf(core.CodeInvalid, "a part of the type %q is not known", p.Type)
		}
	}
	return core.PartsText(parts), parts, nil
}

func (openAI) contentType(stream bool) string {
	if stream {
		return "text/event-stream"
	}
	return "application/json"
}

func (openAI) delta(text string) []byte { return sse(choice(map[string]any{"content": text}, nil)) }

func (openAI) reasoning(text string) []byte {
	return sse(choice(map[string]any{"reasoning_content": text}, nil))
}

// end streams each tool call as the real servers do: its name first, its arguments in two pieces.
func (openAI) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	for i, c := range resp.Message.ToolCalls {
		var head, first, second openAICall
		head.Index, first.Index, second.Index = i, i, i
		head.ID, head.Type, head.Function.Name = c.ID, "function", c.Name
		half := len(c.Arguments) / 2
		first.Function.Arguments, second.Function.Arguments = string(c.Arguments[:half]), string(c.Arguments[half:])
		for _, piece := range []openAICall{head, first, second} {
			out.Write(sse(choice(map[string]any{"tool_calls": []openAICall{piece}}, nil)))
		}
	}
	out.Write(sse(choice(map[string]any{}, resp.Finish)))
	out.Write(sse(map[string]any{"choices": []any{}, "usage": openAIUsage(resp)}))
	out.WriteString("data: [DONE]\n\n")
	return out.Bytes()
}

func (openAI) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	message := map[string]any{"role": "assistant", "content": resp.Message.Text}
	for _, p := range resp.Message.Parts {
		if p.Kind == core.PartReasoning {
			message["reasoning_content"] = p.Text
		}
	}
	var calls []openAICall
	for i, c := range resp.Message.ToolCalls {
		call := openAICall{Index: i, ID: c.ID, Type: "function"}
		call.Function.Name, call.Function.Arguments = c.Name, string(c.Arguments)
		calls = append(calls, call)
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	return mustJSON(map[string]any{
		"object": "chat.completion", "usage": openAIUsage(resp),
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": resp.Finish}},
	})
}

func (openAI) errorBody(status int, message string) []byte {
	code := ""
	if status == http.StatusBadRequest && bytes.Contains([]byte(message), []byte("context")) {
		code = "context_length_exceeded"
	}
	return mustJSON(map[string]any{"error": map[string]any{"message": message, "type": "scripted", "code": code}})
}

func (openAI) garbage() []byte { return []byte("data: {\"choices\": [{\"delta\": {\"con\n\n") }

func (openAI) list(models []string) []byte {
	data := []any{}
	for _, m := range models {
		data = append(data, map[string]any{"id": m, "object": "model"})
	}
	return mustJSON(map[string]any{"object": "list", "data": data})
}

func choice(delta map[string]any, finish any) map[string]any {
	return map[string]any{
		"object":  "chat.completion.chunk",
		"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
	}
}

func openAIUsage(resp core.ModelResponse) map[string]any {
	return map[string]any{
		"prompt_tokens": resp.Usage.InputTokens, "completion_tokens": resp.Usage.OutputTokens, "total_tokens": resp.Usage.Tokens(),
	}
}

func sse(v any) []byte { return append(append([]byte("data: "), mustJSON(v)...), '\n', '\n') }
