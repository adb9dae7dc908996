package local

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// defaultModel is the name under which the server's model is always there.
const defaultModel = "default"

// backend speaks to one server as it runs now.
type backend struct {
	kind     string
	url      string
	model    string // its default model, as the server calls it; for an Ollama that we start "" until it was asked
	provider aimodels.Provider
	server   *aimodels.HTTPClient // llama.cpp's own paths; nil for Ollama
	suspect  atomic.Bool          // the last call broke: it may be gone without its supervisor knowing yet
}

func (b *backend) close() {
	closeProvider(b.provider)
	if b.server != nil {
		b.server.Close()
	}
}

func closeProvider(p aimodels.Provider) {
	if c, ok := p.(interface{ Close() }); ok {
		c.Close()
	}
}

// name returns what the server calls a model.
func (b *backend) name(ctx context.Context, c Config, model string) (string, error) {
	if b.kind == Ollama {
		if model != defaultModel {
			return model, nil
		}
		list, err := b.provider.Models(ctx)
		if err != nil {
			return "", err
		}
		return c.ollamaModel(list)
	}
	if model == defaultModel || model == b.model || model+".gguf" == b.model {
		return b.model, nil
	}
	return "", &aimodels.CallError{Err: core.Errorf(core.CodeNotFound, "the local model server has no model %q; it has %s/%s, which is also %s/%s",
		model, c.Provider, b.model, c.Provider, defaultModel)}
}

// list lists the models of a server that is ready.
func (b *backend) list(ctx context.Context, c Config) ([]core.Model, error) {
	if b.kind != Ollama {
		return []core.Model{{ID: defaultModel, Loaded: true, Detail: b.model}, {ID: b.model, Loaded: true}}, nil
	}
	list, err := b.provider.Models(ctx)
	if err != nil {
		return nil, err
	}
	if name, err := c.ollamaModel(list); err == nil {
		list = slices.Insert(list, 0, core.Model{ID: defaultModel, Detail: name})
	}
	return list, nil
}

// capabilities asks llama.cpp's server what its model's template and size are.
func (b *backend) capabilities(ctx context.Context, name string) (aimodels.Capabilities, error) {
	if b.server == nil {
		if capable, ok := b.provider.(aimodels.Capable); ok {
			return capable.Capabilities(ctx, name)
		}
		return aimodels.Capabilities{}, nil
	}
	var props llamaProps
	if err := b.server.Get(ctx, "/props", &props); err != nil {
		return aimodels.Capabilities{}, err
	}
	caps := aimodels.Capabilities{Tools: strings.Contains(props.Template, "tools")}
	if props.Caps != nil {
		caps.Tools = props.Caps.Tools
	}
	var models struct {
		Data []struct {
			Meta struct {
				Parameters float64 `json:"n_params"`
			} `json:"meta"`
		} `json:"data"`
	}
	if err := b.server.Get(ctx, "/v1/models", &models); err != nil {
		return aimodels.Capabilities{}, err
	}
	for _, m := range models.Data {
		caps.Small = m.Meta.Parameters > 0 && m.Meta.Parameters < aimodels.SmallParameters
	}
	return caps, nil
}
