package anthropic

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// Blocks of an answer, whole or as they begin.
type (
	textBlock struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	thinkingBlock struct {
		Type      string `json:"type"`
		Thinking  string `json:"thinking"`
		Signature string `json:"signature"`
	}
	redactedBlock struct {
		Type string `json:"type"`
		Data string `json:"data"`
	}
	toolBlock struct {
		Type  string          `json:"type"`
		ID    string          `json:"id"`
		Name  string          `json:"name"`
		Input json.RawMessage `json:"input"`
	}
)

// encoder writes a translated answer as the dialect's events: message_start; for each block its start, deltas and stop;
// message_delta with the stop reason and the usage; message_stop. pings keep a silent stream open.
type encoder struct {
	out     *backend.Stream
	call    *dialect.Call
	show    shown
	begun   bool
	index   int    // of the open block, or of the next one
	open    string // the kind of the open block; "" = none
	text    strings.Builder
	thought bool // something of what the model thinks has gone out
	signed  bool // the open block of thinking has its signature
}

func newEncoder(w http.ResponseWriter, r *http.Request, call *dialect.Call) *encoder {
	out := backend.NewStream(w, backend.StreamForm{
		ContentType: "text/event-stream; charset=utf-8", KeepAlive: []byte("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
	})
	out.Header(requestHeader, backend.RequestID(r.Context()))
	return &encoder{out: out, call: call, show: shownTo(call)}
}

func (e *encoder) close() { e.out.Close() }

// batch collects events that go out in one write.
type batch struct {
	b   []byte
	err error
}

func (b *batch) event(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		b.err = err
		return
	}
	b.b = append(b.b, "event: "+name+"\ndata: "...)
	b.b = append(append(b.b, data...), "\n\n"...)
}

func (e *encoder) send(b *batch) error {
	if b.err != nil {
		return b.err
	}
	if len(b.b) == 0 {
		return nil
	}
	_, err := e.out.Write(b.b)
	return err
}

func (e *encoder) delta(d core.Delta) error {
	var b batch
	if e.show.text && d.Reasoning != "" {
		e.piece(&b, "thinking", "thinking_delta", d.Reasoning)
	}
	if e.show.thinking && d.Signature != "" {
		e.piece(&b, "thinking", "signature_delta", shownSignature(d.Signature))
		e.stop(&b)
	}
	if d.Text != "" {
		e.text.WriteString(d.Text)
		e.piece(&b, "text", "text_delta", d.Text)
	}
	return e.send(&b)
}

// piece writes a piece of a block of a kind, which begins where another one is open.
func (e *encoder) piece(b *batch, kind, delta, text string) {
	if e.open != kind {
		if kind == "thinking" {
			e.thought = true
			e.start(b, kind, thinkingBlock{Type: kind})
		} else {
			e.start(b, kind, textBlock{Type: kind})
		}
	}
	e.blockDelta(b, delta, text)
}

func (e *encoder) blockDelta(b *batch, kind, text string) {
	d := struct {
		Type      string  `json:"type"`
		Text      *string `json:"text,omitempty"`
		Thinking  *string `json:"thinking,omitempty"`
		Signature *string `json:"signature,omitempty"`
		JSON      *string `json:"partial_json,omitempty"`
	}{Type: kind}
	switch kind {
	case "text_delta":
		d.Text = &text
	case "thinking_delta":
		d.Thinking = &text
	case "signature_delta":
		d.Signature, e.signed = &text, true
	default:
		d.JSON = &text
	}
	b.event("content_block_delta", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Delta any    `json:"delta"`
	}{"content_block_delta", e.index, d})
}

// begin writes the message's start. The input is counted at the end, with everything else.
func (e *encoder) begin(b *batch) {
	if e.begun {
		return
	}
	e.begun = true
	b.event("message_start", struct {
		Type    string      `json:"type"`
		Message wireMessage `json:"message"`
	}{"message_start", newMessage(e.call)})
}

func (e *encoder) start(b *batch, kind string, block any) {
	e.begin(b)
	e.stop(b)
	e.open, e.signed = kind, false
	b.event("content_block_start", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Block any    `json:"content_block"`
	}{"content_block_start", e.index, block})
}

func (e *encoder) stop(b *batch) {
	if e.open == "" {
		return
	}
	if e.open == "thinking" && !e.signed {
		e.blockDelta(b, "signature_delta", shownSignature(""))
	}
	b.event("content_block_stop", struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
	}{"content_block_stop", e.index})
	e.open = ""
	e.index++
}

// done writes what has not been streamed, and the end.
func (e *encoder) done(res core.ModelResponse) error {
	rest, ok := strings.CutPrefix(res.Message.Text, e.text.String())
	if !ok {
		return core.Errorf(core.CodeUnavailable, "the model's answer changed while it was streamed; send the request again")
	}
	var b batch
	e.begin(&b)
	if e.show.thinking {
		e.thoughts(&b, res.Message.Parts)
	}
	if rest != "" {
		e.piece(&b, "text", "text_delta", rest)
	}
	for _, c := range res.Message.ToolCalls {
		e.start(&b, "tool_use", toolBlock{"tool_use", c.ID, c.Name, json.RawMessage("{}")})
		e.blockDelta(&b, "input_json_delta", string(c.Arguments))
	}
	e.stop(&b)
	end := struct {
		Reason   *string `json:"stop_reason"`
		Sequence *string `json:"stop_sequence"`
	}{}
	end.Reason, end.Sequence = stopOf(res)
	b.event("message_delta", struct {
		Type  string `json:"type"`
		Delta any    `json:"delta"`
		Usage usage  `json:"usage"`
	}{"message_delta", end, usageOf(res.Usage)})
	b.event("message_stop", struct {
		Type string `json:"type"`
	}{"message_stop"})
	return e.send(&b)
}

// thoughts writes what the model thought, as far as no delta has told it: all of it where the provider does not stream it,
// else what is redacted.
func (e *encoder) thoughts(b *batch, parts []core.Part) {
	for _, p := range parts {
		switch {
		case p.Kind != core.PartReasoning:
		case len(p.Data) > 0:
			e.start(b, "redacted_thinking", redactedBlock{"redacted_thinking", shownSignature(string(p.Data))})
			e.stop(b)
		case !e.thought:
			e.start(b, "thinking", thinkingBlock{Type: "thinking"})
			if p.Text != "" && e.show.text {
				e.blockDelta(b, "thinking_delta", p.Text)
			}
			e.blockDelta(b, "signature_delta", shownSignature(p.Signature))
			e.stop(b)
		}
	}
}

// fail ends a stream that has begun with an error, which clients raise. No end of the message follows.
func (e *encoder) fail(err error, request string) {
	var b batch
	b.event("error", errorBody{Type: "error", Error: toAPIError(err), RequestID: request})
	_ = e.send(&b) // the client may have left, which may be the error
}
