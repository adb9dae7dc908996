package orchestrator_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/orchestrator"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

// kind is an agent of one kind whose answer to "go" is "done: go", if the work is let go on.
type kind struct {
	name  string
	agent core.Agent
	// streams says whether text of the answer is shown while it is written.
	streams bool
}

func everyKind() []kind {
	return []kind{
		{"llm", core.Agent{}, true},
		{"remote", core.Agent{Kind: core.AgentRemote, Peer: "far", Effect: core.EffectIdempotent}, true},
		{"process", core.Agent{Kind: core.AgentProcess, Peer: "near", Effect: core.EffectIdempotent}, true},
		{"human", core.Agent{Kind: core.AgentHuman, Queue: "clerks"}, false},
		{"team", core.Agent{Kind: core.AgentTeam, Agents: []string{"b", "c"}, Team: &core.Team{Pattern: core.TeamSequential, Members: []string{"b", "c"}}}, false},
	}
}

// newKindBench serves every kind: whoever works, works by work.
func newKindBench(t *testing.T, db database.Options, k kind, work func(ctx context.Context, text string) (string, error)) *bench {
	t.Helper()
	b := newBench(t, db, &models{chat: func(ctx context.Context, req core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		text, err := work(ctx, last(req).Text)
		if err != nil {
			return core.ModelResponse{}, err
		}
		onDelta(core.Delta{Attempt: 1, Text: text})
		return answer(text), nil
	}})
	b.peers.talk = func(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
		text, err := work(ctx, call.Text)
		if err != nil {
			return core.PeerAnswer{}, err
		}
		events.Delta(text)
		return core.PeerAnswer{Text: text, Session: "s1", Usage: core.Usage{InputTokens: 10, OutputTokens: 5, CostMicroUSD: 100}}, nil
	}
	b.agents = agentMap{"a": k.agent, "b": {}, "c": {}}
	return b
}

// answered lets the person of a human agent answer; other kinds answer by themselves.
func (b *bench) answered(o *orchestrator.Orchestrator, id string, k kind) core.Run {
	b.t.Helper()
	if k.agent.Kind == core.AgentHuman {
		b.waiting(o, id)
		if a := b.approval(o, id); a.Queue != "clerks" || a.Reason != core.ReasonQuestion {
			b.t.Fatalf("asked %+v", a)
		}
		if _, err := o.Message(b.t.Context(), id, "done", "user:ann"); err != nil {
			b.t.Fatal(err)
		}
	}
	return b.ended(o, id)
}

func done(_ context.Context, _ string) (string, error) { return "done", nil }

func eachKind(t *testing.T, fn func(t *testing.T, k kind, db database.Options)) {
	t.Helper()
	for _, k := range everyKind() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			databasetest.EachOptions(t, func(t *testing.T, db database.Options) { fn(t, k, db) })
		})
	}
}

func TestEveryKindOfAgentAnswersAndItsTextIsSeen(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind, db database.Options) {
		b := newKindBench(t, db, k, done)
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var text strings.Builder
		events := o.Events(ctx, id, 0)
		wantOutput(t, b.answered(o, id, k), "done")
		for e := range events {
			if e.Delta != nil {
				text.WriteString(e.Delta.Text)
			}
			if e.Message != nil && e.Message.Role == core.RoleAssistant && e.Message.Text != "" {
				text.WriteString("/" + e.Message.Text)
			}
		}
		if !strings.HasSuffix(text.String(), "/done") {
			t.Errorf("seen %q", text.String())
		}
	})
}

func TestEveryKindOfAgentGoesOnWithAConversation(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind, db database.Options) {
		b := newKindBench(t, db, k, done)
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		wantOutput(t, b.answered(o, id, k), "done")
		if _, err := o.Message(t.Context(), id, "more", "user:ann"); err != nil {
			t.Fatal(err)
		}
		wantOutput(t, b.answered(o, id, k), "done")
		if turns := b.peers.made(); len(turns) == 2 && (turns[0].Session != "" || turns[1].Session != "s1" || turns[1].Text != "more") {
			t.Errorf("the peer got %+v", turns)
		}
	})
}

func TestEveryKindOfAgentIsCancelled(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind, db database.Options) {
		entered := make(chan struct{})
		var once sync.Once
		b := newKindBench(t, db, k, func(ctx context.Context, _ string) (string, error) {
			once.Do(func() { close(entered) })
			<-ctx.Done()
			return "", ctx.Err()
		})
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		if k.agent.Kind == core.AgentHuman {
			b.waiting(o, id)
		} else {
			<-entered
		}
		if _, err := o.Cancel(t.Context(), id, "user:ann"); err != nil {
			t.Fatal(err)
		}
		if r := b.ended(o, id); r.Status != core.RunCancelled {
			t.Errorf("got %s", r.Status)
		}
		if open, err := o.Approvals(t.Context(), core.ApprovalPending, id); err != nil || len(open) > 0 {
			t.Errorf("%d questions are left (%v)", len(open), err)
		}
	})
}

func TestEveryKindOfAgentGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind, db database.Options) {
		entered, dead := make(chan struct{}), make(chan struct{})
		var once sync.Once
		b := newKindBench(t, db, k, func(context.Context, string) (string, error) {
			first := false
			once.Do(func() { first = true; close(entered) })
			if first {
				<-dead
				return "of the dead", nil
			}
			return "done", nil
		})
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		if k.agent.Kind == core.AgentHuman {
			b.waiting(o, id)
		} else {
			<-entered
		}
		o2, _ := b.open()
		r := b.answered(o2, id, k)
		close(dead)
		wantOutput(t, r, "done")
	})
}

func TestEveryKindOfAgentTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind, db database.Options) {
		b := newKindBench(t, db, k, func(context.Context, string) (string, error) {
			return "", core.Errorf(core.CodeRefused, "not this one")
		})
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		if k.agent.Kind == core.AgentHuman {
			b.waiting(o, id)
			b.decide(o, b.approval(o, id).ID, core.Verdict{Decision: core.DecideDeny, Comment: "not this one"})
		}
		r := b.ended(o, id)
		if r.Status != core.RunFailed || r.Error == nil || !strings.Contains(r.Error.Message, "not this one") {
			t.Errorf("got %s %+v", r.Status, r.Error)
		}
	})
}

func TestEveryKindOfAgentHasLimits(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, k kind, db database.Options) {
		b := newKindBench(t, db, k, func(context.Context, string) (string, error) { return "done", nil })
		o, _ := b.open()
		run, _, err := o.Start(t.Context(), core.StartRun{Agent: "a", Input: "go", Actor: "test", Limits: core.Limits{Steps: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r := b.answeredOrEnded(o, run.ID, k)
		if k.agent.Kind == core.AgentTeam || k.agent.Kind == core.AgentHuman {
			wantFailed(t, r, core.CodeLimit) // the answer takes more than a step
			return
		}
		wantOutput(t, r, "done") // an answer that is there is not thrown away
	})
}

// answeredOrEnded is answered, where the run may end before anybody is asked.
func (b *bench) answeredOrEnded(o *orchestrator.Orchestrator, id string, k kind) core.Run {
	b.t.Helper()
	r := b.until(o, id, "final or waiting for a person", func(r core.Run) bool {
		return r.Status.Final() || r.Status == core.RunWaiting && r.WaitReason == core.WaitQuestion
	})
	if r.Status.Final() {
		return r
	}
	return b.answered(o, id, k)
}

func TestAPeersQuestionIsAskedAndItsAnswerGivenBack(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newKindBench(t, db, kind{agent: core.Agent{Kind: core.AgentRemote, Peer: "far"}}, done)
		b.peers.talk = func(_ context.Context, call core.PeerCall, _ core.PeerEvents) (core.PeerAnswer, error) {
			if call.Text == "go" {
				return core.PeerAnswer{Text: "Which colour?", Needs: true, Session: "task-1"}, nil
			}
			return core.PeerAnswer{Text: "painted " + call.Text + " in " + call.Session, Session: call.Session}, nil
		}
		o, stop := b.open()
		id := b.start(o, "a", "go").ID
		if r := b.waiting(o, id); r.WaitReason != core.WaitQuestion || r.WaitDetail != "Which colour?" {
			t.Fatalf("waits for %s %q", r.WaitReason, r.WaitDetail)
		}
		stop() // waiting needs no process
		o, _ = b.open()
		if _, err := o.Message(t.Context(), id, "blue", "user:ann"); err != nil {
			t.Fatal(err)
		}
		wantOutput(t, b.ended(o, id), "painted blue in task-1")
	})
}

func TestAPeerAsksForPermissionWhileItWorks(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[core.Decision]string{core.DecideApprove: "did it", core.DecideDeny: "left it"} {
		t.Run(string(verdict), func(t *testing.T) {
			t.Parallel()
			databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
				b := newKindBench(t, db, kind{agent: core.Agent{Kind: core.AgentProcess, Peer: "near"}}, done)
				b.peers.talk = func(ctx context.Context, _ core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
					v, err := events.Ask(ctx, core.PeerQuestion{Tool: "edit", Arguments: []byte(`{"file":"x"}`), Effect: core.EffectUnsafe})
					if err != nil {
						return core.PeerAnswer{}, err
					}
					if v.Decision == core.DecideApprove {
						return core.PeerAnswer{Text: "did it"}, nil
					}
					return core.PeerAnswer{Text: "left it"}, nil
				}
				o, _ := b.open()
				id := b.start(o, "a", "go").ID
				b.until(o, id, "asking", func(core.Run) bool {
					open, err := o.Approvals(t.Context(), core.ApprovalPending, id)
					return err == nil && len(open) == 1
				})
				a := b.approval(o, id)
				if a.Tool != "near/edit" || a.Reason != core.ReasonPeer {
					t.Errorf("asked %+v", a)
				}
				b.decide(o, a.ID, core.Verdict{Decision: verdict})
				wantOutput(t, b.ended(o, id), want)
			})
		})
	}
}

func TestAnInterruptedTurnOfAPeerIsTakenUpOrAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		known   bool // the peer knows of the turn
		verdict core.Verdict
		want    string
	}{
		{"the peer knows it", true, core.Verdict{}, "found in task-1"},
		{"made again", false, core.Verdict{Decision: core.DecideRetry}, "made again"},
		{"a person gives the answer", false, core.Verdict{Decision: core.DecideDone, Result: "seen in its log"}, "seen in its log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
				b := newKindBench(t, db, kind{agent: core.Agent{Kind: core.AgentRemote, Peer: "far"}}, done)
				entered, dead := make(chan struct{}), make(chan struct{})
				defer close(dead)
				var once sync.Once
				b.peers.talk = func(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
					first := false
					once.Do(func() { first = true })
					switch {
					case first:
						if err := events.Session(ctx, "task-1"); err != nil {
							t.Errorf("session: %v", err)
						}
						close(entered)
						<-dead
						return core.PeerAnswer{Text: "of the dead"}, nil
					case !call.Interrupted:
						return core.PeerAnswer{Text: "made again"}, nil
					case c.known:
						return core.PeerAnswer{Text: "found in " + call.Session}, nil
					}
					return core.PeerAnswer{}, core.Errorf(core.CodeConflict, "it knows no such task")
				}
				o, _ := b.open()
				id := b.start(o, "a", "go").ID
				<-entered
				o2, _ := b.open()
				if !c.known {
					b.waiting(o2, id)
					a := b.approval(o2, id)
					if a.Reason != core.ReasonInterrupted || a.Tool != "far" {
						t.Fatalf("asked %+v", a)
					}
					b.decide(o2, a.ID, c.verdict)
				}
				wantOutput(t, b.ended(o2, id), c.want)
			})
		})
	}
}

func TestAConversationIsHandedOverAndStaysThere(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			if strings.Contains(req.Messages[0].Text, "Work.") && len(req.Tools) == 1 && last(req).Role == core.RoleUser {
				return calls(call(agents.HandoffPrefix+"b", `{"note":"he is in a hurry"}`)), nil
			}
			var said []string
			for _, m := range req.Messages[1:] {
				said = append(said, m.Text)
			}
			return answer("b heard: " + strings.Join(said, " | ")), nil
		}})
		b.agents = agentMap{"a": {Handoffs: []string{"b"}}, "b": {}}
		o, _ := b.open()
		id := b.start(o, "a", "help").ID
		wantOutput(t, b.ended(o, id), "b heard: help\n\n[Note of the agent a: he is in a hurry]")
		asked := b.models.count()
		if _, err := o.Message(t.Context(), id, "more", "user:ann"); err != nil {
			t.Fatal(err)
		}
		r := b.ended(o, id)
		if !strings.HasSuffix(r.Output, "| more") || !strings.HasPrefix(r.Output, "b heard: help | b heard: help") {
			t.Errorf("got %q", r.Output)
		}
		if n := b.models.count() - asked; n != 1 {
			t.Errorf("the second turn asked %d times: it goes straight to the agent that has the conversation", n)
		}
	})
}

func TestTheSameWorkGoesRoundOnlySoOften(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		// a and b give each other the same work, written differently each time.
		b := newBench(t, db, &models{chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			if m := last(req); m.Role == core.RoleTool {
				return answer("told: " + m.Text), nil
			}
			return calls(call(req.Tools[0].Name, `{"task":" the same"}`)), nil
		}})
		b.agents = agentMap{"a": {Agents: []string{"b"}}, "b": {Agents: []string{"a"}}}
		b.limits.Depth = 50
		o, _ := b.open()
		r := b.ended(o, b.start(o, "a", "the same").ID)
		if r.Status != core.RunSucceeded || !strings.Contains(r.Output, "exactly this work 3 times") {
			t.Errorf("got %s %q %+v", r.Status, r.Output, r.Error)
		}
		runs, _, err := o.Runs(t.Context(), core.RunFilter{Limit: 100})
		if err != nil || len(runs) > 8 {
			t.Errorf("%d runs (%v)", len(runs), err)
		}
	})
}

func TestPrivateDataAndForeignTextDoNotLeaveTogether(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		step := 0
		b := newBench(t, db, &models{chat: func(context.Context, core.ModelRequest, func(core.Delta)) (core.ModelResponse, error) {
			step++
			switch step {
			case 1:
				return calls(call("send", `{"n":1}`)), nil // nothing has been read yet
			case 2:
				return calls(call("read", `{}`), call("browse", `{}`)), nil
			case 3:
				return calls(call("send", `{"n":2}`)), nil
			}
			return answer("done"), nil
		}})
		b.agents = agentMap{"a": {Tools: grants("read", "browse", "send")}}
		o, _ := b.open()
		id := b.start(o, "a", "go").ID
		r := b.waiting(o, id)
		a := b.approval(o, id)
		if r.WaitReason != core.WaitApproval || a.Reason != core.ReasonFlow || string(a.Arguments) != `{"n":2}` {
			t.Fatalf("waits for %s, asked %+v", r.WaitReason, a)
		}
		b.decide(o, a.ID, core.Verdict{Decision: core.DecideDeny})
		wantOutput(t, b.ended(o, id), "done")
		if n := b.tools.made("send"); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestALongConversationIsShortenedAndSummedUp(t *testing.T) {
	t.Parallel()
	for _, window := range []int{0, 2000} { // not known until the model refuses, or known
		databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
			const holds = 6000 // bytes that the model takes
			summaries, turns := 0, 0
			b := newBench(t, db, &models{window: window, chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
				n := 0
				for _, m := range req.Messages {
					n += len(m.Text)
				}
				if n > holds {
					return core.ModelResponse{}, core.Errorf(core.CodeContextFull, "too long")
				}
				if strings.HasPrefix(req.Messages[0].Text, "Sum up") {
					summaries++
					return answer("SUMMARY"), nil
				}
				turns++
				if turns <= 12 {
					return calls(call("look", `{"n":`+strings.Repeat("1", turns)+`}`)), nil
				}
				return answer("done: " + req.Messages[1].Text), nil
			}})
			b.tools.do = func(_ context.Context, inv core.ToolInvocation) core.ToolResult {
				return core.ToolResult{Text: strings.Repeat("data ", 300)}
			}
			b.agents = agentMap{"a": {Tools: grants("look")}}
			o, _ := b.open()
			r := b.ended(o, b.start(o, "a", "the task").ID)
			wantOutput(t, r, "done: the task") // the task stays, whatever is summed up
			if summaries == 0 {
				t.Error("nothing was summed up")
			}
		})
	}
}

func TestAModelReadsAgainWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	databasetest.EachOptions(t, func(t *testing.T, db database.Options) {
		long := strings.Repeat("x", 9000) + "the end"
		b := newBench(t, db, &models{window: 4000, chat: func(_ context.Context, req core.ModelRequest, _ func(core.Delta)) (core.ModelResponse, error) {
			switch m := last(req); {
			case m.Role == core.RoleUser:
				return calls(call("look", `{}`)), nil
			case strings.HasSuffix(m.Text, "the end"):
				return answer("read it"), nil
			case strings.Contains(m.Text, "cut; recall") || strings.Contains(m.Text, "goes on]"):
				from := 8995
				if !strings.Contains(m.Text, "cut; recall") {
					from = 8990
				}
				return calls(core.ToolCall{ID: m.Text[:1] + string(rune('a'+len(req.Messages))), Name: agents.Recall, Arguments: []byte(`{"message":2,"from":` + strconv.Itoa(from) + `}`)}), nil
			}
			return answer("lost: " + last(req).Text), nil
		}})
		b.tools.do = func(context.Context, core.ToolInvocation) core.ToolResult { return core.ToolResult{Text: long} }
		b.agents = agentMap{"a": {Tools: grants("look")}}
		o, _ := b.open()
		wantOutput(t, b.ended(o, b.start(o, "a", "the task").ID), "read it")
	})
}
