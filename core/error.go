package core

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure an Error is. Each outside surface (HTTP, exit codes) maps codes in one place.
type Code string

// The codes. A new code needs a row in every surface's map; tests hold those maps complete.
const (
	CodeInvalid      Code = "invalid"      // the input is wrong; the message says what, where and how to mend it
	CodeNotFound     Code = "not_found"    // there is no such thing
	CodeConflict     Code = "conflict"     // it was decided, changed or finished meanwhile
	CodeUnauthorized Code = "unauthorized" // no valid credential
	CodeForbidden    Code = "forbidden"    // a valid credential without the right
	CodeLimit        Code = "limit"        // a limit or budget stopped it
	CodeRateLimited  Code = "rate_limited" // too many requests; try again later
	CodeUnavailable  Code = "unavailable"  // a server, database or model cannot be reached
	CodeTimeout      Code = "timeout"      // it took longer than allowed
	CodeCancelled    Code = "cancelled"    // a person or client stopped it
	CodeTooLarge     Code = "too_large"    // the body or file is larger than allowed
	CodeStorageFull  Code = "storage_full" // no space left for data
	CodeRefused      Code = "refused"      // a model or guardrail refused
	CodeContextFull  Code = "context_full" // the conversation does not fit the model's context
	CodeInternal     Code = "internal"     // a defect of ours; the log has the details
)

// FieldError names one wrong field of an input.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is the project's one error type. Message is safe to show to a user; Err is for logs only.
type Error struct {
	Code       Code
	Message    string
	Fields     []FieldError
	RetryAfter time.Duration // how long to wait before the same may be tried again; 0 = not known
	Err        error
}

// Error returns the user's message followed by the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a formatted message that a user may read.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error whose cause is kept for logs and never shown to a user.
func Wrap(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal for any other error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// RetryAfterOf returns how long err says to wait, 0 where it does not say.
func RetryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// MessageOf returns what a user may read of err.
func MessageOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "internal error; the server's log has the details"
}
