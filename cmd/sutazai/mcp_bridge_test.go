package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// mcpFake is a server of the protocol that a test scripts.
type mcpFake struct {
	mu       sync.Mutex
	sessions int
	ended    []string
	seen     []string // "METHOD session version name body"
	answer   func(w http.ResponseWriter, r *http.Request, m mcpMessage) bool
}

func (f *mcpFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var m mcpMessage
	_ = json.Unmarshal(body, &m)
	f.mu.Lock()
	current := fmt.Sprintf("s%d", f.sessions)
	session := r.Header.Get("Mcp-Session-Id")
	f.seen = append(f.seen, strings.Join([]string{r.Method, session, r.Header.Get("Mcp-Protocol-Version"), r.Header.Get("Mcp-Name"), string(body)}, " "))
	f.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete:
		f.mu.Lock()
		f.ended = append(f.ended, session)
		f.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case f.answer != nil && f.answer(w, r, m):
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case m.Method == "initialize":
		f.mu.Lock()
		f.sessions++
		current = fmt.Sprintf("s%d", f.sessions)
		f.mu.Unlock()
		w.Header().Set("Mcp-Session-Id", current)
		replyMCP(w, m.ID, `{"protocolVersion":"2025-11-25","capabilities":{}}`)
	case m.Params.Meta.Version == "" && session != current:
		w.WriteHeader(http.StatusNotFound)
	case len(m.ID) == 0:
		w.WriteHeader(http.StatusAccepted)
	default:
		replyMCP(w, m.ID, `{"method":"`+m.Method+`"}`)
	}
}

func replyMCP(w http.ResponseWriter, id json.RawMessage, result string) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, ": hello\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", id, result)
}

// mcpTalk is a client on the other side of a bridge.
type mcpTalk struct {
	t     *testing.T
	fake  *mcpFake
	in    *io.PipeWriter
	lines *bufio.Scanner
	ended chan error
}

func newMCPTalk(t *testing.T, fake *mcpFake) *mcpTalk {
	t.Helper()
	s := httptest.NewServer(fake)
	t.Cleanup(s.Close)
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	talk := &mcpTalk{t: t, fake: fake, in: inW, lines: bufio.NewScanner(outR), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	conn := &connector{serverURL: s.URL, warn: func(string) {}}
	go func() {
		err := newMCPBridge(conn, outW).run(ctx, inR)
		_ = outW.Close() // a pipe
		talk.ended <- err
	}()
	t.Cleanup(func() {
		_ = inW.Close()
		go func() { _, _ = io.Copy(io.Discard, outR) }() // what nobody reads must not hold it
		cancel()
	})
	return talk
}

func (m *mcpTalk) send(message string) {
	m.t.Helper()
	if _, err := io.WriteString(m.in, message+"\n"); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mcpTalk) read() string {
	m.t.Helper()
	if !m.lines.Scan() {
		m.t.Fatalf("no answer: %v", m.lines.Err())
	}
	return m.lines.Text()
}

func (m *mcpTalk) want(parts ...string) {
	m.t.Helper()
	line := m.read()
	for _, p := range parts {
		if !strings.Contains(line, p) {
			m.t.Errorf("%s lacks %s", line, p)
		}
	}
}

func (m *mcpTalk) hello() {
	m.t.Helper()
	m.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`)
	m.want(`"protocolVersion":"2025-11-25"`)
	m.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

func (m *mcpTalk) close() {
	m.t.Helper()
	if err := m.in.Close(); err != nil {
		m.t.Fatal(err)
	}
	if err := <-m.ended; err != nil {
		m.t.Errorf("it ended with %v", err)
	}
}

func TestTheBridgeCarriesMessages(t *testing.T) {
	t.Parallel()
	f := &mcpFake{}
	m := newMCPTalk(t, f)
	m.hello()
	m.send("")
	m.send(`{"jsonrpc":"2.0","id":"a","method":"tools/list"}`)
	m.want(`"id":"a"`, `"method":"tools/list"`)
	m.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
	m.want(`"id":2`)
	m.close()
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := strings.Join(f.seen, "\n")
	for _, want := range []string{"POST s1 2025-11-25  {\"jsonrpc\":\"2.0\",\"id\":\"a\"", "POST  2026-07-28 x {", "POST s1 2025-11-25  {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the server saw no %q:\n%s", want, seen)
		}
	}
	if len(f.ended) != 1 || f.ended[0] != "s1" {
		t.Errorf("ended %v", f.ended)
	}
}

func TestTheBridgeOpensAnotherSessionWhereTheServerForgotIts(t *testing.T) {
	t.Parallel()
	f := &mcpFake{}
	m := newMCPTalk(t, f)
	m.hello()
	f.mu.Lock()
	f.sessions = 7 // as after a restart: s1 is not known
	f.mu.Unlock()
	m.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	m.want(`"id":1`, `"method":"tools/list"`) // and no second answer to initialize before it
	m.close()
	if f.ended[0] != "s8" {
		t.Errorf("ended %v", f.ended)
	}
}

func TestTheBridgeTakesABrokenStreamUpAgain(t *testing.T) {
	t.Parallel()
	f := &mcpFake{}
	f.answer = func(w http.ResponseWriter, r *http.Request, m mcpMessage) bool {
		switch {
		case m.Method == "tools/call":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "id: stream_0\ndata: \n\n") // and then the connection ends
		case r.Method == http.MethodGet && r.Header.Get("Last-Event-Id") == "stream_0":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "id: stream_1\ndata: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"late\":true}}\n\n")
		default:
			return false
		}
		return true
	}
	m := newMCPTalk(t, f)
	m.hello()
	m.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x"}}`)
	m.want(`"id":5`, `"late":true`)
	m.close()
}

func TestTheBridgeAnswersWhatCannotBeCarried(t *testing.T) {
	t.Parallel()
	f := &mcpFake{}
	f.answer = func(w http.ResponseWriter, _ *http.Request, m mcpMessage) bool {
		switch m.Method {
		case "broken":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n")
		case "refused":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"jsonrpc":"2.0","error":{"code":-32003,"message":"not allowed"}}`)
		case "proxied":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
		default:
			return false
		}
		return true
	}
	m := newMCPTalk(t, f)
	m.send(`{"jsonrpc":"2.0","id":1,"method":"broken"}`)
	m.want("notifications/progress")
	m.want(`"id":1`, `"error"`, "broke before its answer")
	m.send(`{"jsonrpc":"2.0","id":2,"method":"refused"}`)
	m.want(`"id":2`, "not allowed")
	m.send(`{"jsonrpc":"2.0","id":3,"method":"proxied"}`)
	m.want(`"id":3`, "HTTP status 502")
	m.close()
}

func TestTheBridgeEndsARequestThatTheClientCancels(t *testing.T) {
	t.Parallel()
	began, left := make(chan struct{}), make(chan struct{})
	f := &mcpFake{}
	f.answer = func(w http.ResponseWriter, r *http.Request, m mcpMessage) bool {
		if m.Method != "tools/call" {
			return false
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		close(began)
		<-r.Context().Done()
		close(left)
		return true
	}
	m := newMCPTalk(t, f)
	m.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
	<-began
	m.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("the request goes on")
	}
	m.close()
}

func TestTheBridgeRefusesLinesWithoutAnEnd(t *testing.T) {
	t.Parallel()
	endless := io.MultiReader(strings.NewReader(`{"a":"`), &repeated{})
	err := readLines(endless, func([]byte) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}

// repeated is a stream of the same letter.
type repeated struct{}

func (*repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}
