package mcp

import (
	"context"
	"encoding/base64"
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

const (
	filesSchema = `{"type": "array", "maxItems": 64, "description": "Files for the run's workspace.", "items": {"type": "object",
		"properties": {"name": {"type": "string", "minLength": 1, "maxLength": 255}, "content_base64": {"type": "string", "contentEncoding": "base64"}},
		"required": ["name", "content_base64"], "additionalProperties": false}}`
	metadataSchema = `{"type": "object", "maxProperties": 64, "additionalProperties": {"type": "string"}, "description": "Kept with the run and shown again."}`
	idSchema       = `{"type": "string", "minLength": 1, "maxLength": 64, "description": "Id of the run."}`
	runOutput      = `{"type": "object", "properties": {"run": {"type": "object", "properties": {"id": {"type": "string"}, "agent": {"type": "string"},
		"status": {"enum": ["queued", "running", "waiting", "succeeded", "failed", "cancelled"]}, "output": {"type": "string"}},
		"required": ["id", "agent", "status", "output"]}}, "required": ["run"]}`
)

// tool is one of the server's own tools, which are not agents.
type tool struct {
	name, title, description string
	scope                    core.Scope
	input, output            string // JSON Schemas
	hints                    sdk.ToolAnnotations
	call                     func(s *Server, ctx context.Context, q *request, args json.RawMessage, in input) (any, error)
}

type fileArgument struct {
	Name    string `json:"name"`
	Content string `json:"content_base64"`
}

func files(in []fileArgument) ([]core.File, error) {
	var out []core.File
	for i, f := range in {
		content, err := base64.StdEncoding.DecodeString(f.Content)
		if err != nil {
			return nil, core.Errorf(core.CodeInvalid, "arguments.files.%d.content_base64: is not base64", i)
		}
		out = append(out, core.File{Name: f.Name, Content: content})
	}
	return out, nil
}

// handled makes a typed function the handler of a tool.
func handled[T any](h func(s *Server, ctx context.Context, q *request, in T) (any, error)) func(*Server, context.Context, *request, json.RawMessage, input) (any, error) {
	return func(s *Server, ctx context.Context, q *request, args json.RawMessage, form input) (any, error) {
		var in T
		if problem := form.decode(args, &in); problem != "" {
			return nil, core.Errorf(core.CodeInvalid, "%s", problem)
		}
		return h(s, ctx, q, in)
	}
}

func ownTools() []*tool {
	yes, no := true, false
	reads := sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &no}
	acts := sdk.ToolAnnotations{DestructiveHint: &no, OpenWorldHint: &no}
	return []*tool{
		{
			name: "list_agents", title: "List agents", description: "Lists the agents that can be given tasks, with what they do and which tools they have.",
			scope: core.ScopeRead, input: `{"type": "object", "additionalProperties": false}`, hints: reads, call: handled((*Server).listAgents),
			output: `{"type": "object", "properties": {"agents": {"type": "array", "items": {"type": "object"}}}, "required": ["agents"]}`,
		}, {
			name: "start_run", title: "Start a run", description: "Gives a task to an agent and returns at once with the run, which goes on by itself. Look at it later with get_run.",
			scope: core.ScopeRun, hints: sdk.ToolAnnotations{OpenWorldHint: &yes}, output: runOutput, call: handled((*Server).startRun),
			input: `{"type": "object", "properties": {
				"agent": {"type": "string", "minLength": 1, "maxLength": 128, "description": "Name of the agent."},
				"input": {"type": "string", "minLength": 1, "description": "The task."},
				"files": ` + filesSchema + `, "metadata": ` + metadataSchema + `,
				"limits": {"type": "object", "description": "Narrower limits than the agent's.", "properties": {"steps": {"type": "integer", "minimum": 0}, "tokens": {"type": "integer", "minimum": 0},
					"cost_usd": {"type": "number", "minimum": 0}, "time": {"type": "string", "maxLength": 40, "examples": ["30m"]}, "depth": {"type": "integer", "minimum": 0}}, "additionalProperties": false},
				"idempotency_key": {"type": "string", "maxLength": 255, "description": "A retry with the same key and input returns the first run."}
			}, "required": ["agent", "input"], "additionalProperties": false}`,
		}, {
			name: "get_run", title: "Show a run", description: "Shows a run: its status, its answer, what it waits for, and on demand its steps.",
			scope: core.ScopeRead, hints: reads, output: runOutput, call: handled((*Server).getRun),
			input: `{"type": "object", "properties": {"id": ` + idSchema + `, "steps": {"type": "boolean", "description": "Show the steps too."}}, "required": ["id"], "additionalProperties": false}`,
		}, {
			name: "list_runs", title: "List runs", description: "Lists runs, newest first.",
			scope: core.ScopeRead, hints: reads, call: handled((*Server).listRuns),
			input: `{"type": "object", "properties": {"agent": {"type": "string", "maxLength": 128},
				"status": {"enum": ["queued", "running", "waiting", "succeeded", "failed", "cancelled"]},
				"parent": {"type": "string", "maxLength": 64, "description": "Only runs that this run started."},
				"before": {"type": "string", "maxLength": 64, "description": "The value next of the page before."},
				"limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 20}}, "additionalProperties": false}`,
			output: `{"type": "object", "properties": {"runs": {"type": "array", "items": {"type": "object"}}, "next": {"type": "string"}}, "required": ["runs", "next"]}`,
		}, {
			name: "cancel_run", title: "Cancel a run", description: "Stops a run and those that it started. What is done stays done.",
			scope: core.ScopeRun, hints: sdk.ToolAnnotations{DestructiveHint: &yes, IdempotentHint: true, OpenWorldHint: &no}, output: runOutput, call: handled((*Server).cancelRun),
			input: `{"type": "object", "properties": {"id": ` + idSchema + `}, "required": ["id"], "additionalProperties": false}`,
		}, {
			name: "send_message", title: "Send a message", description: "Continues the conversation of a run, or answers the question that its agent asks.",
			scope: core.ScopeRun, hints: sdk.ToolAnnotations{OpenWorldHint: &yes}, output: runOutput, call: handled((*Server).sendMessage),
			input: `{"type": "object", "properties": {"id": ` + idSchema + `, "text": {"type": "string", "minLength": 1}}, "required": ["id", "text"], "additionalProperties": false}`,
		}, {
			name: "decide_approval", title: "Decide an approval", description: "Decides whether a run may make a call that waits for a person. Only do so when a person has told you the decision.",
			scope: core.ScopeApprove, hints: acts, call: handled((*Server).decide),
			input: `{"type": "object", "properties": {"id": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Id of the approval."},
				"decision": {"enum": ["approve", "deny", "edit", "done", "retry"], "description": "edit makes the call with other arguments; done does not make it and gives its result; retry makes an interrupted call again."},
				"arguments": {"type": "object", "description": "With edit: the arguments."}, "result": {"type": "string", "description": "With done: the result."},
				"comment": {"type": "string"}}, "required": ["id", "decision"], "additionalProperties": false}`,
			output: `{"type": "object", "properties": {"approval": {"type": "object"}}, "required": ["approval"]}`,
		},
	}
}

// addTools makes the server's own tools. Those of agents come and go: see sync.
func (s *Server) addTools() {
	s.agentInput = newInput(agentInput)
	s.tools = map[string]*tool{}
	for _, t := range ownTools() {
		s.tools[t.name] = t
		in := newInput(t.input)
		hints := t.hints
		hints.Title = t.title
		spec := &sdk.Tool{
			Name: t.name, Title: t.title, Description: t.description, Annotations: &hints,
			InputSchema: json.RawMessage(t.input), OutputSchema: json.RawMessage(t.output),
		}
		s.server.AddTool(spec, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			out, err := t.call(s, ctx, requestOf(ctx, req), req.Params.Arguments, in)
			if err != nil {
				return s.failed(ctx, t.name, err), nil
			}
			b, err := json.Marshal(out)
			if err != nil {
				return s.failed(ctx, t.name, err), nil
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: string(b)}}, StructuredContent: json.RawMessage(b)}, nil
		})
	}
}

// failed is the result of a call that went wrong; internals go to the log.
func (s *Server) failed(ctx context.Context, name string, err error) *sdk.CallToolResult {
	if core.CodeOf(err) == core.CodeInternal {
		s.d.Logger.Error("tool failed", "tool", name, "error", err, "request_id", backend.RequestID(ctx))
	}
	return failure(err)
}

func failure(err error) *sdk.CallToolResult {
	return &sdk.CallToolResult{IsError: true, Content: []sdk.Content{&sdk.TextContent{Text: core.MessageOf(err)}}}
}

func (s *Server) listAgents(ctx context.Context, _ *request, _ struct{}) (any, error) {
	list, err := s.cards(ctx)
	return map[string]any{"agents": list}, err
}

type startArguments struct {
	Agent          string            `json:"agent"`
	Input          string            `json:"input"`
	Files          []fileArgument    `json:"files"`
	Metadata       map[string]string `json:"metadata"`
	Limits         core.LimitsJSON   `json:"limits"`
	IdempotencyKey string            `json:"idempotency_key"`
}

func (s *Server) startRun(ctx context.Context, q *request, in startArguments) (any, error) {
	limits, err := in.Limits.Limits()
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "arguments.limits: %s", core.MessageOf(err))
	}
	attached, err := files(in.Files)
	if err != nil {
		return nil, err
	}
	run, _, err := s.d.Runs.Start(ctx, core.StartRun{
		Agent: in.Agent, Input: in.Input, Files: attached, Metadata: in.Metadata, Limits: limits,
		IdempotencyKey: in.IdempotencyKey, Actor: q.principal.Actor(),
	})
	return oneRun(run, err)
}

func (s *Server) getRun(ctx context.Context, _ *request, in struct {
	ID    string `json:"id"`
	Steps bool   `json:"steps"`
}) (any, error) {
	run, err := s.d.Runs.Run(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"run": tidyRun(run)}
	if run.Status == core.RunWaiting {
		pending, err := s.d.Runs.Approvals(ctx, core.ApprovalPending, run.ID)
		if err != nil {
			return nil, err
		}
		out["approvals"] = tidyApprovals(pending)
	}
	if in.Steps {
		steps, err := s.d.Runs.Steps(ctx, run.ID)
		if err != nil {
			return nil, err
		}
		out["steps"] = tidySteps(steps)
	}
	return out, nil
}

func (s *Server) listRuns(ctx context.Context, _ *request, in struct {
	Agent  string         `json:"agent"`
	Status core.RunStatus `json:"status"`
	Parent string         `json:"parent"`
	Before string         `json:"before"`
	Limit  int            `json:"limit"`
}) (any, error) {
	if in.Limit == 0 {
		in.Limit = 20
	}
	runs, next, err := s.d.Runs.Runs(ctx, core.RunFilter{Agent: in.Agent, Status: in.Status, Parent: in.Parent, Before: in.Before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	list := []core.Run{}
	for _, r := range runs {
		list = append(list, tidyRun(r))
	}
	return map[string]any{"runs": list, "next": next}, nil
}

func (s *Server) cancelRun(ctx context.Context, q *request, in struct {
	ID string `json:"id"`
}) (any, error) {
	run, err := s.d.Runs.Cancel(ctx, in.ID, q.principal.Actor())
	s.record(ctx, q, backend.Outcome(core.AuditEvent{Action: "run.cancel", Target: in.ID}, err))
	return oneRun(run, err)
}

func (s *Server) sendMessage(ctx context.Context, q *request, in struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}) (any, error) {
	return oneRun(s.d.Runs.Message(ctx, in.ID, in.Text, q.principal.Actor()))
}

func (s *Server) decide(ctx context.Context, q *request, in struct {
	ID        string          `json:"id"`
	Decision  core.Decision   `json:"decision"`
	Arguments json.RawMessage `json:"arguments"`
	Result    string          `json:"result"`
	Comment   string          `json:"comment"`
}) (any, error) {
	if in.Decision == core.DecideEdit && len(in.Arguments) == 0 {
		return nil, core.Errorf(core.CodeInvalid, "arguments.arguments: with edit, give the arguments as a JSON object")
	}
	a, err := s.d.Runs.Decide(ctx, in.ID, core.Verdict{
		Decision: in.Decision, Arguments: in.Arguments, Result: in.Result, Comment: in.Comment, Actor: q.principal.Actor(),
	})
	detail := string(in.Decision)
	if err == nil {
		detail += " " + a.Tool + " of run " + a.Run
	}
	s.record(ctx, q, backend.Outcome(core.AuditEvent{Action: "approval.decide", Target: in.ID, Detail: detail}, err))
	if err != nil {
		return nil, err
	}
	return map[string]any{"approval": tidyApprovals([]core.Approval{a})[0]}, nil
}

func oneRun(run core.Run, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]any{"run": tidyRun(run)}, nil
}

// tidyRun and the others make lists and maps that a store left nil empty: a client never gets null for one.
func tidyRun(r core.Run) core.Run {
	if r.Metadata == nil {
		r.Metadata = map[string]string{}
	}
	if r.Files == nil {
		r.Files = []string{}
	}
	return r
}

func tidySteps(list []core.Step) []core.Step {
	out := []core.Step{}
	for _, st := range list {
		if st.Attempts == nil {
			st.Attempts = []core.Attempt{}
		}
		out = append(out, st)
	}
	return out
}

func tidyApprovals(list []core.Approval) []core.Approval {
	out := []core.Approval{}
	for _, a := range list {
		if len(a.Arguments) == 0 {
			a.Arguments = json.RawMessage("{}")
		}
		out = append(out, a)
	}
	return out
}
