package constrained

import (
	"context"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Forwards is ForwardsModel of a model that nothing is known of.
func (p *Provider) Forwards(c *dialect.Call) bool { return p.ForwardsModel("", c) }

// ForwardsModel says whether a call needs no help with tools, so that it can go through as it is: the model is known to
// have them and to follow instructions, or the provider knows nothing of its models.
func (p *Provider) ForwardsModel(model string, c *dialect.Call) bool {
	f, ok := p.inner.(aimodels.Forwarder)
	if !ok || p.opt.Mode == aimodels.ToolsConstrained || !f.Forwards(c) {
		return false
	}
	if _, capable := p.inner.(aimodels.Capable); !capable || p.opt.Mode == aimodels.ToolsNative {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	caps, known := p.known[model]
	return known && caps.Tools && !caps.Small
}

// Forward passes the call on. It is called only where ForwardsModel has agreed.
func (p *Provider) Forward(ctx context.Context, model string, c *dialect.Call) (*aimodels.Body, error) {
	return p.inner.(aimodels.Forwarder).Forward(ctx, model, c)
}

// Embed passes the texts on: vectors need no tools.
func (p *Provider) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	e, ok := p.inner.(aimodels.Embedder)
	if !ok {
		return core.EmbedResponse{}, core.Errorf(core.CodeInvalid, "this provider has no embeddings; name a model of another one")
	}
	return e.Embed(ctx, req)
}
