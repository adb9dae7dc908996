// Package peerstest is what every peer is held to, whatever its protocol: the same turns, told the same way. A protocol's
// test plays the other side. It must not know of any protocol.
package peerstest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/peers"
)

// Scenario is what the other side does.
type Scenario string

// The scenarios. A protocol that has no such thing leaves the scenario out of World.Scenarios.
const (
	// Answers writes "Hello, " and then "world."; that is its answer.
	Answers Scenario = "answers"
	// Asks answers the first turn with the question "Which colour?", and a second one with "You said " and its text.
	Asks Scenario = "asks"
	// Permits wants to use the tool "pay" with {"amount": 5} and asks first. Its answer is "paid" or "not paid"; with a result
	// given by a person that result.
	Permits Scenario = "permits"
	// Works never comes to an end until it is told to stop.
	Works Scenario = "works"
	// Outlives works until Playing.Release is called, then answers "Done.". What it does is known to it even after the
	// connection was lost.
	Outlives Scenario = "outlives"
	// Forgets is Works, but what it did is forgotten once the connection is lost.
	Forgets Scenario = "forgets"
	// Absent is not there at all.
	Absent Scenario = "absent"
	// Fails says that it cannot do it, for the reason "no ink".
	Fails Scenario = "fails"
	// Hands answers "See the report." and hands over a file report.txt that holds "ink: 0".
	Hands Scenario = "hands"
)

// Playing is a peer whose other side plays a scenario.
type Playing struct {
	Peer peers.Peer
	// Again makes a new peer for the same other side, as after a crash of ours. nil where there is none.
	Again func() peers.Peer
	// Begun counts the turns that have reached the other side.
	Begun func() int
	// Stopped says whether the other side was told to stop, or can tell.
	Stopped func() bool
	// Release lets Outlives come to its end.
	Release func()
}

// World plays the other side of one protocol.
type World struct {
	Scenarios []Scenario
	Play      func(t *testing.T, s Scenario) Playing
	// Malformed are messages of the other side that no peer should send, by name: each is played as the answer to a turn. Field
	// is a word that the error must hold.
	Malformed map[string]Malformed
}

// Malformed is a message that breaks the protocol.
type Malformed struct {
	Play  func(t *testing.T) peers.Peer
	Field string
}

// soon is how long anything may take that should happen at once.
const soon = 15 * time.Second

// Run holds the peers of a world to everything that it plays.
func Run(t *testing.T, w World) {
	t.Helper()
	for scenario, test := range map[Scenario]func(*testing.T, Playing){
		Answers: answers, Asks: asks, Permits: permits, Works: works, Outlives: outlives, Forgets: forgets, Absent: absent, Fails: fails, Hands: hands,
	} {
		if !slices.Contains(w.Scenarios, scenario) {
			continue
		}
		t.Run(string(scenario), func(t *testing.T) {
			t.Parallel()
			test(t, w.Play(t, scenario))
		})
	}
	for name, m := range w.Malformed {
		t.Run("malformed/"+name, func(t *testing.T) {
			t.Parallel()
			_, err := talk(t, m.Play(t), Call("run:1", "Do it."), NewEvents())
			if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(core.MessageOf(err), m.Field) {
				t.Errorf("got %s: %s; want invalid, about %q", core.CodeOf(err), core.MessageOf(err), m.Field)
			}
			Explained(t, err)
		})
	}
}

// Call is a turn of work.
func Call(key, text string) core.PeerCall {
	run, _, _ := strings.Cut(key, ":")
	return core.PeerCall{Peer: "peer", Run: run, IdempotencyKey: key, Text: text, Workspace: run}
}

// Events records what a peer tells.
type Events struct {
	mu       sync.Mutex
	text     strings.Builder
	sessions []string
	asked    []core.PeerQuestion
	Verdict  core.Verdict // of every question
	Told     chan string  // gets each session
}

// NewEvents returns a recorder that approves everything.
func NewEvents() *Events {
	return &Events{Verdict: core.Verdict{Decision: core.DecideApprove, Actor: "user:ann"}}
}

// Peer returns the functions that a peer is given.
func (e *Events) Peer() core.PeerEvents {
	return core.PeerEvents{
		Delta: func(text string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.text.WriteString(text)
		},
		Session: func(_ context.Context, s string) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.sessions = append(e.sessions, s)
			return nil
		},
		Ask: func(_ context.Context, q core.PeerQuestion) (core.Verdict, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.asked = append(e.asked, q)
			return e.Verdict, nil
		},
	}
}

// Text is everything that the peer has written.
func (e *Events) Text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

// Session is what was recorded last.
func (e *Events) Session() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sessions) == 0 {
		return ""
	}
	return e.sessions[len(e.sessions)-1]
}

// Asked are the questions.
func (e *Events) Asked() []core.PeerQuestion {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func talk(t *testing.T, p peers.Peer, call core.PeerCall, e *Events) (core.PeerAnswer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	return p.Talk(ctx, call, e.Peer())
}

// Explained fails where an error tells a user what is inside us, or nothing at all.
func Explained(t *testing.T, err error) {
	t.Helper()
	text := core.MessageOf(err)
	if strings.TrimSpace(text) == "" || core.CodeOf(err) == core.CodeInternal {
		t.Errorf("an error says nothing: %v", err)
	}
	for _, inside := range []string{"json:", "panic", "goroutine", "nil pointer", ".go:", "0x", "a2a.", "core.", "*errors", "struct field"} {
		if strings.Contains(text, inside) {
			t.Errorf("an error tells what is inside (%q): %s", inside, text)
		}
	}
}

func answers(t *testing.T, p Playing) {
	e := NewEvents()
	a, err := talk(t, p.Peer, Call("run:1", "Greet."), e)
	if err != nil || a.Text != "Hello, world." || a.Needs {
		t.Fatalf("answered %+v, %v", a, err)
	}
	if got := e.Text(); got != "Hello, world." {
		t.Errorf("wrote %q meanwhile", got)
	}
	if st := p.Peer.Status(t.Context()); st.State != "healthy" || st.Name == "" || st.Protocol == "" {
		t.Errorf("its status is %+v", st)
	}
	if n := p.Begun(); n != 1 {
		t.Errorf("it was given %d turns", n)
	}
}

func asks(t *testing.T, p Playing) {
	a, err := talk(t, p.Peer, Call("run:1", "Paint it."), NewEvents())
	if err != nil || !a.Needs || !strings.Contains(a.Text, "Which colour?") || a.Session == "" {
		t.Fatalf("answered %+v, %v", a, err)
	}
	second := Call("run:3", "blue")
	second.Session = a.Session
	a, err = talk(t, p.Peer, second, NewEvents())
	if err != nil || a.Needs || a.Text != "You said blue" {
		t.Errorf("then answered %+v, %v", a, err)
	}
}

func permits(t *testing.T, p Playing) {
	for want, v := range map[string]core.Verdict{
		"paid":     {Decision: core.DecideApprove},
		"not paid": {Decision: core.DecideDeny, Comment: "too much"},
	} {
		e := NewEvents()
		e.Verdict = v
		a, err := talk(t, p.Peer, Call("run-"+strings.ReplaceAll(want, " ", "-")+":1", "Pay."), e)
		if err != nil || a.Text != want {
			t.Errorf("after %s answered %+v, %v", v.Decision, a, err)
		}
		asked := e.Asked()
		if len(asked) != 1 || asked[0].Tool != "pay" {
			t.Fatalf("asked %+v", asked)
		}
		var arguments struct{ Amount int }
		if json.Unmarshal(asked[0].Arguments, &arguments) != nil || arguments.Amount != 5 {
			t.Errorf("asked about %s", asked[0].Arguments)
		}
	}
}

func works(t *testing.T, p Playing) {
	e := NewEvents()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Peer.Talk(ctx, Call("run:1", "Work."), e.Peer())
		done <- err
	}()
	settled(t, p, e)
	cancel(core.Errorf(core.CodeCancelled, "cancelled by ann"))
	select {
	case err := <-done:
		if err == nil {
			t.Error("a turn that was given up answered")
		}
	case <-time.After(soon):
		t.Fatal("the turn goes on although its context has ended")
	}
	until(t, "the other side is told to stop", p.Stopped)
}

func outlives(t *testing.T, p Playing) {
	e := NewEvents()
	session := cutOff(t, p, e)
	next := p.Again()
	call := Call("run:1", "Work.")
	call.Session, call.Interrupted = session, true
	go p.Release()
	a, err := talk(t, next, call, NewEvents())
	if err != nil || a.Text != "Done." {
		t.Errorf("after the interruption it answered %+v, %v", a, err)
	}
	if n := p.Begun(); n != 1 {
		t.Errorf("the turn was given %d times", n)
	}
}

func forgets(t *testing.T, p Playing) {
	session := cutOff(t, p, NewEvents())
	call := Call("run:1", "Work.")
	call.Session, call.Interrupted = session, true
	_, err := talk(t, p.Again(), call, NewEvents())
	if core.CodeOf(err) != core.CodeConflict {
		t.Errorf("got %v; want a conflict, since nobody knows what became of the turn", err)
	}
	Explained(t, err)
	if n := p.Begun(); n != 1 {
		t.Errorf("the turn was given %d times", n)
	}
}

// cutOff begins a turn, and lets go of it as a server does that stops.
func cutOff(t *testing.T, p Playing, e *Events) (session string) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Peer.Talk(ctx, Call("run:1", "Work."), e.Peer())
	}()
	session = settled(t, p, e)
	cancel(core.Errorf(core.CodeUnavailable, "the server is stopping"))
	<-done
	if err := p.Peer.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return session
}

// settled waits until a turn has begun and its session has been told.
func settled(t *testing.T, p Playing, e *Events) string {
	t.Helper()
	until(t, "the turn begins", func() bool { return p.Begun() > 0 && e.Session() != "" })
	quiet := time.NewTicker(100 * time.Millisecond) // the other side may still say which task it is: that may come a moment after the turn
	defer quiet.Stop()
	for before := ""; ; {
		now := e.Session()
		if now == before {
			return now
		}
		before = now
		<-quiet.C
	}
}

func absent(t *testing.T, p Playing) {
	e := NewEvents()
	_, err := talk(t, p.Peer, Call("run:1", "Greet."), e)
	if core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("got %v; want unavailable", err)
	}
	Explained(t, err)
	if st := p.Peer.Status(t.Context()); st.State != "unhealthy" || st.Detail == "" {
		t.Errorf("its status is %+v", st)
	}
}

func fails(t *testing.T, p Playing) {
	_, err := talk(t, p.Peer, Call("run:1", "Print."), NewEvents())
	if core.CodeOf(err) != core.CodeRefused || !strings.Contains(core.MessageOf(err), "no ink") {
		t.Errorf("got %s: %v; want refused, with the reason", core.CodeOf(err), err)
	}
	Explained(t, err)
}

func hands(t *testing.T, p Playing) {
	a, err := talk(t, p.Peer, Call("run:1", "Report."), NewEvents())
	if err != nil || a.Text != "See the report." {
		t.Fatalf("answered %+v, %v", a, err)
	}
	if len(a.Files) != 1 || a.Files[0].Name != "report.txt" || string(a.Files[0].Content) != "ink: 0" {
		t.Errorf("handed over %+v", a.Files)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(soon)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("it does not happen that %s", what)
		}
	}
}
