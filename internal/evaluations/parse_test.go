package evaluations_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/evaluations"
)

// known is what the sets of tests may refer to.
func known() evaluations.Known {
	return evaluations.Known{
		Tools: []string{"calculator", "read_file"}, Servers: []string{"erp"}, Agents: []string{"clerk", "researcher"},
		CheckModel: func(name string) error {
			if name == "nowhere" {
				return core.Errorf(core.CodeInvalid, "no model %q", name)
			}
			return nil
		},
		Nearest: func(word string, among []string) string {
			for _, a := range among {
				if strings.HasPrefix(a, word[:3]) {
					return a
				}
			}
			return ""
		},
	}
}

const good = `agent: clerk
repeats: 3
pass: 0.9
judge: default
cases:
  - name: adds
    input: What is 17 * 23?
    files:
      notes.txt: |
        17
        23
    checks:
      - contains: 391
      - not_contains: "390"
      - regex: "^3.1$"
      - schema: {type: object, required: [sum]}
      - tool_called: calculator
      - tool_called: erp.pay
      - tool_not_called: researcher
      - file_written: out.txt
      - file_written: {name: dir/out.txt, contains: x}
      - max_cost_usd: 0.5
      - max_seconds: 10
      - max_steps: 4
      - judge: The answer is right.
    script:
      - call: {calculator: {expression: 17 * 23}}
      - call: [{researcher: {task: a}}, {researcher: {task: b}}]
      - {to: a, say: done}
      - say: "391"
  - name: fails
    input: Divide by zero
    checks:
      - fails: zero
  - name: asks
    input: Pay
    checks:
      - asks: erp.pay
      - tool_not_called: calculator
`

func TestAGoodSetIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	set, problems := evaluations.Parse("agents/clerk.eval.yaml", []byte(good), known())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if set.Agent != "clerk" || set.Repeats != 3 || set.Pass != 0.9 || set.Judge != "default" || len(set.Cases) != 3 || len(set.Version) != 12 {
		t.Errorf("read %+v", set)
	}
	c := set.Cases[0]
	if c.Files["notes.txt"] != "17\n23\n" || len(c.Checks) != 13 {
		t.Errorf("read %+v", c)
	}
	if c.Checks[0].Kind != core.CheckContains || c.Checks[0].Text != "391" {
		t.Errorf("a number is %+v", c.Checks[0])
	}
	if got := c.Checks[8]; got.Text != "dir/out.txt" || got.Contains != "x" {
		t.Errorf("file_written is %+v", got)
	}
	if got := c.Checks[9]; got.Kind != core.CheckCost || got.Number != 0.5 {
		t.Errorf("max_cost_usd is %+v", got)
	}
	want := []core.EvaluationTurn{
		{Calls: []core.EvaluationCall{{Tool: "calculator", Arguments: []byte(`{"expression":"17 * 23"}`)}}},
		{Calls: []core.EvaluationCall{{Tool: "researcher", Arguments: []byte(`{"task":"a"}`)}, {Tool: "researcher", Arguments: []byte(`{"task":"b"}`)}}},
		{To: "a", Say: "done"},
		{Say: "391"},
	}
	if !reflect.DeepEqual(c.Script, want) {
		t.Errorf("the script is %+v", c.Script)
	}
	again, _ := evaluations.Parse("clerk.eval.yaml", []byte(good+"# a word\n"), known())
	if again.Version == set.Version {
		t.Error("another file has the same version")
	}
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	const head = "agent: clerk\ncases:\n  - name: a\n    input: b\n"
	for _, c := range []struct{ name, text, want string }{
		{"an empty file", "# nothing\n", `f/clerk.eval.yaml: the file is empty; at least "agent" and "cases" belong here`},
		{"another agent", "agent: assistant\ncases: [{name: a, input: b, checks: [contains: x]}]", `:1: the agent "assistant" is not the one that the file is called after, "clerk": rename one of them`},
		{"an unknown key", "agent: clerk\nrepeat: 3\ncases: [{name: a, input: b, checks: [contains: x]}]", `:2: unknown key "repeat" (did you mean "repeats"?)`},
		{"no cases", "agent: clerk\n", `:1: "cases" is missing`},
		{"no case", "agent: clerk\ncases: []\n", `:2: cases is empty`},
		{"too many repeats", "agent: clerk\nrepeats: 51\ncases: [{name: a, input: b, checks: [contains: x]}]", `:2: repeats must be a whole number from 1 to 50, not 51`},
		{"a wrong share", "agent: clerk\npass: 90\ncases: [{name: a, input: b, checks: [contains: x]}]", `:2: pass must be the share of tries that must pass, above 0 and at most 1, not 90`},
		{"an unknown model", "agent: clerk\njudge: nowhere\ncases: [{name: a, input: b, checks: [contains: x]}]", `:2: judge: no model "nowhere"`},
		{"no checks", head, `:3: "checks" is missing in this case`},
		{"an unknown check", head + "    checks:\n      - contain: x\n", `:6: unknown check "contain" (did you mean "contains"?)`},
		{"two checks in one", head + "    checks:\n      - contains: x\n        regex: y\n", `:6: a check says one thing: begin each with a "-" of its own`},
		{"an unknown tool", head + "    checks:\n      - tool_called: calculater\n", `:6: tool_called: unknown tool or agent "calculater" (did you mean "calculator"?)`},
		{"an unknown server", head + "    checks:\n      - asks: crm.pay\n", `:6: asks: unknown tool or agent "crm.pay"; there is: calculator, clerk, read_file, researcher`},
		{"a broken pattern", head + "    checks:\n      - regex: \"(\"\n", ":6: regex: error parsing regexp: missing closing ): `(`"},
		{"a broken schema", head + "    checks:\n      - schema: {type: 3}\n", `:6: schema is not a valid JSON Schema: `},
		{"a negative bound", head + "    checks:\n      - max_seconds: -1\n", `:6: max_seconds must be a number from 0, not -1`},
		{"a file outside", head + "    checks:\n      - file_written: ../x\n", `:6: file_written: "../x" is not a path inside a workspace`},
		{"an attached file outside", head + "    files: {/etc/passwd: x}\n    checks: [contains: x]\n", `:5: "/etc/passwd" is not a path inside a workspace`},
		{"an answer of a run that fails", head + "    checks:\n      - fails: x\n      - contains: y\n", `:5: a run that fails gives no answer: the check "contains" cannot hold beside it`},
		{"an answer of a run that asks", head + "    checks:\n      - judge: x\n      - asks: calculator\n", `:5: a run that stops to ask a person gives no answer: the check "judge" cannot hold beside it`},
		{"an empty turn", head + "    checks: [contains: x]\n    script:\n      - to: x\n", `:7: a turn of the script has "say", "call" or both`},
		{"arguments that are none", head + "    checks: [contains: x]\n    script:\n      - call: {calculator: 3}\n", `:7: the arguments of calculator must be lines of "key: value", not 3`},
		{"a name twice", head + "    checks: [contains: x]\n  - name: a\n    input: c\n    checks: [contains: x]\n", `:6: another case has the name "a" already`},
		{"bytes that are no text", "agent: clerk\ncases: \xff\n", `:2: this line is not UTF-8 text; save the file as UTF-8`},
		{"broken YAML", "agent: clerk\ncases: [", `:2: not valid YAML: `},
		{"a list", "- a\n", `:1: an evaluation set must be lines of "key: value", not a list`},
		{"a huge file", "agent: clerk\n#" + strings.Repeat("x", 1<<20), `f/clerk.eval.yaml: the file is larger than 1 MB`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, problems := evaluations.Parse("f/clerk.eval.yaml", []byte(c.text), known())
			var texts []string
			for _, p := range problems {
				texts = append(texts, p.String())
			}
			if len(texts) == 0 || !strings.Contains(texts[0], c.want) {
				t.Errorf("got  %q\nwant %q", texts, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("agent: clerk\ncases: [{name: a, input: b, checks: [{schema: {a: !!x 1}}, ~], script: [{call: [[]]}]}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		set, problems := evaluations.Parse("clerk.eval.yaml", b, known())
		if len(problems) == 0 && (len(set.Cases) == 0 || set.Repeats < 1 || set.Pass <= 0) {
			t.Errorf("an unusable set has no problem: %+v", set)
		}
	})
}
