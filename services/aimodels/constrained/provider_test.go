package constrained

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// capable is a scripted provider that knows its models.
type capable struct {
	*aimodelstest.Scripted
	caps  aimodels.Capabilities
	err   error
	asked int
}

func (c *capable) Capabilities(context.Context, string) (aimodels.Capabilities, error) {
	c.asked++
	return c.caps, c.err
}

func setup(caps aimodels.Capabilities, opt Options, turns ...aimodelstest.Turn) (*Provider, *capable) {
	c := &capable{Scripted: aimodelstest.NewScripted(aimodelstest.Sequence(turns...)), caps: caps}
	return New(c, opt), c
}

func tool(name, description, parameters string) core.ToolSpec {
	return core.ToolSpec{Name: name, Description: description, Parameters: json.RawMessage(parameters)}
}

func calculator() core.ToolSpec {
	return tool("calculator", "Calculate.", `{"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]}`)
}

func readFile() core.ToolSpec {
	return tool("read_file", "Read a file.", `{"type":"object","properties":{"path":{"type":"string"},"offset":{"type":"integer"}},"required":["path"]}`)
}

func ask(text string, tools ...core.ToolSpec) core.ModelRequest {
	return core.ModelRequest{Model: "m", Tools: tools, Messages: []core.Message{
		{Role: core.RoleSystem, Text: "Be brief."}, {Role: core.RoleUser, Text: text},
	}}
}

func called(text, name, arguments, result string, isError bool, tools ...core.ToolSpec) core.ModelRequest {
	req := ask(text, tools...)
	req.Messages = append(req.Messages,
		core.Message{Role: core.RoleAssistant, ToolCalls: []core.ToolCall{{ID: "c1", Name: name, Arguments: json.RawMessage(arguments)}}},
		core.Message{Role: core.RoleTool, ToolCallID: "c1", Text: result, IsError: isError})
	return req
}

var (
	native  = aimodels.Capabilities{Tools: true}
	general = aimodels.Capabilities{}
	small   = aimodels.Capabilities{Small: true}
)

func TestWhichWayATurnGoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		mode    aimodels.ToolMode
		caps    aimodels.Capabilities
		req     core.ModelRequest
		turns   []aimodelstest.Turn
		calls   int
		tools   bool // the tools reach the model's own fields
		schema  bool // the first call is constrained
		answers string
	}{
		{"auto, a model that knows tools", "", native, ask("x", calculator()), []aimodelstest.Turn{aimodelstest.Text("hi")}, 1, true, false, "hi"},
		{"auto, a small model that knows tools", "", aimodels.Capabilities{Tools: true, Small: true}, ask("x", calculator()), []aimodelstest.Turn{aimodelstest.Text("hi")}, 1, true, false, "hi"},
		{"auto, a model that knows none", "", general, ask("x", calculator()), []aimodelstest.Turn{aimodelstest.Text(`{"answer":"hi"}`)}, 1, false, true, "hi"},
		{"auto, a small one that knows none", "", small, ask("x", calculator()), []aimodelstest.Turn{aimodelstest.Text(`["none"]`), aimodelstest.Text("hi")}, 2, false, true, "hi"},
		{"constrained, although the model knows tools", aimodels.ToolsConstrained, native, ask("x", calculator()), []aimodelstest.Turn{aimodelstest.Text(`{"answer":"hi"}`)}, 1, false, true, "hi"},
		{"native, although the model knows none", aimodels.ToolsNative, general, ask("x", calculator()), []aimodelstest.Turn{aimodelstest.Text("hi")}, 1, true, false, "hi"},
		{"plain chat is not constrained", "", general, ask("x"), []aimodelstest.Turn{aimodelstest.Text("hi")}, 1, false, false, "hi"},
		{"plain chat of a small model is not constrained", "", small, ask("x"), []aimodelstest.Turn{aimodelstest.Text("hi")}, 1, false, false, "hi"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, inner := setup(c.caps, Options{Mode: c.mode}, c.turns...)
			var streamed string
			resp, err := p.Chat(t.Context(), c.req, func(d core.Delta) { streamed += d.Text })
			if err != nil || resp.Message.Text != c.answers || streamed != c.answers {
				t.Fatalf("got %+v, %v, streamed %q", resp, err, streamed)
			}
			first := inner.Requests()[0]
			if len(inner.Requests()) != c.calls || (len(first.Tools) > 0) != c.tools || (len(first.Schema) > 0) != c.schema {
				t.Errorf("%d calls, first %+v", len(inner.Requests()), first)
			}
		})
	}
}

func TestAProviderThatKnowsNothingOfItsModelsCountsAsNativeUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	inner := aimodelstest.NewScripted(aimodelstest.Always(aimodelstest.Text(`{"answer":"hi"}`)))
	resp, err := New(inner, Options{}).Chat(t.Context(), ask("x", calculator()), nil)
	if err != nil || resp.Message.Text != `{"answer":"hi"}` {
		t.Errorf("auto: got %+v, %v", resp, err)
	}
	resp, err = New(inner, Options{Mode: aimodels.ToolsConstrained}).Chat(t.Context(), ask("x", calculator()), nil)
	if err != nil || resp.Message.Text != "hi" {
		t.Errorf("constrained: got %+v, %v", resp, err)
	}
}

func TestCapabilitiesAreAskedOnceAndFailuresAreNotRemembered(t *testing.T) {
	t.Parallel()
	p, inner := setup(native, Options{}, aimodelstest.Text("a"), aimodelstest.Text("b"))
	inner.err = core.Errorf(core.CodeUnavailable, "down")
	if _, err := p.Chat(t.Context(), ask("x", calculator()), nil); core.CodeOf(err) != core.CodeUnavailable {
		t.Fatalf("got %v", err)
	}
	inner.err = nil
	for range 2 {
		if _, err := p.Chat(t.Context(), ask("x", calculator()), nil); err != nil {
			t.Fatal(err)
		}
	}
	if inner.asked != 2 {
		t.Errorf("asked %d times", inner.asked)
	}
}

func TestGeneralAnswers(t *testing.T) {
	t.Parallel()
	type call struct{ name, arguments string }
	for _, c := range []struct {
		name, raw string
		text      string
		calls     []call
		code      core.Code
	}{
		{"an answer", `{"answer":"Paris — \"the\" city\n\u00e9 \ud83d\ude42"}`, "Paris — \"the\" city\né 🙂", nil, ""},
		{"white space around it", " {\n \"answer\" : \"Paris\"\n}\n", "Paris", nil, ""},
		{"one call", `{"tool_calls":[{"name":"calculator","arguments":{"expression":"17*23"}}]}`, "", []call{{"calculator", `{"expression":"17*23"}`}}, ""},
		{"two calls", `{"tool_calls":[{"name":"calculator","arguments":{"expression":"1"}},{"name":"read_file","arguments":{"path":"a"}}]}`, "",
			[]call{{"calculator", `{"expression":"1"}`}, {"read_file", `{"path":"a"}`}}, ""},
		{"an answer that the length limit cut", `{"answer":"The capital of Fra`, "The capital of Fra", nil, ""},
		{"a call that the length limit cut", `{"tool_calls":[{"name":"calc`, "", nil, core.CodeInvalid},
		{"a tool that it does not have", `{"tool_calls":[{"name":"rm","arguments":{}}]}`, "", nil, core.CodeInvalid},
		{"no JSON at all", "The capital is Paris.", "", nil, core.CodeInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(general, Options{}, letters(c.raw))
			var streamed string
			resp, err := p.Chat(t.Context(), ask("x", calculator(), readFile()), func(d core.Delta) { streamed += d.Text })
			if core.CodeOf(err) != c.code {
				t.Fatalf("got %+v, %v", resp, err)
			}
			if ce, ok := errors.AsType[*aimodels.CallError](err); err != nil && (!ok || !ce.Retryable) {
				t.Errorf("another try may succeed, so the error must say so: %v", err)
			}
			if streamed != c.text || (err == nil && resp.Message.Text != c.text) || len(resp.Message.ToolCalls) != len(c.calls) {
				t.Fatalf("got %+v, streamed %q", resp, streamed)
			}
			for i, want := range c.calls {
				got := resp.Message.ToolCalls[i]
				if got.Name != want.name || string(got.Arguments) != want.arguments || got.ID == "" || resp.Finish != core.FinishTools {
					t.Errorf("call %d: got %+v", i, got)
				}
			}
		})
	}
}

// letters streams raw byte by byte, the hardest way to cut it.
func letters(raw string) aimodelstest.Turn {
	return func(_ context.Context, _ core.ModelRequest, onDelta func(core.Delta)) (core.ModelResponse, error) {
		for i := range len(raw) {
			onDelta(core.Delta{Text: raw[i : i+1]})
		}
		return core.ModelResponse{Message: core.Message{Text: raw}, Finish: core.FinishStop}, nil
	}
}

func TestGeneralAnswersByTheRequestsOwnSchema(t *testing.T) {
	t.Parallel()
	p, inner := setup(general, Options{}, letters(`{"answer": {"paid": true, "who": {"name": "Ann"}}}`))
	req := ask("x", calculator())
	req.Schema = json.RawMessage(`{"type":"object","properties":{"paid":{"type":"boolean"}}}`)
	var streamed string
	resp, err := p.Chat(t.Context(), req, func(d core.Delta) { streamed += d.Text })
	const want = `{"paid": true, "who": {"name": "Ann"}}`
	if err != nil || resp.Message.Text != want || streamed != want {
		t.Errorf("got %+v, %v, streamed %q", resp, err, streamed)
	}
	if !strings.Contains(string(inner.Requests()[0].Schema), `"paid":{"type":"boolean"}`) {
		t.Errorf("schema %s", inner.Requests()[0].Schema)
	}
}

func TestGeneralPromptHoldsTheToolsAndWhatTheyAnswered(t *testing.T) {
	t.Parallel()
	p, inner := setup(general, Options{}, aimodelstest.Text(`{"answer":"x"}`))
	req := called("What is 17*23?", "calculator", `{"expression":"17*23"}`, "391", false, calculator(), readFile())
	if _, err := p.Chat(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	m := inner.Requests()[0].Messages
	if len(m) != 4 || !strings.HasPrefix(m[0].Text, "Be brief.\n\n") || !strings.Contains(m[0].Text, `- read_file: Read a file. Arguments: {"properties"`) {
		t.Errorf("system prompt %q", m[0].Text)
	}
	if m[2].Role != core.RoleAssistant || m[2].Text != `{"tool_calls":[{"name":"calculator","arguments":{"expression":"17*23"}}]}` || m[3].Role != core.RoleUser || m[3].Text != "Result of calculator:\n391" {
		t.Errorf("got %+v", m[2:])
	}
	for _, msg := range m {
		if len(msg.ToolCalls) > 0 || msg.ToolCallID != "" || msg.Role == core.RoleTool {
			t.Errorf("a chat template without tools gets %+v", msg)
		}
	}
	if req.Messages[0].Text != "Be brief." {
		t.Error("the caller's messages were changed")
	}
}

func TestASmallModelDecidesByAShortPromptOfItsOwn(t *testing.T) {
	t.Parallel()
	p, inner := setup(small, Options{}, aimodelstest.Text(`["calculator", "17*23"]`))
	var streamed string
	resp, err := p.Chat(t.Context(), ask("What is 17*23?", calculator(), readFile()), func(d core.Delta) { streamed += d.Text })
	if err != nil || len(resp.Message.ToolCalls) != 1 || string(resp.Message.ToolCalls[0].Arguments) != `{"expression":"17*23"}` || resp.Finish != core.FinishTools || resp.Message.Text != "" {
		t.Fatalf("got %+v, %v", resp, err)
	}
	if streamed != "" {
		t.Errorf("the decision was streamed: %q", streamed)
	}
	req := inner.Requests()[0]
	if req.MaxTokens == 0 || req.Temperature == nil || *req.Temperature != 0 {
		t.Errorf("a decision is bounded and repeatable: %+v", req)
	}
	var s struct {
		AnyOf []struct {
			PrefixItems []map[string]any `json:"prefixItems"`
			MaxItems    int              `json:"maxItems"`
		} `json:"anyOf"`
	}
	if err := json.Unmarshal(req.Schema, &s); err != nil || len(s.AnyOf) != 3 || s.AnyOf[2].PrefixItems[0]["const"] != "none" {
		t.Fatalf("schema %s", req.Schema)
	}
	if a := s.AnyOf[1]; a.MaxItems != 2 || a.PrefixItems[0]["const"] != "read_file" || a.PrefixItems[1]["maxLength"] != float64(smallString) {
		t.Errorf("read_file has one required argument, bounded: %s", req.Schema)
	}
	var none, calls int
	for _, m := range req.Messages {
		switch {
		case m.Text == `["none"]`:
			none++
		case m.Role == core.RoleAssistant:
			calls++
		}
	}
	if calls != 4 || none < 2 || req.Messages[len(req.Messages)-2].Text != `["none"]` {
		t.Errorf("%d calls and %d small talk are shown, small talk last: %+v", calls, none, req.Messages)
	}
}

func TestASmallModelThatDecidesForNothingSpeaksFreely(t *testing.T) {
	t.Parallel()
	for name, decision := range map[string]string{"none": `["none"]`, "cut off": `["calculator", "12`, "unknown": `["rm"]`, "an argument short": `["calculator"]`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, inner := setup(small, Options{}, aimodelstest.Text(decision), aimodelstest.Text("The capital of France is Paris."))
			resp, err := p.Chat(t.Context(), ask("What is the capital of France?", calculator()), nil)
			if err != nil || resp.Message.Text != "The capital of France is Paris." || len(resp.Message.ToolCalls) != 0 {
				t.Fatalf("got %+v, %v", resp, err)
			}
			both := inner.Requests()
			if len(both) != 2 || len(both[1].Schema) != 0 || len(both[1].Tools) != 0 {
				t.Fatalf("the second call is free: %+v", both)
			}
			if both[1].MaxTokens != smallAnswer || both[1].Temperature == nil || *both[1].Temperature != 0 {
				t.Errorf("an answer is bounded: %+v", both[1])
			}
			last := both[1].Messages[len(both[1].Messages)-1]
			if both[1].Messages[0].Text != "Be brief." || last.Text != "What is the capital of France?" || len(both[1].Messages) != 8 {
				t.Errorf("instructions, three exchanges, the question: %+v", both[1].Messages)
			}
			first := aimodels.EstimateTokens(decision)
			if resp.Usage.OutputTokens <= first {
				t.Errorf("both calls count: %+v", resp.Usage)
			}
		})
	}
}

func TestASmallModelAnswersWithTheResultsAndIsOfferedNoToolAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, result string
		isError      bool
		want         string
	}{
		{"a result", "391", false, "Question: What is 17*23?\nResult of calculator(17*23): 391"},
		{"an error", "division by zero", true, "Question: What is 17*23?\nError of calculator(17*23): division by zero"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, inner := setup(small, Options{}, aimodelstest.Text("17*23 = 391."))
			resp, err := p.Chat(t.Context(), called("What is 17*23?", "calculator", `{"expression":"17*23"}`, c.result, c.isError, calculator()), nil)
			if err != nil || resp.Message.Text != "17*23 = 391." {
				t.Fatalf("got %+v, %v", resp, err)
			}
			m := inner.Requests()[0].Messages
			if len(inner.Requests()) != 1 || len(m) != 2 || m[1].Role != core.RoleUser || m[1].Text != c.want {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestASmallModelGetsTheNextQuestionOfAConversationWithoutOldCalls(t *testing.T) {
	t.Parallel()
	p, inner := setup(small, Options{}, aimodelstest.Text(`["none"]`), aimodelstest.Text("You are welcome."))
	req := called("What is 17*23?", "calculator", `{"expression":"17*23"}`, "391", false, calculator())
	req.Messages = append(req.Messages, core.Message{Role: core.RoleAssistant, Text: "17*23 = 391."}, core.Message{Role: core.RoleUser, Text: "Thank you"})
	if _, err := p.Chat(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range inner.Requests()[1].Messages {
		got = append(got, string(m.Role)+": "+m.Text)
	}
	if want := "system: Be brief.|user: What is 17*23?|assistant: 17*23 = 391.|user: Thank you"; strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
}

func TestExamplesFitTheToolOrAreMadeFromIt(t *testing.T) {
	t.Parallel()
	p := New(aimodelstest.NewScripted(nil), Options{})
	for _, c := range []struct {
		tool core.ToolSpec
		want string
	}{
		{calculator(), `What is 12*9? {"expression":"12*9"}`},
		{tool("calculator", "Another.", `{"type":"object","properties":{"formula":{"type":"string"}},"required":["formula"]}`), `Use calculator {"formula":"formula"}`},
		{tool("erp.pay", "Pay.", `{"type":"object","properties":{"n":{"type":"integer"},"how":{"enum":["cash","card"]}},"required":["n","how"]}`), `Use erp.pay {"how":"cash","n":1}`},
		{tool("bare", "", ``), `Use bare {}`},
	} {
		if got := p.examplesOf(c.tool)[0]; got.Ask+" "+string(got.Arguments) != c.want {
			t.Errorf("%s: got %s %s, want %s", c.tool.Name, got.Ask, got.Arguments, c.want)
		}
	}
}

func TestAToolThatMustBeCalledLeavesNoWayAroundIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		caps   aimodels.Capabilities
		answer string
	}{
		{"small", small, `["read_file", "a.txt"]`},
		{"general", general, `{"tool_calls":[{"name":"read_file","arguments":{"path":"a.txt"}}]}`},
	} {
		for choice, tools := range map[string]int{"required": 2, "read_file": 1} {
			t.Run(c.name+" "+choice, func(t *testing.T) {
				t.Parallel()
				p, inner := setup(c.caps, Options{}, aimodelstest.Text(c.answer))
				req := ask("Hello", calculator(), readFile())
				req.ToolChoice = choice
				resp, err := p.Chat(t.Context(), req, nil)
				if err != nil || len(resp.Message.ToolCalls) != 1 || resp.Message.ToolCalls[0].Name != "read_file" {
					t.Fatalf("got %+v, %v", resp, err)
				}
				s := string(inner.Requests()[0].Schema)
				if strings.Contains(s, `"none"`) || strings.Contains(s, `"answer"`) {
					t.Errorf("the schema leaves a way around: %s", s)
				}
				if n := strings.Count(s, `"const"`); n != tools {
					t.Errorf("%d tools in %s, want %d", n, s, tools)
				}
			})
		}
	}
}
