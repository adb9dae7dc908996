package app

import (
	"strconv"
	"strings"
)

// features are what requests may say, in the order of the tables.
func features() []feature {
	var out []feature
	for _, list := range [][]feature{contentFeatures(), historyFeatures(), toolFeatures(), formFeatures(), settingFeatures(), ownFeatures()} {
		out = append(out, list...)
	}
	return out
}

// said is one place for each dialect that clients speak; "" = there is none.
func said(chat, responses, messages, ollama string) places {
	return places{}.at(chatAPI, chat).at(responsesAPI, responses).at(messagesAPI, messages).at(ollamaAPI, ollama)
}

// Why something is lost, where it is so for many.
const (
	noField   = "The provider has no field for it."
	ownSigned = "A model takes back only what models of its own maker have thought and signed."
)

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

		moves = "It moves to the system prompt, before the conversation."
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
			out: said(`messages.0.content = "Be brief."`, `instructions = "Be brief."`, `system = "Be brief."`, `messages.0.content = "Be brief."`).
				at(geminiAPI, `systemInstruction.parts.*.text = "Be brief."`).at(bedrockAPI, `system.*.text = "Be brief."`),
		},
		{
			name: "system message between others",
			in: asked(`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."},{"role":"user","content":"Go"}]`,
				`"input":[{"role":"user","content":"Hi"},{"role":"developer","content":"Be brief."},{"role":"user","content":"Go"}]`,
				`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."},{"role":"user","content":"Go"}]`,
				`"messages":[{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."},{"role":"user","content":"Go"}]`),
			out: said(`messages.1.content = "Be brief."`, `input.1.content = "Be brief."`, `messages.1.content = "Be brief."`, `messages.1.content = "Be brief."`).
				changed(messagesAPI, `system = "Be brief."`, moves).changed(geminiAPI, `systemInstruction.parts.*.text = "Be brief."`, moves).
				changed(bedrockAPI, `system.*.text = "Be brief."`, moves),
		},
		{
			name: "image",
			in:   image,
			out: said(`messages.*.content.*.image_url.url = "data:image/png;base64,`+png+`"`, `input.*.content.*.image_url = "data:image/png;base64,`+png+`"`,
				`messages.*.content.*.source.data = "`+png+`"`, `messages.*.images.* = "`+png+`"`).
				at(geminiAPI, `contents.*.parts.*.inlineData.data = "`+png+`"`).at(bedrockAPI, `messages.*.content.*.image.source.bytes = "`+png+`"`),
		},
		{
			name: "image by its address",
			in: userPart(`{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}`, `{"type":"input_image","image_url":"https://example.com/a.png"}`,
				`{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}`),
			out: said(`messages.*.content.*.image_url.url = "https://example.com/a.png"`, `input.*.content.*.image_url = "https://example.com/a.png"`,
				`messages.*.content.*.source.url = "https://example.com/a.png"`, "").
				at(geminiAPI, `contents.*.parts.*.fileData.fileUri = "https://example.com/a.png"`),
		},
		{
			name: "detail of an image", in: detail,
			out: said(`messages.*.content.*.image_url.detail = "low"`, `input.*.content.*.detail = "low"`, "", "").
				changed(geminiAPI, `generationConfig.mediaResolution = "MEDIA_RESOLUTION_LOW"`, "It holds for all images of the request: low where each wants it, high where one does."),
			lost: map[string]string{"": noField},
		},
		{
			name: "PDF", in: document,
			out: said(`messages.*.content.*.file.file_data = "data:application/pdf;base64,`+pdf+`"`, `input.*.content.*.file_data = "data:application/pdf;base64,`+pdf+`"`,
				`messages.*.content.*.source.data = "`+pdf+`"`, "").
				at(geminiAPI, `contents.*.parts.*.inlineData.data = "`+pdf+`"`).at(bedrockAPI, `messages.*.content.*.document.source.bytes = "`+pdf+`"`),
		},
		{
			name: "name of a file", in: document,
			out: said(`messages.*.content.*.file.filename = "a.pdf"`, `input.*.content.*.filename = "a.pdf"`, `messages.*.content.*.title = "a.pdf"`, "").
				changed(bedrockAPI, `messages.*.content.*.document.name = "a pdf (1)"`, "Signs that the provider refuses become spaces, and a number makes the name unique."),
			lost: map[string]string{geminiAPI: noField},
		},
		{
			name: "text file",
			in: userPart(`{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,`+sale+`"}}`,
				`{"type":"input_file","filename":"a.txt","file_data":"data:text/plain;base64,`+sale+`"}`,
				`{"type":"document","title":"a.txt","source":{"type":"text","media_type":"text/plain","data":"sales"}}`),
			out: said(`messages.*.content.*.file.file_data = "data:text/plain;base64,`+sale+`"`, `input.*.content.*.file_data = "data:text/plain;base64,`+sale+`"`,
				`messages.*.content.*.source.data = "sales"`, "").
				changed(ollamaAPI, `messages.*.content = "a.txt\nsales"`, "Its name and content become text of the message.").
				at(geminiAPI, `contents.*.parts.*.inlineData.data = "`+sale+`"`).at(bedrockAPI, `messages.*.content.*.document.source.bytes = "`+sale+`"`),
		},
		{
			name: "audio", in: userPart(`{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}`, "", ""),
			out: said(`messages.*.content.*.input_audio.data = "UklGRg=="`, "", "", "").at(geminiAPI, `contents.*.parts.*.inlineData.data = "UklGRg=="`),
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
				`messages.*.tool_calls.*.function.arguments = {"q":1}`).
				at(geminiAPI, `contents.*.parts.*.functionCall.args = {"q":1}`).at(bedrockAPI, `messages.*.content.*.toolUse.input = {"q":1}`),
		},
		{
			name: "its result", in: called,
			out: said(`messages.2.content = "found"`, `input.2.output = "found"`, `messages.2.content.*.content = "found"`, `messages.2.content = "found"`).
				at(geminiAPI, `contents.2.parts.*.functionResponse.response.output = "found"`).at(bedrockAPI, `messages.2.content.*.toolResult.content.*.text = "found"`),
		},
		{
			name: "its failure",
			in:   asked("", "", `"messages":[`+messagesCall+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","is_error":true,"content":"found"}]}]`, ""),
			out: said("", "", `messages.*.content.*.is_error = true`, "").
				at(geminiAPI, `contents.2.parts.*.functionResponse.response.error = "found"`).at(bedrockAPI, `messages.2.content.*.toolResult.status = "error"`),
			lost: map[string]string{"": "The provider has no field for it; the model reads the text of the result."},
		},
		{
			name: "image as a result",
			in: asked("", `"input":[`+responsesCall+`,{"type":"function_call_output","call_id":"c1","output":[{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]`,
				`"messages":[`+messagesCall+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}]`, ""),
			out: said(`messages.2.content.*.image_url.url = "data:image/png;base64,iVBORw0KGgo="`, `input.2.output.*.image_url = "data:image/png;base64,iVBORw0KGgo="`,
				`messages.2.content.*.content.*.source.data = "iVBORw0KGgo="`, `messages.2.images.* = "iVBORw0KGgo="`).
				changed(geminiAPI, `contents.2.parts.*.inlineData.data = "iVBORw0KGgo="`, "It follows the result in the same message.").
				at(bedrockAPI, `messages.2.content.*.toolResult.content.*.image.source.bytes = "iVBORw0KGgo="`),
		},
		{
			name: "what the model thought earlier", in: thought,
			out: said(`messages.*.reasoning_content = "hm"`, `input.*.summary.*.text = "hm"`, `messages.*.content.*.thinking = "hm"`, `messages.*.thinking = "hm"`).
				at(bedrockAPI, `messages.*.content.*.reasoningContent.reasoningText.text = "hm"`),
			lost: map[string]string{chatAPI: "Servers of this dialect want none back.", geminiAPI: "Gemini takes back its models' signatures, and no thoughts.", "": ownSigned},
		},
		{
			name: "the signature of that", in: asked("", thought[responsesAPI], thought[messagesAPI], ""),
			out: said("", `input.*.encrypted_content = "c2ln"`, `messages.*.content.*.signature = "c2ln"`, "").
				at(geminiAPI, `contents.*.parts.*.thoughtSignature = "c2ln"`).at(bedrockAPI, `messages.*.content.*.reasoningContent.reasoningText.signature = "c2ln"`),
			lost: map[string]string{chatAPI: noField, ollamaAPI: noField, "": ownSigned},
		},
	}
}

func toolFeatures() []feature {
	const (
		schema  = `{"type":"object","properties":{"q":{"type":"string"}},"required":["q"],"additionalProperties":false}`
		leftOut = "The tools are left out."
	)
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
			out: said(`tools.0.function.parameters = `+schema, `tools.0.parameters = `+schema, `tools.0.input_schema = `+schema, `tools.0.function.parameters = `+schema).
				at(geminiAPI, `tools.0.functionDeclarations.0.parametersJsonSchema = `+schema).at(bedrockAPI, `toolConfig.tools.0.toolSpec.inputSchema.json = `+schema),
		},
		{
			name: "`strict` of a tool", in: strict, with: tools(""),
			out:  said(`tools.0.function.strict = true`, `tools.0.strict = true`, `tools.0.strict = true`, "").at(bedrockAPI, `toolConfig.tools.0.toolSpec.strict = true`),
			lost: map[string]string{"`bedrock`, Nova": "Nova models do not know it.", "": noField},
		},
		{
			name: "no tool may be called", with: tools(""),
			in: asked(`"tool_choice":"none"`, `"tool_choice":"none"`, `"tool_choice":{"type":"none"}`, ""),
			out: said(`tool_choice = "none"`, `tool_choice = "none"`, `tool_choice.type = "none"`, "").at(geminiAPI, `toolConfig.functionCallingConfig.mode = "NONE"`).
				gone(ollamaAPI, `tools.*.type = "function"`, leftOut).gone(bedrockAPI, `toolConfig.tools.*.toolSpec.name = "look"`, leftOut),
		},
		{
			name: "some tool must be called", with: tools(""),
			in: asked(`"tool_choice":"required"`, `"tool_choice":"required"`, `"tool_choice":{"type":"any"}`, ""),
			out: said(`tool_choice = "required"`, `tool_choice = "required"`, `tool_choice.type = "any"`, "").
				at(geminiAPI, `toolConfig.functionCallingConfig.mode = "ANY"`).at(bedrockAPI, `toolConfig.toolChoice.any = {}`),
			lost: map[string]string{ollamaAPI: noField},
		},
		{
			name: "one tool must be called", with: tools(""),
			in: asked(`"tool_choice":{"type":"function","function":{"name":"look"}}`, `"tool_choice":{"type":"function","name":"look"}`, `"tool_choice":{"type":"tool","name":"look"}`, ""),
			out: said(`tool_choice.function.name = "look"`, `tool_choice.name = "look"`, `tool_choice.name = "look"`, "").
				at(geminiAPI, `toolConfig.functionCallingConfig.allowedFunctionNames = ["look"]`).at(bedrockAPI, `toolConfig.toolChoice.tool.name = "look"`).
				gone(ollamaAPI, `tools.*.function.name = "now"`, "The other tools are left out; that the model calls this one is not certain."),
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
		text    = `outputConfig.textFormat.structure.jsonSchema.`
		byTool  = "A tool that the model must call with its answer has the schema."
		inWords = "The model is asked in words, at the end of the system prompt."
		moved   = "Structured output of this dialect takes no such bound; it moves into the description, where the model reads it."
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
			out: said(`response_format.json_schema.schema = `+closed, `text.format.schema = `+closed, `output_config.format.schema = `+closed, `format = `+closed).
				at(geminiAPI, `generationConfig.responseJsonSchema = `+closed).at(bedrockAPI, text+`schema = `+strconv.Quote(closed)).
				changed(bedrockAPI, `toolConfig.tools.*.toolSpec.inputSchema.json = `+closed, byTool),
		},
		{
			name: "a bound in that schema", in: form(bounded),
			out: said(`response_format.json_schema.schema.properties.a.minimum = 1`, `text.format.schema.properties.a.minimum = 1`,
				`output_config.format.schema.properties.a.minimum = 1`, `format.properties.a.minimum = 1`).
				changed(messagesAPI, `output_config.format.schema.properties.a.description = "{minimum: 1}"`, moved).
				at(geminiAPI, `generationConfig.responseJsonSchema.properties.a.minimum = 1`).
				changed(bedrockAPI, text+`schema = `+strconv.Quote(strings.Replace(bounded, `"minimum":1`, `"description":"{minimum: 1}"`, 1)), moved).
				changed(bedrockAPI, `toolConfig.tools.*.toolSpec.inputSchema.json.properties.a.minimum = 1`, byTool),
		},
		{
			name: "name of the schema", in: named,
			out: said(`response_format.json_schema.name = "reply"`, `text.format.name = "reply"`, "", "").at(bedrockAPI, text+`name = "reply"`).
				changed(bedrockAPI, `toolConfig.tools.*.toolSpec.name = "reply"`, byTool),
			lost: map[string]string{"": noField},
		},
		{
			name: "JSON without a schema",
			in:   asked(`"response_format":{"type":"json_object"}`, `"text":{"format":{"type":"json_object"}}`, "", `"format":"json"`),
			out: said(`response_format.type = "json_object"`, `text.format.type = "json_object"`, "", `format = "json"`).
				changed(messagesAPI, `system = `+words, inWords).at(geminiAPI, `generationConfig.responseMimeType = "application/json"`).
				changed(bedrockAPI, `system.*.text = `+words, inWords),
		},
	}
}
