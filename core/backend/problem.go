package backend

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sutazai/sutazai/core"
)

// statuses maps every code to its HTTP status and title, here and nowhere else.
func statuses() map[core.Code]status {
	return map[core.Code]status{
		core.CodeInvalid:      {http.StatusUnprocessableEntity, "Invalid input"},
		core.CodeNotFound:     {http.StatusNotFound, "Not found"},
		core.CodeConflict:     {http.StatusConflict, "Conflict"},
		core.CodeUnauthorized: {http.StatusUnauthorized, "Not signed in"},
		core.CodeForbidden:    {http.StatusForbidden, "Not allowed"},
		core.CodeLimit:        {http.StatusUnprocessableEntity, "Stopped by a limit"},
		core.CodeRateLimited:  {http.StatusTooManyRequests, "Too many requests"},
		core.CodeUnavailable:  {http.StatusServiceUnavailable, "Unavailable"},
		core.CodeTimeout:      {http.StatusGatewayTimeout, "Took too long"},
		core.CodeCancelled:    {http.StatusConflict, "Cancelled"},
		core.CodeTooLarge:     {http.StatusRequestEntityTooLarge, "Too large"},
		core.CodeStorageFull:  {http.StatusInsufficientStorage, "No space left"},
		core.CodeRefused:      {http.StatusUnprocessableEntity, "Refused"},
		core.CodeContextFull:  {http.StatusUnprocessableEntity, "Conversation too long"},
		core.CodeInternal:     {http.StatusInternalServerError, "Internal error"},
	}
}

type status struct {
	code  int
	title string
}

// StatusOf returns the HTTP status of an error.
func StatusOf(err error) int { return toProblem(err).Status }

// Problem is an error as RFC 9457 writes it, with the project's code and the wrong fields.
type Problem struct {
	Type   string            `json:"type" doc:"Where the code is explained." example:"/api/docs#error-invalid"`
	Title  string            `json:"title" doc:"The kind of problem."`
	Status int               `json:"status" doc:"The HTTP status."`
	Detail string            `json:"detail" doc:"What went wrong and how to mend it."`
	Code   core.Code         `json:"code" doc:"The kind of problem, for programs."`
	Errors []core.FieldError `json:"errors" doc:"The wrong fields of the input."`
}

// Error makes a Problem an error, as huma needs it.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of RFC 9457.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(code core.Code, statusCode int, title, detail string, fields []core.FieldError) *Problem {
	if fields == nil {
		fields = []core.FieldError{}
	}
	return &Problem{Type: "/api/docs#error-" + string(code), Title: title, Status: statusCode, Detail: detail, Code: code, Errors: fields}
}

// toProblem makes a Problem of any error. What is not a core.Error is shown as an internal error without its text.
func toProblem(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if _, known := errors.AsType[*core.Error](err); !known {
		if errors.Is(err, context.DeadlineExceeded) {
			err = core.Wrap(core.CodeTimeout, err, "the request took longer than the server allows")
		} else if errors.Is(err, context.Canceled) {
			err = core.Wrap(core.CodeCancelled, err, "the request was given up")
		}
	}
	code := core.CodeOf(err)
	st, ok := statuses()[code]
	if !ok {
		code, st = core.CodeInternal, statuses()[core.CodeInternal]
	}
	var fields []core.FieldError
	if e, ok := errors.AsType[*core.Error](err); ok {
		fields = e.Fields
	}
	return newProblem(code, st.code, st.title, core.MessageOf(err), fields)
}

// fromHuma rewrites huma's own error. It drops the values that huma echoes: they may hold a secret.
func fromHuma(m *huma.ErrorModel) *Problem {
	code := core.CodeInvalid
	switch {
	case m.Status == http.StatusRequestEntityTooLarge:
		code = core.CodeTooLarge
	case m.Status == http.StatusRequestTimeout:
		code = core.CodeTimeout
	case m.Status >= 500:
		code = core.CodeInternal
	}
	var (
		fields []core.FieldError
		texts  []string
	)
	for _, e := range m.Errors {
		if e == nil {
			continue
		}
		_, field, ok := strings.Cut(e.Location, ".")
		if !ok {
			field = e.Location
		}
		if _, rest, missing := strings.Cut(e.Message, "expected required property "); missing && field == "body" {
			field, _, _ = strings.Cut(rest, " ")
		}
		fields = append(fields, core.FieldError{Field: field, Message: e.Message})
		if len(texts) < 3 {
			texts = append(texts, strings.TrimPrefix(field+": ", ": ")+e.Message)
		}
	}
	detail := m.Detail
	if len(texts) > 0 {
		detail = strings.Join(texts, "; ")
	}
	if code == core.CodeInternal {
		detail, fields = core.MessageOf(errors.New(m.Detail)), nil
	}
	return newProblem(code, m.Status, statuses()[code].title, detail, fields)
}

// WriteProblem writes err in the form of RFC 9457 and logs it if it is the server's fault.
func WriteProblem(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := toProblem(err)
	LogFault(r.Context(), log, err)
	body, mErr := json.Marshal(p)
	if mErr != nil { // texts and numbers only: it cannot happen, and must not be hidden if it does
		log.Error("problem not encoded", "error", mErr)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that has left needs no answer
}

// LogFault logs an error that is the server's fault. Of one that asks to come back later, such as a model that is left
// alone for a while, what led to it has been logged, and there is one for each request meanwhile.
func LogFault(ctx context.Context, log *slog.Logger, err error) {
	if toProblem(err).Status < 500 {
		return
	}
	level := slog.LevelError
	if core.CodeOf(err) == core.CodeUnavailable && core.RetryAfterOf(err) > 0 {
		level = slog.LevelDebug
	}
	log.Log(ctx, level, "request failed", "error", err, "request_id", RequestID(ctx))
}
