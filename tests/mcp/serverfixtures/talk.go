package main

import (
	"context"
	"encoding/json"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// pause is how long tools that the suite watches wait between messages.
const pause = 50 * time.Millisecond

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// addTalk adds tools that speak with the client while they are called.
func (f *fixtures) addTalk() {
	f.tool("test_tool_with_logging", "Writes three log messages.", empty, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		for i, message := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			if i > 0 {
				wait(ctx, pause)
			}
			if err := req.Session.Log(ctx, &sdk.LoggingMessageParams{Level: "info", Data: message}); err != nil {
				return nil, err
			}
		}
		return result("Tool with logging executed"), nil
	})
	f.tool("test_tool_with_progress", "Reports progress three times.", empty, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		token := req.Params.GetProgressToken()
		for _, done := range []float64{0, 50, 100} {
			if token != nil {
				if err := req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: done, Total: 100}); err != nil {
					return nil, err
				}
			}
			wait(ctx, pause)
		}
		return result("%v", token), nil
	})
	f.tool("test_logging_tool", "Writes a log message if the client wants them.", empty, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return result("done"), req.Session.Log(ctx, &sdk.LoggingMessageParams{Level: "info", Data: "called"})
	})
	f.tool("test_streaming_elicitation", "Answers without asking.", empty, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return result("done"), nil
	})
	f.tool("test_missing_capability", "Needs a client that can sample.", empty, func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if c := req.ClientCapabilities(); c == nil || c.Sampling == nil {
			return nil, missing(&sdk.ClientCapabilities{Sampling: &sdk.SamplingCapabilities{}})
		}
		return result("done"), nil
	})
	f.tool("test_reconnection", "Closes the stream and answers when the client is back.", empty, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if req.Extra != nil && req.Extra.CloseSSEStream != nil {
			req.Extra.CloseSSEStream(sdk.CloseSSEStreamArgs{RetryAfter: 10 * time.Millisecond})
		}
		wait(ctx, 2*pause)
		return result("The client is back."), nil
	})
	f.tool("test_sampling", "Asks the client's model.", `{"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}`,
		func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			res, err := req.Session.CreateMessage(ctx, &sdk.CreateMessageParams{
				MaxTokens: 100, Messages: []*sdk.SamplingMessage{{Role: "user", Content: text("%s", argument(req, "prompt"))}},
			})
			if err != nil {
				return failed("sampling: %v", err), nil
			}
			if t, ok := res.Content.(*sdk.TextContent); ok {
				return result("LLM response: %s", t.Text), nil
			}
			return result("LLM response of another kind"), nil
		})
	f.elicits("test_elicitation", `{"username": {"type": "string", "description": "User's response"}, "email": {"type": "string", "description": "User's email address"}}`, "username", "email")
	f.elicits("test_elicitation_sep1034_defaults", `{"name": {"type": "string", "default": "John Doe"}, "age": {"type": "integer", "default": 30}, "score": {"type": "number", "default": 95.5},
		"status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}, "verified": {"type": "boolean", "default": true}}`)
	f.elicits("test_elicitation_sep1330_enums", `{
		"untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
		"titledSingle": {"type": "string", "oneOf": [{"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"}, {"const": "value3", "title": "Third Option"}]},
		"legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
		"untitledMulti": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
		"titledMulti": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"anyOf": [{"const": "value1", "title": "First Choice"}, {"const": "value2", "title": "Second Choice"}, {"const": "value3", "title": "Third Choice"}]}}}`)
	f.changes("test_trigger_tool_change", func() {
		f.says("test_transient_tool", text("done"))
	})
	f.changes("test_trigger_prompt_change", func() {
		f.server.AddPrompt(&sdk.Prompt{Name: "test_transient_prompt", Description: "A prompt for tests."}, func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
			return &sdk.GetPromptResult{Messages: []*sdk.PromptMessage{{Role: "user", Content: text("done")}}}, nil
		})
	})
}

func argument(req *sdk.CallToolRequest, name string) string {
	var args map[string]any
	if json.Unmarshal(req.Params.Arguments, &args) != nil {
		return ""
	}
	s, _ := args[name].(string)
	return s
}

// elicits adds a tool that asks the user to fill in a form.
func (f *fixtures) elicits(name, properties string, required ...string) {
	form := map[string]any{"type": "object", "properties": json.RawMessage(properties)}
	if len(required) > 0 {
		form["required"] = required
	}
	f.tool(name, "Asks the user.", `{"type": "object", "properties": {"message": {"type": "string"}}}`, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		message := argument(req, "message")
		if message == "" {
			message = "Please fill in"
		}
		res, err := req.Session.Elicit(ctx, &sdk.ElicitParams{Message: message, RequestedSchema: form})
		if err != nil {
			return failed("elicitation: %v", err), nil
		}
		content, err := json.Marshal(res.Content)
		if err != nil {
			return nil, err
		}
		return result("Elicitation completed: action=%s, content=%s", res.Action, content), nil
	})
}

// changes adds a tool that changes a list.
func (f *fixtures) changes(name string, change func()) {
	f.tool(name, "Changes a list.", empty, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		change()
		return result("changed"), nil
	})
}
