package jsonrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

// The codes of JSON-RPC 2.0.
const (
	CodeParse          = -32700 // the line is no JSON
	CodeInvalidRequest = -32600 // the line is no JSON-RPC message
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
	CodeCancelled      = -32800 // the request was given up: the connection or the turn has ended
)

// Error is an error that goes over the wire. As an error of Call it is what the other side answered.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// Error returns the message with its code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// wireError says an error in the protocol's words: a *Error as it is, a core.Error with its code and fields.
func wireError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Code: CodeCancelled, Message: "the request was cancelled"}
	}
	e := &Error{Code: CodeInternal, Message: core.MessageOf(err)}
	if c, ok := errors.AsType[*core.Error](err); ok {
		data := map[string]any{"code": c.Code}
		if len(c.Fields) > 0 {
			data["fields"] = c.Fields
		}
		e.Data = data
		if c.Code == core.CodeInvalid || c.Code == core.CodeTooLarge {
			e.Code = CodeInvalidParams
		}
	}
	return e
}

// message is one line: a request, a notification or a response.
type message struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

func (m *message) request() bool { return m.Method != "" && len(m.ID) > 0 }

// notification says whether nobody waits for an answer.
func (m *message) notification() bool { return m.Method != "" && len(m.ID) == 0 }

// parse reads a line. An error names the field that is wrong; m then holds the id where it could be read.
func parse(line []byte) (m message, err error) {
	if !utf8.Valid(line) {
		return m, core.Errorf(core.CodeInvalid, "the line is not UTF-8: %s", sample(line))
	}
	if !json.Valid(line) {
		return m, core.Errorf(core.CodeInvalid, "the line is not JSON: %s", sample(line))
	}
	var raw struct {
		JSONRPC json.RawMessage `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Method  *string         `json:"method"`
		Params  json.RawMessage `json:"params"`
		Result  json.RawMessage `json:"result"`
		Error   *struct {
			Code    *int    `json:"code"`
			Message *string `json:"message"`
			Data    any     `json:"data"`
		} `json:"error"`
	}
	if err := Decode("", line, &raw); err != nil {
		return message{ID: scalar(raw.ID)}, err
	}
	if m.ID = scalar(raw.ID); m.ID == nil && len(raw.ID) > 0 && !null(raw.ID) {
		return m, Wrong("id", "must be text or a number")
	}
	if string(raw.JSONRPC) != `"2.0"` {
		return m, Wrong("jsonrpc", `must be "2.0"`)
	}
	if raw.Method != nil {
		if *raw.Method == "" {
			return m, Wrong("method", "must not be empty")
		}
		if len(raw.Params) > 0 && !null(raw.Params) {
			if c := bytes.TrimLeft(raw.Params, " \t\r\n")[0]; c != '{' && c != '[' {
				return m, Wrong("params", "must be an object")
			}
			m.Params = raw.Params
		}
		m.Method = *raw.Method
		return m, nil
	}
	switch {
	case raw.Error != nil && raw.Error.Code == nil:
		return m, Wrong("error.code", "is missing")
	case raw.Error != nil && raw.Error.Message == nil:
		return m, Wrong("error.message", "is missing")
	case raw.Error != nil:
		m.Error = &Error{Code: *raw.Error.Code, Message: *raw.Error.Message, Data: raw.Error.Data}
	case raw.Result == nil:
		return m, Wrong("method", "is missing, and there is no result and no error either")
	}
	if m.ID == nil && m.Error == nil {
		return m, Wrong("id", "is missing")
	}
	m.Result = raw.Result
	return m, nil
}

// scalar returns an id as it was written; nil for null and for what cannot be one.
func scalar(raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > 1024 || !strings.ContainsRune(`"-0123456789`, rune(raw[0])) {
		return nil
	}
	return raw
}

func null(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

// sample is the beginning of a line for a message.
func sample(line []byte) string {
	const most = 60
	text := strings.ToValidUTF8(string(line[:min(len(line), most)]), "�")
	if len(line) > most {
		text += "…"
	}
	return fmt.Sprintf("%q", text)
}

// Wrong is the error of one field.
func Wrong(field, problem string) *core.Error {
	return &core.Error{Code: core.CodeInvalid, Message: field + " " + problem, Fields: []core.FieldError{{Field: field, Message: problem}}}
}

// Decode reads JSON into a value. Its error (CodeInvalid) names the field that is wrong, below the field `at`.
func Decode(at string, raw []byte, into any) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return Wrong(named(at, ""), "is missing")
	}
	err := json.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*core.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Wrong(named(at, e.Field), fmt.Sprintf("must be %s, not %s", kindText(e.Type), valueText(e.Type, e.Value)))
	}
	return Wrong(named(at, ""), "is not readable JSON (odd or too deeply nested)")
}

// named is the name of a field below another; the message itself has none.
func named(at, field string) string {
	switch {
	case at != "" && field != "":
		return at + "." + field
	case at+field != "":
		return at + field
	}
	return "the message"
}

func kindText(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Interface:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// valueText says what stood there; a number where one is wanted does not fit.
func valueText(wanted reflect.Type, value string) string {
	kind, _, _ := strings.Cut(value, " ")
	switch kind {
	case "string":
		return "text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	switch kindText(wanted) {
	case "a number", "a whole number":
		return "such a number"
	}
	return "a number"
}
