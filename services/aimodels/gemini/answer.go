package gemini

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

const (
	maxLine  = 16 << 20 // the longest line of a stream, in bytes: a part is never split, images included
	maxCalls = 1000     // of one answer
)

// wireAnswer is a whole answer, or a piece of one in a stream: both have the same form.
type wireAnswer struct {
	Candidates []struct {
		Content wireContent `json:"content"`
		Finish  string      `json:"finishReason"`
		Message string      `json:"finishMessage"`
	} `json:"candidates"`
	Prompt struct {
		Blocked string `json:"blockReason"`
		Message string `json:"blockReasonMessage"`
	} `json:"promptFeedback"`
	Usage *wireUsage      `json:"usageMetadata"`
	Error json.RawMessage `json:"error"`
}

// wireUsage counts tokens. What is thought is not part of the candidates; what is read from the cache is part of the prompt.
type wireUsage struct {
	Prompt     int64 `json:"promptTokenCount"`
	ToolPrompt int64 `json:"toolUsePromptTokenCount"`
	Cached     int64 `json:"cachedContentTokenCount"`
	Candidates int64 `json:"candidatesTokenCount"`
	Thoughts   int64 `json:"thoughtsTokenCount"`
}

// answer collects one answer.
type answer struct {
	p       *Provider
	onDelta func(core.Delta)
	oneTool bool

	text, thought strings.Builder
	signature     string // of the first call, else of the text
	signedCall    bool
	calls         []wireCall
	usage         wireUsage
	finish, why   string
	blocked       bool // the prompt; there is no answer
}

func (a *answer) whole(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := a.piece(b); err != nil {
		return err
	}
	if a.finish == "" && !a.blocked {
		return a.p.http.Malformed(errors.New("the answer has no end"))
	}
	return nil
}

// stream reads server-sent events, each a piece of the answer. The dialect has no event that ends a stream: it is whole
// when the reason came for which the model stopped.
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
		if err := a.piece(data); err != nil {
			return err
		}
		data = data[:0]
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return a.p.http.Malformed(err)
		}
		return err
	}
	if a.finish == "" && !a.blocked {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (a *answer) piece(b []byte) error {
	var w wireAnswer
	if err := json.Unmarshal(b, &w); err != nil {
		return a.p.http.Malformed(err)
	}
	if len(w.Error) > 0 && string(w.Error) != "null" {
		return a.p.http.StreamError(w.Error)
	}
	if w.Usage != nil {
		a.usage = *w.Usage
	}
	if w.Prompt.Blocked != "" {
		a.blocked, a.why = true, orElse(w.Prompt.Message, "the prompt was blocked ("+w.Prompt.Blocked+")")
	}
	if len(w.Candidates) == 0 {
		return nil
	}
	c := w.Candidates[0]
	for i := range c.Content.Parts {
		if err := a.part(&c.Content.Parts[i]); err != nil {
			return err
		}
	}
	if c.Finish != "" && c.Finish != "FINISH_REASON_UNSPECIFIED" {
		a.finish, a.why = c.Finish, c.Message
	}
	return nil
}

func (a *answer) part(p *wirePart) error {
	switch {
	case p.Call != nil:
		if len(a.calls) == maxCalls {
			return a.p.http.Malformed(fmt.Errorf("more than %d calls", maxCalls))
		}
		if p.Signature != "" && !a.signedCall {
			a.signature, a.signedCall = p.Signature, true
		}
		a.calls = append(a.calls, *p.Call)
		return nil
	case p.Thought && p.Text != "":
		a.thought.WriteString(p.Text)
		a.tell(core.Delta{Reasoning: p.Text})
	case p.Text != "":
		a.text.WriteString(p.Text)
		a.tell(core.Delta{Text: p.Text})
	}
	if p.Signature != "" && !a.signedCall {
		a.signature = p.Signature
	}
	return nil
}

func (a *answer) tell(d core.Delta) {
	if a.onDelta != nil {
		a.onDelta(d)
	}
}

func (a *answer) response() (core.ModelResponse, error) {
	m := core.Message{Role: core.RoleAssistant, Text: a.text.String()}
	if a.signature != "" {
		a.signature = core.MakerGemini.Mark(a.signature)
		a.tell(core.Delta{Signature: a.signature})
	}
	if a.thought.Len() > 0 || a.signature != "" {
		m.Parts = append(m.Parts, core.Part{Kind: core.PartReasoning, Text: a.thought.String(), Signature: a.signature})
		if m.Text != "" {
			m.Parts = append(m.Parts, core.Part{Kind: core.PartText, Text: m.Text})
		}
	}
	if a.oneTool && len(a.calls) > 1 { // the dialect has no field for it
		a.calls = a.calls[:1]
	}
	seen := map[string]bool{}
	for _, c := range a.calls {
		if c.ID == "" || seen[c.ID] {
			c.ID = aimodels.NewCallID()
		}
		seen[c.ID] = true
		m.ToolCalls = append(m.ToolCalls, core.ToolCall{ID: c.ID, Name: c.Name, Arguments: aimodels.Arguments(c.Args)})
	}
	finish, err := a.end(m)
	if err != nil {
		return core.ModelResponse{}, err
	}
	return core.ModelResponse{Message: m, Finish: finish, Usage: core.Usage{
		InputTokens: a.usage.Prompt + a.usage.ToolPrompt, OutputTokens: a.usage.Candidates + a.usage.Thoughts,
		CachedTokens: a.usage.Cached, ReasoningTokens: a.usage.Thoughts,
	}}, nil
}

// end is why the model stopped. An answer without anything in it, or with a call that the model could not write, is an error.
func (a *answer) end(m core.Message) (core.FinishReason, error) {
	empty := m.Text == "" && len(m.ToolCalls) == 0
	switch a.finish {
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR":
		if empty {
			return "", a.refused(orElse(a.why, "its safety filter stopped the answer ("+a.finish+")"))
		}
		return core.FinishRefusal, nil
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE":
		if len(m.ToolCalls) == 0 {
			return "", aimodels.Retryable(core.Errorf(core.CodeUnavailable, "the model of provider %s wrote an answer that cannot be used (%s)", a.p.http.Name(), a.finish))
		}
		return core.FinishTools, nil
	case "MAX_TOKENS":
		return core.FinishLength, nil
	case "":
		if empty {
			return "", a.refused(a.why)
		}
		return core.FinishRefusal, nil // blocked after all
	default: // STOP, OTHER, and what later versions add
		switch {
		case len(m.ToolCalls) > 0:
			return core.FinishTools, nil
		case empty && a.finish != "STOP":
			return "", aimodels.Retryable(core.Errorf(core.CodeUnavailable, "the model of provider %s gave no answer (%s)", a.p.http.Name(), a.finish))
		default:
			return core.FinishStop, nil
		}
	}
}

func (a *answer) refused(why string) error {
	return &aimodels.CallError{Err: core.Errorf(core.CodeRefused, "the model of provider %s refuses to answer: %s", a.p.http.Name(), why)}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
