package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// maxBatch is how many texts one request to a Cohere model may have; one to a Titan model has one.
const maxBatch = 96

// Embed turns texts into vectors, with models of Titan and Cohere; the others' requests have forms of their own, which are
// not offered (CodeInvalid). Cohere models tell no usage.
func (p *Provider) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	var out core.EmbedResponse
	var err error
	switch familyOf(req.Model) {
	case titan:
		out, err = p.titan(ctx, req)
	case cohere:
		out, err = p.cohere(ctx, req)
	default:
		return out, &aimodels.CallError{Err: core.Errorf(core.CodeInvalid, "vectors of the model %s are not offered; take one whose name has amazon.titan-embed-text or cohere.embed in it", req.Model)}
	}
	if err != nil {
		return core.EmbedResponse{}, err
	}
	for _, v := range out.Vectors {
		switch {
		case len(v) == 0:
			return core.EmbedResponse{}, p.http.Malformed(errors.New("an empty vector"))
		case req.Dimensions > 0 && len(v) != req.Dimensions:
			return core.EmbedResponse{}, &aimodels.CallError{Err: core.Errorf(core.CodeInvalid,
				"the model %s gives vectors of %d numbers, not of %d; leave dimensions out", req.Model, len(v), req.Dimensions)}
		}
	}
	return out, nil
}

func (p *Provider) titan(ctx context.Context, req core.EmbedRequest) (out core.EmbedResponse, err error) {
	for _, text := range req.Inputs {
		in := map[string]any{"inputText": text}
		if req.Dimensions > 0 {
			in["dimensions"] = req.Dimensions
		}
		var one struct {
			Embedding []float32 `json:"embedding"`
			Tokens    int64     `json:"inputTextTokenCount"`
		}
		if err := p.http.PostJSON(ctx, address(req.Model, "invoke"), in, &one); err != nil {
			return out, err
		}
		out.Vectors = append(out.Vectors, one.Embedding)
		out.Usage.InputTokens += one.Tokens
	}
	return out, nil
}

func (p *Provider) cohere(ctx context.Context, req core.EmbedRequest) (out core.EmbedResponse, err error) {
	for texts := range slices.Chunk(req.Inputs, maxBatch) {
		// The dialect of clients does not say whether a text is sought or searched; both kinds of vectors can be compared.
		in := map[string]any{"texts": texts, "input_type": "search_document", "truncate": "NONE"}
		if req.Dimensions > 0 {
			in["output_dimension"] = req.Dimensions
		}
		var batch struct {
			Embeddings json.RawMessage `json:"embeddings"`
		}
		if err := p.http.PostJSON(ctx, address(req.Model, "invoke"), in, &batch); err != nil {
			return out, err
		}
		var vectors [][]float32
		if json.Unmarshal(batch.Embeddings, &vectors) != nil { // by type, as some versions give them
			var byType struct {
				Float [][]float32 `json:"float"`
			}
			if err := json.Unmarshal(batch.Embeddings, &byType); err != nil {
				return out, p.http.Malformed(err)
			}
			vectors = byType.Float
		}
		if len(vectors) != len(texts) {
			return out, p.http.Malformed(errors.New("not one vector for each input"))
		}
		out.Vectors = append(out.Vectors, vectors...)
	}
	return out, nil
}
