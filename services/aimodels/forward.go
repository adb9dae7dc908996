package aimodels

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

const (
	streamBuffer = 16 << 10 // bytes that are read of a stream at once
	maxEvent     = 16 << 20 // longest event of a stream, in bytes
)

// buffers keeps the memory of streams for the next ones.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { b := make([]byte, streamBuffer); return &b }}}
}

func (b *buffers) get() *[]byte { return b.pool.Get().(*[]byte) }

func (b *buffers) put(buf *[]byte) {
	if len(*buf) == streamBuffer {
		b.pool.Put(buf)
	}
}

// forward makes one try in the client's own bytes. A server may have failed at them: they went to it as they came.
func (x *exchange) forward(ctx context.Context, a *attempt, f Forwarder) error {
	err := x.pass(ctx, a, f)
	if ce, ok := asCallError(err); ok && ce.Retryable && !ce.overload && a.first == 0 {
		if wrong := x.call.Body.Sound(); wrong != nil {
			return &CallError{Err: core.Wrap(core.CodeInvalid, err, "%s", core.MessageOf(wrong)), theirs: true}
		}
	}
	return err
}

func (x *exchange) pass(ctx context.Context, a *attempt, f Forwarder) error {
	body, err := f.Forward(ctx, a.target.Model, x.call)
	if err != nil {
		return err
	}
	defer body.Close()
	if !x.call.Stream {
		err = x.forwardWhole(a, body)
	} else {
		err = x.forwardStream(a, body)
	}
	if err == nil || errors.Is(err, errLost) {
		return err
	}
	if _, ok := asCallError(err); ok {
		return err
	}
	if _, ok := errors.AsType[*clientError](err); ok {
		return err
	}
	return body.Explain(err)
}

func (x *exchange) forwardWhole(a *attempt, body *Body) error {
	b, err := body.ReadAll()
	if err != nil {
		return err
	}
	answer, err := dialect.Scan(b)
	if err != nil {
		return body.Malformed(err)
	}
	if fault := answer.Get("error"); fault != nil && x.call.Dialect != dialect.OpenAIResponses {
		return body.StreamError(fault)
	}
	if !a.begin() {
		return errLost
	}
	x.count(a, dialect.ReadUsage(x.call.Dialect, answer), x.call.Dialect.Characters(b), true)
	x.head(a)
	x.heard.write(b)
	if err := x.out.Raw(b); err != nil {
		return &clientError{err}
	}
	return nil
}

// count takes what the provider reported as used. What it did not report is estimated from the texts, as that of a
// translated call is; so is the output of a stream that was cut, whose report so far may be no more than a beginning.
func (x *exchange) count(a *attempt, u core.Usage, characters int64, ended bool) {
	if u.InputTokens <= 0 {
		u.InputTokens = x.input()
	}
	if said := atMost(tokensOf(characters), x.most); u.OutputTokens <= 0 || !ended {
		u.OutputTokens = max(u.OutputTokens, said)
	}
	u.CostMicroUSD = x.g.cfg.price(a.target).of(u)
	a.usage = u
}

// forwardStream passes events on as they come. Nothing goes out before the first that holds something of the answer, so
// that a provider that fails at once can still be replaced; and never a part of an event, so that an error can follow.
func (x *exchange) forwardStream(a *attempt, body *Body) error {
	if strings.HasPrefix(body.ContentType, "application/json") && !strings.Contains(body.ContentType, "ndjson") && x.call.Dialect != dialect.OllamaChat && x.call.Dialect != dialect.OllamaGenerate {
		return x.unstreamed(body)
	}
	s := &rawStream{x: x, a: a, watch: dialect.NewWatch(x.call.Dialect)}
	buf := x.g.buffers.get()
	s.buf = *buf
	defer func() {
		if &s.buf[0] == &(*buf)[0] { // not replaced by a longer one
			x.g.buffers.put(buf)
		}
	}()
	err := s.pump(body)
	if s.begun {
		x.count(a, s.watch.Usage(), s.watch.Characters(), s.watch.Ended())
	}
	return err
}

// unstreamed is an answer in one piece where a stream was asked for: an error, or a server that cannot stream.
func (x *exchange) unstreamed(body *Body) error {
	b, err := body.ReadAll()
	if err != nil {
		return err
	}
	if o, err := dialect.Scan(b); err == nil && o.Has("error") {
		return body.StreamError(o.Get("error"))
	}
	return body.Malformed(errors.New("one JSON object in place of a stream"))
}

type rawStream struct {
	x     *exchange
	a     *attempt
	watch *dialect.Watch
	buf   []byte
	n     int // bytes in buf
	seen  int // of them, whole events that the watch has seen
	begun bool
}

func (s *rawStream) pump(body *Body) error {
	for {
		if s.n == len(s.buf) {
			if len(s.buf) >= maxEvent {
				return body.Malformed(errors.New("an event without an end"))
			}
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
		m, err := body.Read(s.buf[s.n:])
		s.n += m
		if m > 0 {
			s.look()
			if ferr := s.flush(body); ferr != nil {
				return ferr
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && s.watch.Ended():
			if !s.begun {
				return s.send() // an answer without a word
			}
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case s.watch.Ended() && s.begun && errors.Is(body.parent.Err(), context.Canceled):
			s.x.heard = nil // it may lack what comes behind the end
			return nil      // the client has all it wanted, and has left
		default:
			return err
		}
	}
}

// look shows the new whole events to the watch and takes those away that the client did not ask for.
func (s *rawStream) look() {
	d := s.x.call.Dialect
	rest := s.buf[s.seen : s.seen+d.Whole(s.buf[s.seen:s.n])]
	for len(rest) > 0 {
		name, data, whole, next := d.Next(rest)
		if s.watch.See(name, data, s.x.call.HideUsage) {
			copy(s.buf[s.seen:], s.buf[s.seen+len(whole):s.n])
			s.n -= len(whole)
			rest = s.buf[s.seen : s.seen+len(next)]
			continue
		}
		s.seen += len(whole)
		rest = next
	}
}

// flush sends what the watch has seen, once something of the answer is among it.
func (s *rawStream) flush(body *Body) error {
	if fault := s.watch.Failure(); fault != nil {
		err := body.StreamError(fault)
		if !s.begun && !s.watch.Content() {
			return err // another target may do better
		}
		if serr := s.send(); serr != nil {
			return serr
		}
		return &toldError{err}
	}
	if s.seen == 0 || !s.begun && !s.watch.Content() && !s.watch.Ended() {
		return nil
	}
	return s.send()
}

func (s *rawStream) send() error {
	if !s.a.begin() {
		return errLost
	}
	if !s.begun {
		s.begun = true
		s.x.head(s.a)
	}
	if s.seen == 0 {
		return nil
	}
	s.x.heard.write(s.buf[:s.seen])
	if err := s.x.out.Raw(s.buf[:s.seen]); err != nil {
		return &clientError{err}
	}
	copy(s.buf, s.buf[s.seen:s.n])
	s.n -= s.seen
	s.seen = 0
	return nil
}
