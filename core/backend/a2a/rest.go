package a2a

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// restHandler is REST, which the protocol calls HTTP+JSON. It checks a request, so that an error names its field; the library
// does the rest.
type restHandler struct {
	*Server
	current http.Handler // of version 1.0
	old     *restV03
}

// ServeHTTP implements http.Handler.
func (h *restHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, ok := known(versionOf(r))
	if !ok {
		h.refuse(w, r, unknownVersion(versionOf(r)))
		return
	}
	path := "/" + r.PathValue("rest")
	call, ok := restCall(version, r.Method, path)
	if !ok {
		if _, other := restCall(a2acheck.V10, r.Method, path); other && version == a2acheck.V03 {
			h.refuse(w, r, refuse(a2a.ErrVersionNotSupported, "this address is of version 1.0; send the header A2A-Version: 1.0"))
			return
		}
		h.nothing(w, r)
		return
	}
	if err := h.agentThere(r); err != nil {
		h.refuseAs(w, r, http.StatusNotFound, err)
		return
	}
	if err := checkQuery(h.check, version, r.URL.Query(), call); err != nil {
		h.refuse(w, r, err)
		return
	}
	if version == a2acheck.V03 {
		h.old.serve(w, r, path, call)
		return
	}
	if r.Method == http.MethodDelete { // the library answers with nothing, which clients take for broken JSON
		parts := strings.Split(path, "/")
		ctx := withAgent(r.Context(), r.PathValue("agent"))
		if err := h.DeleteTaskPushConfig(ctx, &a2a.DeleteTaskPushConfigRequest{TaskID: a2a.TaskID(parts[2]), ID: parts[4]}); err != nil {
			h.refuse(w, r, err)
			return
		}
		write(w, http.StatusOK, struct{}{})
		return
	}
	var body []byte
	if call.form != "" {
		raw, err := backend.ReadBody(r)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		if body, err = h.check.Read(version, call.form, "", raw); err != nil {
			h.refuse(w, r, err)
			return
		}
	}
	h.hand(h.current, w, r, path, body)
}

// restCalled is a call by its method and address.
type restCalled struct {
	form  string // of its body; "" = it has none
	query bool   // it lists tasks
}

// restCall finds a call.
func restCall(v a2acheck.Version, method, path string) (restCalled, bool) {
	send, push, card := "SendMessage", "Push", "/extendedAgentCard"
	if v == a2acheck.V03 {
		rest, ok := strings.CutPrefix(path, "/v1/")
		if !ok {
			return restCalled{}, false
		}
		path, send, push, card = "/"+rest, "RestSend", "RestSetPush", "/card"
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, part := range parts {
		if part == "" {
			return restCalled{}, false
		}
	}
	action := strings.HasSuffix(path, ":cancel") || strings.HasSuffix(path, ":subscribe")
	switch key := method + " " + path; {
	case key == "POST /message:send", key == "POST /message:stream":
		return restCalled{form: send}, true
	case key == "GET /tasks":
		return restCalled{query: true}, true
	case key == "GET "+card:
		return restCalled{}, true
	case parts[0] != "tasks" || len(parts) < 2:
		return restCalled{}, false
	case len(parts) == 2 && method == "GET", len(parts) == 2 && method == "POST" && action:
		return restCalled{}, true
	case len(parts) < 3 || parts[2] != "pushNotificationConfigs":
		return restCalled{}, false
	case len(parts) == 3 && method == "GET", len(parts) == 4 && (method == "GET" || method == "DELETE"):
		return restCalled{}, true
	case len(parts) == 3 && method == "POST":
		return restCalled{form: push}, true
	}
	return restCalled{}, false
}

// checkQuery holds the query of a call to its form.
func checkQuery(check *a2acheck.Checker, v a2acheck.Version, q url.Values, call restCalled) error {
	for name, values := range q {
		if len(values) > 1 {
			return wrong(name, "it is there twice")
		}
		if values[0] != core.CleanText(values[0]) {
			return wrong(name, "it holds a NUL character or is not UTF-8")
		}
	}
	for _, name := range []string{"historyLength", "pageSize"} {
		if text := q.Get(name); text != "" {
			if n, err := strconv.Atoi(text); err != nil || n < 0 || n > 1<<31-1 {
				return wrong(name, "expected a whole number, not negative")
			}
		}
	}
	if !call.query || v != a2acheck.V10 {
		return nil
	}
	params := map[string]any{"contextId": q.Get("contextId"), "pageToken": q.Get("pageToken"), "status": q.Get("status")}
	if text := q.Get("includeArtifacts"); text != "" {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return wrong("includeArtifacts", "expected true or false")
		}
		params["includeArtifacts"] = on
	}
	if n, err := strconv.Atoi(q.Get("pageSize")); err == nil {
		params["pageSize"] = n
	}
	if text := q.Get("statusTimestampAfter"); text != "" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return wrong("statusTimestampAfter", "expected a time such as 2026-11-24T13:05:00Z")
		}
	}
	b, err := json.Marshal(params)
	if err != nil {
		return err
	}
	return check.Check(v, "ListTasks", "", b)
}

// nothing answers for what there is not.
func (h *restHandler) nothing(w http.ResponseWriter, r *http.Request) {
	h.refuseAs(w, r, http.StatusNotFound, refuse(a2a.ErrMethodNotFound, "there is no such call; agents are called at /a2a/{agent}, and docs/a2a.md says how"))
}

// problem writes an error of the middleware.
func (h *restHandler) problem(w http.ResponseWriter, r *http.Request, err error) {
	h.refuseAs(w, r, backend.StatusOf(err), err)
}

func (h *restHandler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := h.asked(r.Context(), err)
	h.refuseAs(w, r, restStatus(e, err), e)
}

func (h *restHandler) refuseAs(w http.ResponseWriter, r *http.Request, status int, err error) {
	e := h.asked(r.Context(), err)
	write(w, status, map[string]any{"error": map[string]any{"code": status, "status": statusName(e), "message": e.Error(), "details": details(e)}})
}

// statusName is the name of a status of google.rpc.
func statusName(e error) string {
	for _, c := range []struct {
		kind error
		name string
	}{
		{a2a.ErrTaskNotFound, "NOT_FOUND"}, {a2a.ErrMethodNotFound, "UNIMPLEMENTED"}, {a2a.ErrUnauthenticated, "UNAUTHENTICATED"}, {a2a.ErrUnauthorized, "PERMISSION_DENIED"},
		{a2a.ErrVersionNotSupported, "FAILED_PRECONDITION"}, {a2a.ErrUnsupportedOperation, "FAILED_PRECONDITION"}, {a2a.ErrTaskNotCancelable, "FAILED_PRECONDITION"},
		{a2a.ErrPushNotificationNotSupported, "FAILED_PRECONDITION"}, {a2a.ErrServerError, "UNAVAILABLE"}, {a2a.ErrInternalError, "INTERNAL"},
	} {
		if errors.Is(e, c.kind) {
			return c.name
		}
	}
	return "INVALID_ARGUMENT"
}
