package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// OpenAIError is an error as OpenAI's dialects (chat, responses) write it. Its fields are safe to show.
type OpenAIError struct {
	Status     int
	Message    string
	Type       string
	Param      string // the field that is wrong; "" = null
	Code       string // "" = null
	RetryAfter time.Duration
}

// Error returns the message.
func (e *OpenAIError) Error() string { return e.Message }

// MarshalJSON writes param and code as null where they are empty: clients expect the fields.
func (e *OpenAIError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}{e.Message, e.Type, orNull(e.Param), orNull(e.Code)})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// OpenAIBadRequest is the error for a field with a wrong value.
func OpenAIBadRequest(param, format string, args ...any) *OpenAIError {
	return &OpenAIError{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: param, Message: fmt.Sprintf(format, args...)}
}

// openAIErrors maps every code to OpenAI's status, type and code.
func openAIErrors() map[core.Code]OpenAIError {
	const invalid, server = "invalid_request_error", "server_error"
	return map[core.Code]OpenAIError{
		core.CodeInvalid:      {Status: http.StatusBadRequest, Type: invalid},
		core.CodeNotFound:     {Status: http.StatusNotFound, Type: invalid, Code: "not_found"},
		core.CodeConflict:     {Status: http.StatusConflict, Type: invalid, Code: "conflict"},
		core.CodeUnauthorized: {Status: http.StatusUnauthorized, Type: invalid, Code: "invalid_api_key"},
		core.CodeForbidden:    {Status: http.StatusForbidden, Type: "permission_error", Code: "permission_denied"},
		core.CodeLimit:        {Status: http.StatusBadRequest, Type: "limit_exceeded", Code: "limit_exceeded"},
		core.CodeRateLimited:  {Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "rate_limit_exceeded"},
		core.CodeUnavailable:  {Status: http.StatusServiceUnavailable, Type: server, Code: "unavailable"},
		core.CodeTimeout:      {Status: http.StatusGatewayTimeout, Type: server, Code: "timeout"},
		core.CodeCancelled:    {Status: http.StatusConflict, Type: server, Code: "cancelled"},
		core.CodeTooLarge:     {Status: http.StatusRequestEntityTooLarge, Type: invalid, Code: "request_too_large"},
		core.CodeStorageFull:  {Status: http.StatusInsufficientStorage, Type: server, Code: "storage_full"},
		core.CodeRefused:      {Status: http.StatusBadRequest, Type: invalid, Code: "content_filter"},
		core.CodeContextFull:  {Status: http.StatusBadRequest, Type: invalid, Code: "context_length_exceeded"},
		core.CodeInternal:     {Status: http.StatusInternalServerError, Type: server, Code: "internal_error"},
	}
}

// ToOpenAIError says what of err an OpenAI client is told.
func ToOpenAIError(err error) *OpenAIError {
	if e, ok := errors.AsType[*OpenAIError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*dialect.UnknownModel](err); ok {
		return &OpenAIError{Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
			Message: "The model does not exist: " + core.MessageOf(e.Err)}
	}
	k, ok := openAIErrors()[core.CodeOf(err)]
	if !ok {
		k = openAIErrors()[core.CodeInternal]
	}
	k.Message, k.RetryAfter = core.MessageOf(err), core.RetryAfterOf(err)
	if e, ok := errors.AsType[*core.Error](err); ok && len(e.Fields) > 0 {
		k.Param = e.Fields[0].Field
	}
	return &k
}

// WriteOpenAIError writes err as OpenAI does, and logs it if it is the server's fault.
func WriteOpenAIError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	e := ToOpenAIError(err)
	if e.Status >= http.StatusInternalServerError {
		LogFault(r.Context(), log, err)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	WriteOpenAIJSON(w, e.Status, map[string]*OpenAIError{"error": e})
}

// WriteOpenAIJSON writes an object of OpenAI's dialects.
func WriteOpenAIJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // cannot be: these are our own types
		status, b = http.StatusInternalServerError, []byte(`{"error":{"message":"internal error","type":"server_error","param":null,"code":"internal_error"}}`)
	}
	_ = WriteBody(w, status, "application/json", append(b, '\n')) // a client that has left is told nothing
}
