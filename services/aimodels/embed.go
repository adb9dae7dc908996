package aimodels

import (
	"context"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Embed turns texts into vectors, with the retries, limits and accounts of Chat. Errors are as Exchange's; CodeInvalid
// where a provider has no embeddings.
func (g *Gateway) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	r, err := g.resolve(req.Model)
	if err != nil {
		return core.EmbedResponse{}, &dialect.UnknownModel{Err: err}
	}
	if policies := g.policies(r); len(policies) > 0 {
		if err := g.allowed(r, policies); err != nil {
			return core.EmbedResponse{}, err
		}
		if req.Inputs, err = g.cfg.Guards.Texts(ctx, policies, req.Inputs, nil); err != nil {
			return core.EmbedResponse{}, err
		}
	}
	var size int64
	for _, text := range req.Inputs {
		size += int64(len(text)) + 1
	}
	a, err := g.account(ctx, r, req.Caller, bound{input: size, output: 1})
	if err != nil {
		return core.EmbedResponse{}, err
	}
	var resp core.EmbedResponse
	defer func() { a.settle(core.UsageEntry{Code: core.CodeInternal}) }() // of a defect; else it has been settled
	j := &job{g: g, route: r, input: func() int64 { return tokensOf(size) }, try: func(ctx context.Context, a *attempt) error {
		r, err := g.embedOnce(ctx, a, req)
		if err == nil { // of two that race, one at most
			resp = r
		}
		return err
	}}
	err = j.run(ctx)
	a.settle(core.UsageEntry{Kind: core.UsageEmbed, Model: g.asked(j), Usage: j.used, Code: codeOf(err)})
	return resp, err
}

func (g *Gateway) embedOnce(ctx context.Context, a *attempt, req core.EmbedRequest) (core.EmbedResponse, error) {
	embedder, ok := g.providers[a.target.Provider].Provider.(Embedder)
	if !ok {
		return core.EmbedResponse{}, core.Errorf(core.CodeInvalid, "provider %s has no embeddings; name a model of another one", a.target.Provider)
	}
	q := embedQuery{Project: req.Caller.Project, Target: a.target.String(), Dims: req.Dimensions, Inputs: req.Inputs, Control: req.CacheControl}
	var resp core.EmbedResponse
	var err error
	resp.Vectors, resp.Usage, _, err = g.answers.embedCached(ctx, q, func(ctx context.Context, texts []string) ([][]float32, core.Usage, error) {
		asked := req
		asked.Model, asked.Inputs = a.target.Model, texts
		r, err := embedder.Embed(ctx, asked)
		if err == nil && r.Usage.InputTokens <= 0 {
			for _, text := range texts {
				r.Usage.InputTokens += EstimateTokens(text)
			}
		}
		return r.Vectors, r.Usage, err
	})
	if err != nil {
		return core.EmbedResponse{}, err
	}
	if !a.begin() {
		return core.EmbedResponse{}, errLost
	}
	resp.Model = a.target.String()
	resp.Usage.CostMicroUSD = g.cfg.price(a.target).of(resp.Usage)
	a.usage = resp.Usage
	return resp, nil
}
