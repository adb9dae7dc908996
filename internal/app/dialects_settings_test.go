package app

// settingFeatures are what several dialects have a field for.
func settingFeatures() []feature {
	sampling := func(name, chat, responses, messages, value string) feature {
		say := func(field, value string) string {
			if field == "" {
				return ""
			}
			return `"` + field + `":` + value
		}
		at := func(field string) string {
			if field == "" {
				return ""
			}
			return field + " = " + value
		}
		return feature{
			name: "`" + name + "`",
			in:   asked(say(chat, value), say(responses, value), say(messages, value), `"options":{"`+name+`":`+value+`}`),
			out:  said(at(chat), at(responses), at(messages), at("options."+name)),
		}
	}
	hot := sampling("temperature", "temperature", "temperature", "temperature", "1.5")
	hot.name, hot.in[messagesAPI] = "`temperature` above 1", ""
	hot.out = also(hot.out, messagesAPI, probe{path: "temperature", value: "1", note: "It is lowered to 1, which is the dialect's bound."})
	topP := sampling("top_p", "top_p", "top_p", "top_p", "0.9")
	both := sampling("top_p", "top_p", "top_p", "top_p", "0.9")
	both.name, both.with = "`top_p` beside `temperature`", asked(`"temperature":0.5`, `"temperature":0.5`, `"temperature":0.5`, "")
	both.in[ollamaAPI] = ""
	return []feature{
		{
			name: "longest answer",
			in:   asked(`"max_completion_tokens":50`, `"max_output_tokens":50`, `"max_tokens":50`, `"options":{"num_predict":50}`),
			out: also(said(`max_tokens = 50`, `max_output_tokens = 50`, `max_tokens = 50`, `options.num_predict = 50`),
				chatAPI, probe{path: "max_completion_tokens", value: "50"}),
		},
		sampling("temperature", "temperature", "temperature", "temperature", "0.5"), hot, topP, both,
		sampling("top_k", "top_k", "", "top_k", "20"),
		sampling("presence_penalty", "presence_penalty", "presence_penalty", "", "0.5"),
		sampling("frequency_penalty", "frequency_penalty", "frequency_penalty", "", "0.25"),
		sampling("seed", "seed", "", "", "7"),
		{
			name: "stop sequences", in: asked(`"stop":["END"]`, "", `"stop_sequences":["END"]`, `"options":{"stop":["END"]}`),
			out: said(`stop = ["END"]`, "", `stop_sequences = ["END"]`, `options.stop = ["END"]`),
		},
		{
			name: "effort of thinking",
			in:   asked(`"reasoning_effort":"low"`, `"reasoning":{"effort":"low"}`, `"output_config":{"effort":"low"}`, `"think":"low"`),
			with: asked(`"max_completion_tokens":4000`, `"max_output_tokens":4000`, `"max_tokens":4000`, `"options":{"num_predict":4000}`),
			out: also(said(`reasoning_effort = "low"`, `reasoning.effort = "low"`, `output_config.effort = "low"`, `think = "low"`),
				messagesAPI, probe{path: "thinking.budget_tokens", value: "2048", note: "Models before Claude 4.6 are given a number of tokens: 1,024, 2,048, 8,192 or 24,576, less where the answer may not be so long."}),
		},
		{
			name:    "no thinking",
			in:      asked(`"reasoning_effort":"none"`, `"reasoning":{"effort":"none"}`, `"thinking":{"type":"disabled"}`, `"think":false`),
			out:     said(`reasoning_effort = "none"`, `reasoning.effort = "none"`, `thinking.type = "disabled"`, `think = false`),
			implied: map[string]string{"`anthropic`": "Nothing is sent: these models think only when asked to."},
		},
		{
			name: "tokens to think with", in: asked("", "", `"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2048}`, ""),
			out: map[string][]probe{
				chatAPI:      {{path: "reasoning_effort", value: `"low"`, note: "It becomes an effort: low up to 2,048 tokens, medium up to 8,192, else high."}},
				responsesAPI: {{path: "reasoning.effort", value: `"low"`, note: "It becomes an effort: low up to 2,048 tokens, medium up to 8,192, else high."}},
				messagesAPI:  {{path: "thinking.budget_tokens", value: "2048"}},
				ollamaAPI:    {{path: "think", value: `"low"`, note: "It becomes an effort: low up to 2,048 tokens, medium up to 8,192, else high."}},
			},
		},
		{
			name: "end user's id",
			in:   asked(`"user":"u1"`, `"user":"u1"`, `"metadata":{"user_id":"u1"}`, ""),
			out:  said(`user = "u1"`, `user = "u1"`, `metadata.user_id = "u1"`, ""),
		},
	}
}

// ownFeatures are what one dialect alone has, or what only a provider's own servers can do.
func ownFeatures() []feature {
	own := func(name string, api, in, path, value string) feature {
		return feature{name: name, in: map[string]string{api: in}, out: map[string][]probe{api: {{path: path, value: value}}}}
	}
	return []feature{
		{
			name: "`metadata`", in: asked(`"metadata":{"k":"v"}`, `"metadata":{"k":"v"}`, "", ""),
			out: said(`metadata.k = "v"`, `metadata.k = "v"`, "", ""),
		},
		{
			name: "`verbosity`", in: asked(`"verbosity":"low"`, `"text":{"verbosity":"low"}`, "", ""),
			out: said(`verbosity = "low"`, `text.verbosity = "low"`, "", ""),
		},
		{
			name: "`service_tier`", in: asked(`"service_tier":"flex"`, `"service_tier":"flex"`, `"service_tier":"standard_only"`, ""),
			out: said(`service_tier = "flex"`, `service_tier = "flex"`, `service_tier = "standard_only"`, ""),
		},
		{
			name: "`logprobs`", in: asked(`"logprobs":true`, "", "", `"logprobs":true`),
			out: said(`logprobs = true`, "", "", `logprobs = true`),
		},
		own("`logit_bias`", chatAPI, `"logit_bias":{"50256":-100}`, "logit_bias", `{"50256":-100}`),
		own("`n` above 1", chatAPI, `"n":2`, "n", "2"),
		own("`prediction`", chatAPI, `"prediction":{"type":"content","content":"x"}`, "prediction.content", `"x"`),
		own("`truncation`", responsesAPI, `"truncation":"auto"`, "truncation", `"auto"`),
		own("tools that run at the provider", responsesAPI, `"tools":[{"type":"web_search"}]`, "tools.*.type", `"web_search"`),
		own("tools that run at the provider", messagesAPI, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`, "tools.*.type", `"web_search_20250305"`),
		own("`mcp_servers`", messagesAPI, `"mcp_servers":[{"type":"url","name":"a","url":"https://example.com"}]`, "mcp_servers.*.name", `"a"`),
		own("`cache_control`", messagesAPI, `"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}]`, "system.*.cache_control.type", `"ephemeral"`),
		own("options of the engine", ollamaAPI, `"options":{"num_ctx":8192}`, "options.num_ctx", "8192"),
		own("`keep_alive`", ollamaAPI, `"keep_alive":"5m"`, "keep_alive", `"5m"`),
		{
			name: "a field that SutazAI does not know",
			in:   asked(`"x_new":1`, `"x_new":1`, `"x_new":1`, `"x_new":1`), out: said(`x_new = 1`, `x_new = 1`, `x_new = 1`, `x_new = 1`),
		},
	}
}
