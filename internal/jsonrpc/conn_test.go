package jsonrpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is the other side of a connection: what it reads, and where it writes.
type far struct {
	*bufio.Scanner
	w io.WriteCloser
}

func (f far) say(line string) { _, _ = io.WriteString(f.w, line+"\n") }

func (f far) hear(t *testing.T) string {
	t.Helper()
	if !f.Scan() {
		t.Fatal("the connection said nothing")
	}
	return f.Text()
}

// setup starts a connection and returns it with its other side; it ends with the test.
func setup(t *testing.T, o Options) (*Conn, far) {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := New(inR, outW, o)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = c.Serve(t.Context())
		outW.Close()
	}()
	t.Cleanup(func() {
		inW.Close()
		outR.Close()
		<-served
	})
	scanner := bufio.NewScanner(outR)
	scanner.Buffer(nil, 2*MaxLine)
	return c, far{scanner, inW}
}

func TestACallGetsItsAnswerAfterTheNotificationsBeforeIt(t *testing.T) {
	t.Parallel()
	var heard []string
	c, f := setup(t, Options{Notify: func(method string, params json.RawMessage) error {
		heard = append(heard, method+string(params))
		return nil
	}})
	go func() {
		if got := f.hear(t); got != `{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}` {
			t.Errorf("got %s", got)
		}
		f.say(`{"jsonrpc":"2.0","id":99,"result":"nobody asked"}`)
		f.say(`{"jsonrpc":"2.0","method":"log","params":{"n":1}}`)
		f.say("")
		f.say(`{"jsonrpc":"2.0","id":1,"result":3}`)
	}()
	var sum int
	if err := c.Call(t.Context(), "add", []int{1, 2}, &sum); err != nil || sum != 3 {
		t.Fatalf("got %d, %v", sum, err)
	}
	if len(heard) != 1 || heard[0] != `log{"n":1}` {
		t.Errorf("heard %q", heard)
	}
}

func TestAnAnswerMayHaveSeveralParts(t *testing.T) {
	t.Parallel()
	c, f := setup(t, Options{})
	go func() {
		f.hear(t)
		for _, part := range []string{"1", "2", "3"} {
			f.say(`{"jsonrpc":"2.0","id":1,"result":` + part + `}`)
		}
	}()
	var got string
	err := c.Stream(t.Context(), "count", nil, func(raw json.RawMessage) (bool, error) {
		got += string(raw)
		return string(raw) == "3", nil
	})
	if err != nil || got != "123" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRequestsOfTheOtherSideAreAnswered(t *testing.T) {
	t.Parallel()
	_, f := setup(t, Options{Handle: func(_ context.Context, method string, _ json.RawMessage) (any, error) {
		switch method {
		case "good":
			return map[string]int{"n": 1}, nil
		case "bad":
			return nil, Wrong("params.path", "is missing")
		case "own":
			return nil, &Error{Code: -32000, Message: "log in first"}
		case "inner":
			return nil, errors.New("pq: password is hunter2")
		}
		return nil, NotFound(method)
	}})
	for method, want := range map[string]string{
		"good":  `{"jsonrpc":"2.0","id":"a","result":{"n":1}}`,
		"bad":   `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"params.path is missing","data":{"code":"invalid","fields":[{"field":"params.path","message":"is missing"}]}}}`,
		"own":   `{"jsonrpc":"2.0","id":"a","error":{"code":-32000,"message":"log in first"}}`,
		"inner": `{"jsonrpc":"2.0","id":"a","error":{"code":-32603,"message":"internal error; the server's log has the details"}}`,
		"other": `{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"method \"other\" is not known here","data":{"method":"other"}}}`,
	} {
		f.say(`{"jsonrpc":"2.0","id":"a","method":"` + method + `"}`)
		if got := f.hear(t); got != want {
			t.Errorf("%s: got %s, want %s", method, got, want)
		}
	}
}

func TestAMalformedLineNamesTheField(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for name, c := range map[string]struct{ line, want string }{
		"no JSON":            {"Loading model…", "not JSON"},
		"a list":             {`[1]`, "the message must be an object, not a list"},
		"a number":           {`7`, "the message must be an object"},
		"nothing":            {`{}`, "jsonrpc"},
		"old version":        {`{"jsonrpc":"1.0","id":1,"method":"x"}`, "jsonrpc"},
		"id an object":       {`{"jsonrpc":"2.0","id":{},"method":"x"}`, "id must be"},
		"method a number":    {`{"jsonrpc":"2.0","id":1,"method":7}`, "method must be text, not a number"},
		"method empty":       {`{"jsonrpc":"2.0","id":1,"method":""}`, "method"},
		"params text":        {`{"jsonrpc":"2.0","id":1,"method":"x","params":"y"}`, "params must be an object"},
		"no result":          {`{"jsonrpc":"2.0","id":1}`, "result"},
		"no id":              {`{"jsonrpc":"2.0","result":1}`, "id is missing"},
		"error without code": {`{"jsonrpc":"2.0","id":1,"error":{"message":"x"}}`, "error.code"},
		"error code text":    {`{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"x"}}`, "error.code must be a whole number, not text"},
		"error no message":   {`{"jsonrpc":"2.0","id":1,"error":{"code":1}}`, "error.message"},
		"bad UTF-8":          {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", "UTF-8"},
		"too deep":           {`{"jsonrpc":"2.0","id":1,"method":"x","params":` + deep + `}`, "the line is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strict, f := setup(t, Options{})
			f.say(c.line)
			<-strict.Done()
			if err := strict.Err(); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), c.want) {
				t.Errorf("strict: got %v, want %q", err, c.want)
			}
			if err := strict.Call(t.Context(), "x", nil, nil); core.CodeOf(err) != core.CodeInvalid {
				t.Errorf("a later call: got %v", err)
			}

			lenient, f := setup(t, Options{Lenient: true})
			f.say(c.line)
			if got := f.hear(t); !strings.Contains(got, `"error":{"code":-32`) || !strings.Contains(got, strings.ReplaceAll(c.want, `"`, `\"`)) {
				t.Errorf("lenient: got %s", got)
			}
			f.say(`{"jsonrpc":"2.0","id":2,"method":"next"}`)
			if got := f.hear(t); !strings.Contains(got, `"id":2`) || lenient.Err() != nil {
				t.Errorf("it does not go on: %s", got)
			}
		})
	}
}

func TestALineIsBounded(t *testing.T) {
	t.Parallel()
	long := `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", MaxLine) + `"}`
	strict, f := setup(t, Options{})
	f.say(long)
	<-strict.Done()
	if err := strict.Err(); core.CodeOf(err) != core.CodeTooLarge {
		t.Errorf("got %v", err)
	}
	_, f = setup(t, Options{Lenient: true})
	f.say(long)
	if got := f.hear(t); !strings.Contains(got, "16 MB") {
		t.Errorf("got %s", got)
	}
}

func TestACallEndsWithItsContextAndWithTheConnection(t *testing.T) {
	t.Parallel()
	c, f := setup(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { f.hear(t); cancel() }()
	if err := c.Call(ctx, "never", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go func() { f.hear(t); f.w.Close() }()
	if err := c.Call(t.Context(), "never", nil, nil); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestAnotherSideThatDoesNotReadBlocksNobodyForever(t *testing.T) {
	t.Parallel()
	c, _ := setup(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if c.Notify(ctx, "x", nil) != nil {
			return
		}
	}
	t.Error("a hundred notifications were taken, and nobody read")
}

func TestAFailureOfANotificationEndsAStrictConnection(t *testing.T) {
	t.Parallel()
	bad := func(string, json.RawMessage) error { return Wrong("params.update", "is missing") }
	c, f := setup(t, Options{Notify: bad})
	f.say(`{"jsonrpc":"2.0","method":"x"}`)
	<-c.Done()
	if err := c.Err(); core.CodeOf(err) != core.CodeInvalid {
		t.Errorf("got %v", err)
	}
}
