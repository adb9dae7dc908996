package aimodelstest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// GeminiServer is a scripted server in the dialect of Google's Gemini API; its base URL ends in /v1beta. It gives calls no
// ids, as servers before Gemini 3 do.
func GeminiServer(script Script, models ...string) *Server {
	s := newServer(script, models, gemini{}, "/v1beta/models/{call}", "/v1beta/models")
	chat := s.mux
	s.mux = http.NewServeMux()
	s.mux.Handle("/", chat)
	s.mux.HandleFunc("POST /v1beta/models/{call}", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.PathValue("call"), ":batchEmbedContents") {
			s.geminiEmbed(w, r)
			return
		}
		s.chat(w, r)
	})
	return s
}

func (s *Server) geminiEmbed(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(w, r) {
		return
	}
	var in struct {
		Requests []struct {
			Content    geminiContent `json:"content"`
			Dimensions int           `json:"outputDimensionality"`
		} `json:"requests"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<20)).Decode(&in); err != nil {
		s.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if len(in.Requests) > 100 {
		s.fail(w, http.StatusBadRequest, "at most 100 requests can be in one batch")
		return
	}
	list := []any{}
	for _, q := range in.Requests {
		size := VectorSize
		if q.Dimensions > 0 {
			size = min(q.Dimensions, VectorSize)
		}
		text := q.Content.Parts[0].Text
		if len(text) > maxEmbedText {
			s.fail(w, http.StatusBadRequest, "The input token count exceeds the maximum number of tokens allowed")
			return
		}
		list = append(list, map[string]any{"values": Vector(text, size)})
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(mustJSON(map[string]any{"embeddings": list}))
}

type gemini struct{}

type geminiContent struct {
	Role  string       `json:"role"`
	Parts []geminiPart `json:"parts"`
}

type geminiPart struct {
	Text   string `json:"text"`
	Inline *struct {
		MediaType string `json:"mimeType"`
		Data      []byte `json:"data"`
	} `json:"inlineData"`
	File *struct {
		URL string `json:"fileUri"`
	} `json:"fileData"`
	Call *struct {
		ID   string          `json:"id"`
		Name string          `json:"name"`
		Args json.RawMessage `json:"args"`
	} `json:"functionCall"`
	Response *struct {
		ID       string            `json:"id"`
		Name     string            `json:"name"`
		Response map[string]string `json:"response"`
	} `json:"functionResponse"`
}

func (gemini) keyHeader() string { return "X-Goog-Api-Key" }

func (gemini) address(r *http.Request) (model string, stream bool) {
	name, method, _ := strings.Cut(r.PathValue("call"), ":")
	return name, method == "streamGenerateContent"
}

func (gemini) decode(body []byte) (core.ModelRequest, bool, error) {
	var in struct {
		System     geminiContent   `json:"systemInstruction"`
		Contents   []geminiContent `json:"contents"`
		Generation struct {
			Schema      json.RawMessage `json:"responseJsonSchema"`
			MaxTokens   int             `json:"maxOutputTokens"`
			Temperature *float64        `json:"temperature"`
			Seed        *int64          `json:"seed"`
			Stop        []string        `json:"stopSequences"`
		} `json:"generationConfig"`
		Tools []struct {
			Functions []struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parametersJsonSchema"`
			} `json:"functionDeclarations"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return core.ModelRequest{}, false, err
	}
	g := in.Generation
	req := core.ModelRequest{Schema: g.Schema, MaxTokens: g.MaxTokens, Temperature: g.Temperature, Seed: g.Seed, Stop: g.Stop}
	for _, p := range in.System.Parts {
		req.Messages = append(req.Messages, core.Message{Role: core.RoleSystem, Text: p.Text})
	}
	for _, c := range in.Contents {
		role := map[string]core.Role{"user": core.RoleUser, "model": core.RoleAssistant}[c.Role]
		if role == "" || len(c.Parts) == 0 {
			return req, false, core.Errorf(core.CodeInvalid, "Please use a valid role: user, model; contents must not be empty")
		}
		req.Messages = append(req.Messages, geminiMessages(role, c.Parts)...)
	}
	for i := range req.Messages {
		req.Messages[i].Index = i
	}
	for _, t := range in.Tools {
		for _, f := range t.Functions {
			req.Tools = append(req.Tools, core.ToolSpec{Name: f.Name, Description: f.Description, Parameters: f.Parameters})
		}
	}
	return req, false, nil
}

// geminiMessages makes a message of a turn, and one of each tool's result in it.
func geminiMessages(role core.Role, parts []geminiPart) []core.Message {
	var out []core.Message
	turn := core.Message{Role: role}
	for _, p := range parts {
		switch {
		case p.Inline != nil:
			turn.Parts = append(turn.Parts, core.Part{Kind: core.PartImage, MediaType: p.Inline.MediaType, Data: p.Inline.Data})
		case p.File != nil:
			turn.Parts = append(turn.Parts, core.Part{Kind: core.PartFile, URL: p.File.URL})
		case p.Call != nil:
			turn.ToolCalls = append(turn.ToolCalls, core.ToolCall{ID: p.Call.ID, Name: p.Call.Name, Arguments: p.Call.Args})
		case p.Response != nil:
			failure, failed := p.Response.Response["error"]
			out = append(out, core.Message{Role: core.RoleTool, ToolCallID: p.Response.ID, Text: p.Response.Response["output"] + failure, IsError: failed})
		default:
			turn.Text += p.Text
		}
	}
	if turn.Text != "" || len(turn.Parts)+len(turn.ToolCalls) > 0 {
		out = append(out, turn)
	}
	return out
}

func (gemini) contentType(stream bool) string {
	if stream {
		return "text/event-stream"
	}
	return "application/json; charset=UTF-8"
}

func (gemini) delta(text string) []byte {
	return sse(geminiAnswer([]any{map[string]any{"text": text}}, nil))
}

func (gemini) reasoning(text string) []byte {
	return sse(geminiAnswer([]any{map[string]any{"text": text, "thought": true}}, nil))
}

// end gives every tool call whole, as the real servers do, and then the reason with the usage.
func (gemini) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	for _, c := range resp.Message.ToolCalls {
		out.Write(sse(geminiAnswer([]any{geminiCall(c)}, nil)))
	}
	out.Write(sse(geminiAnswer([]any{map[string]any{"text": ""}}, &resp)))
	return out.Bytes()
}

func (gemini) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	parts := []any{map[string]any{"text": resp.Message.Text}}
	for _, c := range resp.Message.ToolCalls {
		parts = append(parts, geminiCall(c))
	}
	return mustJSON(geminiAnswer(parts, &resp))
}

func (gemini) errorBody(status int, message string) []byte {
	word, ok := map[int]string{
		http.StatusUnauthorized: "UNAUTHENTICATED", http.StatusForbidden: "PERMISSION_DENIED", http.StatusNotFound: "NOT_FOUND",
		http.StatusTooManyRequests: "RESOURCE_EXHAUSTED", http.StatusServiceUnavailable: "UNAVAILABLE",
	}[status]
	switch {
	case !ok && status < 500:
		word = "INVALID_ARGUMENT"
	case !ok:
		word = "INTERNAL"
	}
	return mustJSON(map[string]any{"error": map[string]any{"code": status, "message": message, "status": word}})
}

func (gemini) garbage() []byte { return []byte("data: {\"candidates\": [{\"conte\n\n") }

func (gemini) list(models []string) []byte {
	data := []any{}
	for _, m := range models {
		data = append(data, map[string]any{"name": "models/" + m, "supportedGenerationMethods": []string{"generateContent", "countTokens"}})
	}
	return mustJSON(map[string]any{"models": append(data, map[string]any{"name": "models/aqa", "supportedGenerationMethods": []string{"generateAnswer"}})})
}

func geminiCall(c core.ToolCall) any {
	return map[string]any{"functionCall": map[string]any{"name": c.Name, "args": c.Arguments}}
}

// geminiAnswer is a piece of an answer, with its end where end is given.
func geminiAnswer(parts []any, end *core.ModelResponse) map[string]any {
	candidate := map[string]any{"content": map[string]any{"role": "model", "parts": parts}, "index": 0}
	out := map[string]any{"candidates": []any{candidate}, "modelVersion": "scripted"}
	if end != nil {
		candidate["finishReason"] = geminiFinish(end.Finish)
		u := end.Usage
		out["usageMetadata"] = map[string]any{
			"promptTokenCount": u.InputTokens, "candidatesTokenCount": u.OutputTokens - u.ReasoningTokens, "totalTokenCount": u.Tokens(),
			"cachedContentTokenCount": u.CachedTokens, "thoughtsTokenCount": u.ReasoningTokens,
		}
	}
	return out
}

func geminiFinish(f core.FinishReason) string {
	switch f {
	case core.FinishLength:
		return "MAX_TOKENS"
	case core.FinishRefusal:
		return "SAFETY"
	default:
		return "STOP"
	}
}
