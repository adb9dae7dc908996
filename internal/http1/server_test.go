package http1_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sutazai/sutazai/internal/http1"
)

// echo answers with what it got, in the form that the path names.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
	w.Header().Set("X-Agent", r.UserAgent())
	w.Header().Set("X-Port", r.RemoteAddr)
	switch r.URL.Path {
	case "/length":
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b)
	case "/chunks":
		w.Header().Set("Trailer", "X-Sum")
		for len(b) > 0 {
			n := min(1000, len(b))
			w.Write(b[:n])
			w.(http.Flusher).Flush()
			b = b[n:]
		}
		w.Header().Set("X-Sum", "42")
	case "/close":
		w.Header().Set("Connection", "close")
		w.Write(b)
	case "/nothing":
		w.WriteHeader(http.StatusNoContent)
	case "/early":
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Write(b)
	default:
		http.NotFound(w, r)
	}
}

func TestAnswersOfRealServersComeWhole(t *testing.T) {
	t.Parallel()
	plain, secure := httptest.NewServer(http.HandlerFunc(echo)), httptest.NewUnstartedServer(http.HandlerFunc(echo))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	large := strings.Repeat("0123456789abcdef", 4000)
	for name, tc := range map[string]struct {
		path, method, body string
		unknown            bool // the request's size is not known
		length             string
		want               string // "" = the body
		reused             bool
	}{
		"content length":             {path: "/length", method: "POST", body: "hello", length: "5", reused: true},
		"large both ways":            {path: "/length", method: "POST", body: large, length: "64000", reused: true},
		"chunked answer":             {path: "/chunks", method: "POST", body: large, length: "64000", reused: true},
		"chunked request":            {path: "/chunks", method: "POST", body: large, unknown: true, length: "-1", reused: true},
		"small chunked request":      {path: "/length", method: "PUT", body: "x", unknown: true, length: "-1", reused: true},
		"server closes afterwards":   {path: "/close", method: "POST", body: large, length: "64000"},
		"no content":                 {path: "/nothing", method: "DELETE", length: "0", want: "-", reused: true},
		"interim answers":            {path: "/early", method: "POST", body: "hello", length: "5", reused: true},
		"HEAD has no body":           {path: "/length", method: "HEAD", length: "0", want: "-", reused: true},
		"POST without a body":        {path: "/length", method: "POST", length: "0", want: "-", reused: true},
		"a status other than 2xx":    {path: "/missing", method: "GET", length: "0", want: "404 page not found\n", reused: true},
		"GET with a body of its own": {path: "/length", method: "GET", body: "q", length: "1", reused: true},
	} {
		for _, server := range []*httptest.Server{plain, secure} {
			scheme, _, _ := strings.Cut(server.URL, ":")
			t.Run(name+" over "+scheme, func(t *testing.T) {
				t.Parallel()
				tr := newTransport(t, http1.Config{TLS: &tls.Config{RootCAs: roots}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var ports []string
				for range 2 {
					req := newRequest(t, ctx, tc.method, server.URL+tc.path, tc.body)
					if tc.unknown {
						req.ContentLength, req.GetBody, req.Body = -1, nil, io.NopCloser(struct{ io.Reader }{strings.NewReader(tc.body)})
					}
					resp, body := must(t, tr, req)
					want := tc.body
					if tc.want != "" {
						want = strings.TrimPrefix(tc.want, "-")
					}
					if body != want {
						t.Fatalf("got %d bytes %.40q, want %d bytes", len(body), body, len(want))
					}
					if got := resp.Header.Get("X-Length"); got != tc.length {
						t.Errorf("the server saw Content-Length %s, want %s", got, tc.length)
					}
					if got := resp.Header.Get("X-Agent"); got != "SutazAI" {
						t.Errorf("User-Agent %q", got)
					}
					if tc.path == "/chunks" && resp.Trailer.Get("X-Sum") != "42" {
						t.Errorf("trailer %v", resp.Trailer)
					}
					if (resp.TLS != nil) != (scheme == "https") {
						t.Errorf("TLS state is %v", resp.TLS)
					}
					ports = append(ports, resp.Header.Get("X-Port"))
				}
				if (ports[0] == ports[1]) != tc.reused {
					t.Errorf("connections came from %v; reused should be %t", ports, tc.reused)
				}
			})
		}
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of each refused handshake
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for name, tc := range map[string]*tls.Config{
		"unknown authority": nil,
		"another name":      {RootCAs: roots, ServerName: "elsewhere.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := fetch(newTransport(t, http1.Config{TLS: tc}), newRequest(t, t.Context(), "GET", server.URL, ""))
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("got %v, want an error about the certificate", err)
			}
		})
	}
}

func TestAClientOfTheStandardLibraryWorksOverIt(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/length", http.StatusTemporaryRedirect)
			return
		}
		echo(w, r)
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: http1.New(http1.Config{})}
	defer client.CloseIdleConnections()
	resp, err := client.Post(server.URL+"/from", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "hello" {
		t.Errorf("got %q", b)
	}
}

func TestManyRequestsAtOnceDoNotMixUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(server.Close)
	tr := newTransport(t, http1.Config{MaxIdlePerHost: 3})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithCancel(t.Context())
				want := bytes.Repeat(fmt.Appendf(nil, "%d-%d ", g, i), 1+i*20)
				path := []string{"/length", "/chunks"}[i%2]
				req, _ := http.NewRequestWithContext(ctx, "POST", server.URL+path, bytes.NewReader(want))
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Errorf("%d-%d: %v", g, i, err)
					cancel()
					return
				}
				if i%5 == 4 { // leaves early
					resp.Body.Close()
					cancel()
					continue
				}
				got, err := io.ReadAll(resp.Body)
				cancel() // with the connection in the pool: it must not be harmed
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d-%d: %d bytes and %v, want %d", g, i, len(got), err, len(want))
				}
			}
		})
	}
	wg.Wait()
}

func TestDirectSaysWhetherAProxyIsConfigured(t *testing.T) {
	t.Parallel() // the environment of the tests names no proxy; loopback has none in any case
	if !http1.Direct(&url.URL{Scheme: "http", Host: "127.0.0.1:8080"}) {
		t.Error("loopback is never reached through a proxy")
	}
}
