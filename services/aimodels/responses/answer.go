package responses

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// maxLine is the longest line of a stream, in bytes: the last event holds the whole answer once more.
const maxLine = 16 << 20

// wireEvent is an event of a stream, of any kind.
type wireEvent struct {
	Type         string          `json:"type"`
	ItemID       string          `json:"item_id"`
	ContentIndex int             `json:"content_index"`
	SummaryIndex int             `json:"summary_index"`
	Delta        json.RawMessage `json:"delta"`
	Item         *wireOutput     `json:"item"`
	Response     *wireAnswer     `json:"response"`
	Error        json.RawMessage `json:"error"` // "error", as some servers write it
	Code         json.RawMessage `json:"code"`  // "error"
	Message      string          `json:"message"`
}

// wireAnswer is the response object.
type wireAnswer struct {
	Object     string       `json:"object"`
	Status     string       `json:"status"`
	Output     []wireOutput `json:"output"`
	Error      *wireError   `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Usage *struct {
		Input        int64 `json:"input_tokens"`
		InputDetails struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		Output        int64 `json:"output_tokens"`
		OutputDetails struct {
			Reasoning int64 `json:"reasoning_tokens"`
		} `json:"output_tokens_details"`
	} `json:"usage"`
}

type wireError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// wireOutput is an item of an answer.
type wireOutput struct {
	Type      string      `json:"type"`
	ID        string      `json:"id"`
	Content   []wireSaid  `json:"content"`
	Summary   []wireSaid  `json:"summary"`
	Encrypted string      `json:"encrypted_content"`
	CallID    string      `json:"call_id"`
	Name      string      `json:"name"`
	Arguments maybeObject `json:"arguments"`
}

type wireSaid struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	Refusal string `json:"refusal"`
}

// maybeObject is JSON in a string, as the dialect has it, or JSON as it is, as some servers send it.
type maybeObject string

// UnmarshalJSON reads both forms.
func (m *maybeObject) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	*m = maybeObject(text)
	return nil
}

// answer collects one answer.
type answer struct {
	p        *Provider
	onDelta  func(core.Delta)
	text     strings.Builder
	refusal  strings.Builder
	place    string          // which part of which item the text so far ends with
	told     bool            // the open item's text came in pieces
	thoughts strings.Builder // of the item that is not complete
	thought  string          // its last part
	parts    []core.Part     // complete reasoning
	calls    []wireOutput
	end      *wireAnswer // the complete response, as the last event holds it
}

func (a *answer) whole(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var w struct {
		wireAnswer
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return a.p.http.Malformed(err)
	}
	if w.Object != "response" {
		if len(w.Error) > 0 {
			return a.p.http.StreamError(w.Error)
		}
		return a.p.http.Malformed(errors.New("no response object"))
	}
	if len(w.Error) > 0 && json.Unmarshal(w.Error, &w.wireAnswer.Error) != nil {
		return a.p.http.StreamError(w.Error)
	}
	return a.finish(&w.wireAnswer)
}

// stream reads server-sent events; only their data counts, which repeats the name. The stream is whole when the event of a
// complete response came.
func (a *answer) stream(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if rest, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(rest, []byte(" "))...)
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue
		}
		if string(data) == "[DONE]" {
			break
		}
		if err := a.event(data); err != nil {
			return err
		}
		if a.end != nil {
			return nil
		}
		data = data[:0]
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return a.p.http.Malformed(err)
		}
		return err
	}
	return io.ErrUnexpectedEOF
}

func (a *answer) event(b []byte) error {
	var e wireEvent
	if err := json.Unmarshal(b, &e); err != nil {
		return a.p.http.Malformed(err)
	}
	switch e.Type {
	case "response.output_text.delta", "response.refusal.delta", "response.reasoning_summary_text.delta", "response.reasoning_text.delta", "response.reasoning.delta":
		var piece string
		if err := json.Unmarshal(e.Delta, &piece); err != nil {
			return a.p.http.Malformed(err)
		}
		a.piece(e, piece)
	case "response.output_item.done":
		if e.Item != nil {
			a.item(*e.Item)
		}
	case "response.completed", "response.incomplete", "response.failed":
		if e.Response == nil {
			return a.p.http.Malformed(errors.New("an end without a response"))
		}
		return a.finish(e.Response)
	case "error":
		if len(e.Error) > 0 && string(e.Error) != "null" {
			return a.p.http.StreamError(e.Error)
		}
		return a.p.http.StreamError(b)
	}
	return nil
}

// piece adds a piece of text. Parts and items of an answer become one text, with an empty line between them.
func (a *answer) piece(e wireEvent, text string) {
	switch e.Type {
	case "response.output_text.delta":
		a.told = true
		a.say(e.ItemID+"/"+strconv.Itoa(e.ContentIndex), text)
	case "response.refusal.delta":
		a.refusal.WriteString(text)
	default:
		part := e.Type + strconv.Itoa(e.SummaryIndex) + "/" + strconv.Itoa(e.ContentIndex)
		if a.thoughts.Len() > 0 && part != a.thought {
			text = "\n\n" + text
		}
		a.thought = part
		a.think(text)
	}
}

func (a *answer) say(place, text string) {
	if text == "" {
		return
	}
	if a.text.Len() > 0 && place != a.place {
		text = "\n\n" + text
	}
	a.place = place
	a.text.WriteString(text)
	a.tell(core.Delta{Text: text})
}

func (a *answer) think(text string) {
	if text != "" {
		a.thoughts.WriteString(text)
		a.tell(core.Delta{Reasoning: text})
	}
}

func (a *answer) tell(d core.Delta) {
	if a.onDelta != nil {
		a.onDelta(d)
	}
}

// item takes a complete item. What of it came in pieces has been told.
func (a *answer) item(it wireOutput) {
	switch it.Type {
	case "reasoning":
		if a.thoughts.Len() == 0 {
			said := it.Summary
			if len(said) == 0 {
				said = it.Content
			}
			var texts []string
			for _, s := range said {
				texts = append(texts, s.Text)
			}
			a.think(strings.Join(texts, "\n\n"))
		}
		signature := core.MakerOpenAI.Mark(it.Encrypted)
		if signature != "" {
			a.tell(core.Delta{Signature: signature})
		}
		if text := a.thoughts.String(); text != "" || signature != "" {
			a.parts = append(a.parts, core.Part{Kind: core.PartReasoning, Text: text, Signature: signature})
		}
		a.thoughts.Reset()
		a.thought = ""
	case "message":
		told := a.told
		a.told = false
		for i, s := range it.Content {
			switch {
			case s.Type == "refusal" && a.refusal.Len() == 0:
				a.refusal.WriteString(s.Refusal)
			case s.Type == "output_text" && !told:
				a.say(it.ID+"/"+strconv.Itoa(i), s.Text)
			}
		}
	case "function_call":
		a.calls = append(a.calls, it)
	}
}

// finish takes the complete response. Items that were not told of before are taken from it.
func (a *answer) finish(w *wireAnswer) error {
	if w.Status == "failed" || w.Error != nil {
		e := w.Error
		if e == nil {
			e = &wireError{Code: "server_error"}
		}
		b, err := json.Marshal(e)
		if err != nil {
			return a.p.http.Malformed(err)
		}
		return a.p.http.StreamError(b)
	}
	a.end = w
	if a.text.Len() == 0 && len(a.calls) == 0 && len(a.parts) == 0 {
		for _, it := range w.Output {
			a.item(it)
		}
	}
	return nil
}

func (a *answer) response() (core.ModelResponse, error) {
	m := core.Message{Role: core.RoleAssistant, Text: a.text.String()}
	if len(a.parts) > 0 {
		m.Parts = a.parts
		if m.Text != "" {
			m.Parts = append(m.Parts, core.Part{Kind: core.PartText, Text: m.Text})
		}
	}
	seen := map[string]bool{}
	for _, c := range a.calls {
		id := c.CallID
		if id == "" || seen[id] {
			id = aimodels.NewCallID()
		}
		seen[id] = true
		m.ToolCalls = append(m.ToolCalls, core.ToolCall{ID: id, Name: c.Name, Arguments: aimodels.Arguments([]byte(c.Arguments))})
	}
	reason := a.reason()
	if m.Text == "" && len(m.ToolCalls) == 0 && (reason == core.FinishRefusal || a.refusal.Len() > 0) {
		why := a.refusal.String()
		if why == "" {
			why = "its content filter stopped the answer"
		}
		return core.ModelResponse{}, &aimodels.CallError{Err: core.Errorf(core.CodeRefused, "the model of provider %s refuses to answer: %s", a.p.http.Name(), why)}
	}
	out := core.ModelResponse{Message: m, Finish: reason}
	if u := a.end.Usage; u != nil {
		out.Usage = core.Usage{InputTokens: u.Input, OutputTokens: u.Output, CachedTokens: u.InputDetails.Cached, ReasoningTokens: u.OutputDetails.Reasoning}
	}
	return out, nil
}

func (a *answer) reason() core.FinishReason {
	switch {
	case a.end.Incomplete != nil && a.end.Incomplete.Reason == "content_filter":
		return core.FinishRefusal
	case a.end.Incomplete != nil || a.end.Status == "incomplete":
		return core.FinishLength
	case len(a.calls) > 0:
		return core.FinishTools
	default:
		return core.FinishStop
	}
}
