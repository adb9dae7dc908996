package aimodelstest

import (
	"context"
	"errors"
	"sync"

	"github.com/sutazai/sutazai/core"
)

// Scripted is a Provider in the process that plays a script. Safe for many goroutines.
type Scripted struct {
	script Script
	models []string

	mu       sync.Mutex
	requests []core.ModelRequest
}

// NewScripted makes a provider that plays the script and lists the given models ("default" when none are given).
func NewScripted(script Script, models ...string) *Scripted {
	if len(models) == 0 {
		models = []string{"default"}
	}
	return &Scripted{script: script, models: models}
}

// Chat plays the next turn.
func (s *Scripted) Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
	if err := ctx.Err(); err != nil {
		return core.ModelResponse{}, err
	}
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, req)
	s.mu.Unlock()
	resp, err := s.script(n, req)(ctx, req, onDelta)
	if f, ok := errors.AsType[Fault](err); ok {
		return core.ModelResponse{}, f.asProvider()
	}
	return resp, err
}

// Models lists the given models.
func (s *Scripted) Models(ctx context.Context) ([]core.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	list := make([]core.Model, len(s.models))
	for i, m := range s.models {
		list[i] = core.Model{ID: m, Loaded: true}
	}
	return list, nil
}

// Requests returns the requests so far, in the order in which they came.
func (s *Scripted) Requests() []core.ModelRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]core.ModelRequest(nil), s.requests...)
}
