package gemini

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// jsonOnly asks for JSON in words, where the dialect has no form for it.
const jsonOnly = "Answer with one JSON object and nothing else: no text around it, no code fence."

// wireRequest is the body of a call.
type wireRequest struct {
	System     *wireContent    `json:"systemInstruction,omitempty"`
	Contents   []wireContent   `json:"contents"`
	Tools      []wireTools     `json:"tools,omitempty"`
	ToolConfig *wireToolConfig `json:"toolConfig,omitempty"`
	Generation wireGeneration  `json:"generationConfig"`
	Tier       string          `json:"serviceTier,omitempty"`
}

type wireTools struct {
	Functions []wireFunction `json:"functionDeclarations"`
}

type wireFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parametersJsonSchema,omitempty"` // left out for a function without any
}

type wireToolConfig struct {
	Calling wireCalling `json:"functionCallingConfig"`
}

type wireCalling struct {
	Mode    string   `json:"mode"`
	Allowed []string `json:"allowedFunctionNames,omitempty"`
}

type wireGeneration struct {
	Stop        []string        `json:"stopSequences,omitempty"`
	MediaType   string          `json:"responseMimeType,omitempty"`
	Schema      json.RawMessage `json:"responseJsonSchema,omitempty"`
	MaxTokens   int             `json:"maxOutputTokens,omitempty"`
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"topP,omitempty"`
	TopK        *int            `json:"topK,omitempty"`
	Seed        *int32          `json:"seed,omitempty"`
	Presence    *float64        `json:"presencePenalty,omitempty"`
	Frequency   *float64        `json:"frequencyPenalty,omitempty"`
	Thinking    *wireThinking   `json:"thinkingConfig,omitempty"`
	Resolution  string          `json:"mediaResolution,omitempty"`
}

type wireThinking struct {
	Budget  *int   `json:"thinkingBudget,omitempty"`
	Level   string `json:"thinkingLevel,omitempty"`
	Include bool   `json:"includeThoughts,omitempty"`
}

// newRequest translates a request. It refuses what the dialect has no form for (CodeInvalid). Lost are the user, the metadata,
// the verbosity, the name of a schema and that a tool is strict; a bound of one tool call is kept by dropping the others of
// an answer.
func newRequest(req core.ModelRequest) (*wireRequest, *core.Error) {
	g := generationOf(req.Model)
	system, contents, err := conversation(req.Messages, g)
	if err != nil {
		return nil, err
	}
	out := &wireRequest{Contents: contents, Generation: wireGeneration{
		Stop: req.Stop, MaxTokens: req.MaxTokens, Temperature: req.Temperature, TopP: req.TopP, TopK: req.TopK,
		Presence: req.Presence, Frequency: req.Frequency, Thinking: g.thinking(req),
		Resolution: resolution(req.Messages),
	}, Tier: tier(req.ServiceTier)}
	if req.Seed != nil {
		out.Generation.Seed = new(int32(*req.Seed)) //nolint:gosec // the dialect's seeds have 32 bits; the same one stays the same
	}
	out.tools(req)
	if words := out.form(req, g); words != "" {
		system = append(system, words)
	}
	if len(system) > 0 {
		out.System = &wireContent{Parts: []wirePart{{Text: strings.Join(system, "\n\n")}}}
	}
	return out, nil
}

// tier is the service tier in the dialect's words.
func tier(t string) string {
	switch t {
	case "flex", "priority":
		return t
	case "default":
		return "standard"
	default:
		return ""
	}
}

// resolution says how closely to look at images, of which the dialect can only speak for all together: high where one of
// them wants it, low where every one does.
func resolution(list []core.Message) string {
	low := false
	for _, m := range list {
		for _, p := range m.Parts {
			switch {
			case p.Kind != core.PartImage:
			case p.Detail == "high":
				return "MEDIA_RESOLUTION_HIGH"
			case p.Detail == "low":
				low = true
			}
		}
	}
	all := func(p core.Part) bool { return p.Kind == core.PartImage && p.Detail != "low" }
	if !low || slices.ContainsFunc(list, func(m core.Message) bool { return slices.ContainsFunc(m.Parts, all) }) {
		return ""
	}
	return "MEDIA_RESOLUTION_LOW"
}

// form asks for an answer in JSON: in the dialect's own form, else in words, which it returns. Models before 3 refuse the
// form beside tools.
func (w *wireRequest) form(req core.ModelRequest, g generation) (words string) {
	if len(req.Schema) == 0 && !req.JSONObject {
		return ""
	}
	if len(w.Tools) > 0 && g.before(3, 0) {
		if len(req.Schema) == 0 {
			return jsonOnly
		}
		return jsonOnly + " It follows this JSON Schema: " + string(req.Schema)
	}
	w.Generation.MediaType, w.Generation.Schema = "application/json", req.Schema
	return ""
}

func (w *wireRequest) tools(req core.ModelRequest) {
	if len(req.Tools) == 0 {
		return
	}
	var list []wireFunction
	for _, t := range req.Tools {
		list = append(list, wireFunction{t.Name, t.Description, t.Parameters})
	}
	w.Tools = []wireTools{{list}}
	switch req.ToolChoice {
	case "":
	case "none":
		w.ToolConfig = &wireToolConfig{wireCalling{Mode: "NONE"}}
	case "required":
		w.ToolConfig = &wireToolConfig{wireCalling{Mode: "ANY"}}
	default:
		w.ToolConfig = &wireToolConfig{wireCalling{Mode: "ANY", Allowed: []string{req.ToolChoice}}}
	}
}
