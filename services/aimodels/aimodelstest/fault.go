package aimodelstest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Fault is a failure on the wire. A scripted HTTP server plays it for real; a scripted provider returns the error that
// a provider would make of it.
type Fault struct {
	Status     int           // answer with this HTTP status …
	RetryAfter time.Duration // … this Retry-After, in whole seconds …
	Message    string        // … and this error message
	Text       string        // stream this text first (with Reset, Garbage or Endless)
	Reset      bool          // break the connection
	Garbage    bool          // send what is not JSON
	Endless    bool          // never stop sending
}

// Error describes the fault.
func (f Fault) Error() string {
	return fmt.Sprintf("scripted fault: status %d, reset %t, garbage %t", f.Status, f.Reset, f.Garbage)
}

// Turn plays the fault.
func (f Fault) Turn() Turn {
	return func(_ context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		if f.Text != "" && onDelta != nil {
			onDelta(core.Delta{Text: f.Text})
		}
		return core.ModelResponse{}, f
	}
}

// asProvider is what a provider makes of the fault.
func (f Fault) asProvider() error {
	switch {
	case f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden:
		return &aimodels.CallError{Err: core.Errorf(core.CodeUnauthorized, "the scripted model refuses the key")}
	case f.Status == http.StatusNotFound:
		return &aimodels.CallError{Err: core.Errorf(core.CodeNotFound, "the scripted model is not there")}
	case f.Status == http.StatusBadRequest:
		return &aimodels.CallError{Err: core.Errorf(core.CodeInvalid, "the scripted model refuses the request: %s", f.Message)}
	default:
		return aimodels.Retryable(&core.Error{Code: core.CodeUnavailable, Message: "the scripted model failed", RetryAfter: f.RetryAfter})
	}
}
