package aimodelstest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/sutazai/sutazai/core"
)

// BedrockServer is a scripted server in the dialect of AWS Bedrock's Converse API, which lists models too; its base URL is
// the server's root. Key is a Bedrock API key.
func BedrockServer(script Script, models ...string) *Server {
	s := newServer(script, models, bedrock{}, "/model/{model}/{operation}", "/foundation-models")
	s.mux.HandleFunc("GET /inference-profiles", func(w http.ResponseWriter, r *http.Request) {
		if !s.authorized(w, r) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"inferenceProfileSummaries":[]}`))
	})
	return s
}

type bedrock struct{}

type bedrockBlock struct {
	Text  string `json:"text"`
	Image *struct {
		Format string `json:"format"`
		Source struct {
			Bytes []byte `json:"bytes"`
		} `json:"source"`
	} `json:"image"`
	Document *struct {
		Name   string `json:"name"`
		Source struct {
			Bytes []byte `json:"bytes"`
		} `json:"source"`
	} `json:"document"`
	ToolUse *struct {
		ID    string          `json:"toolUseId"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
	} `json:"toolUse"`
	ToolResult *struct {
		ID      string         `json:"toolUseId"`
		Content []bedrockBlock `json:"content"`
		Status  string         `json:"status"`
	} `json:"toolResult"`
}

func (bedrock) address(r *http.Request) (model string, stream bool) {
	return r.PathValue("model"), r.PathValue("operation") == "converse-stream"
}

func (bedrock) decode(body []byte) (core.ModelRequest, bool, error) {
	var in struct {
		System   []bedrockBlock `json:"system"`
		Messages []struct {
			Role    core.Role      `json:"role"`
			Content []bedrockBlock `json:"content"`
		} `json:"messages"`
		Inference struct {
			MaxTokens   int      `json:"maxTokens"`
			Temperature *float64 `json:"temperature"`
			Stop        []string `json:"stopSequences"`
		} `json:"inferenceConfig"`
		Tools struct {
			Tools []struct {
				Spec struct {
					Name        string `json:"name"`
					Description string `json:"description"`
					Schema      struct {
						JSON json.RawMessage `json:"json"`
					} `json:"inputSchema"`
				} `json:"toolSpec"`
			} `json:"tools"`
		} `json:"toolConfig"`
		Output struct {
			Format struct {
				Structure struct {
					Schema struct {
						Schema string `json:"schema"`
					} `json:"jsonSchema"`
				} `json:"structure"`
			} `json:"textFormat"`
		} `json:"outputConfig"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return core.ModelRequest{}, false, err
	}
	req := core.ModelRequest{MaxTokens: in.Inference.MaxTokens, Temperature: in.Inference.Temperature, Stop: in.Inference.Stop}
	if schema := in.Output.Format.Structure.Schema.Schema; schema != "" {
		req.Schema = json.RawMessage(schema)
	}
	for _, b := range in.System {
		req.Messages = append(req.Messages, core.Message{Role: core.RoleSystem, Text: b.Text})
	}
	for _, m := range in.Messages {
		if m.Role != core.RoleUser && m.Role != core.RoleAssistant || len(m.Content) == 0 {
			return req, false, core.Errorf(core.CodeInvalid, "The role %q is not known, or the message is empty", m.Role)
		}
		req.Messages = append(req.Messages, bedrockMessages(m.Role, m.Content)...)
	}
	for i := range req.Messages {
		req.Messages[i].Index = i
	}
	for _, t := range in.Tools.Tools {
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Spec.Name, Description: t.Spec.Description, Parameters: t.Spec.Schema.JSON})
	}
	return req, false, nil
}

// bedrockMessages makes a message of a turn, and one of each tool's result in it.
func bedrockMessages(role core.Role, blocks []bedrockBlock) []core.Message {
	var out []core.Message
	turn := core.Message{Role: role}
	for _, b := range blocks {
		switch {
		case b.Image != nil:
			turn.Parts = append(turn.Parts, core.Part{Kind: core.PartImage, MediaType: "image/" + b.Image.Format, Data: b.Image.Source.Bytes})
		case b.Document != nil:
			turn.Parts = append(turn.Parts, core.Part{Kind: core.PartFile, Name: b.Document.Name, Data: b.Document.Source.Bytes})
		case b.ToolUse != nil:
			turn.ToolCalls = append(turn.ToolCalls, core.ToolCall{ID: b.ToolUse.ID, Name: b.ToolUse.Name, Arguments: b.ToolUse.Input})
		case b.ToolResult != nil:
			m := core.Message{Role: core.RoleTool, ToolCallID: b.ToolResult.ID, IsError: b.ToolResult.Status == "error"}
			for _, c := range b.ToolResult.Content {
				m.Text += c.Text
			}
			out = append(out, m)
		default:
			turn.Text += b.Text
		}
	}
	if turn.Text != "" || len(turn.Parts)+len(turn.ToolCalls) > 0 {
		out = append(out, turn)
	}
	return out
}

func (bedrock) contentType(stream bool) string {
	if stream {
		return "application/vnd.amazon.eventstream"
	}
	return "application/json"
}

func (bedrock) begin() []byte {
	return BedrockEvent("event", "messageStart", map[string]any{"role": "assistant"})
}

func (bedrock) delta(text string) []byte {
	return BedrockEvent("event", "contentBlockDelta", map[string]any{"contentBlockIndex": 1, "delta": map[string]any{"text": text}})
}

func (bedrock) reasoning(text string) []byte {
	return BedrockEvent("event", "contentBlockDelta", map[string]any{"contentBlockIndex": 0, "delta": map[string]any{"reasoningContent": map[string]any{"text": text}}})
}

// end streams each tool call as the real servers do: its name first, its arguments in pieces.
func (bedrock) end(_ core.ModelRequest, resp core.ModelResponse) []byte {
	var out bytes.Buffer
	event := func(name string, payload any) { out.Write(BedrockEvent("event", name, payload)) }
	event("contentBlockStop", map[string]any{"contentBlockIndex": 1})
	for i, c := range resp.Message.ToolCalls {
		index := i + 2
		half := len(c.Arguments) / 2
		event("contentBlockStart", map[string]any{"contentBlockIndex": index, "start": map[string]any{"toolUse": map[string]any{"toolUseId": c.ID, "name": c.Name}}})
		for _, piece := range []string{"", string(c.Arguments[:half]), string(c.Arguments[half:])} {
			event("contentBlockDelta", map[string]any{"contentBlockIndex": index, "delta": map[string]any{"toolUse": map[string]any{"input": piece}}})
		}
		event("contentBlockStop", map[string]any{"contentBlockIndex": index})
	}
	event("messageStop", map[string]any{"stopReason": bedrockStop(resp.Finish)})
	event("metadata", map[string]any{"usage": bedrockUsage(resp), "metrics": map[string]any{"latencyMs": 1}})
	return out.Bytes()
}

func (bedrock) whole(_ core.ModelRequest, resp core.ModelResponse) []byte {
	content := []any{}
	if resp.Message.Text != "" {
		content = append(content, map[string]any{"text": resp.Message.Text})
	}
	for _, c := range resp.Message.ToolCalls {
		content = append(content, map[string]any{"toolUse": map[string]any{"toolUseId": c.ID, "name": c.Name, "input": c.Arguments}})
	}
	return mustJSON(map[string]any{
		"output": map[string]any{"message": map[string]any{"role": "assistant", "content": content}}, "stopReason": bedrockStop(resp.Finish), "usage": bedrockUsage(resp),
	})
}

func (bedrock) errorBody(_ int, message string) []byte {
	return mustJSON(map[string]any{"message": message})
}

func (bedrock) garbage() []byte { return []byte(`{"contentBlockIndex": 0, "delta": {"te`) }

func (bedrock) list(models []string) []byte {
	data := []any{map[string]any{"modelId": "stability.image", "outputModalities": []string{"IMAGE"}, "inferenceTypesSupported": []string{"ON_DEMAND"}}}
	for _, m := range models {
		data = append(data, map[string]any{"modelId": m, "outputModalities": []string{"TEXT"}, "inferenceTypesSupported": []string{"ON_DEMAND"}})
	}
	return mustJSON(map[string]any{"modelSummaries": data})
}

// BedrockEvent is one binary event of a stream: kind is event or exception, name what it is of that kind.
func BedrockEvent(kind, name string, payload any) []byte {
	m := eventstream.Message{Payload: mustJSON(payload)}
	m.Headers.Set(":message-type", eventstream.StringValue(kind))
	m.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	m.Headers.Set(":content-type", eventstream.StringValue("application/json"))
	var out bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&out, m); err != nil {
		panic("encode an event: " + err.Error())
	}
	return out.Bytes()
}

func bedrockUsage(resp core.ModelResponse) map[string]any {
	u := resp.Usage
	return map[string]any{
		"inputTokens": u.InputTokens - u.CachedTokens, "outputTokens": u.OutputTokens, "totalTokens": u.Tokens(), "cacheReadInputTokens": u.CachedTokens, "cacheWriteInputTokens": 0,
	}
}

func bedrockStop(f core.FinishReason) string {
	return strings.NewReplacer("stop", "end_turn", "length", "max_tokens", "tool_calls", "tool_use", "content_filter", "content_filtered").Replace(string(f))
}
