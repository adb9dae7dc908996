package backend

import (
	"context"
	"fmt"

	"github.com/sutazai/sutazai/core"
)

type versionsInput struct {
	Name string `path:"name" maxLength:"64"`
}

type publishInput struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		Note string `json:"note,omitempty" maxLength:"1000" doc:"What has changed, in a line."`
	}
}

type useInput struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		Number int `json:"number" minimum:"0" doc:"Of the published version that new runs use; 0 = the agent's file."`
	}
}

type diffInput struct {
	Name string `path:"name" maxLength:"64"`
	From string `query:"from" maxLength:"64" doc:"A number, the 12 characters that a run names, or draft; left out, the version in use."`
	To   string `query:"to" maxLength:"64" doc:"As from; left out, draft."`
}

type diffView struct {
	From string `json:"from"`
	To   string `json:"to"`
	Diff string `json:"diff" doc:"Unified; empty where both are the same."`
}

func (s *server) versionRoutes() {
	const tag = "Agents"
	register(s, operation(get, "/agents/{name}/versions", "list-agent-versions", tag, "List the published versions of an agent, newest first"), func(ctx context.Context, in *versionsInput) (*output[page[core.AgentVersion]], error) {
		items, err := s.versions.Versions(ctx, in.Name)
		if err != nil {
			return nil, err
		}
		for i := range items {
			items[i].Definition = tidyAgent(core.AgentStatus{Agent: items[i].Definition}).Agent
		}
		return listOf(items, ""), nil
	})
	op := operation(post, "/agents/{name}/versions", "publish-agent", tag, "Publish an agent's file as a new version")
	op.Description = "From then on new runs use the published version, and the file is the draft of the next. Runs under way keep the version that they began with."
	op.DefaultStatus = 201
	register(s, op, func(ctx context.Context, in *publishInput) (*output[core.AgentVersion], error) {
		v, err := s.versions.Publish(ctx, in.Name, in.Body.Note, actor(ctx))
		s.recordResult(ctx, "agent.publish", in.Name, fmt.Sprintf("version %d %s", v.Number, v.Version), err)
		if err != nil {
			return nil, err
		}
		v.Definition = tidyAgent(core.AgentStatus{Agent: v.Definition}).Agent
		return &output[core.AgentVersion]{v}, nil
	})
	op = operation(put, "/agents/{name}/version", "use-agent-version", tag, "Choose the published version that new runs use")
	op.Description = "With an earlier number the agent is rolled back; with 0 new runs use the agent's file again."
	register(s, op, func(ctx context.Context, in *useInput) (*output[page[core.AgentVersion]], error) {
		err := s.versions.Use(ctx, in.Name, in.Body.Number)
		s.recordResult(ctx, "agent.use", in.Name, fmt.Sprintf("version %d", in.Body.Number), err)
		if err != nil {
			return nil, err
		}
		items, err := s.versions.Versions(ctx, in.Name)
		return listOf(items, ""), err
	})
	register(s, operation(get, "/agents/{name}/diff", "diff-agent", tag, "Compare two versions of an agent"), func(ctx context.Context, in *diffInput) (*output[diffView], error) {
		from, to, diff, err := s.versions.Diff(ctx, in.Name, in.From, in.To)
		if err != nil {
			return nil, err
		}
		return &output[diffView]{diffView{From: from, To: to, Diff: diff}}, nil
	})
}
