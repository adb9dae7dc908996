package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// seal makes a state that a client can carry and not change.
func seal(state string) string {
	return state + "." + hex.EncodeToString(mac(state))
}

func mac(state string) []byte {
	h := hmac.New(sha256.New, []byte("a key for tests"))
	h.Write([]byte(state))
	return h.Sum(nil)
}

// unseal returns the state, or an error when it was changed.
func unseal(sealed string) (string, error) {
	i := strings.LastIndexByte(sealed, '.')
	if i >= 0 {
		if sum, err := hex.DecodeString(sealed[i+1:]); err == nil && hmac.Equal(sum, mac(sealed[:i])) {
			return sealed[:i], nil
		}
	}
	return "", &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "params.requestState: is not one that this server has given"}
}

// ask is a question with one field.
func ask(message, field, kind string) *sdk.ElicitParams {
	return &sdk.ElicitParams{Message: message, RequestedSchema: map[string]any{
		"type": "object", "properties": map[string]any{field: map[string]any{"type": kind}}, "required": []string{field},
	}}
}

func sample(prompt string) *sdk.CreateMessageParams {
	return &sdk.CreateMessageParams{MaxTokens: 100, Messages: []*sdk.SamplingMessage{{Role: "user", Content: text("%s", prompt)}}}
}

// accepted is what the user answered, nil if nothing.
func accepted(responses sdk.InputResponseMap, key string) map[string]any {
	if r, ok := responses[key].(*sdk.ElicitResult); ok && r != nil && r.Action == "accept" {
		return r.Content
	}
	return nil
}

func sampled(responses sdk.InputResponseMap, key string) (string, bool) {
	r, ok := responses[key].(*sdk.CreateMessageWithToolsResult)
	if !ok || r == nil {
		return "", false
	}
	for _, c := range r.Content {
		if t, ok := c.(*sdk.TextContent); ok {
			return t.Text, true
		}
	}
	return "", true
}

// addRounds adds tools that need several rounds (SEP-2322).
func (f *fixtures) addRounds() {
	round := func(name string, h sdk.ToolHandler) {
		f.tool("test_input_required_result_"+name, "Asks in several rounds.", empty, h)
	}
	needs := func(state string, requests sdk.InputRequestMap) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{InputRequests: requests, RequestState: state}, nil
	}
	round("elicitation", func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if name, _ := accepted(req.Params.InputResponses, "user_name")["name"].(string); name != "" {
			return result("Hello, %s!", name), nil
		}
		return needs("", sdk.InputRequestMap{"user_name": ask("What is your name?", "name", "string")})
	})
	round("sampling", func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if answer, ok := sampled(req.Params.InputResponses, "capital_question"); ok {
			return result("%s", answer), nil
		}
		return needs("", sdk.InputRequestMap{"capital_question": sample("What is the capital of France?")})
	})
	round("list_roots", func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if r, ok := req.Params.InputResponses["client_roots"].(*sdk.ListRootsResult); ok && r != nil {
			return result("%d roots", len(r.Roots)), nil
		}
		return needs("", sdk.InputRequestMap{"client_roots": &sdk.ListRootsParams{}})
	})
	confirm := func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if req.Params.RequestState != "" {
			if _, err := unseal(req.Params.RequestState); err != nil {
				return nil, err
			}
			if accepted(req.Params.InputResponses, "confirm") != nil {
				return result("state-ok: confirmed"), nil
			}
		}
		return needs(seal("confirm"), sdk.InputRequestMap{"confirm": ask("Please confirm", "ok", "boolean")})
	}
	round("request_state", confirm)
	round("tampered_state", confirm)
	round("multiple_inputs", func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		name, _ := accepted(req.Params.InputResponses, "user_name")["name"].(string)
		greeting, greeted := sampled(req.Params.InputResponses, "greeting")
		roots, rooted := req.Params.InputResponses["client_roots"].(*sdk.ListRootsResult)
		if name != "" && greeted && rooted && roots != nil {
			return result("%s %s, %d roots", greeting, name, len(roots.Roots)), nil
		}
		return needs(seal("multiple"), sdk.InputRequestMap{
			"user_name": ask("What is your name?", "name", "string"), "greeting": sample("Generate a greeting"), "client_roots": &sdk.ListRootsParams{},
		})
	})
	round("multi_round", func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if req.Params.RequestState == "" {
			return needs(seal("1"), sdk.InputRequestMap{"step1": ask("Step 1: What is your name?", "name", "string")})
		}
		state, err := unseal(req.Params.RequestState)
		if err != nil {
			return nil, err
		}
		if state == "1" {
			name, _ := accepted(req.Params.InputResponses, "step1")["name"].(string)
			return needs(seal("2 "+name), sdk.InputRequestMap{"step2": ask("Step 2: What is your favorite color?", "color", "string")})
		}
		return result("%s likes %v", strings.TrimPrefix(state, "2 "), accepted(req.Params.InputResponses, "step2")["color"]), nil
	})
	round("capabilities", func(_ context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		can := req.ClientCapabilities()
		requests := sdk.InputRequestMap{}
		if can != nil && can.Elicitation != nil {
			requests["user_name"] = ask("What is your name?", "name", "string")
		}
		if can != nil && can.Sampling != nil {
			requests["greeting"] = sample("Generate a greeting")
		}
		if can != nil && can.RootsV2 != nil {
			requests["client_roots"] = &sdk.ListRootsParams{}
		}
		if len(requests) == 0 || len(req.Params.InputResponses) > 0 {
			return result("done"), nil
		}
		return needs("", requests)
	})
}
