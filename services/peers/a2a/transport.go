package a2a

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// expectation is what a call awaits, and what was wrong with what came. The library between would not tell.
type expectation struct {
	form    string // of the answer; "" = not looked at
	version a2acheck.Version
	rpc     bool // the answer is wrapped by JSON-RPC

	mu     sync.Mutex
	err    error // of ours
	status *status.Status
	code   int // HTTP status that is no success
}

type expectationKey struct{}

func (e *expectation) fail(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
	return err
}

func expecting(ctx context.Context) *expectation {
	e, _ := ctx.Value(expectationKey{}).(*expectation)
	return e
}

// transport sends requests through the egress client, with what lets us in, and holds what comes back to its form.
type transport struct {
	p    *Peer
	auth *authorizer
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	e := expecting(r.Context())
	if t.p.allowed(r.URL) { // the keys of cards may be elsewhere
		headers, err := t.auth.headers(r.Context())
		if err != nil {
			return nil, e.note(err)
		}
		r = r.Clone(r.Context())
		for name, value := range headers {
			r.Header.Set(name, value)
		}
	}
	resp, err := t.p.egress.Do(r) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, e.note(err)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		t.auth.forget()
	}
	if e == nil {
		return resp, nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode != http.StatusOK:
		e.mu.Lock()
		e.code = resp.StatusCode
		e.mu.Unlock()
		resp.Body = &limited{resp.Body, maxEvent, e}
	case kind == "text/event-stream":
		resp.Body = &stream{e: e, p: t.p, body: resp.Body, lines: bufio.NewReaderSize(resp.Body, 16<<10)}
	default:
		return t.whole(e, resp)
	}
	return resp, nil
}

// note keeps an error of ours, which the library wraps beyond recognition. It may be called on nil.
func (e *expectation) note(err error) error {
	if e != nil {
		_ = e.fail(err)
	}
	return err
}

// whole reads an answer that is no stream and checks it.
func (t *transport) whole(e *expectation, resp *http.Response) (*http.Response, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxEvent+1))
	_ = resp.Body.Close() // it has been read
	if err != nil {
		return nil, e.fail(err)
	}
	if len(raw) > maxEvent {
		return nil, e.fail(core.Errorf(core.CodeInvalid, "an answer is larger than %d bytes", maxEvent))
	}
	clean, err := t.p.looked(e, raw)
	if err != nil {
		return nil, e.fail(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(clean))
	resp.ContentLength = int64(len(clean))
	return resp, nil
}

// limited bounds the body of an error.
type limited struct {
	io.ReadCloser
	left int64
	e    *expectation
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, l.e.fail(core.Errorf(core.CodeInvalid, "an answer is larger than %d bytes", maxEvent))
	}
	n, err := l.ReadCloser.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

// stream hands on a stream of events line by line, after each event has been checked.
type stream struct {
	e     *expectation
	p     *Peer
	body  io.ReadCloser
	lines *bufio.Reader
	ready []byte // checked, and not read yet
	event []byte // the lines of the one that comes in, but its data
	data  []byte // of it
	err   error
}

// Read implements io.Reader.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.ready) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.next()
	}
	n := copy(b, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// next reads one line.
func (s *stream) next() {
	line, err := s.line()
	text := bytes.TrimRight(line, "\r\n")
	if data, ok := bytes.CutPrefix(text, []byte("data:")); ok {
		if len(s.data) > 0 {
			s.data = append(s.data, '\n')
		}
		s.data = append(s.data, bytes.TrimPrefix(data, []byte(" "))...)
	} else {
		s.event = append(s.event, line...)
	}
	if err != nil {
		if err != io.EOF { //nolint:errorlint // readers give it bare
			_ = s.e.fail(err)
		}
		s.err = err
	}
	if len(text) > 0 && err == nil {
		return
	}
	if len(s.data) > 0 {
		clean, bad := s.p.looked(s.e, s.data)
		if bad != nil {
			s.err = s.e.fail(bad)
			return
		}
		s.event = slices.Concat([]byte("data: "), clean, []byte("\n"), s.event)
	}
	s.ready, s.event, s.data = s.event, nil, nil
}

// line reads up to the next end of a line, within the bound of an event.
func (s *stream) line() ([]byte, error) {
	var line []byte
	for {
		piece, err := s.lines.ReadSlice('\n')
		line = append(line, piece...)
		if len(s.event)+len(s.data)+len(line) > maxEvent {
			return nil, core.Errorf(core.CodeInvalid, "an event is larger than %d bytes", maxEvent)
		}
		if err != bufio.ErrBufferFull { //nolint:errorlint // as bufio gives it
			return line, err
		}
	}
}

// Close implements io.Closer.
func (s *stream) Close() error { return s.body.Close() }

// perCall adds what lets us in to gRPC calls.
type perCall struct{ auth *authorizer }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (c perCall) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	headers, err := c.auth.headers(ctx)
	out := make(map[string]string, len(headers))
	for name, value := range headers {
		out[strings.ToLower(name)] = value
	}
	if err != nil {
		return nil, expecting(ctx).note(err)
	}
	return out, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: the address in the settings decides.
func (c perCall) RequireTransportSecurity() bool { return false }

// noteUnary keeps the status of a call, which the library does not hand on.
func noteUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	expecting(ctx).noteStatus(err)
	return err
}

func noteStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	expecting(ctx).noteStatus(err)
	return notedStream{s, expecting(ctx)}, err
}

type notedStream struct {
	grpc.ClientStream
	e *expectation
}

func (s notedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != io.EOF { //nolint:errorlint // as gRPC gives it
		s.e.noteStatus(err)
	}
	return err
}

func (e *expectation) noteStatus(err error) {
	if e == nil || err == nil {
		return
	}
	st, ok := status.FromError(err)
	if !ok || st.Code() == codes.OK {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = st
}
