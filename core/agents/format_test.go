package agents_test

import (
	"reflect"
	"testing"

	"github.com/sutazai/sutazai/core/agents"
)

func TestAFormattedAgentReadsTheSame(t *testing.T) {
	t.Parallel()
	known := agents.Known{Tools: []string{"read_file", "erp.pay"}, Agents: []string{"a", "b"}, MCPServers: []string{"erp"}, Peers: []string{"far"}, Skills: []string{"pdf"}}
	for name, file := range map[string]string{
		"llm": "---\nname: x\ndescription: 'Says \"hi: there\".'\nmodel: m/n\ntemperature: 0.5\nmax_tokens: 9\ntools:\n  - read_file\n  - mcp: erp\n  - name: erp.pay\n    approval: always\n" +
			"agents: [a]\nhandoffs: [b]\nskills: [pdf]\nlimits: {steps: 5, tokens: 9, cost_usd: 2.5, time: 90s, depth: 2}\noutput: {required: [paid], type: object}\n---\nBe brief.\n\nAnd kind.",
		"remote": "---\nname: x\ndescription: d\nkind: remote\npeer: far\neffect: idempotent\n---\n",
		"human":  "---\nname: x\ndescription: d\nkind: human\nqueue: clerks\n---\nPlease look.",
		"team":   "---\nname: x\ndescription: d\nkind: team\nteam: {pattern: debate, members: [a, b], rounds: 3}\n---\nJudge.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, problems := agents.Parse("x.md", []byte(file), known)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			text := agents.Format(first)
			second, problems := agents.Parse("x.md", []byte(text), known)
			if len(problems) > 0 {
				t.Fatalf("%v in\n%s", problems, text)
			}
			second.Version = first.Version
			if !reflect.DeepEqual(first, second) {
				t.Errorf("%s\ngot  %+v\nwant %+v", text, second, first)
			}
		})
	}
}
