// Package jsonrpc speaks JSON-RPC 2.0 over two streams, one message a line: requests and notifications in both directions,
// and answers of several parts. It owns framing, bounds and the naming of what is wrong with a message; it must not know
// which protocol uses it.
package jsonrpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/sutazai/sutazai/core"
)

// MaxLine is how long a line may be, in bytes.
const MaxLine = 16 << 20

// maxHandling is how many requests of the other side are worked on at the same time.
const maxHandling = 64

// Options say how a connection treats the other side.
type Options struct {
	// Handle answers a request; it is called in a goroutine of its own. Its error goes to the other side: a *Error as it
	// is, a core.Error with its code and fields. nil = every method is unknown.
	Handle func(ctx context.Context, method string, params json.RawMessage) (any, error)
	// Notify takes a notification, in order with the responses; while it runs nothing else is read. Where Lenient is not
	// set, its error ends the connection. nil = they are ignored.
	Notify func(method string, params json.RawMessage) error
	// Lenient answers a malformed line with an error and goes on, as a server does. Otherwise it ends the connection.
	Lenient bool
}

// Conn is one connection. Make it with New and give Serve a goroutine.
type Conn struct {
	in   io.Reader
	out  io.Writer
	opts Options

	lines chan []byte   // to be written
	done  chan struct{} // closed when nothing is read any more
	err   error         // why; set before done is closed

	mu      sync.Mutex
	next    int64
	waiting map[string]*waiter
}

// waiter is a call whose answers are awaited.
type waiter struct {
	answers chan message
	taken   chan struct{} // an answer has been dealt with
	gone    chan struct{}
}

// New makes a connection over what the other side writes (in) and reads (out).
func New(in io.Reader, out io.Writer, o Options) *Conn {
	return &Conn{in: in, out: out, opts: o, lines: make(chan []byte, 16), done: make(chan struct{}), waiting: map[string]*waiter{}}
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection has ended: io.EOF when the other side closed it, CodeInvalid when it broke the protocol.
func (c *Conn) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Serve reads until the other side closes the connection or breaks the protocol, and returns when every handler has
// returned. ctx is what handlers get; its end does not stop the reading: whoever owns the streams closes them.
func (c *Conn) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var handlers, writer sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() { c.write(stop) })
	c.err = c.read(ctx, &handlers)
	close(c.done)
	cancel()
	handlers.Wait()
	close(stop)
	writer.Wait()
	return c.err
}

// write sends lines, and drops what is left when nobody can read it any more.
func (c *Conn) write(stop <-chan struct{}) {
	var failed bool
	send := func(line []byte) {
		if !failed {
			_, err := c.out.Write(line)
			failed = err != nil // the reader sees the end of the connection too
		}
	}
	for {
		select {
		case line := <-c.lines:
			send(line)
		case <-stop:
			for {
				select {
				case line := <-c.lines:
					send(line)
				default:
					return
				}
			}
		}
	}
}

func (c *Conn) read(ctx context.Context, handlers *sync.WaitGroup) error {
	places := make(chan struct{}, maxHandling)
	r := bufio.NewReaderSize(c.in, 64<<10)
	for {
		line, err := readLine(r)
		if err != nil {
			if core.CodeOf(err) != core.CodeTooLarge || !c.opts.Lenient {
				return err
			}
			c.sendError(ctx, nil, CodeInvalidRequest, err)
			continue
		}
		if len(line) == 0 {
			continue
		}
		m, err := parse(line)
		if err == nil {
			err = c.take(ctx, m, places, handlers)
		} else if c.opts.Lenient {
			code := CodeInvalidRequest
			if !json.Valid(line) {
				code = CodeParse
			}
			c.sendError(ctx, m.ID, code, err)
		}
		if err != nil && !c.opts.Lenient {
			return err
		}
	}
}

// readLine reads one line without its end. One that is too long is skipped and told as CodeTooLarge.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if !tooLong {
			line = append(line, part...)
		}
		if len(line) > MaxLine {
			tooLong, line = true, nil
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case tooLong:
			return nil, core.Errorf(core.CodeTooLarge, "the line is longer than %d MB", MaxLine>>20)
		case err != nil && len(line) == 0:
			return nil, err
		}
		for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
			line = line[:len(line)-1]
		}
		return line, nil
	}
}

// take does what a message asks for.
func (c *Conn) take(ctx context.Context, m message, places chan struct{}, handlers *sync.WaitGroup) error {
	switch {
	case m.notification():
		if c.opts.Notify == nil {
			return nil
		}
		return c.opts.Notify(m.Method, m.Params)
	case m.request():
		select {
		case places <- struct{}{}:
		default:
			c.sendError(ctx, m.ID, CodeInternal, core.Errorf(core.CodeRateLimited, "more than %d requests at the same time; wait for answers", maxHandling))
			return nil
		}
		handlers.Go(func() {
			defer func() { <-places }()
			c.answer(ctx, m)
		})
		return nil
	}
	c.mu.Lock()
	w := c.waiting[string(m.ID)]
	c.mu.Unlock()
	if w == nil {
		if m.ID == nil && m.Error != nil { // the other side could not read a line of ours
			return core.Errorf(core.CodeInvalid, "an error without an id, which says that a message could not be read: %s", sampleText(m.Error.Message))
		}
		return nil // late, or twice
	}
	select {
	case w.answers <- m:
		select { // what comes after an answer is read after it has had its effect
		case <-w.taken:
		case <-w.gone:
		}
	case <-w.gone:
	}
	return nil
}

func (c *Conn) answer(ctx context.Context, m message) {
	if c.opts.Handle == nil {
		c.sendError(ctx, m.ID, CodeMethodNotFound, NotFound(m.Method))
		return
	}
	result, err := c.opts.Handle(ctx, m.Method, m.Params)
	if err != nil {
		c.sendError(ctx, m.ID, 0, err)
		return
	}
	raw, err := json.Marshal(result)
	if err != nil {
		c.sendError(ctx, m.ID, 0, err)
		return
	}
	_ = c.send(ctx, message{ID: m.ID, Result: raw}) // the connection has ended: nobody waits
}

// NotFound is the error of a method that nobody knows.
func NotFound(method string) *Error {
	return &Error{Code: CodeMethodNotFound, Message: "method " + strconv.Quote(sampleText(method)) + " is not known here", Data: map[string]any{"method": sampleText(method)}}
}

func sampleText(s string) string { return s[:min(len(s), 60)] }

// sendError answers with an error; code 0 is the one that fits err.
func (c *Conn) sendError(ctx context.Context, id json.RawMessage, code int, err error) {
	e := *wireError(err)
	if code != 0 {
		e.Code = code
	}
	if id == nil {
		id = json.RawMessage("null")
	}
	_ = c.send(ctx, message{ID: id, Error: &e}) // as above
}

// send queues a line. It waits while the other side does not read.
func (c *Conn) send(ctx context.Context, m message) error {
	m.JSONRPC = "2.0"
	line, err := json.Marshal(m)
	if err != nil {
		return core.Wrap(core.CodeInternal, err, "a message cannot be written")
	}
	line = append(line, '\n')
	select {
	case c.lines <- line: // also while handlers end after the last line was read
		return nil
	default:
	}
	select {
	case c.lines <- line:
		return nil
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Notify sends a notification.
func (c *Conn) Notify(ctx context.Context, method string, params any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return core.Wrap(core.CodeInternal, err, "the parameters of %s cannot be written", method)
	}
	return c.send(ctx, message{Method: method, Params: raw})
}

// Call sends a request and reads its answer into result (nil = it is dropped). Errors: a *Error that the other side
// answered, CodeInvalid for an answer that cannot be read, Err's when the connection ends, ctx's.
func (c *Conn) Call(ctx context.Context, method string, params, result any) error {
	return c.Stream(ctx, method, params, func(raw json.RawMessage) (bool, error) {
		if result == nil {
			return true, nil
		}
		return true, Decode("result", raw, result)
	})
}

// Stream sends a request and gives each of its answers to part, until part says that it was the last one or fails.
func (c *Conn) Stream(ctx context.Context, method string, params any, part func(result json.RawMessage) (last bool, err error)) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return core.Wrap(core.CodeInternal, err, "the parameters of %s cannot be written", method)
	}
	w := &waiter{answers: make(chan message), taken: make(chan struct{}), gone: make(chan struct{})}
	c.mu.Lock()
	c.next++
	id := strconv.FormatInt(c.next, 10)
	c.waiting[id] = w
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		close(w.gone)
	}()
	if err := c.send(ctx, message{ID: json.RawMessage(id), Method: method, Params: raw}); err != nil {
		return err
	}
	for {
		select {
		case m := <-w.answers:
			if m.Error != nil {
				return m.Error
			}
			if last, err := part(m.Result); last || err != nil {
				return err
			}
			w.taken <- struct{}{} // the reader waits for it
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
