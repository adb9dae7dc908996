package app

import (
	"context"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/orchestrator"
)

// projects knows the project of each key.
type projects struct {
	keys interface {
		Get(ctx context.Context, id string) (core.APIKey, error)
	}
	known sync.Map // by key id; a key never changes its project
}

// runModels, runTools and runPeers are what runs call: the project of the key that started a run is looked up, so that
// budgets, usage and credentials are those of the project.
type (
	runModels struct {
		orchestrator.Models
		projects *projects
	}
	runTools struct {
		orchestrator.Tools
		projects *projects
	}
	runPeers struct {
		orchestrator.Peers
		projects *projects
	}
)

// Call implements orchestrator.Tools.
func (t *runTools) Call(ctx context.Context, inv core.ToolInvocation) core.ToolResult {
	project, err := t.projects.of(ctx, inv.Caller.Key)
	if err != nil {
		return core.ToolResult{Text: "the call was not made: " + core.MessageOf(err), IsError: true}
	}
	inv.Caller.Project = project
	return t.Tools.Call(ctx, inv)
}

// Talk implements orchestrator.Peers.
func (p *runPeers) Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
	project, err := p.projects.of(ctx, call.Caller.Key)
	if err != nil {
		return core.PeerAnswer{}, err
	}
	call.Caller.Project = project
	return p.Peers.Talk(ctx, call, events)
}

// Chat implements orchestrator.Models.
func (m *runModels) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	project, err := m.projects.of(ctx, req.Caller.Key)
	if err != nil {
		return core.ModelResponse{}, err
	}
	req.Caller.Project = project
	return m.Models.Chat(ctx, req, onDelta)
}

func (m *projects) of(ctx context.Context, key string) (string, error) {
	if key == "" {
		return core.DefaultProject, nil
	}
	if p, ok := m.known.Load(key); ok {
		return p.(string), nil
	}
	k, err := m.keys.Get(ctx, key)
	if core.CodeOf(err) == core.CodeNotFound {
		return core.DefaultProject, nil
	}
	if err != nil {
		return "", err
	}
	m.known.Store(key, k.Project)
	return k.Project, nil
}
