package anthropic

import (
	"encoding/json"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// defaultMaxTokens is what an answer may hold where the client does not say: the dialect wants a number.
const defaultMaxTokens = 4096

// leastThinking is the smallest number of tokens that the dialect lets a model think.
const leastThinking = 1024

// jsonOnly asks for JSON in words: the dialect has no form for an object whose properties are not named.
const jsonOnly = "Answer with one JSON object and nothing else: no text around it, no code fence."

// wireRequest is the body of POST /v1/messages.
type wireRequest struct {
	Model         string          `json:"model"`
	MaxTokens     int             `json:"max_tokens"`
	System        string          `json:"system,omitempty"`
	Messages      []wireMessage   `json:"messages"`
	Tools         []wireTool      `json:"tools,omitempty"`
	ToolChoice    *wireToolChoice `json:"tool_choice,omitempty"`
	Thinking      *wireThinking   `json:"thinking,omitempty"`
	OutputConfig  *wireOutput     `json:"output_config,omitempty"`
	StopSequences []string        `json:"stop_sequences,omitempty"`
	Temperature   *float64        `json:"temperature,omitempty"`
	TopP          *float64        `json:"top_p,omitempty"`
	TopK          *int            `json:"top_k,omitempty"`
	Metadata      *wireMetadata   `json:"metadata,omitempty"`
	ServiceTier   string          `json:"service_tier,omitempty"`
	Stream        bool            `json:"stream"`
}

type wireMessage struct {
	Role    string      `json:"role"`
	Content []wireBlock `json:"content"`
}

type wireTool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	InputSchema json.RawMessage `json:"input_schema"`
	Strict      bool            `json:"strict,omitempty"`
}

type wireToolChoice struct {
	Type            string `json:"type"`
	Name            string `json:"name,omitempty"`
	DisableParallel bool   `json:"disable_parallel_tool_use,omitempty"`
}

type wireThinking struct {
	Type    string `json:"type"`
	Budget  int    `json:"budget_tokens,omitempty"`
	Display string `json:"display,omitempty"`
}

type wireOutput struct {
	Effort string      `json:"effort,omitempty"`
	Format *wireFormat `json:"format,omitempty"`
}

type wireFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

type wireMetadata struct {
	UserID string `json:"user_id"`
}

// newRequest translates a request. It refuses what the dialect has no form for (CodeInvalid). Lost are the seed, the
// penalties and the metadata, and the sampling settings with models that take none.
func newRequest(req core.ModelRequest) (*wireRequest, *core.Error) {
	g := generationOf(req.Model)
	system, messages, err := conversation(req.Messages)
	if err != nil {
		return nil, err
	}
	out := &wireRequest{
		Model: req.Model, MaxTokens: req.MaxTokens, Messages: messages, Tools: tools(req.Tools, g), ToolChoice: toolChoice(req),
		StopSequences: stops(req.Stop), ServiceTier: tier(req.ServiceTier), Stream: true,
	}
	if req.User != "" {
		out.Metadata = &wireMetadata{req.User}
	}
	asked, err := out.form(req)
	if err != nil {
		return nil, err
	}
	out.System = strings.Join(append(system, asked...), "\n\n")
	out.think(req, g)
	if out.MaxTokens <= 0 {
		out.MaxTokens = defaultMaxTokens
	}
	out.sample(req, g)
	return out, nil
}

// form asks for an answer in JSON: by the dialect's structured output, else in words, which it returns.
func (w *wireRequest) form(req core.ModelRequest) (words []string, err *core.Error) {
	if len(req.Schema) == 0 {
		if req.JSONObject {
			words = []string{jsonOnly}
		}
		return words, nil
	}
	s, ok, err := closedSchema(req.Schema)
	if err != nil {
		return nil, err
	}
	if !ok {
		return []string{jsonOnly + " It follows this JSON Schema: " + string(req.Schema)}, nil
	}
	w.output().Format = &wireFormat{"json_schema", s}
	return nil, nil
}

func (w *wireRequest) output() *wireOutput {
	if w.OutputConfig == nil {
		w.OutputConfig = &wireOutput{}
	}
	return w.OutputConfig
}

// think says how much the model may think. A tool that must be called rules thinking out.
func (w *wireRequest) think(req core.ModelRequest, g generation) {
	budget := req.ReasoningMax
	if budget <= 0 {
		budget = budgetOf(req.Reasoning)
	}
	forced := w.ToolChoice != nil && (w.ToolChoice.Type == "any" || w.ToolChoice.Type == "tool")
	switch {
	case req.Reasoning == "none" && g.alwaysThinks():
		w.output().Effort = "low"
	case req.Reasoning == "none" && g.adaptive():
		w.Thinking = &wireThinking{Type: "disabled"}
	case req.Reasoning == "none" || budget <= 0 || forced:
	case g.adaptive():
		w.Thinking = &wireThinking{Type: "adaptive", Display: "summarized"}
		w.output().Effort = effortOf(req.Reasoning, budget)
		w.leaveRoom(budget)
	default:
		w.leaveRoom(budget)
		if budget >= w.MaxTokens {
			budget = max(leastThinking, w.MaxTokens/2)
		}
		if budget = max(leastThinking, budget); budget < w.MaxTokens { // a short answer leaves no room to think
			w.Thinking = &wireThinking{Type: "enabled", Budget: budget}
		}
	}
}

// leaveRoom makes the default length larger by what the model thinks, which counts as part of it.
func (w *wireRequest) leaveRoom(thinking int) {
	if w.MaxTokens <= 0 {
		w.MaxTokens = defaultMaxTokens + thinking
	}
}

// budgetOf is how many tokens an effort is worth, 0 for none and for the model's default.
func budgetOf(effort string) int {
	switch effort {
	case "minimal":
		return leastThinking
	case "low":
		return 2048
	case "medium":
		return 8192
	case "high":
		return 24576
	default:
		return 0
	}
}

// effortOf is the effort in the dialect's words; where only tokens are given, the one that they are worth.
func effortOf(effort string, budget int) string {
	switch {
	case effort == "minimal":
		return "low"
	case effort != "":
		return effort
	case budget <= budgetOf("low"):
		return "low"
	case budget <= budgetOf("medium"):
		return "medium"
	default:
		return "high"
	}
}

// sample sets temperature, top_p and top_k as far as the model takes them.
func (w *wireRequest) sample(req core.ModelRequest, g generation) {
	if !g.sampling() || w.Thinking != nil && w.Thinking.Type != "disabled" {
		return
	}
	w.TopP, w.TopK = req.TopP, req.TopK
	if req.Temperature != nil {
		t := min(*req.Temperature, 1) // other dialects go up to 2
		w.Temperature = &t
		if g.oneSampler() {
			w.TopP = nil
		}
	}
}

// stops leaves out stop sequences of white space, which the dialect refuses.
func stops(list []string) []string {
	var out []string
	for _, s := range list {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

// tier is the service tier in the dialect's words, which has no flex and no way to demand priority.
func tier(t string) string {
	switch t {
	case "auto":
		return t
	case "default":
		return "standard_only"
	default:
		return ""
	}
}

// maxStrict is how many strict tools the dialect takes in one request.
const maxStrict = 20

// tools describes the tools. A strict one is asked for where the model knows it and the schema can be made to fit.
func tools(specs []core.ToolSpec, g generation) []wireTool {
	var out []wireTool
	strict := 0
	for _, s := range specs {
		schema := s.Parameters
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		t := wireTool{Name: s.Name, Description: s.Description, InputSchema: schema}
		if s.Strict && g.takesSchemas() && strict < maxStrict {
			if closed, ok, err := closedSchema(schema); err == nil && ok {
				t.InputSchema, t.Strict = closed, true
				strict++
			}
		}
		out = append(out, t)
	}
	return out
}

func toolChoice(req core.ModelRequest) *wireToolChoice {
	if len(req.Tools) == 0 {
		return nil
	}
	switch req.ToolChoice {
	case "":
		if !req.OneTool {
			return nil
		}
		return &wireToolChoice{Type: "auto", DisableParallel: true}
	case "none":
		return &wireToolChoice{Type: "none"}
	case "required":
		return &wireToolChoice{Type: "any", DisableParallel: req.OneTool}
	default:
		return &wireToolChoice{Type: "tool", Name: req.ToolChoice, DisableParallel: req.OneTool}
	}
}
