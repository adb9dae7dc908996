package backend

import "net/http"

// Patterns returns the routes of a handler that New made.
func Patterns(h http.Handler) []string { return h.(*surface).s.router.patterns }
