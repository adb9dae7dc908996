//go:build !no_ui

package frontend

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func packed(t *testing.T) fstest.MapFS {
	t.Helper()
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := w.Write([]byte("export{}")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"index.html":           {Data: []byte(`<html data-theme="__THEME__"><meta nonce="__CSP_NONCE__"><!--preload--></html>`)},
		"preload.json":         {Data: []byte(`{"":["/assets/home-1.js"],"runs/*":["/assets/run-1.js"]}`)},
		"assets/entry-1.js.gz": {Data: gz.Bytes()},
		"assets/entry-1.js.br": {Data: []byte("brotli")},
		"favicon.svg.gz":       {Data: gz.Bytes()},
		"favicon.svg.br":       {Data: []byte("brotli")},
	}
}

func get(t *testing.T, h http.Handler, method, target string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAssetsAreServedInTheEncodingThatTheClientTakes(t *testing.T) {
	t.Parallel()
	h := newHandler(packed(t), nil)
	for name, tc := range map[string]struct{ accept, encoding, body string }{
		"a browser gets brotli":                {"gzip, deflate, br, zstd", "br", "brotli"},
		"gzip only":                            {"gzip", "gzip", ""},
		"brotli refused by quality":            {"br;q=0, gzip;q=0.5", "gzip", ""},
		"gzip preferred":                       {"br;q=0.1, gzip", "gzip", ""},
		"anything":                             {"*", "br", "brotli"},
		"nothing gets the plain file":          {"", "", "export{}"},
		"identity gets the plain file":         {"identity", "", "export{}"},
		"a broken quality counts as a refusal": {"br;q=x", "", "export{}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := get(t, h, http.MethodGet, "/assets/entry-1.js", map[string]string{"Accept-Encoding": tc.accept})
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != tc.encoding {
				t.Fatalf("status %d, encoding %q; want 200, %q", res.StatusCode, res.Header.Get("Content-Encoding"), tc.encoding)
			}
			if got := body(t, res); tc.body != "" && got != tc.body {
				t.Fatalf("body %q, want %q", got, tc.body)
			}
			if got := res.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
				t.Fatalf("Cache-Control %q", got)
			}
			if res.Header.Get("Vary") != "Accept-Encoding" || res.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
				t.Fatalf("headers %v", res.Header)
			}
		})
	}
}

func TestEveryOtherPathGetsTheConsole(t *testing.T) {
	t.Parallel()
	h := newHandler(packed(t), func(*http.Request) string { return `n0"nce` })
	for path, preload := range map[string]string{
		"/":                     `<link rel="modulepreload" crossorigin href="/assets/home-1.js">`,
		"/runs/019ab3":          `<link rel="modulepreload" crossorigin href="/assets/run-1.js">`,
		"/runs":                 "",
		"/no/such/page":         "",
		"/preload.json":         "",
		"/assets":               "",
		"/..%2f..%2fetc/passwd": "",
	} {
		res := get(t, h, http.MethodGet, path, map[string]string{"Cookie": "sutazai_theme=dark"})
		want := `<html data-theme="dark"><meta nonce="n0&#34;nce">` + preload + `</html>`
		if got := body(t, res); res.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: status %d\n got %s\nwant %s", path, res.StatusCode, got, want)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
	}
}

func TestAThemeCookieCannotInjectMarkup(t *testing.T) {
	t.Parallel()
	res := get(t, newHandler(packed(t), nil), http.MethodGet, "/", map[string]string{"Cookie": `sutazai_theme=x><script>`})
	if got := body(t, res); !strings.HasPrefix(got, `<html data-theme="">`) {
		t.Fatalf("page %s", got)
	}
}

func TestAnAssetOfAnotherVersionIsNotFound(t *testing.T) {
	t.Parallel()
	res := get(t, newHandler(packed(t), nil), http.MethodGet, "/assets/entry-0.js", nil)
	if res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, headers %v", res.StatusCode, res.Header)
	}
}

func TestOnlyReadingMethodsAreAnswered(t *testing.T) {
	t.Parallel()
	h := newHandler(packed(t), nil)
	if res := get(t, h, http.MethodPost, "/", nil); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Fatalf("POST: status %d, headers %v", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/", "/assets/entry-1.js", "/favicon.svg"} {
		res := get(t, h, http.MethodHead, path, nil)
		if got := body(t, res); res.StatusCode != http.StatusOK || got != "" {
			t.Errorf("HEAD %s: status %d, body %q", path, res.StatusCode, got)
		}
	}
}

func TestAConsoleThatWasNotBuiltSaysSo(t *testing.T) {
	t.Parallel()
	res := get(t, newHandler(fstest.MapFS{".keep": {}}, nil), http.MethodGet, "/runs", nil)
	if got := body(t, res); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got, "The console was not built") {
		t.Fatalf("status %d: %s", res.StatusCode, got)
	}
}

func TestTheEmbeddedHandlerAnswers(t *testing.T) {
	t.Parallel()
	res := get(t, Handler(nil), http.MethodGet, "/", nil)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("status %d", res.StatusCode)
	}
}
