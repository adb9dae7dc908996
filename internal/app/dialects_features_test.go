package app

import "strings"

// features are what requests may say, in the order of the tables.
func features() []feature {
	var out []feature
	for _, list := range [][]feature{contentFeatures(), historyFeatures(), toolFeatures(), formFeatures(), settingFeatures(), ownFeatures()} {
		out = append(out, list...)
	}
	return out
}

// said is one probe for each dialect: where it says something, and how.
func said(chat, responses, messages, ollama string) map[string][]probe {
	out := map[string][]probe{}
	for api, s := range map[string]string{chatAPI: chat, responsesAPI: responses, messagesAPI: messages, ollamaAPI: ollama} {
		if path, value, ok := strings.Cut(s, " = "); ok {
			out[api] = []probe{{path: path, value: value}}
		}
	}
	return out
}

// also adds a further form to those of a dialect.
func also(m map[string][]probe, api string, p probe) map[string][]probe {
	m[api] = append(m[api], p)
	return m
}

// asked is what a client says in each dialect. "" = the dialect has no words for it.
func asked(chat, responses, messages, ollama string) map[string]string {
	return map[string]string{chatAPI: chat, responsesAPI: responses, messagesAPI: messages, ollamaAPI: ollama}
}

// userPart is a user's message of which one part is given.
func userPart(chat, responses, messages string) map[string]string {
	wrap := func(field, part string) string {
		if part == "" {
			return ""
		}
		return `"` + field + `":[{"role":"user","content":[` + part + `]}]`
	}
	return asked(wrap("messages", chat), wrap("input", responses), wrap("messages", messages), "")
}

func contentFeatures() []feature {
	const (
		png  = "iVBORw0KGgo="
		pdf  = "JVBERi0xLjQ="
		sale = "c2FsZXM=" // sales
	)
	image := userPart(`{"type":"image_url","image_url":{"url":"data:image/png;base64,`+png+`","detail":"low"}}`,
		`{"type":"input_image","image_url":"data:image/png;base64,`+png+`","detail":"low"}`,
		`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"`+png+`"}}`)
	image[ollamaAPI] = `"messages":[{"role":"user","content":"Hi","images":["` + png + `"]}]`
	detail := asked(image[chatAPI], image[responsesAPI], "", "")
	document := userPart(`{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,`+pdf+`"}}`,
		`{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,`+pdf+`"}`,
		`{"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"`+pdf+`"}}`)
	return []feature{
		{
			name: "system prompt",
			in: asked(`"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]`, `"instructions":"Be brief."`,
				`"system":"Be brief."`, `"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]`),
			out: said(`messages.0.content = "Be brief."`, `instructions = "Be brief."`, `system = "Be brief."`, `messages.0.content = "Be brief."`),
		},
		{
			name: "system message between others",
			in: asked(`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."},{"role":"user","content":"Go"}]`,
				`"input":[{"role":"user","content":"Hi"},{"role":"developer","content":"Be brief."},{"role":"user","content":"Go"}]`,
				`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."},{"role":"user","content":"Go"}]`,
				`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."},{"role":"user","content":"Go"}]`),
			out: also(said(`messages.1.content = "Be brief."`, `input.1.content = "Be brief."`, `messages.1.content = "Be brief."`, `messages.1.content = "Be brief."`),
				messagesAPI, probe{path: "system", value: `"Be brief."`, note: "It moves to the system prompt, before the conversation."}),
		},
		{
			name: "image",
			in:   image,
			out: said(`messages.*.content.*.image_url.url = "data:image/png;base64,`+png+`"`, `input.*.content.*.image_url = "data:image/png;base64,`+png+`"`,
				`messages.*.content.*.source.data = "`+png+`"`, `messages.*.images.* = "`+png+`"`),
		},
		{
			name: "image by its address",
			in: userPart(`{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`, `{"type":"input_image","image_url":"https://example.com/a.png"}`,
				`{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}`),
			out: said(`messages.*.content.*.image_url.url = "https://example.com/a.png"`, `input.*.content.*.image_url = "https://example.com/a.png"`,
				`messages.*.content.*.source.url = "https://example.com/a.png"`, ""),
		},
		{
			name: "detail of an image", in: detail,
			out: said(`messages.*.content.*.image_url.detail = "low"`, `input.*.content.*.detail = "low"`, "", ""),
		},
		{
			name: "PDF", in: document,
			out: said(`messages.*.content.*.file.file_data = "data:application/pdf;base64,`+pdf+`"`, `input.*.content.*.file_data = "data:application/pdf;base64,`+pdf+`"`,
				`messages.*.content.*.source.data = "`+pdf+`"`, ""),
		},
		{
			name: "name of a file", in: document,
			out: said(`messages.*.content.*.file.filename = "a.pdf"`, `input.*.content.*.filename = "a.pdf"`, `messages.*.content.*.title = "a.pdf"`, ""),
		},
		{
			name: "text file",
			in: userPart(`{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,`+sale+`"}}`,
				`{"type":"input_file","filename":"a.txt","file_data":"data:text/plain;base64,`+sale+`"}`,
				`{"type":"document","title":"a.txt","source":{"type":"text","media_type":"text/plain","data":"sales"}}`),
			out: also(said(`messages.*.content.*.file.file_data = "data:text/plain;base64,`+sale+`"`, `input.*.content.*.file_data = "data:text/plain;base64,`+sale+`"`,
				`messages.*.content.*.source.data = "sales"`, ""),
				ollamaAPI, probe{path: "messages.*.content", value: `"a.txt\nsales"`, note: "Its name and content become text of the message."}),
		},
		{
			name: "audio", in: userPart(`{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}`, "", ""),
			out: said(`messages.*.content.*.input_audio.data = "UklGRg=="`, "", "", ""),
		},
	}
}

func historyFeatures() []feature {
	const (
		chatCall      = `{"role":"user","content":"?"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"q\":1}"}}]}`
		responsesCall = `{"role":"user","content":"?"},{"type":"function_call","call_id":"c1","name":"look","arguments":"{\"q\":1}"}`
		messagesCall  = `{"role":"user","content":"?"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"look","input":{"q":1}}]}`
		ollamaCall    = `{"role":"user","content":"?"},{"role":"assistant","content":"","tool_calls":[{"id":"c1","function":{"name":"look","arguments":{"q":1}}}]}`
	)
	called := asked(`"messages":[`+chatCall+`,{"role":"tool","tool_call_id":"c1","content":"found"}]`,
		`"input":[`+responsesCall+`,{"type":"function_call_output","call_id":"c1","output":"found"}]`,
		`"messages":[`+messagesCall+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"found"}]}]`,
		`"messages":[`+ollamaCall+`,{"role":"tool","tool_call_id":"c1","content":"found"}]`)
	thought := asked(`"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"So.","reasoning_content":"hm"},{"role":"user","content":"And?"}]`,
		`"input":[{"role":"user","content":"?"},{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"c2ln"},{"role":"assistant","content":"So."},{"role":"user","content":"And?"}]`,
		`"messages":[{"role":"user","content":"?"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"So."}]},{"role":"user","content":"And?"}]`,
		`"messages":[{"role":"user","content":"?"},{"role":"assistant","content":"So.","thinking":"hm"},{"role":"user","content":"And?"}]`)
	return []feature{
		{
			name: "earlier call of a tool", in: called,
			out: said(`messages.*.tool_calls.*.function.arguments = "{\"q\":1}"`, `input.*.arguments = "{\"q\":1}"`, `messages.*.content.*.input = {"q":1}`,
				`messages.*.tool_calls.*.function.arguments = {"q":1}`),
		},
		{
			name: "its result", in: called,
			out: said(`messages.2.content = "found"`, `input.2.output = "found"`, `messages.2.content.*.content = "found"`, `messages.2.content = "found"`),
		},
		{
			name: "its failure",
			in:   asked("", "", `"messages":[`+messagesCall+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","is_error":true,"content":"found"}]}]`, ""),
			out:  said("", "", `messages.*.content.*.is_error = true`, ""),
		},
		{
			name: "image as a result",
			in: asked("", `"input":[`+responsesCall+`,{"type":"function_call_output","call_id":"c1","output":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]`,
				`"messages":[`+messagesCall+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}]`, ""),
			out: said(`messages.2.content.*.image_url.url = "data:image/png;base64,iVBORw0KGgo="`, `input.2.output.*.image_url = "data:image/png;base64,iVBORw0KGgo="`,
				`messages.2.content.*.content.*.source.data = "iVBORw0KGgo="`, `messages.2.images.* = "iVBORw0KGgo="`),
		},
		{
			name: "what the model thought earlier", in: thought,
			out: said(`messages.*.reasoning_content = "hm"`, `input.*.summary.*.text = "hm"`, `messages.*.content.*.thinking = "hm"`, `messages.*.thinking = "hm"`),
		},
		{
			name: "the signature of that", in: asked("", thought[responsesAPI], thought[messagesAPI], ""),
			out: said("", `input.*.encrypted_content = "c2ln"`, `messages.*.content.*.signature = "c2ln"`, ""),
		},
	}
}

func toolFeatures() []feature {
	const schema = `{"type":"object","properties":{"q":{"type":"string"}}}`
	tools := func(strict string) map[string]string {
		return asked(`"tools":[{"type":"function","function":{"name":"look","description":"looks"`+strict+`,"parameters":`+schema+`}},{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}]`,
			`"tools":[{"type":"function","name":"look","description":"looks"`+strict+`,"parameters":`+schema+`},{"type":"function","name":"now","parameters":{"type":"object","properties":{}}}]`,
			`"tools":[{"name":"look","description":"looks"`+strict+`,"input_schema":`+schema+`},{"name":"now","input_schema":{"type":"object","properties":{}}}]`,
			`"tools":[{"type":"function","function":{"name":"look","description":"looks","parameters":`+schema+`}},{"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}]`)
	}
	strict := tools(`,"strict":true`)
	strict[ollamaAPI] = ""
	return []feature{
		{
			name: "tools", in: tools(""),
			out: said(`tools.0.function.parameters = `+schema, `tools.0.parameters = `+schema, `tools.0.input_schema = `+schema, `tools.0.function.parameters = `+schema),
		},
		{
			name: "`strict` of a tool", in: strict, with: tools(""),
			out: said(`tools.0.function.strict = true`, `tools.0.strict = true`, `tools.0.strict = true`, ""),
		},
		{
			name: "no tool may be called", with: tools(""),
			in: asked(`"tool_choice":"none"`, `"tool_choice":"none"`, `"tool_choice":{"type":"none"}`, ""),
			out: also(said(`tool_choice = "none"`, `tool_choice = "none"`, `tool_choice.type = "none"`, ""),
				ollamaAPI, probe{path: "tools.*.type", value: `"function"`, gone: true, note: "The tools are left out."}),
		},
		{
			name: "some tool must be called", with: tools(""),
			in:  asked(`"tool_choice":"required"`, `"tool_choice":"required"`, `"tool_choice":{"type":"any"}`, ""),
			out: said(`tool_choice = "required"`, `tool_choice = "required"`, `tool_choice.type = "any"`, ""),
		},
		{
			name: "one tool must be called", with: tools(""),
			in: asked(`"tool_choice":{"type":"function","function":{"name":"look"}}`, `"tool_choice":{"type":"function","name":"look"}`, `"tool_choice":{"type":"tool","name":"look"}`, ""),
			out: also(said(`tool_choice.function.name = "look"`, `tool_choice.name = "look"`, `tool_choice.name = "look"`, ""),
				ollamaAPI, probe{path: "tools.*.function.name", value: `"now"`, gone: true, note: "The other tools are left out; that the model calls this one is not certain."}),
		},
		{
			name: "at most one call", with: tools(""),
			in:  asked(`"parallel_tool_calls":false`, `"parallel_tool_calls":false`, `"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, ""),
			out: said(`parallel_tool_calls = false`, `parallel_tool_calls = false`, `tool_choice.disable_parallel_tool_use = true`, ""),
			answered: func(body string) string {
				if strings.Contains(body, firstCall) && !strings.Contains(body, secondCall) {
					return "The model is not told; further calls are taken out of its answer."
				}
				return ""
			},
		},
	}
}

func formFeatures() []feature {
	const (
		closed  = `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`
		bounded = `{"type":"object","properties":{"a":{"type":"integer","minimum":1}},"required":["a"],"additionalProperties":false}`
		words   = `"Answer with one JSON object and nothing else: no text around it, no code fence."`
	)
	form := func(schema string) map[string]string {
		return asked(`"response_format":{"type":"json_schema","json_schema":{"name":"reply","strict":true,"schema":`+schema+`}}`,
			`"text":{"format":{"type":"json_schema","name":"reply","strict":true,"schema":`+schema+`}}`,
			`"output_config":{"format":{"type":"json_schema","schema":`+schema+`}}`, `"format":`+schema)
	}
	named := form(closed)
	named[messagesAPI], named[ollamaAPI] = "", ""
	return []feature{
		{
			name: "JSON that follows a schema", in: form(closed),
			out: said(`response_format.json_schema.schema = `+closed, `text.format.schema = `+closed, `output_config.format.schema = `+closed, `format = `+closed),
		},
		{
			name: "a bound in that schema", in: form(bounded),
			out: also(said(`response_format.json_schema.schema.properties.a.minimum = 1`, `text.format.schema.properties.a.minimum = 1`,
				`output_config.format.schema.properties.a.minimum = 1`, `format.properties.a.minimum = 1`),
				messagesAPI, probe{path: "output_config.format.schema.properties.a.description", value: `"{minimum: 1}"`, note: "Structured output of this dialect takes no such bound; it moves into the description, where the model reads it."}),
		},
		{name: "name of the schema", in: named, out: said(`response_format.json_schema.name = "reply"`, `text.format.name = "reply"`, "", "")},
		{
			name: "JSON without a schema",
			in:   asked(`"response_format":{"type":"json_object"}`, `"text":{"format":{"type":"json_object"}}`, "", `"format":"json"`),
			out: also(said(`response_format.type = "json_object"`, `text.format.type = "json_object"`, "", `format = "json"`),
				messagesAPI, probe{path: "system", value: words, note: "The model is asked in words, at the end of the system prompt."}),
		},
	}
}
