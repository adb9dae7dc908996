package mcp

import (
	"errors"
	"regexp"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// fieldForm finds the field in an error of the JSON library about a value of the wrong type.
var fieldForm = regexp.MustCompile(`Go struct field [^ ]*?\.?([A-Za-z_]+) of type`)

// fault says what is wrong with a message of a server, from an error of the library: which field, and what it should be.
// The library's own words speak of Go's types. "" = the error is about something else.
func fault(err error) string {
	text := err.Error()
	has := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case has("invalid message version tag"):
		return `its field jsonrpc is not "2.0"`
	case has("invalid ID type"):
		return "its field id is neither text nor a number"
	case has("invalid request"):
		return "it is no message of the protocol: it has neither method nor result nor error, or several of them"
	case has("terminated without response"):
		return "it ended without a message that has result or error for the id of the request"
	case has("maximum nesting depth"):
		return "its JSON is nested too deeply"
	case has("unsupported content type"):
		return "its header Content-Type is neither application/json nor text/event-stream"
	case has("mismatching session IDs"):
		return "its header Mcp-Session-Id is another than before"
	case has("maximum line length"), has("is larger than"), has("token too long"), has("too large"):
		return "it is too large"
	case has("unrecognized content type"), has("content type"):
		return "a part of its content has a type that is not known"
	case has("unsupported protocol version"):
		return "its field protocolVersion names a version that is not known here"
	}
	if m := fieldForm.FindStringSubmatch(text); m != nil {
		return "its field " + m[1] + " is of the wrong type"
	}
	if has("unmarshal") || has("decode") || has("invalid character") || has("trailing data") || has("missing required") {
		return "its fields jsonrpc, id, result or error are not what the protocol says, or it is no JSON"
	}
	return ""
}

// unreadable says whether an error is about what a server sent, and what is wrong with it.
func unreadable(err error) (why string, is bool) {
	if wire, ok := errors.AsType[*jsonrpc.Error](err); ok && !ofTransport(wire.Code) {
		return "", false
	}
	why = fault(err)
	return why, why != ""
}
