package openaicompat

import (
	"net/url"
	"slices"
	"strings"
)

// Quirks are the habits of a server that differ from OpenAI's.
type Quirks struct {
	Name      string
	hosts     []string // ends of the host's name by which it is known
	maxTokens string   // the field that bounds the answer; "" = max_tokens
	seed      string   // "" = seed
	required  string   // tool_choice that demands a call; "" = required
	noUsage   bool     // refuses stream_options; it tells the usage by itself
	noSchema  bool     // knows response_format json_object, but no schema
	drop      []string // fields of OpenAI that it refuses
	newest    bool     // knows strict, verbosity and service_tier, with OpenAI's rules of which schemas strict takes
}

// quirks is the table, after the servers' published references. What is not in a row is as at OpenAI.
func quirks() []Quirks {
	return []Quirks{
		{Name: "openai", hosts: []string{"api.openai.com"}, maxTokens: "max_completion_tokens", newest: true, drop: []string{"top_k"}},
		{
			Name: "azure", hosts: []string{"openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"}, maxTokens: "max_completion_tokens",
			newest: true, drop: []string{"top_k"},
		},
		{Name: "azure-2024", noUsage: true, noSchema: true, drop: []string{"parallel_tool_calls", "reasoning_effort", "top_k"}}, // API versions before 2024-09
		{Name: "vllm"},
		{Name: "llamacpp"},
		{Name: "lmstudio"},
		{Name: "groq", hosts: []string{"groq.com"}, maxTokens: "max_completion_tokens", drop: []string{"logprobs", "top_logprobs", "logit_bias", "top_k"}},
		{
			Name: "mistral", hosts: []string{"mistral.ai"}, seed: "random_seed", required: "any", noUsage: true,
			drop: []string{"user", "logprobs", "top_logprobs", "logit_bias", "store", "metadata", "reasoning_effort", "service_tier", "top_k"},
		},
		{Name: "deepseek", hosts: []string{"deepseek.com"}, noSchema: true},
		{Name: "openrouter", hosts: []string{"openrouter.ai"}, newest: true},
		{Name: "together", hosts: []string{"together.xyz", "together.ai"}},
		{Name: "fireworks", hosts: []string{"fireworks.ai"}},
		{Name: "xai", hosts: []string{"x.ai"}, drop: []string{"logit_bias"}},
		{Name: "perplexity", hosts: []string{"perplexity.ai"}, drop: []string{"seed", "logit_bias", "parallel_tool_calls"}},
		{Name: "cerebras", hosts: []string{"cerebras.ai"}, maxTokens: "max_completion_tokens", drop: []string{"frequency_penalty", "presence_penalty", "logit_bias"}},
	}
}

// QuirksOf returns the row with a name; "" or "auto" looks at the address. ok is false for a name that is not in the table.
func QuirksOf(name, baseURL string) (q Quirks, ok bool) {
	table := quirks()
	if name != "" && name != "auto" {
		i := slices.IndexFunc(table, func(q Quirks) bool { return q.Name == name })
		if i < 0 {
			return Quirks{}, false
		}
		return table[i], true
	}
	if u, err := url.Parse(baseURL); err == nil {
		for _, row := range table {
			for _, h := range row.hosts {
				if host := u.Hostname(); host == h || strings.HasSuffix(host, "."+h) {
					return row, true
				}
			}
		}
	}
	return Quirks{Name: "auto", newest: true}, true
}

func (q Quirks) maxTokensField() string { return orElse(q.maxTokens, "max_tokens") }
