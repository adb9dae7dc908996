package app

import (
	"encoding/json"
	"testing"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/services/aimodels/openaicompat"
)

// TestEveryQuirkOfTheSettingsIsInTheTable holds the words that the settings allow against the table that they choose from.
func TestEveryQuirkOfTheSettingsIsInTheTable(t *testing.T) {
	t.Parallel()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	type node struct {
		Enum                 []string
		Properties           map[string]json.RawMessage
		AdditionalProperties json.RawMessage
	}
	var n node
	step := func(next json.RawMessage) {
		n = node{}
		if err := json.Unmarshal(next, &n); err != nil {
			t.Fatal(err)
		}
	}
	step(text)
	step(n.Properties["models"])
	step(n.Properties["providers"])
	step(n.AdditionalProperties)
	step(n.Properties["quirks"])
	if len(n.Enum) < 10 {
		t.Fatalf("the settings allow only %v", n.Enum)
	}
	for _, name := range n.Enum {
		if _, ok := openaicompat.QuirksOf(name, "https://api.example.com/v1"); !ok {
			t.Errorf("models.providers.*.quirks allows %q, which is not in the table", name)
		}
	}
}
