package http1

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// scrap is how many received bytes are looked through for the end of an answer that is closed before its end.
const scrap = 2 << 10

// answer is the body of an answer. Close may be called while another goroutine reads; the read then ends at once.
type answer struct {
	c       *conn
	ctx     context.Context
	release func() bool // ends the watch of the context; nil = there is none
	keep    bool
	body    io.ReadCloser // of net/http: it knows the framing

	reading sync.Mutex
	over    atomic.Bool // the connection has been given back or closed
	err     error       // of the last read
}

// Read returns the context's error after its end, and http.ErrBodyReadAfterClose after Close.
func (a *answer) Read(p []byte) (int, error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	if a.over.Load() {
		if a.err != nil {
			return 0, a.err
		}
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := a.body.Read(p)
	if err == nil {
		return n, nil
	}
	if !a.over.CompareAndSwap(false, true) {
		return n, http.ErrBodyReadAfterClose
	}
	a.err = err
	switch {
	case err == io.EOF: //nolint:errorlint // readers return it bare; a wrapped one is a failure
		a.c.finish(a.release, a.keep)
	case a.ctx.Err() != nil:
		a.err = a.ctx.Err()
		a.c.finish(a.release, false)
	default:
		a.c.finish(a.release, false)
	}
	return n, a.err
}

// Close gives the connection back when the rest of the answer has been received and is short, as it is when a client
// stops reading at the end that its protocol has. Otherwise it closes the connection.
func (a *answer) Close() error {
	if !a.reading.TryLock() { // somebody reads: end that
		if a.over.CompareAndSwap(false, true) {
			a.c.finish(a.release, false)
		}
		return nil
	}
	defer a.reading.Unlock()
	if a.over.CompareAndSwap(false, true) {
		a.c.finish(a.release, a.keep && a.received())
	}
	return nil
}

// received reads on within what is in the buffer, and says whether that was all of the answer.
func (a *answer) received() bool {
	if a.c.in.Buffered() == 0 {
		return false
	}
	a.c.local = true
	defer func() { a.c.local = false }()
	var rest [scrap]byte
	n, err := io.ReadFull(a.body, rest[:])
	return n < len(rest) && (err == io.EOF || err == io.ErrUnexpectedEOF) //nolint:errorlint // ReadFull returns them bare
}
