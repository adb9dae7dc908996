package a2a

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2apb/v0/pbjson"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// restV03 is REST of version 0.3. Its clients do not agree on how it is written: they name fields in both ways that protocol
// buffers allow, write a file's bytes in base64 once or twice, and read errors of three forms. All of them are understood.
type restV03 struct {
	*Server
	handler a2asrv.RequestHandler
}

// oldDialect is how a client writes.
type oldDialect struct {
	twice bool // bytes of files are base64 of base64
}

// dialectOf tells it by what the clients are known by: those that write twice name the message "request", or are the Go one.
func dialectOf(r *http.Request, python bool) oldDialect {
	return oldDialect{twice: python || strings.HasPrefix(r.UserAgent(), "Go-http-client") || strings.HasPrefix(r.UserAgent(), "python")}
}

// serve makes a call that is known to be there.
func (h *restV03) serve(w http.ResponseWriter, r *http.Request, path string, call restCalled) {
	ctx := withAgent(r.Context(), r.PathValue("agent"))
	var body []byte
	dialect := dialectOf(r, false)
	if call.form != "" {
		raw, err := backend.ReadBody(r)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		if body, dialect, err = h.read(r, call.form, raw); err != nil {
			h.refuse(w, r, err)
			return
		}
	}
	parts := strings.Split(strings.TrimPrefix(path, "/v1/"), "/")
	task := a2a.TaskID("")
	action := ""
	if parts[0] == "tasks" && len(parts) > 1 {
		id, verb, _ := strings.Cut(parts[1], ":")
		task, action = a2a.TaskID(id), verb
	}
	answer := func(b []byte, err error) {
		if err == nil && !dialect.twice {
			b, err = once(b)
		}
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		_ = backend.WriteBody(w, http.StatusOK, "application/json", b) // a client that has left needs no answer
	}
	switch {
	case parts[0] == "message:send":
		answer(h.send(ctx, body))
	case parts[0] == "message:stream":
		req, err := pbjson.FromProtoSendMessageRequest(body)
		if err != nil {
			h.refuse(w, r, wrong("message", "it cannot be read"))
			return
		}
		h.stream(w, r, dialect, h.handler.SendStreamingMessage(ctx, req))
	case action == "subscribe":
		h.stream(w, r, dialect, h.handler.SubscribeToTask(ctx, &a2a.SubscribeToTaskRequest{ID: task}))
	case action == "cancel":
		answer(encoded(h.handler.CancelTask(ctx, &a2a.CancelTaskRequest{ID: task}))(pbjson.ToProtoTask))
	case parts[0] == "card":
		answer(encoded(h.handler.GetExtendedAgentCard(ctx, &a2a.GetExtendedAgentCardRequest{}))(func(c *a2a.AgentCard) ([]byte, error) { return json.Marshal(a2av0.FromV1AgentCard(c)) }))
	case len(parts) == 1:
		size, _ := strconv.Atoi(r.URL.Query().Get("pageSize")) // the query has been checked
		answer(encoded(h.handler.ListTasks(ctx, &a2a.ListTasksRequest{PageSize: size, PageToken: r.URL.Query().Get("pageToken")}))(pbjson.ToProtoListTasksResponse))
	case len(parts) == 2:
		req := &a2a.GetTaskRequest{ID: task}
		if n, err := strconv.Atoi(r.URL.Query().Get("historyLength")); err == nil {
			req.HistoryLength = &n
		}
		answer(encoded(h.handler.GetTask(ctx, req))(pbjson.ToProtoTask))
	default:
		answer(h.push(ctx, r.Method, task, parts, body))
	}
}

// encoded writes a result, if it is one.
func encoded[T any](v T, err error) func(func(T) ([]byte, error)) ([]byte, error) {
	return func(write func(T) ([]byte, error)) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		return write(v)
	}
}

func (h *restV03) send(ctx context.Context, body []byte) ([]byte, error) {
	req, err := pbjson.FromProtoSendMessageRequest(body)
	if err != nil {
		return nil, wrong("message", "it cannot be read")
	}
	return encoded(h.handler.SendMessage(ctx, req))(pbjson.ToProtoSendMessageResult)
}

// push makes the calls about push notification configs.
func (h *restV03) push(ctx context.Context, method string, task a2a.TaskID, parts []string, body []byte) ([]byte, error) {
	switch {
	case method == http.MethodPost:
		req, err := pbjson.FromProtoCreatePushConfigRequest(body, task)
		if err != nil {
			return nil, wrong("config", "it cannot be read")
		}
		return encoded(h.handler.CreateTaskPushConfig(ctx, req))(pbjson.ToProtoPushConfigResponse)
	case method == http.MethodDelete:
		return []byte("{}"), h.handler.DeleteTaskPushConfig(ctx, &a2a.DeleteTaskPushConfigRequest{TaskID: task, ID: parts[3]})
	case len(parts) == 4:
		return encoded(h.handler.GetTaskPushConfig(ctx, &a2a.GetTaskPushConfigRequest{TaskID: task, ID: parts[3]}))(pbjson.ToProtoPushConfigResponse)
	}
	return encoded(h.handler.ListTaskPushConfigs(ctx, &a2a.ListTaskPushConfigRequest{TaskID: task}))(func(l *a2a.ListTaskPushConfigResponse) ([]byte, error) {
		if len(l.Configs) == 0 {
			return []byte(`{"configs":[]}`), nil
		}
		return pbjson.ToProtoListPushConfigsResponse(l.Configs)
	})
}

// stream writes events as they come.
func (h *restV03) stream(w http.ResponseWriter, r *http.Request, d oldDialect, events iter.Seq2[a2a.Event, error]) {
	out := backend.NewStream(w, backend.StreamForm{ContentType: "text/event-stream", KeepAlive: []byte(": keep-alive\n\n"), Every: keepAlive, Write: writeTime})
	defer out.Close()
	for event, err := range events {
		var b []byte
		if err == nil {
			b, err = pbjson.ToProtoStreamEvent(event)
		}
		if err == nil && !d.twice {
			b, err = once(b)
		}
		if err != nil {
			if !out.Started() {
				h.refuse(w, r, err)
				return
			}
			_, body := h.failure(r.Context(), err)
			if b, err := json.Marshal(body); err == nil {
				_, _ = out.Write([]byte("event: error\ndata: " + string(b) + "\n\n")) // nobody may read any more
			}
			return
		}
		if _, err := out.Write([]byte("data: " + string(b) + "\n\n")); err != nil {
			return
		}
	}
}

// read checks a body, and returns it as the library reads it.
func (h *restV03) read(r *http.Request, form string, raw []byte) ([]byte, oldDialect, error) {
	d := dialectOf(r, false)
	if err := a2acheck.Depth(raw); err != nil {
		return nil, d, err
	}
	var object map[string]any
	reader := json.NewDecoder(bytes.NewReader(raw))
	reader.UseNumber()
	if reader.Decode(&object) != nil || object == nil {
		return nil, d, h.check.Check(a2acheck.V03, form, "", raw) // it says what is wrong
	}
	object, _ = camel(object).(map[string]any)
	if m, ok := object["request"]; ok && object["message"] == nil {
		object["message"] = m
		delete(object, "request")
		d = dialectOf(r, true)
	}
	if form == "RestSetPush" && object["config"] == nil && object["pushNotificationConfig"] != nil {
		object = map[string]any{"config": object}
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil, d, err
	}
	if b, err = h.check.Read(a2acheck.V03, form, "", b); err != nil || d.twice {
		return b, d, err
	}
	b, err = mapBytes(b, func(text string) (string, error) { return base64.StdEncoding.EncodeToString([]byte(text)), nil })
	return b, d, err
}

// camel writes the names of fields as JSON does, where a client wrote them as protocol buffers do. What is a client's own stays.
func camel(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			words := strings.Split(key, "_")
			for i := 1; i < len(words); i++ {
				if words[i] != "" {
					words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
				}
			}
			name := strings.Join(words, "")
			if _, taken := v[name]; taken && name != key {
				continue // it is there in both ways
			}
			if name == "data" || name == "metadata" {
				out[name] = item
			} else {
				out[name] = camel(item)
			}
		}
		return out
	case []any:
		for i := range v {
			v[i] = camel(v[i])
		}
	}
	return v
}

// once writes the bytes of files in base64 once, where the library writes it twice.
func once(b []byte) ([]byte, error) {
	if !bytes.Contains(b, []byte(`"fileWithBytes"`)) {
		return b, nil
	}
	return mapBytes(b, func(text string) (string, error) {
		inner, err := base64.StdEncoding.DecodeString(text)
		return string(inner), err
	})
}

// mapBytes changes the bytes of every file.
func mapBytes(b []byte, change func(string) (string, error)) ([]byte, error) {
	var v any
	reader := json.NewDecoder(bytes.NewReader(b))
	reader.UseNumber()
	if err := reader.Decode(&v); err != nil {
		return nil, err
	}
	var walk func(any) error
	walk = func(v any) error {
		switch v := v.(type) {
		case map[string]any:
			for key, item := range v {
				if text, ok := item.(string); ok && key == "fileWithBytes" {
					changed, err := change(text)
					if err != nil {
						return err
					}
					v[key] = changed
				} else if key != "data" && key != "metadata" {
					if err := walk(item); err != nil {
						return err
					}
				}
			}
		case []any:
			for _, item := range v {
				if err := walk(item); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func (h *restV03) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, body := h.failure(r.Context(), err)
	write(w, status, body)
}

// failure is an error in all forms that clients of the version read.
func (h *restV03) failure(ctx context.Context, err error) (status int, body map[string]any) {
	e := h.asked(ctx, err)
	status = restStatus(e, err)
	return status, map[string]any{
		"code": rpcCode(e), "type": oldName(e), "message": e.Error(),
		"error": map[string]any{"code": status, "status": statusName(e), "message": e.Error(), "details": details(e)},
	}
}

// oldName is the name of an error in the clients of the version.
func oldName(e error) string {
	for _, c := range []struct {
		kind error
		name string
	}{
		{a2a.ErrTaskNotFound, "TaskNotFoundError"}, {a2a.ErrTaskNotCancelable, "TaskNotCancelableError"}, {a2a.ErrPushNotificationNotSupported, "PushNotificationNotSupportedError"},
		{a2a.ErrUnsupportedOperation, "UnsupportedOperationError"}, {a2a.ErrUnsupportedContentType, "ContentTypeNotSupportedError"}, {a2a.ErrMethodNotFound, "MethodNotFoundError"},
		{a2a.ErrInvalidParams, "InvalidParamsError"}, {a2a.ErrInvalidRequest, "InvalidRequestError"},
	} {
		if errors.Is(e, c.kind) {
			return c.name
		}
	}
	return "InternalError"
}

// restStatus is the HTTP status of an error.
func restStatus(e, cause error) int {
	switch {
	case errors.Is(e, a2a.ErrTaskNotFound):
		return http.StatusNotFound
	case errors.Is(e, a2a.ErrUnauthenticated):
		return http.StatusUnauthorized
	case errors.Is(e, a2a.ErrUnauthorized):
		return http.StatusForbidden
	case errors.Is(e, a2a.ErrServerError), errors.Is(e, a2a.ErrInternalError), core.CodeOf(cause) == core.CodeTooLarge:
		return backend.StatusOf(cause)
	default:
		return http.StatusBadRequest
	}
}
