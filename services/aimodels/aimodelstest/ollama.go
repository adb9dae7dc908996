package aimodelstest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// OllamaServer is a scripted server in Ollama's native dialect.
func OllamaServer(script Script, models ...string) *Server {
	s := newServer(script, models, ollama{}, "/api/chat", "/api/tags")
	s.mux.HandleFunc("POST /api/show", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(mustJSON(map[string]any{"capabilities": []string{"completion", "tools"}}))
	})
	prompts := newServer(script, models, ollamaGenerate{}, "/api/generate", "/none")
	s.mux.HandleFunc("POST /api/generate", func(w http.ResponseWriter, r *http.Request) {
		if s.authorized(w, r) {
			prompts.ServeHTTP(w, r)
		}
	})
	s.mux.HandleFunc("POST /api/embed", func(w http.ResponseWriter, r *http.Request) {
		if model, texts, vectors, ok := s.embed(w, r); ok {
			_, _ = w.Write(mustJSON(map[string]any{"model": model, "embeddings": vectors, "prompt_eval_count": words(texts)}))
		}
	})
	return s
}

type ollama struct{}

type ollamaCall struct {
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

func (ollama) decode(body []byte) (core.ModelRequest, bool, error) {
	var in struct {
		Model    string `json:"model"`
		Stream   *bool  `json:"stream"`
		Messages []struct {
			Role      core.Role    `json:"role"`
			Content   string       `json:"content"`
			Thinking  string       `json:"thinking"`
			Images    [][]byte     `json:"images"`
			ToolCalls []ollamaCall `json:"tool_calls"`
			ToolName  string       `json:"tool_name"`
		} `json:"messages"`
		Tools []struct {
			Function core.ToolSpec `json:"function"`
		} `json:"tools"`
		Format  json.RawMessage `json:"format"`
		Think   json.RawMessage `json:"think"`
		Options struct {
			NumPredict  int      `json:"num_predict"`
			Temperature *float64 `json:"temperature"`
			TopP        *float64 `json:"top_p"`
			TopK        *int     `json:"top_k"`
			Presence    *float64 `json:"presence_penalty"`
			Frequency   *float64 `json:"frequency_penalty"`
			Seed        *int64   `json:"seed"`
			Stop        []string `json:"stop"`
		} `json:"options"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return core.ModelRequest{}, false, err
	}
	o := in.Options
	req := core.ModelRequest{
		Model: in.Model, MaxTokens: o.NumPredict, Temperature: o.Temperature, TopP: o.TopP, TopK: o.TopK, Presence: o.Presence,
		Frequency: o.Frequency, Seed: o.Seed, Stop: o.Stop, Reasoning: strings.Trim(string(in.Think), `"`),
	}
	if string(in.Format) == `"json"` {
		req.JSONObject = true
	} else {
		req.Schema = in.Format
	}
	for i, m := range in.Messages {
		msg := core.Message{Index: i, Role: m.Role, Text: m.Content, ToolCallID: m.ToolName}
		if m.Thinking != "" || len(m.Images) > 0 {
			msg.Parts = append(msg.Parts, core.Part{Kind: core.PartReasoning, Text: m.Thinking}, core.Part{Kind: core.PartText, Text: m.Content})
			for _, data := range m.Images {
				msg.Parts = append(msg.Parts, core.Part{Kind: core.PartImage, Data: data})
			}
		}
		for _, c := range m.ToolCalls {
			msg.ToolCalls = append(msg.ToolCalls, core.ToolCall{Name: c.Function.Name, Arguments: c.Function.Arguments})
		}
		req.Messages = append(req.Messages, msg)
	}
	for _, t := range in.Tools {
		req.Tools = append(req.Tools, t.Function)
	}
	return req, in.Stream == nil || *in.Stream, nil
}

func (ollama) contentType(stream bool) string {
	if stream {
		return "application/x-ndjson"
	}
	return "application/json"
}

func (ollama) delta(text string) []byte {
	return line(map[string]any{"message": map[string]any{"role": "assistant", "content": text}, "done": false})
}

func (ollama) reasoning(text string) []byte {
	return line(map[string]any{"message": map[string]any{"role": "assistant", "content": "", "thinking": text}, "done": false})
}

func (ollama) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out []byte
	if calls := ollamaCalls(resp); len(calls) > 0 {
		out = line(map[string]any{"message": map[string]any{"role": "assistant", "content": "", "tool_calls": calls}, "done": false})
	}
	return append(out, line(ollamaDone(resp, map[string]any{"role": "assistant", "content": ""}))...)
}

func (ollama) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	message := map[string]any{"role": "assistant", "content": resp.Message.Text}
	for _, p := range resp.Message.Parts {
		if p.Kind == core.PartReasoning {
			message["thinking"] = p.Text
		}
	}
	if calls := ollamaCalls(resp); len(calls) > 0 {
		message["tool_calls"] = calls
	}
	return mustJSON(ollamaDone(resp, message))
}

func ollamaCalls(resp core.ModelResponse) []ollamaCall {
	var calls []ollamaCall
	for _, c := range resp.Message.ToolCalls {
		var call ollamaCall
		call.Function.Name, call.Function.Arguments = c.Name, c.Arguments
		calls = append(calls, call)
	}
	return calls
}

func ollamaDone(resp core.ModelResponse, message map[string]any) map[string]any {
	reason := "stop"
	if resp.Finish == core.FinishLength {
		reason = "length"
	}
	return map[string]any{
		"message": message, "done": true, "done_reason": reason,
		"prompt_eval_count": resp.Usage.InputTokens, "eval_count": resp.Usage.OutputTokens,
	}
}

func (ollama) errorBody(status int, message string) []byte {
	if status == http.StatusNotFound {
		message = "model not found: " + message
	}
	return mustJSON(map[string]any{"error": message})
}

func (ollama) garbage() []byte { return []byte("{\"message\": {\"con\n") }

func (ollama) list(models []string) []byte {
	data := []any{}
	for _, m := range models {
		data = append(data, map[string]any{"name": m, "model": m})
	}
	return mustJSON(map[string]any{"models": data})
}

func line(v any) []byte { return append(mustJSON(v), '\n') }
