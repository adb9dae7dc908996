package openai

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/sutazai/sutazai/core"
)

type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index        int               `json:"index"`
	Message      assistantMessage  `json:"message"`
	Logprobs     *struct{}         `json:"logprobs"`
	FinishReason core.FinishReason `json:"finish_reason"`
}

type assistantMessage struct {
	Role      string         `json:"role"`
	Content   *string        `json:"content"`
	Refusal   *string        `json:"refusal"`
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

type usage struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
	TotalTokens      int64 `json:"total_tokens"`
}

func usageOf(u core.Usage) *usage {
	return &usage{u.InputTokens, u.OutputTokens, u.Tokens()}
}

func (h *handler) chat(w http.ResponseWriter, r *http.Request) {
	q, messages, err := decode(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if name, ok := strings.CutPrefix(q.Model, agentPrefix); ok {
		h.agent(w, r, q, name, messages)
		return
	}
	if err := h.Models.Check(q.Model); err != nil {
		h.fail(w, r, noModel(q.Model, err))
		return
	}
	req, err := q.modelRequest(messages)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if q.Stream {
		h.streamModel(w, r, q, req)
		return
	}
	res, err := h.Models.Chat(r.Context(), req, nil)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, h.completion(q.Model, res.Message, res.Finish, res.Usage))
}

func newID() string { return "chatcmpl-" + strings.ReplaceAll(uuid.NewString(), "-", "") }

func (h *handler) completion(model string, m core.Message, finish core.FinishReason, u core.Usage) completion {
	msg := assistantMessage{Role: "assistant", ToolCalls: toolCalls(m.ToolCalls, false)}
	if m.Text != "" || len(m.ToolCalls) == 0 {
		msg.Content = &m.Text
	}
	if finish == "" {
		finish = core.FinishStop
	}
	return completion{
		ID: newID(), Object: "chat.completion", Created: h.Now().Unix(), Model: model,
		Choices: []choice{{Message: msg, FinishReason: finish}}, Usage: usageOf(u),
	}
}

func toolCalls(calls []core.ToolCall, indexed bool) []chatToolCall {
	var out []chatToolCall
	for i, c := range calls {
		t := chatToolCall{ID: c.ID, Type: "function", Function: chatFunction{Name: c.Name, Arguments: string(c.Arguments)}}
		if indexed {
			t.Index = &i
		}
		out = append(out, t)
	}
	return out
}

// streamModel streams a plain model's answer. The gateway calls back on its own goroutine; only this one writes.
func (h *handler) streamModel(w http.ResponseWriter, r *http.Request, q chatRequest, req core.ModelRequest) {
	ctx, cancel := context.WithCancel(r.Context())
	type result struct {
		res core.ModelResponse
		err error
	}
	deltas, results := make(chan core.Delta), make(chan result, 1)
	go func() {
		res, err := h.Models.Chat(ctx, req, func(d core.Delta) {
			select {
			case deltas <- d:
			case <-ctx.Done():
			}
		})
		results <- result{res, err}
	}()
	var end *result
	defer func() {
		cancel()
		if end == nil {
			<-results
		}
	}()
	out := h.newStream(w, q)
	text := &retryText{}
	tick := h.newTicker()
	defer tick.Stop()
	for end == nil {
		var err error
		select {
		case d := <-deltas:
			var piece string
			if piece, err = text.add(d); err == nil && piece != "" {
				err = out.text(piece)
			}
		case res := <-results:
			end = &res
		case <-tick.C:
			err = out.keepAlive()
		case <-ctx.Done():
			return
		}
		if err != nil {
			out.fail(r, h, err)
			return
		}
	}
	if end.err != nil {
		if out.started {
			out.fail(r, h, end.err)
		} else {
			h.fail(w, r, end.err)
		}
		return
	}
	// Providers that do not stream, and texts that only became certain at the end.
	piece, err := text.finish(end.res.Message.Text)
	if err == nil && piece != "" {
		err = out.text(piece)
	}
	if err == nil && len(end.res.Message.ToolCalls) > 0 {
		err = out.chunk(chunkDelta{ToolCalls: toolCalls(end.res.Message.ToolCalls, true)}, "")
	}
	if err != nil {
		out.fail(r, h, err)
		return
	}
	out.end(end.res.Finish, end.res.Usage)
}

// retryText follows an answer that may begin anew: a new attempt voids what an earlier one wrote, but what a client of
// this dialect has got cannot be taken back. A new attempt that repeats it goes on after it; another one is an error.
type retryText struct {
	attempt int
	sent    string // what the client has
	current string // what the running attempt wrote
}

func (t *retryText) add(d core.Delta) (string, error) {
	if d.Attempt > t.attempt {
		t.attempt, t.current = d.Attempt, ""
	}
	t.current += d.Text
	return t.pending()
}

func (t *retryText) finish(whole string) (string, error) {
	t.current = whole
	if len(t.current) < len(t.sent) {
		return "", errRestarted()
	}
	return t.pending()
}

func (t *retryText) pending() (string, error) {
	if len(t.current) <= len(t.sent) {
		if !strings.HasPrefix(t.sent, t.current) {
			return "", errRestarted()
		}
		return "", nil
	}
	piece, ok := strings.CutPrefix(t.current, t.sent)
	if !ok {
		return "", errRestarted()
	}
	t.sent = t.current
	return piece, nil
}

func errRestarted() error {
	return core.Errorf(core.CodeUnavailable, "the model failed in the middle of its answer and began anew with another one; send the request again")
}
