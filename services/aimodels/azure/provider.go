package azure

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

// Config holds the settings of one Azure resource.
type Config struct {
	HTTP        aimodels.HTTPConfig // BaseURL is the resource's endpoint; without Authorize, the key goes out as api-key
	APIVersion  string              // such as 2024-10-21; "" = the /openai/v1 form, which needs none
	Deployments map[string]string   // by model; a model that is not in it is a deployment's own name
	Extra       map[string]any      // further fields of every chat request
}

// Provider calls one resource. Safe for many goroutines.
type Provider struct {
	*openaicompat.Provider
	models []string // that the settings name
}

// streamUsage is the first API version that tells the usage of streams and knows max_completion_tokens and schemas.
const streamUsage = "2024-09"

// New checks the settings; it asks the server nothing.
func New(cfg Config) (*Provider, error) {
	if cfg.HTTP.BaseURL == "" {
		return nil, core.Errorf(core.CodeInvalid, "models.providers.%s.base_url is missing: give the endpoint of the Azure resource, such as https://NAME.openai.azure.com", cfg.HTTP.Name)
	}
	base := strings.TrimRight(cfg.HTTP.BaseURL, "/")
	base = strings.TrimSuffix(strings.TrimSuffix(base, "/v1"), "/openai")
	in := openaicompat.Config{HTTP: cfg.HTTP, Quirks: "azure", Extra: cfg.Extra, Locate: func(path, model string) (string, string) {
		return path, cfg.deployment(model)
	}}
	in.HTTP.BaseURL = base + "/openai/v1"
	if cfg.APIVersion != "" {
		in.HTTP.BaseURL, in.Locate = base+"/openai", cfg.dated
		if cfg.APIVersion < streamUsage {
			in.Quirks = "azure-2024"
		}
	}
	if in.HTTP.Authorize == nil {
		in.HTTP.Authorize = func(h http.Header, key string) { h.Set("Api-Key", key) }
	}
	p, err := openaicompat.New(in)
	if err != nil {
		return nil, err
	}
	return &Provider{Provider: p, models: slices.Sorted(maps.Keys(cfg.Deployments))}, nil
}

func (c Config) deployment(model string) string {
	if name := c.Deployments[model]; name != "" {
		return name
	}
	return model
}

// dated is where a path is in the form that has an API version: below the model's deployment.
func (c Config) dated(path, model string) (address, name string) {
	if model != "" {
		name = c.deployment(model)
		path = "/deployments/" + segment(name) + path
	}
	return path + "?api-version=" + url.QueryEscape(c.APIVersion), name
}

// segment is one step of a path, whatever the name: callers choose models, and a step of dots would leave the folder.
func segment(name string) string {
	if strings.Trim(name, ".") == "" {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// Models lists the models of the settings; where they name none, those that the server lists, of which not each needs to
// be deployed.
func (p *Provider) Models(ctx context.Context) ([]core.Model, error) {
	if len(p.models) == 0 {
		return p.Provider.Models(ctx)
	}
	list := make([]core.Model, len(p.models))
	for i, m := range p.models {
		list[i] = core.Model{ID: m}
	}
	return list, nil
}
