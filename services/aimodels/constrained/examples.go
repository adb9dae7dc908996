package constrained

import (
	"encoding/json"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// Example is something that a user might say, and the arguments of the call that it needs.
type Example struct {
	Ask       string
	Arguments json.RawMessage
}

// smallTalk is what needs no tool. Small models must see as many of these as of any one tool.
func smallTalk() []string {
	return []string{"Who painted the Mona Lisa?", "Tell me a story", "Hi there", "What is the capital of Spain?", "Why do leaves fall in autumn?", "Say goodbye in French"}
}

// DefaultExamples are the examples of the built-in tools. An example is used only where the tool has the parameters
// that it gives, so that a foreign tool of the same name does no harm.
func DefaultExamples() map[string][]Example {
	e := func(ask, arguments string) Example { return Example{ask, json.RawMessage(arguments)} }
	return map[string][]Example{
		"calculator":   {e("What is 12*9?", `{"expression":"12*9"}`), e("Divide 90 by 6", `{"expression":"90/6"}`)},
		"now":          {e("What time is it now?", `{}`), e("What day is today?", `{}`)},
		"read_file":    {e("What does plan.txt say?", `{"path":"plan.txt"}`), e("Summarise docs/intro.md", `{"path":"docs/intro.md"}`)},
		"list_files":   {e("Which files are there?", `{}`), e("List the files", `{}`)},
		"search_files": {e("Find the word invoice in the files", `{"pattern":"invoice"}`), e("Search for TODO", `{"pattern":"TODO"}`)},
		"write_file":   {e("Save the word yes to a.txt", `{"path":"a.txt","content":"yes"}`), e("Write hello into b.txt", `{"path":"b.txt","content":"hello"}`)},
		"fetch_url":    {e("Open https://example.com/a", `{"url":"https://example.com/a"}`), e("What is on https://example.org?", `{"url":"https://example.org"}`)},
		"sql_query":    {e("Which tables are there?", `{}`)},
	}
}

// examplesOf returns what to show of a tool: the given examples that fit its parameters, else one made from its name.
func (p *Provider) examplesOf(t core.ToolSpec) []Example {
	s := parameters(t)
	properties, _ := s["properties"].(schema)
	var fit []Example
	for _, e := range p.opt.Examples[t.Name] {
		var arguments map[string]any
		if json.Unmarshal(e.Arguments, &arguments) != nil {
			continue
		}
		ok := true
		for name := range arguments {
			_, has := properties[name]
			ok = ok && has
		}
		for _, name := range required(s) {
			_, has := arguments[name]
			ok = ok && has
		}
		if ok {
			fit = append(fit, e)
		}
	}
	if len(fit) > 0 {
		return fit
	}
	arguments := map[string]any{}
	for _, name := range required(s) {
		prop, _ := properties[name].(schema)
		arguments[name] = sample(name, prop)
	}
	return []Example{{Ask: "Use " + strings.ReplaceAll(t.Name, "_", " "), Arguments: encode(arguments)}}
}

func sample(name string, s schema) any {
	if list, ok := s["enum"].([]any); ok && len(list) > 0 {
		return list[0]
	}
	switch s["type"] {
	case "integer", "number":
		return 1
	case "boolean":
		return true
	case "array":
		return []any{}
	case "object":
		return map[string]any{}
	default:
		return name
	}
}
