package agents

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// near is a stand-in for internal/nearest, which this package may not import: same first letter, near length.
func near(word string, among []string) string {
	for _, w := range among {
		if word != "" && w[0] == word[0] && len(w)-len(word) <= 1 && len(word)-len(w) <= 1 {
			return w
		}
	}
	return ""
}

func known() Known {
	return Known{
		Tools: []string{"read_file", "sql_query", "erp.pay"}, Agents: []string{"researcher", "clerk"},
		MCPServers: []string{"erp"}, Collections: []string{"contracts"}, Nearest: near,
		CheckModel: func(name string) error {
			if name == "default" || name == "local/default" {
				return nil
			}
			return core.Errorf(core.CodeInvalid, "unknown model %q (did you mean \"default\"?)", name)
		},
	}
}

const clerk = `---
name: invoice-clerk                 # lower case, hyphens, same as the file
description: Files invoices and pays them after approval.
model: local/default
temperature: 0.2
max_tokens: 500
tools:
  - read_file
  - sql_query
  - mcp: erp
  - name: erp.pay
    approval: always
agents: [researcher]
knowledge: [contracts]
limits: {steps: 50, tokens: 200000, cost_usd: 2.00, time: 30m, depth: 3}
output:
  type: object
  required: [paid]
  properties: {paid: {type: boolean}, note: {type: string, default: null}, n: {const: 1.5}}
---
You are a careful clerk.

---
More.
`

func TestAFileWithEveryKeyIsRead(t *testing.T) {
	t.Parallel()
	for _, form := range []string{clerk, "\xef\xbb\xbf" + strings.ReplaceAll(clerk, "\n", "\r\n")} {
		a, problems := Parse("agents/invoice-clerk.md", []byte(form), known())
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		warm := 0.2
		want := core.Agent{
			Name: "invoice-clerk", Version: a.Version, Description: "Files invoices and pays them after approval.",
			Model: "local/default", Temperature: &warm, MaxTokens: 500,
			Tools: []core.ToolGrant{
				{Name: "read_file", Approval: core.ApprovalUnsafe}, {Name: "sql_query", Approval: core.ApprovalUnsafe},
				{Name: "erp.*", Approval: core.ApprovalUnsafe}, {Name: "erp.pay", Approval: core.ApprovalAlways},
			},
			Agents: []string{"researcher"}, Knowledge: []string{"contracts"},
			Limits:       core.Limits{Steps: 50, Tokens: 200000, CostMicroUSD: 2_000_000, Time: 30 * time.Minute, Depth: 3},
			Output:       json.RawMessage(`{"type":"object","required":["paid"],"properties":{"paid":{"type":"boolean"},"note":{"type":"string","default":null},"n":{"const":1.5}}}`),
			Instructions: "You are a careful clerk.\n\n---\nMore.",
		}
		if !reflect.DeepEqual(a, want) {
			t.Errorf("got  %+v\nwant %+v", a, want)
		}
		if len(a.Version) != 12 || strings.Trim(a.Version, "0123456789abcdef") != "" {
			t.Errorf("version %q", a.Version)
		}
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back core.Agent
		if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("a round trip through JSON changed it: %v\n%+v\n%+v", err, back, a)
		}
	}
}

func TestLittleIsEnough(t *testing.T) {
	t.Parallel()
	a, problems := Parse("x/clerk.md", []byte("---\nname: clerk\ndescription: D.\n---\nBe one."), known())
	if len(problems) > 0 || a.Model != "default" || a.Tools == nil || a.Agents == nil || a.Instructions != "Be one." {
		t.Errorf("%+v %v", a, problems)
	}
}

// head is lines 1 to 3 of a good file; the settings under test start in line 4.
const head = "---\nname: clerk\ndescription: Does things.\n"

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	body := "\n---\nBe careful.\n"
	for _, c := range []struct{ name, file, want string }{
		{"a misspelt tool", head + "tools:\n  - sql_query\n  - read_fil" + body, `6: unknown tool "read_fil" (did you mean "read_file"?)`},
		{"a tool in a flow list", head + "tools: [sql_query,\n  read_fil]" + body, `5: unknown tool "read_fil" (did you mean "read_file"?)`},
		{"a tool that is nothing like one", head + "tools: [zzz]" + body, `4: unknown tool "zzz"; there is: erp.pay, read_file, sql_query`},
		{"a tool twice", head + "tools:\n- read_file\n- name: read_file\n  approval: never" + body, `6: tool "read_file" stands here a second time`},
		{"tools as one word", head + "tools: read_file" + body, `4: tools must be a list, one "- name" a line, not "read_file"`},
		{"a tool as a number", head + "tools: [7]" + body, `4: a tool is a name, {name, approval} or {mcp: server}, not 7`},
		{"a wrong approval", head + "tools:\n- name: read_file\n  approval: allways" + body, `6: unknown approval "allways" (did you mean "always"?)`},
		{"a wrong key of a tool", head + "tools:\n- name: read_file\n  aproval: always" + body, `6: unknown key "aproval" (did you mean "approval"?)`},
		{"a tool without a name", head + "tools:\n- approval: always" + body, `5: a tool needs a name, or an MCP server (mcp: server)`},
		{"a tool and a server in one", head + "tools:\n- name: read_file\n  mcp: erp" + body, `5: a tool has a name or an MCP server, not both`},
		{"an unknown MCP server", head + "tools:\n- mcp: crm" + body, `5: unknown MCP server "crm"; there is: erp`},
		{"an unknown collection", head + "knowledge: [other]" + body, `4: unknown collection "other"; there is: contracts`},
		{"an unknown agent", head + "agents: [researches]" + body, `4: unknown agent "researches" (did you mean "researcher"?)`},
		{"itself as a delegate", head + "agents: [clerk]" + body, `4: an agent cannot delegate to itself; remove "clerk"`},
		{"an agent twice", head + "agents: [researcher, researcher]" + body, `4: agent "researcher" stands here a second time`},
		{"an unknown model", head + "model: defalt" + body, `4: unknown model "defalt" (did you mean "default"?)`},
		{"an empty model", head + `model: ""` + body, `4: model is empty: write "provider/model" or a route's name, or leave the line out for "default"`},
		{"a misspelt key", head + "modle: default" + body, `4: unknown key "modle" (did you mean "model"?)`},
		{"a key of a later version", head + "guardrails: [x]" + body, `4: unknown key "guardrails"; there is: agents, description, effect, handoffs, kind, knowledge, limits, max_tokens, model, name, output, peer, queue, skills, team, temperature, tools`},
		{"a temperature out of range", head + "temperature: 3" + body, `4: temperature must be a number from 0 to 2, not 3`},
		{"a temperature that is no number", head + "temperature: .nan" + body, `4: temperature must be a number from 0 to 2, not .nan`},
		{"a broken number of tokens", head + "max_tokens: 1.5" + body, `4: max_tokens must be a whole number from 1 to 2147483647, not 1.5`},
		{"no steps", head + "limits: {steps: 0}" + body, `4: limit steps must be a whole number from 1 to 2147483647, not 0`},
		{"negative cost", head + "limits:\n  cost_usd: -1" + body, `5: limit cost_usd must be a positive amount of US dollars such as 2.50, not -1`},
		{"a time without unit", head + "limits: {time: 30}" + body, `4: limit time must be a positive duration such as 90s, 30m or 2h, not 30`},
		{"a negative time", head + "limits: {time: -5m}" + body, `4: limit time must be a positive duration such as 90s, 30m or 2h, not "-5m"`},
		{"an unknown limit", head + "limits: {stepz: 1}" + body, `4: unknown limit "stepz" (did you mean "steps"?)`},
		{"limits as a list", head + "limits: [1]" + body, `4: limits must be lines of "key: value", not a list`},
		{"an output that is text", head + "output: object" + body, `4: output must be a JSON Schema, such as {type: object, properties: …}, not "object"`},
		{"a key twice", head + "model: default\nmodel: default" + body, `5: `},
		{"an empty description", "---\nname: clerk\ndescription: ''" + body, `3: description is empty: say in one sentence what the agent is for`},
		{"a missing description", "---\nname: clerk" + body, `1: "description" is missing: one sentence that says what the agent is for`},
		{"a missing name", "---\ndescription: D." + body, `1: "name" is missing: write "name: clerk"`},
		{"a long description", "---\nname: clerk\ndescription: " + strings.Repeat("ä", 1025) + body, `3: description has 1025 characters; at most 1024 are allowed`},
		{"another name than the file's", "---\nname: clark\ndescription: D." + body, `2: the name "clark" is not the file's, "clerk": rename one of them`},
		{"a name in capitals", "---\nname: Clerk\ndescription: D." + body, `2: "Clerk" is not a valid name: use lower-case letters, digits and single hyphens, such as invoice-clerk`},
		{"a name that is a number", "---\nname: 7\ndescription: D." + body, `2: name must be text, not 7`},
		{"no instructions", head + "---\n  \n", `4: the instructions are empty: below this line, tell the agent who it is and how it works`},
		{"no settings", "Be careful.", `1: an agent file starts with a line "---", then its settings, then another line "---", then the instructions`},
		{"an empty file", "", `1: an agent file starts with a line "---"`},
		{"a missing end", head + "Be careful.", `1: the settings that start here never end: put a line "---" between them and the instructions`},
		{"empty settings", "---\n---\nBe careful.", `1: the settings are empty; at least "name" and "description" belong here`},
		{"settings that are a list", "---\n- a\n---\nB.", `1: the settings must be lines of "key: value", not a list`},
		{"a tab", head + "limits:\n\tsteps: 1" + body, `5: a tab indents this line; YAML takes spaces only`},
		{"broken YAML", head + "tools: [a, b" + body, `4: not valid YAML: `},
		{"an anchor", head + "model: &m default" + body, `4: model must be text, not a YAML anchor or alias, which is not taken here`},
		{"a tag", head + "model: !!str default" + body, `4: model must be text, not a YAML tag, which is not taken here`},
		{"deep nesting", head + "output: " + strings.Repeat("{a: ", 80) + "1" + strings.Repeat("}", 80) + body, `2: nested more than 64 deep`},
		{"a NUL", head + "---\nBe\x00.", `5: this line holds a NUL character; save the file as plain UTF-8 text`},
		{"another encoding", head + "---\nB\xe4r.", `5: this line is not UTF-8 text; save the file as UTF-8`},
		{"a huge file", head + "---\n" + strings.Repeat("x", 1<<20), `the file is larger than 1 MB`},
		{"huge settings", head + "#" + strings.Repeat("x", 70<<10) + body, `1: the settings are larger than 64 kB`},
		{"a schema with a wrong type", head + "output: {type: objekt}" + body, `4: output is not a valid JSON Schema: `},
		{"a schema that points outside", head + "output: {$ref: 'https://example.com/x.json'}" + body, `4: output is not a valid JSON Schema: `},
		{"a schema that points to a file", head + "output: {$ref: 'file:///etc/passwd'}" + body, `4: output is not a valid JSON Schema: `},
		{"a schema with a broken pattern", head + "output: {type: string, pattern: '('}" + body, `4: output is not a valid JSON Schema: `},
		{"a key twice in a schema", head + "output: {a: 1, a: 2}" + body, `4: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, problems := Parse("agents/clerk.md", []byte(c.file), known())
			if len(problems) == 0 {
				t.Fatal("no problem was found")
			}
			sep := ":"
			if problems[0].Line == 0 {
				sep = ": "
			}
			if got := problems[0].String(); !strings.HasPrefix(got, "agents/clerk.md"+sep+c.want) || len(problems) > 1 {
				t.Errorf("got  %v\nwant agents/clerk.md%s%s", problems, sep, c.want)
			}
		})
	}
}

func TestAllMistakesOfAFileAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, problems := Parse("a/clerk.md", []byte("---\nname: other\nmodle: x\ntools: [nope]\nlimits: {steps: -1}\n---\n"), known())
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if want := []int{2, 3, 4, 5, 1, 6}; !reflect.DeepEqual(lines, want) {
		t.Errorf("lines %v, want %v: %v", lines, want, problems)
	}
}

func FuzzParseNeverPanicsAndIsStable(f *testing.F) {
	f.Add([]byte(clerk))
	f.Add([]byte(head + "---\nx"))
	f.Add([]byte("---\n? a\n: b\n---\nx"))
	f.Add([]byte("---\n- - - a\n---\nx"))
	f.Add([]byte("---\na: |\n  x\n\ty\n<<: *b\n---\nx"))
	f.Add([]byte("---\nname: \"clerk\ndescription: [{\n---\nx"))
	f.Fuzz(func(t *testing.T, content []byte) {
		a, problems := Parse("agents/clerk.md", content, known())
		lines := bytes.Count(content, []byte("\n")) + 1
		for _, p := range problems {
			if p.Message == "" || p.Line < 0 || p.Line > lines+1 {
				t.Fatalf("problem %+v of %d lines", p, lines)
			}
		}
		if len(problems) > 0 {
			return
		}
		if a.Name != "clerk" || a.Description == "" || a.Instructions == "" {
			t.Fatalf("an incomplete agent was accepted: %+v", a)
		}
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back core.Agent
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(raw, again) {
			t.Fatalf("a round trip changed it: %v\n%s\n%s", err, raw, again)
		}
	})
}
