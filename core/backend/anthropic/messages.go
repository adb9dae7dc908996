package anthropic

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// messages answers POST /v1/messages.
func (h *handler) messages(w http.ResponseWriter, r *http.Request) {
	call, err := newCall(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	out := &answer{h: h, w: w, r: r, call: call}
	if call.Stream {
		out.stream = newEncoder(w, r, call)
		defer out.stream.close()
	}
	if err := h.Chats.Exchange(r.Context(), call, out); err != nil && r.Context().Err() == nil {
		out.fail(err)
	}
}

// newCall reads a call and checks what must be right before anything is asked of a model.
func newCall(r *http.Request) (*dialect.Call, error) {
	call, err := backend.NewCall(r, dialect.Anthropic)
	if err != nil {
		return nil, err
	}
	if err := check(call.Body); err != nil {
		return nil, err
	}
	if err := checkMaxTokens(call.Body); err != nil {
		return nil, err
	}
	call.MaxOutput = int(call.Body.Int("max_tokens"))
	call.Header = upstreamHeader(r.Header)
	call.Decode = decode
	if o, err := dialect.Scan(call.Body.Get("metadata")); err == nil {
		if user, ok := o.Text("user_id"); ok {
			call.Metadata = map[string]string{"user_id": user}
			if call.Session == "" {
				call.Session = user
			}
		}
	}
	return call, nil
}

// answer is where the gateway puts one answer.
type answer struct {
	h      *handler
	w      http.ResponseWriter
	r      *http.Request
	call   *dialect.Call
	stream *encoder // nil for a whole answer
	done   bool     // a whole answer has gone out
}

// Header sets a field of the answer.
func (a *answer) Header(name, value string) {
	if a.stream != nil {
		a.stream.out.Header(name, value)
		return
	}
	a.w.Header().Set(name, value)
}

// Raw passes on what a provider of the same dialect says.
func (a *answer) Raw(b []byte) error {
	if a.stream != nil {
		_, err := a.stream.out.Write(b)
		return err
	}
	a.done = true
	writeBytes(a.w, a.r, http.StatusOK, b)
	return nil
}

// Delta streams a piece.
func (a *answer) Delta(d core.Delta) error {
	if a.stream == nil {
		return nil
	}
	return a.stream.delta(d)
}

// Done writes the whole answer, or what is left of a stream.
func (a *answer) Done(res core.ModelResponse) error {
	if a.stream != nil {
		return a.stream.done(res)
	}
	a.done = true
	writeJSON(a.w, a.r, http.StatusOK, whole(a.call, res))
	return nil
}

// fail tells of an error: with its status while nothing has gone out, else as the stream's last event.
func (a *answer) fail(err error) {
	switch {
	case a.stream != nil && a.stream.out.Started():
		backend.LogFault(a.r.Context(), a.h.Logger, err)
		a.stream.fail(err, backend.RequestID(a.r.Context()))
	case a.stream != nil:
		a.stream.close() // no keep-alive into the error's body
		a.h.fail(a.w, a.r, err)
	case !a.done:
		a.h.fail(a.w, a.r, err)
	}
}

// wireMessage is a whole answer; in message_start, its beginning.
type wireMessage struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"`
	Role         string  `json:"role"`
	Model        string  `json:"model"`
	Content      []any   `json:"content"`
	StopReason   *string `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
	Usage        usage   `json:"usage"`
}

// usage counts tokens; those read from a prompt cache are not part of the input, as the dialect has it.
type usage struct {
	InputTokens         int64        `json:"input_tokens"`
	CacheCreationTokens int64        `json:"cache_creation_input_tokens"`
	CacheReadTokens     int64        `json:"cache_read_input_tokens"`
	OutputTokens        int64        `json:"output_tokens"`
	Details             *usageDetail `json:"output_tokens_details,omitempty"`
}

type usageDetail struct {
	ThinkingTokens int64 `json:"thinking_tokens"`
}

func usageOf(u core.Usage) usage {
	out := usage{InputTokens: max(0, u.InputTokens-u.CachedTokens), CacheReadTokens: u.CachedTokens, OutputTokens: u.OutputTokens}
	if u.ReasoningTokens > 0 {
		out.Details = &usageDetail{u.ReasoningTokens}
	}
	return out
}

func newMessage(call *dialect.Call) wireMessage {
	return wireMessage{
		ID: "msg_" + strings.ReplaceAll(uuid.NewString(), "-", ""), Type: "message", Role: "assistant", Model: call.Model, Content: []any{},
	}
}

// whole makes the answer that is not streamed.
func whole(call *dialect.Call, res core.ModelResponse) wireMessage {
	m := newMessage(call)
	show := shownTo(call)
	for _, p := range res.Message.Content() {
		if p.Kind == core.PartReasoning && !show.text {
			p.Text = ""
		}
		switch {
		case p.Kind == core.PartText && p.Text != "":
			m.Content = append(m.Content, textBlock{"text", p.Text})
		case p.Kind == core.PartReasoning && show.thinking && len(p.Data) > 0:
			m.Content = append(m.Content, redactedBlock{"redacted_thinking", shownSignature(string(p.Data))})
		case p.Kind == core.PartReasoning && show.thinking:
			m.Content = append(m.Content, thinkingBlock{"thinking", p.Text, shownSignature(p.Signature)})
		}
	}
	for _, c := range res.Message.ToolCalls {
		m.Content = append(m.Content, toolBlock{"tool_use", c.ID, c.Name, c.Arguments})
	}
	m.StopReason, m.StopSequence = stopOf(res)
	m.Usage = usageOf(res.Usage)
	return m
}

// shown says what a client wants to see of what the model thinks. Clients that did not ask look for the text in the first
// block.
type shown struct {
	thinking bool // blocks of it
	text     bool // and what it says; else only its signature
}

func shownTo(call *dialect.Call) shown {
	o, err := dialect.Scan(call.Body.Get("thinking"))
	if err != nil {
		return shown{}
	}
	kind, _ := o.Text("type")
	display, _ := o.Text("display")
	asked := kind == "enabled" || kind == "adaptive" || kind == "between_tools"
	return shown{asked, asked && display != "omitted"}
}

func stopOf(res core.ModelResponse) (reason, sequence *string) {
	word := "end_turn"
	switch {
	case res.Finish == core.FinishLength:
		word = "max_tokens"
	case res.Finish == core.FinishRefusal:
		word = "refusal"
	case len(res.Message.ToolCalls) > 0:
		word = "tool_use"
	case res.StopText != "":
		word, sequence = "stop_sequence", &res.StopText
	}
	return &word, sequence
}
