package local

import (
	"context"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Chat makes one call, after waiting for a free slot and for the server.
func (r *Runtime) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return core.ModelResponse{}, ctx.Err()
	}
	defer func() { <-r.slots }()
	b, err := r.ready(ctx)
	if err != nil {
		return core.ModelResponse{}, err
	}
	if req.Model, err = b.name(ctx, r.cfg, req.Model); err != nil {
		return core.ModelResponse{}, err
	}
	resp, err := b.provider.Chat(ctx, req, onDelta)
	b.suspect.Store(core.CodeOf(err) == core.CodeUnavailable)
	return resp, err
}

// Models lists the server's models: "default", and each by its own name. A server that is starting is not waited for.
func (r *Runtime) Models(ctx context.Context) ([]core.Model, error) {
	s := r.snapshot()
	if s.phase == own && s.process.Status().State != core.ServiceHealthy {
		detail := "the server is " + string(s.process.Status().State)
		list := []core.Model{{ID: defaultModel, Detail: detail}}
		if s.backend != nil && s.backend.model != "" {
			list = append(list, core.Model{ID: s.backend.model, Detail: detail})
		}
		return list, nil
	}
	b, err := r.ready(ctx)
	if err != nil {
		return nil, err
	}
	return b.list(ctx, r.cfg)
}

// Capabilities waits for the server and asks it about its model.
func (r *Runtime) Capabilities(ctx context.Context, model string) (aimodels.Capabilities, error) {
	b, err := r.ready(ctx)
	if err != nil {
		return aimodels.Capabilities{}, err
	}
	name, err := b.name(ctx, r.cfg, model)
	if err != nil {
		return aimodels.Capabilities{}, err
	}
	return b.capabilities(ctx, name)
}
