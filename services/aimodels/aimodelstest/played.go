package aimodelstest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
)

// Open makes a provider, which must succeed, and closes it when the test ends.
func Open[C any, P interface{ Close() }](t *testing.T, open func(C) (P, error), cfg C) P {
	t.Helper()
	p, err := open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Replay starts a server that gives every call the same answer. It returns its address and the body that it was last sent.
func Replay(t *testing.T, status int, contentType, answer string) (url string, last *[]byte) {
	t.Helper()
	last = new([]byte)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, last
}

// Played is what a provider reads in one answer, in a form that tables of tests can hold and == compares.
type Played struct {
	Deltas string // the pieces, joined by a space: T and R before text and reasoning, S before a signature
	Text   string
	Parts  string // kind|text|data|signature of each, joined by ;
	Calls  string // id, name and arguments of each, joined by ; and without ids that the gateway makes up
	Finish core.FinishReason
	Stop   string
	Usage  core.Usage
}

// Play asks a provider, which must answer, and tells what it read.
func Play(t *testing.T, p aimodels.Provider, req core.ModelRequest) Played {
	t.Helper()
	var deltas, parts, calls []string
	got, err := p.Chat(t.Context(), req, func(d core.Delta) {
		switch {
		case d.Text != "":
			deltas = append(deltas, "T:"+d.Text)
		case d.Reasoning != "":
			deltas = append(deltas, "R:"+d.Reasoning)
		default:
			deltas = append(deltas, "S:"+d.Signature)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range got.Message.Parts {
		parts = append(parts, fmt.Sprintf("%s|%s|%s|%s", p.Kind, p.Text, p.Data, p.Signature))
	}
	for _, c := range got.Message.ToolCalls {
		id := c.ID + " "
		if strings.HasPrefix(id, "call_") { // aimodels.NewCallID: another one in every run
			id = ""
		}
		calls = append(calls, id+c.Name+" "+string(c.Arguments))
	}
	return Played{
		Deltas: strings.Join(deltas, " "), Text: got.Message.Text, Parts: strings.Join(parts, ";"), Calls: strings.Join(calls, ";"),
		Finish: got.Finish, Stop: got.StopText, Usage: got.Usage,
	}
}
