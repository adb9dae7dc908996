package aimodels

import (
	"context"

	"github.com/sutazai/sutazai/core"
)

// Provider calls the models of one server, in that server's dialect.
//
// Contract:
//   - Chat makes exactly one try. It never repeats a request by itself: the gateway does, because a chat call has no
//     effect but its cost. An error that is worth another try is a *CallError with Retryable set; any other error is final.
//   - req.Model is the name without the provider's prefix, and Response.Model is left to the gateway.
//   - onDelta, where it is not nil, gets the answer's text in order while it is written, from the calling goroutine,
//     before Chat returns. The deltas joined are a prefix of Message.Text (all of it when err is nil). Delta.Attempt is
//     left 0; the gateway numbers attempts. A provider that cannot stream gives the text as one delta.
//   - Tool calls are complete when Chat returns: each has an id that is unique in the message and arguments that are a
//     valid JSON object.
//   - Usage that the server does not report is left zero; the gateway estimates it.
//   - When ctx ends, the request upstream is cancelled at once and the error is ctx.Err(), not a *CallError.
//   - Errors are core.Error or wrap one, and hold no credential.
//   - All methods may be called by many goroutines at once.
type Provider interface {
	Chat(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error)
	// Models lists what the server offers; ids are without the provider's prefix. It may be asked at any time, is
	// bounded by ctx, and never changes anything.
	Models(ctx context.Context) ([]core.Model, error)
}

// Endpoint is a configured provider: its kind is what people see in lists ("local", "openai", "ollama").
type Endpoint struct {
	Kind     string
	Provider Provider
}
