// Package ollama speaks Ollama's native dialect at /ollama/api/*, where "agent/<name>" is a model that runs the agent
// durably. It owns the dialect's forms, its errors and its streaming; nothing of them leaves the package. It knows no
// provider and no route, and it manages no models: pulling, creating and deleting them is refused.
package ollama

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/sutazai/sutazai/core/backend"
)

// prefix is before every path of the dialect; a client's base URL ends with it.
const prefix = "/ollama"

// apiVersion is the version of Ollama whose API this package follows. Clients look at it to learn what they may ask for.
const apiVersion = "0.13.0"

// Deps are the parts that the dialect calls. All are needed, except Now.
type Deps struct {
	Chats  *backend.Chats
	Logger *slog.Logger
	Now    func() time.Time // nil = time.Now
}

type handler struct {
	Deps
	since time.Time // when the routes were made: what is configured has not changed since
}

// Routes returns the routes of the dialect for backend.Deps.Routes.
func Routes(d Deps) []backend.Route {
	if d.Now == nil {
		d.Now = time.Now
	}
	h := &handler{Deps: d, since: d.Now()}
	route := func(pattern string, f http.HandlerFunc) backend.Route {
		return backend.Route{Pattern: pattern, Handler: f, Problem: h.fail}
	}
	return []backend.Route{
		route("GET "+prefix+"/{$}", h.running),
		route("GET "+prefix+"/api/version", h.version),
		route("GET "+prefix+"/api/tags", h.tags),
		route("GET "+prefix+"/api/ps", h.ps),
		route("POST "+prefix+"/api/show", h.show),
		route("POST "+prefix+"/api/chat", h.chat),
		route("POST "+prefix+"/api/generate", h.generate),
		route("POST "+prefix+"/api/embed", h.embed),
		route("POST "+prefix+"/api/embeddings", h.embeddings),
		route(prefix+"/", h.noSuchCall),
	}
}
