//go:build mutate

package mutate

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/app"
)

const acpMessages = 10_000

// acpNames is what an explained error of `sutazai acp` speaks of.
var acpNames = []string{"params", "jsonrpc", "method", "result", "error", "id ", "the line", "the message", "session", "cancelled"}

// acpRuns are runs that end as soon as they begin, with an answer.
type acpRuns struct {
	mu   sync.Mutex
	runs map[string]core.Run
	said map[string][]core.Message
}

func (r *acpRuns) add(id, text string) core.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said[id] = append(r.said[id], core.Message{Index: len(r.said[id]), Role: core.RoleUser, Text: text})
	r.said[id] = append(r.said[id], core.Message{Index: len(r.said[id]), Role: core.RoleAssistant, Text: "Hello."})
	return r.runs[id]
}

func (r *acpRuns) Start(_ context.Context, agent, input string, metadata map[string]string, key string) (core.Run, error) {
	r.mu.Lock()
	r.runs[key] = core.Run{ID: key, Agent: agent, Status: core.RunSucceeded, Metadata: metadata}
	r.mu.Unlock()
	return r.add(key, input), nil
}

func (r *acpRuns) Run(_ context.Context, id string) (core.Run, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run, ok := r.runs[id]
	if !ok {
		return run, core.Errorf(core.CodeNotFound, "there is no run %q", id)
	}
	return run, nil
}

func (r *acpRuns) Latest(context.Context, string) ([]core.Run, error) { return nil, nil }

func (r *acpRuns) Messages(_ context.Context, id string) ([]core.Message, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]core.Message(nil), r.said[id]...), nil
}

func (r *acpRuns) Steps(context.Context, string) ([]core.Step, error) { return nil, nil }

func (r *acpRuns) Message(_ context.Context, id, text string) (core.Run, error) {
	return r.add(id, text), nil
}

func (r *acpRuns) Cancel(context.Context, string) error { return nil }

func (r *acpRuns) Decide(context.Context, string, core.Verdict) error { return nil }

func (r *acpRuns) Events(context.Context, string, int64) iter.Seq2[core.Event, error] {
	return func(yield func(core.Event, error) bool) { yield(core.Event{N: 1, Type: core.EventRunSucceeded}, nil) }
}

// TestACPServer sends broken messages to `sutazai acp`, each followed by one whose answer shows that it still listens.
func TestACPServer(t *testing.T) {
	before := runtime.NumGoroutine()
	in, write := io.Pipe()
	read, out := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- app.ServeACP(t.Context(), in, out, app.ACPOptions{
			Agent: "assistant", Version: "1", Runs: &acpRuns{runs: map[string]core.Run{}, said: map[string][]core.Message{}},
			Logger: slog.New(slog.DiscardHandler), Ready: func(context.Context) error { return nil },
		})
		out.Close()
	}()
	lines := make(chan string, 1024)
	go func() {
		defer close(lines)
		scan := bufio.NewScanner(read)
		scan.Buffer(nil, 32<<20)
		for scan.Scan() {
			lines <- scan.Text()
		}
	}()
	say := func(line string) { _, _ = io.WriteString(write, line+"\n") }
	say(`{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":1}}`)
	<-lines
	say(`{"jsonrpc":"2.0","id":"new","method":"session/new","params":{"cwd":"/","mcpServers":[]}}`)
	var made struct {
		Result struct{ SessionID string }
	}
	if err := json.Unmarshal([]byte(<-lines), &made); err != nil || made.Result.SessionID == "" {
		t.Fatalf("no session: %v", err)
	}
	session := made.Result.SessionID
	valid := []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1,"clientInfo":{"name":"x","version":"1"},"clientCapabilities":{"fs":{"readTextFile":false,"writeTextFile":true},"terminal":true}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"authenticate","params":{"methodId":"k"}}`,
		`{"jsonrpc":"2.0","id":3,"method":"session/new","params":{"cwd":"/x","mcpServers":[{"name":"m","command":"/bin/m","args":["x"],"env":[{"name":"A","value":"b"}]}]}}`,
		`{"jsonrpc":"2.0","id":4,"method":"session/load","params":{"sessionId":"` + session + `","cwd":"/x","mcpServers":[]}}`,
		`{"jsonrpc":"2.0","id":5,"method":"session/prompt","params":{"sessionId":"` + session + `","prompt":[{"type":"text","text":"hello"},{"type":"resource_link","uri":"file:///x/y.md","name":"y","mimeType":"text/plain"},{"type":"resource","resource":{"uri":"file:///z","text":"z","mimeType":"text/plain"}}]}}`,
		`{"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":"` + session + `"}}`,
		`{"jsonrpc":"2.0","id":6,"method":"session/set_mode","params":{"sessionId":"` + session + `","modeId":"m"}}`,
		`{"jsonrpc":"2.0","id":7,"result":{"outcome":{"outcome":"selected","optionId":"allow"}}}`,
		`{"jsonrpc":"2.0","id":8,"error":{"code":-32000,"message":"no","data":{"x":1}}}`,
	}
	m := New(13)
	leaks, unexplained, refused := 0, 0, 0
	for n := range acpMessages {
		sent := strings.ReplaceAll(string(m.Message([]byte(Pick(m, valid)))), "\n", " ")
		say(sent)
		probe := fmt.Sprintf("probe-%d", n)
		say(`{"jsonrpc":"2.0","id":"` + probe + `","method":"probe"}`)
		silence := time.NewTimer(10 * time.Second)
		for answered := false; !answered; {
			var line string
			select {
			case line = <-lines:
			case <-silence.C:
				t.Fatalf("it answers no more after %.300s", sent)
			}
			var a struct {
				ID    json.RawMessage
				Error *struct {
					Code    int
					Message string
				}
			}
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatalf("it wrote %.300s for %.300s", line, sent)
			}
			if answered = string(a.ID) == `"`+probe+`"`; answered {
				continue
			}
			if leak := Leak(line, sent); leak != "" {
				t.Errorf("%q leaks in %.300s for %.300s", leak, line, sent)
				leaks++
			}
			if a.Error != nil {
				refused++
				if !Explained(a.Error.Message, acpNames...) {
					t.Errorf("%q explains nothing about %.300s", a.Error.Message, sent)
					unexplained++
				}
			}
		}
		silence.Stop()
	}
	write.Close()
	for range lines { // the last answers
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+2 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if left := runtime.NumGoroutine() - before; left > 2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left:\n%s", left, buf[:runtime.Stack(buf, true)])
		leaks++
	}
	fmt.Printf("RESULT mutate protocol=acp role=server messages=%d panics=0 leaks=%d unexplained=%d refused=%d\n", acpMessages, leaks, unexplained, refused)
	if leaks+unexplained > 0 || refused == 0 {
		t.Fail()
	}
}
