package aimodels

import (
	"errors"

	"github.com/sutazai/sutazai/core"
)

// CallError is what a provider returns when a try failed for a reason that the gateway acts on.
type CallError struct {
	Err       *core.Error // RetryAfter is how long the server asked to wait
	Retryable bool        // another try, here or at the next target, may succeed
	overload  bool        // it has too much to do
	ours      bool        // it was not asked at all
	theirs    bool        // the caller's request made it fail: that says nothing of its health
	key       bool        // it refuses the key (401), whatever it is asked
}

// Error returns the cause's text.
func (e *CallError) Error() string { return e.Err.Error() }

// Unwrap returns the core.Error.
func (e *CallError) Unwrap() error { return e.Err }

// unwell says whether the failure speaks of the target's health, so that it would better not be called for a while. A
// refused key does: it fails every call until somebody mends it. 403 does not, as it may be about one request only.
func (e *CallError) unwell() bool {
	return (e.Retryable || e.key || e.Err.Code == core.CodeTimeout) && !e.ours
}

// faulty says whether the failure is the target's or its owner's, who would like to know.
func (e *CallError) faulty() bool { return e.unwell() || e.Err.Code == core.CodeUnauthorized }

func asCallError(err error) (*CallError, bool) { return errors.AsType[*CallError](err) }

// failureOf says what kind of failure err is; false for one that another target would give as well (a wrong request) or
// that a person must mend (an unknown model). A refused key is the server's fault: another target may have a good one.
func failureOf(err error) (Failure, bool) {
	ce, ok := asCallError(err)
	if !ok {
		return "", false
	}
	switch {
	case ce.overload || ce.Err.Code == core.CodeRateLimited:
		return Overload, true
	case ce.Err.Code == core.CodeTimeout:
		return Timeout, true
	case ce.Err.Code == core.CodeContextFull:
		return Context, true
	case ce.Err.Code == core.CodeRefused:
		return Refusal, true
	case ce.Retryable, ce.Err.Code == core.CodeUnauthorized:
		return Fault, true
	default:
		return "", false
	}
}

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
