package backend

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/auth"
)

// page is a list; Next is where the following page starts, "" at the end.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next" doc:"Give it as before to get the following page; empty at the end."`
}

type output[T any] struct{ Body T }

func listOf[T any](items []T, next string) *output[page[T]] {
	if items == nil {
		items = []T{}
	}
	return &output[page[T]]{page[T]{Items: items, Next: next}}
}

type empty struct{}

type byID struct {
	ID string `path:"id" maxLength:"64"`
}

func (s *server) newAPI() huma.API {
	reg := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		name := huma.DefaultSchemaNamer(t, hint) // Go's endings mean nothing outside
		return strings.TrimSuffix(strings.TrimSuffix(name, "JSON"), "Body")
	})
	reg.RegisterTypeAlias(reflect.TypeFor[core.Usage](), reflect.TypeFor[core.UsageJSON]())
	reg.RegisterTypeAlias(reflect.TypeFor[core.Limits](), reflect.TypeFor[core.LimitsJSON]())
	format := jsonFormat()
	cfg := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "SutazAI", Version: s.cfg.Version,
				Description: "Agents, runs, steps, approvals and what they run on. Times are RFC 3339 in UTC, ids are UUIDv7, lists are newest first.",
			},
			Components: &huma.Components{
				Schemas: reg,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key":     {Type: "http", Scheme: "bearer", Description: "An API key, also taken as x-api-key."},
					"session": {Type: "apiKey", In: "cookie", Name: "sutazai_session", Description: "The console's session."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) {
			if m, ok := v.(*huma.ErrorModel); ok {
				return fromHuma(m), nil
			}
			return v, nil
		}},
	}
	return huma.NewAPI(cfg, humago.NewAdapter(s.router, ""))
}

// operation describes a call under /api/v1.
func operation(method, path, id, tag, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Tags: []string{tag}}
}

// register adds a call: its rights and bounds come from the access table, its errors become problems.
func register[I, O any](s *server, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	a := s.router.table[op.Method+" "+op.Path]
	op.MaxBodyBytes = s.bodyLimit(a)
	op.BodyReadTimeout = bodyTime
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = &huma.Response{
		Description: "A problem, as RFC 9457 writes it.",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
	if !a.public {
		var scopes []string
		for _, sc := range a.any {
			scopes = append(scopes, string(sc))
		}
		if len(scopes) > 0 {
			op.Description = strings.TrimSpace(op.Description + "\n\nNeeds the scope " + strings.Join(scopes, " or ") + ".")
		}
		op.Security = []map[string][]string{{"key": {}}, {"session": {}}}
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			LogFault(ctx, s.log, err)
			return nil, toProblem(err)
		}
		return out, nil
	})
}

// finishSpec mends what the schema generator cannot know: which lists and parts may be null, and the words of enums.
func (s *server) finishSpec() {
	schemas := s.api.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own errors never leave the server
	delete(schemas, "ErrorDetail")
	for _, sc := range schemas {
		for _, p := range sc.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
		}
	}
	if run := schemas["Run"]; run != nil {
		run.Properties["error"] = &huma.Schema{AnyOf: []*huma.Schema{run.Properties["error"], {Type: "null"}}}
	}
	for name, words := range enums() {
		schema, property, _ := strings.Cut(name, ".")
		if sc := schemas[schema]; sc != nil && sc.Properties[property] != nil {
			sc.Properties[property].Enum = words
		}
	}
}

func enums() map[string][]any {
	return map[string][]any{
		"Run.status":        words(core.RunQueued, core.RunRunning, core.RunWaiting, core.RunSucceeded, core.RunFailed, core.RunCancelled),
		"Run.wait_reason":   words(core.WaitApproval, core.WaitQuestion, core.WaitAgent, core.WaitModel),
		"Step.kind":         words(core.StepModel, core.StepTool, core.StepAgent),
		"Step.status":       words(core.StepPending, core.StepRunning, core.StepWaiting, core.StepSucceeded, core.StepFailed, core.StepCancelled),
		"Step.effect":       words(core.EffectReadOnly, core.EffectIdempotent, core.EffectUnsafe),
		"Message.role":      words(core.RoleSystem, core.RoleUser, core.RoleAssistant, core.RoleTool),
		"Approval.reason":   words(core.ReasonPolicy, core.ReasonInterrupted, core.ReasonQuestion),
		"Approval.status":   words(core.ApprovalPending, core.ApprovalApproved, core.ApprovalDone, core.ApprovalDenied, core.ApprovalExpired, core.ApprovalCancelled),
		"Service.state":     words(core.ServiceHealthy, core.ServiceStarting, core.ServiceDegraded, core.ServiceDown, core.ServiceUnknown),
		"Evaluation.status": words(core.EvaluationRunning, core.EvaluationPassed, core.EvaluationFailed, core.EvaluationCancelled),
		"EvaluationCheck.kind": words(core.CheckContains, core.CheckNotContains, core.CheckRegex, core.CheckSchema, core.CheckTool, core.CheckNoTool, core.CheckFile,
			core.CheckCost, core.CheckSeconds, core.CheckSteps, core.CheckJudge, core.CheckFails, core.CheckAsks),
		"ToolGrant.approval": words(core.ApprovalNever, core.ApprovalAlways, core.ApprovalUnsafe),
	}
}

func words[T ~string](list ...T) []any {
	out := make([]any, 0, len(list))
	for _, w := range list {
		out = append(out, string(w))
	}
	return out
}

// actor returns who calls.
func actor(ctx context.Context) string {
	p, _ := auth.PrincipalOf(ctx)
	return p.Actor()
}

// tidyRun and the others make lists and maps that a store left nil empty: the API never answers null for one.
func tidyRun(r core.Run) core.Run {
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	return r
}

func tidyStep(st core.Step) core.Step {
	if st.Attempts == nil {
		st.Attempts = []core.Attempt{}
	}
	return st
}

func tidyApproval(a core.Approval) core.Approval {
	if len(a.Arguments) == 0 {
		a.Arguments = []byte("{}")
	}
	return a
}

func tidyAgent(a core.AgentStatus) core.AgentStatus {
	if a.Agent.Tools == nil {
		a.Agent.Tools = []core.ToolGrant{}
	}
	if a.Agent.Agents == nil {
		a.Agent.Agents = []string{}
	}
	if a.Errors == nil {
		a.Errors = []string{}
	}
	return a
}

func each[T any](items []T, tidy func(T) T) []T {
	out := slices.Clone(items)
	for i := range out {
		out[i] = tidy(out[i])
	}
	return out
}

func runOutput(r core.Run, err error) (*output[core.Run], error) {
	if err != nil {
		return nil, err
	}
	return &output[core.Run]{tidyRun(r)}, nil
}

// methods used by the tables of calls.
const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	remove = http.MethodDelete
)
