package aimodels

import (
	"errors"
	"time"

	"github.com/sutazai/sutazai/core"
)

// CallError is what a provider returns when a try failed for a reason that the gateway acts on.
type CallError struct {
	Err        *core.Error
	Retryable  bool          // another try, here or at the next target, may succeed
	RetryAfter time.Duration // how long the server asked to wait; 0 = it did not say
}

// Error returns the cause's text.
func (e *CallError) Error() string { return e.Err.Error() }

// Unwrap returns the core.Error.
func (e *CallError) Unwrap() error { return e.Err }

// unwell says whether the failure speaks of the target's health, so that another target may do better.
func (e *CallError) unwell() bool { return e.Retryable || e.Err.Code == core.CodeTimeout }

// Retryable makes a CallError that is worth another try.
func Retryable(err *core.Error) *CallError { return &CallError{Err: err, Retryable: true} }

// AttemptsError is what the gateway returns when every try failed: the last error, and what was tried.
type AttemptsError struct {
	Err      error
	Attempts []core.Attempt
}

// Error returns the last error's text.
func (e *AttemptsError) Error() string { return e.Err.Error() }

// Unwrap returns the last error.
func (e *AttemptsError) Unwrap() error { return e.Err }

// AttemptsOf returns the tries that a gateway's error carries, nil where there are none.
func AttemptsOf(err error) []core.Attempt {
	if e, ok := errors.AsType[*AttemptsError](err); ok {
		return e.Attempts
	}
	return nil
}

// RetryAfterOf returns how long a server asked to wait before the next try, 0 where it did not say.
func RetryAfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*CallError](err); ok {
		return e.RetryAfter
	}
	return 0
}
