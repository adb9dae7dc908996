package mcp

import (
	"context"
	"fmt"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sutazai/sutazai/core"
)

// maxCompletions is the protocol's bound of one answer.
const maxCompletions = 100

func agentPrompt(a core.Agent) *sdk.Prompt {
	return &sdk.Prompt{
		Name: a.Name, Title: "Ask " + a.Name, Description: a.Description,
		Arguments: []*sdk.PromptArgument{{Name: "task", Title: "Task", Description: "What the agent is to do.", Required: true}},
	}
}

// agentPromptText is the message by which a person gives a task to an agent.
func agentPromptText(_ context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
	task := strings.TrimSpace(req.Params.Arguments["task"])
	if task == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "params.arguments.task: is missing; say what the agent is to do"}
	}
	for name := range req.Params.Arguments {
		if name != "task" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("params.arguments: there is no argument %q, only \"task\"", name)}
		}
	}
	return &sdk.GetPromptResult{
		Description: "A task for the agent " + req.Params.Name,
		Messages: []*sdk.PromptMessage{{Role: "user", Content: &sdk.TextContent{
			Text: fmt.Sprintf("Give this task to the agent %s with the tool %s%s, wait for it, and report its answer:\n\n%s", req.Params.Name, agentPrefix, req.Params.Name, task),
		}}},
	}, nil
}

// complete offers names of agents and ids of runs for the variables of resource templates.
func (s *Server) complete(ctx context.Context, req *sdk.CompleteRequest) (*sdk.CompleteResult, error) {
	ref, arg := req.Params.Ref, req.Params.Argument
	values := []string{}
	offer := func(v string) {
		if strings.HasPrefix(v, arg.Value) {
			values = append(values, v)
		}
	}
	switch {
	case ref.Type == "ref/resource" && strings.HasPrefix(ref.URI, runsURI) && arg.Name == "id":
		runs, _, err := s.d.Runs.Runs(ctx, core.RunFilter{Limit: maxCompletions})
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			offer(r.ID)
		}
	case ref.Type == "ref/resource" && strings.HasPrefix(ref.URI, agentsURI) && arg.Name == "name":
		list, err := s.cards(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			offer(c.Name)
		}
	}
	total := len(values)
	more := total > maxCompletions
	return &sdk.CompleteResult{Completion: sdk.CompletionResultDetails{Values: values[:min(total, maxCompletions)], Total: total, HasMore: more}}, nil
}
