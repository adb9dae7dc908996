// Package aimodelstest holds what tests of and over models need: scripted models (in the process, or behind real HTTP in
// each dialect), one conformance suite that every provider passes, and what holds requests and answers against files. Nothing
// but tests may import it.
package aimodelstest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Turn answers one call. It has the signature of Provider.Chat.
type Turn func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)

// Script chooses the turn for call n (from 0, over all calls of one scripted model).
type Script func(n int, req core.ModelRequest) Turn

// Sequence plays the turns in the order of the calls; a call too many fails. For one conversation at a time.
func Sequence(turns ...Turn) Script {
	return func(n int, _ core.ModelRequest) Turn {
		if n >= len(turns) {
			return Fail(core.Errorf(core.CodeInternal, "the script has %d turns and was called for turn %d", len(turns), n+1))
		}
		return turns[n]
	}
}

// PerConversation plays the turn whose number is how often the assistant has spoken in the request. It keeps no state,
// so many conversations can run at once, and a process that died and came back goes on where it was.
func PerConversation(turns ...Turn) Script {
	return func(_ int, req core.ModelRequest) Turn {
		spoken := 0
		for _, m := range req.Messages {
			if m.Role == core.RoleAssistant {
				spoken++
			}
		}
		if spoken >= len(turns) {
			return Fail(core.Errorf(core.CodeInternal, "the script has %d turns and the assistant has spoken %d times", len(turns), spoken))
		}
		return turns[spoken]
	}
}

// Always plays the same turn for every call.
func Always(t Turn) Script { return func(int, core.ModelRequest) Turn { return t } }

// Text answers with text, streamed word by word.
func Text(text string) Turn { return Answer(core.ModelResponse{Message: core.Message{Text: text}}) }

// Calls asks for tool calls. A call without an id gets "call_1", "call_2", … after the number of earlier messages.
func Calls(calls ...core.ToolCall) Turn {
	return Answer(core.ModelResponse{Message: core.Message{ToolCalls: calls}})
}

// Call makes one tool call with arguments encoded as JSON; it panics on what JSON cannot hold.
func Call(name string, arguments any) core.ToolCall {
	b, err := json.Marshal(arguments)
	if err != nil {
		panic(fmt.Sprintf("arguments of %s: %v", name, err))
	}
	return core.ToolCall{Name: name, Arguments: b}
}

// Answer gives resp, its text streamed word by word. Role, finish reason, ids and usage are filled in where missing;
// usage is a token for every four characters.
func Answer(resp core.ModelResponse) Turn {
	return func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		for _, word := range strings.SplitAfter(resp.Message.Text, " ") {
			if err := ctx.Err(); err != nil {
				return core.ModelResponse{}, err
			}
			if word != "" && onDelta != nil {
				onDelta(core.Delta{Text: word})
			}
		}
		return complete(req, resp), nil
	}
}

// Fail fails with err.
func Fail(err error) Turn {
	return func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
		return core.ModelResponse{}, err
	}
}

// Unavailable fails as a server that cannot be reached does: another try may succeed.
func Unavailable() Turn {
	return Fail(aimodels.Retryable(core.Errorf(core.CodeUnavailable, "the scripted model is down")))
}

// Slowly waits before playing t, for as long as ctx lives.
func Slowly(d time.Duration, t Turn) Turn {
	return func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return core.ModelResponse{}, ctx.Err()
		case <-timer.C:
			return t(ctx, req, onDelta)
		}
	}
}

// Hang streams text and then nothing more until ctx ends.
func Hang(text string) Turn {
	return func(ctx context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		if text != "" && onDelta != nil {
			onDelta(core.Delta{Text: text})
		}
		<-ctx.Done()
		return core.ModelResponse{}, ctx.Err()
	}
}

// BreakAfter streams text and then fails as a connection that breaks: another try may succeed.
func BreakAfter(text string) Turn { return Fault{Text: text, Reset: true}.Turn() }

func complete(req core.ModelRequest, resp core.ModelResponse) core.ModelResponse {
	resp.Message.Role = core.RoleAssistant
	resp.Message.ToolCalls = append([]core.ToolCall(nil), resp.Message.ToolCalls...)
	for i := range resp.Message.ToolCalls {
		c := &resp.Message.ToolCalls[i]
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d_%d", len(req.Messages), i+1)
		}
		if len(c.Arguments) == 0 {
			c.Arguments = json.RawMessage("{}")
		}
	}
	if resp.Finish == "" {
		resp.Finish = core.FinishStop
		if len(resp.Message.ToolCalls) > 0 {
			resp.Finish = core.FinishTools
		}
	}
	if resp.Usage == (core.Usage{}) {
		for _, m := range req.Messages {
			resp.Usage.InputTokens += aimodels.EstimateTokens(m.Text)
		}
		resp.Usage.OutputTokens = aimodels.EstimateTokens(resp.Message.Text)
		for _, c := range resp.Message.ToolCalls {
			resp.Usage.OutputTokens += aimodels.EstimateTokens(c.Name + string(c.Arguments))
		}
	}
	return resp
}
