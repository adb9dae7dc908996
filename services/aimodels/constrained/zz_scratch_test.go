package constrained

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

type small struct {
	aimodels.Provider
	isSmall bool
}

func (s small) Capabilities(context.Context, string) (aimodels.Capabilities, error) {
	return aimodels.Capabilities{Small: s.isSmall}, nil
}

func TestScratch(t *testing.T) {
	oc, err := openaicompat.New(openaicompat.Config{HTTP: aimodels.HTTPConfig{Name: "l", BaseURL: "http://127.0.0.1:18431/v1", APIKey: "k1"},
		Extra: map[string]any{"dry_multiplier": 0.8, "dry_allowed_length": 16, "temperature": 0, "max_tokens": 300}})
	if err != nil {
		t.Fatal(err)
	}
	spec := func(name, desc, params string) core.ToolSpec {
		return core.ToolSpec{Name: name, Description: desc, Parameters: json.RawMessage(params)}
	}
	tools := []core.ToolSpec{
		spec("calculator", "Calculate exactly.", `{"type":"object","properties":{"expression":{"type":"string","minLength":1,"maxLength":4000,"description":"What to calculate, such as (12.5 + 7.5) * 3."}},"required":["expression"],"additionalProperties":false}`),
		spec("now", "Tell the current date, weekday and time.", `{"type":"object","properties":{"timezone":{"type":"string","maxLength":64}},"additionalProperties":false}`),
		spec("read_file", "Read a text file of the workspace.", `{"type":"object","properties":{"path":{"type":"string","maxLength":1024},"offset":{"type":"integer","minimum":0}},"required":["path"],"additionalProperties":false}`),
	}
	if os.Getenv("N") != "3" {
		tools = append(tools, spec("list_files", "List the files", `{"type":"object","properties":{"path":{"type":"string","maxLength":1024},"offset":{"type":"integer","minimum":0}}}`))
	}
	if os.Getenv("N") == "9" {
		tools = append(tools,
			spec("search_files", "Find lines", `{"type":"object","properties":{"pattern":{"type":"string"},"path":{"type":"string"}},"required":["pattern"]}`),
			spec("write_file", "Write", `{"type":"object","properties":{"path":{"type":"string"},"content":{"type":"string"}},"required":["path","content"]}`),
			spec("fetch_url", "Fetch", `{"type":"object","properties":{"url":{"type":"string"}},"required":["url"]}`),
			spec("sql_query", "Query", `{"type":"object","properties":{"query":{"type":"string"}}}`),
			spec("ask_user", "Ask", `{"type":"object","properties":{"question":{"type":"string"}},"required":["question"]}`))
	}
	cases := []struct{ q, tool, arg string }{
		{"What is 17*23?", "calculator", "17*23"}, {"What is 17 times 23?", "calculator", "17*23"}, {"Calculate 128 / 4 + 7", "calculator", "128/4+7"}, {"How much is 15% of 240?", "calculator", "240"}, {"Add 1234 and 5678", "calculator", "1234+5678"}, {"what's 2^10", "calculator", "2^10"}, {"What is the square root of 144?", "calculator", "144"},
		{"Read the file notes.txt", "read_file", "notes.txt"}, {"Summarise README.md in one sentence", "read_file", "README.md"}, {"What does config.yaml say?", "read_file", "config.yaml"}, {"Open report.md and tell me the title", "read_file", "report.md"}, {"Show me the contents of data/input.csv", "read_file", "data/input.csv"}, {"What is written in todo.txt?", "read_file", "todo.txt"},
		{"What time is it?", "now", ""}, {"What is the date today?", "now", ""}, {"Which day of the week is it?", "now", ""}, {"what's the current time in UTC?", "now", ""},
		{"What is the capital of France?", "", "Paris"}, {"Hello!", "", ""}, {"Who wrote Romeo and Juliet?", "", "Shakespeare"}, {"Say hello in Spanish.", "", ""}, {"Tell me a joke", "", ""}, {"Why is the sky blue?", "", "scatter"},
	}
	p := New(small{oc, os.Getenv("GENERAL") == ""}, Options{})
	sys := "You are a helpful assistant. Answer briefly and truthfully. Use a tool when you need a file, a calculation or the time. If you do not know, say so."
	right, args := 0, 0
	start := time.Now()
	for _, c := range cases {
		begin := time.Now()
		resp, err := p.Chat(t.Context(), core.ModelRequest{Model: "m", Tools: tools, Messages: []core.Message{{Role: core.RoleSystem, Text: sys}, {Role: core.RoleUser, Text: c.q}}}, nil)
		if err != nil {
			fmt.Println("   ", c.q, "ERR", err)
			continue
		}
		name, arg := "", resp.Message.Text
		if len(resp.Message.ToolCalls) > 0 {
			name, arg = resp.Message.ToolCalls[0].Name, string(resp.Message.ToolCalls[0].Arguments)
		}
		ok := name == c.tool
		ok2 := ok && strings.Contains(strings.ReplaceAll(arg, " ", ""), c.arg)
		if ok {
			right++
		}
		if ok2 {
			args++
		}
		if len(arg) > 140 {
			arg = arg[:140]
		}
		fmt.Printf("    %v/%v %-40s %s %q %dms\n", ok, ok2, c.q, name, arg, time.Since(begin).Milliseconds())
	}
	fmt.Println("tool", right, "args", args, "of", len(cases), "in", time.Since(start))
}
