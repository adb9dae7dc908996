package mcp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	keepAlive = 15 * time.Second // of silence on a stream before a comment is sent, which keeps proxies from closing it
	writeTime = 20 * time.Second // longest time of one write
)

// writer stands between the SDK and the connection. It keeps silent streams open, bounds the time of each write, and
// gives the SDK's plain errors the protocol's form.
type writer struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu     sync.Mutex // the timer writes too
	status int
	plain  bool // a plain error is being written: its text is held back
	framed bool // an error came after the stream had begun: what follows becomes an event
	text   bytes.Buffer
	timer  *time.Timer
	closed bool
}

func newWriter(w http.ResponseWriter) *writer {
	o := &writer{w: w, rc: http.NewResponseController(w)}
	o.mu.Lock() // the timer must not see o without it
	defer o.mu.Unlock()
	o.timer = time.AfterFunc(keepAlive, o.keepAlive)
	return o
}

// Header implements http.ResponseWriter.
func (o *writer) Header() http.Header { return o.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (o *writer) WriteHeader(code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writeHeader(code)
}

func (o *writer) writeHeader(code int) {
	if o.status != 0 {
		o.framed = code >= 400
		return
	}
	o.status = code
	h := o.w.Header()
	if code >= 400 && strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		o.plain = true
		return
	}
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	o.w.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (o *writer) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.status == 0 {
		o.writeHeader(http.StatusOK)
	}
	if o.plain {
		return o.text.Write(b)
	}
	o.timer.Reset(keepAlive)
	out := b
	if o.framed {
		o.framed = false
		out = append(append([]byte("event: message\ndata: "), bytes.TrimSpace(b)...), "\n\n"...)
	}
	if err := o.write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (o *writer) write(b []byte) error {
	// A writer without deadlines is a test's: the write itself still tells.
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := o.w.Write(b)
	return err
}

// FlushError is what http.ResponseController calls.
func (o *writer) FlushError() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.plain || o.closed {
		return nil
	}
	if o.status == 0 {
		o.writeHeader(http.StatusOK)
	}
	return o.rc.Flush()
}

func (o *writer) keepAlive() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.plain {
		return
	}
	if strings.HasPrefix(o.w.Header().Get("Content-Type"), "text/event-stream") {
		if o.status == 0 {
			o.writeHeader(http.StatusOK)
		}
		if o.write([]byte(": keep-alive\n\n")) != nil || o.rc.Flush() != nil {
			return // the client has left
		}
	}
	o.timer.Reset(keepAlive)
}

// finish ends the answer: nothing is written after it.
func (o *writer) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.timer.Stop()
	if !o.plain {
		return
	}
	message := strings.TrimSpace(o.text.String())
	if o.status >= 500 || message == "" {
		message = internalText
	}
	b, err := json.Marshal(wireError{JSONRPC: "2.0", Error: rpcError{Code: codeOfStatus(o.status), Message: strings.TrimPrefix(message, "Bad Request: ")}})
	if err != nil { // texts and a number: it cannot happen
		o.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := o.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	o.w.WriteHeader(o.status)
	_ = o.write(b) // a client that has left needs no answer
}
