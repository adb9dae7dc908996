//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// world is everything outside the server: the model and the ledger of effects. It outlives every kill, and notes when
// what was asked of it.
type world struct {
	mu       sync.Mutex
	dice     *rand.Rand
	ledger   map[string][]effect       // by idempotency key
	asked    map[modelCall][]time.Time // arrival of every model call
	activity map[string][]time.Time    // by task: when the server last did something for it
}

// effect is one entry of the ledger: something that was really done.
type effect struct {
	Tool, Run, Key, Entry string
	At                    time.Time
	Receipt               string // what the caller was told
}

// modelCall is a step of a conversation: the call that is made when it has this many messages.
type modelCall struct {
	task     string
	messages int
}

func newWorld(seed uint64) *world {
	return &world{dice: rand.New(rand.NewPCG(seed, 1)), ledger: map[string][]effect{}, asked: map[modelCall][]time.Time{}, activity: map[string][]time.Time{}}
}

// between draws a duration.
func (w *world) between(least, most time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return least + time.Duration(w.dice.Int64N(int64(most-least)))
}

func (w *world) chance(of float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.Float64() < of
}

func (w *world) saw(task string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.activity[task] = append(w.activity[task], at)
}

// taskOf is the task in an entry "task/turn.call", or in a run's input "work on task …".
func taskOf(text string) string {
	if rest, ok := strings.CutPrefix(text, "work on "); ok {
		task, _, _ := strings.Cut(rest, " ")
		return task
	}
	task, _, _ := strings.Cut(text, "/")
	return task
}

// ledgerHandler makes effects: it writes the entry down at once and answers after a moment, in which the caller may die.
func (w *world) ledgerHandler() http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		now := time.Now()
		var in struct {
			Tool, Run, Key string
			Arguments      struct{ Entry string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		w.mu.Lock()
		e := effect{Tool: in.Tool, Run: in.Run, Key: in.Key, Entry: in.Arguments.Entry, At: now}
		e.Receipt = fmt.Sprintf("receipt %d for %s", len(w.ledger[e.Key])+1, e.Entry)
		w.ledger[e.Key] = append(w.ledger[e.Key], e)
		task := taskOf(e.Entry)
		w.activity[task] = append(w.activity[task], now)
		w.mu.Unlock()
		delay := w.between(2*time.Millisecond, 60*time.Millisecond)
		if w.chance(0.05) {
			delay *= 5
		}
		select {
		case <-time.After(delay):
			_, _ = rw.Write([]byte(e.Receipt)) // a caller that died reads nothing
		case <-r.Context().Done():
		}
	})
}

// modelServer is a model whose every answer is a function of the conversation so far.
func (w *world) modelServer() http.Handler {
	return aimodelstest.OpenAIServer(func(_ int, req core.ModelRequest) aimodelstest.Turn {
		conversation, spoken := 0, 0
		task, kind := "", ""
		for _, m := range req.Messages {
			switch m.Role {
			case core.RoleSystem:
				kind, _, _ = strings.Cut(m.Text, " ")
				continue
			case core.RoleUser:
				task = taskOf(m.Text)
			case core.RoleAssistant:
				spoken++
			}
			conversation++
		}
		now := time.Now()
		w.mu.Lock()
		call := modelCall{task, conversation}
		w.asked[call] = append(w.asked[call], now)
		w.activity[task] = append(w.activity[task], now)
		w.mu.Unlock()
		return aimodelstest.Slowly(w.between(2*time.Millisecond, 40*time.Millisecond), turn(kind, task, spoken, req.Messages))
	}, "m")
}

// turn is what the model says next.
func turn(kind, task string, spoken int, messages []core.Message) aimodelstest.Turn {
	calls := script(kind, task)
	if spoken < len(calls) {
		return aimodelstest.Calls(calls[spoken]...)
	}
	return slowText(answerTo(task, messages))
}

// answerTo is the final answer: it quotes every result, so that a wrong one shows.
func answerTo(task string, messages []core.Message) string {
	text := "done " + task
	for _, m := range messages {
		if m.Role == core.RoleTool {
			text += " | " + m.Text
		}
	}
	return text
}

// script is the list of calls that the model asks for, turn by turn.
func script(kind, task string) [][]core.ToolCall {
	n := 0
	call := func(tool string) core.ToolCall {
		n++
		return aimodelstest.Call(tool, map[string]string{"entry": fmt.Sprintf("%s/%d", task, n)})
	}
	turns := func(tools ...[]string) (out [][]core.ToolCall) {
		for _, t := range tools {
			var calls []core.ToolCall
			for _, name := range t {
				calls = append(calls, call(name))
			}
			out = append(out, calls)
		}
		return out
	}
	const read, put, pay = "ledger_read", "ledger_put", "ledger_pay"
	switch kind {
	case "careful":
		return turns([]string{read}, []string{pay}, []string{put, pay}, []string{read})
	case "boss":
		out := turns([]string{read}, []string{put}, []string{pay})
		delegation := aimodelstest.Call(agents.DelegatePrefix+"payer", map[string]string{"task": "work on " + task + ".sub for the boss"})
		out[1] = append(out[1], delegation)
		return out
	default:
		return turns([]string{read}, []string{put, pay}, []string{pay}, []string{read, put, pay, pay}, []string{put}, []string{pay, read})
	}
}

// slowText streams an answer with pauses, so that kills come in the middle of it.
func slowText(text string) aimodelstest.Turn {
	return func(ctx context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		for _, piece := range strings.SplitAfter(text, "|") {
			select {
			case <-ctx.Done():
				return core.ModelResponse{}, ctx.Err()
			case <-time.After(3 * time.Millisecond):
			}
			onDelta(core.Delta{Text: piece})
		}
		return core.ModelResponse{Message: core.Message{Text: text}, Usage: core.Usage{InputTokens: 100, OutputTokens: 50}}, nil
	}
}

// agentFiles are the agents of this test. The first word of the instructions tells the model which script to play.
func agentFiles() map[string]string {
	file := func(name, rest string) string {
		return fmt.Sprintf("---\nname: %s\ndescription: Makes entries in the test's ledger.\nmodel: default\n%s\n---\n%s works on the ledger.\n", name, rest, name)
	}
	const all = "tools: [ledger_read, ledger_put, ledger_pay]"
	return map[string]string{
		"payer.md":   file("payer", all),
		"boss.md":    file("boss", all+"\nagents: [payer]"),
		"careful.md": file("careful", "tools:\n  - ledger_read\n  - ledger_put\n  - {name: ledger_pay, approval: always}"),
	}
}
