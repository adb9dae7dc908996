// Package ollama is the Provider for Ollama's native dialect: chat, embed, tags, show and pull, and calls of the dialect
// that are passed on as they are.
//
// It owns the dialect and nothing else: no retries, no routes, no settings file.
package ollama

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
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
	in, err := p.request(req)
	if err != nil {
		return core.ModelResponse{}, err
	}
	body, err := p.http.Post(ctx, "/api/chat", in)
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
	return a.response(req.OneTool), nil
}

// Forwards says whether the call is in the server's own dialect.
func (p *Provider) Forwards(c *dialect.Call) bool {
	return c.Dialect == dialect.OllamaChat || c.Dialect == dialect.OllamaGenerate
}

// Forward makes one try with the client's own bytes. The model's name is replaced, and the bound of the answer where money
// is limited; a size of the context is added where one is configured and the client asks for none, since the server loads
// a model anew for each size.
func (p *Provider) Forward(ctx context.Context, model string, c *dialect.Call) (*aimodels.Body, error) {
	edits := []dialect.Edit{{Key: "model", Value: dialect.String(model)}}
	if p.cfg.Context > 0 || c.CapOutput > 0 {
		options, err := dialect.Scan(orEmpty(c.Body.Get("options")))
		if err != nil {
			return nil, invalid("options must be an object")
		}
		var inner []dialect.Edit
		if p.cfg.Context > 0 && !options.Has("num_ctx") {
			inner = append(inner, dialect.Edit{Key: "num_ctx", Value: strconv.AppendInt(nil, int64(p.cfg.Context), 10)})
		}
		if c.CapOutput > 0 {
			inner = append(inner, dialect.Edit{Key: "num_predict", Value: strconv.AppendInt(nil, int64(c.CapOutput), 10)})
		}
		if len(inner) > 0 {
			edits = append(edits, dialect.Edit{Key: "options", Value: options.With(inner...)})
		}
	}
	path := "/api/chat"
	if c.Dialect == dialect.OllamaGenerate {
		path = "/api/generate"
	}
	return p.http.PostBytes(ctx, path, c.Body.With(edits...), c.Header)
}

func orEmpty(object []byte) []byte {
	if object == nil {
		return []byte("{}")
	}
	return object
}

func invalid(format string, args ...any) error {
	return &aimodels.CallError{Err: core.Errorf(core.CodeInvalid, format, args...)}
}
