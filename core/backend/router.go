package backend

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// router is the mux with the guard of the access table before each handler.
type router struct {
	s        *server
	mux      *http.ServeMux
	table    map[string]access
	patterns []string
	errs     []error
}

func newRouter(s *server, table map[string]access) *router {
	return &router{s: s, mux: http.NewServeMux(), table: table}
}

// handle registers a pattern; fail writes errors of the guard, nil in the form of RFC 9457.
func (rt *router) handle(pattern string, h http.Handler, fail func(http.ResponseWriter, *http.Request, error)) {
	a, ok := rt.table[pattern]
	if !ok {
		rt.errs = append(rt.errs, fmt.Errorf("route %q has no row in the access table", pattern))
		return
	}
	if fail == nil {
		fail = rt.s.problem
	}
	rt.patterns = append(rt.patterns, pattern)
	rt.mux.Handle(pattern, rt.s.guard(pattern, a, fail, h))
}

// HandleFunc and ServeHTTP make the router the mux that huma's adapter wants.
func (rt *router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	rt.handle(pattern, http.HandlerFunc(h), nil)
}

// ServeHTTP serves without the middleware around the router.
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.mux.ServeHTTP(w, r) }

func (s *server) problem(w http.ResponseWriter, r *http.Request, err error) {
	WriteProblem(w, r, s.log, err)
}

// fallbackRoutes answer what no other route takes: under /api/ an error, elsewhere the console.
func (s *server) fallbackRoutes(console http.Handler) {
	s.router.handle("/api/", http.HandlerFunc(s.noSuchCall), nil)
	if console == nil {
		console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.problem(w, r, core.Errorf(core.CodeNotFound, "there is nothing at this address; the API is described at /api/docs"))
		})
	}
	s.router.handle("/", s.misdirected(console), nil)
}

// misdirected tells clients of models that have left out /v1 where they want to go. A browser's GET is for the console,
// which has pages of such names.
func (s *server) misdirected(console http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, _, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
		known := slices.Contains([]string{"chat", "messages", "responses", "embeddings", "models"}, call)
		if !known || r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			console.ServeHTTP(w, r)
			return
		}
		WriteOpenAIError(w, r, s.log, &OpenAIError{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
			Message: "Unknown request URL: " + r.Method + " " + short(r.URL.Path) + "; did you mean /v1" + short(r.URL.Path) + "? A client's base URL is this server's address and /v1 (and without it for Anthropic's clients)."})
	})
}

// noSuchCall tells a wrong method from a wrong address.
func (s *server) noSuchCall(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := s.router.mux.Handler(probe); strings.HasPrefix(pattern, m+" ") {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		s.problem(w, r, core.Errorf(core.CodeNotFound, "there is no such call; the API is described at /api/docs"))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.problem(w, r, newProblem(core.CodeInvalid, http.StatusMethodNotAllowed, "Wrong method",
		"this address takes "+strings.Join(allowed, ", ")+"; the API is described at /api/docs", nil))
}
