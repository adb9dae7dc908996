//go:build !no_ui

package frontend

import (
	"compress/gzip"
	"encoding/json"
	"html"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// Placeholders in index.html, written by vite.config.ts and index.html.
const (
	noncePlaceholder   = "__CSP_NONCE__"
	themePlaceholder   = "__THEME__"
	preloadPlaceholder = "<!--preload-->"

	// themeCookie remembers a chosen theme, so that the first paint already has it.
	themeCookie = "sutazai_theme"
)

type handler struct {
	files   fs.FS
	index   string
	preload map[string][]string // first path segments ("runs/*" for a second one) -> scripts of that route
	nonce   func(*http.Request) string
}

// newHandler serves a packed console: index.html, preload.json, and every other file as name.gz and name.br.
func newHandler(files fs.FS, nonce func(*http.Request) string) http.Handler {
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return notice(http.StatusServiceUnavailable, "The console was not built",
			"This program was compiled before the web console was: run \"npm ci\" and \"npm run build\" in core/frontend, then build the program again. The API and the command line work without it.")
	}
	h := &handler{files: files, index: string(index), nonce: nonce}
	// Preloading only saves a round trip: without a readable list the console works, a little later.
	if list, err := fs.ReadFile(files, "preload.json"); err == nil && json.Unmarshal(list, &h.preload) != nil {
		h.preload = nil
	}
	return h
}

// ServeHTTP answers GET and HEAD.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the console answers only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if h.serveFile(w, r, name) {
		return
	}
	if strings.HasPrefix(name, "assets/") { // of another version: a page in its place would be taken for a script
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	h.serveIndex(w, r, name)
}

// serveFile serves the packed file of that name in the best encoding that the client takes; false if there is none.
func (h *handler) serveFile(w http.ResponseWriter, r *http.Request, name string) bool {
	contentType := typeOf(name)
	if contentType == "" || !fs.ValidPath(name) {
		return false
	}
	encoding := choose(r.Header.Get("Accept-Encoding"))
	suffix := map[string]string{"br": ".br", "gzip": ".gz", "": ".gz"}[encoding]
	f, err := h.files.Open(name + suffix)
	if err != nil {
		return false
	}
	defer f.Close()
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Add("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, "assets/") { // its name changes with its content
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "public, max-age=3600")
	}
	if encoding == "" {
		plain, err := gzip.NewReader(f)
		if err != nil {
			http.Error(w, "the console's file is damaged", http.StatusInternalServerError)
			return true
		}
		if r.Method == http.MethodGet {
			_, _ = io.Copy(w, plain) // a client that left needs no answer
		}
		return true
	}
	header.Set("Content-Encoding", encoding)
	content, ok := f.(io.ReadSeeker)
	if !ok {
		http.Error(w, "the console's file cannot be read", http.StatusInternalServerError)
		return true
	}
	http.ServeContent(w, r, "", time.Time{}, content)
	return true
}

func (h *handler) serveIndex(w http.ResponseWriter, r *http.Request, name string) {
	nonce := ""
	if h.nonce != nil {
		nonce = h.nonce(r)
	}
	theme := ""
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "dark" || c.Value == "light") {
		theme = c.Value
	}
	page := strings.NewReplacer(
		noncePlaceholder, html.EscapeString(nonce),
		themePlaceholder, theme,
		preloadPlaceholder, h.preloadTags(name),
	).Replace(h.index)
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store") // it holds this response's nonce
	header.Set("Content-Length", strconv.Itoa(len(page)))
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, page) // a client that left needs no answer
	}
}

// preloadTags names the scripts that the page at this path needs, so that they load beside the entry and not after it.
func (h *handler) preloadTags(name string) string {
	first, rest, deeper := strings.Cut(name, "/")
	key := first
	if deeper && rest != "" {
		key += "/*"
	}
	var b strings.Builder
	for _, script := range h.preload[key] {
		b.WriteString(`<link rel="modulepreload" crossorigin href="` + html.EscapeString(script) + `">`)
	}
	return b.String()
}

// typeOf knows the types that the build makes; the machine's own table may differ from one to the next.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return ""
}

// choose picks brotli, gzip or "" (plain) by an Accept-Encoding header (RFC 9110, 12.5.3).
func choose(accept string) string {
	quality := map[string]float64{}
	for item := range strings.SplitSeq(accept, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			parsed, err := strconv.ParseFloat(v, 64)
			if err != nil {
				parsed = 0
			}
			q = parsed
		}
		quality[strings.ToLower(strings.TrimSpace(coding))] = q
	}
	wanted := func(coding string) float64 {
		if q, ok := quality[coding]; ok {
			return q
		}
		return quality["*"]
	}
	br, gz := wanted("br"), wanted("gzip")
	switch {
	case br > 0 && br >= gz:
		return "br"
	case gz > 0:
		return "gzip"
	}
	return ""
}
