package a2a

import (
	"context"
	"errors"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/errordetails"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
)

// badRequest is the type of details that name wrong fields.
const badRequest = "type.googleapis.com/google.rpc.BadRequest"

// kindOf maps codes to the protocol's errors, here and nowhere else.
func kindOf(code core.Code) error {
	switch code {
	case core.CodeInvalid, core.CodeTooLarge, core.CodeContextFull, core.CodeRefused:
		return a2a.ErrInvalidParams
	case core.CodeNotFound:
		return a2a.ErrTaskNotFound
	case core.CodeConflict, core.CodeCancelled, core.CodeLimit:
		return a2a.ErrUnsupportedOperation
	case core.CodeUnauthorized:
		return a2a.ErrUnauthenticated
	case core.CodeForbidden:
		return a2a.ErrUnauthorized
	case core.CodeRateLimited, core.CodeUnavailable, core.CodeTimeout, core.CodeStorageFull:
		return a2a.ErrServerError
	default:
		return a2a.ErrInternalError
	}
}

// fail makes of any error one that the protocol knows. What is not meant for users is logged and hidden.
func (s *Server) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*a2a.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	backend.LogFault(ctx, s.d.Logger, err)
	out := a2a.NewError(kindOf(core.CodeOf(err)), core.MessageOf(err))
	if ce, ok := errors.AsType[*core.Error](err); ok && len(ce.Fields) > 0 {
		out = out.WithTypedDetails(violations(ce.Fields))
	}
	return out
}

func violations(fields []core.FieldError) *errordetails.Typed {
	list := make([]any, len(fields))
	for i, f := range fields {
		list[i] = map[string]any{"field": f.Field, "description": f.Message}
	}
	return errordetails.NewTyped(badRequest, map[string]any{"fieldViolations": list})
}

// wrong names a field of the client's message.
func wrong(field, message string) error {
	e := core.Errorf(core.CodeInvalid, "%s", field+": "+message)
	e.Fields = []core.FieldError{{Field: field, Message: message}}
	return e
}

// refuse is an error of a kind that only the protocol knows.
func refuse(kind error, message string) error { return a2a.NewError(kind, message) }

func notFound(id a2a.TaskID) error {
	return refuse(a2a.ErrTaskNotFound, "there is no task "+quote(string(id)))
}

// quote shows a client's own text in a message, if it is short and plain.
func quote(text string) string {
	text = core.CleanText(strings.ToValidUTF8(text, ""))
	if len(text) > 64 {
		text = strings.ToValidUTF8(text[:64], "") + "…"
	}
	return "\"" + text + "\""
}
