package http1_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/internal/http1"
)

func TestAnswersOfHandWrittenPeers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer []string // pieces; the peer closes after them
		status int
		body   string
		fails  string // part of the error of the headers or the body
	}{
		"headers split anywhere":                 {answer: strings.Split("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok", ""), status: 200, body: "ok"},
		"until the connection closes":            {answer: []string{"HTTP/1.1 200 OK\r\n\r\n", "all ", "of it"}, status: 200, body: "all of it"},
		"HTTP/1.0":                               {answer: []string{"HTTP/1.0 200 OK\r\n\r\nold"}, status: 200, body: "old"},
		"chunks and trailers":                    {answer: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n", "3;x=y\r\nabc\r\n", "1\r", "\nd\r\n0\r\nA: 1\r\n\r\n"}, status: 200, body: "abcd"},
		"continue comes first":                   {answer: []string{"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}, status: 200, body: "ok"},
		"interim answers without end":            {answer: []string{strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20)}, fails: "interim"},
		"a switch of protocols":                  {answer: []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"}, fails: "status 101"},
		"a status below 100":                     {answer: []string{"HTTP/1.1 042 Odd\r\n\r\n"}, fails: "status 42"},
		"no answer":                              {fails: "unexpected EOF"},
		"half a status line":                     {answer: []string{"HTTP/1.1 20"}, fails: "malformed"},
		"half a header":                          {answer: []string{"HTTP/1.1 200 OK\r\nContent-Le"}, fails: "malformed"},
		"not HTTP":                               {answer: []string{"SSH-2.0-OpenSSH_9.2\r\n\r\n"}, fails: "malformed"},
		"another protocol's version":             {answer: []string{"HTTP/2.0 200 OK\r\n\r\n"}, fails: "not HTTP/1.1"},
		"a header without a colon":               {answer: []string{"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"}, fails: "malformed"},
		"a header with a space before the colon": {answer: []string{"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"}, fails: "malformed"},
		"two lengths":                            {answer: []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"}, fails: "Content-Length"},
		"a negative length":                      {answer: []string{"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"}, fails: "Content-Length"},
		"a length with a sign":                   {answer: []string{"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"}, fails: "Content-Length"},
		"an unknown transfer coding":             {answer: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"}, fails: "transfer encoding"},
		"shorter than its length":                {answer: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"}, status: 200, body: "ok", fails: "unexpected EOF"},
		"chunks that stop":                       {answer: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}, status: 200, body: "ab", fails: "unexpected EOF"},
		"chunks without the last one":            {answer: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"}, status: 200, body: "ab", fails: "unexpected EOF"},
		"a chunk's size that is none":            {answer: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"}, status: 200, fails: "chunk"},
		"a chunk's size beyond numbers":          {answer: []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"}, status: 200, fails: "chunk"},
		"huge headers":                           {answer: []string{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20<<10)}, fails: "too large"},
		"endless headers":                        {answer: []string{"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 4<<10)}, fails: "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, func(c *script, _ int) {
				if _, _, ok := c.request(); ok {
					c.say(tc.answer...)
					c.CloseWrite()
					c.gone()
				}
			})
			tr := newTransport(t, http1.Config{MaxHeader: 16 << 10})
			resp, body, err := fetch(tr, newRequest(t, t.Context(), "POST", p.url, "question"))
			if tc.fails == "" && err != nil || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
				t.Fatalf("got %v, want an error with %q", err, tc.fails)
			}
			if tc.status != 0 && (resp == nil || resp.StatusCode != tc.status || body != tc.body) {
				t.Errorf("got %v and %q, want %d and %q", resp, body, tc.status, tc.body)
			}
			if n := p.conns.Load(); n != 1 {
				t.Errorf("%d connections; a failed request on a new connection must not be repeated", n)
			}
		})
	}
}

func TestResetInMidBodyIsAnError(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	p := newPeer(t, func(c *script, _ int) {
		c.request()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
		<-next
		c.reset()
	})
	resp, err := newTransport(t, http1.Config{}).RoundTrip(newRequest(t, t.Context(), "GET", p.url, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	close(next)
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the answer broke off and no error said so")
	}
}

func TestAnEarlyRefusalOfALargeBodyIsTheAnswer(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *script, _ int) {
		c.in.ReadString('\n')
		c.say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
		c.CloseWrite()
		c.gone() // reads on, as servers do that close politely
	})
	resp, body := must(t, newTransport(t, http1.Config{}), newRequest(t, t.Context(), "POST", p.url, strings.Repeat("x", 4<<20)))
	if resp.StatusCode != 413 || body != "no!" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

func TestKeptConnections(t *testing.T) {
	t.Parallel()
	unrepeatable := func(r *http.Request) { r.GetBody = nil }
	for name, tc := range map[string]struct {
		after func(c *script, n int) // after the first answer of each connection
		body  string
		mend  func(*http.Request)
		conns int32
		fails string
	}{
		"are used again": {conns: 1, after: func(c *script, _ int) {
			for _, _, more := c.request(); more; _, _, more = c.request() {
				c.say(ok)
			}
		}},
		"that the server closed are noticed":                {conns: 3, after: func(c *script, _ int) {}},
		"that the server closed serve no unrepeatable body": {conns: 3, mend: unrepeatable, after: func(c *script, _ int) {}},
		"with words that nobody asked for are not used":     {conns: 3, after: func(c *script, _ int) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"); c.gone() }},
		"that close on the request lead to a new one":       {conns: 3, after: func(c *script, _ int) { c.request() }},
		"that reset on the request lead to a new one":       {conns: 3, after: func(c *script, _ int) { c.request(); c.reset() }},
		"that close on a request which cannot be repeated":  {conns: 1, mend: unrepeatable, fails: "without an answer", after: func(c *script, _ int) { c.request() }},
		"that break in an answer are not tried again":       {conns: 1, fails: "malformed", after: func(c *script, _ int) { c.request(); c.say("HTTP/1.1 2") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle := make(chan struct{}, 8)
			p := newPeer(t, func(c *script, n int) {
				if _, _, more := c.request(); !more {
					return
				}
				c.say(ok)
				tc.after(c, n)
				c.Close()
				idle <- struct{}{}
			})
			tr := newTransport(t, http1.Config{})
			var err error
			for i := range 3 {
				req := newRequest(t, t.Context(), "POST", p.url, "question")
				if tc.mend != nil && i > 0 {
					tc.mend(req)
				}
				var body string
				if _, body, err = fetch(tr, req); err != nil {
					break
				}
				if body != "ok" {
					t.Fatalf("answer %d is %q", i, body)
				}
				if strings.Contains(name, "server closed") {
					<-idle
				}
				if strings.Contains(name, "nobody asked") {
					waitForBytes()
				}
			}
			if tc.fails == "" && err != nil || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
				t.Errorf("got %v, want an error with %q", err, tc.fails)
			}
			if n := p.conns.Load(); n != tc.conns {
				t.Errorf("%d connections, want %d", n, tc.conns)
			}
		})
	}
}

// waitForBytes gives loopback the time to deliver what a peer has written already; there is nothing to wait on.
func waitForBytes() { <-time.After(20 * time.Millisecond) }

func TestABodyClosedBeforeItsEndClosesTheConnection(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	p := newPeer(t, func(c *script, n int) {
		c.request()
		if n > 0 {
			c.say(ok)
			return
		}
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
		c.gone()
		close(gone)
	})
	tr := newTransport(t, http1.Config{})
	resp, err := tr.RoundTrip(newRequest(t, t.Context(), "GET", p.url, ""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	<-gone
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("a read after Close gives %v", err)
	}
	must(t, tr, newRequest(t, t.Context(), "GET", p.url, ""))
}

func TestABodyClosedAtTheEndOfItsStreamKeepsTheConnection(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *script, _ int) {
		for _, _, more := c.request(); more; _, _, more = c.request() {
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
		}
	})
	tr := newTransport(t, http1.Config{})
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, t.Context(), "GET", p.url, ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 14)); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if n := p.conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestCloseEndsAReadOfAnotherGoroutine(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *script, _ int) {
		c.request()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab")
		c.gone()
	})
	resp, err := newTransport(t, http1.Config{}).RoundTrip(newRequest(t, t.Context(), "GET", p.url, ""))
	if err != nil {
		t.Fatal(err)
	}
	first, read := make(chan struct{}), make(chan error)
	go func() {
		io.ReadFull(resp.Body, make([]byte, 2))
		close(first)
		_, err := resp.Body.Read(make([]byte, 1))
		read <- err
	}()
	<-first
	resp.Body.Close()
	if err := <-read; !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("the read ended with %v", err)
	}
}

func TestTheEndOfTheContextEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for name, talk := range map[string]func(c *script, cancel func()){
		"before the answer": func(c *script, cancel func()) { c.request(); cancel() },
		"in slow headers":   func(c *script, cancel func()) { c.request(); c.say("HTTP/1.1 200 OK\r\n", "X: ", "y"); cancel() },
		"in the body":       func(c *script, cancel func()) { c.request(); c.say("HTTP/1.1 200 OK\r\n\r\nab"); cancel() },
		"in chunks": func(c *script, cancel func()) {
			c.request()
			c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "5\r\nab")
			cancel()
		},
		"in a write that the server does not read": func(c *script, cancel func()) { c.in.ReadByte(); cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan struct{})
			p := newPeer(t, func(c *script, _ int) {
				talk(c, cancel)
				c.gone()
				close(gone)
			})
			_, _, err := fetch(newTransport(t, http1.Config{}), newRequest(t, ctx, "POST", p.url, strings.Repeat("x", 16<<20)))
			if err != context.Canceled { //nolint:errorlint // bare, as contexts give it
				t.Errorf("got %v, want the context's error", err)
			}
			<-gone // although nobody has closed a body
		})
	}
}

func TestADeadlineEndsASlowServer(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *script, _ int) {
		c.request()
		for c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
			if _, err := io.WriteString(c, "X"); err != nil { // a header that never ends, byte by byte
				return
			}
			<-time.After(time.Millisecond)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := fetch(newTransport(t, http1.Config{}), newRequest(t, ctx, "GET", p.url, "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnEndedContextSendsNothing(t *testing.T) {
	t.Parallel()
	p := newPeer(t, func(c *script, _ int) { c.gone() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := fetch(newTransport(t, http1.Config{}), newRequest(t, ctx, "POST", p.url, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := p.conns.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}
