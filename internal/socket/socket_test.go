package socket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/sutazai/sutazai/internal/socket"
)

// pair returns both ends of a connection, and stop, which closes them.
func pair() (a, b net.Conn, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, nil, err
	}
	l = socket.Listener(l)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept() // nil where it failed, which the dial tells
		accepted <- c
	}()
	a, err = socket.Dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		return nil, nil, nil, errors.Join(err, l.Close())
	}
	b = <-accepted
	return a, b, func() { a.Close(); b.Close(); l.Close() }, nil
}

func connect(t *testing.T) (a, b net.Conn) {
	t.Helper()
	a, b, stop, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return a, b
}

func TestConnectionsBehaveAsNetsOwn(t *testing.T) {
	t.Parallel()
	nettest.TestConn(t, pair)
}

func TestBothEndsAreWrapped(t *testing.T) {
	t.Parallel()
	a, b := connect(t)
	for _, c := range []net.Conn{a, b} {
		if _, plain := c.(*net.TCPConn); plain {
			t.Errorf("%T is the plain connection", c)
		}
		// net/http and internal/http1 ask for these.
		if _, ok := c.(interface{ CloseWrite() error }); !ok {
			t.Errorf("%T cannot close one direction", c)
		}
		if _, ok := c.(io.ReaderFrom); !ok {
			t.Errorf("%T cannot send files", c)
		}
		if _, ok := c.(syscall.Conn); !ok {
			t.Errorf("%T does not give its descriptor", c)
		}
	}
}

func TestOtherConnectionsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got := socket.Wrap(a); got != a {
		t.Errorf("a pipe became %T", got)
	}
}

// A write that is larger than what the system takes at once goes on when the other side reads.
func TestWritesWaitForTheReader(t *testing.T) {
	t.Parallel()
	a, b := connect(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	sent := make(chan error, 1)
	go func() {
		for rest := want; len(rest) > 0; {
			n, err := a.Write(rest[:min(48<<10, len(rest))])
			if err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- a.Close()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came: %v", len(got), len(want), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestAStuckWriteEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	a, _ := connect(t)
	if err := a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = a.Write(make([]byte, 32<<10)) // nobody reads
	}
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v is not a deadline's", err)
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before func(t *testing.T, a, b net.Conn)
		want   error
	}{
		"the other side has ended": {func(_ *testing.T, _, b net.Conn) { b.Close() }, io.EOF},
		"this side has closed":     {func(_ *testing.T, a, _ net.Conn) { a.Close() }, net.ErrClosed},
		"the other side has reset": {func(t *testing.T, _, b net.Conn) {
			t.Helper()
			if err := b.(interface{ SetLinger(sec int) error }).SetLinger(0); err != nil {
				t.Fatal(err)
			}
			b.Close()
		}, syscall.ECONNRESET},
		"the deadline has passed": {func(_ *testing.T, a, _ net.Conn) { _ = a.SetReadDeadline(time.Now().Add(-time.Second)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := connect(t)
			tc.before(t, a, b)
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			} else if op, ok := errors.AsType[*net.OpError](err); ok && op.Op != "read" {
				t.Errorf("%v tells of %q", err, op.Op)
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{"net": func(c net.Conn) net.Conn { return c }, "socket": socket.Wrap} {
		b.Run(name, func(b *testing.B) {
			var lc net.ListenConfig
			l, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = io.Copy(struct{ io.Writer }{wrap(c)}, struct{ io.Reader }{wrap(c)}) // until the other side ends
			}()
			raw, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer raw.Close()
			c, p := wrap(raw), make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(p); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
