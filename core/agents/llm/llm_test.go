package llm_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/agents/llm"
)

func user(text string) core.Message { return core.Message{Role: core.RoleUser, Text: text} }

func wants(calls ...core.ToolCall) core.Message {
	return core.Message{Role: core.RoleAssistant, ToolCalls: calls}
}

func result(id string) core.Message {
	return core.Message{Role: core.RoleTool, ToolCallID: id, Text: "ok"}
}

func says(text string) core.Message { return core.Message{Role: core.RoleAssistant, Text: text} }

func call(id, name, args string) core.ToolCall {
	return core.ToolCall{ID: id, Name: name, Arguments: json.RawMessage(args)}
}

func state(messages ...core.Message) agents.State {
	for i := range messages {
		messages[i].Index = i
	}
	return agents.State{
		Definition: core.Agent{Name: "a", Model: "m", Instructions: "Be brief."}, Messages: messages,
		Run: core.RunRecord{Run: core.Run{Limits: core.Limits{Steps: 50}}}, Tools: []core.ToolSpec{{Name: "look"}, {Name: "put"}}, MaxRepeats: 2,
	}
}

func TestTheNextActionFollowsFromTheConversation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		messages []core.Message
		want     string
	}{
		{"a question goes to the model", []core.Message{user("hi")}, "model"},
		{"an answer ends the run", []core.Message{user("hi"), says("hello")}, "finish 1"},
		{"wanted calls are made", []core.Message{user("hi"), wants(call("1", "look", `{}`), call("2", "put", `{}`))}, "calls 1 2"},
		{"only calls without a result are made", []core.Message{user("hi"), wants(call("1", "look", `{}`), call("2", "put", `{}`)), result("1")}, "calls 2"},
		{"results go to the model", []core.Message{user("hi"), wants(call("1", "look", `{}`)), result("1")}, "model"},
		{"an unknown tool is refused", []core.Message{user("hi"), wants(call("1", "fly", `{}`))}, "refused 1"},
		{"the next turn goes to the model", []core.Message{user("hi"), says("hello"), user("more")}, "model"},
		{"an empty answer ends the run too", []core.Message{user("hi"), says("")}, "finish 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := show(llm.Agent{}.Next(state(c.messages...))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func show(a agents.Action) string {
	switch a := a.(type) {
	case agents.CallModel:
		return "model"
	case agents.CallTools:
		out := "calls"
		for _, c := range a.Calls {
			if c.Refusal != "" {
				out = "refused"
			}
		}
		for _, c := range a.Calls {
			out += " " + c.ID
		}
		return out
	case agents.Finish:
		return "finish " + string(rune('0'+a.Message))
	case agents.Fail:
		return "fail " + string(a.Err.Code)
	}
	return "?"
}

func TestRepeatedCallsAreRefusedThenStopped(t *testing.T) {
	t.Parallel()
	messages := []core.Message{user("hi")}
	var got []string
	for i := range 5 {
		id := string(rune('a' + i))
		args := []string{`{"x":1,"y":2}`, `{"y":2, "x":1}`}[i%2] // the same call, written differently
		messages = append(messages, wants(call(id, "look", args)))
		got = append(got, show(llm.Agent{}.Next(state(messages...))))
		messages = append(messages, result(id))
	}
	want := "calls a,calls b,refused c,refused d,fail limit"
	if s := strings.Join(got, ","); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestAnAnswerMustFollowTheOutputSchema(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{`{"paid":true}`: "finish 1", `{"paid":"yes"}`: "fail refused", `paid`: "fail refused"} {
		s := state(user("pay"), says(answer))
		s.Definition.Output = json.RawMessage(`{"type":"object","required":["paid"],"properties":{"paid":{"type":"boolean"}}}`)
		if got := show(llm.Agent{}.Next(s)); got != want {
			t.Errorf("%s: got %q, want %q", answer, got, want)
		}
	}
}

func TestLimitsCountFromTheUsersLatestMessage(t *testing.T) {
	t.Parallel()
	s := state(user("hi"), wants(call("1", "look", `{}`)), result("1"))
	s.Run.Steps, s.Run.Turn.Steps = 60, 20
	if got := show(llm.Agent{}.Next(s)); got != "model" {
		t.Errorf("40 of 50 steps: %s", got)
	}
	s.Run.Steps = 70
	if got := show(llm.Agent{}.Next(s)); got != "fail limit" {
		t.Errorf("50 of 50 steps: %s", got)
	}
}

func TestAnAnswerThatIsThereIsNotThrownAwayForALimit(t *testing.T) {
	t.Parallel()
	s := state(user("hi"), says("hello"))
	s.Run.Steps = 1000
	if got := show(llm.Agent{}.Next(s)); got != "finish 1" {
		t.Errorf("got %s", got)
	}
}
