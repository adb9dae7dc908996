package ollama

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// OwnListener makes a handler for a listener of the dialect's own, where paths begin with /api/ as at an Ollama. h is the
// backend's whole handler with its checks; nothing but the calls of this dialect reaches it.
func OwnListener(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		// A path that is another one once it is cleaned could lead out of the dialect.
		if p != "/" && (!strings.HasPrefix(p, "/api/") || path.Clean(p) != strings.TrimSuffix(p, "/")) {
			writeJSON(w, http.StatusNotFound, errorBody{"there is nothing but Ollama's API at this address; the paths begin with /api/"})
			return
		}
		inner := *r
		inner.URL = new(url.URL)
		*inner.URL = *r.URL
		inner.URL.Path = prefix + p
		if r.URL.RawPath != "" {
			inner.URL.RawPath = prefix + r.URL.RawPath
		}
		h.ServeHTTP(w, &inner)
	})
}
