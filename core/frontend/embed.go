//go:build !no_ui

package frontend

import (
	"embed"
	"io/fs"
	"net/http"
)

// dist is what scripts/pack.mjs wrote. The committed .keep lets the program build before the console was built.
//
//go:embed all:dist
var dist embed.FS

// Handler serves the console: hashed assets to be kept for ever, and index.html for every other path, because the
// console routes by itself. nonce returns the Content-Security-Policy nonce of a response, which the caller puts
// into the header; nil means that there is none. Without a built console every page says so, with status 503.
func Handler(nonce func(*http.Request) string) http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil { // only an invalid name can cause it
		return notice(http.StatusInternalServerError, "The console cannot be read", err.Error())
	}
	return newHandler(files, nonce)
}
