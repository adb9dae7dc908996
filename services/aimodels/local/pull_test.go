package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// content is a model file as far as a download sees it.
func content(n int, seed byte) []byte {
	b := bytes.Repeat([]byte{seed}, n)
	copy(b, magic)
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// hub is a model hub: it redirects to another origin, where the file is. Its fields may be changed between requests.
type hub struct {
	mu      sync.Mutex
	body    []byte
	etag    string // of the file's own origin
	linked  string // X-Linked-Etag of the hub; "" = none
	cut     int    // break the connection after so many bytes of an answer; 0 = never
	cuts    int    // how often; after that answers are whole
	noRange bool
	status  []int // answers of the file's origin before it serves
	ranges  []string
	leaks   []string // credentials that came to the file's origin

	url string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{body: content(1<<20, 'a'), etag: `"v1"`}
	h.linked = `"` + sum(h.body) + `"`
	files := httptest.NewServer(http.HandlerFunc(h.file))
	t.Cleanup(files.Close)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.URL.Path != "/org/repo/resolve/main/sub/tiny.gguf" {
			http.NotFound(w, r)
			return
		}
		if h.linked != "" {
			w.Header().Set("X-Linked-Etag", h.linked)
		}
		// Another name of this machine is another origin.
		http.Redirect(w, r, strings.Replace(files.URL, "127.0.0.1", "localhost", 1)+"/blob", http.StatusFound)
	}))
	t.Cleanup(front.Close)
	h.url = front.URL
	return h
}

func (h *hub) file(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ranges = append(h.ranges, r.Header.Get("Range"))
	h.leaks = append(h.leaks, r.Header.Get("Authorization")+r.Header.Get("Cookie"))
	if len(h.status) > 0 {
		code := h.status[0]
		h.status = h.status[1:]
		w.WriteHeader(code)
		return
	}
	w.Header().Set("Etag", h.etag)
	body := h.body
	from := 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && !h.noRange {
		if from >= len(body) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(body)))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		body = body[from:]
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if h.cut > 0 && h.cuts > 0 && h.cut < len(body) {
		h.cuts--
		_, _ = w.Write(body[:h.cut])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

const tiny = "org/repo/sub/tiny.gguf"

func (h *hub) pull(t *testing.T, ctx context.Context, ref, dest string, change func(*PullOptions)) (string, error) {
	t.Helper()
	o := PullOptions{Hub: h.url, Wait: time.Millisecond}
	if change != nil {
		change(&o)
	}
	return Pull(ctx, ref, dest, o, nil)
}

func files(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestAFileIsDownloadedCheckedAndPutInPlace(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*hub){
		"with the hub's hash":                   func(*hub) {},
		"without any hash":                      func(h *hub) { h.linked = "" },
		"a connection that breaks three times":  func(h *hub) { h.cut, h.cuts = 200_000, 3 },
		"a server that cannot go on":            func(h *hub) { h.cut, h.cuts, h.noRange = 200_000, 3, true },
		"a server that is overloaded for a bit": func(h *hub) { h.status = []int{503, 429} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, dest := newHub(t), filepath.Join(t.TempDir(), "models")
			prepare(h)
			var last, total int64
			path, err := Pull(t.Context(), tiny, dest, PullOptions{Hub: h.url, Wait: time.Millisecond}, func(d, n int64) { last, total = d, n })
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, h.body) || path != filepath.Join(dest, "tiny.gguf") || last != 1<<20 || total != 1<<20 {
				t.Errorf("%s: %d bytes, %v; progress %d of %d", path, len(got), err, last, total)
			}
			if f := files(t, dest); f != "tiny.gguf" {
				t.Errorf("left behind: %s", f)
			}
			if strings.Join(h.leaks, "") != "" {
				t.Errorf("credentials went to another origin: %q", h.leaks)
			}
		})
	}
}

func TestAnInterruptedDownloadGoesOnLater(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		linked bool
		change func(*hub) // between the two commands
		ranged bool       // the second command asks for the rest and gets it
	}{
		{name: "with the hub's hash", linked: true, ranged: true},
		{name: "by the entity tag", ranged: true},
		{name: "not when the file changed", change: func(h *hub) { h.body, h.etag = content(1<<20, 'b'), `"v2"` }},
		{name: "not when the file changed, by its hash", linked: true, change: func(h *hub) { h.body = content(1<<20, 'b'); h.linked = sum(h.body) }},
		{name: "not when it became shorter", change: func(h *hub) { h.body, h.etag = content(100_000, 'b'), `"v2"` }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, dest := newHub(t), t.TempDir()
			if !c.linked {
				h.linked = ""
			}
			ctx, cancel := context.WithCancel(t.Context())
			h.cut, h.cuts = 300_000, 1
			o := PullOptions{Hub: h.url, Wait: time.Hour}
			_, err := Pull(ctx, tiny, dest, o, func(done, _ int64) {
				if done == 300_000 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			if f := files(t, dest); f != "tiny.gguf.part tiny.gguf.part.tag" {
				t.Fatalf("files: %s", f)
			}
			if c.change != nil {
				c.change(h)
			}
			h.ranges = nil
			path, err := h.pull(t, t.Context(), tiny, dest, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, h.body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if h.ranges[0] != "bytes=300000-" || c.ranged != (len(h.ranges) == 1) {
				t.Errorf("asked for %q", h.ranges)
			}
		})
	}
}

func TestAWholePartialFileNeedsNoMoreBytes(t *testing.T) {
	t.Parallel()
	h, dest := newHub(t), t.TempDir()
	for name, b := range map[string][]byte{"tiny.gguf.part": h.body, "tiny.gguf.part.tag": []byte("sha256:" + sum(h.body))} {
		if err := os.WriteFile(filepath.Join(dest, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.pull(t, t.Context(), tiny, dest, nil); err != nil {
		t.Fatal(err)
	}
	if f := files(t, dest); f != "tiny.gguf" || len(h.ranges) != 1 {
		t.Errorf("files %s, ranges %q", f, h.ranges)
	}
}

func TestAFileThatIsThereIsNotDownloadedAgain(t *testing.T) {
	t.Parallel()
	h, dest := newHub(t), t.TempDir()
	for range 2 {
		if _, err := h.pull(t, t.Context(), tiny+"#sha256="+sum(h.body), dest, nil); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(filepath.Join(dest, "tiny.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.pull(t, t.Context(), tiny, dest, nil); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(filepath.Join(dest, "tiny.gguf"))
	if err != nil || !os.SameFile(before, after) || files(t, dest) != "tiny.gguf" {
		t.Errorf("the file was replaced, or something is left: %s, %v", files(t, dest), err)
	}
}

func TestDownloadsThatFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		ref     string
		prepare func(*hub)
		options func(*PullOptions)
		code    core.Code
		text    string
		keeps   bool // what is there stays for the next time
	}{
		{name: "an unknown file", ref: "org/repo/other.gguf", code: core.CodeNotFound, text: "other.gguf"},
		{name: "a file behind a login", prepare: func(h *hub) { h.status = []int{401} }, code: core.CodeUnauthorized, text: "login"},
		{name: "another hash than the hub's", prepare: func(h *hub) { h.linked = sum([]byte("x")) }, code: core.CodeInvalid, text: sum([]byte("x"))},
		{name: "another hash than the pinned one", ref: tiny + "#sha256=" + strings.Repeat("0", 64), prepare: func(h *hub) { h.linked = "" }, code: core.CodeInvalid, text: "thrown away"},
		{name: "a pinned hash that the hub does not have", ref: tiny + "#SHA256=" + strings.Repeat("A", 64), code: core.CodeInvalid, text: "another file"},
		{name: "a page instead of a model", prepare: func(h *hub) { copy(h.body, "<html>") }, code: core.CodeInvalid, text: "not a GGUF"},
		{name: "nothing", prepare: func(h *hub) { h.body, h.linked = nil, "" }, code: core.CodeInvalid, text: "not a GGUF"},
		{name: "three bytes", prepare: func(h *hub) { h.body, h.linked = []byte("GGU"), "" }, code: core.CodeInvalid, text: "not a GGUF"},
		{name: "a server that is down", prepare: func(h *hub) { h.status = []int{503, 503, 503, 503} }, code: core.CodeUnavailable, text: "HTTP 503"},
		{name: "a connection that breaks for ever", prepare: func(h *hub) { h.cut, h.cuts, h.noRange = 200_000, 99, true }, code: core.CodeUnavailable, text: "the same command goes on", keeps: true},
		{name: "no space", options: func(o *PullOptions) { o.Free = func(string) (uint64, bool) { return 1 << 20, true } }, code: core.CodeStorageFull, text: "free"},
		{name: "an unknown host", options: func(o *PullOptions) { o.Hub = "http://127.0.0.1:1" }, code: core.CodeUnavailable, text: "cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, dest := newHub(t), t.TempDir()
			if c.ref == "" {
				c.ref = tiny
			}
			if c.prepare != nil {
				c.prepare(h)
			}
			_, err := h.pull(t, t.Context(), c.ref, dest, c.options)
			if core.CodeOf(err) != c.code || !strings.Contains(core.MessageOf(err), c.text) {
				t.Errorf("got %q: %v", core.CodeOf(err), err)
			}
			if f := files(t, dest); (f != "") != c.keeps || strings.Contains(f+" ", ".gguf ") {
				t.Errorf("files: %q", f)
			}
		})
	}
}

func TestAConnectionThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("GGUF and then silence"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	_, err := Pull(t.Context(), s.URL+"/x.gguf", t.TempDir(), PullOptions{Stall: 20 * time.Millisecond, Tries: 1}, nil)
	if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), "nothing came for 20ms") {
		t.Errorf("got %v", err)
	}
}

func TestTwoDownloadsOfOneFileDoNotMix(t *testing.T) {
	t.Parallel()
	h, dest := newHub(t), t.TempDir()
	var inner error
	once := sync.OnceFunc(func() { _, inner = h.pull(t, t.Context(), tiny, dest, nil) })
	if _, err := Pull(t.Context(), tiny, dest, PullOptions{Hub: h.url}, func(int64, int64) { once() }); err != nil {
		t.Fatal(err)
	}
	if core.CodeOf(inner) != core.CodeConflict {
		t.Errorf("got %v", inner)
	}
}

func TestARedirectToAnUnencryptedAddressIsRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/x.gguf", http.StatusFound))
	defer s.Close()
	_, err := Pull(t.Context(), s.URL+"/x.gguf", t.TempDir(), PullOptions{}, nil)
	if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), "not encrypted") {
		t.Errorf("got %v", err)
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	const hubURL = "https://hub.example/base/"
	for _, c := range []struct{ ref, url, file, err string }{
		{ref: "org/repo/m.gguf", url: "https://hub.example/base/org/repo/resolve/main/m.gguf", file: "m.gguf"},
		{ref: "org/repo/Q4/m.GGUF", url: "https://hub.example/base/org/repo/resolve/main/Q4/m.GGUF", file: "m.GGUF"},
		{ref: "https://h.example/a%20b/m.gguf?download=true#sha256=" + strings.Repeat("a", 64), url: "https://h.example/a%20b/m.gguf?download=true", file: "m.gguf"},
		{ref: "http://h.example/m.gguf", err: "not encrypted"},
		{ref: "ftp://h.example/m.gguf", err: "not encrypted"},
		{ref: "https://u:p@h.example/m.gguf", err: "refused"},
		{ref: "https://h.example/m.zip", err: "must end with .gguf"},
		{ref: "https://h.example/.gguf", err: "must end with .gguf"},
		{ref: "https://h.example/a%2F..%5Cm.gguf", err: "must end with .gguf"},
		{ref: "org/m.gguf", err: "neither"},
		{ref: "org/../m.gguf", err: "neither"},
		{ref: "/etc/m.gguf", err: "neither"},
		{ref: "org/repo/m.gguf#sha256=12", err: "64 hexadecimal digits"},
		{ref: "org/repo/m.gguf#md5=12", err: "64 hexadecimal digits"},
	} {
		src, err := parseRef(c.ref, hubURL)
		switch {
		case c.err != "":
			if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v", c.ref, err)
			}
		case err != nil || src.url.String() != c.url || src.file != c.file:
			t.Errorf("%s: got %v %q, %v", c.ref, src.url, src.file, err)
		}
	}
	for ref, want := range map[string]bool{"llama3.2:1b": false, "org/model": false, "org/repo/m.gguf": true, "https://h/x": true, "m.gguf#sha256=1": true} {
		if IsFile(ref) != want {
			t.Errorf("%s: got %v", ref, !want)
		}
	}
}
