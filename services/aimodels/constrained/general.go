package constrained

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// general makes the one call for models that follow instructions.
func (p *Provider) general(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	if len(req.Tools) == 0 {
		req.Messages = p.asText(req.Messages)
		return p.inner.Chat(ctx, req, onDelta)
	}
	inner := req
	inner.Tools = nil
	inner.Schema = p.answerSchema(req)
	inner.Messages = p.withTools(req)
	reader := &answerReader{raw: len(req.Schema) > 0}
	resp, err := p.inner.Chat(ctx, inner, func(d core.Delta) {
		if text := reader.write(d.Text); text != "" && onDelta != nil {
			onDelta(core.Delta{Text: text})
		}
	})
	if err != nil {
		return resp, err
	}
	return p.understand(req, resp, reader)
}

// answerSchema is either {"tool_calls": [{"name", "arguments"}, …]} or {"answer": …}, where the answer is text or
// follows the request's own schema.
func (p *Provider) answerSchema(req core.ModelRequest) json.RawMessage {
	var calls []any
	for _, t := range req.Tools {
		calls = append(calls, schema{
			"type": "object", "additionalProperties": false, "required": []string{"name", "arguments"},
			"properties": schema{"name": schema{"const": t.Name}, "arguments": bounder{maxString: p.opt.MaxString}.object(parameters(t))},
		})
	}
	var answer any = schema{"type": "string", "maxLength": p.opt.MaxString}
	if len(req.Schema) > 0 {
		answer = req.Schema
	}
	alternatives := []any{schema{
		"type": "object", "additionalProperties": false, "required": []string{"tool_calls"},
		"properties": schema{"tool_calls": schema{"type": "array", "minItems": 1, "maxItems": p.opt.MaxCalls, "items": schema{"anyOf": calls}}},
	}}
	if req.ToolChoice == "" { // else a tool must be called
		alternatives = append(alternatives, schema{
			"type": "object", "additionalProperties": false, "required": []string{"answer"},
			"properties": schema{"answer": answer},
		})
	}
	return encode(schema{"anyOf": alternatives})
}

// withTools writes the tools into the system prompt, and earlier calls as the model itself would have written them.
func (p *Provider) withTools(req core.ModelRequest) []core.Message {
	var b strings.Builder
	b.WriteString("You can use these tools:\n")
	for _, t := range req.Tools {
		fmt.Fprintf(&b, "- %s: %s Arguments: %s\n", t.Name, t.Description, compact(t.Parameters))
	}
	example := p.exampleCall(req.Tools)
	b.WriteString("\nAnswer with one JSON object. To use tools: " + example + "\n" +
		"When you have what you need, or no tool helps: {\"answer\": \"your answer to the user\"}\n" +
		"The results of tools follow as messages. Do not repeat a call whose result is already there.")
	return prependSystem(p.asText(req.Messages), b.String())
}

func (p *Provider) exampleCall(tools []core.ToolSpec) string {
	name, arguments := tools[0].Name, json.RawMessage(`{}`)
	for _, t := range tools {
		if list := p.opt.Examples[t.Name]; len(list) > 0 {
			name, arguments = t.Name, list[0].Arguments
			break
		}
	}
	return string(encode(map[string]any{"tool_calls": []any{struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}{name, arguments}}}))
}

// asText turns tool calls and results into messages that every chat template knows.
func (p *Provider) asText(list []core.Message) []core.Message {
	names := map[string]string{}
	out := make([]core.Message, 0, len(list))
	for _, m := range list {
		if len(m.ToolCalls) > 0 {
			type call struct {
				Name      string          `json:"name"`
				Arguments json.RawMessage `json:"arguments"`
			}
			var calls []call
			for _, c := range m.ToolCalls {
				names[c.ID] = c.Name
				calls = append(calls, call{c.Name, c.Arguments})
			}
			out = append(out, core.Message{Role: core.RoleAssistant, Text: string(encode(map[string]any{"tool_calls": calls}))})
			continue
		}
		if m.Role == core.RoleTool {
			word := "Result"
			if m.IsError {
				word = "Error"
			}
			text := fmt.Sprintf("%s of %s:\n%s", word, orElse(names[m.ToolCallID], "the tool"), m.Text)
			// Results that follow each other are one message: many templates insist on alternating roles.
			if n := len(out); n > 0 && out[n-1].Role == core.RoleTool {
				out[n-1].Text += "\n\n" + text
				continue
			}
			out = append(out, core.Message{Role: core.RoleTool, Text: text})
			continue
		}
		out = append(out, m)
	}
	for i := range out {
		if out[i].Role == core.RoleTool {
			out[i].Role = core.RoleUser
		}
	}
	return out
}

func (p *Provider) understand(req core.ModelRequest, resp core.ModelResponse, reader *answerReader) (core.ModelResponse, error) {
	raw := resp.Message.Text
	resp.Message = core.Message{Role: core.RoleAssistant}
	var answer struct {
		Calls []struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"tool_calls"`
		Answer json.RawMessage `json:"answer"`
	}
	if err := json.Unmarshal([]byte(raw), &answer); err != nil {
		if reader.started() { // cut off by the length limit in the middle of the answer: what is there is of use
			resp.Message.Text = reader.text.String()
			return resp, nil
		}
		return resp, aimodels.Retryable(core.Wrap(core.CodeInvalid, err,
			"the model's answer is neither a tool call nor an answer; use a larger model, or raise max_tokens if it was cut off"))
	}
	if len(answer.Calls) == 0 {
		resp.Message.Text = string(answer.Answer)
		if len(req.Schema) == 0 {
			var text string
			if json.Unmarshal(answer.Answer, &text) == nil {
				resp.Message.Text = text
			}
		}
		return resp, nil
	}
	for _, c := range answer.Calls {
		if !slices.ContainsFunc(req.Tools, func(t core.ToolSpec) bool { return t.Name == c.Name }) {
			return resp, aimodels.Retryable(core.Errorf(core.CodeInvalid, "the model asked for a tool that it does not have"))
		}
		args := aimodels.Arguments(c.Arguments)
		resp.Message.ToolCalls = append(resp.Message.ToolCalls, core.ToolCall{ID: aimodels.NewCallID(), Name: c.Name, Arguments: args})
	}
	resp.Finish = core.FinishTools
	return resp, nil
}

// prependSystem puts text behind the system prompt, or makes it the system prompt where there is none.
func prependSystem(list []core.Message, text string) []core.Message {
	if len(list) > 0 && list[0].Role == core.RoleSystem {
		list[0].Text += "\n\n" + text
		return list
	}
	return append([]core.Message{{Role: core.RoleSystem, Text: text}}, list...)
}

func compact(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "{}"
	}
	return string(encode(v))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
