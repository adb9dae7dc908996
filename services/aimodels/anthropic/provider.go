package anthropic

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
)

// versionHeader names the version of the dialect; apiVersion is the one that this package speaks.
const (
	versionHeader = "Anthropic-Version"
	apiVersion    = "2023-06-01"
)

// Config holds the settings of one server.
type Config struct {
	HTTP aimodels.HTTPConfig // without Authorize, the key goes out as x-api-key
}

// Provider calls one server. Safe for many goroutines.
type Provider struct {
	http *aimodels.HTTPClient
}

// New checks the settings; it asks the server nothing.
func New(cfg Config) (*Provider, error) {
	headers := map[string]string{versionHeader: apiVersion}
	for name, value := range cfg.HTTP.Headers {
		headers[http.CanonicalHeaderKey(name)] = value
	}
	cfg.HTTP.Headers = headers
	if cfg.HTTP.Authorize == nil {
		cfg.HTTP.Authorize = func(h http.Header, key string) { h.Set("X-Api-Key", key) }
	}
	c, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	return &Provider{http: c}, nil
}

// Close drops idle connections.
func (p *Provider) Close() { p.http.Close() }

// Models lists what the server offers. It has a page of a thousand, which is the largest that the dialect knows.
func (p *Provider) Models(ctx context.Context) ([]core.Model, error) {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := p.http.Get(ctx, "/models?limit=1000", &list); err != nil {
		return nil, err
	}
	models := make([]core.Model, 0, len(list.Data))
	for _, m := range list.Data {
		models = append(models, core.Model{ID: m.ID})
	}
	return models, nil
}

// Forwards says whether the call is in the server's own dialect, and in nobody else's signatures.
func (p *Provider) Forwards(c *dialect.Call) bool {
	return c.Dialect == dialect.Anthropic && !c.Foreign()
}

// Forward makes one try with the client's own bytes; only the model's name is replaced.
func (p *Provider) Forward(ctx context.Context, model string, c *dialect.Call) (*aimodels.Body, error) {
	body := c.Body.With(dialect.Edit{Key: "model", Value: dialect.String(model)})
	return p.http.PostBytes(ctx, "/messages", body, c.Header)
}

// Chat makes one call. It always asks for a stream, so that a server that stops in mid answer is noticed; a server that
// answers with one JSON object all the same is understood.
func (p *Provider) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	in, err := newRequest(req)
	if err != nil {
		return core.ModelResponse{}, &aimodels.CallError{Err: err}
	}
	body, openErr := p.http.Post(ctx, "/messages", in)
	if openErr != nil {
		return core.ModelResponse{}, openErr
	}
	defer body.Close()
	a := answer{p: p, onDelta: onDelta}
	var readErr error
	if strings.HasPrefix(body.ContentType, "application/json") {
		readErr = a.whole(body)
	} else {
		readErr = a.stream(body)
	}
	if readErr != nil {
		if _, ok := errors.AsType[*aimodels.CallError](readErr); !ok {
			readErr = body.Explain(readErr)
		}
		return core.ModelResponse{}, readErr
	}
	return a.response()
}
