//go:build gateway

// Package gateway is the gate of hostile model servers and clients: a real server stands between scripted upstreams that
// break in every known way and raw clients of each dialect, which must be told the truth. It also holds budgets to the
// last millionth over two replicas. It prints RESULT lines and knows the product from outside only.
package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// upstream is a model server that breaks as the model's name says: "<fault>-<anything>".
type upstream struct {
	*httptest.Server
	broken  atomic.Bool  // of the fault "flaky"
	flaky   atomic.Int64 // calls of it
	left    sync.Map     // model -> time.Time at which its caller was seen to leave
	waiting sync.Map     // model -> struct{}: it is streaming
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		if u.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"object":"list","data":[]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", u.chat)
	u.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		u.CloseClientConnections()
		u.Close()
	})
	return u
}

const (
	firstEvent = `data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"}}]}` + "\n\n"
	lastEvents = `data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}` + "\n\ndata: [DONE]\n\n"
)

func (u *upstream) chat(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Model  string `json:"model"`
		Stream bool   `json:"stream"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	fault, _, _ := strings.Cut(q.Model, "-")
	write := func(s string) bool {
		if _, err := io.WriteString(w, s); err != nil {
			return false
		}
		return http.NewResponseController(w).Flush() == nil
	}
	events := func() { w.Header().Set("Content-Type", "text/event-stream") }
	switch fault {
	case "kill": // the connection ends in the middle of an event
		events()
		write(firstEvent)
		write(`data: {"id":"c","choices":[{"index":0,"delta":{"content":"half of`)
		panic(http.ErrAbortHandler)
	case "told": // the server tells of its own failure in the stream
		events()
		write(firstEvent + `data: {"error":{"message":"the GPU is gone","type":"server_error","code":500}}` + "\n\n")
	case "reset":
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // close with RST
			}
			_ = c.Close()
		}
	case "silent":
		<-r.Context().Done()
	case "stalls": // a word, and then nothing
		events()
		write(firstEvent)
		<-r.Context().Done()
	case "wrong":
		w.Header().Set("Content-Type", "application/json")
		write(`{"id":"x","choices":[{"message":{"content":"cut`)
	case "html":
		w.Header().Set("Content-Type", "text/html")
		write("<html>a page of some proxy</html>")
	case "endless":
		events()
		write(firstEvent)
		long := `data: {"id":"c","choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", 256<<10) + `"}}]}` + "\n\n"
		for write(long) {
		}
	case "storm":
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
		write(`{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}`)
	case "leave":
		events()
		u.waiting.Store(q.Model, struct{}{})
		for write(firstEvent) {
			select {
			case <-r.Context().Done():
				u.left.Store(q.Model, time.Now())
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		u.left.Store(q.Model, time.Now())
	case "flaky":
		u.flaky.Add(1)
		if u.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		u.answer(w, q.Stream, write)
	default:
		u.answer(w, q.Stream, write)
	}
}

func (u *upstream) answer(w http.ResponseWriter, stream bool, write func(string) bool) {
	if stream {
		w.Header().Set("Content-Type", "text/event-stream")
		write(firstEvent + lastEvents)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(`{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`)
}

// dialect is how a raw client speaks.
type dialect struct {
	name   string
	path   string
	body   string   // of a streamed call; %s is the model
	failed []string // what tells of an error in a stream, one of them
	ended  []string // what tells of an end, none of which may stand in a broken stream
}

func dialects() []dialect {
	return []dialect{
		{"chat", "/v1/chat/completions", `{"model":"up/%s","stream":true,"messages":[{"role":"user","content":"hi"}]}`,
			[]string{`data: {"error":`}, []string{"[DONE]", `"finish_reason":"`}},
		{"messages", "/v1/messages", `{"model":"up/%s","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`,
			[]string{"event: error"}, []string{"message_stop", `"stop_reason":"`}},
		{"responses", "/v1/responses", `{"model":"up/%s","stream":true,"input":"hi"}`,
			[]string{"event: error", "event: response.failed"}, []string{"response.completed", "response.incomplete"}},
		{"ollama", "/ollama/api/chat", `{"model":"up/%s","messages":[{"role":"user","content":"hi"}]}`,
			[]string{`{"error":`}, []string{`"done":true`}},
	}
}

func (d dialect) request(model string) string { return fmt.Sprintf(d.body, model) }
