package aimodels

import (
	"context"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Provider calls the models of one server, in that server's dialect.
//
// Contract:
//   - Chat makes exactly one try. It never repeats a request by itself: the gateway does, because a chat call has no
//     effect but its cost. An error that is worth another try is a *CallError with Retryable set; any other error is final.
//   - req.Model is the name without the provider's prefix, and Response.Model is left to the gateway.
//   - onDelta, where it is not nil, gets the answer's text in order while it is written, from the calling goroutine,
//     before Chat returns. The deltas joined are a prefix of Message.Text (all of it when err is nil). Delta.Attempt is
//     left 0; the gateway numbers attempts. Reasoning that the server shows comes as Delta.Reasoning, and complete as a
//     part of the kind core.PartReasoning in Message.Parts, before the text part. A provider that cannot stream gives the text as one delta.
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

// Forwarder is a Provider that also takes calls of a dialect in the client's own bytes: nothing is decoded, and fields
// that nobody here knows survive in both directions.
type Forwarder interface {
	// Forwards says whether the call can go to the server as it is. It asks no server.
	Forwards(c *dialect.Call) bool
	// Forward makes one try: it sends the body with the fields changed that must be (the model's name at the server, usage
	// in streams) and returns the body of a 2xx answer, which the caller reads and closes. Errors are as Chat's.
	Forward(ctx context.Context, model string, c *dialect.Call) (*Body, error)
}

// Embedder is a Provider that turns texts into vectors. One try each; errors and req.Model are as Chat's.
type Embedder interface {
	Embed(ctx context.Context, req core.EmbedRequest) (core.EmbedResponse, error)
}

// Endpoint is a configured provider: its kind is what people see in lists ("local", "openai", "ollama").
type Endpoint struct {
	Kind     string
	Provider Provider
}
