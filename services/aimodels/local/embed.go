package local

import (
	"context"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Embed turns texts into vectors with the server's model. It takes a slot as a conversation does: the server computes both
// in the same ones.
func (r *Runtime) Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return core.EmbedResponse{}, ctx.Err()
	}
	defer func() { <-r.slots }()
	b, err := r.ready(ctx)
	if err != nil {
		return core.EmbedResponse{}, err
	}
	embedder, ok := b.provider.(aimodels.Embedder)
	if !ok {
		return core.EmbedResponse{}, noEmbeddings(b.kind)
	}
	if req.Model, err = b.name(ctx, r.cfg, req.Model); err != nil {
		return core.EmbedResponse{}, err
	}
	resp, err := embedder.Embed(ctx, req)
	err = b.explainEmbed(err)
	b.suspect.Store(core.CodeOf(err) == core.CodeUnavailable)
	return resp, err
}

// explainEmbed tells what llama.cpp's server reports as its own failures (HTTP 500 and 501) from such: they are about the
// request or the way in which it was started, and another try is in vain.
func (b *backend) explainEmbed(err error) error {
	if err == nil || b.kind == Ollama {
		return err
	}
	switch text := core.MessageOf(err); {
	case strings.Contains(text, "too large to process"):
		_, tokens, _ := strings.Cut(text, "input (")
		tokens, _, _ = strings.Cut(tokens, ")")
		return &aimodels.CallError{Err: core.Wrap(core.CodeContextFull, err,
			"a text of %s is longer than what the local model turns into one vector; split it", tokens)}
	case strings.Contains(text, "does not support embeddings"), strings.Contains(text, "Pooling type"):
		return noEmbeddings(b.kind)
	default:
		return err
	}
}

func noEmbeddings(kind string) error {
	return &aimodels.CallError{Err: core.Errorf(core.CodeInvalid,
		"the local model server (%s) was started without embeddings; serve a model that is made for them, set LLAMA_ARG_EMBEDDINGS=1 and LLAMA_ARG_POOLING=mean in its environment, or name another server under models.providers", kind)}
}

// embedBatch is the number of tokens that a model made for embeddings reads at once, at most. One text has to fit. What it
// costs in memory grows with it, so that chat models keep the server's own number (512).
const embedBatch = 2048

// embedding is how a server that we start makes vectors.
type embedding struct {
	On      bool   `json:"on"`
	Pooling string `json:"pooling"` // "" = the model's own
	Batch   int    `json:"batch"`   // tokens; 0 = the server's default
}

// embedding chooses it. Measured with xllamacpp: a chat model gives vectors beside its chats (the mean of its tokens'),
// with the same answers, speed and memory as without. Some versions of llama-server refuse chats once embeddings are on;
// there only a model made for embeddings has them, which is no use for chats.
func (c Config) embedding(kind, model string) embedding {
	switch {
	case pools(model):
		return embedding{On: true, Batch: min(c.Context, embedBatch)}
	case kind == XLlamaCpp:
		return embedding{On: true, Pooling: "mean"}
	default:
		return embedding{}
	}
}
