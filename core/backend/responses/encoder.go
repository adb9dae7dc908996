package responses

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// encoder turns the pieces of an answer into items, and into the events that tell of them.
type encoder struct {
	out  io.Writer // of the events; nil where the client wants the whole answer only
	obj  object
	now  func() time.Time
	save func(o *object) // keeps the complete response; it may change what the object says of that

	began bool
	seq   int    // number of the next event
	buf   []byte // events that have not been written
	items []*item
	open  *item           // that the next piece may belong to; nil = none
	sent  strings.Builder // the text so far
}

// item is one item of the output.
type item struct {
	index     int
	id        string
	reasoning bool
	text      strings.Builder
	signature string
	status    string // "" where the item has none yet
}

func (e *encoder) begin() error {
	if e.began {
		return nil
	}
	e.began = true
	for _, name := range []string{"response.created", "response.in_progress"} {
		if err := e.event(name, map[string]any{"response": e.obj}); err != nil {
			return err
		}
	}
	return nil
}

// delta adds a piece and sends what it means.
func (e *encoder) delta(d core.Delta) error {
	if err := e.begin(); err != nil {
		return err
	}
	if d.Reasoning != "" || d.Signature != "" {
		if err := e.think(d.Reasoning, d.Signature); err != nil {
			return err
		}
	}
	if d.Text != "" {
		if err := e.say(d.Text); err != nil {
			return err
		}
	}
	return e.flush()
}

// think adds to the reasoning; a signature ends its item.
func (e *encoder) think(text, signature string) error {
	it := e.open
	if it == nil || !it.reasoning {
		var err error
		if it, err = e.begins("rs", true); err != nil {
			return err
		}
	}
	if text != "" {
		if it.text.Len() == 0 {
			if err := e.event("response.reasoning_summary_part.added", map[string]any{
				"item_id": it.id, "output_index": it.index, "summary_index": 0, "part": newSummaryPart(""),
			}); err != nil {
				return err
			}
		}
		it.text.WriteString(text)
		e.piece("response.reasoning_summary_text.delta", "summary_index", it, text, "")
	}
	if signature == "" {
		return nil
	}
	it.signature = signature
	return e.end("completed")
}

// say adds to the text.
func (e *encoder) say(text string) error {
	it := e.open
	if it == nil || it.reasoning {
		var err error
		if it, err = e.begins("msg", false); err != nil {
			return err
		}
		if err := e.event("response.content_part.added", map[string]any{
			"item_id": it.id, "output_index": it.index, "content_index": 0, "part": newTextPart(""),
		}); err != nil {
			return err
		}
	}
	it.text.WriteString(text)
	e.sent.WriteString(text)
	if text != "" {
		e.piece("response.output_text.delta", "content_index", it, text, `,"logprobs":[]`)
	}
	return nil
}

// begins ends the open item and opens another one.
func (e *encoder) begins(kind string, reasoning bool) (*item, error) {
	if err := e.end("completed"); err != nil {
		return nil, err
	}
	it := &item{index: len(e.items), id: newID(kind), reasoning: reasoning}
	e.items, e.open = append(e.items, it), it
	return it, e.event("response.output_item.added", map[string]any{"output_index": it.index, "item": it.value(true)})
}

// end tells that the open item is complete.
func (e *encoder) end(status string) error {
	it := e.open
	if it == nil {
		return nil
	}
	e.open, it.status = nil, status
	text := it.text.String()
	at := func(index string, more map[string]any) map[string]any {
		more["item_id"], more["output_index"], more[index] = it.id, it.index, 0
		return more
	}
	var err error
	switch {
	case !it.reasoning:
		err = e.events(
			named{"response.output_text.done", at("content_index", map[string]any{"text": text, "logprobs": []any{}})},
			named{"response.content_part.done", at("content_index", map[string]any{"part": newTextPart(text)})})
	case text != "":
		err = e.events(
			named{"response.reasoning_summary_text.done", at("summary_index", map[string]any{"text": text})},
			named{"response.reasoning_summary_part.done", at("summary_index", map[string]any{"part": newSummaryPart(text)})})
	}
	if err != nil {
		return err
	}
	v := it.value(false)
	e.obj.Output = append(e.obj.Output, v)
	return e.event("response.output_item.done", map[string]any{"output_index": it.index, "item": v})
}

// value is the item's JSON form.
func (it *item) value(beginning bool) any {
	if it.reasoning {
		v := reasoningItem{ID: it.id, Type: "reasoning", Summary: []any{}, Encrypted: core.MakerOpenAI.Shown(it.signature)}
		if !beginning && v.Encrypted == "" {
			v.Encrypted = core.Unsigned // what comes back from the client is then known not to be OpenAI's
		}
		if it.text.Len() > 0 {
			v.Summary = append(v.Summary, newSummaryPart(it.text.String()))
		}
		return v
	}
	v := messageItem{ID: it.id, Type: "message", Status: "in_progress", Role: "assistant", Content: []any{}}
	if !beginning {
		v.Status, v.Content = it.status, append(v.Content, newTextPart(it.text.String()))
	}
	return v
}

// done adds what has not been said yet and completes the response.
func (e *encoder) done(res core.ModelResponse) error {
	if err := e.begin(); err != nil {
		return err
	}
	if err := e.leftReasoning(res.Message.Parts); err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(res.Message.Text, e.sent.String())
	if !ok {
		return core.Errorf(core.CodeUnavailable, "the model failed in the middle of its answer and began anew with another one; send the request again")
	}
	cut := res.Finish == core.FinishLength || res.Finish == core.FinishRefusal
	if rest != "" || res.Message.Text == "" && len(res.Message.ToolCalls) == 0 && !cut {
		if err := e.say(rest); err != nil {
			return err
		}
	}
	status := "completed"
	if cut {
		status = "incomplete"
	}
	if err := e.end(status); err != nil {
		return err
	}
	for _, c := range res.Message.ToolCalls {
		if err := e.call(c); err != nil {
			return err
		}
	}
	e.obj.Status, e.obj.Usage = status, usageOf(res.Usage)
	switch {
	case res.Finish == core.FinishLength:
		e.obj.IncompleteDetails = &incompleteReason{"max_output_tokens"}
	case cut:
		e.obj.IncompleteDetails = &incompleteReason{"content_filter"}
	default:
		at := e.now().Unix()
		e.obj.CompletedAt = &at
	}
	e.save(&e.obj)
	if err := e.event("response."+status, map[string]any{"response": e.obj}); err != nil {
		return err
	}
	return e.flush()
}

// leftReasoning adds the reasoning of the complete answer that did not come in pieces.
func (e *encoder) leftReasoning(parts []core.Part) error {
	var streamed []*item
	for _, it := range e.items {
		if it.reasoning {
			streamed = append(streamed, it)
		}
	}
	for _, p := range parts {
		if p.Kind != core.PartReasoning || p.Text == "" && p.Signature == "" {
			continue
		}
		if len(streamed) == 0 {
			if err := e.end("completed"); err != nil {
				return err
			}
			if err := e.think(p.Text, p.Signature); err != nil {
				return err
			}
			continue
		}
		it := streamed[0]
		streamed = streamed[1:]
		switch {
		case p.Signature == "" || it.signature != "":
		case it == e.open:
			if err := e.think("", p.Signature); err != nil {
				return err
			}
		default: // its events are out; the complete response still tells
			it.signature = p.Signature
			e.obj.Output[it.index] = it.value(false)
		}
	}
	return nil
}

// call adds a complete tool call.
func (e *encoder) call(c core.ToolCall) error {
	it := &item{index: len(e.items), id: newID("fc")}
	e.items = append(e.items, it)
	v := callItem{ID: it.id, Type: "function_call", Status: "in_progress", CallID: c.ID, Name: c.Name}
	arguments := string(c.Arguments)
	if err := e.event("response.output_item.added", map[string]any{"output_index": it.index, "item": v}); err != nil {
		return err
	}
	e.piece("response.function_call_arguments.delta", "", it, arguments, "")
	v.Status, v.Arguments = "completed", arguments
	e.obj.Output = append(e.obj.Output, v)
	return e.events(
		named{"response.function_call_arguments.done", map[string]any{"item_id": it.id, "output_index": it.index, "name": c.Name, "arguments": arguments}},
		named{"response.output_item.done", map[string]any{"output_index": it.index, "item": v}})
}

// fail ends a stream that has begun with what went wrong.
func (e *encoder) fail(code, message string) error {
	e.obj.Status, e.obj.Error = "failed", &objectError{code, message}
	if err := e.event("response.failed", map[string]any{"response": e.obj}); err != nil {
		return err
	}
	return e.flush()
}

type named struct {
	name   string
	fields map[string]any
}

func (e *encoder) events(list ...named) error {
	for _, n := range list {
		if err := e.event(n.name, n.fields); err != nil {
			return err
		}
	}
	return nil
}

// event adds one event to what is sent next.
func (e *encoder) event(name string, fields map[string]any) error {
	if e.out == nil {
		return nil
	}
	fields["type"], fields["sequence_number"] = name, e.seq
	b, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("write the event %s: %w", name, err)
	}
	e.seq++
	e.buf = append(append(append(append(append(e.buf, "event: "...), name...), "\ndata: "...), b...), "\n\n"...)
	return nil
}

// piece adds an event of a piece of text. There is one for every few letters, so it is put together by hand.
func (e *encoder) piece(name, index string, it *item, text, more string) {
	if e.out == nil {
		return
	}
	b := append(append(e.buf, "event: "...), name...)
	b = append(append(append(b, "\ndata: {\"type\":\""...), name...), `","sequence_number":`...)
	b = append(append(strconv.AppendInt(b, int64(e.seq), 10), `,"item_id":"`...), it.id...)
	b = strconv.AppendInt(append(b, `","output_index":`...), int64(it.index), 10)
	if index != "" {
		b = append(append(append(b, `,"`...), index...), `":0`...)
	}
	b = append(append(b, `,"delta":`...), dialect.String(text)...)
	e.buf = append(append(b, more...), "}\n\n"...)
	e.seq++
}

// flush sends the events.
func (e *encoder) flush() error {
	if e.out == nil || len(e.buf) == 0 {
		return nil
	}
	_, err := e.out.Write(e.buf)
	e.buf = e.buf[:0]
	return err
}
