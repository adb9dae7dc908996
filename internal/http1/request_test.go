package http1_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/internal/http1"
)

func TestRequestsThatCouldBeReadAsTwoAreRefused(t *testing.T) {
	t.Parallel()
	const secret = "sk-secret"
	for name, mend := range map[string]func(*http.Request){
		"line break in a value":       func(r *http.Request) { r.Header["X"] = []string{secret + "\r\nEvil: 1"} },
		"bare line feed in a value":   func(r *http.Request) { r.Header["X"] = []string{secret + "\nEvil: 1"} },
		"NUL in a value":              func(r *http.Request) { r.Header["X"] = []string{secret + "\x00"} },
		"line break in a name":        func(r *http.Request) { r.Header["X: 1\r\nEvil"] = []string{secret} },
		"space in a name":             func(r *http.Request) { r.Header["Content-Length "] = []string{"0"} },
		"empty name":                  func(r *http.Request) { r.Header[""] = []string{"0"} },
		"line break in the host":      func(r *http.Request) { r.Host = "a\r\nEvil: 1" },
		"space in the query":          func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1" },
		"line break in the query":     func(r *http.Request) { r.URL.RawQuery = "a\r\nEvil: 1" },
		"line break in an opaque URL": func(r *http.Request) { r.URL.Opaque = "/x\r\nEvil: 1" },
		"method with a space":         func(r *http.Request) { r.Method = "GET /evil" },
		"CONNECT":                     func(r *http.Request) { r.Method = http.MethodConnect },
		"another scheme":              func(r *http.Request) { r.URL.Scheme = "ftp" },
		"no host":                     func(r *http.Request) { r.URL.Host, r.Host = "", "" },
		"body longer than its length": func(r *http.Request) { r.ContentLength = 3 },
		"body shorter than its length": func(r *http.Request) {
			r.ContentLength = 30
		},
		"body that fails": func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("que"), failing{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, func(c *script, _ int) {
				if r, body, whole := c.request(); whole {
					t.Errorf("the server read %s %s with %q", r.Method, r.URL, body)
				}
			})
			req := newRequest(t, t.Context(), "POST", p.url, "question")
			body := &closeable{Reader: req.Body}
			req.Body = body
			mend(req)
			_, _, err := fetch(newTransport(t, http1.Config{}), req)
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v, want an error that does not name the value", err)
			}
			if req.Body == body && !body.closed {
				t.Error("the body was left open")
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

type closeable struct {
	io.Reader
	closed bool
}

func (c *closeable) Close() error { c.closed = true; return nil }

func TestFramingIsTheTransportsOwn(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	p := newPeer(t, func(c *script, _ int) {
		r, _, _ := c.request()
		seen <- r
		c.say(ok)
		c.gone()
	})
	req := newRequest(t, t.Context(), "POST", p.url+"/a%20b?c=d#e", "question")
	req.Host = "api.example.com"
	req.Header = http.Header{
		"Content-Length": {"1"}, "transfer-encoding": {"chunked"}, "Host": {"evil"}, "Upgrade": {"h2c"}, "Trailer": {"X"},
		"X-One": {" a ", "b"}, "Idempotency-Key": nil, "User-Agent": {"mine"}, "Authorization": {"Bearer k"},
	}
	must(t, newTransport(t, http1.Config{}), req)
	r := <-seen
	if r.RequestURI != "/a%20b?c=d" || r.Host != "api.example.com" || r.ContentLength != 8 || len(r.TransferEncoding) > 0 {
		t.Errorf("the server saw %s, host %s, length %d, coding %v", r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding)
	}
	want := http.Header{"Content-Length": {"8"}, "X-One": {"a", "b"}, "User-Agent": {"mine"}, "Authorization": {"Bearer k"}}
	if len(r.Header) != len(want) {
		t.Errorf("headers %v, want %v", r.Header, want)
	}
	for name := range want {
		if strings.Join(r.Header[name], ",") != strings.Join(want[name], ",") {
			t.Errorf("%s is %q, want %q", name, r.Header[name], want[name])
		}
	}
}

func TestCloseOfARequestClosesItsConnection(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	p := newPeer(t, func(c *script, _ int) {
		r, _, _ := c.request()
		seen <- r.Header.Get("Connection")
		c.say(ok)
		c.gone()
		seen <- "gone"
	})
	req := newRequest(t, t.Context(), "GET", p.url, "")
	req.Close = true
	must(t, newTransport(t, http1.Config{}), req)
	if got := []string{<-seen, <-seen}; got[0] != "close" && got[0] != "" || got[1] != "gone" {
		t.Errorf("got %v", got)
	}
}

// pipes is a network in memory, so that a test's clock can be its own. Each connection is answered until it closes.
type pipes struct{ dialled, closed chan struct{} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.dialled <- struct{}{}
	go func() {
		s := newScriptOn(far)
		for s() {
		}
		p.closed <- struct{}{}
	}()
	return near, nil
}

// newScriptOn answers requests of a connection in memory, one with each call.
func newScriptOn(far net.Conn) func() bool {
	buf := make([]byte, 4096)
	return func() bool {
		if _, err := far.Read(buf); err != nil { // a request without a body comes in one write
			return false
		}
		_, err := io.WriteString(far, ok)
		return err == nil
	}
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pipes{make(chan struct{}, 9), make(chan struct{}, 9)}
		tr := http1.New(http1.Config{Dial: p.dial, IdleTimeout: 4 * time.Second})
		get := func() { must(t, tr, newRequest(t, t.Context(), "GET", "http://model.internal", "")) }
		get()
		time.Sleep(3 * time.Second)
		get()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(p.dialled) != 1 || len(p.closed) != 0 {
			t.Fatalf("%d dialled and %d closed; a connection in use was not kept", len(p.dialled), len(p.closed))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(p.closed) != 1 {
			t.Fatal("an idle connection was not closed after its time")
		}
		get()
		tr.CloseIdleConnections()
		synctest.Wait()
		if len(p.dialled) != 2 || len(p.closed) != 2 {
			t.Errorf("%d dialled and %d closed, want 2 and 2", len(p.dialled), len(p.closed))
		}
	})
}

func TestConnectingHasATimeLimitOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := http1.New(http1.Config{ConnectTimeout: time.Second, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		_, _, err := fetch(tr, newRequest(t, t.Context(), "GET", "http://model.internal", ""))
		if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connect to model.internal:80") {
			t.Errorf("got %v, want an error of connecting, not one of the caller's context", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := fetch(tr, newRequest(t, ctx, "GET", "http://model.internal", "")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

func TestNoMoreConnectionsAreKeptThanAllowed(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 9)
	release := make(chan struct{})
	p := newPeer(t, func(c *script, _ int) {
		c.request()
		<-release
		c.say(ok)
		c.gone()
		gone <- struct{}{}
	})
	tr := newTransport(t, http1.Config{MaxIdlePerHost: 1})
	done := make(chan error)
	for range 3 {
		req := newRequest(t, t.Context(), "GET", p.url, "")
		go func() {
			_, _, err := fetch(tr, req)
			done <- err
		}()
	}
	for p.conns.Load() < 3 {
		waitForBytes()
	}
	close(release)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	<-gone
	<-gone
	if len(gone) != 0 {
		t.Error("the one that may be kept was closed as well")
	}
}

func TestAHostWithoutAPortHasTheOneOfItsScheme(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://models.example/v1":       "models.example:80",
		"https://models.example/v1":      "models.example:443",
		"http://models.example:8000/":    "models.example:8000",
		"http://[::1]/":                  "[::1]:80",
		"http://bücher.example/":         "xn--bcher-kva.example:80",
		"https://[2001:db8::1]:8443/abc": "[2001:db8::1]:8443",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var dialled string
		tr := http1.New(http1.Config{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, errors.New("not today")
		}})
		if _, _, err := fetch(tr, newRequest(t, t.Context(), "GET", u.String(), "")); err == nil || dialled != want {
			t.Errorf("%s dialled %q (%v), want %q", raw, dialled, err, want)
		}
	}
}
