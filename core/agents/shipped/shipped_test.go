package shipped_test

import (
	"testing"

	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/agents/shipped"
)

func TestTheShippedAgentsAreGood(t *testing.T) {
	t.Parallel()
	r := agents.NewRegistry()
	r.Load([]agents.Source{{Name: "shipped", FS: shipped.FS}}, agents.Known{Tools: []string{
		"ask_user", "calculator", "fetch_url", "list_files", "now", "read_file", "search_files", "sql_query", "write_file",
	}})
	for _, p := range r.Problems() {
		t.Error(p)
	}
	for _, name := range []string{"assistant", "researcher", "coder", "analyst"} {
		if _, err := r.Agent(name); err != nil {
			t.Error(err)
		}
	}
	a, err := r.Agent("assistant")
	if err != nil {
		t.Fatal(err)
	}
	// A model of 135 million parameters must cope with it.
	if len(a.Instructions) > 300 || len(a.Tools) > 4 {
		t.Errorf("the assistant has %d bytes of instructions and %d tools", len(a.Instructions), len(a.Tools))
	}
}
