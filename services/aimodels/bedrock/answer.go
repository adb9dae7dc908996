package bedrock

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// maxBlocks bounds the blocks of one answer.
const maxBlocks = 1000

// wireEvent is an event of a stream, of any kind: which one stands in its header.
type wireEvent struct {
	Index int `json:"contentBlockIndex"`
	Start struct {
		ToolUse *wireToolUse `json:"toolUse"`
	} `json:"start"`
	Delta   wireDelta  `json:"delta"`
	Usage   *wireUsage `json:"usage"`
	Message string     `json:"message"` // of an exception
	wireStop
}

type wireDelta struct {
	Text    string `json:"text"`
	ToolUse *struct {
		Input string `json:"input"`
	} `json:"toolUse"`
	Reasoning *struct {
		Text      string `json:"text"`
		Signature string `json:"signature"`
		Redacted  []byte `json:"redactedContent"`
	} `json:"reasoningContent"`
}

// wireAnswer is the answer that is not streamed.
type wireAnswer struct {
	Output struct {
		Message *wireMessage `json:"message"`
	} `json:"output"`
	Usage wireUsage `json:"usage"`
	wireStop
}

type wireStop struct {
	Reason string `json:"stopReason"`
	Fields struct {
		Sequence string `json:"stop_sequence"`
	} `json:"additionalModelResponseFields"`
}

// wireUsage counts tokens. What was read from and written to the prompt cache is not part of the input.
type wireUsage struct {
	Input      int64 `json:"inputTokens"`
	Output     int64 `json:"outputTokens"`
	CacheRead  int64 `json:"cacheReadInputTokens"`
	CacheWrite int64 `json:"cacheWriteInputTokens"`
}

// answer collects one answer.
type answer struct {
	p       *Provider
	onDelta func(core.Delta)
	form    string // the tool that is called with the answer
	oneTool bool
	maker   core.Maker // of the signatures
	blocks  []*collected
	stop    wireStop
	usage   wireUsage
}

// collected is a block as far as it has come.
type collected struct {
	index     int
	tool      *wireToolUse
	answers   bool // it is a call with the answer: its input is the text
	text      strings.Builder
	input     strings.Builder
	thought   strings.Builder
	signature string
	hidden    []byte
}

func (a *answer) whole(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var w wireAnswer
	if err := json.Unmarshal(b, &w); err != nil {
		return a.p.http.Malformed(err)
	}
	if w.Output.Message == nil || w.Reason == "" {
		return a.p.http.Malformed(errors.New("the answer has no message or no end"))
	}
	for i, block := range w.Output.Message.Content {
		c := a.begin(i, block.ToolUse)
		if c == nil {
			return a.tooMany()
		}
		a.add(c, block.Text)
		switch r := block.Reasoning; {
		case r == nil:
		case r.Text != nil:
			c.thought.WriteString(r.Text.Text)
			c.signature = r.Text.Signature
			a.tell(core.Delta{Reasoning: r.Text.Text})
		default:
			if c.hidden, err = base64.StdEncoding.DecodeString(r.Redacted); err != nil {
				return a.p.http.Malformed(err)
			}
		}
		if block.ToolUse != nil {
			a.write(c, string(block.ToolUse.Input))
		}
		a.close(i)
	}
	a.stop, a.usage = w.wireStop, w.Usage
	return nil
}

// watched remembers why a read failed: the decoder's own errors speak of what was read.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// stream reads binary events. The stream is whole when a stop reason came; usage follows it.
func (a *answer) stream(r io.Reader) error {
	from := &watched{r: r}
	in := bufio.NewReader(from)
	d := eventstream.NewDecoder()
	var buf []byte
	for {
		m, err := d.Decode(in, buf)
		switch {
		case err == nil:
		case from.err == io.EOF && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)): //nolint:errorlint // the reader's own, as it is
			if a.stop.Reason == "" {
				return io.ErrUnexpectedEOF
			}
			return nil
		case from.err != nil && from.err != io.EOF: //nolint:errorlint // the reader's own, as it is
			return from.err
		default:
			return a.p.http.Malformed(err)
		}
		if err := a.event(m); err != nil {
			return err
		}
		buf = m.Payload
	}
}

// header is a text in an event's header, "" where there is none.
func header(m eventstream.Message, name string) string {
	if s, ok := m.Headers.Get(name).(eventstream.StringValue); ok {
		return string(s)
	}
	return ""
}

func (a *answer) event(m eventstream.Message) error {
	kind := header(m, ":message-type")
	if kind == "error" {
		return a.p.failure(header(m, ":error-code"), header(m, ":error-message"))
	}
	var e wireEvent
	if err := json.Unmarshal(m.Payload, &e); err != nil {
		return a.p.http.Malformed(err)
	}
	if kind == "exception" {
		return a.p.failure(header(m, ":exception-type"), e.Message)
	}
	switch header(m, ":event-type") {
	case "contentBlockStart":
		if a.block(e.Index) == nil && a.begin(e.Index, e.Start.ToolUse) == nil {
			return a.tooMany()
		}
	case "contentBlockDelta":
		return a.delta(&e)
	case "contentBlockStop":
		a.close(e.Index)
	case "messageStop":
		a.stop = e.wireStop
	case "metadata":
		if e.Usage != nil {
			a.usage = *e.Usage
		}
	}
	return nil // messageStart, and what later versions add
}

func (a *answer) tooMany() error {
	return a.p.http.Malformed(fmt.Errorf("more than %d blocks", maxBlocks))
}

// begin takes a new block; nil = there are too many.
func (a *answer) begin(index int, tool *wireToolUse) *collected {
	if len(a.blocks) == maxBlocks {
		return nil
	}
	c := &collected{index: index, tool: tool, answers: tool != nil && a.form != "" && tool.Name == a.form}
	a.blocks = append(a.blocks, c)
	return c
}

// block finds the block that has an index, nil where none has begun.
func (a *answer) block(index int) *collected {
	for i := len(a.blocks) - 1; i >= 0; i-- {
		if a.blocks[i].index == index {
			return a.blocks[i]
		}
	}
	return nil
}

// delta takes a piece of a block; blocks of text need not have been begun.
func (a *answer) delta(e *wireEvent) error {
	c := a.block(e.Index)
	if c == nil {
		if c = a.begin(e.Index, nil); c == nil {
			return a.tooMany()
		}
	}
	d := &e.Delta
	a.add(c, d.Text)
	if d.ToolUse != nil {
		a.write(c, d.ToolUse.Input)
	}
	if r := d.Reasoning; r != nil {
		c.thought.WriteString(r.Text)
		c.signature += r.Signature
		c.hidden = append(c.hidden, r.Redacted...)
		a.tell(core.Delta{Reasoning: r.Text})
	}
	return nil
}

func (a *answer) add(c *collected, text string) {
	if a.form != "" { // what is said beside the call with the answer is no part of it
		return
	}
	c.text.WriteString(text)
	a.tell(core.Delta{Text: text})
}

func (a *answer) write(c *collected, input string) {
	c.input.WriteString(input)
	if c.answers && a.onlyAnswer(c) {
		a.tell(core.Delta{Text: input})
	}
}

// onlyAnswer says whether a block is the first call with the answer; a model may make more, which are dropped.
func (a *answer) onlyAnswer(c *collected) bool {
	for _, b := range a.blocks {
		if b.answers {
			return b == c
		}
	}
	return false
}

// close tells the signature of what was thought, now that it is complete.
func (a *answer) close(index int) {
	if c := a.block(index); c != nil && c.signature != "" {
		a.tell(core.Delta{Signature: a.maker.Mark(c.signature)})
	}
}

func (a *answer) tell(d core.Delta) {
	if a.onDelta != nil && d != (core.Delta{}) {
		a.onDelta(d)
	}
}

func (a *answer) response() (core.ModelResponse, error) {
	m := core.Message{Role: core.RoleAssistant}
	var text strings.Builder
	seen := map[string]bool{}
	for _, c := range a.blocks {
		text.WriteString(c.text.String())
		if c.thought.Len() > 0 || c.signature != "" {
			p := core.Part{Kind: core.PartReasoning, Text: c.thought.String()}
			if c.signature != "" {
				p.Signature = a.maker.Mark(c.signature)
			}
			m.Parts = append(m.Parts, p)
		}
		if len(c.hidden) > 0 {
			m.Parts = append(m.Parts, core.Part{Kind: core.PartReasoning, Data: []byte(core.MakerBedrock.Mark(base64.StdEncoding.EncodeToString(c.hidden)))})
		}
		switch {
		case c.tool == nil || c.answers && !a.onlyAnswer(c):
		case c.answers:
			text.WriteString(c.input.String())
		case !a.oneTool || len(m.ToolCalls) == 0: // the dialect has no field for it
			id := c.tool.ID
			if id == "" || seen[id] {
				id = aimodels.NewCallID()
			}
			seen[id] = true
			m.ToolCalls = append(m.ToolCalls, core.ToolCall{ID: id, Name: c.tool.Name, Arguments: aimodels.Arguments([]byte(c.input.String()))})
		}
	}
	m.Text = text.String()
	if len(m.Parts) > 0 && m.Text != "" {
		m.Parts = append(m.Parts, core.Part{Kind: core.PartText, Text: m.Text})
	}
	finish, err := a.finish(m)
	if err != nil {
		return core.ModelResponse{}, err
	}
	u := a.usage
	return core.ModelResponse{
		Message: m, Finish: finish, StopText: a.stop.Fields.Sequence,
		Usage: core.Usage{InputTokens: u.Input + u.CacheRead + u.CacheWrite, OutputTokens: u.Output, CachedTokens: u.CacheRead},
	}, nil
}

func (a *answer) finish(m core.Message) (core.FinishReason, error) {
	switch reason := a.stop.Reason; {
	case reason == "guardrail_intervened" || reason == "content_filtered" || reason == "refusal":
		if m.Text != "" || len(m.ToolCalls) > 0 {
			return core.FinishRefusal, nil
		}
		return "", &aimodels.CallError{Err: core.Errorf(core.CodeRefused, "the model of provider %s refuses to answer: its safety filter stopped the answer (%s)", a.p.http.Name(), reason)}
	case reason == "malformed_model_output" || reason == "malformed_tool_use":
		return "", aimodels.Retryable(core.Errorf(core.CodeUnavailable, "the model of provider %s wrote an answer that cannot be used (%s)", a.p.http.Name(), reason))
	case reason == "max_tokens" || reason == "model_context_window_exceeded":
		return core.FinishLength, nil
	case len(m.ToolCalls) > 0:
		return core.FinishTools, nil
	default: // end_turn, stop_sequence; tool_use where the call is the answer
		return core.FinishStop, nil
	}
}

// failure maps an error in the middle of a 200 answer. The dialect names kinds where others give statuses.
func (p *Provider) failure(kind, message string) error {
	object, err := json.Marshal(map[string]any{"type": kind, "message": orElse(message, kind), "code": statusOf(kind)})
	if err != nil {
		return p.http.Malformed(err)
	}
	return p.http.StreamError(object)
}

// statusOf is the status with which the dialect sends a kind of error.
func statusOf(kind string) int {
	switch strings.ToLower(kind) {
	case "validationexception":
		return http.StatusBadRequest
	case "accessdeniedexception", "expiredtokenexception", "unrecognizedclientexception":
		return http.StatusForbidden
	case "resourcenotfoundexception":
		return http.StatusNotFound
	case "modeltimeoutexception":
		return http.StatusRequestTimeout
	case "throttlingexception", "modelnotreadyexception", "servicequotaexceededexception":
		return http.StatusTooManyRequests
	case "modelstreamerrorexception", "modelerrorexception":
		return http.StatusFailedDependency
	case "serviceunavailableexception":
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
