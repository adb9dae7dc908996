package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
)

// agentPrefix makes an agent's name a tool's.
const agentPrefix = "agent_"

// metaRun is where an answer names the run that it comes from.
const metaRun = "sutazai/run"

const agentInput = `{
	"type": "object",
	"properties": {
		"task": {"type": "string", "minLength": 1, "description": "What the agent is to do, with everything that it needs to know."},
		"files": ` + filesSchema + `,
		"metadata": ` + metadataSchema + `
	},
	"required": ["task"],
	"additionalProperties": false
}`

// sync makes the tools and prompts those of the agents that there are now. The SDK tells clients of what changed.
func (s *Server) sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[string]core.Agent{}
	for _, a := range s.d.Agents.List() {
		if a.Agent.Version != "" { // else its file has never been right
			now[a.Agent.Name] = a.Agent
		}
	}
	for name := range s.known {
		if _, ok := now[name]; !ok {
			delete(s.known, name)
			s.server.RemoveTools(agentPrefix + name)
			s.server.RemovePrompts(name)
			s.server.RemoveResources(agentURI(name))
		}
	}
	for name, a := range now {
		state := a.Version + "\x00" + a.Description
		if s.known[name] == state {
			continue
		}
		s.known[name] = state
		s.server.AddTool(agentTool(a), s.runAgent(a.Name))
		s.server.AddPrompt(agentPrompt(a), agentPromptText)
		s.server.AddResource(&sdk.Resource{
			URI: agentURI(name), Name: name, Title: "Agent " + name, Description: a.Description, MIMEType: jsonType,
		}, s.readAgent)
	}
}

func agentTool(a core.Agent) *sdk.Tool {
	no := false
	t := &sdk.Tool{
		Name: agentPrefix + a.Name, Title: a.Name, Description: a.Description, InputSchema: json.RawMessage(agentInput),
		Annotations: &sdk.ToolAnnotations{Title: a.Name, IdempotentHint: no},
	}
	if structured(a) {
		t.OutputSchema = a.Output
	}
	return t
}

// structured says whether an agent's answer has a form that the protocol can tell of: that of an object.
func structured(a core.Agent) bool {
	var top struct {
		Type string `json:"type"`
	}
	return len(a.Output) > 0 && json.Unmarshal(a.Output, &top) == nil && top.Type == "object"
}

type agentArguments struct {
	Task     string            `json:"task"`
	Files    []fileArgument    `json:"files"`
	Metadata map[string]string `json:"metadata"`
}

// runAgent returns the handler of an agent's tool.
func (s *Server) runAgent(name string) sdk.ToolHandler {
	return func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var in agentArguments
		if problem := s.agentInput.decode(req.Params.Arguments, &in); problem != "" {
			return failure(core.Errorf(core.CodeInvalid, "%s", problem)), nil
		}
		attached, err := files(in.Files)
		if err != nil {
			return failure(err), nil
		}
		q := requestOf(ctx, req)
		agent, err := s.d.Agents.Agent(name)
		if err != nil {
			return s.failed(ctx, req.Params.Name, err), nil
		}
		run, _, err := s.d.Runs.Start(ctx, core.StartRun{
			Agent: name, Input: in.Task, Files: attached, Metadata: in.Metadata, Actor: q.principal.Actor(),
		})
		if err != nil {
			return s.failed(ctx, req.Params.Name, err), nil
		}
		out, err := s.follow(ctx, run, req)
		var res *sdk.CallToolResult
		switch {
		case err != nil:
			res = s.failed(ctx, req.Params.Name, err)
		case out.waiting:
			res = s.waits(ctx, out.run, structured(agent))
		case out.run.Status == core.RunSucceeded:
			res = answer(out.run, structured(agent))
		default:
			res = failure(runError(out.run))
		}
		res.Meta = sdk.Meta{metaRun: run.ID}
		return res, nil
	}
}

func runError(run core.Run) error {
	if run.Error == nil {
		return core.Errorf(core.CodeInternal, "the run %s is %s", run.ID, run.Status)
	}
	return core.Errorf(run.Error.Code, "%s (run %s)", run.Error.Message, run.ID)
}

// answer is what an agent has said at its end.
func answer(run core.Run, structured bool) *sdk.CallToolResult {
	res := &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: run.Output}}}
	if !structured {
		return res
	}
	raw := bytes.TrimSpace([]byte(run.Output))
	if !json.Valid(raw) || !isObject(raw) {
		return failure(core.Errorf(core.CodeInternal, "the answer of run %s has not the form that its agent promises; look at it with get_run", run.ID))
	}
	res.StructuredContent = json.RawMessage(raw)
	return res
}

// waits tells that a run needs a person, what for, and how to go on. A client that was promised an answer of a certain
// form must be told that this is none, which only an error can.
func (s *Server) waits(ctx context.Context, run core.Run, promised bool) *sdk.CallToolResult {
	pending, err := s.d.Runs.Approvals(ctx, core.ApprovalPending, run.ID)
	if err != nil {
		s.d.Logger.Warn("approvals of a waiting run not read", "run", run.ID, "error", err)
	}
	var b strings.Builder
	state := map[string]any{"run": run.ID, "status": run.Status, "wait_reason": run.WaitReason, "wait_detail": run.WaitDetail, "approvals": tidyApprovals(pending)}
	if run.WaitReason == core.WaitQuestion {
		fmt.Fprintf(&b, "The run %s has no answer yet: the agent asks a question", run.ID)
	} else {
		fmt.Fprintf(&b, "The run %s has no answer yet: it waits for a person's approval", run.ID)
	}
	if run.WaitDetail != "" {
		b.WriteString(": " + run.WaitDetail)
	}
	for _, a := range pending {
		if a.Reason != core.ReasonQuestion {
			fmt.Fprintf(&b, "\n- approval %s: %s %s", a.ID, a.Tool, a.Arguments)
		}
	}
	if run.WaitReason == core.WaitQuestion {
		b.WriteString("\n\nAnswer it with send_message; then look at the run with get_run.")
	} else {
		b.WriteString("\n\nA person decides it with decide_approval or in the console")
		if public := strings.TrimSuffix(s.d.PublicURL(), "/"); public != "" {
			b.WriteString(" (" + public + "/runs/" + run.ID + ")")
		}
		b.WriteString("; then look at the run with get_run.")
	}
	res := &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: b.String()}}, IsError: promised}
	if !promised {
		res.StructuredContent = state
	}
	return res
}

// agentCard is what others may know of an agent.
type agentCard struct {
	Name        string          `json:"name"`
	Version     string          `json:"version"`
	Kind        core.AgentKind  `json:"kind"`
	Description string          `json:"description"`
	Model       string          `json:"model"`
	Tools       []string        `json:"tools"`
	Agents      []string        `json:"agents"`
	Limits      core.Limits     `json:"limits"`
	Output      json.RawMessage `json:"output,omitempty"`
	Active      int             `json:"active"` // runs that are running or waiting
	Tool        string          `json:"tool"`   // that gives it a task
}

func card(a core.Agent, active int) agentCard {
	c := agentCard{
		Name: a.Name, Version: a.Version, Kind: a.KindOf(), Description: a.Description, Model: a.Model, Tools: []string{},
		Agents: append([]string{}, a.Agents...), Limits: a.Limits, Output: a.Output, Active: active, Tool: agentPrefix + a.Name,
	}
	for _, g := range a.Tools {
		c.Tools = append(c.Tools, g.Name)
	}
	return c
}

// cards lists the agents by name.
func (s *Server) cards(ctx context.Context) ([]agentCard, error) {
	active, err := s.d.Runs.ActiveByAgent(ctx)
	if err != nil {
		return nil, err
	}
	out := []agentCard{}
	for _, a := range s.d.Agents.List() {
		if a.Agent.Version != "" {
			out = append(out, card(a.Agent, active[a.Agent.Name]))
		}
	}
	slices.SortFunc(out, func(a, b agentCard) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// input is a compiled schema of arguments.
type input struct{ schema *schema.Schema }

func newInput(raw string) input {
	compiled, err := schema.Compile(json.RawMessage(raw))
	if err != nil {
		panic("a tool's schema is wrong: " + err.Error()) // it is a constant of this package
	}
	return input{compiled}
}

// decode puts arguments into a struct. It returns what they have wrong, or "".
func (i input) decode(raw json.RawMessage, into any) string {
	if len(raw) == 0 || string(raw) == "null" {
		raw = json.RawMessage("{}")
	}
	value, err := schema.Decode(raw)
	if err == nil {
		err = i.schema.Validate(value)
	}
	if err != nil {
		return "arguments: " + schema.Explain(err)
	}
	if what := misfit(raw, into); what != "" {
		return "arguments" + what
	}
	return ""
}
