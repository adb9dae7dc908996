package bedrock

import (
	"encoding/json"
	"regexp"
	"slices"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/anthropic"
)

const (
	// jsonOnly asks for JSON in words, where the dialect has no form for it.
	jsonOnly = "Answer with one JSON object and nothing else: no text around it, no code fence."
	// noTools stands for a choice that the dialect does not have.
	noTools = "Call no tool now: answer with text."
	// answerTool is called with the answer, by models that take no schema but that of a tool.
	answerTool = "answer"
)

// wireRequest is the body of POST /model/{model}/converse-stream.
type wireRequest struct {
	Messages  []wireMessage     `json:"messages"`
	System    []wireBlock       `json:"system,omitempty"`
	Inference *wireInference    `json:"inferenceConfig,omitempty"`
	Tools     *wireTools        `json:"toolConfig,omitempty"`
	Output    *wireOutput       `json:"outputConfig,omitempty"`
	Further   map[string]any    `json:"additionalModelRequestFields,omitempty"`
	Paths     []string          `json:"additionalModelResponseFieldPaths,omitempty"`
	Metadata  map[string]string `json:"requestMetadata,omitempty"`

	form string // the tool that is called with the answer; "" = the answer is text
}

type wireMessage struct {
	Role    string      `json:"role"`
	Content []wireBlock `json:"content"`
}

type wireInference struct {
	MaxTokens   int      `json:"maxTokens,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
	TopP        *float64 `json:"topP,omitempty"`
	Stop        []string `json:"stopSequences,omitempty"`
}

type wireTools struct {
	Tools  []wireTool                `json:"tools"`
	Choice map[string]wireToolChoice `json:"toolChoice,omitempty"`
}

type wireTool struct {
	Spec wireToolSpec `json:"toolSpec"`
}

type wireToolSpec struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Schema      wireSchema `json:"inputSchema"`
	Strict      bool       `json:"strict,omitempty"`
}

type wireSchema struct {
	JSON json.RawMessage `json:"json"`
}

type wireToolChoice struct {
	Name string `json:"name,omitempty"`
}

type wireOutput struct {
	Text wireFormat `json:"textFormat"`
}

type wireFormat struct {
	Type      string        `json:"type"`
	Structure wireStructure `json:"structure"`
}

type wireStructure struct {
	Schema wireTextSchema `json:"jsonSchema"`
}

type wireTextSchema struct {
	Name   string `json:"name"`
	Schema string `json:"schema"` // JSON in a string
}

// newRequest translates a request. It refuses what the dialect has no form for (CodeInvalid). Lost are the seed, the
// penalties, the user, the verbosity and the service tier, which most models refuse, and top_k and reasoning with families of models that have no known field for it; a bound of one
// tool call is kept by dropping the others of an answer.
func newRequest(req core.ModelRequest) (*wireRequest, *core.Error) {
	f := familyOf(req.Model)
	system, messages, err := conversation(req.Messages, f)
	if err != nil {
		return nil, err
	}
	out := &wireRequest{Messages: messages, System: system, Metadata: notes(req.Metadata)}
	choice, barred := out.tools(req, f)
	if err := out.shape(req, f, barred, &choice); err != nil {
		return nil, err
	}
	if barred && out.form == "" {
		out.System = append(out.System, wireBlock{Text: noTools})
	}
	if choice != "" {
		out.Tools.Choice = toolChoice(choice)
	}
	in := wireInference{MaxTokens: req.MaxTokens, TopP: req.TopP, Stop: req.Stop}
	if req.Temperature != nil {
		in.Temperature = new(min(*req.Temperature, 1)) // other dialects go up to 2
	}
	if f == claude {
		forced := req
		if forced.ToolChoice = choice; choice != "" {
			forced.Tools = append(slices.Clone(req.Tools), core.ToolSpec{Name: answerTool})
		}
		s := anthropic.SettingsOf(forced)
		in.MaxTokens, in.Temperature, in.TopP, out.Further = s.MaxTokens, s.Temperature, s.TopP, s.Further
		out.Paths = []string{"/stop_sequence"}
	} else {
		out.Further = f.further(req)
	}
	if in.MaxTokens > 0 || in.Temperature != nil || in.TopP != nil || len(in.Stop) > 0 {
		out.Inference = &in
	}
	return out, nil
}

// tools says which tools there are and gives the choice that the dialect has a form for, "" = the model decides. It wants
// the tools that a conversation speaks of even where none may be called: they are barred then.
func (w *wireRequest) tools(req core.ModelRequest, f family) (choice string, barred bool) {
	specs := slices.Clone(req.Tools)
	used := false
	for _, m := range req.Messages {
		for _, c := range m.ToolCalls {
			used = true
			if !slices.ContainsFunc(specs, func(s core.ToolSpec) bool { return s.Name == c.Name }) {
				specs = append(specs, core.ToolSpec{Name: c.Name})
			}
		}
	}
	choice = req.ToolChoice
	if len(req.Tools) == 0 || choice == "none" {
		if !used {
			return "", false
		}
		choice, barred = "", true
	}
	for _, s := range specs {
		if s.Strict {
			closed, ok, err := anthropic.ClosedSchema(s.Parameters)
			if s.Strict = ok && err == nil && f.structured(req.Model) == native; s.Strict {
				s.Parameters = closed
			}
		}
		w.addTool(s)
	}
	return choice, barred
}

func (w *wireRequest) addTool(s core.ToolSpec) {
	if len(s.Parameters) == 0 {
		s.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
	}
	if w.Tools == nil {
		w.Tools = &wireTools{}
	}
	w.Tools.Tools = append(w.Tools.Tools, wireTool{wireToolSpec{s.Name, s.Description, wireSchema{s.Parameters}, s.Strict}})
}

// shape asks for an answer in JSON: in the dialect's structured output, by a tool that must be called with the answer, or in
// words, as the family of the model knows.
func (w *wireRequest) shape(req core.ModelRequest, f family, barred bool, choice *string) *core.Error {
	if len(req.Schema) == 0 {
		if req.JSONObject {
			w.System = append(w.System, wireBlock{Text: jsonOnly})
		}
		return nil
	}
	closed, ok, err := anthropic.ClosedSchema(req.Schema)
	if err != nil {
		return err
	}
	name := req.SchemaName
	if name == "" {
		name = answerTool
	}
	way := f.structured(req.Model)
	switch {
	case way == native && ok:
		w.Output = &wireOutput{wireFormat{"json_schema", wireStructure{wireTextSchema{name, string(closed)}}}}
	case way == byTool && (*choice == "" || *choice == "required"):
		w.form = unusedName(name, req.Tools)
		w.addTool(core.ToolSpec{Name: w.form, Description: "Give the final answer by calling this tool with it.", Parameters: req.Schema})
		if *choice = "required"; barred || len(w.Tools.Tools) == 1 {
			*choice = w.form
		}
	default:
		w.System = append(w.System, wireBlock{Text: jsonOnly + " It follows this JSON Schema: " + string(req.Schema)})
	}
	return nil
}

// maxNotes is how many notes the dialect takes.
const maxNotes = 16

// notes are those of the metadata that the dialect takes: short ones without most signs.
func notes(list map[string]string) map[string]string {
	if len(list) > maxNotes {
		return nil
	}
	fits := regexp.MustCompile(`^[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}$`)
	out := map[string]string{}
	for k, v := range list {
		if k != "" && fits.MatchString(k) && fits.MatchString(v) {
			out[k] = v
		}
	}
	return out
}

// unusedName is a name for one more tool.
func unusedName(name string, tools []core.ToolSpec) string {
	for slices.ContainsFunc(tools, func(t core.ToolSpec) bool { return t.Name == name }) {
		name += "_"
	}
	return name
}

func toolChoice(choice string) map[string]wireToolChoice {
	if choice == "required" {
		return map[string]wireToolChoice{"any": {}}
	}
	return map[string]wireToolChoice{"tool": {choice}}
}
