package app

import (
	"context"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/orchestrator"
)

// runModels are the models as runs call them: the project of the key that started a run is looked up, so that budgets
// and usage count the run for it.
type runModels struct {
	orchestrator.Models
	keys interface {
		Get(ctx context.Context, id string) (core.APIKey, error)
	}
	projects sync.Map // of key ids; a key never changes its project
}

// Chat implements orchestrator.Models.
func (m *runModels) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	project, err := m.project(ctx, req.Caller.Key)
	if err != nil {
		return core.ModelResponse{}, err
	}
	req.Caller.Project = project
	return m.Models.Chat(ctx, req, onDelta)
}

func (m *runModels) project(ctx context.Context, key string) (string, error) {
	if key == "" {
		return core.DefaultProject, nil
	}
	if p, ok := m.projects.Load(key); ok {
		return p.(string), nil
	}
	k, err := m.keys.Get(ctx, key)
	if core.CodeOf(err) == core.CodeNotFound {
		return core.DefaultProject, nil
	}
	if err != nil {
		return "", err
	}
	m.projects.Store(key, k.Project)
	return k.Project, nil
}
