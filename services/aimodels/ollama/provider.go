// Package ollama is the Provider for Ollama's native dialect: chat, tags, show and pull.
//
// It owns the dialect and nothing else: no retries, no routes, no settings file.
package ollama

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// DefaultURL is where Ollama listens unless told otherwise.
const DefaultURL = "http://127.0.0.1:11434"

// maxLine is the longest line of a stream, in bytes.
const maxLine = 4 << 20

// Config holds the settings of one server.
type Config struct {
	HTTP    aimodels.HTTPConfig // BaseURL empty = DefaultURL
	Context int                 // tokens of context; 0 = the server's default
}

// Provider calls one server. Safe for many goroutines.
type Provider struct {
	cfg  Config
	http *aimodels.HTTPClient
	slow *aimodels.HTTPClient // for pulls: while the server checks a large file it says nothing
}

// New checks the settings; it asks the server nothing.
func New(cfg Config) (*Provider, error) {
	if cfg.HTTP.BaseURL == "" {
		cfg.HTTP.BaseURL = DefaultURL
	}
	c, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	patient := cfg.HTTP
	patient.IdleTimeout = max(patient.IdleTimeout, 10*time.Minute)
	slow, err := aimodels.NewHTTPClient(patient)
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, http: c, slow: slow}, nil
}

// Close drops idle connections.
func (p *Provider) Close() {
	p.http.Close()
	p.slow.Close()
}

// Models lists what was pulled.
func (p *Provider) Models(ctx context.Context) ([]core.Model, error) {
	var list struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := p.http.Get(ctx, "/api/tags", &list); err != nil {
		return nil, err
	}
	models := make([]core.Model, 0, len(list.Models))
	for _, m := range list.Models {
		models = append(models, core.Model{ID: m.Name})
	}
	return models, nil
}

// Capabilities asks what the model's template can do.
func (p *Provider) Capabilities(ctx context.Context, model string) (aimodels.Capabilities, error) {
	var show struct {
		Capabilities []string                   `json:"capabilities"`
		Info         map[string]json.RawMessage `json:"model_info"`
	}
	if err := p.http.PostJSON(ctx, "/api/show", map[string]any{"model": model}, &show); err != nil {
		return aimodels.Capabilities{}, err
	}
	var parameters float64
	_ = json.Unmarshal(show.Info["general.parameter_count"], &parameters) // absent in old versions: then nothing is known
	return aimodels.Capabilities{
		Tools: slices.Contains(show.Capabilities, "tools"),
		Small: parameters > 0 && parameters < aimodels.SmallParameters,
	}, nil
}

// Chat makes one call, always streamed.
func (p *Provider) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	body, err := p.http.Post(ctx, "/api/chat", p.request(req))
	if err != nil {
		return core.ModelResponse{}, err
	}
	defer body.Close()
	a := answer{p: p, onDelta: onDelta}
	if err := a.stream(body); err != nil {
		if _, ok := errors.AsType[*aimodels.CallError](err); !ok {
			err = body.Explain(err)
		}
		return core.ModelResponse{}, err
	}
	return a.response()
}

type wireMessage struct {
	Role      string     `json:"role"`
	Content   string     `json:"content"`
	ToolCalls []wireCall `json:"tool_calls,omitempty"`
	ToolName  string     `json:"tool_name,omitempty"`
}

type wireCall struct {
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

func (p *Provider) request(req core.ModelRequest) map[string]any {
	options := map[string]any{}
	if p.cfg.Context > 0 {
		options["num_ctx"] = p.cfg.Context
	}
	if req.MaxTokens > 0 {
		options["num_predict"] = req.MaxTokens
	}
	if req.Temperature != nil {
		options["temperature"] = *req.Temperature
	}
	if req.Seed != nil {
		options["seed"] = *req.Seed
	}
	if len(req.Stop) > 0 {
		options["stop"] = req.Stop
	}
	body := map[string]any{"model": req.Model, "messages": messages(req.Messages), "stream": true, "options": options}
	if len(req.Tools) > 0 {
		list := make([]wireTool, len(req.Tools))
		for i, t := range req.Tools {
			list[i] = wireTool{Type: "function", Function: wireToolSpec{t.Name, t.Description, t.Parameters}}
		}
		body["tools"] = list
	}
	if len(req.Schema) > 0 {
		body["format"] = req.Schema
	}
	return body
}

// messages translates the conversation. The dialect names a tool's result by the tool, not by the call's id.
func messages(list []core.Message) []wireMessage {
	names := map[string]string{}
	out := make([]wireMessage, 0, len(list))
	for _, m := range list {
		w := wireMessage{Role: string(m.Role), Content: m.Text, ToolName: names[m.ToolCallID]}
		for _, c := range m.ToolCalls {
			names[c.ID] = c.Name
			var call wireCall
			call.Function.Name, call.Function.Arguments = c.Name, c.Arguments
			w.ToolCalls = append(w.ToolCalls, call)
		}
		out = append(out, w)
	}
	return out
}

// answer collects one answer.
type answer struct {
	p       *Provider
	onDelta func(core.Delta)
	text    strings.Builder
	calls   []wireCall
	last    wireChunk
}

type wireChunk struct {
	Message struct {
		Content   string     `json:"content"`
		ToolCalls []wireCall `json:"tool_calls"`
	} `json:"message"`
	Done       bool            `json:"done"`
	DoneReason string          `json:"done_reason"`
	Input      int64           `json:"prompt_eval_count"`
	Output     int64           `json:"eval_count"`
	Error      json.RawMessage `json:"error"`
}

func (a *answer) stream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var c wireChunk
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			if lines.Err() != nil {
				return lines.Err() // the last line is cut because the reading ended, not because it is wrong
			}
			return a.p.http.Malformed(err)
		}
		if len(c.Error) > 0 {
			return a.p.http.StreamError(c.Error)
		}
		if text := c.Message.Content; text != "" {
			a.text.WriteString(text)
			if a.onDelta != nil {
				a.onDelta(core.Delta{Text: text})
			}
		}
		a.calls = append(a.calls, c.Message.ToolCalls...)
		if c.Done {
			a.last = c
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return a.p.http.Malformed(err)
		}
		return err
	}
	return io.ErrUnexpectedEOF
}

func (a *answer) response() (core.ModelResponse, error) {
	resp := core.ModelResponse{
		Message: core.Message{Role: core.RoleAssistant, Text: a.text.String()},
		Finish:  core.FinishStop,
		Usage:   core.Usage{InputTokens: a.last.Input, OutputTokens: a.last.Output},
	}
	if a.last.DoneReason == "length" {
		resp.Finish = core.FinishLength
	}
	for _, c := range a.calls {
		args := aimodels.Arguments(c.Function.Arguments)
		resp.Message.ToolCalls = append(resp.Message.ToolCalls, core.ToolCall{ID: aimodels.NewCallID(), Name: c.Function.Name, Arguments: args})
		resp.Finish = core.FinishTools
	}
	return resp, nil
}
