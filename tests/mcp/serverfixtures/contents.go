package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// fixtures is what the suite looks for.
type fixtures struct{ server *sdk.Server }

func (f *fixtures) add(s *sdk.Server) {
	f.server = s
	f.addContents()
	f.addTalk()
	f.addRounds()
	f.addResources()
	f.addPrompts()
}

const empty = `{"type": "object", "properties": {}}`

// tool adds a tool whose arguments are of a schema.
func (f *fixtures) tool(name, description, schema string, h sdk.ToolHandler) {
	f.server.AddTool(&sdk.Tool{Name: name, Description: description, InputSchema: json.RawMessage(schema)}, h)
}

// says adds a tool that always answers the same.
func (f *fixtures) says(name string, content ...sdk.Content) {
	f.tool(name, "Answers with fixed content.", empty, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: content}, nil
	})
}

func text(format string, args ...any) *sdk.TextContent {
	return &sdk.TextContent{Text: fmt.Sprintf(format, args...)}
}

func result(format string, args ...any) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{text(format, args...)}}
}

func failed(format string, args ...any) *sdk.CallToolResult {
	r := result(format, args...)
	r.IsError = true
	return r
}

// redPixel is a picture of one pixel.
func redPixel() []byte {
	img := image.NewRGBA(image.Rect(0, 0, 1, 1))
	img.Set(0, 0, color.RGBA{R: 255, A: 255})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // one pixel in memory
	}
	return b.Bytes()
}

// silence is a WAV file of 8 samples.
func silence() []byte {
	const samples, rate = 8, 8000
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, 36+samples)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1)    // PCM
	b = binary.LittleEndian.AppendUint16(b, 1)    // mono
	b = binary.LittleEndian.AppendUint32(b, rate) // samples a second
	b = binary.LittleEndian.AppendUint32(b, rate) // bytes a second
	b = binary.LittleEndian.AppendUint16(b, 1)    // bytes a sample
	b = binary.LittleEndian.AppendUint16(b, 8)    // bits a sample
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, samples)
	return append(b, bytes.Repeat([]byte{128}, samples)...)
}

const schema202012 = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
	"$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
	"properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}, "contactMethod": {"type": "string", "enum": ["phone", "email"]},
		"phone": {"type": "string"}, "email": {"type": "string"}},
	"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
	"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
	"then": {"required": ["phone"]}, "else": {"required": ["email"]}, "additionalProperties": false
}`

func (f *fixtures) addContents() {
	picture := &sdk.ImageContent{Data: redPixel(), MIMEType: "image/png"}
	f.says("test_simple_text", text("This is a simple text response for testing."))
	f.says("test_image_content", picture)
	f.says("test_audio_content", &sdk.AudioContent{Data: silence(), MIMEType: "audio/wav"})
	f.says("test_embedded_resource", &sdk.EmbeddedResource{Resource: &sdk.ResourceContents{
		URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content.",
	}})
	f.says("test_multiple_content_types", text("Multiple content types test:"), picture, &sdk.EmbeddedResource{Resource: &sdk.ResourceContents{
		URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`,
	}})
	f.tool("test_error_handling", "Fails.", empty, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return failed("This tool intentionally returns an error for testing"), nil
	})
	f.tool("json_schema_2020_12_tool", "Has a schema that uses much of JSON Schema 2020-12.", schema202012, func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return result("called with %s", req.Params.Arguments), nil
	})
	f.tool("test_x_mcp_header", "Has an argument that is sent as a header too.",
		`{"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "level": {"type": "integer"}}}`,
		func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return result("called with %s", req.Params.Arguments), nil
		})
}

func (f *fixtures) addResources() {
	read := func(c sdk.ResourceContents) sdk.ResourceHandler {
		return func(_ context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			out := c
			out.URI = req.Params.URI
			return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{&out}}, nil
		}
	}
	add := func(name string, c sdk.ResourceContents) {
		f.server.AddResource(&sdk.Resource{URI: "test://" + name, Name: name, Description: "A resource for tests.", MIMEType: c.MIMEType}, read(c))
	}
	add("static-text", sdk.ResourceContents{MIMEType: "text/plain", Text: "This is the content of the static text resource."})
	add("static-binary", sdk.ResourceContents{MIMEType: "image/png", Blob: redPixel()})
	add("watched-resource", sdk.ResourceContents{MIMEType: "text/plain", Text: "This resource changes."})
	f.server.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: "test://template/{id}/data", Name: "template", Description: "A template for tests.", MIMEType: "application/json",
	}, func(_ context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		id := strings.TrimSuffix(strings.TrimPrefix(req.Params.URI, "test://template/"), "/data")
		b, err := json.Marshal(map[string]any{"id": id, "templateTest": true, "data": "Data for ID: " + id})
		if err != nil {
			return nil, err
		}
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: req.Params.URI, MIMEType: "application/json", Text: string(b)}}}, nil
	})
}

// touch says that the watched resource has changed, again and again until ctx ends.
func (f *fixtures) touch(ctx context.Context) {
	go func() {
		t := time.NewTicker(2 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				// Nobody may have subscribed, and a subscriber that has left is no fault.
				_ = f.server.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: "test://watched-resource"})
			}
		}
	}()
}

func (f *fixtures) addPrompts() {
	says := func(content ...sdk.Content) *sdk.GetPromptResult {
		out := &sdk.GetPromptResult{Description: "A prompt for tests"}
		for _, c := range content {
			out.Messages = append(out.Messages, &sdk.PromptMessage{Role: "user", Content: c})
		}
		return out
	}
	add := func(name string, h sdk.PromptHandler, arguments ...string) {
		p := &sdk.Prompt{Name: name, Description: "A prompt for tests."}
		for _, a := range arguments {
			p.Arguments = append(p.Arguments, &sdk.PromptArgument{Name: a, Description: "An argument.", Required: true})
		}
		f.server.AddPrompt(p, h)
	}
	add("test_simple_prompt", func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return says(text("This is a simple prompt for testing.")), nil
	})
	add("test_prompt_with_arguments", func(_ context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return says(text("Prompt with arguments: arg1='%s', arg2='%s'", req.Params.Arguments["arg1"], req.Params.Arguments["arg2"])), nil
	}, "arg1", "arg2")
	add("test_prompt_with_embedded_resource", func(_ context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return says(&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{
			URI: req.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing.",
		}}, text("Please process the embedded resource above.")), nil
	}, "resourceUri")
	add("test_prompt_with_image", func(context.Context, *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		return says(&sdk.ImageContent{Data: redPixel(), MIMEType: "image/png"}, text("Please analyze the image above.")), nil
	})
	add("test_input_required_result_prompt", func(_ context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
		if c := accepted(req.Params.InputResponses, "user_context"); c != nil {
			return says(text("Context: %v", c["context"])), nil
		}
		return &sdk.GetPromptResult{InputRequests: sdk.InputRequestMap{"user_context": ask("What context should the prompt use?", "context", "string")}}, nil
	})
}

// missing is the error that a client which lacks a capability gets.
func missing(need *sdk.ClientCapabilities) error {
	data, err := json.Marshal(sdk.MissingRequiredClientCapabilityData{RequiredCapabilities: need})
	if err != nil {
		return err
	}
	return &jsonrpc.Error{Code: sdk.CodeMissingRequiredClientCapabilities, Message: "the client lacks a capability that this tool needs", Data: data}
}
