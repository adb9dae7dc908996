package tools

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/internal/egress"
)

const page = `<!doctype html><html><head><title> A  page </title><style>p{}</style><script>alert(1)</script></head><body>
<nav><a href="/menu">Menu</a></nav><h1>Hello</h1><p>Some <b>bold</b> text with a <a href="/more?x=1">link</a>.</p>
<img src="data:image/png;base64,AAAA" alt="pic"><noscript>no</noscript><iframe src="http://x"></iframe>
<ul><li>one</li><li>two</li></ul><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>`

// site is a server on loopback and a bundle that may reach nothing else.
func site(t *testing.T, c Config, h http.HandlerFunc) (bundle, string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	e, err := egress.New(egress.Config{AllowHosts: []string{strings.TrimPrefix(s.URL, "http://")}, Timeout: 10 * time.Second, MaxBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return setup(t, c, e), s.URL
}

func fetch(url string) map[string]string { return map[string]string{"url": url} }

func TestAPageIsReadAsText(t *testing.T) {
	t.Parallel()
	b, url := site(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Authorization")+r.Header.Get("Cookie") != "" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		answers := map[string][2]string{
			"/page":   {"text/html; charset=utf-8", page},
			"/latin":  {"text/html; charset=iso-8859-1", "<p>Gr\xfc\xdfe</p>"},
			"/meta":   {"text/html", "<meta charset=windows-1252><p>\x80 5</p>"},
			"/text":   {"text/plain", "plain <b>text</b>"},
			"/json":   {"application/json", `{"a":1}`},
			"/ld":     {"application/ld+json", `{"b":1}`},
			"/pdf":    {"application/pdf", "%PDF-1.7 x"},
			"/none":   {"", "<html><body>typeless</body></html>"},
			"/broken": {"text/html", "<p>one<div></p><table><td>two"},
			"/empty":  {"text/html", ""},
			"/script": {"text/html", "<html><body><script>render()</script></body></html>"},
		}
		a, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header()["Content-Type"] = nil
		if a[0] != "" {
			w.Header().Set("Content-Type", a[0])
		}
		fmt.Fprint(w, a[1]) //nolint:errcheck // test
	})
	for path, want := range map[string]string{
		"/page":   "Title: A page\n\n# Hello\n\nSome **bold** text with a [link](" + url + "/more?x=1).\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |",
		"/latin":  "Grüße",
		"/meta":   "€ 5",
		"/text":   "plain <b>text</b>",
		"/json":   `{"a":1}`,
		"/ld":     `{"b":1}`,
		"/pdf":    "[not text: application/pdf, 10 bytes or more. It cannot be shown]",
		"/none":   "typeless",
		"/empty":  "[the page is empty]",
		"/script": "[the page has no text; it may need a browser that runs scripts]",
	} {
		if got := b.ok("fetch_url", fetch(url+path)); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", path, got, want)
		}
	}
	if got := b.ok("fetch_url", fetch(url+"/broken")); !strings.Contains(got, "one") || !strings.Contains(got, "two") {
		t.Errorf("got %q", got)
	}
	if got := b.fails("fetch_url", fetch(url+"/nope?token=hush")); got != "127.0.0.1 answered 404 Not Found" {
		t.Errorf("got %s", got)
	}
}

func TestALongPageIsReadInParts(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for i := range 400 {
		fmt.Fprintf(&want, "line %d äöü\n", i)
	}
	b, url := site(t, Config{OutputMax: 1000}, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, want.String()) //nolint:errcheck // test
	})
	note := regexp.MustCompile(`\n\[bytes \d+ to \d+ of \d+; to read on, call fetch_url with offset (\d+)\]$`)
	var all strings.Builder
	for offset := 0; ; {
		text := b.ok("fetch_url", map[string]any{"url": url, "offset": offset})
		m := note.FindStringSubmatch(text)
		if m == nil {
			all.WriteString(text)
			break
		}
		all.WriteString(strings.TrimSuffix(text, m[0]))
		next, err := strconv.Atoi(m[1])
		if err != nil || next <= offset || len(text) > 1000 {
			t.Fatalf("offset %d is followed by %d with %d bytes", offset, next, len(text))
		}
		offset = next
	}
	if all.String() != want.String() {
		t.Errorf("the parts make %d bytes, want %d", all.Len(), want.Len())
	}
	b.fails("fetch_url", map[string]any{"url": url, "offset": 1 << 30})
}

func TestHostilePagesAreSurvived(t *testing.T) {
	t.Parallel()
	b, url := site(t, Config{OutputMax: 4000}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/deep":
			fmt.Fprint(w, strings.Repeat("<div>", 100_000)) //nolint:errcheck // test
		case "/attributes":
			fmt.Fprint(w, "<p "+strings.Repeat("a=1 ", 200_000)+">x</p>") //nolint:errcheck // test
		case "/long":
			fmt.Fprint(w, "<p>"+strings.Repeat("x ", 3<<20)+"</p>") //nolint:errcheck // test
		case "/lists":
			fmt.Fprint(w, strings.Repeat("<ul><li>x", 20_000)) //nolint:errcheck // test
		case "/table":
			fmt.Fprint(w, "<table>"+strings.Repeat("<tr><td>x", 50_000)) //nolint:errcheck // test
		case "/nul":
			fmt.Fprint(w, "<p>a\x00b</p>") //nolint:errcheck // test
		}
	})
	for _, path := range []string{"/deep", "/attributes", "/long", "/lists", "/table", "/nul"} {
		start := time.Now()
		res := b.do("fetch_url", fetch(url+path))
		if took := time.Since(start); took > 20*time.Second || len(res.Text) > 4200 {
			t.Errorf("%s took %s and gave %d bytes", path, took, len(res.Text))
		} else {
			t.Logf("%s: %s, error %v", path, took, res.IsError)
		}
	}
}

func TestFetchReachesNothingPrivate(t *testing.T) {
	t.Parallel()
	b, url := site(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	for _, u := range []string{"http://127.0.0.1:1/", "http://[::1]/", "http://169.254.169.254/", "http://10.0.0.1/", "file:///etc/passwd", url} {
		got := b.fails("fetch_url", fetch(u))
		if !strings.Contains(got, "may not be reached") && !strings.Contains(got, "only http and https") {
			t.Errorf("%s: %s", u, got)
		}
	}
	for _, u := range []string{"example.org/page", "http://a b/", "http://user:hush@example.org/", "https://"} {
		if got := b.fails("fetch_url", fetch(u)); strings.Contains(got, "hush") && !strings.HasPrefix(got, "an address must not") {
			t.Errorf("%s: %s", u, got)
		}
	}
}
