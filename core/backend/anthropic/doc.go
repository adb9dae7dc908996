// Package anthropic speaks Anthropic's Messages dialect: /v1/messages and /v1/messages/count_tokens, where "agent/<name>" is
// a model that runs the agent durably. It owns the dialect's forms, its errors and its streaming; nothing of them leaves the
// package. It knows no provider and no route.
package anthropic

import (
	"log/slog"
	"net/http"

	"github.com/sutazai/sutazai/core/backend"
)

// Deps are the parts that the dialect calls. All are needed.
type Deps struct {
	Chats  *backend.Chats
	Logger *slog.Logger
}

type handler struct {
	Deps
}

// Routes returns the routes of the dialect for backend.Deps.Routes.
func Routes(d Deps) []backend.Route {
	h := &handler{d}
	route := func(pattern string, f http.HandlerFunc) backend.Route {
		return backend.Route{Pattern: pattern, Handler: f, Problem: h.fail}
	}
	return []backend.Route{
		route("POST /v1/messages", h.messages),
		route("POST /v1/messages/count_tokens", h.countTokens),
	}
}
