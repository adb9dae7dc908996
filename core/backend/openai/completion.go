package openai

import (
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
	Reasoning string         `json:"reasoning_content,omitempty"` // the name that DeepSeek, vLLM and llama.cpp use
	ToolCalls []chatToolCall `json:"tool_calls,omitempty"`
}

type usage struct {
	PromptTokens     int64             `json:"prompt_tokens"`
	CompletionTokens int64             `json:"completion_tokens"`
	TotalTokens      int64             `json:"total_tokens"`
	Prompt           *promptDetails    `json:"prompt_tokens_details,omitempty"`
	Completion       *completedDetails `json:"completion_tokens_details,omitempty"`
}

type promptDetails struct {
	CachedTokens int64 `json:"cached_tokens"`
}

type completedDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

func usageOf(u core.Usage) *usage {
	out := &usage{PromptTokens: u.InputTokens, CompletionTokens: u.OutputTokens, TotalTokens: u.Tokens()}
	if u.CachedTokens > 0 {
		out.Prompt = &promptDetails{u.CachedTokens}
	}
	if u.ReasoningTokens > 0 {
		out.Completion = &completedDetails{u.ReasoningTokens}
	}
	return out
}

func newID() string { return "chatcmpl-" + strings.ReplaceAll(uuid.NewString(), "-", "") }

func (h *handler) completion(model string, r core.ModelResponse) completion {
	m := r.Message
	msg := assistantMessage{Role: "assistant", ToolCalls: toolCalls(m.ToolCalls, false), Reasoning: reasoningOf(m)}
	if m.Text != "" || len(m.ToolCalls) == 0 {
		msg.Content = &m.Text
	}
	return completion{
		ID: newID(), Object: "chat.completion", Created: h.Now().Unix(), Model: model,
		Choices: []choice{{Message: msg, FinishReason: finishOf(r)}}, Usage: usageOf(r.Usage),
	}
}

func finishOf(r core.ModelResponse) core.FinishReason {
	if r.Finish == "" {
		return core.FinishStop
	}
	return r.Finish
}

func reasoningOf(m core.Message) string {
	var b strings.Builder
	for _, p := range m.Parts {
		if p.Kind == core.PartReasoning {
			b.WriteString(p.Text)
		}
	}
	return b.String()
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
