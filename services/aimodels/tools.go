package aimodels

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
)

// ToolMode says how a model is told of tools.
type ToolMode string

// The modes. Auto asks the provider what the model can do, and takes native where it does not know.
const (
	ToolsAuto        ToolMode = "auto"
	ToolsNative      ToolMode = "native"      // in the dialect's own fields
	ToolsConstrained ToolMode = "constrained" // in the prompt, with an answer that a JSON Schema constrains
)

// Capabilities is what a provider knows of a model.
type Capabilities struct {
	Tools bool // its chat template knows tools
	Small bool // too small to follow long instructions (below about a billion parameters)
}

// Capable is a Provider that knows its models' capabilities. The call may ask the server and is bounded by ctx.
type Capable interface {
	Capabilities(ctx context.Context, model string) (Capabilities, error)
}

// NewCallID makes an id for a tool call of a model or server that gives none.
func NewCallID() string { return "call_" + strings.ToLower(rand.Text()[:16]) }

// Arguments reads a call's arguments: a JSON object, or nothing, which is the empty object. Models sometimes write what is
// neither; that is passed on as {"not_a_json_object": "…"}, so that the tool's own check tells the model what is wrong.
func Arguments(raw []byte) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return json.RawMessage("{}")
	}
	if raw[0] != '{' || !json.Valid(raw) {
		text, err := json.Marshal(map[string]string{"not_a_json_object": clip(string(raw), maxOddArguments)})
		if err != nil {
			return json.RawMessage("{}") // cannot be: every string has a JSON form
		}
		return text
	}
	return json.RawMessage(raw)
}

// maxOddArguments bounds what is kept of arguments that are not a JSON object.
const maxOddArguments = 2000

// SmallParameters is the number of weights below which a model counts as small: measured, models of that size follow
// examples but not instructions.
const SmallParameters = 1e9
