package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// largest is how many bytes of a write go without the runtime's knowledge: more take so long that others should have the
// processor meanwhile.
const largest = 64 << 10

// conn is a TCP connection whose reads and small writes are plain system calls. All else is TCPConn's.
type conn struct {
	*net.TCPConn
	raw syscall.RawConn
	in  half
	out half
}

// half is one direction. Its call is bound once, so that none is allocated for each read or write.
type half struct {
	mu   sync.Mutex
	call func(fd uintptr) (done bool)
	p    []byte
	n    int
	err  error
}

// Wrap returns a cheaper c where it is a TCP connection, and c itself where it is not.
func Wrap(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{TCPConn: t, raw: raw}
	w.in.call, w.out.call = w.in.read, w.out.write
	return w
}

// Read is as net.Conn's.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	n, err := c.in.do(c.raw.Read, p)
	if err != nil {
		return n, c.explain("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write is as net.Conn's.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 || len(p) > largest {
		return c.TCPConn.Write(p)
	}
	n, err := c.out.do(c.raw.Write, p)
	if err != nil {
		return n, c.explain("write", err)
	}
	return n, nil
}

// do has the runtime repeat the call, whenever the socket is ready, until it is done.
func (h *half) do(until func(func(fd uintptr) bool) error, p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p, h.n, h.err = p, 0, nil
	err := until(h.call)
	h.p = nil
	if err != nil { // a deadline, or closed
		return h.n, err
	}
	return h.n, h.err
}

func (h *half) read(fd uintptr) bool {
	for {
		n, err := read(fd, h.p)
		switch err {
		case 0:
			h.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = os.NewSyscallError("read", err)
			return true
		}
	}
}

func (h *half) write(fd uintptr) bool {
	for h.n < len(h.p) {
		n, err := write(fd, h.p[h.n:])
		switch err {
		case 0:
			h.n += n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			h.err = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

// explain gives an error the form that net's own have.
func (c *conn) explain(op string, err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok { // of this call alone
		e.Op = op
		return e
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
