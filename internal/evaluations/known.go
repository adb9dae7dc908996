package evaluations

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in an evaluation set. Line counts from 1; 0 means the file as a whole.
type Problem struct {
	File    string
	Line    int
	Message string
}

// String writes the problem as compilers do: "agents/x.eval.yaml:7: unknown check …".
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Known is what an evaluation set may refer to. A nil function is not asked.
type Known struct {
	Tools      []string
	Servers    []string // of the Model Context Protocol: their tools are called server.tool
	Agents     []string
	CheckModel func(name string) error
	Nearest    func(word string, among []string) string // "" when nothing is near
}

// called says what is wrong with the name of something that an agent can call, or "".
func (k Known) called(name string) string {
	server, _, ofServer := strings.Cut(name, ".")
	if slices.Contains(k.Tools, name) || slices.Contains(k.Agents, name) || ofServer && slices.Contains(k.Servers, server) {
		return ""
	}
	return k.unknown("tool or agent", name, slices.Concat(k.Tools, k.Agents))
}

// unknown says that word is none of the valid ones and which of them was probably meant.
func (k Known) unknown(what, word string, valid []string) string {
	if k.Nearest != nil {
		if near := k.Nearest(word, valid); near != "" {
			return fmt.Sprintf("unknown %s %q (did you mean %q?)", what, word, near)
		}
	}
	if len(valid) == 0 {
		return fmt.Sprintf("unknown %s %q: there is none", what, word)
	}
	return fmt.Sprintf("unknown %s %q; there is: %s", what, word, strings.Join(slices.Sorted(slices.Values(valid)), ", "))
}
