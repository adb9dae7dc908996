package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	readBuffer = 4 << 10 // bytes; larger reads of a body go past it
	mostHints  = 8       // interim (1xx) answers before the real one
)

var (
	errStale   = errors.New("the server closed the kept connection without an answer")
	errHeader  = errors.New("the headers of the answer are too large")
	errNotHere = errors.New("not received yet")
)

// conn is one connection. Between take and put it belongs to one request, and only close may be called from elsewhere.
type conn struct {
	t      *Transport
	where  place
	raw    net.Conn
	stream net.Conn // raw, or TLS over it
	state  *tls.ConnectionState
	look   func() bool // whether the idle connection is still open; nil = cannot be said
	abort  func()      // close, bound once

	in     *bufio.Reader
	left   int64 // bytes that may still be read; headers are bounded by it
	local  bool  // read only what has been received
	head   []byte
	vector net.Buffers

	used  bool // it has answered before
	since time.Time
}

func newConn(t *Transport, where place, raw net.Conn, secured *tls.Conn) *conn {
	c := &conn{t: t, where: where, raw: raw, stream: raw, look: looker(raw), left: math.MaxInt64}
	if secured != nil {
		state := secured.ConnectionState()
		c.stream, c.state = secured, &state
	}
	c.abort = c.close
	c.in = bufio.NewReaderSize(c, readBuffer)
	return c
}

// close ends the connection and whatever waits for it at once. It says no goodbye in TLS: that could wait for a server
// that does not read.
func (c *conn) close() { _ = c.raw.Close() } // it may be closed already

// alive says whether the server has neither closed the idle connection nor sent anything that nobody asked for.
func (c *conn) alive() bool { return c.in.Buffered() == 0 && (c.look == nil || c.look()) }

// Read is for the buffered reader alone.
func (c *conn) Read(p []byte) (int, error) {
	switch {
	case c.local:
		return 0, errNotHere
	case c.left <= 0:
		return 0, errHeader
	case int64(len(p)) > c.left:
		p = p[:c.left]
	}
	n, err := c.stream.Read(p)
	c.left -= int64(n)
	return n, err
}

// exchange sends the request and reads the answer's headers. It closes the request's body. After an error the connection
// is closed; errStale means that the server has most likely not seen the request.
func (c *conn) exchange(o order, req *http.Request, body io.ReadCloser) (*http.Response, error) {
	ctx := req.Context()
	var release func() bool
	if ctx.Done() != nil {
		release = context.AfterFunc(ctx, c.abort)
	}
	resp, err := c.converse(o, req, body)
	if err == nil {
		resp.TLS = c.state
		keep := !resp.Close && !req.Close
		if resp.Body == http.NoBody {
			c.finish(release, keep)
			return resp, nil
		}
		resp.Body = &answer{c: c, ctx: ctx, release: release, keep: keep, body: resp.Body}
		return resp, nil
	}
	if release != nil {
		release()
	}
	c.close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, err
}

func (c *conn) converse(o order, req *http.Request, body io.ReadCloser) (*http.Response, error) {
	sendErr := c.send(o, req, body)
	if _, ours := errors.AsType[*bodyError](sendErr); ours {
		return nil, sendErr
	}
	// A server may refuse a request before it has read all of it, and close: its answer is worth more than sendErr.
	c.left = c.t.cfg.MaxHeader
	if _, err := c.in.Peek(1); err != nil {
		if c.used {
			return nil, fmt.Errorf("%w: %w", errStale, err)
		}
		if sendErr != nil {
			return nil, fmt.Errorf("send the request: %w", sendErr)
		}
		return nil, fmt.Errorf("read the answer: %w", unexpected(err))
	}
	resp, err := c.readHead(req)
	if err != nil && c.left <= 0 {
		err = errHeader // whatever the line looked like where it was cut
	}
	c.left = math.MaxInt64
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", unexpected(err))
	}
	if sendErr != nil {
		resp.Close = true
	}
	return resp, nil
}

// readHead reads up to the body of the answer and leaves interim answers out.
func (c *conn) readHead(req *http.Request) (*http.Response, error) {
	for range mostHints {
		resp, err := http.ReadResponse(c.in, req)
		switch {
		case err != nil:
			return nil, err
		case resp.ProtoMajor != 1:
			return nil, fmt.Errorf("it is %q, not HTTP/1.1", resp.Proto)
		case resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode < 100:
			return nil, fmt.Errorf("the status %d was not asked for", resp.StatusCode)
		}
		for name := range resp.Header {
			if !httpguts.ValidHeaderFieldName(name) { // "Content-Length : 5" is not a length to everybody
				return nil, fmt.Errorf("malformed header name %q", name)
			}
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim answers", mostHints)
}

// finish gives the connection back after a whole answer. One whose context ended, or with more than the answer in it, is
// not used again.
func (c *conn) finish(release func() bool, keep bool) {
	undisturbed := release == nil || release()
	if keep && undisturbed && c.in.Buffered() == 0 {
		c.t.idle.put(c)
		return
	}
	c.close()
}

// unexpected is for places where an answer cannot end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
