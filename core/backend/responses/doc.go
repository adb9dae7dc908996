// Package responses speaks the Responses dialect (OpenAI's, and the Open Responses specification): /v1/responses and what
// belongs to it. It owns the dialect's forms, its stream of events and the memory behind previous_response_id, which works
// with every model. It knows no provider.
package responses

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core/backend"
)

// keep is how long a response is stored, and what goes on from it in the meantime keeps it longer.
const keep = 30 * 24 * time.Hour

// Bounds of what is kept, in bytes: of one response with its input, and of a conversation that a call goes on from.
const (
	maxKept  = 8 << 20
	maxChain = 32 << 20
)

// Deps are the parts that the dialect calls. All are needed, but Now.
type Deps struct {
	Chats  *backend.Chats
	Store  Store
	Logger *slog.Logger
	Now    func() time.Time // nil = time.Now
}

type handler struct{ Deps }

// Routes returns the routes of the dialect for backend.Deps.Routes.
func Routes(d Deps) []backend.Route {
	if d.Now == nil {
		d.Now = time.Now
	}
	h := &handler{d}
	route := func(pattern string, f http.HandlerFunc) backend.Route {
		return backend.Route{Pattern: pattern, Handler: f, Problem: h.fail}
	}
	return []backend.Route{
		route("POST /v1/responses", h.create),
		route("GET /v1/responses/{id}", h.get),
		route("DELETE /v1/responses/{id}", h.delete),
		route("GET /v1/responses/{id}/input_items", h.inputItems),
		route("POST /v1/responses/{id}/cancel", h.cancel),
	}
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	backend.WriteOpenAIError(w, r, h.Logger, err)
}
