package team

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// vote asks all members for one of the choices; the one with the most votes wins, of equal ones the one that was voted for
// first.
func vote(s agents.State, p progress) agents.Action {
	choices := s.Definition.Team.Choices
	if len(p.rounds) == 0 {
		return giveAll(s, 0, func(string) string {
			text := p.task + "\n\nAnswer with one of these, alone in the last line: " + strings.Join(choices, " | ")
			if s.Definition.Instructions != "" {
				text = s.Definition.Instructions + "\n\n" + text
			}
			return text
		})
	}
	good, err := answered(p.rounds[0])
	if err != nil {
		return agents.Fail{Err: err}
	}
	votes := map[string][]string{} // who voted for it
	var order []string
	for _, c := range good {
		v, ok := voteOf(c.text, choices)
		if !ok {
			continue
		}
		if len(votes[v]) == 0 {
			order = append(order, v)
		}
		votes[v] = append(votes[v], c.member)
	}
	if len(order) == 0 {
		return agents.Fail{Err: core.Errorf(core.CodeRefused, "no member of the team voted for one of: %s", strings.Join(choices, ", "))}
	}
	winner := slices.MaxFunc(order, func(a, b string) int {
		if d := len(votes[a]) - len(votes[b]); d != 0 {
			return d
		}
		return slices.Index(order, b) - slices.Index(order, a)
	})
	if len(s.Definition.Output) > 0 {
		return say(winner) // whoever wants a form wants the choice alone
	}
	var b strings.Builder
	b.WriteString(winner + "\n")
	for _, v := range order {
		fmt.Fprintf(&b, "\n- %s: %d (%s)", v, len(votes[v]), strings.Join(votes[v], ", "))
	}
	return say(b.String())
}

// voteOf finds the choice in an answer: in its last line that holds exactly one of them.
func voteOf(text string, choices []string) (string, bool) {
	lines := strings.Split(text, "\n")
	for _, line := range slices.Backward(lines) {
		var found []string
		for _, c := range choices {
			if hasWord(line, c) {
				found = append(found, c)
			}
		}
		if len(found) == 1 {
			return found[0], true
		}
	}
	return "", false
}

// hasWord says whether a line holds the choice as a word of its own, whatever its case.
func hasWord(line, choice string) bool {
	line, choice = strings.ToLower(line), strings.ToLower(choice)
	for from := 0; ; {
		i := strings.Index(line[from:], choice)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(choice)
		if !wordAt(line[:start], true) && !wordAt(line[end:], false) {
			return true
		}
		from = start + 1
	}
}

// wordAt says whether a text ends, or begins, within a word.
func wordAt(s string, atEnd bool) bool {
	runes := []rune(s)
	if len(runes) == 0 {
		return false
	}
	r := runes[0]
	if atEnd {
		r = runes[len(runes)-1]
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}
