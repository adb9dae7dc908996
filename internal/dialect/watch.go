package dialect

import (
	"bytes"

	"github.com/sutazai/sutazai/core"
)

// Watch follows a stream of a dialect as it goes by: what was used, whether it came to its own end, and whether the
// provider told of an error in it.
type Watch struct {
	dialect Name
	usage   core.Usage
	ended   bool
	failure []byte // the error object that the provider sent
	content bool
	said    int64 // characters
}

// NewWatch returns a Watch of streams of a dialect.
func NewWatch(n Name) *Watch { return &Watch{dialect: n} }

// Usage is what the provider reported so far.
func (w *Watch) Usage() core.Usage { return w.usage }

// Ended says whether the stream came to its own end. A connection that closes before has been cut.
func (w *Watch) Ended() bool { return w.ended }

// Failure is the error that the provider sent in the stream, nil where it sent none.
func (w *Watch) Failure() []byte { return w.failure }

// Content says whether something of an answer has come.
func (w *Watch) Content() bool { return w.content }

// Characters is how much the model has said so far, by its text.
func (w *Watch) Characters() int64 { return w.said }

// See takes note of an event. drop says that it tells nothing but usage, in a stream whose client did not ask for it.
func (w *Watch) See(name, data []byte, hideUsage bool) (drop bool) {
	if len(data) == 0 {
		return false
	}
	w.said += w.dialect.added(name, data)
	switch w.dialect {
	case OpenAIChat:
		return w.chat(data) && hideUsage
	case OpenAIResponses:
		w.responses(name, data)
	case Anthropic:
		w.anthropic(name, data)
	case OllamaChat, OllamaGenerate:
		w.ollama(data)
	}
	return false
}

func (w *Watch) chat(data []byte) (usageOnly bool) {
	if string(data) == "[DONE]" {
		w.ended = true
		return false
	}
	if bytes.HasPrefix(data, []byte(`{"error"`)) {
		w.fail(data)
		return false
	}
	w.content = true
	if bytes.Contains(data, []byte(`"usage":{`)) || bytes.Contains(data, []byte(`"usage": {`)) {
		o, err := Scan(data)
		if err != nil {
			return false
		}
		w.usage = ReadUsage(w.dialect, o)
		choices := bytes.Trim(o.Get("choices"), "[] \n\t")
		return len(choices) == 0
	}
	if !w.ended && bytes.Contains(data, []byte(`"finish_reason":"`)) {
		w.ended = true // some servers leave out [DONE]
	}
	return false
}

func (w *Watch) responses(name, data []byte) {
	switch string(name) {
	case "error":
		w.fail(data)
	case "response.completed", "response.incomplete", "response.failed":
		w.ended = true
		if o, err := Scan(data); err == nil {
			if inner, err := Scan(o.Get("response")); err == nil {
				w.usage = ReadUsage(w.dialect, inner)
				if string(name) == "response.failed" {
					w.failure = bytes.Clone(inner.Get("error"))
				}
			}
		}
	case "response.created", "response.in_progress", "response.queued":
	default:
		w.content = true
	}
}

func (w *Watch) anthropic(name, data []byte) {
	switch string(name) {
	case "error":
		w.fail(data)
	case "message_stop":
		w.ended = true
	case "message_start":
		if o, err := Scan(data); err == nil {
			if m, err := Scan(o.Get("message")); err == nil {
				w.usage = ReadUsage(w.dialect, m)
			}
		}
	case "message_delta":
		if o, err := Scan(data); err == nil {
			u := ReadUsage(w.dialect, o) // cumulative
			w.usage.OutputTokens = u.OutputTokens
			if u.InputTokens > 0 {
				w.usage.InputTokens, w.usage.CachedTokens = u.InputTokens, u.CachedTokens
			}
		}
	case "ping":
	default:
		w.content = true
	}
}

func (w *Watch) ollama(data []byte) {
	if bytes.HasPrefix(data, []byte(`{"error"`)) {
		w.fail(data)
		return
	}
	w.content = true
	if !bytes.Contains(data, []byte(`"done":true`)) {
		return
	}
	if o, err := Scan(data); err == nil && o.True("done") {
		w.ended = true
		w.usage = ReadUsage(w.dialect, o)
	}
}

func (w *Watch) fail(data []byte) {
	if o, err := Scan(data); err == nil && o.Has("error") {
		w.failure = bytes.Clone(o.Get("error"))
		return
	}
	w.failure = bytes.Clone(data)
}

// ReadUsage reads the usage of a whole answer, zero where it reports none.
func ReadUsage(n Name, answer Object) core.Usage {
	if n.lines() {
		return core.Usage{InputTokens: answer.Int("prompt_eval_count"), OutputTokens: answer.Int("eval_count")}
	}
	v := answer.Get("usage")
	if v == nil {
		return core.Usage{}
	}
	o, err := Scan(v)
	if err != nil {
		return core.Usage{}
	}
	switch n {
	case OpenAIChat:
		return core.Usage{
			InputTokens: o.Int("prompt_tokens"), OutputTokens: o.Int("completion_tokens"),
			CachedTokens: inner(o, "prompt_tokens_details", "cached_tokens"), ReasoningTokens: inner(o, "completion_tokens_details", "reasoning_tokens"),
		}
	case OpenAIResponses:
		return core.Usage{
			InputTokens: o.Int("input_tokens"), OutputTokens: o.Int("output_tokens"),
			CachedTokens: inner(o, "input_tokens_details", "cached_tokens"), ReasoningTokens: inner(o, "output_tokens_details", "reasoning_tokens"),
		}
	default: // Anthropic counts what it read from and wrote to its prompt cache apart from the input.
		read := o.Int("cache_read_input_tokens")
		return core.Usage{
			InputTokens: o.Int("input_tokens") + read + o.Int("cache_creation_input_tokens"), OutputTokens: o.Int("output_tokens"), CachedTokens: read,
		}
	}
}

func inner(o Object, key, field string) int64 {
	v := o.Get(key)
	if v == nil {
		return 0
	}
	i, err := Scan(v)
	if err != nil {
		return 0
	}
	return i.Int(field)
}
