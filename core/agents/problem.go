package agents

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// Problem is one mistake in an agent file. Line counts from 1; 0 means the file as a whole.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// String writes the problem as compilers do: "agents/x.md:7: unknown tool …".
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Known is what an agent file may refer to. A nil function is not asked; an empty list means that there is no
// such thing, so every reference to one is a mistake.
type Known struct {
	Tools       []string
	Agents      []string
	MCPServers  []string
	Peers       []string               // of the settings
	PeerEffects map[string]core.Effect // of those whose agents' files say nothing
	Skills      []string               // folders of know-how
	Collections []string
	CheckModel  func(name string) error                      // nil when the model or route is configured
	Nearest     func(word string, among []string) (m string) // "" when nothing is near
}

// unknown says that word is none of the valid ones and which of them was probably meant.
func (k Known) unknown(what, word string, valid []string) string {
	if k.Nearest != nil {
		if near := k.Nearest(word, valid); near != "" {
			return fmt.Sprintf("unknown %s %q (did you mean %q?)", what, word, near)
		}
	}
	if len(valid) == 0 {
		return fmt.Sprintf("unknown %s %q: none is configured", what, word)
	}
	sorted := slices.Sorted(slices.Values(valid))
	return fmt.Sprintf("unknown %s %q; there is: %s", what, word, strings.Join(sorted, ", "))
}
