//go:build mutate

package mutate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/peers"
	"github.com/sutazai/sutazai/services/peers/acp"
	"github.com/sutazai/sutazai/services/peers/jsonl"
)

const (
	peerMessages = 10_000
	peerSilence  = 30 * time.Millisecond // after which a program that got no answer ends
)

// peerNames is what an explained error of a turn speaks of: a field, or what the program did.
var peerNames = []string{
	"result", "params", "jsonrpc", "method", "error.", "error must", "without an id", "id ", "the line", "the message", "closed its output", "ended (", "refused", "failed:", "declined", "task", "session", "version",
	"does not know", "wants a login", "tokens", "may in one turn", "cancelled",
}

// peerTally counts what a peer's turns did.
type peerTally struct {
	mu                                      sync.Mutex
	sent, leaks, unexplained, refused, good int
}

func (c *peerTally) explained(t *testing.T, message, sent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
	if leak := Leak(message, sent); leak != "" {
		t.Errorf("%q leaks in %q for %.300s", leak, message, sent)
		c.leaks++
	}
	if !Explained(message, peerNames...) {
		t.Errorf("%q explains nothing about %.300s", message, sent)
		c.unexplained++
	}
}

// turns makes turns with a peer whose program breaks one message in each, until enough were sent.
func turns(t *testing.T, protocol string, open func(peers.ProgramSpec, func(string) (string, error)) (peers.Peer, error), script []string) {
	before := runtime.NumGoroutine()
	dir := t.TempDir()
	count := &peerTally{}
	var mu sync.Mutex
	var now, broken string
	m := New(11)
	launches := 0
	spec := peers.ProgramSpec{
		Name: "peer", Command: []string{"played"}, Timeout: time.Minute, Start: 10 * time.Second, Grace: time.Second, BackoffMin: 1, BackoffMax: 1,
		Launch: func(dir string) (peers.Process, error) {
			mu.Lock()
			defer mu.Unlock()
			launches++
			if launches > 1 { // a turn that is taken up again meets a program that has forgotten it
				return Launch(func(read func() (Line, bool), say func([]byte) bool) { read() }), nil
			}
			at := m.rnd.IntN(len(script))
			valid := strings.NewReplacer("ID", "1", "FOLDER", dir).Replace(strings.TrimPrefix(script[at], "answer "))
			broken = string(m.Message([]byte(valid)))
			count.mu.Lock()
			count.sent++
			count.mu.Unlock()
			return Launch(playScript(t, script, at, dir, broken, count)), nil
		},
	}
	peer, err := open(spec, func(name string) (string, error) {
		path := filepath.Join(dir, name)
		return path, os.MkdirAll(path, 0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range peerMessages {
		mu.Lock()
		launches = 0
		mu.Unlock()
		run := fmt.Sprintf("run%d", n)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		answer, err := peer.Talk(ctx, core.PeerCall{Run: run, IdempotencyKey: run + ":0", Text: "Do it.", Workspace: "space"}, core.PeerEvents{
			Delta:   func(string) {},
			Session: func(context.Context, string) error { return nil },
			Ask: func(context.Context, core.PeerQuestion) (core.Verdict, error) {
				return core.Verdict{Decision: core.DecideApprove}, nil
			},
		})
		late := ctx.Err() != nil
		cancel()
		mu.Lock()
		now = broken
		mu.Unlock()
		switch {
		case late:
			t.Errorf("the turn hangs after %.300s", now)
			count.unexplained++
		case err != nil:
			if core.CodeOf(err) == core.CodeInternal {
				t.Errorf("an internal error for %.300s: %v", now, err)
				count.unexplained++
			}
			count.explained(t, core.MessageOf(err), now)
		default:
			count.good++
			if leak := Leak(answer.Text, now); leak != "" {
				t.Errorf("%q leaks in the answer", leak)
			}
		}
	}
	if err := peer.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+2 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if left := runtime.NumGoroutine() - before; left > 2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left:\n%s", left, buf[:runtime.Stack(buf, true)])
		count.leaks++
	}
	fmt.Printf("RESULT mutate protocol=%s role=client messages=%d panics=0 leaks=%d unexplained=%d refused=%d taken=%d\n", protocol, count.sent, count.leaks, count.unexplained, count.refused, count.good)
	if count.sent < peerMessages || count.leaks+count.unexplained > 0 || count.good == 0 || count.refused == 0 {
		t.Fail()
	}
}

// playScript says the script's lines: those that begin with "answer " when a request has come, the others at once. The line
// number at is broken.
func playScript(t *testing.T, script []string, at int, dir, broken string, count *peerTally) func(func() (Line, bool), func([]byte) bool) {
	return func(read func() (Line, bool), say func([]byte) bool) {
		got := make(chan Line)
		done := make(chan struct{})
		defer close(done)
		go func() {
			defer close(got)
			for {
				l, ok := read()
				if !ok {
					return
				}
				if l.Error != nil { // what this program makes of a broken request
					count.explained(t, l.Error.Message, broken)
					continue
				}
				select {
				case got <- l:
				case <-done:
					return
				}
			}
		}()
		id := "1"
		for i, line := range script {
			text, answers := strings.CutPrefix(line, "answer ")
			if answers {
				silence := time.NewTimer(peerSilence)
				for {
					var (
						l  Line
						ok bool
					)
					select {
					case l, ok = <-got:
					case <-silence.C:
						return
					}
					if !ok {
						return
					}
					if l.Method != "" && len(l.ID) > 0 {
						id = string(l.ID)
						break
					}
				}
				silence.Stop()
			}
			text = strings.NewReplacer("ID", id, "FOLDER", dir).Replace(text)
			if i == at {
				text = strings.ReplaceAll(broken, `"id":1,`, `"id":`+id+`,`)
			}
			if !say([]byte(text)) {
				return
			}
		}
		silence := time.NewTimer(peerSilence)
		defer silence.Stop()
		for {
			select {
			case _, ok := <-got:
				if !ok {
					return
				}
			case <-silence.C:
				return
			}
		}
	}
}

func TestACPClient(t *testing.T) {
	update := `{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":`
	script := []string{
		`answer {"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":1,"agentInfo":{"name":"x","version":"1"},"agentCapabilities":{"loadSession":false,"promptCapabilities":{"image":true}},"authMethods":[{"id":"k","name":"Key","description":"d"}]}}`,
		`answer {"jsonrpc":"2.0","id":ID,"result":{"sessionId":"s"}}`,
		update + `{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"Hello"}}}}`,
		update + `{"sessionUpdate":"agent_thought_chunk","content":{"type":"text","text":"hm"}}}}`,
		update + `{"sessionUpdate":"tool_call","toolCallId":"t","title":"Read","kind":"read","status":"pending","rawInput":{"path":"x"},"content":[{"type":"content","content":{"type":"text","text":"x"}}],"locations":[{"path":"/x","line":1}]}}}`,
		update + `{"sessionUpdate":"tool_call_update","toolCallId":"t","status":"completed"}}}`,
		update + `{"sessionUpdate":"plan","entries":[{"content":"one","priority":"high","status":"pending"}]}}}`,
		`{"jsonrpc":"2.0","id":101,"method":"session/request_permission","params":{"sessionId":"s","toolCall":{"toolCallId":"t","title":"pay","kind":"execute","status":"pending","rawInput":{"n":1}},"options":[{"optionId":"y","name":"Yes","kind":"allow_once"},{"optionId":"n","name":"No","kind":"reject_once"}]}}`,
		`{"jsonrpc":"2.0","id":102,"method":"fs/write_text_file","params":{"sessionId":"s","path":"FOLDER/y.txt","content":"x"}}`,
		`{"jsonrpc":"2.0","id":103,"method":"fs/read_text_file","params":{"sessionId":"s","path":"FOLDER/y.txt","line":1,"limit":2}}`,
		`answer {"jsonrpc":"2.0","id":ID,"result":{"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}}`,
	}
	turns(t, "acp", func(spec peers.ProgramSpec, workspace func(string) (string, error)) (peers.Peer, error) {
		return acp.New(acp.Options{Program: spec, Workspace: workspace})
	}, script)
}

func TestJSONLClient(t *testing.T) {
	result := func(text string) string { return `{"jsonrpc":"2.0","id":ID,"result":` + text + `}` }
	script := []string{
		`answer {"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"unknown method"}}`,
		"answer " + result(`{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hm"}]}},"artifacts":[]}}`),
		`{"jsonrpc":"2.0","id":"q","method":"RequestPermission","params":{"taskId":"t","tool":"pay","arguments":{"n":1},"effect":"unsafe"}}`,
		result(`{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","name":"n","parts":[{"text":"Hello"},{"data":{"x":1}},{"url":"https://example.com","filename":"x"},{"raw":"aGk=","filename":"hi.txt","mediaType":"text/plain"}]},"append":true,"lastChunk":false}}`),
		result(`{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"},"metadata":{"usage":{"input_tokens":1,"output_tokens":2}}}}`),
		result(`{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"done"}]}},"artifacts":[{"artifactId":"a","parts":[{"text":"Hello"}]}]}}`),
	}
	turns(t, "jsonl", func(spec peers.ProgramSpec, workspace func(string) (string, error)) (peers.Peer, error) {
		return jsonl.New(jsonl.Options{Program: spec, Workspace: workspace, Poll: time.Millisecond})
	}, script)
}
