package responses

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Config holds the settings of one server.
type Config struct {
	HTTP  aimodels.HTTPConfig
	Extra map[string]any // further fields of every request; of "reasoning", the effort of a call replaces the one given here
}

// Provider calls one server. Safe for many goroutines.
type Provider struct {
	cfg  Config
	http *aimodels.HTTPClient
}

// New checks the settings; it asks the server nothing.
func New(cfg Config) (*Provider, error) {
	c, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, http: c}, nil
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
	if err := p.http.Get(ctx, "/models", &list); err != nil {
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
	if err := heard(req.Messages); err != nil {
		return core.ModelResponse{}, &aimodels.CallError{Err: err}
	}
	body, err := p.http.Post(ctx, "/responses", p.request(req))
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

// Forwards says that calls of the Responses dialect go through as they are, unless they hold another maker's signature.
func (p *Provider) Forwards(c *dialect.Call) bool {
	return c.Dialect == dialect.OpenAIResponses && !c.Foreign()
}

// Forward sends the client's own body. What is changed: the model's name, and the bound of the answer where money is
// limited; fields that the settings add are added where the client does not give them.
func (p *Provider) Forward(ctx context.Context, model string, c *dialect.Call) (*aimodels.Body, error) {
	edits := []dialect.Edit{{Key: "model", Value: dialect.String(model)}}
	if c.CapOutput > 0 {
		edits = append(edits, dialect.Edit{Key: "max_output_tokens", Value: strconv.AppendInt(nil, int64(c.CapOutput), 10)})
	}
	for _, field := range slices.Sorted(maps.Keys(p.cfg.Extra)) {
		if slices.ContainsFunc(edits, func(e dialect.Edit) bool { return e.Key == field }) {
			continue
		}
		b, err := json.Marshal(p.cfg.Extra[field])
		if err != nil {
			return nil, core.Wrap(core.CodeInvalid, err, "models.providers.%s: the further field %q has no JSON form", p.http.Name(), field)
		}
		edits = append(edits, dialect.Edit{Key: field, Value: b, IfMissing: true})
	}
	return p.http.PostBytes(ctx, "/responses", c.Body.With(edits...), c.Header)
}
