package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxDepth is how deep a message may nest. Real ones nest a handful of levels.
const maxDepth = 200

// message is one JSON-RPC message, as far as this package reads it.
type message struct {
	id     json.RawMessage // as it came; nil = none
	method string          // "" of an answer
	params json.RawMessage // a JSON object, or nil
	meta   map[string]json.RawMessage
}

// rpcError is an error as JSON-RPC 2.0 section 5.1 writes it.
type rpcError struct {
	Code    int64           `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

type wireError struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Error   rpcError        `json:"error"`
}

// badMessage is a message that is refused before the SDK sees it.
type badMessage struct {
	id  json.RawMessage
	err rpcError
}

// Error implements error.
func (b *badMessage) Error() string { return b.err.Message }

func bad(id json.RawMessage, code int64, format string, args ...any) *badMessage {
	return &badMessage{id, rpcError{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// parse reads the messages of a body and checks their form, so that what is wrong is named in words of the protocol.
func parse(body []byte) (messages []message, batch bool, err *badMessage) {
	if !utf8.Valid(body) {
		return nil, false, bad(nil, jsonrpc.CodeParseError, "the body is not UTF-8")
	}
	if depth(body) > maxDepth {
		return nil, false, bad(nil, jsonrpc.CodeParseError, "the body nests deeper than %d levels", maxDepth)
	}
	if !json.Valid(body) {
		return nil, false, bad(nil, jsonrpc.CodeParseError, "the body is not one JSON value%s", syntaxOf(body))
	}
	body = bytes.TrimSpace(body)
	if body[0] != '[' {
		m, err := parseOne(body)
		return []message{m}, false, err
	}
	var list []json.RawMessage
	_ = json.Unmarshal(body, &list) // it is a valid array
	if len(list) == 0 || len(list) > maxBatch {
		return nil, true, bad(nil, jsonrpc.CodeInvalidRequest, "a batch holds 1 to %d messages, this one %d", maxBatch, len(list))
	}
	for _, raw := range list {
		m, err := parseOne(raw)
		if err != nil {
			return nil, true, err
		}
		messages = append(messages, m)
	}
	return messages, true, nil
}

func syntaxOf(body []byte) string {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(body, new(any)); errors.As(err, &syntax) {
		return " (at byte " + strconv.FormatInt(syntax.Offset, 10) + ")"
	}
	return ""
}

// depth is how deep brackets nest outside of strings.
func depth(b []byte) int {
	deepest, now, inString, escaped := 0, 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

func parseOne(raw json.RawMessage) (m message, err *badMessage) {
	var o map[string]json.RawMessage
	if json.Unmarshal(raw, &o) != nil || o == nil {
		return m, bad(nil, jsonrpc.CodeInvalidRequest, "a message must be a JSON object")
	}
	if id, ok := o["id"]; ok {
		if !validID(id) {
			return m, bad(nil, jsonrpc.CodeInvalidRequest, "id: must be a text or a whole number")
		}
		m.id = id
	}
	if string(o["jsonrpc"]) != `"2.0"` {
		return m, bad(m.id, jsonrpc.CodeInvalidRequest, `jsonrpc: must be "2.0"`)
	}
	method, isRequest := o["method"]
	if !isRequest {
		return m, checkAnswer(m.id, o)
	}
	if json.Unmarshal(method, &m.method) != nil || m.method == "" {
		return m, bad(m.id, jsonrpc.CodeInvalidRequest, "method: must be the name of a method")
	}
	if p, ok := o["params"]; ok && string(p) != "null" {
		m.params = p
	}
	if isObject(m.params) {
		var p struct {
			Meta json.RawMessage `json:"_meta"`
		}
		if json.Unmarshal(m.params, &p) == nil && isObject(p.Meta) {
			_ = json.Unmarshal(p.Meta, &m.meta) // it is an object
		}
	}
	return m, nil
}

// validID says whether an id is a text or an integer that every JSON library reads alike (RFC 8259 section 6).
func validID(raw json.RawMessage) bool {
	if raw[0] == '"' {
		return true
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
}

// checkAnswer checks an answer to what the server asked.
func checkAnswer(id json.RawMessage, o map[string]json.RawMessage) *badMessage {
	_, hasResult := o["result"]
	failure, hasError := o["error"]
	switch {
	case !hasResult && !hasError:
		return bad(id, jsonrpc.CodeInvalidRequest, "method: is missing (and there is no result or error either)")
	case hasResult && hasError:
		return bad(id, jsonrpc.CodeInvalidRequest, "result: an answer has either a result or an error")
	case id == nil:
		return bad(nil, jsonrpc.CodeInvalidRequest, "id: an answer needs the id of its request")
	case hasError:
		var e struct {
			Code    *int64  `json:"code"`
			Message *string `json:"message"`
		}
		if json.Unmarshal(failure, &e) != nil || e.Code == nil || e.Message == nil {
			return bad(id, jsonrpc.CodeInvalidRequest, "error: must be an object with a code (a whole number) and a message (a text)")
		}
	default:
		if !isObject(o["result"]) {
			return bad(id, jsonrpc.CodeInvalidRequest, "result: must be an object")
		}
	}
	return nil
}

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

// form is what a method takes.
type form struct {
	params       func() any // where the SDK puts them
	required     []string   // fields, a dot going into an object
	notification bool
	removed      bool // by the revision without sessions
}

func of[T any]() func() any { return func() any { return new(T) } }

// forms is the list of methods.
func forms() map[string]form {
	return map[string]form{
		"initialize":                       {params: of[sdk.InitializeParams](), required: []string{"protocolVersion"}, removed: true},
		"ping":                             {params: of[sdk.PingParams](), removed: true},
		"server/discover":                  {params: of[sdk.DiscoverParams]()},
		"completion/complete":              {params: of[sdk.CompleteParams](), required: []string{"ref", "ref.type", "argument", "argument.name", "argument.value"}},
		"logging/setLevel":                 {params: of[sdk.SetLoggingLevelParams](), required: []string{"level"}, removed: true},
		"prompts/list":                     {params: of[sdk.ListPromptsParams]()},
		"prompts/get":                      {params: of[sdk.GetPromptParams](), required: []string{"name"}},
		"resources/list":                   {params: of[sdk.ListResourcesParams]()},
		"resources/templates/list":         {params: of[sdk.ListResourceTemplatesParams]()},
		"resources/read":                   {params: of[sdk.ReadResourceParams](), required: []string{"uri"}},
		"resources/subscribe":              {params: of[sdk.SubscribeParams](), required: []string{"uri"}, removed: true},
		"resources/unsubscribe":            {params: of[sdk.UnsubscribeParams](), required: []string{"uri"}, removed: true},
		"subscriptions/listen":             {params: of[sdk.SubscriptionsListenParams](), required: []string{"notifications"}},
		"tools/list":                       {params: of[sdk.ListToolsParams]()},
		"tools/call":                       {params: of[sdk.CallToolParamsRaw](), required: []string{"name"}},
		"notifications/cancelled":          {params: of[sdk.CancelledParams](), notification: true},
		"notifications/initialized":        {params: of[sdk.InitializedParams](), notification: true, removed: true},
		"notifications/progress":           {params: of[sdk.ProgressNotificationParams](), required: []string{"progressToken", "progress"}, notification: true},
		"notifications/roots/list_changed": {params: of[sdk.RootsListChangedParams](), notification: true, removed: true},
	}
}

// levels are those of the protocol's log messages, from the least to the gravest.
func levels() []string {
	return []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
}

// check checks the method of a message and what it takes, by the revision that it was sent under.
func (m *message) check(modern bool) *badMessage {
	if m.method == "" {
		return nil // an answer
	}
	f, ok := forms()[m.method]
	if (!ok || f.removed && modern) && m.id != nil {
		return bad(m.id, jsonrpc.CodeMethodNotFound, "method: there is no method %q in this revision of the protocol", m.method)
	}
	switch {
	case m.params != nil && !isObject(m.params):
		return bad(m.id, jsonrpc.CodeInvalidParams, "params: must be an object")
	case !ok:
		return nil // a notification that nobody wants
	case f.notification && m.id != nil:
		return bad(m.id, jsonrpc.CodeInvalidRequest, "id: %s is a notification and has none", m.method)
	case !f.notification && m.id == nil:
		return bad(nil, jsonrpc.CodeInvalidRequest, "id: %s is a request and needs one", m.method)
	}
	var o map[string]json.RawMessage
	if m.params != nil {
		if json.Unmarshal(m.params, &o) != nil {
			return bad(m.id, jsonrpc.CodeInvalidParams, "params: must be an object")
		}
	}
	if err := m.checkMeta(o["_meta"]); err != nil {
		return err
	}
	for _, name := range f.required {
		if !has(o, name) {
			return bad(m.id, jsonrpc.CodeInvalidParams, "params.%s: is missing", name)
		}
	}
	if m.params != nil {
		if what := misfit(m.params, f.params()); what != "" {
			return bad(m.id, jsonrpc.CodeInvalidParams, "params%s", what)
		}
	}
	if m.method == "logging/setLevel" && !slices.Contains(levels(), text(o["level"])) {
		return bad(m.id, jsonrpc.CodeInvalidParams, "params.level: must be one of %s", strings.Join(levels(), ", "))
	}
	if a := o["arguments"]; a != nil && string(a) != "null" && !isObject(a) {
		return bad(m.id, jsonrpc.CodeInvalidParams, "params.arguments: must be an object")
	}
	return nil
}

// checkMeta checks what every message may carry.
func (m *message) checkMeta(raw json.RawMessage) *badMessage {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	if !isObject(raw) {
		return bad(m.id, jsonrpc.CodeInvalidParams, "params._meta: must be an object")
	}
	if token, ok := m.meta["progressToken"]; ok && !validID(token) {
		return bad(m.id, jsonrpc.CodeInvalidParams, "params._meta.progressToken: must be a text or a whole number")
	}
	for key, into := range map[string]any{
		sdk.MetaKeyClientCapabilities: new(sdk.ClientCapabilities), sdk.MetaKeyClientInfo: new(sdk.Implementation),
		sdk.MetaKeyLogLevel: new(string), sdk.MetaKeyProtocolVersion: new(string),
	} {
		if value, ok := m.meta[key]; ok {
			if what := misfit(value, into); what != "" {
				return bad(m.id, jsonrpc.CodeInvalidParams, "params._meta[%q]%s", key, what)
			}
		}
	}
	return nil
}

// has says whether an object has a field; a dot goes into an object.
func has(o map[string]json.RawMessage, name string) bool {
	first, rest, deeper := strings.Cut(name, ".")
	v, ok := o[first]
	if !ok || string(v) == "null" {
		return false
	}
	if !deeper {
		return true
	}
	var inner map[string]json.RawMessage
	return json.Unmarshal(v, &inner) == nil && has(inner, rest)
}

func text(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s) // what is no text is ""
	return s
}

// misfit says which field of a value is not of the form that a Go type takes, or "". It names no Go type.
func misfit(raw json.RawMessage, into any) string {
	err := json.Unmarshal(raw, into)
	if err == nil {
		return ""
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := ""
		if wrong.Field != "" {
			where = "." + wrong.Field
		}
		return where + ": must be " + kindName(wrong.Type)
	}
	// The SDK's own decoders speak of contents: "unrecognized content type", "unknown input response".
	return ": a part of it is not of a form that the protocol has"
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer, reflect.Interface:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}
