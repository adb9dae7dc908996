package ollama

import (
	"encoding/json"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// wireRequest is the body of /api/chat.
type wireRequest struct {
	Model    string          `json:"model"`
	Messages []wireMessage   `json:"messages"`
	Tools    []wireTool      `json:"tools,omitempty"`
	Format   json.RawMessage `json:"format,omitempty"`
	Think    any             `json:"think,omitempty"` // true, false, or an effort
	Stream   bool            `json:"stream"`
	Options  map[string]any  `json:"options,omitempty"`
}

type wireMessage struct {
	Role       string     `json:"role"`
	Content    string     `json:"content"`
	Thinking   string     `json:"thinking,omitempty"`
	Images     [][]byte   `json:"images,omitempty"`
	ToolCalls  []wireCall `json:"tool_calls,omitempty"`
	ToolName   string     `json:"tool_name,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// wireCall is a tool call. Its id is known to newer servers only.
type wireCall struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

type wireTool struct {
	Type     string       `json:"type"`
	Function wireToolSpec `json:"function"`
}

type wireToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

func (p *Provider) request(req core.ModelRequest) (wireRequest, error) {
	list, err := messages(req.Messages)
	return wireRequest{
		Model: req.Model, Messages: list, Tools: tools(req), Format: format(req), Think: think(req), Stream: true, Options: p.options(req),
	}, err
}

func (p *Provider) options(req core.ModelRequest) map[string]any {
	options := map[string]any{}
	if p.cfg.Context > 0 {
		options["num_ctx"] = p.cfg.Context
	}
	if req.MaxTokens > 0 {
		options["num_predict"] = req.MaxTokens
	}
	set(options, "temperature", req.Temperature)
	set(options, "top_p", req.TopP)
	set(options, "top_k", req.TopK)
	set(options, "presence_penalty", req.Presence)
	set(options, "frequency_penalty", req.Frequency)
	set(options, "seed", req.Seed)
	if len(req.Stop) > 0 {
		options["stop"] = req.Stop
	}
	return options
}

func set[T any](options map[string]any, name string, v *T) {
	if v != nil {
		options[name] = *v
	}
}

// tools are those that the model may call. The dialect cannot make a model call one; where only one may be called, the
// others are left out.
func tools(req core.ModelRequest) []wireTool {
	if req.ToolChoice == "none" {
		return nil
	}
	var list []wireTool
	named := req.ToolChoice != "" && req.ToolChoice != "required"
	for _, t := range req.Tools {
		if named && t.Name != req.ToolChoice {
			continue
		}
		parameters := t.Parameters
		if len(parameters) == 0 {
			parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		list = append(list, wireTool{Type: "function", Function: wireToolSpec{t.Name, t.Description, parameters}})
	}
	return list
}

func format(req core.ModelRequest) json.RawMessage {
	switch {
	case len(req.Schema) > 0:
		return req.Schema
	case req.JSONObject:
		return json.RawMessage(`"json"`)
	default:
		return nil
	}
}

// think is nil where the model's own default holds. Models that know no efforts take each of them for true.
func think(req core.ModelRequest) any {
	switch req.Reasoning {
	case "":
		if req.ReasoningMax > 0 { // the dialect has no bound for it
			return true
		}
		return nil
	case "none":
		return false
	case "minimal":
		return "low"
	default:
		return req.Reasoning
	}
}

// messages translates the conversation. The dialect names a tool's result by the tool, and in newer versions also by the
// call's id.
func messages(list []core.Message) ([]wireMessage, error) {
	names := map[string]string{}
	out := make([]wireMessage, 0, len(list))
	for i, m := range list {
		w := wireMessage{Role: string(m.Role), ToolName: names[m.ToolCallID], ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			names[c.ID] = c.Name
			call := wireCall{ID: c.ID}
			call.Function.Name, call.Function.Arguments = c.Name, c.Arguments
			w.ToolCalls = append(w.ToolCalls, call)
		}
		if err := w.fill(i, m.Content()); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// fill puts the parts of a message into the dialect's fields: it knows text, thinking and images given as bytes.
func (w *wireMessage) fill(index int, parts []core.Part) error {
	var texts, thoughts []string
	for _, p := range parts {
		switch {
		case p.Kind == core.PartText:
			texts = append(texts, p.Text)
		case p.Kind == core.PartReasoning:
			if p.Text != "" {
				thoughts = append(thoughts, p.Text)
			}
		case p.Kind == core.PartImage && len(p.Data) > 0:
			w.Images = append(w.Images, p.Data)
		case p.Kind == core.PartImage:
			return invalid("message %d has an image that is given as an address; Ollama does not fetch images: send its bytes", index)
		case p.Kind == core.PartFile && strings.HasPrefix(p.MediaType, "text/") && len(p.Data) > 0:
			texts = append(texts, strings.TrimPrefix(p.Name+"\n", "\n")+string(p.Data))
		default:
			return invalid("message %d has a part of the kind %q, which Ollama does not take; it takes text and images", index, p.Kind)
		}
	}
	w.Content, w.Thinking = strings.Join(texts, "\n"), strings.Join(thoughts, "\n")
	return nil
}
