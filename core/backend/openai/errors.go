package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// apiError is an error as OpenAI writes it.
type apiError struct {
	Status  int    `json:"-"`
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"-"`
	Code    string `json:"-"`
}

// Error returns the message.
func (e *apiError) Error() string { return e.Message }

// MarshalJSON writes param and code as null where they are empty: clients expect the fields.
func (e *apiError) MarshalJSON() ([]byte, error) {
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

func badRequest(param, format string, args ...any) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: param, Message: fmt.Sprintf(format, args...)}
}

// kinds maps every code to OpenAI's status, type and code.
func kinds() map[core.Code]apiError {
	const invalid, server = "invalid_request_error", "server_error"
	return map[core.Code]apiError{
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

func toAPIError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	code := core.CodeOf(err)
	k, ok := kinds()[code]
	if !ok {
		k = kinds()[core.CodeInternal]
	}
	k.Message = core.MessageOf(err)
	if e, ok := errors.AsType[*core.Error](err); ok && len(e.Fields) > 0 {
		k.Param = e.Fields[0].Field
	}
	return &k
}

// fail writes err as OpenAI does, and logs it if it is the server's fault.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := toAPIError(err)
	if e.Status >= 500 {
		backend.LogFault(r.Context(), h.Logger, err)
	}
	writeJSON(w, e.Status, map[string]*apiError{"error": e})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The header is out; a client that has left is told nothing.
	_ = json.NewEncoder(w).Encode(v)
}
