package aimodels_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/budget"
	"github.com/sutazai/sutazai/internal/cache"
	"github.com/sutazai/sutazai/services/aimodels"
)

func answering(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo, stop, usage, "[DONE]") }

func TestANameThatNoModelHasIsRefusedBeforeAnythingIsCounted(t *testing.T) {
	t.Parallel()
	called := false
	g := gateway(t, aimodels.Config{Observe: func(aimodels.Observation) { called = true }}, map[string]aimodels.Endpoint{"up": upstream(t, "up", answering)})
	for _, name := range []string{"up/\xff", "up/a\x00b", "up/" + strings.Repeat("x", 300)} {
		_, err := g.Chat(t.Context(), core.ModelRequest{Model: name}, nil)
		if core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if called {
		t.Error("such a name was counted")
	}
}

func TestADefectGivesItsTurnAndItsReservationBack(t *testing.T) {
	t.Parallel()
	money := &till{}
	var broken atomic.Bool
	broken.Store(true)
	g := gateway(t, aimodels.Config{
		Money: money, Limits: map[string]aimodels.Limit{"up": {Max: 1}},
		Observe: func(aimodels.Observation) {
			if broken.Load() {
				panic("a defect")
			}
		},
	}, map[string]aimodels.Endpoint{"up": upstream(t, "up", answering)})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there was no defect")
			}
		}()
		_ = g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"messages":[]}`), &sink{})
	}()
	broken.Store(false)
	if err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":true,"messages":[]}`), &sink{}); err != nil {
		t.Errorf("the next call got %v", err)
	}
	if len(money.entries) != 2 {
		t.Errorf("%d of 2 calls were settled", len(money.entries))
	}
}

// scales keeps what was reserved.
type scales struct {
	till
	reserved []core.Amount
}

func (s *scales) Reserve(_ context.Context, _ core.Caller, most core.Amount) (*budget.Reservation, error) {
	s.reserved = append(s.reserved, most)
	return &budget.Reservation{}, nil
}

// reader keeps the texts that it was shown and allows everything.
type reader struct {
	strict
	mu    sync.Mutex
	texts []string
}

func (r *reader) Texts(_ context.Context, _, texts []string, _ []int) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, texts...)
	return texts, nil
}
func (*reader) Answer(context.Context, []string) aimodels.AnswerCheck { return nil }

func TestWhatACallGoesOnFromIsCheckedAndReserved(t *testing.T) {
	t.Parallel()
	money, guards := &scales{}, &reader{}
	g := gateway(t, aimodels.Config{Money: money, Guards: guards, DefaultGuardrails: []string{"p"}, MaxOutput: 10}, map[string]aimodels.Endpoint{"up": upstream(t, "up", answering)})
	earlier := strings.Repeat("what was said before ", 1000)
	c := newCall(t, `{"model":"up/m","stream":true,"messages":[]}`)
	c.Translate = true
	c.Decode = func([]byte) (core.ModelRequest, error) {
		return core.ModelRequest{Model: "up/m", Messages: []core.Message{{Role: core.RoleUser, Text: earlier}}}, nil
	}
	if err := g.Exchange(t.Context(), c, &sink{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(guards.texts, earlier) {
		t.Error("no guardrail has seen what the call goes on from")
	}
	if len(money.reserved) != 1 || money.reserved[0].Tokens < int64(len(earlier)) {
		t.Errorf("reserved %+v for %d bytes", money.reserved, len(earlier))
	}
}

// holder holds everything back until the end.
type holder struct{ text string }

func (h *holder) Add(piece string) (string, error) { h.text += piece; return "", nil }
func (h *holder) End() (string, error)             { return h.text, nil }

type holding struct{ strict }

func (holding) Answer(context.Context, []string) aimodels.AnswerCheck { return &holder{} }

func TestAnAnswerThatIsHeldBackToItsEndComesOnce(t *testing.T) {
	t.Parallel()
	g := gateway(t, aimodels.Config{Guards: holding{}, DefaultGuardrails: []string{"p"}}, map[string]aimodels.Endpoint{"up": upstream(t, "up", answering)})
	for _, stream := range []string{"true", "false"} {
		out := &sink{}
		if err := g.Exchange(t.Context(), newCall(t, `{"model":"up/m","stream":`+stream+`,"messages":[]}`), out); err != nil || out.done == nil || out.done.Message.Text != "Hello" {
			t.Errorf("stream %s: %+v %v", stream, out.done, err)
		}
	}
}

func TestARaceIsWonByATargetAndAllItsAttempts(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	asked := make(chan struct{}) // the second target has been
	r := aimodels.Ordered("quick/m", "slow/m")
	r.Hedge = 20 * time.Millisecond
	g := gateway(t, aimodels.Config{Attempts: 2, Routes: map[string]aimodels.Route{"r": r}}, map[string]aimodels.Endpoint{
		"quick": upstream(t, "quick", func(w http.ResponseWriter, _ *http.Request) {
			if tries.Add(1) == 1 {
				<-asked
				events(w, hel)
				panic(http.ErrAbortHandler)
			}
			answering(w, nil)
		}),
		"slow": upstream(t, "slow", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1<<10))
			close(asked)
			<-r.Context().Done()
		}),
	})
	resp, err := g.Chat(t.Context(), core.ModelRequest{Model: "r", Messages: []core.Message{{Role: core.RoleUser, Text: "hi"}}}, func(core.Delta) {})
	if err != nil || resp.Message.Text != "Hello" || resp.Model != "quick/m" {
		t.Errorf("got %+v %v", resp, err)
	}
}

func TestAfterTheFirstWordNoSecondTargetIsAsked(t *testing.T) {
	t.Parallel()
	r := aimodels.Ordered("talks/m", "idle/m")
	r.Hedge = 20 * time.Millisecond
	var idle atomic.Int32
	g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": r}}, map[string]aimodels.Endpoint{
		"talks": upstream(t, "talks", func(w http.ResponseWriter, _ *http.Request) {
			events(w, hel)
			<-time.After(100 * time.Millisecond) // longer than the hedge
			answering(w, nil)
		}),
		"idle": upstream(t, "idle", func(w http.ResponseWriter, _ *http.Request) { idle.Add(1); answering(w, nil) }),
	})
	if _, err := g.Chat(t.Context(), core.ModelRequest{Model: "r"}, func(core.Delta) {}); err != nil || idle.Load() != 0 {
		t.Errorf("%v; the second target was asked %d times", err, idle.Load())
	}
}

func TestAHedgedCallIsBookedToTheTargetThatAnsweredAndReservedForBoth(t *testing.T) {
	t.Parallel()
	money := &scales{}
	r := aimodels.Ordered("late/m", "never/m")
	r.Hedge = 5 * time.Millisecond
	asked := make(chan struct{})
	g := gateway(t, aimodels.Config{Money: money, Routes: map[string]aimodels.Route{"r": r}, MaxOutput: 100}, map[string]aimodels.Endpoint{
		"late": upstream(t, "late", func(w http.ResponseWriter, _ *http.Request) { <-asked; answering(w, nil) }),
		"never": upstream(t, "never", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = r.Body.Read(make([]byte, 1<<10))
			close(asked)
			<-r.Context().Done()
		}),
	})
	if err := g.Exchange(t.Context(), newCall(t, `{"model":"r","stream":true,"messages":[{"role":"user","content":"hi"}]}`), &sink{}); err != nil {
		t.Fatal(err)
	}
	if len(money.entries) != 1 || money.entries[0].Model != "late/m" || money.entries[0].Usage.InputTokens <= 7 {
		t.Errorf("charged %+v; the loser's input counts too", money.entries)
	}
	if money.reserved[0].Tokens < 200 {
		t.Errorf("reserved %+v", money.reserved)
	}
}

func TestATranslatedAnswerThatNobodyHasReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	g := gateway(t, aimodels.Config{Routes: map[string]aimodels.Route{"r": aimodels.Ordered("a/m", "b/m")}}, map[string]aimodels.Endpoint{
		"a": upstream(t, "a", func(w http.ResponseWriter, _ *http.Request) { events(w, hel); panic(http.ErrAbortHandler) }),
		"b": upstream(t, "b", answering),
	})
	c := newCall(t, `{"model":"r","messages":[]}`)
	c.Translate = true
	out := &sink{}
	if err := g.Exchange(t.Context(), c, out); err != nil || out.done == nil || out.done.Message.Text != "Hello" || out.done.Model != "b/m" {
		t.Errorf("got %+v %v", out.done, err)
	}
}

func TestEachAttemptOfARunThatHasUsedSomethingHasItsOwnReservation(t *testing.T) {
	t.Parallel()
	money := &scales{}
	g := gateway(t, aimodels.Config{Attempts: 3, Money: money}, map[string]aimodels.Endpoint{
		"up": upstream(t, "up", func(w http.ResponseWriter, _ *http.Request) { events(w, hel, lo); panic(http.ErrAbortHandler) }),
	})
	_, err := g.Chat(t.Context(), core.ModelRequest{Model: "up/m", Messages: []core.Message{{Role: core.RoleUser, Text: "hi"}}}, func(core.Delta) {})
	if core.CodeOf(err) != core.CodeUnavailable || len(money.reserved) != 3 || len(money.entries) != 3 {
		t.Errorf("%v; %d reservations, charged %+v", err, len(money.reserved), money.entries)
	}
}

func TestAnswersKeptUnderOlderGuardrailsAreNotGiven(t *testing.T) {
	t.Parallel()
	kept := cache.New(cache.Options{})
	t.Cleanup(kept.Close)
	ask := func(revision string) string {
		g := gateway(t, aimodels.Config{Cache: aimodels.CacheConfig{Cache: kept}, GuardsRevision: revision}, map[string]aimodels.Endpoint{"up": upstream(t, "up", answering)})
		c := newCall(t, `{"model":"up/m","stream":true,"messages":[]}`)
		c.CacheControl = "on"
		out := &sink{}
		if err := g.Exchange(t.Context(), c, out); err != nil {
			t.Fatal(err)
		}
		return out.header["X-SutazAI-Cache"]
	}
	for _, c := range []struct{ revision, want string }{{"1", "miss"}, {"1", "hit"}, {"2", "miss"}} {
		if got := ask(c.revision); got != c.want {
			t.Errorf("under revision %s: %s, want %s", c.revision, got, c.want)
		}
	}
}

func TestNamesThatOnlyCallersKnowDoNotGrowWithoutEnd(t *testing.T) {
	t.Parallel()
	labels := map[string]bool{}
	var mu sync.Mutex
	g := gateway(t, aimodels.Config{
		BreakerAfter: 1, Routes: map[string]aimodels.Route{"r": aimodels.Ordered("up/known")},
		Observe: func(o aimodels.Observation) { mu.Lock(); labels[o.Target] = true; mu.Unlock() },
	}, map[string]aimodels.Endpoint{"up": {Kind: "test", Provider: failing{}}})
	for i := range 2000 {
		_, _ = g.Chat(t.Context(), core.ModelRequest{Model: "up/made-up-" + strings.Repeat("x", i%200) + string(rune('a'+i%26))}, nil)
	}
	_, _ = g.Chat(t.Context(), core.ModelRequest{Model: "r"}, nil)
	if n := len(g.Health()); n > 520 {
		t.Errorf("%d targets are remembered", n)
	}
	if len(labels) != 2 || !labels["up/known"] || !labels["up/other"] {
		t.Errorf("counted under %v", labels)
	}
}

type failing struct{}

func (failing) Chat(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
	return core.ModelResponse{}, aimodels.Retryable(core.Errorf(core.CodeUnavailable, "down"))
}
func (failing) Models(context.Context) ([]core.Model, error) { return nil, nil }
