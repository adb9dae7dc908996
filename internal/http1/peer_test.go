package http1_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/internal/http1"
)

// TestMain holds that nothing is left running: neither a goroutine for a connection nor one for a request.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a server written by hand: talk gets each connection and its number, from 0.
type peer struct {
	url   string
	conns atomic.Int32
}

func newPeer(t *testing.T, talk func(c *script, n int)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{url: "http://" + l.Addr().String()}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		open []net.Conn
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			n := int(p.conns.Add(1)) - 1
			wg.Go(func() {
				defer c.Close()
				talk(&script{c.(*net.TCPConn), bufio.NewReader(c)}, n)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// script is one connection of a peer.
type script struct {
	*net.TCPConn
	in *bufio.Reader
}

// request reads one request whole; false when there is none.
func (s *script) request() (*http.Request, string, bool) {
	r, err := http.ReadRequest(s.in)
	if err != nil {
		return nil, "", false
	}
	b, err := io.ReadAll(r.Body)
	return r, string(b), err == nil
}

// say sends pieces, each by itself.
func (s *script) say(pieces ...string) {
	for _, p := range pieces {
		if _, err := io.WriteString(s, p); err != nil {
			return
		}
	}
}

// reset ends the connection with RST instead of FIN.
func (s *script) reset() {
	s.SetLinger(0)
	s.Close()
}

// gone waits until the client has closed the connection.
func (s *script) gone() { io.Copy(io.Discard, s.in) }

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func newTransport(t *testing.T, c http1.Config) *http1.Transport {
	t.Helper()
	tr := http1.New(c)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func newRequest(t *testing.T, ctx context.Context, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// fetch makes a request and reads its answer whole.
func fetch(rt http.RoundTripper, req *http.Request) (*http.Response, string, error) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// must is fetch for answers that must come.
func must(t *testing.T, rt http.RoundTripper, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, body, err := fetch(rt, req)
	if err != nil {
		t.Fatalf("%s: %v", req.URL, err)
	}
	return resp, body
}
