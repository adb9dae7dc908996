package ollama

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// apiError is an error with the status that it has in this dialect, whose errors are a text and nothing else.
type apiError struct {
	Status  int
	Message string
}

// Error returns the message.
func (e *apiError) Error() string { return e.Message }

// errorBody is a whole answer that is an error, and the line that ends a stream with one.
type errorBody struct {
	Error string `json:"error"`
}

func badRequest(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// statuses maps every code to a status.
func statuses() map[core.Code]int {
	return map[core.Code]int{
		core.CodeInvalid:      http.StatusBadRequest,
		core.CodeNotFound:     http.StatusNotFound,
		core.CodeConflict:     http.StatusConflict,
		core.CodeUnauthorized: http.StatusUnauthorized,
		core.CodeForbidden:    http.StatusForbidden,
		core.CodeLimit:        http.StatusBadRequest,
		core.CodeRateLimited:  http.StatusTooManyRequests,
		core.CodeUnavailable:  http.StatusServiceUnavailable,
		core.CodeTimeout:      http.StatusGatewayTimeout,
		core.CodeCancelled:    http.StatusConflict,
		core.CodeTooLarge:     http.StatusRequestEntityTooLarge,
		core.CodeStorageFull:  http.StatusInsufficientStorage,
		core.CodeRefused:      http.StatusBadRequest,
		core.CodeContextFull:  http.StatusBadRequest,
		core.CodeInternal:     http.StatusInternalServerError,
	}
}

func toAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*dialect.UnknownModel](err); ok {
		return &apiError{http.StatusNotFound, "model not found: " + core.MessageOf(e.Err)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = core.Wrap(core.CodeTimeout, err, "the request took longer than the server allows")
	}
	status, ok := statuses()[core.CodeOf(err)]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &apiError{status, core.MessageOf(err)}
}

// fail writes err as Ollama does, and logs it if it is the server's fault.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := toAPIError(err)
	h.log(r, e, err)
	if after := core.RetryAfterOf(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(after)/float64(time.Second)))))
	}
	writeJSON(w, e.Status, errorBody{e.Message})
}

func (h *handler) log(r *http.Request, e *apiError, err error) {
	if e.Status >= http.StatusInternalServerError && e.Status != http.StatusNotImplemented {
		backend.LogFault(r.Context(), h.Logger, err)
	}
}

// unsupported says what to do in place of the calls of Ollama's that this server has no use for.
func unsupported() map[string]string {
	const pull = "this server's models are not managed over Ollama's API: `sutazai models pull` fetches a local model, and other model servers are named under models.providers of its settings"
	return map[string]string{"pull": pull, "push": pull, "create": pull, "copy": pull, "delete": pull, "blobs": pull}
}

// noSuchCall answers what no other route takes: calls that are not supported, wrong methods and wrong addresses.
func (h *handler) noSuchCall(w http.ResponseWriter, r *http.Request) {
	call, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix+"/api/"), "/")
	methods := map[string]string{
		"version": http.MethodGet, "tags": http.MethodGet, "ps": http.MethodGet, "show": http.MethodPost, "chat": http.MethodPost,
		"generate": http.MethodPost, "embed": http.MethodPost, "embeddings": http.MethodPost,
	}
	if why, ok := unsupported()[call]; ok {
		h.fail(w, r, &apiError{http.StatusNotImplemented, why})
		return
	}
	if method, ok := methods[call]; ok && r.URL.Path == prefix+"/api/"+call && r.Method != method {
		w.Header().Set("Allow", method)
		h.fail(w, r, &apiError{http.StatusMethodNotAllowed, fmt.Sprintf("/api/%s takes %s, not %s", call, method, r.Method)})
		return
	}
	h.fail(w, r, &apiError{http.StatusNotFound, "there is no such call; the base URL of a client is this server's address and " + prefix})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := encode(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	writeBytes(w, status, b)
}

func writeBytes(w http.ResponseWriter, status int, b []byte) {
	_ = backend.WriteBody(w, status, "application/json; charset=utf-8", b) // a client that has left is told nothing
}

// encode writes v as JSON and a line's end, and leaves <, > and & as they are, as Ollama does.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
