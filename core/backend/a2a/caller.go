package a2a

import (
	"context"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/auth"
)

type agentKey struct{}

// withAgent notes which agent an address names.
func withAgent(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, agentKey{}, name)
}

// named is the agent that a call names by its address or its tenant; "" for none.
func named(ctx context.Context, tenant string) (string, error) {
	path, _ := ctx.Value(agentKey{}).(string)
	if path != "" && tenant != "" && tenant != path {
		return "", wrong("tenant", "it is another agent than that of the address; leave it out")
	}
	if path != "" {
		return path, nil
	}
	return tenant, nil
}

// agent is the agent that a call is for: where it names none, the one of the settings.
func (s *Server) agent(ctx context.Context, tenant string) (core.Agent, error) {
	name, err := named(ctx, tenant)
	if err != nil {
		return core.Agent{}, err
	}
	if name == "" {
		name = s.d.Settings.DefaultAgent
	}
	agent, err := s.d.Agents.Agent(name)
	if err != nil {
		return agent, wrong("tenant", core.MessageOf(err))
	}
	return agent, nil
}

func principal(ctx context.Context) auth.Principal {
	p, _ := auth.PrincipalOf(ctx)
	return p
}

func actor(ctx context.Context) string { return principal(ctx).Actor() }

// own returns a run that is a task of the caller's. Others' look like what is not there.
func (s *Server) own(ctx context.Context, tenant string, id a2a.TaskID) (core.Run, error) {
	name, err := named(ctx, tenant)
	if err != nil {
		return core.Run{}, err
	}
	if id == "" {
		return core.Run{}, wrong("id", "it is missing")
	}
	if len(id) > 64 || string(id) != core.CleanText(string(id)) {
		return core.Run{}, notFound(id)
	}
	run, err := s.d.Runs.Run(ctx, string(id))
	if core.CodeOf(err) == core.CodeNotFound {
		return run, notFound(id)
	}
	if err != nil {
		return run, err
	}
	if run.CreatedBy != actor(ctx) || run.Parent != "" || name != "" && run.Agent != name {
		return core.Run{}, notFound(id)
	}
	return run, nil
}

// record writes an audit event about what a caller has tried.
func (s *Server) record(ctx context.Context, action, target, detail string, err error) {
	e := backend.Outcome(core.AuditEvent{Actor: actor(ctx), Action: action, Target: target, Detail: detail, Addr: backend.AddrOf(ctx)}, err)
	if err := s.d.Audit.Record(ctx, e); err != nil {
		s.d.Logger.Error("an audit event could not be stored", "action", action, "error", err)
	}
}
