package backend

import (
	"context"
	"slices"

	"github.com/sutazai/sutazai/core"
)

type byName struct {
	Name string `path:"name" maxLength:"128"`
}

func (s *server) catalogRoutes() {
	register(s, operation(get, "/agents", "list-agents", "Agents", "List agents and what they are doing"), func(ctx context.Context, _ *empty) (*output[page[core.AgentStatus]], error) {
		items, err := s.agentStatuses(ctx)
		if err != nil {
			return nil, err
		}
		return listOf(items, ""), nil
	})
	register(s, operation(get, "/agents/{name}", "get-agent", "Agents", "Show an agent"), func(ctx context.Context, in *byName) (*output[core.AgentStatus], error) {
		items, err := s.agentStatuses(ctx)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(items, func(a core.AgentStatus) bool { return a.Agent.Name == in.Name }); i >= 0 {
			return &output[core.AgentStatus]{items[i]}, nil
		}
		a, err := s.agents.Agent(in.Name) // says which name was meant
		if err != nil {
			return nil, err
		}
		return &output[core.AgentStatus]{tidyAgent(core.AgentStatus{Agent: a})}, nil
	})
	register(s, operation(get, "/services", "list-services", "Services", "List services and their health"), func(ctx context.Context, _ *empty) (*output[page[core.Service]], error) {
		return listOf(s.services.Services(ctx), ""), nil
	})
}

func (s *server) agentStatuses(ctx context.Context) ([]core.AgentStatus, error) {
	active, err := s.runs.ActiveByAgent(ctx)
	if err != nil {
		return nil, err
	}
	items := each(s.agents.List(), tidyAgent)
	for i := range items {
		items[i].Active = active[items[i].Agent.Name]
	}
	return items, nil
}
