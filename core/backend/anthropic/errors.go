package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// requestHeader carries the request's id in this dialect, beside the header that every answer has.
const requestHeader = "Request-Id"

// statusOverloaded is the dialect's own status for a server that cannot take more.
const statusOverloaded = 529

// apiError is an error as Anthropic writes it.
type apiError struct {
	Status  int    `json:"-"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *apiError) Error() string { return e.Message }

// errorBody is a whole answer that is an error, and the data of an error event.
type errorBody struct {
	Type      string    `json:"type"` // always "error"
	Error     *apiError `json:"error"`
	RequestID string    `json:"request_id,omitempty"`
}

// invalid is an error about a field, which the message begins with, as the dialect does.
func invalid(field, format string, args ...any) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: "invalid_request_error", Message: field + ": " + fmt.Sprintf(format, args...)}
}

// kinds maps every code to the dialect's status and type. Clients try again by themselves on 408, 409, 429 and from 500 on.
func kinds() map[core.Code]apiError {
	const wrong, failed = "invalid_request_error", "api_error"
	return map[core.Code]apiError{
		core.CodeInvalid:      {Status: http.StatusBadRequest, Type: wrong},
		core.CodeNotFound:     {Status: http.StatusNotFound, Type: "not_found_error"},
		core.CodeConflict:     {Status: http.StatusConflict, Type: "conflict_error"},
		core.CodeUnauthorized: {Status: http.StatusUnauthorized, Type: "authentication_error"},
		core.CodeForbidden:    {Status: http.StatusForbidden, Type: "permission_error"},
		core.CodeLimit:        {Status: http.StatusBadRequest, Type: wrong},
		core.CodeRateLimited:  {Status: http.StatusTooManyRequests, Type: "rate_limit_error"},
		core.CodeUnavailable:  {Status: statusOverloaded, Type: "overloaded_error"},
		core.CodeTimeout:      {Status: http.StatusGatewayTimeout, Type: "timeout_error"},
		core.CodeCancelled:    {Status: http.StatusBadRequest, Type: wrong}, // a person stopped it: not to be begun anew
		core.CodeTooLarge:     {Status: http.StatusRequestEntityTooLarge, Type: "request_too_large"},
		core.CodeStorageFull:  {Status: http.StatusInsufficientStorage, Type: failed},
		core.CodeRefused:      {Status: http.StatusBadRequest, Type: wrong},
		core.CodeContextFull:  {Status: http.StatusBadRequest, Type: wrong},
		core.CodeInternal:     {Status: http.StatusInternalServerError, Type: failed},
	}
}

func toAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*dialect.UnknownModel](err); ok {
		return &apiError{Status: http.StatusNotFound, Type: "not_found_error", Message: "model: " + core.MessageOf(e.Err)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = core.Wrap(core.CodeTimeout, err, "the request took longer than the server allows")
	}
	code := core.CodeOf(err)
	k, ok := kinds()[code]
	if !ok {
		k = kinds()[core.CodeInternal]
	}
	k.Message = core.MessageOf(err)
	if code == core.CodeContextFull {
		k.Message = "prompt is too long: " + k.Message // the words by which clients know it, and shorten the conversation
	}
	if e, ok := errors.AsType[*core.Error](err); ok && code == core.CodeInvalid && len(e.Fields) > 0 {
		k.Message = e.Fields[0].Field + ": " + k.Message
	}
	return &k
}

// fail writes err as Anthropic does, and logs it if it is the server's fault.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	backend.LogFault(r.Context(), h.Logger, err)
	e := toAPIError(err)
	if after := core.RetryAfterOf(err); after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(float64(after)/float64(time.Second)))))
	}
	writeJSON(w, r, e.Status, errorBody{Type: "error", Error: e, RequestID: backend.RequestID(r.Context())})
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"type":"error","error":{"type":"api_error","message":"the answer cannot be written as JSON"}}`)
	}
	writeBytes(w, r, status, b)
}

func writeBytes(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	w.Header().Set(requestHeader, backend.RequestID(r.Context()))
	_ = backend.WriteBody(w, status, "application/json", b) // a client that has left is told nothing
}
