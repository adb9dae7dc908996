package app

// sampling is a setting with the same value in every dialect. The names are those of its fields; "" = there is none.
func sampling(name, chat, responses, messages, gemini, bedrock, value string) feature {
	say := func(field string) string {
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
	lost := map[string]string{"": noField}
	if messages != "" {
		lost["`anthropic`, Claude 4.7"] = "Claude 4.7 and later refuse settings of sampling."
	}
	return feature{
		name: "`" + name + "`",
		in:   asked(say(chat), say(responses), say(messages), `"options":{"`+name+`":`+value+`}`),
		out:  said(at(chat), at(responses), at(messages), at("options."+name)).at(geminiAPI, at(gemini)).at(bedrockAPI, at(bedrock)),
		lost: lost,
	}
}

// settingFeatures are what several dialects have a field for.
func settingFeatures() []feature {
	const (
		lowered   = "It is lowered to 1, which is the provider's bound."
		budget    = "Models before Claude 4.6 are given a number of tokens: 1,024, 2,048, 8,192 or 24,576, less where the answer may not be so long."
		effort    = "It becomes an effort: low up to 2,048 tokens, medium up to 8,192, else high."
		neverTold = "Nothing is sent: these models think only when asked to."

		temperature, topP = "generationConfig.temperature", "generationConfig.topP"
	)
	hot := sampling("temperature", "temperature", "temperature", "temperature", temperature, "inferenceConfig.temperature", "1.5")
	hot.name, hot.in[messagesAPI] = "`temperature` above 1", ""
	hot.out.changed(messagesAPI, `temperature = 1`, lowered).changed(bedrockAPI, `inferenceConfig.temperature = 1`, lowered)
	both := sampling("top_p", "top_p", "top_p", "top_p", topP, "inferenceConfig.topP", "0.9")
	both.name, both.with = "`top_p` beside `temperature`", asked(`"temperature":0.5`, `"temperature":0.5`, `"temperature":0.5`, "")
	both.in[ollamaAPI] = ""
	for _, title := range []string{"`anthropic`", "`bedrock`, Claude"} {
		both.lost[title] = "Claude models since 4.1 take only one of the two."
	}
	topK := sampling("top_k", "top_k", "", "top_k", "generationConfig.topK", "additionalModelRequestFields.top_k", "20")
	topK.lost["`azure`"] = "The provider refuses it, as OpenAI's own servers do."
	topK.out.at(bedrockAPI, `additionalModelRequestFields.inferenceConfig.topK = 20`)
	return []feature{
		{
			name: "longest answer",
			in:   asked(`"max_completion_tokens":50`, `"max_output_tokens":50`, `"max_tokens":50`, `"options":{"num_predict":50}`),
			out: said(`max_tokens = 50`, `max_output_tokens = 50`, `max_tokens = 50`, `options.num_predict = 50`).at(chatAPI, `max_completion_tokens = 50`).
				at(geminiAPI, `generationConfig.maxOutputTokens = 50`).at(bedrockAPI, `inferenceConfig.maxTokens = 50`),
		},
		sampling("temperature", "temperature", "temperature", "temperature", temperature, "inferenceConfig.temperature", "0.5"), hot,
		sampling("top_p", "top_p", "top_p", "top_p", topP, "inferenceConfig.topP", "0.9"), both, topK,
		sampling("presence_penalty", "presence_penalty", "presence_penalty", "", "generationConfig.presencePenalty", "", "0.5"),
		sampling("frequency_penalty", "frequency_penalty", "frequency_penalty", "", "generationConfig.frequencyPenalty", "", "0.25"),
		sampling("seed", "seed", "", "", "generationConfig.seed", "", "7"),
		{
			name: "stop sequences", in: asked(`"stop":["END"]`, "", `"stop_sequences":["END"]`, `"options":{"stop":["END"]}`),
			out: said(`stop = ["END"]`, "", `stop_sequences = ["END"]`, `options.stop = ["END"]`).
				at(geminiAPI, `generationConfig.stopSequences = ["END"]`).at(bedrockAPI, `inferenceConfig.stopSequences = ["END"]`),
			lost: map[string]string{responsesAPI: noField},
		},
		{
			name: "effort of thinking",
			in:   asked(`"reasoning_effort":"low"`, `"reasoning":{"effort":"low"}`, `"output_config":{"effort":"low"}`, `"think":"low"`),
			with: asked(`"max_completion_tokens":4000`, `"max_output_tokens":4000`, `"max_tokens":4000`, `"options":{"num_predict":4000}`),
			out: said(`reasoning_effort = "low"`, `reasoning.effort = "low"`, `output_config.effort = "low"`, `think = "low"`).
				changed(messagesAPI, `thinking.budget_tokens = 2048`, budget).at(geminiAPI, `generationConfig.thinkingConfig.thinkingLevel = "low"`).
				changed(bedrockAPI, `additionalModelRequestFields.thinking.budget_tokens = 2048`, budget).
				at(bedrockAPI, `additionalModelRequestFields.reasoningConfig.maxReasoningEffort = "low"`),
		},
		{
			name: "no thinking",
			in:   asked(`"reasoning_effort":"none"`, `"reasoning":{"effort":"none"}`, `"thinking":{"type":"disabled"}`, `"think":false`),
			out: said(`reasoning_effort = "none"`, `reasoning.effort = "none"`, `thinking.type = "disabled"`, `think = false`).
				changed(geminiAPI, `generationConfig.thinkingConfig.thinkingLevel = "minimal"`, "Gemini 3 always thinks: it is asked for the least, which for Pro models is low.").
				at(bedrockAPI, `additionalModelRequestFields.reasoningConfig.type = "disabled"`),
			implied: map[string]string{"`anthropic`": neverTold, "`bedrock`, Claude": neverTold},
		},
		{
			name: "tokens to think with", in: asked("", "", `"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2048}`, ""),
			out: places{}.changed(chatAPI, `reasoning_effort = "low"`, effort).changed(responsesAPI, `reasoning.effort = "low"`, effort).
				at(messagesAPI, `thinking.budget_tokens = 2048`).changed(ollamaAPI, `think = "low"`, effort).
				changed(geminiAPI, `generationConfig.thinkingConfig.thinkingLevel = "low"`, effort).at(bedrockAPI, `additionalModelRequestFields.thinking.budget_tokens = 2048`).
				changed(bedrockAPI, `additionalModelRequestFields.reasoningConfig.maxReasoningEffort = "low"`, effort),
		},
		{
			name: "end user's id",
			in:   asked(`"user":"u1"`, `"user":"u1"`, `"metadata":{"user_id":"u1"}`, ""),
			out:  said(`user = "u1"`, `user = "u1"`, `metadata.user_id = "u1"`, ""),
			lost: map[string]string{"": noField},
		},
	}
}

// ownFeatures are what one dialect alone has, or what only a provider's own servers can do.
func ownFeatures() []feature {
	own := func(name string, api, in, place, lost string) feature {
		return feature{name: name, in: map[string]string{api: in}, out: places{}.at(api, place), lost: map[string]string{"": lost}}
	}
	return []feature{
		{
			name: "`metadata`", in: asked(`"metadata":{"k":"v"}`, `"metadata":{"k":"v"}`, "", ""),
			out: said(`metadata.k = "v"`, `metadata.k = "v"`, "", "").at(bedrockAPI, `requestMetadata.k = "v"`),
			lost: map[string]string{
				chatAPI: "Servers of this dialect take it only together with the wish to keep the answer (`store`).", messagesAPI: "The provider takes an end user's id and nothing else.",
				"`local`": noField, "": noField,
			},
		},
		{
			name: "`verbosity`", in: asked(`"verbosity":"low"`, `"text":{"verbosity":"low"}`, "", ""),
			out:  said(`verbosity = "low"`, `text.verbosity = "low"`, "", ""),
			lost: map[string]string{"": noField},
		},
		{
			name: "`service_tier`", in: asked(`"service_tier":"flex"`, `"service_tier":"flex"`, `"service_tier":"standard_only"`, ""),
			out: said(`service_tier = "flex"`, `service_tier = "flex"`, `service_tier = "standard_only"`, "").at(geminiAPI, `serviceTier = "flex"`).
				at(chatAPI, `service_tier = "default"`).at(responsesAPI, `service_tier = "default"`).at(geminiAPI, `serviceTier = "standard"`),
			lost: map[string]string{messagesAPI: "The provider knows only auto and default, which it calls standard_only.", bedrockAPI: "Most of the provider's models refuse it.", "": noField},
		},
		{
			name: "`logprobs`", in: asked(`"logprobs":true`, "", "", `"logprobs":true`),
			out:  said(`logprobs = true`, "", "", `logprobs = true`),
			lost: map[string]string{"": "Translated answers have none."},
		},
		own("`logit_bias`", chatAPI, `"logit_bias":{"50256":-100}`, `logit_bias = {"50256":-100}`, "Numbers of tokens mean something to one model only."),
		own("`n` above 1", chatAPI, `"n":2`, "n = 2", ""),
		own("`prediction`", chatAPI, `"prediction":{"type":"content","content":"x"}`, `prediction.content = "x"`, noField),
		own("`truncation`", responsesAPI, `"truncation":"auto"`, `truncation = "auto"`, noField),
		own("tools that run at the provider", responsesAPI, `"tools":[{"type":"web_search"}]`, `tools.*.type = "web_search"`, ""),
		own("tools that run at the provider", messagesAPI, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`, `tools.*.type = "web_search_20250305"`, ""),
		own("`mcp_servers`", messagesAPI, `"mcp_servers":[{"type":"url","name":"a","url":"https://example.com"}]`, `mcp_servers.*.name = "a"`, ""),
		own("`cache_control`", messagesAPI, `"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}]`, `system.*.cache_control.type = "ephemeral"`,
			"It is a hint to Anthropic's own prompt cache."),
		own("options of the engine", ollamaAPI, `"options":{"num_ctx":8192}`, "options.num_ctx = 8192", "They are of Ollama's engine alone."),
		own("`keep_alive`", ollamaAPI, `"keep_alive":"5m"`, `keep_alive = "5m"`, noField),
		{
			name: "a field that SutazAI does not know",
			in:   asked(`"x_new":1`, `"x_new":1`, `"x_new":1`, `"x_new":1`), out: said(`x_new = 1`, `x_new = 1`, `x_new = 1`, `x_new = 1`),
			lost: map[string]string{"": "Nobody here knows what it means."},
		},
	}
}
