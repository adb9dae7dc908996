package openaicompat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// maxLine is the longest line of a stream, in bytes.
const maxLine = 4 << 20

// Config holds the settings of one server.
type Config struct {
	HTTP   aimodels.HTTPConfig
	Quirks string         // a row of the table of quirks; "" or "auto" = told by the address
	Extra  map[string]any // further fields of every chat request, such as a server's own sampling settings
	// Locate says where the dialect's path (such as /chat/completions) is for a model, and by which name the server knows
	// the model; nil = the path itself, the model's name. The list of models is asked for with the model "".
	Locate func(path, model string) (address, name string)
}

// Provider calls one server. Safe for many goroutines.
type Provider struct {
	cfg    Config
	quirks Quirks
	http   *aimodels.HTTPClient
}

// New checks the settings; it asks the server nothing.
func New(cfg Config) (*Provider, error) {
	q, ok := QuirksOf(cfg.Quirks, cfg.HTTP.BaseURL)
	if !ok {
		return nil, core.Errorf(core.CodeInvalid, "models.providers.%s.quirks: %q is not in the table of quirks", cfg.HTTP.Name, cfg.Quirks)
	}
	if cfg.Locate == nil {
		cfg.Locate = func(path, model string) (string, string) { return path, model }
	}
	c, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, quirks: q, http: c}, nil
}

// Close drops idle connections.
func (p *Provider) Close() { p.http.Close() }

// Models lists what the server offers.
func (p *Provider) Models(ctx context.Context) ([]core.Model, error) {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	address, _ := p.cfg.Locate("/models", "")
	if err := p.http.Get(ctx, address, &list); err != nil {
		return nil, err
	}
	models := make([]core.Model, 0, len(list.Data))
	for _, m := range list.Data {
		models = append(models, core.Model{ID: m.ID})
	}
	return models, nil
}

// Chat makes one call. It always asks for a stream, so that a server that stops in mid answer is noticed; a server that
// answers with one JSON object all the same is understood.
func (p *Provider) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	var address string
	address, req.Model = p.cfg.Locate("/chat/completions", req.Model)
	body, err := p.http.Post(ctx, address, p.request(req))
	if err != nil {
		return core.ModelResponse{}, err
	}
	defer body.Close()
	a := answer{p: p, onDelta: onDelta}
	if strings.HasPrefix(body.ContentType, "application/json") {
		err = a.whole(body)
	} else {
		err = a.stream(body)
	}
	if err != nil {
		if _, ok := errors.AsType[*aimodels.CallError](err); !ok {
			err = body.Explain(err)
		}
		return core.ModelResponse{}, err
	}
	return a.response()
}

// answer collects one answer.
type answer struct {
	p       *Provider
	onDelta func(core.Delta)
	text    strings.Builder
	thought strings.Builder
	refusal strings.Builder
	calls   []wireToolCall
	indexes []int // the server's index of each call, -1 where it gives none
	reason  string
	usage   wireUsage
	ended   bool
}

func (a *answer) whole(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	a.ended = true
	return a.chunk(b)
}

// stream reads server-sent events: "data:" lines up to an empty line make one event; other fields and comments are
// skipped. The stream is whole when "[DONE]" or a finish reason came.
func (a *answer) stream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(rest, []byte(" "))...)
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			if after, ok := bytes.CutPrefix(line, []byte("error:")); ok { // llama.cpp's form of an error in mid stream
				return a.p.http.StreamError(bytes.TrimSpace(after))
			}
			continue
		}
		if string(data) == "[DONE]" {
			a.ended = true
			return nil
		}
		if err := a.chunk(data); err != nil {
			return err
		}
		data = data[:0]
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return a.p.http.Malformed(err)
		}
		return err
	}
	if !a.ended && a.reason == "" {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (a *answer) chunk(b []byte) error {
	var c wireAnswer
	if err := json.Unmarshal(b, &c); err != nil {
		return a.p.http.Malformed(err)
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return a.p.http.StreamError(c.Error)
	}
	if c.Usage != nil {
		a.usage = *c.Usage
	}
	if len(c.Choices) == 0 {
		return nil
	}
	choice := c.Choices[0]
	if choice.FinishReason != "" {
		a.reason = choice.FinishReason
	}
	d := choice.Delta
	if d == nil {
		d = choice.Message
	}
	if d == nil {
		return nil
	}
	if d.Content != "" {
		a.text.WriteString(d.Content)
		if a.onDelta != nil {
			a.onDelta(core.Delta{Text: d.Content})
		}
	}
	if thought := d.ReasoningContent + d.Reasoning; thought != "" {
		a.thought.WriteString(thought)
		if a.onDelta != nil {
			a.onDelta(core.Delta{Reasoning: thought})
		}
	}
	a.refusal.WriteString(d.Refusal)
	for _, call := range d.ToolCalls {
		a.fragment(call)
	}
	return nil
}

// fragment joins the pieces of streamed calls. A piece belongs to the call with its index; a new id under a known index
// begins a new call all the same, because some servers send every whole call with index 0.
func (a *answer) fragment(f wireToolCall) {
	index, at := -1, -1
	if f.Index != nil {
		index = *f.Index
		for i := len(a.indexes) - 1; i >= 0 && at < 0; i-- {
			if a.indexes[i] == index {
				at = i
			}
		}
	} else if f.ID == "" && f.Function.Name == "" {
		at = len(a.calls) - 1
	}
	if at >= 0 && f.ID != "" && a.calls[at].ID != "" && f.ID != a.calls[at].ID {
		at = -1
	}
	if at < 0 {
		a.calls = append(a.calls, f)
		a.indexes = append(a.indexes, index)
		return
	}
	c := &a.calls[at]
	if c.ID == "" {
		c.ID = f.ID
	}
	if c.Function.Name == "" {
		c.Function.Name = f.Function.Name
	}
	c.Function.Arguments += f.Function.Arguments
}

func (a *answer) response() (core.ModelResponse, error) {
	m := core.Message{Role: core.RoleAssistant, Text: a.text.String()}
	if a.thought.Len() > 0 {
		m.Parts = []core.Part{{Kind: core.PartReasoning, Text: a.thought.String()}, {Kind: core.PartText, Text: m.Text}}
	}
	seen := map[string]bool{}
	for _, c := range a.calls {
		args := aimodels.Arguments([]byte(c.Function.Arguments))
		if c.ID == "" || seen[c.ID] {
			c.ID = aimodels.NewCallID()
		}
		seen[c.ID] = true
		m.ToolCalls = append(m.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: args})
	}
	reason := finish(a.reason, len(m.ToolCalls))
	if m.Text == "" && len(m.ToolCalls) == 0 && (reason == core.FinishRefusal || a.refusal.Len() > 0) {
		return core.ModelResponse{}, &aimodels.CallError{Err: core.Errorf(core.CodeRefused, "the model of provider %s refuses to answer: %s",
			a.p.http.Name(), orElse(a.refusal.String(), "its content filter stopped the answer"))}
	}
	return core.ModelResponse{
		Message: m,
		Finish:  reason,
		Usage: core.Usage{
			InputTokens: a.usage.PromptTokens, OutputTokens: a.usage.CompletionTokens,
			CachedTokens: a.usage.Prompt.CachedTokens, ReasoningTokens: a.usage.Completion.ReasoningTokens,
		},
	}, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
