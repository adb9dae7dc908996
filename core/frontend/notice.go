package frontend

import (
	"fmt"
	"html"
	"net/http"
)

// notice answers every request with one plain page.
func notice(status int, title, text string) http.Handler {
	page := fmt.Sprintf("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"+
		"<title>%[1]s</title><h1>%[1]s</h1><p>%[2]s</p></html>\n", html.EscapeString(title), html.EscapeString(text))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(page)) // a client that left needs no answer
	})
}
