package anthropic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// request holds the fields of a call that can be translated; the others are for Anthropic's own servers. Fields of every
// version of the dialect (2023-06-01, 2026-10-21, which has no sampling settings) are taken, whatever the client's header says.
type request struct {
	Model         string          `json:"model"`
	MaxTokens     *int            `json:"max_tokens"`
	System        json.RawMessage `json:"system"`
	Messages      []message       `json:"messages"`
	Tools         []tool          `json:"tools"`
	ToolChoice    *toolChoice     `json:"tool_choice"`
	Thinking      *thinking       `json:"thinking"`
	OutputConfig  *outputConfig   `json:"output_config"`
	OutputFormat  *format         `json:"output_format"` // the form of output_config.format while it was a beta
	StopSequences []string        `json:"stop_sequences"`
	Temperature   *float64        `json:"temperature"`
	TopP          *float64        `json:"top_p"`
	TopK          *int            `json:"top_k"`
	Metadata      struct {
		UserID string `json:"user_id"`
	} `json:"metadata"`
	ServiceTier string            `json:"service_tier"`
	MCPServers  []json.RawMessage `json:"mcp_servers"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

type thinking struct {
	Type   string `json:"type"`
	Budget int    `json:"budget_tokens"`
}

type outputConfig struct {
	Effort string  `json:"effort"`
	Format *format `json:"format"`
}

type format struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

// check looks at what must be there before anything is asked of a model, translated or not.
func check(o dialect.Object) error {
	if model, ok := o.Text("model"); !ok || model == "" {
		return invalid("model", "Field required")
	}
	if list := o.Get("messages"); len(list) == 0 || list[0] != '[' {
		return invalid("messages", "Field required: a list of messages")
	}
	return nil
}

// checkMaxTokens looks at the length that an answer may have, which the dialect demands.
func checkMaxTokens(o dialect.Object) error {
	raw := string(o.Get("max_tokens"))
	switch {
	case raw == "":
		return invalid("max_tokens", "Field required")
	case raw != "0" && o.Int("max_tokens") <= 0:
		return invalid("max_tokens", "Input should be a whole number above 0")
	}
	return nil
}

// upstreamHeader holds what belongs to the dialect and goes on to a provider that speaks it.
func upstreamHeader(h http.Header) map[string]string {
	out := map[string]string{}
	if v := h.Get("Anthropic-Version"); v != "" {
		out["Anthropic-Version"] = v
	}
	if v := h.Values("Anthropic-Beta"); len(v) > 0 {
		out["Anthropic-Beta"] = strings.Join(v, ",")
	}
	return out
}

// parse reads a body.
func parse(body []byte) (*request, error) {
	if err := backend.CheckDepth(body); err != nil {
		return nil, err
	}
	var q request
	if err := json.Unmarshal(body, &q); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, invalid(t.Field, "Input has the wrong type: %s", t.Value)
		}
		return nil, invalid("body", "it is not JSON: %s", err)
	}
	return &q, nil
}

// decode translates a body that asks for an answer.
func decode(body []byte) (core.ModelRequest, error) {
	q, err := parse(body)
	if err != nil {
		return core.ModelRequest{}, err
	}
	if q.MaxTokens != nil && *q.MaxTokens == 0 {
		return core.ModelRequest{}, invalid("max_tokens", "0 warms the prompt cache of Anthropic's own servers, which this model does not have")
	}
	return q.translate()
}

// translate makes the gateway's request. Lost are what only Anthropic's servers know: cache_control, citations, speed,
// container, context_management, inference_geo and diagnostics.
func (q *request) translate() (core.ModelRequest, error) {
	req := core.ModelRequest{
		Model: q.Model, Temperature: q.Temperature, TopP: q.TopP, TopK: q.TopK, Stop: q.StopSequences, User: q.Metadata.UserID, Session: q.Metadata.UserID,
	}
	if q.MaxTokens != nil {
		req.MaxTokens = *q.MaxTokens
	}
	if req.ServiceTier = q.ServiceTier; q.ServiceTier == "standard_only" {
		req.ServiceTier = "default"
	}
	if len(q.MCPServers) > 0 {
		return req, invalid("mcp_servers", "only Anthropic's own servers call them; use a model of such a provider, or give the tools as tools")
	}
	if len(q.Messages) == 0 {
		return req, invalid("messages", "at least one message is required")
	}
	system, err := systemMessage(q.System)
	if err != nil {
		return req, err
	}
	req.Messages = system
	for i, m := range q.Messages {
		list, err := m.messages(fmt.Sprintf("messages.%d", i))
		if err != nil {
			return req, err
		}
		req.Messages = append(req.Messages, list...)
	}
	for i := range req.Messages {
		req.Messages[i].Index = i
	}
	if err := q.setTools(&req); err != nil {
		return req, err
	}
	if err := q.setFormat(&req); err != nil {
		return req, err
	}
	return req, q.setThinking(&req)
}

func (q *request) setFormat(req *core.ModelRequest) error {
	f, field := q.OutputFormat, "output_format"
	if q.OutputConfig != nil && q.OutputConfig.Format != nil {
		f, field = q.OutputConfig.Format, "output_config.format"
	}
	if f == nil {
		return nil
	}
	if f.Type != "json_schema" {
		return invalid(field+".type", "Input should be 'json_schema'")
	}
	if len(f.Schema) == 0 || f.Schema[0] != '{' {
		return invalid(field+".schema", "Field required: a JSON Schema")
	}
	req.Schema = f.Schema
	return nil
}

// setThinking says how much the model shall think. The dialect gives a number of tokens, an effort, or leaves it to the
// model, whose effort is then high.
func (q *request) setThinking(req *core.ModelRequest) error {
	if q.OutputConfig != nil && q.OutputConfig.Effort != "" {
		switch q.OutputConfig.Effort {
		case "low", "medium", "high":
			req.Reasoning = q.OutputConfig.Effort
		case "xhigh", "max":
			req.Reasoning = "high"
		default:
			return invalid("output_config.effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
		}
	}
	if q.Thinking == nil {
		return nil
	}
	switch q.Thinking.Type {
	case "disabled":
		req.Reasoning = "none"
	case "between_tools": // when to think, not how much
	case "adaptive":
		if req.Reasoning == "" {
			req.Reasoning = "high"
		}
	case "enabled":
		if q.Thinking.Budget < 1024 {
			return invalid("thinking.enabled.budget_tokens", "Input should be greater than or equal to 1024")
		}
		if q.MaxTokens != nil && q.Thinking.Budget >= *q.MaxTokens {
			return invalid("max_tokens", "it must be greater than thinking.budget_tokens")
		}
		req.ReasoningMax = q.Thinking.Budget
		if req.Reasoning == "" {
			req.Reasoning = effortOf(q.Thinking.Budget)
		}
	default:
		return invalid("thinking.type", "Input should be 'enabled', 'adaptive', 'between_tools' or 'disabled'")
	}
	return nil
}

// effortOf is the effort of a number of tokens, for models that know only that.
func effortOf(budget int) string {
	switch {
	case budget <= 2048:
		return "low"
	case budget <= 8192:
		return "medium"
	default:
		return "high"
	}
}
