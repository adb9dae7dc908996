package jsonl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/peers"
	"github.com/sutazai/sutazai/services/peers/peerstest"
)

// The test program is its own agent: with JSONL_TEST_LINES set it plays a script.
func TestMain(m *testing.M) {
	if script := os.Getenv("JSONL_TEST_LINES"); script != "" {
		play(script)
		return
	}
	if scenario := os.Getenv("JSONL_TEST_SUITE"); scenario != "" {
		playSuite(peerstest.Scenario(scenario), os.Getenv("JSONL_TEST_STATE"))
		return
	}
	goleak.VerifyTestMain(m)
}

// play reads a line, then does what the script says until its next "read": "die", "hang", "once FILE" (name the task and die, the first time),
// or write the line. ID stands for the id of the line that was read last, KEY for its message's id.
func play(script string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 32<<20)
	var got struct {
		ID     json.RawMessage
		Params struct {
			Message struct {
				MessageID string
				Parts     []struct{ Text string }
			}
		}
		Result json.RawMessage
	}
	for line := range strings.SplitSeq(script, "\n") {
		switch {
		case line == "read":
			if !in.Scan() {
				return
			}
			_ = json.Unmarshal(in.Bytes(), &got)
		case line == "die":
			fmt.Fprintln(os.Stderr, "out of cheese")
			os.Exit(3)
		case line == "hang":
			time.Sleep(time.Hour)
		case strings.HasPrefix(line, "once "):
			marker := line[len("once "):]
			if _, err := os.Stat(marker); err != nil {
				_ = os.WriteFile(marker, nil, 0o600)
				fmt.Println(strings.ReplaceAll(strings.TrimSpace(taskLine), "ID", string(got.ID)))
				os.Exit(3)
			}
		default:
			for old, new := range map[string]string{"ID": string(got.ID), "KEY": got.Params.Message.MessageID, "GOT": in.Text(), "RESULT": string(got.Result)} {
				if old == "GOT" {
					b, _ := json.Marshal(new)
					new = string(b)
				}
				line = strings.ReplaceAll(line, old, new)
			}
			fmt.Println(line)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const (
	hello    = "read\n" + `{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"unknown"}}` + "\nread\n"
	taskLine = `{"jsonrpc":"2.0","id":ID,"result":{"task":{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_WORKING"}}}}` + "\n"
	doneLine = `{"jsonrpc":"2.0","id":ID,"result":{"statusUpdate":{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_COMPLETED"}}}}` + "\n"
)

func result(text string) string { return `{"jsonrpc":"2.0","id":ID,"result":` + text + "}\n" }

func status1(state, text string) string {
	return result(`{"statusUpdate":{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_` + state + `","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"` + text + `"}]}}}}`)
}

func piece(id, parts string) string {
	return result(`{"artifactUpdate":{"taskId":"t1","contextId":"c1","artifact":{"artifactId":"` + id + `","parts":[` + parts + `]}}}`)
}

// bundle is a peer with what it was told to tell.
type bundle struct {
	*Peer
	t       *testing.T
	mu      sync.Mutex
	deltas  []string
	last    string
	asked   []core.PeerQuestion
	verdict core.Verdict
	then    func() // after a session was recorded
}

func setup(t *testing.T, script string, change func(*Options)) *bundle {
	t.Helper()
	dir := t.TempDir()
	o := Options{
		Program: peers.ProgramSpec{Name: "clerk", Command: []string{os.Args[0]}, Env: map[string]string{"JSONL_TEST_LINES": script}, Grace: 200 * time.Millisecond},
		Workspace: func(name string) (string, error) {
			return filepath.Join(dir, name), os.MkdirAll(filepath.Join(dir, name), 0o700)
		},
		Grace: 500 * time.Millisecond, Poll: 10 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return &bundle{Peer: p, t: t}
}

func (b *bundle) talk(ctx context.Context, text string, change func(*core.PeerCall)) (core.PeerAnswer, error) {
	call := core.PeerCall{Run: "run1", IdempotencyKey: "run1:0", Text: text, Workspace: "run1"}
	if change != nil {
		change(&call)
	}
	return b.Talk(ctx, call, core.PeerEvents{
		Delta: func(text string) { b.deltas = append(b.deltas, text) },
		Session: func(_ context.Context, s string) error {
			b.last = s
			if b.then != nil {
				b.then()
			}
			return nil
		},
		Ask: func(_ context.Context, q core.PeerQuestion) (core.Verdict, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, q)
			return b.verdict, nil
		},
	})
}

func TestTheExampleOfTheDocumentationWorks(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	example, err := filepath.Abs("../../../docs/examples/peer.py")
	if err != nil {
		t.Fatal(err)
	}
	b := setup(t, "", func(o *Options) { o.Program.Command = []string{python, example}; o.Program.Env = nil })
	a, err := b.talk(t.Context(), "hello wide world", nil)
	if err != nil || a.Text != "HELLO WIDE WORLD" || len(b.deltas) != 3 {
		t.Fatalf("got %+v, %v, %q", a, err, b.deltas)
	}
	a, err = b.talk(t.Context(), "again", func(c *core.PeerCall) { c.Session, c.IdempotencyKey = a.Session, "run1:1" })
	if err != nil || a.Text != "AGAIN" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestAnAnswerIsPutTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, text string
		deltas       int
		files        int
	}{
		"a message alone":   {hello + result(`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"hi"}]}}`), "hi", 1, 0},
		"a finished task":   {hello + result(`{"task":{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[{"text":"one"},{"text":" more"}]},{"artifactId":"b","parts":[{"data":{"x":1}}]}]}}`), "one more\n\n{\"x\":1}", 3, 0},
		"pieces":            {hello + taskLine + piece("a", `{"text":"one "}`) + piece("a", `{"text":"two"}`) + piece("b", `{"text":"three"}`) + doneLine, "one two\n\nthree", 3, 0},
		"pieces and a task": {hello + taskLine + piece("a", `{"text":"one"}`) + result(`{"task":{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[{"text":"one"}]}]}}`), "one", 1, 0},
		"a status alone":    {hello + taskLine + status1("COMPLETED", "all fine"), "all fine", 1, 0},
		"files":             {hello + taskLine + piece("a", `{"raw":"aGk=","filename":"hi.txt"},{"text":"x,y","filename":"t.csv"},{"text":"see the files"}`) + doneLine, "see the files", 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.script, nil)
			a, err := b.talk(t.Context(), "go", nil)
			if err != nil || a.Text != c.text || len(b.deltas) != c.deltas || strings.Join(b.deltas, "") != c.text || len(a.Files) != c.files || a.Needs {
				t.Errorf("got %+v, %v, %q", a, err, b.deltas)
			}
			if c.files > 0 && (a.Files[0].Name != "hi.txt" || string(a.Files[0].Content) != "hi") {
				t.Errorf("got %+v", a.Files)
			}
		})
	}
}

func TestTheProgramIsToldWhatItNeeds(t *testing.T) {
	t.Parallel()
	b := setup(t, hello+result(`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":GOT}]}}`), nil)
	a, err := b.talk(t.Context(), "go", func(c *core.PeerCall) { c.Instructions, c.Files = "Be brief.", []string{"a b.txt"} })
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Method string
		Params sendRequest
	}
	if err := json.Unmarshal([]byte(a.Text), &got); err != nil {
		t.Fatal(err)
	}
	m := got.Params.Message
	if got.Method != methodSend || m.ID != "run1:0" || m.Role != "ROLE_USER" || len(m.Parts) != 3 || *m.Parts[0].Text != "Be brief." ||
		*m.Parts[1].Text != "go" || !strings.HasSuffix(*m.Parts[2].URL, "/run1/a%20b.txt") || got.Params.Metadata["run"] != "run1" {
		t.Errorf("got %s", a.Text)
	}
}

func TestAQuestionIsAnsweredInItsTask(t *testing.T) {
	t.Parallel()
	b := setup(t, hello+taskLine+status1("INPUT_REQUIRED", "which one?")+"read\n"+result(`{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":GOT}]}}`), nil)
	a, err := b.talk(t.Context(), "go", nil)
	if err != nil || !a.Needs || a.Text != "which one?" {
		t.Fatalf("got %+v, %v", a, err)
	}
	a, err = b.talk(t.Context(), "the first", func(c *core.PeerCall) { c.Session, c.IdempotencyKey = a.Session, "run1:1" })
	if err != nil || a.Needs || !strings.Contains(a.Text, `"taskId":"t1"`) || !strings.Contains(a.Text, `"contextId":"c1"`) {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestPermissionIsAskedFor(t *testing.T) {
	t.Parallel()
	ask := `{"jsonrpc":"2.0","id":"q","method":"RequestPermission","params":{"taskId":"t1","tool":"pay","arguments":{"n":1}}}` + "\nread\n"
	answer := `{"jsonrpc":"2.0","id":2,"result":{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"data":RESULT}]}}}` + "\n"
	for _, c := range []struct {
		verdict core.Verdict
		want    string
	}{
		{core.Verdict{Decision: core.DecideApprove}, `{"decision":"approve","arguments":{"n":1}}`},
		{core.Verdict{Decision: core.DecideEdit, Arguments: json.RawMessage(`{"n":2}`)}, `{"decision":"edit","arguments":{"n":2}}`},
		{core.Verdict{Decision: core.DecideDeny, Comment: "no"}, `{"decision":"deny","comment":"no"}`},
		{core.Verdict{Decision: core.DecideDone, Result: "paid"}, `{"decision":"done","result":"paid"}`},
	} {
		b := setup(t, hello+taskLine+ask+answer, nil)
		b.verdict = c.verdict
		a, err := b.talk(t.Context(), "go", nil)
		if err != nil || a.Text != c.want {
			t.Errorf("got %q, %v", a.Text, err)
		}
		if len(b.asked) != 1 || b.asked[0].Tool != "pay" || string(b.asked[0].Arguments) != `{"n":1}` || b.asked[0].Effect != core.EffectUnsafe {
			t.Errorf("asked %+v", b.asked)
		}
	}
}

func TestEndsOfTurnsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		code   core.Code
		want   string
	}{
		"failed":         {hello + taskLine + status1("FAILED", "no ink"), core.CodeRefused, "clerk failed: no ink"},
		"rejected":       {hello + taskLine + status1("REJECTED", "not mine"), core.CodeRefused, "not mine"},
		"auth":           {hello + taskLine + status1("AUTH_REQUIRED", "log in"), core.CodeUnauthorized, "log in"},
		"canceled":       {hello + taskLine + status1("CANCELED", ""), core.CodeCancelled, "nobody here"},
		"error":          {hello + `{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"closed today"}}`, core.CodeRefused, "closed today"},
		"no method":      {hello + `{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"?"}}`, core.CodeInvalid, methodSend},
		"dies at start":  {"die", core.CodeUnavailable, "clerk ended (exit status 3); it said last: out of cheese"},
		"dies at hello":  {"read\ndie", core.CodeUnavailable, "out of cheese"},
		"dies in turn":   {hello + "die", core.CodeConflict, "had not named a task"},
		"not JSON":       {hello + "Hello!", core.CodeInvalid, "not JSON"},
		"nothing":        {hello + result(`{}`), core.CodeInvalid, "result must have one of"},
		"two things":     {hello + result(`{"task":{},"message":{}}`), core.CodeInvalid, "result must have one of"},
		"no task id":     {hello + result(`{"task":{"status":{"state":"TASK_STATE_WORKING"}}}`), core.CodeInvalid, "result.task.id is missing"},
		"odd state":      {hello + result(`{"task":{"id":"t","status":{"state":"working"}}}`), core.CodeInvalid, "result.task.status.state must be one of TASK_STATE_SUBMITTED"},
		"state a number": {hello + result(`{"task":{"id":"t","status":{"state":5}}}`), core.CodeInvalid, "result.task.status.state must be text"},
		"no role":        {hello + result(`{"message":{"parts":[{"text":"x"}]}}`), core.CodeInvalid, "result.message.role"},
		"empty part":     {hello + result(`{"message":{"role":"ROLE_AGENT","parts":[{}]}}`), core.CodeInvalid, "result.message.parts.0 must have one of text"},
		"raw not base64": {hello + result(`{"message":{"role":"ROLE_AGENT","parts":[{"raw":"%","filename":"x"}]}}`), core.CodeInvalid, "raw must be base64"},
		"raw no name":    {hello + result(`{"message":{"role":"ROLE_AGENT","parts":[{"raw":"aGk="}]}}`), core.CodeInvalid, "filename is missing"},
		"task changes":   {hello + taskLine + result(`{"statusUpdate":{"taskId":"t2","contextId":"c1","status":{"state":"TASK_STATE_WORKING"}}}`), core.CodeInvalid, "changes in the middle"},
		"artifact no id": {hello + taskLine + result(`{"artifactUpdate":{"taskId":"t1","artifact":{"parts":[]}}}`), core.CodeInvalid, "artifactId is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.script, nil)
			_, err := b.talk(t.Context(), "go", nil)
			if core.CodeOf(err) != c.code || !strings.Contains(core.MessageOf(err), c.want) {
				t.Errorf("got %q %v", core.CodeOf(err), err)
			}
		})
	}
}

func TestAHugeAnswerIsRefused(t *testing.T) {
	t.Parallel()
	long := setup(t, hello+taskLine+doneLine, nil)
	t1 := &turn{peer: long.Peer, events: core.PeerEvents{Delta: func(string) {}}}
	text := strings.Repeat("x", 1<<20)
	var err error
	for range 9 {
		err = errors.Join(err, t1.add("a", []part{{Text: &text}}, "result"))
	}
	if core.CodeOf(err) != core.CodeTooLarge {
		t.Errorf("got %v", err)
	}
}

func TestACutTurnIsLookedUp(t *testing.T) {
	t.Parallel()
	working := result(`{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_WORKING"}}`)
	done := result(`{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[{"text":"found"}]}]}`)
	begun := session{Task: "t1", Context: "c1", Turn: "run1:0"}
	for name, c := range map[string]struct {
		script  string
		session session
		code    core.Code
		want    string
	}{
		"done meanwhile": {hello + working + "read\n" + done, begun, "", "found"},
		"forgotten":      {hello + `{"jsonrpc":"2.0","id":ID,"error":{"code":-32001,"message":"no such task"}}`, begun, core.CodeConflict, "does not know the task"},
		"never named":    {hello, session{Turn: "run1:0"}, core.CodeConflict, "had not named a task"},
		"never begun":    {hello + taskLine + status1("COMPLETED", "fresh"), session{Turn: "run1:older"}, "", "fresh"},
		"another task":   {hello + result(`{"id":"t9","contextId":"c1","status":{"state":"TASK_STATE_COMPLETED"}}`), begun, core.CodeInvalid, "result.id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.script, nil)
			a, err := b.talk(t.Context(), "go", func(call *core.PeerCall) { call.Interrupted, call.Session = true, c.session.String() })
			if core.CodeOf(err) != c.code || !strings.Contains(a.Text+core.MessageOf(err), c.want) {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	// The program itself dies, and its successor knows the task.
	marker := filepath.Join(t.TempDir(), "died")
	first := "read\n" + `{"jsonrpc":"2.0","id":ID,"result":{}}` + "\nread\nonce " + marker + "\n"
	b := setup(t, first+done, nil)
	b.opts.Poll = 10 * time.Millisecond
	if a, err := b.talk(t.Context(), "go", nil); err != nil || a.Text != "found" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestACancelledTurnEndsSoon(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"it obeys":    hello + taskLine + "read\n" + `{"jsonrpc":"2.0","id":ID,"result":{}}` + "\n" + strings.ReplaceAll(status1("CANCELED", "ok"), "ID", "2"),
		"it is deaf":  hello + taskLine + "hang",
		"before task": hello + "hang",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, script, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			begin := time.Now()
			_, err := b.talk(ctx, "go", nil)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 5*time.Second {
				t.Errorf("got %v after %s", err, time.Since(begin))
			}
		})
	}
}

func TestASilentProgramIsUnavailableAndASlowTurnTimesOut(t *testing.T) {
	t.Parallel()
	b := setup(t, "read\nhang", func(o *Options) { o.Program.Start = 300 * time.Millisecond })
	if _, err := b.talk(t.Context(), "go", nil); core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(core.MessageOf(err), "said nothing") {
		t.Errorf("got %v", err)
	}
	b = setup(t, hello+taskLine+"hang", func(o *Options) { o.Program.Timeout = 500 * time.Millisecond })
	if _, err := b.talk(t.Context(), "go", nil); core.CodeOf(err) != core.CodeTimeout {
		t.Errorf("got %v", err)
	}
}
