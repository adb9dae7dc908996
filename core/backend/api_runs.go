package backend

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/audit"
)

type startInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"A retry with the same key and body returns the first run with status 200."`
	Body           startBody
}

type startBody struct {
	Agent    string            `json:"agent" minLength:"1" maxLength:"128" doc:"Name of the agent."`
	Input    string            `json:"input" minLength:"1" doc:"The task."`
	Files    []fileBody        `json:"files,omitempty" maxItems:"64" doc:"Files for the run's workspace."`
	Metadata map[string]string `json:"metadata,omitempty" maxProperties:"64" doc:"Kept with the run and shown again."`
	Limits   *limitsInput      `json:"limits,omitempty" doc:"Narrower limits than the agent's."`
}

type fileBody struct {
	Name    string `json:"name" minLength:"1" maxLength:"255"`
	Content []byte `json:"content_base64" doc:"The content in base64."`
}

// limitsInput is core.LimitsJSON under a name of its own: what a client may leave out differs from what it gets.
type limitsInput struct {
	Steps   int     `json:"steps,omitempty" minimum:"0"`
	Tokens  int64   `json:"tokens,omitempty" minimum:"0"`
	CostUSD float64 `json:"cost_usd,omitempty" minimum:"0" maximum:"1000000"`
	Time    string  `json:"time,omitempty" maxLength:"40" example:"30m" doc:"Running time; waiting is not counted."`
	Depth   int     `json:"depth,omitempty" minimum:"0"`
}

type startOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     core.Run
}

type listRunsInput struct {
	Agent  string         `query:"agent" maxLength:"128"`
	Status core.RunStatus `query:"status" enum:"queued,running,waiting,succeeded,failed,cancelled"`
	Parent string         `query:"parent" maxLength:"64" doc:"Runs that this run started."`
	Before string         `query:"before" maxLength:"64" doc:"The id that the previous page ended with."`
	Limit  int            `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type messageInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		Text string `json:"text" minLength:"1" doc:"The next message of the conversation, or the answer to the agent's question."`
	}
}

func (s *server) runRoutes() {
	const tag = "Runs"
	op := operation(post, "/runs", "start-run", tag, "Start a run")
	op.DefaultStatus = http.StatusCreated
	runSchema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[core.Run](), true, "Run")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The run that an earlier request with this Idempotency-Key started.",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: runSchema}},
	}}
	register(s, op, s.startRun)
	register(s, operation(get, "/runs", "list-runs", tag, "List runs"), func(ctx context.Context, in *listRunsInput) (*output[page[core.Run]], error) {
		items, next, err := s.runs.Runs(ctx, core.RunFilter{Agent: in.Agent, Status: in.Status, Parent: in.Parent, Before: in.Before, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		return listOf(each(items, tidyRun), next), nil
	})
	register(s, operation(get, "/runs/{id}", "get-run", tag, "Show a run"), func(ctx context.Context, in *byID) (*output[core.Run], error) {
		return runOutput(s.runs.Run(ctx, in.ID))
	})
	register(s, operation(get, "/runs/{id}/steps", "list-steps", tag, "List the steps of a run"), func(ctx context.Context, in *byID) (*output[page[core.Step]], error) {
		steps, err := s.runs.Steps(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return listOf(each(steps, tidyStep), ""), nil
	})
	register(s, operation(get, "/runs/{id}/messages", "list-messages", tag, "List the messages of a run"), func(ctx context.Context, in *byID) (*output[page[core.Message]], error) {
		messages, err := s.runs.Messages(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return listOf(messages, ""), nil
	})
	register(s, operation(post, "/runs/{id}/cancel", "cancel-run", tag, "Cancel a run"), func(ctx context.Context, in *byID) (*output[core.Run], error) {
		r, err := s.runs.Cancel(ctx, in.ID, actor(ctx))
		s.recordResult(ctx, "run.cancel", in.ID, "", err)
		return runOutput(r, err)
	})
	register(s, operation(post, "/runs/{id}/resume", "resume-run", tag, "Go on with a failed, cancelled or waiting run"), func(ctx context.Context, in *byID) (*output[core.Run], error) {
		r, err := s.runs.Resume(ctx, in.ID, actor(ctx))
		s.recordResult(ctx, "run.resume", in.ID, "", err)
		return runOutput(r, err)
	})
	register(s, operation(post, "/runs/{id}/messages", "send-message", tag, "Continue a conversation or answer a question"), func(ctx context.Context, in *messageInput) (*output[core.Run], error) {
		return runOutput(s.runs.Message(ctx, in.ID, in.Body.Text, actor(ctx)))
	})
	s.eventRoute()
}

func (s *server) startRun(ctx context.Context, in *startInput) (*startOutput, error) {
	start := core.StartRun{
		Agent: in.Body.Agent, Input: in.Body.Input, Metadata: in.Body.Metadata,
		IdempotencyKey: in.IdempotencyKey, Actor: actor(ctx),
	}
	if in.Body.Limits != nil {
		l, err := core.LimitsJSON(*in.Body.Limits).Limits()
		if err != nil {
			return nil, &core.Error{Code: core.CodeInvalid, Message: core.MessageOf(err),
				Fields: []core.FieldError{{Field: "limits", Message: core.MessageOf(err)}}}
		}
		start.Limits = l
	}
	for _, f := range in.Body.Files {
		start.Files = append(start.Files, core.File{Name: f.Name, Content: f.Content})
	}
	run, existed, err := s.runs.Start(ctx, start)
	if err != nil {
		return nil, err
	}
	code := http.StatusCreated
	if existed {
		code = http.StatusOK
	}
	return &startOutput{Status: code, Location: "/api/v1/runs/" + run.ID, Body: tidyRun(run)}, nil
}

// recordResult writes an audit event about an act that was tried.
func (s *server) recordResult(ctx context.Context, action, target, detail string, err error) {
	s.recordFrom(ctx, Outcome(core.AuditEvent{Actor: actor(ctx), Action: action, Target: target, Detail: detail}, err))
}

// Outcome returns an audit event with how the act that it is about ended.
func Outcome(e core.AuditEvent, err error) core.AuditEvent {
	switch core.CodeOf(err) {
	case "":
	case core.CodeForbidden, core.CodeUnauthorized, core.CodeRateLimited:
		e.Result, e.Detail = audit.Denied, core.MessageOf(err)
	default:
		e.Result, e.Detail = audit.Failed, core.MessageOf(err)
	}
	return e
}
