package jsonl

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/services/peers"
	"github.com/sutazai/sutazai/services/peers/peerstest"
)

// playSuite plays the scenarios of peerstest: an agent that keeps what became of its task in a folder.
func playSuite(scenario peerstest.Scenario, state string) {
	var mu sync.Mutex
	write := func(id json.RawMessage, kind string, value any) {
		b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, kind: value})
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%s\n", b)
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(state, name))
		return err == nil
	}
	status := func(s string, text string) map[string]any {
		out := map[string]any{"state": "TASK_STATE_" + s}
		if text != "" {
			out["message"] = map[string]any{"messageId": "m", "role": "ROLE_AGENT", "parts": []any{map[string]any{"text": text}}}
		}
		return out
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var r struct {
			ID     json.RawMessage
			Method string
			Params struct{ Message message }
			Result struct{ Decision string }
		}
		if json.Unmarshal(in.Bytes(), &r) != nil {
			return
		}
		update := func(s, text string) {
			write(r.ID, "result", map[string]any{"statusUpdate": map[string]any{"taskId": "t1", "contextId": "c1", "status": status(s, text)}})
		}
		piece := func(part map[string]any) {
			write(r.ID, "result", map[string]any{"artifactUpdate": map[string]any{"taskId": "t1", "contextId": "c1", "artifact": map[string]any{"artifactId": "a", "parts": []any{part}}}})
		}
		switch r.Method {
		case methodGet:
			switch {
			case scenario == peerstest.Forgets:
				write(r.ID, "error", map[string]any{"code": codeTaskNotFound, "message": "no such task"})
			case exists("released"):
				write(r.ID, "result", map[string]any{"id": "t1", "contextId": "c1", "status": status("COMPLETED", "Done.")})
			default:
				write(r.ID, "result", map[string]any{"id": "t1", "contextId": "c1", "status": status("WORKING", "")})
			}
			continue
		case methodCancel:
			_ = os.WriteFile(filepath.Join(state, "stopped"), nil, 0o600)
			write(r.ID, "result", map[string]any{"id": "t1", "contextId": "c1", "status": status("CANCELED", "")})
			continue
		case methodSend:
		default:
			write(r.ID, "error", map[string]any{"code": -32601, "message": "unknown method"})
			continue
		}
		f, _ := os.OpenFile(filepath.Join(state, "begun"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		_, _ = f.WriteString("x")
		f.Close()
		update("WORKING", "")
		switch scenario {
		case peerstest.Answers:
			piece(map[string]any{"text": "Hello, "})
			piece(map[string]any{"text": "world."})
			update("COMPLETED", "")
		case peerstest.Asks:
			if r.Params.Message.Task == "" {
				update("INPUT_REQUIRED", "Which colour?")
				continue
			}
			update("COMPLETED", "You said "+*r.Params.Message.Parts[0].Text)
		case peerstest.Permits:
			mu.Lock()
			fmt.Println(`{"jsonrpc":"2.0","id":"ask","method":"RequestPermission","params":{"taskId":"t1","tool":"pay","arguments":{"amount":5}}}`)
			mu.Unlock()
			in.Scan()
			ask := slices.Clone(r.ID)
			_ = json.Unmarshal(in.Bytes(), &r)
			r.ID = ask
			if r.Result.Decision == "approve" {
				update("COMPLETED", "paid")
				continue
			}
			update("COMPLETED", "not paid")
		case peerstest.Fails:
			update("FAILED", "no ink")
		case peerstest.Hands:
			piece(map[string]any{"raw": []byte("ink: 0"), "filename": "report.txt"})
			piece(map[string]any{"text": "See the report."})
			update("COMPLETED", "")
		}
	}
}

func TestTheSuiteOfPeers(t *testing.T) {
	t.Parallel()
	malformed := func(field, script string) peerstest.Malformed {
		return peerstest.Malformed{Field: field, Play: func(t *testing.T) peers.Peer { return setup(t, hello+script, nil).Peer }}
	}
	peerstest.Run(t, peerstest.World{
		Scenarios: []peerstest.Scenario{
			peerstest.Answers, peerstest.Asks, peerstest.Permits, peerstest.Works, peerstest.Outlives, peerstest.Forgets, peerstest.Absent,
			peerstest.Fails, peerstest.Hands,
		},
		Play: func(t *testing.T, s peerstest.Scenario) peerstest.Playing {
			state := t.TempDir()
			play := func() *bundle {
				return setup(t, "", func(o *Options) {
					o.Program.Env = map[string]string{"JSONL_TEST_SUITE": string(s), "JSONL_TEST_STATE": state}
					if s == peerstest.Absent {
						o.Program.Command = []string{"no-such-agent"}
					}
				})
			}
			return peerstest.Playing{
				Peer:  play().Peer,
				Again: func() peers.Peer { return play().Peer },
				Begun: func() int {
					text, _ := os.ReadFile(filepath.Join(state, "begun"))
					return len(text)
				},
				Stopped: func() bool {
					_, err := os.Stat(filepath.Join(state, "stopped"))
					return err == nil
				},
				Release: func() {
					time.Sleep(50 * time.Millisecond) // it is asked at least once before
					_ = os.WriteFile(filepath.Join(state, "released"), nil, 0o600)
				},
			}
		},
		Malformed: map[string]peerstest.Malformed{
			"not JSON":   malformed("not JSON", "hello"),
			"nothing":    malformed("statusUpdate", result("{}")),
			"no task id": malformed("result.task.id", result(`{"task":{"status":{"state":"TASK_STATE_WORKING"}}}`)),
			"odd state":  malformed("status.state", result(`{"task":{"id":"t","status":{"state":7}}}`)),
		},
	})
}
