//go:build no_ui

package frontend

import "net/http"

// Handler serves a page which says that this program was built without its console.
func Handler(func(*http.Request) string) http.Handler {
	return notice(http.StatusOK, "SutazAI is running",
		"This program was built without its web console (build tag no_ui). The API and the command line work as always; the API is described at /api/docs.")
}
