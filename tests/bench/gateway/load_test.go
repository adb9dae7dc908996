//go:build bench

package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is the client: as many connections as requests at once, each with the same bytes to send. It reads no more of
// HTTP than it needs, so that it costs the machine little and every peer the same.
type load struct {
	p       *peer
	m       mode
	request []byte
	conns   []*client
	failed  atomic.Int64
}

// fewFailures is how many requests another peer may fail whatever the number: httputil.ReverseProxy cuts streams now and
// then, in a short warm-up too. SutazAI may fail none.
const fewFailures = 8

type client struct {
	net.Conn
	in   *bufio.Reader
	body []byte
}

func newLoad(t *testing.T, p *peer, m mode) *load {
	t.Helper()
	stream := ""
	if m.stream {
		stream = `,"stream":true`
	}
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]%s}`, p.model, strings.Repeat("ping ", m.prompt/5), stream)
	host := strings.TrimPrefix(p.url, "http://")
	return &load{p: p, m: m, conns: make([]*client, m.concurrency), request: fmt.Appendf(nil,
		"POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		host, p.key, len(body), body)}
}

func (l *load) close() {
	for _, c := range l.conns {
		if c != nil {
			c.Close()
		}
	}
}

// run makes n requests and returns how long each took. SutazAI must answer each right; of another peer, which is not what
// is tested, one in fifty may fail and is counted.
func (l *load) run(n int) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	var next atomic.Int64
	return took, l.each(func(c **client) (bool, error) {
		i := next.Add(1) - 1
		if i >= int64(n) {
			return false, nil
		}
		began := time.Now()
		err := l.once(c)
		took[i] = time.Since(began)
		if err != nil && l.p.name != "sutazai" && l.failed.Add(1) <= int64(n/50+fewFailures) {
			(*c).Close()
			*c, err = nil, nil
		}
		return true, err
	})
}

// each calls do on every connection until it says false.
func (l *load) each(do func(c **client) (more bool, err error)) error {
	errs := make([]error, len(l.conns))
	var wg sync.WaitGroup
	for i := range l.conns {
		wg.Go(func() {
			for more := true; more && errs[i] == nil; {
				more, errs[i] = do(&l.conns[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// once makes one request and holds its answer against what the upstream said.
func (l *load) once(c **client) error {
	if *c == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(l.p.url, "http://"))
		if err != nil {
			return err
		}
		*c = &client{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	}
	k := *c
	if err := k.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := k.Write(l.request); err != nil {
		return err
	}
	var status string
	var err error
	k.body, err = readMessage(k.in, k.body[:0], func(line string) { status = line })
	if errors.Is(err, io.EOF) && status == "" {
		return fmt.Errorf("the connection was closed before an answer")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", status, err)
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return fmt.Errorf("%s: %.500s", status, k.body)
	}
	if !l.m.stream {
		if !bytes.Contains(k.body, []byte(pong)) {
			return fmt.Errorf("a wrong answer: %.500s", k.body)
		}
		return nil
	}
	if n := bytes.Count(k.body, []byte(`"`+word+`"`)); n != chunks || !bytes.Contains(k.body, []byte(doneTag)) {
		return fmt.Errorf("a wrong stream: %d of %d chunks, the end is %.200q", n, chunks, k.body[max(0, len(k.body)-200):])
	}
	return nil
}
