package ollama

import (
	"context"
	"errors"

	"github.com/sutazai/sutazai/core"
)

// Embed turns texts into vectors. A text that does not fit the model is an error (core.CodeContextFull): the server would
// else cut it without a word.
func (p *Provider) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	in := map[string]any{"model": req.Model, "input": req.Inputs, "truncate": false}
	if req.Dimensions > 0 {
		in["dimensions"] = req.Dimensions
	}
	var out struct {
		Embeddings [][]float32 `json:"embeddings"`
		Input      int64       `json:"prompt_eval_count"`
	}
	if err := p.http.PostJSON(ctx, "/api/embed", in, &out); err != nil {
		return core.EmbedResponse{}, err
	}
	if len(out.Embeddings) != len(req.Inputs) {
		return core.EmbedResponse{}, p.http.Malformed(errors.New("not one vector for each input"))
	}
	for _, v := range out.Embeddings {
		switch {
		case len(v) == 0:
			return core.EmbedResponse{}, p.http.Malformed(errors.New("an empty vector"))
		case req.Dimensions > 0 && len(v) != req.Dimensions:
			return core.EmbedResponse{}, invalid("the model %s gives vectors of %d numbers, not of %d; leave dimensions out", req.Model, len(v), req.Dimensions)
		}
	}
	return core.EmbedResponse{Vectors: out.Embeddings, Usage: core.Usage{InputTokens: out.Input}}, nil
}
