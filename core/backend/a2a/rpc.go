package a2a

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/errordetails"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// rpcHandler is JSON-RPC. It checks a message, so that an error names its field; the library does the rest.
type rpcHandler struct {
	*Server
	byVersion map[a2acheck.Version]http.Handler
}

// ServeHTTP implements http.Handler.
func (h *rpcHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, ok := known(versionOf(r))
	body, err := backend.ReadBody(r)
	if err != nil {
		h.problem(w, r, err)
		return
	}
	call, err := h.read(body)
	switch {
	case err != nil:
		h.refuse(w, r, call.ID, http.StatusOK, err)
		return
	case !ok:
		h.refuse(w, r, call.ID, http.StatusOK, unknownVersion(versionOf(r)))
		return
	case !isMethod(call.Method) || !h.check.Knows(version, call.Method):
		h.refuse(w, r, call.ID, http.StatusOK, refuse(a2a.ErrMethodNotFound, "method: there is no "+quote(call.Method)+" in A2A "+string(version)+hint(version, call.Method)))
		return
	}
	if len(call.Params) == 0 || string(call.Params) == "null" {
		call.Params = json.RawMessage("{}")
	}
	if call.Params, err = h.check.Read(version, call.Method, "params", call.Params); err != nil {
		h.refuse(w, r, call.ID, http.StatusOK, err)
		return
	}
	if err := h.agentThere(r); err != nil {
		h.refuse(w, r, call.ID, http.StatusNotFound, err)
		return
	}
	if result, own, err := h.small(r, call); own {
		if err != nil {
			h.refuse(w, r, call.ID, http.StatusOK, err)
			return
		}
		write(w, http.StatusOK, map[string]any{"jsonrpc": "2.0", "id": idOr(call.ID), "result": result})
		return
	}
	clean, err := json.Marshal(call)
	if err != nil {
		h.refuse(w, r, call.ID, http.StatusOK, core.Wrap(core.CodeInternal, err, "internal error; the server's log has the details"))
		return
	}
	h.hand(h.byVersion[version], w, r, "/", clean)
}

// small makes the calls to which the library gives no result at all, which clients take for a broken answer.
func (h *rpcHandler) small(r *http.Request, call rpcCall) (result any, own bool, err error) {
	ctx := withAgent(r.Context(), r.PathValue("agent"))
	switch call.Method {
	case "DeleteTaskPushNotificationConfig":
		var req a2a.DeleteTaskPushConfigRequest
		if err := json.Unmarshal(call.Params, &req); err != nil {
			return nil, true, wrong("params", "they cannot be read")
		}
		return struct{}{}, true, h.DeleteTaskPushConfig(ctx, &req)
	case "tasks/pushNotificationConfig/delete":
		var req struct {
			ID     a2a.TaskID `json:"id"`
			Config string     `json:"pushNotificationConfigId"`
		}
		if err := json.Unmarshal(call.Params, &req); err != nil {
			return nil, true, wrong("params", "they cannot be read")
		}
		return nil, true, h.DeleteTaskPushConfig(ctx, &a2a.DeleteTaskPushConfigRequest{TaskID: req.ID, ID: req.Config})
	case "tasks/pushNotificationConfig/list":
		var req struct {
			ID a2a.TaskID `json:"id"`
		}
		if err := json.Unmarshal(call.Params, &req); err != nil {
			return nil, true, wrong("params", "they cannot be read")
		}
		list, err := h.ListTaskPushConfigs(ctx, &a2a.ListTaskPushConfigRequest{TaskID: req.ID})
		if err != nil {
			return nil, true, err
		}
		if len(list.Configs) == 0 {
			return []any{}, true, nil
		}
		return a2av0.FromV1PushConfigs(list.Configs), true, nil
	}
	return nil, false, nil
}

// idOr is a call's id, or null.
func idOr(id json.RawMessage) json.RawMessage {
	if len(id) == 0 {
		return json.RawMessage("null")
	}
	return id
}

// agentThere checks the agent that the address names, before anything else is said of it.
func (s *Server) agentThere(r *http.Request) error {
	name := r.PathValue("agent")
	if name == "" {
		return nil
	}
	if _, err := s.d.Agents.Agent(name); err != nil {
		return refuse(a2a.ErrInvalidRequest, core.MessageOf(err))
	}
	return nil
}

// isMethod tells methods from other forms of the checker.
func isMethod(name string) bool {
	switch name {
	case "SendMessage", "SendStreamingMessage", "GetTask", "ListTasks", "CancelTask", "SubscribeToTask", "CreateTaskPushNotificationConfig",
		"GetTaskPushNotificationConfig", "ListTaskPushNotificationConfigs", "DeleteTaskPushNotificationConfig", "GetExtendedAgentCard":
		return true
	}
	return strings.Contains(name, "/")
}

// hint says what a client that speaks the other version has to change.
func hint(v a2acheck.Version, method string) string {
	switch {
	case v == a2acheck.V03 && isMethod(method):
		return "; for version 1.0 send the header A2A-Version: 1.0"
	case v == a2acheck.V10 && strings.Contains(method, "/"):
		return "; for version 0.3 send the header A2A-Version: 0.3, or none"
	}
	return ""
}

// rpcCall is a request of JSON-RPC.
type rpcCall struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// read takes the envelope of a message apart.
func (h *rpcHandler) read(body []byte) (rpcCall, error) {
	var call rpcCall
	if err := a2acheck.Depth(body); err != nil {
		return call, refuse(a2a.ErrInvalidRequest, core.MessageOf(err))
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &fields); err != nil {
		if json.Valid(body) {
			return call, refuse(a2a.ErrInvalidRequest, "expected one JSON object with jsonrpc, id, method and params")
		}
		return call, refuse(a2a.ErrParseError, "the body is not JSON")
	}
	id := fields["id"]
	switch err := checkID(id); {
	case err != nil:
		return call, err
	default:
		call.ID = id
	}
	if json.Unmarshal(fields["jsonrpc"], &call.JSONRPC) != nil || call.JSONRPC != "2.0" {
		return call, refuse(a2a.ErrInvalidRequest, "jsonrpc: expected \"2.0\"")
	}
	if json.Unmarshal(fields["method"], &call.Method) != nil || call.Method == "" {
		return call, refuse(a2a.ErrInvalidRequest, "method: expected the name of a method")
	}
	call.Params = fields["params"]
	return call, nil
}

// checkID holds an id to what can be given back as it came.
func checkID(id json.RawMessage) error {
	if len(id) == 0 || string(id) == "null" {
		return nil
	}
	if id[0] == '"' {
		var text string
		if json.Unmarshal(id, &text) != nil || len(text) > 1024 {
			return refuse(a2a.ErrInvalidRequest, "id: expected at most 1024 bytes")
		}
		return nil
	}
	n, err := strconv.ParseFloat(string(id), 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return refuse(a2a.ErrInvalidRequest, "id: expected a text or a whole number")
	}
	return nil
}

// problem writes an error of the middleware: with its HTTP status, which clients look at first.
func (h *rpcHandler) problem(w http.ResponseWriter, r *http.Request, err error) {
	h.refuse(w, r, nil, backend.StatusOf(err), err)
}

// refuse answers with an error.
func (h *rpcHandler) refuse(w http.ResponseWriter, r *http.Request, id json.RawMessage, status int, err error) {
	e := h.asked(r.Context(), err)
	write(w, status, map[string]any{"jsonrpc": "2.0", "id": idOr(id), "error": map[string]any{"code": rpcCode(e), "message": e.Error(), "data": details(e)}})
}

// details are an error's, for programs.
func details(e *a2a.Error) []any {
	out := []any{errordetails.NewErrorInfo(a2a.ErrorReason(e), a2a.ProtocolDomain, nil)}
	for _, d := range e.TypedDetails {
		if d.TypeURL != errordetails.ErrorInfoType {
			out = append(out, d)
		}
	}
	return out
}

// rpcCode is the code of an error in JSON-RPC.
func rpcCode(e error) int {
	for _, c := range []struct {
		kind error
		code int
	}{
		{a2a.ErrParseError, -32700}, {a2a.ErrInvalidRequest, -32600}, {a2a.ErrMethodNotFound, -32601}, {a2a.ErrInvalidParams, -32602},
		{a2a.ErrServerError, -32000}, {a2a.ErrTaskNotFound, -32001}, {a2a.ErrTaskNotCancelable, -32002},
		{a2a.ErrPushNotificationNotSupported, -32003}, {a2a.ErrUnsupportedOperation, -32004}, {a2a.ErrUnsupportedContentType, -32005},
		{a2a.ErrVersionNotSupported, -32009}, {a2a.ErrUnauthenticated, -31401}, {a2a.ErrUnauthorized, -31403},
	} {
		if errors.Is(e, c.kind) {
			return c.code
		}
	}
	return -32603
}
