package gemini

import (
	"context"
	"errors"
	"slices"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// maxBatch is how many texts one request may have.
const maxBatch = 100

type wireEmbed struct {
	Model      string      `json:"model"`
	Content    wireContent `json:"content"`
	Dimensions int         `json:"outputDimensionality,omitempty"`
}

// Embed turns texts into vectors, a hundred with each request. The dialect tells no usage.
func (p *Provider) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	name := resource(req.Model)
	vectors := make([][]float32, 0, len(req.Inputs))
	for texts := range slices.Chunk(req.Inputs, maxBatch) {
		in := make([]wireEmbed, len(texts))
		for i, text := range texts {
			in[i] = wireEmbed{name, wireContent{Parts: []wirePart{{Text: text}}}, req.Dimensions}
		}
		var out struct {
			Embeddings []struct {
				Values []float32 `json:"values"`
			} `json:"embeddings"`
		}
		if err := p.http.PostJSON(ctx, "/"+name+":batchEmbedContents", map[string]any{"requests": in}, &out); err != nil {
			return core.EmbedResponse{}, err
		}
		if len(out.Embeddings) != len(texts) {
			return core.EmbedResponse{}, p.http.Malformed(errors.New("not one vector for each input"))
		}
		for _, e := range out.Embeddings {
			switch {
			case len(e.Values) == 0:
				return core.EmbedResponse{}, p.http.Malformed(errors.New("an empty vector"))
			case req.Dimensions > 0 && len(e.Values) != req.Dimensions:
				return core.EmbedResponse{}, &aimodels.CallError{Err: core.Errorf(core.CodeInvalid,
					"the model %s gives vectors of %d numbers, not of %d; leave dimensions out", req.Model, len(e.Values), req.Dimensions)}
			}
			vectors = append(vectors, e.Values)
		}
	}
	return core.EmbedResponse{Vectors: vectors}, nil
}
