package bedrock

import (
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/anthropic"
)

// family is who made a model: Bedrock passes the settings that not all have on in the words of each.
type family string

// The families with words of their own.
const (
	claude  family = "anthropic."
	nova    family = "amazon.nova"
	gpt     family = "openai."
	mistral family = "mistral."
	cohere  family = "cohere."
	titan   family = "amazon.titan"
	other   family = ""
)

// familyOf reads names such as anthropic.claude-opus-4-6-v1:0, and those of inference profiles, which have a region before.
func familyOf(model string) family {
	for _, f := range []family{claude, nova, gpt, mistral, cohere, titan} {
		if strings.Contains(model, string(f)) {
			return f
		}
	}
	return other
}

// maker is whose signatures the models give and take. Claude's are the same whoever's servers it runs on.
func (f family) maker() core.Maker {
	if f == claude {
		return core.MakerAnthropic
	}
	return core.MakerBedrock
}

// further are the settings beyond those that all models take. Claude models' are Anthropic's.
func (f family) further(req core.ModelRequest) map[string]any {
	out := map[string]any{}
	if req.TopK != nil {
		switch f {
		case nova:
			out["inferenceConfig"] = map[string]any{"topK": *req.TopK}
		case mistral:
			out["top_k"] = *req.TopK
		case cohere:
			out["k"] = *req.TopK
		}
	}
	effort := effortOf(req)
	switch {
	case effort == "":
	case f == gpt && effort != "none": // they always think
		out["reasoning_effort"] = effort
	case f == nova && effort == "none":
		out["reasoningConfig"] = map[string]any{"type": "disabled"}
	case f == nova:
		out["reasoningConfig"] = map[string]any{"type": "enabled", "maxReasoningEffort": effort}
	}
	return out
}

// Tokens of thinking up to which an effort is asked for.
const (
	lowBudget    = 2048
	mediumBudget = 8192
)

// effortOf is the effort that a request asks for, "" for none: in words, or as tokens are worth.
func effortOf(req core.ModelRequest) string {
	switch {
	case req.Reasoning == "minimal":
		return "low"
	case req.Reasoning != "" || req.ReasoningMax <= 0:
		return req.Reasoning
	case req.ReasoningMax <= lowBudget:
		return "low"
	case req.ReasoningMax <= mediumBudget:
		return "medium"
	default:
		return "high"
	}
}

// way is how a model is told of its answer's schema.
type way int

const (
	native way = iota // structured output
	byTool            // a tool that it must call with the answer
	words             // the prompt
)

// structured is the way for a model; after AWS's lists of which models support structured output and choices of tools.
func (f family) structured(model string) way {
	switch f {
	case claude:
		if anthropic.SettingsOf(core.ModelRequest{Model: model}).Schemas {
			return native
		}
		return byTool
	case nova:
		return byTool
	case cohere, titan:
		return words
	case other:
		for _, old := range []string{"meta.", "ai21.", "deepseek.r1"} {
			if strings.Contains(model, old) {
				return words
			}
		}
	case mistral:
		for _, old := range []string{"mistral-7b", "mixtral", "mistral-large-24", "mistral-small-24", "pixtral"} {
			if strings.Contains(model, old) {
				return words
			}
		}
	}
	return native
}
