package openaicompat

import (
	"context"
	"errors"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Embed turns texts into vectors.
func (p *Provider) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	address, name := p.cfg.Locate("/embeddings", req.Model)
	in := map[string]any{"model": name, "input": req.Inputs, "encoding_format": "float"}
	if req.Dimensions > 0 {
		in["dimensions"] = req.Dimensions
	}
	if req.User != "" {
		in["user"] = req.User
	}
	var out struct {
		Data []struct {
			Index     int       `json:"index"`
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
		Usage struct {
			PromptTokens int64 `json:"prompt_tokens"`
		} `json:"usage"`
	}
	if err := p.http.PostJSON(ctx, address, in, &out); err != nil {
		return core.EmbedResponse{}, err
	}
	// The index says which input a vector belongs to; the order of the list does not.
	vectors := make([][]float32, len(req.Inputs))
	for _, d := range out.Data {
		switch {
		case d.Index < 0 || d.Index >= len(vectors) || vectors[d.Index] != nil || len(d.Embedding) == 0:
			return core.EmbedResponse{}, p.http.Malformed(errors.New("vectors that belong to no input"))
		case req.Dimensions > 0 && len(d.Embedding) != req.Dimensions:
			return core.EmbedResponse{}, &aimodels.CallError{Err: core.Errorf(core.CodeInvalid,
				"the model %s gives vectors of %d numbers, not of %d; leave dimensions out", req.Model, len(d.Embedding), req.Dimensions)}
		}
		vectors[d.Index] = d.Embedding
	}
	if len(out.Data) != len(vectors) {
		return core.EmbedResponse{}, p.http.Malformed(errors.New("fewer vectors than inputs"))
	}
	return core.EmbedResponse{Vectors: vectors, Usage: core.Usage{InputTokens: out.Usage.PromptTokens}}, nil
}
