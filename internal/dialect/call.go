package dialect

import (
	"bytes"

	"github.com/sutazai/sutazai/core"
)

// Name is a protocol in which a client asks a model.
type Name string

// The dialects.
const (
	OpenAIChat      Name = "openai-chat"      // POST /v1/chat/completions
	OpenAIResponses Name = "openai-responses" // POST /v1/responses
	Anthropic       Name = "anthropic"        // POST /v1/messages
	OllamaChat      Name = "ollama-chat"      // POST /api/chat
	OllamaGenerate  Name = "ollama-generate"  // POST /api/generate
)

// Call is what a client asks of a model, in the client's own words.
type Call struct {
	Dialect Name
	Body    Object // as the client sent it
	Model   string // "provider/model" or a route's name
	Stream  bool   // the client wants events

	// Translate says that the body's bytes do not hold all of the call: it must be decoded, wherever it goes.
	Translate bool

	// MaxOutput is the largest number of tokens that the client allows the answer; 0 = it does not say.
	MaxOutput int
	// CapOutput is the largest number of tokens that a provider may let the answer have, set by the gateway where money is
	// limited; 0 = as the body says.
	CapOutput int
	// HideUsage says that usage in a stream was not asked for: what is added to learn it must not reach the client.
	HideUsage bool
	// Header holds what belongs to the dialect and goes on to a provider that speaks it, such as anthropic-beta.
	Header map[string]string

	Caller       core.Caller
	Session      string // what keeps a conversation at one target; "" = derived from its beginning
	CacheControl string // of the header X-SutazAI-Cache-Control

	// What a run of an agent is given; models know none of it.
	Metadata       map[string]string
	IdempotencyKey string

	// Decode translates the body, which the gateway asks for only where it cannot pass the bytes on. Its error is the
	// dialect's own and goes back to the client as it is.
	Decode func(body []byte) (core.ModelRequest, error)
}

// Foreign says whether the body holds what a model of another maker than the dialect's has thought: a client that has
// changed models sends it back with its maker's mark. Servers refuse such a body as it is; translated, it goes without.
func (c *Call) Foreign() bool { return bytes.Contains(c.Body.Bytes, []byte(core.SignatureMark)) }

// Answer is where the gateway puts what the model says. One goroutine calls it, and stops at the first error. Either Raw
// is called (once for a whole answer, any number of times for a stream), or Delta any number of times and then Done.
// After an error of the gateway nothing follows: the client's side tells it in the dialect's form.
type Answer interface {
	// Header sets a field of the answer; it has an effect only before the first of the other calls.
	Header(name, value string)
	// Raw takes the client's own dialect: whole events of a stream, or the entire body. b is valid during the call only.
	Raw(b []byte) error
	// Delta takes a piece of a translated answer, where the client wants a stream.
	Delta(d core.Delta) error
	// Done takes the complete translated answer, what was given as deltas included.
	Done(r core.ModelResponse) error
}

// UnknownModel is the error for a model that is not configured; the cause says which ones are.
type UnknownModel struct{ Err error }

// Error returns the cause's text.
func (e *UnknownModel) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnknownModel) Unwrap() error { return e.Err }
