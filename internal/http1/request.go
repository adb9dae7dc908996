package http1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	smallBody = 4 << 10  // bytes of a body that are copied behind the head, so that one plain write sends both
	keepHead  = 16 << 10 // bytes of a connection's buffer for heads that are kept for the next request
	chunkSize = 16 << 10 // bytes of one chunk of a body whose size is not known
)

// order is what check makes of a request.
type order struct {
	where  place
	target string // path and query, as the request line has them
	host   string // the Host header
}

// check refuses what cannot be sent, above all anything that a server could read as something else than one request.
// Values are never part of its errors: they may be credentials.
func check(req *http.Request) (order, error) {
	u := req.URL
	switch {
	case u == nil:
		return order{}, errors.New("http1: the request has no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return order{}, fmt.Errorf("http1: the scheme %q is not http or https", u.Scheme)
	case u.Host == "":
		return order{}, errors.New("http1: the URL has no host")
	case req.Method == http.MethodConnect || req.Method != "" && !httpguts.ValidHeaderFieldName(req.Method):
		return order{}, fmt.Errorf("http1: the method %q cannot be sent", req.Method)
	}
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return order{}, fmt.Errorf("http1: %q is not the name of a header", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return order{}, fmt.Errorf("http1: the value of the header %q holds characters that a header cannot have", name)
			}
		}
	}
	o := order{where: place{tls: u.Scheme == "https", host: u.Host}, target: u.RequestURI(), host: req.Host}
	if strings.ContainsFunc(o.target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return order{}, errors.New("http1: the URL holds a space or a control character")
	}
	if o.host == "" {
		o.host = u.Host
	}
	var err error
	if o.host, err = httpguts.PunycodeHostPort(o.host); err != nil || !httpguts.ValidHostHeader(o.host) {
		return order{}, errors.New("http1: the host cannot be sent as a header")
	}
	if u.Port() == "" {
		port := "80"
		if o.where.tls {
			port = "443"
		}
		o.where.host = net.JoinHostPort(u.Hostname(), port)
	}
	return o, nil
}

// bodyError is a failure on the caller's side of a request, which a new connection would not mend.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "http1: the body of the request: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// send writes the request and closes its body.
func (c *conn) send(o order, req *http.Request, body io.ReadCloser) error {
	if body == http.NoBody {
		body = nil
	}
	size := req.ContentLength
	if body == nil {
		size = 0
	} else if size == 0 {
		size = -1 // that is how net/http says that it is not known
	}
	head := c.appendHead(c.head[:0], o, req, size)
	c.keep(head)
	if body == nil {
		_, err := c.stream.Write(head)
		return err
	}
	w := bodyWriter{c: c, head: head, left: size}
	if size < 0 {
		w.chunk = make([]byte, 0, chunkSize)
	}
	_, err := io.Copy(&w, body) // a bytes.Reader hands its whole content over in one Write
	closeBody(body)
	switch {
	case w.failed != nil:
		return w.failed
	case err != nil:
		return &bodyError{err}
	case w.left > 0:
		return &bodyError{fmt.Errorf("it is shorter than its Content-Length by %d bytes", w.left)}
	default:
		return w.end()
	}
}

// keep keeps a buffer for the next request's head.
func (c *conn) keep(head []byte) {
	if cap(head) <= keepHead {
		c.head = head
	}
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close() // it has been read, or will not be
	}
}

// appendHead adds the request line and the headers. Framing and Host are its own; whatever the caller's headers say about
// them is left out.
func (c *conn) appendHead(b []byte, o order, req *http.Request, size int64) []byte {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	b = append(append(append(append(b, method...), ' '), o.target...), " HTTP/1.1\r\n"...)
	b = appendHeader(b, "Host", o.host)
	if agent, ok := req.Header["User-Agent"]; !ok {
		b = appendHeader(b, "User-Agent", c.t.cfg.UserAgent)
	} else if len(agent) > 0 && agent[0] != "" {
		b = appendHeader(b, "User-Agent", agent[0])
	}
	switch {
	case size < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case size > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), size, 10), "\r\n"...)
	}
	if req.Close {
		b = append(b, "Connection: close\r\n"...)
	}
	for name, values := range req.Header {
		if own(name, req.Close) {
			continue
		}
		for _, v := range values {
			b = appendHeader(b, name, v)
		}
	}
	return append(b, "\r\n"...)
}

// own says whether a header is written by this package alone. A header's name is compared whatever its case: a map may
// hold one that is not canonical.
func own(name string, closing bool) bool {
	switch len(name) {
	case 4:
		return strings.EqualFold(name, "Host")
	case 7:
		return strings.EqualFold(name, "Trailer") || strings.EqualFold(name, "Upgrade")
	case 10:
		return strings.EqualFold(name, "User-Agent") || closing && strings.EqualFold(name, "Connection")
	case 14:
		return strings.EqualFold(name, "Content-Length")
	case 17:
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

func appendHeader(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, strings.Trim(value, " \t")...), "\r\n"...)
}

// bodyWriter sends a body behind the head that waits in it: in one write where both are small, in one writev where they
// are not, and in chunks where the size is not known.
type bodyWriter struct {
	c      *conn
	head   []byte // not sent yet
	left   int64  // bytes that must still come; below 0: not known
	chunk  []byte // what will be the next chunk
	failed error  // of the connection
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.left < 0 {
		return w.writeChunked(p)
	}
	if int64(len(p)) > w.left {
		return 0, errors.New("it is longer than its Content-Length")
	}
	w.left -= int64(len(p))
	return len(p), w.flush(p)
}

// flush sends the head, where it has not been sent, and p.
func (w *bodyWriter) flush(p []byte) error {
	head := w.head
	w.head = nil
	switch {
	case len(head) == 0:
		_, w.failed = w.c.stream.Write(p)
	case len(p) <= smallBody:
		head = append(head, p...)
		w.c.keep(head)
		_, w.failed = w.c.stream.Write(head)
	default:
		w.c.vector = append(w.c.vector[:0], head, p)
		kept := w.c.vector // WriteTo moves the slice along
		_, w.failed = w.c.vector.WriteTo(w.c.stream)
		w.c.vector = kept[:0]
		clear(kept)
	}
	return w.failed
}

func (w *bodyWriter) writeChunked(p []byte) (int, error) {
	if len(w.chunk)+len(p) <= cap(w.chunk) {
		w.chunk = append(w.chunk, p...)
		return len(p), nil
	}
	if err := w.flushChunk(false); err != nil {
		return 0, err
	}
	for rest := p; len(rest) > 0; {
		n := copy(w.chunk[:cap(w.chunk)], rest)
		w.chunk, rest = w.chunk[:n], rest[n:]
		if n < cap(w.chunk) {
			break
		}
		if err := w.flushChunk(false); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flushChunk sends what has been gathered as one chunk, and the end of the body where it is the last.
func (w *bodyWriter) flushChunk(last bool) error {
	framed := make([]byte, 0, len(w.chunk)+32)
	if len(w.chunk) > 0 {
		framed = append(strconv.AppendInt(framed, int64(len(w.chunk)), 16), "\r\n"...)
		framed = append(append(framed, w.chunk...), "\r\n"...)
	}
	if last {
		framed = append(framed, "0\r\n\r\n"...)
	}
	w.chunk = w.chunk[:0]
	if len(framed) == 0 {
		return nil
	}
	return w.flush(framed)
}

// end sends what is left to send once the whole body has been written.
func (w *bodyWriter) end() error {
	if w.left < 0 {
		return w.flushChunk(true)
	}
	return nil
}
