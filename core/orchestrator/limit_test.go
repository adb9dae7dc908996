package orchestrator_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// restless asks for another call for ever.
func restless(arg func(n int) string) *models {
	return &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
		c := call("look", arg(len(req.Messages)))
		c.ID = fmt.Sprint(len(req.Messages))
		return calls(c), nil
	}}
}

func different(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }

func TestLimitsStopARun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		models *models
		limits core.Limits
		want   string
	}{
		{"steps", restless(different), core.Limits{Steps: 6}, "6 steps"},
		{"tokens", restless(different), core.Limits{Tokens: 40}, "40 tokens"},
		{"money", restless(different), core.Limits{CostMicroUSD: 250}, "US dollars"},
		{"the same call again and again", restless(func(int) string { return `{"same": 1}` }), core.Limits{}, "as a loop"},
		{"time", &models{chat: func(ctx context.Context, _ core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			<-ctx.Done()
			return core.ModelResponse{}, ctx.Err()
		}}, core.Limits{Time: 100 * time.Millisecond}, "running time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
				b := newBench(t, db, c.models)
				b.agents["a"] = core.Agent{Tools: grants("look"), Limits: c.limits}
				o, _ := b.open()
				r := b.ended(o, b.start(o, "a", "go").ID)
				wantFailed(t, r, core.CodeLimit)
				if !strings.Contains(r.Error.Message, c.want) {
					t.Errorf("message %q lacks %q", r.Error.Message, c.want)
				}
			})
		})
	}
}

func TestCancelStopsTheCallInFlightAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		entered := make(chan struct{})
		var once sync.Once
		b := newBench(t, db, &models{chat: func(ctx context.Context, _ core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			first := false
			once.Do(func() { first = true; close(entered) })
			if first {
				<-ctx.Done()
				return core.ModelResponse{}, ctx.Err()
			}
			return answer("after all"), nil
		}})
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		<-entered
		if _, err := o.Cancel(t.Context(), id, "user:ann"); err != nil {
			t.Fatal(err)
		}
		r := b.ended(o, id)
		if r.Status != core.RunCancelled || !strings.Contains(r.Error.Message, "user:ann") {
			t.Fatalf("got %s %+v", r.Status, r.Error)
		}
		if _, err := o.Resume(t.Context(), id, "user:ann"); err != nil {
			t.Fatal(err)
		}
		wantOutput(t, b.ended(o, id), "after all")
	})
}

func TestAModelOutageParksTheRunUntilItIsOver(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		var mu sync.Mutex
		down := true
		b := newBench(t, db, &models{chat: func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return core.ModelResponse{}, core.Errorf(core.CodeUnavailable, "the model does not answer")
			}
			return answer("back"), nil
		}})
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		r := b.waiting(o, id)
		if r.WaitReason != core.WaitModel || r.WakeAt == nil {
			t.Fatalf("waits for %s until %v", r.WaitReason, r.WakeAt)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		b.clock.advance(10 * time.Second)
		wantOutput(t, b.ended(o, id), "back")
	})
}

func TestAnOutageThatLastsTooLongFailsTheRun(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
			return core.ModelResponse{}, core.Errorf(core.CodeUnavailable, "the model does not answer")
		}})
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		b.waiting(o, id)
		b.clock.advance(2 * time.Hour)
		wantFailed(t, b.ended(o, id), core.CodeUnavailable)
	})
}

func TestAnAgentDelegatesAndItsUsageRollsUp(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			m := last(req)
			switch {
			case m.Role == core.RoleTool:
				return answer("helper said: " + m.Text), nil
			case m.Text == "go":
				return calls(call(agents.DelegatePrefix+"helper", `{"task":"sub"}`)), nil
			}
			return answer("done " + m.Text), nil
		}})
		b.agents["a"] = core.Agent{Agents: []string{"helper"}}
		b.agents["helper"] = core.Agent{}
		o, _ := b.open()
		r := b.ended(o, b.start(o, "a", "go").ID)
		wantOutput(t, r, "helper said: done sub")
		if r.Usage.Tokens() != 45 {
			t.Errorf("tokens %d, want those of all three model calls", r.Usage.Tokens())
		}
		children, _, err := o.Runs(t.Context(), core.RunFilter{Parent: r.ID})
		if err != nil || len(children) != 1 || children[0].Depth != 1 {
			t.Fatalf("children %+v (%v)", children, err)
		}
	})
}

func TestDelegationStopsAtTheDepthLimit(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			if m := last(req); m.Role == core.RoleTool {
				return answer(m.Text), nil
			}
			return calls(call(agents.DelegatePrefix+"a", `{"task":"deeper"}`)), nil
		}})
		b.agents["a"] = core.Agent{Agents: []string{"a"}, Limits: core.Limits{Depth: 2}}
		o, _ := b.open()
		r := b.ended(o, b.start(o, "a", "go").ID)
		wantOutput(t, r, "delegation is limited to a depth of 2; do the task yourself")
	})
}

// Storage must grow linearly with the conversation: each message is stored once.
func TestBytesStoredGrowLinearly(t *testing.T) {
	t.Parallel()
	dbo := database.Options{DataDir: t.TempDir()}
	text := strings.Repeat("0123456789abcdef", 128) // 2 KB
	b := newBench(t, dbo, &models{chat: func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
		return answer(text), nil
	}})
	o, _ := b.open()
	db, err := database.Open(t.Context(), dbo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	size := func() (n int64) {
		t.Helper()
		if err := db.SQLite().QueryRow("SELECT (page_count-freelist_count)*page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	id := b.start(o, "a", text).ID
	b.ended(o, id)
	before := size()
	var half int64
	for i := 1; i <= 100; i++ {
		if _, err := o.Message(t.Context(), id, text, "user:ann"); err != nil {
			t.Fatal(err)
		}
		b.ended(o, id)
		if i == 50 {
			half = size() - before
		}
	}
	total := size() - before
	if ratio := float64(total) / float64(2*half); ratio > 1.15 {
		t.Errorf("the second 50 turns took %.2f times the first (%d, then %d bytes)", float64(total-half)/float64(half), half, total-half)
	}
	if perByte := float64(total) / float64(100*2*len(text)); perByte > 2 {
		t.Errorf("%.2f bytes stored for a byte of message", perByte)
	} else {
		t.Logf("%.2f bytes stored for a byte of message", perByte)
	}
}

func TestModelsKnowForWhomARunCallsThem(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		callers := make(chan core.Caller, 1)
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			callers <- req.Caller
			return answer("done"), nil
		}})
		b.agents["a"] = core.Agent{}
		o, _ := b.open()
		r, _, err := o.Start(t.Context(), core.StartRun{Agent: "a", Input: "go", Actor: "key:k1"})
		if err != nil {
			t.Fatal(err)
		}
		b.ended(o, r.ID)
		if got, want := <-callers, (core.Caller{Key: "k1", Actor: "key:k1", Agent: "a", Run: r.ID}); got != want {
			t.Errorf("called for %+v, want %+v", got, want)
		}
	})
}
