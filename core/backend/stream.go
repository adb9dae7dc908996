package backend

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// StreamForm is how a dialect streams.
type StreamForm struct {
	ContentType string
	KeepAlive   []byte        // written where the model is silent; nil = nothing
	Every       time.Duration // of silence; 0 = 15 s
	Write       time.Duration // longest time of one write, to a twentieth; 0 = 20 s
}

// Stream writes the events of one answer. The header goes out with the first of them, so that an earlier error can still
// have its status. While the model is silent, it writes what keeps the connection open. Close ends that.
type Stream struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	form StreamForm

	mu      sync.Mutex // the keep-alive's timer writes too
	started bool
	closed  bool
	err     error
	timer   *time.Timer
	last    time.Time // of the writes
	bounded time.Time // when the connection was last given a deadline
}

// NewStream returns a stream that has not begun.
func NewStream(w http.ResponseWriter, form StreamForm) *Stream {
	if form.Every == 0 {
		form.Every = 15 * time.Second
	}
	if form.Write == 0 {
		form.Write = 20 * time.Second
	}
	s := &Stream{w: w, rc: http.NewResponseController(w), form: form, last: time.Now()}
	if form.KeepAlive != nil {
		s.timer = time.AfterFunc(form.Every, s.keepAlive)
	}
	return s
}

// Header sets a field of the answer's header, while it has not gone out.
func (s *Stream) Header(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.w.Header().Set(name, value)
	}
}

// Started says whether the header has gone out.
func (s *Stream) Started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// Write writes whole events and sends them off. The first error stands for all later ones: nobody is left to read.
func (s *Stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *Stream) write(b []byte) error {
	if s.err != nil {
		return s.err
	}
	if s.closed {
		return context.Canceled
	}
	if !s.started {
		s.started = true
		h := s.w.Header()
		h.Set("Content-Type", s.form.ContentType)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
		s.w.WriteHeader(http.StatusOK)
	}
	// Timers cost more than the time of day: a deadline is moved only where it matters, and the keep-alive's looks at last.
	s.last = time.Now()
	if s.last.Sub(s.bounded) > s.form.Write/20 {
		s.bounded = s.last
		// A writer without deadlines or flushing is a test's: the write itself still tells.
		_ = s.rc.SetWriteDeadline(s.last.Add(s.form.Write))
	}
	if _, s.err = s.w.Write(b); s.err == nil {
		s.err = s.rc.Flush()
	}
	return s.err
}

func (s *Stream) keepAlive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if left := s.form.Every - time.Since(s.last); left > 0 {
		s.timer.Reset(left)
		return
	}
	if s.write(s.form.KeepAlive) == nil {
		s.timer.Reset(s.form.Every)
	}
}

// Close ends the keep-alive. Nothing is written after it.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
