package app

import (
	"context"
	"errors"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/orchestrator"
)

// projectKeys knows one key, and counts how often it is asked.
type projectKeys struct{ asked int }

func (k *projectKeys) Get(_ context.Context, id string) (core.APIKey, error) {
	k.asked++
	switch id {
	case "k1":
		return core.APIKey{ID: id, Project: "team-a"}, nil
	case "gone":
		return core.APIKey{}, core.Errorf(core.CodeNotFound, "there is no API key %s", id)
	}
	return core.APIKey{}, errors.New("the database is away")
}

// heard remembers the caller of a call.
type heard struct {
	orchestrator.Models
	caller core.Caller
}

func (h *heard) Chat(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
	h.caller = req.Caller
	return core.ModelResponse{}, nil
}

func TestCallsOfRunsCountForTheProjectOfTheirKey(t *testing.T) {
	t.Parallel()
	h, keys := &heard{}, &projectKeys{}
	m := &runModels{h, &projects{keys: keys}}
	for _, c := range []struct{ key, project string }{{"", "default"}, {"k1", "team-a"}, {"k1", "team-a"}, {"gone", "default"}} {
		in := core.Caller{Key: c.key, Agent: "clerk", Run: "r1"}
		if _, err := m.Chat(t.Context(), core.ModelRequest{Caller: in}, nil); err != nil {
			t.Fatal(err)
		}
		in.Project = c.project
		if h.caller != in {
			t.Errorf("key %q: called for %+v", c.key, h.caller)
		}
	}
	if keys.asked != 2 {
		t.Errorf("the keys were asked %d times", keys.asked)
	}
	if _, err := m.Chat(t.Context(), core.ModelRequest{Caller: core.Caller{Key: "other"}}, nil); err == nil {
		t.Error("a call is made though its project is not known")
	}
}
