package gemini

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// defaultBaseURL is Google's own server.
const defaultBaseURL = "https://generativelanguage.googleapis.com/v1beta"

// Config holds the settings of one server.
type Config struct {
	HTTP aimodels.HTTPConfig // without BaseURL, Google's; without Authorize, the key goes out as x-goog-api-key
}

// Provider calls one server. Safe for many goroutines.
type Provider struct {
	http *aimodels.HTTPClient
}

// New checks the settings; it asks the server nothing.
func New(cfg Config) (*Provider, error) {
	if cfg.HTTP.BaseURL == "" {
		cfg.HTTP.BaseURL = defaultBaseURL
	}
	if cfg.HTTP.Authorize == nil {
		cfg.HTTP.Authorize = func(h http.Header, key string) { h.Set("X-Goog-Api-Key", key) }
	}
	c, err := aimodels.NewHTTPClient(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	return &Provider{http: c}, nil
}

// Close drops idle connections.
func (p *Provider) Close() { p.http.Close() }

// maxModelPages bounds how many pages of models are asked for; a page has a thousand, the largest that the dialect knows.
const maxModelPages = 10

// Models lists what the server offers to talk to or to make vectors with.
func (p *Provider) Models(ctx context.Context) ([]core.Model, error) {
	models := []core.Model{}
	next := ""
	for range maxModelPages {
		var list struct {
			Models []struct {
				Name    string   `json:"name"`
				Methods []string `json:"supportedGenerationMethods"`
			} `json:"models"`
			Next string `json:"nextPageToken"`
		}
		path := "/models?pageSize=1000"
		if next != "" {
			path += "&pageToken=" + url.QueryEscape(next)
		}
		if err := p.http.Get(ctx, path, &list); err != nil {
			return nil, err
		}
		for _, m := range list.Models {
			if len(m.Methods) == 0 || slices.Contains(m.Methods, "generateContent") || slices.Contains(m.Methods, "embedContent") {
				models = append(models, core.Model{ID: strings.TrimPrefix(m.Name, "models/")})
			}
		}
		if next = list.Next; next == "" {
			break
		}
	}
	return models, nil
}

// resource is a model's name at the server: what is not one of the owner's tuned models is one of Google's.
func resource(model string) string {
	name, tuned := strings.CutPrefix(model, "tunedModels/")
	if tuned {
		return "tunedModels/" + url.PathEscape(name)
	}
	return "models/" + url.PathEscape(strings.TrimPrefix(model, "models/"))
}

// Chat makes one call. It always asks for a stream, so that a server that stops in mid answer is noticed; a server that
// answers with one JSON object all the same is understood.
func (p *Provider) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	in, err := newRequest(req)
	if err != nil {
		return core.ModelResponse{}, &aimodels.CallError{Err: err}
	}
	body, openErr := p.http.Post(ctx, "/"+resource(req.Model)+":streamGenerateContent?alt=sse", in)
	if openErr != nil {
		return core.ModelResponse{}, openErr
	}
	defer body.Close()
	a := answer{p: p, onDelta: onDelta, oneTool: req.OneTool}
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
