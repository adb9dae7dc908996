package anthropic

import (
	"encoding/json"
	"fmt"

	"github.com/sutazai/sutazai/core"
)

type tool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"input_schema"`
	Strict      bool            `json:"strict"`
}

type toolChoice struct {
	Type            string `json:"type"`
	Name            string `json:"name"`
	DisableParallel bool   `json:"disable_parallel_tool_use"`
}

func (q *request) setTools(req *core.ModelRequest) error {
	named := map[string]bool{}
	for i, t := range q.Tools {
		field := fmt.Sprintf("tools.%d", i)
		switch {
		case t.Type != "" && t.Type != "custom":
			return invalid(field+".type", "%q is a tool that only Anthropic's own servers and models know; use a model of such a provider, or describe the tool by an input_schema", t.Type)
		case t.Name == "":
			return invalid(field+".name", "Field required")
		case named[t.Name]:
			return invalid(field+".name", "tool names must be unique: %q stands twice", t.Name)
		case len(t.InputSchema) == 0 || t.InputSchema[0] != '{':
			return invalid(field+".input_schema", "Field required: a JSON Schema of type object")
		}
		named[t.Name] = true
		req.Tools = append(req.Tools, core.ToolSpec{Name: t.Name, Description: t.Description, Parameters: t.InputSchema, Strict: t.Strict})
	}
	c := q.ToolChoice
	if c == nil {
		return nil
	}
	req.OneTool = c.DisableParallel
	switch c.Type {
	case "auto":
	case "none":
		req.ToolChoice = "none"
	case "any":
		if len(q.Tools) == 0 {
			return invalid("tool_choice", "it may only be set while providing tools")
		}
		req.ToolChoice = "required"
	case "tool":
		if !named[c.Name] {
			return invalid("tool_choice.tool.name", "the tool %q is not among tools", c.Name)
		}
		req.ToolChoice = c.Name
	default:
		return invalid("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'")
	}
	return nil
}
