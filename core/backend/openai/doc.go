// Package openai speaks OpenAI's chat dialect: /v1/chat/completions, /v1/embeddings and /v1/models. It owns the dialect's
// forms, its errors and its streaming; nothing of them leaves the package.
package openai

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core/backend"
)

// Deps are the parts that the dialect calls. All are needed but the last two.
type Deps struct {
	Chats     *backend.Chats
	Logger    *slog.Logger
	Now       func() time.Time // nil = time.Now
	KeepAlive time.Duration    // between comments in a silent stream; 0 = 15 s
}

type handler struct {
	Deps
}

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
		route("POST /v1/chat/completions", h.chat),
		route("POST /v1/embeddings", h.embeddings),
		route("GET /v1/models", h.listModels),
		route("GET /v1/models/{model...}", h.getModel),
		route("/v1/", func(w http.ResponseWriter, r *http.Request) {
			h.fail(w, r, &backend.OpenAIError{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
				Message: "Unknown request URL: " + r.Method + " " + r.URL.Path})
		}),
	}
}
