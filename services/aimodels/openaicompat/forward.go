package openaicompat

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/sutazai/sutazai/internal/dialect"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Forwards says that calls of OpenAI's chat dialect go through as they are.
func (p *Provider) Forwards(c *dialect.Call) bool { return c.Dialect == dialect.OpenAIChat }

// Forward sends the client's own body. What is changed: the model's name, fields that the server is known to refuse, usage
// in streams where the client did not ask for it, and the bound of the answer where money is limited.
func (p *Provider) Forward(ctx context.Context, model string, c *dialect.Call) (*aimodels.Body, error) {
	address, name := p.cfg.Locate("/chat/completions", model)
	edits := make([]dialect.Edit, 1, 4)
	edits[0] = dialect.Edit{Key: "model", Value: dialect.String(name)}
	if c.Stream && c.HideUsage && !p.quirks.noUsage {
		edits = append(edits, dialect.Edit{Key: "stream_options", Value: []byte(`{"include_usage":true}`)})
	}
	if c.CapOutput > 0 {
		field := p.quirks.maxTokensField()
		for _, other := range []string{"max_tokens", "max_completion_tokens"} {
			if other != field && c.Body.Has(other) {
				edits = append(edits, dialect.Edit{Key: other})
			}
		}
		edits = append(edits, dialect.Edit{Key: field, Value: strconv.AppendInt(nil, int64(c.CapOutput), 10)})
	}
	for _, field := range p.quirks.drop {
		if c.Body.Has(field) {
			edits = append(edits, dialect.Edit{Key: field})
		}
	}
	if p.quirks.noUsage && c.Body.Has("stream_options") {
		edits = append(edits, dialect.Edit{Key: "stream_options"})
	}
	bounded := c.Body.Has("max_tokens") || c.Body.Has("max_completion_tokens")
	for field, value := range p.cfg.Extra {
		if field == p.quirks.maxTokensField() && bounded || slices.ContainsFunc(edits, func(e dialect.Edit) bool { return e.Key == field }) {
			continue
		}
		b, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		edits = append(edits, dialect.Edit{Key: field, Value: b, IfMissing: true})
	}
	return p.http.PostBytes(ctx, address, c.Body.With(edits...), nil)
}
