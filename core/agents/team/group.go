package team

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/internal/schema"
)

// choice is what the chooser of a group says.
type choice struct {
	Next   string `json:"next"` // a member, or done
	Task   string `json:"task"`
	Answer string `json:"answer"`
}

// done is the choice that ends a group's work.
const done = "done"

// choiceOf reads a choice.
func choiceOf(text string) (choice, bool) {
	var c choice
	text = strings.TrimSpace(text)
	if _, err := schema.Decode([]byte(text)); err != nil || json.Unmarshal([]byte(text), &c) != nil {
		return choice{}, false
	}
	return c, c.Next != ""
}

// chooses says whether a model chooses who speaks next; in a group without instructions the members take turns.
func chooses(s agents.State) bool { return s.Definition.Instructions != "" }

// group lets one member speak at a time, until the task is done or the turns are used up.
func group(s agents.State, p progress) agents.Action {
	turns := s.Definition.Team.Rounds
	if turns == 0 {
		turns = defaultGroupTurns
	}
	spoken := said(p)
	if !chooses(s) {
		return inTurn(s, p, spoken, turns)
	}
	if len(p.words) == len(p.rounds) { // nobody has been chosen yet for this turn
		if len(p.rounds) >= turns {
			return put(s, "", "The task:\n\n"+p.task+"\n\nThe discussion:\n\n"+headed(spoken)+"\n\nThere is no more time. Give the answer to the task, as it stands, and nothing else.")
		}
		return choose(s, p, spoken)
	}
	c, _ := choiceOf(p.words[len(p.words)-1])
	switch {
	case c.Next == done && c.Answer != "":
		return say(c.Answer)
	case c.Next == done && len(spoken) > 0:
		return say(spoken[len(spoken)-1].text)
	case !slices.Contains(s.Definition.Team.Members, c.Next):
		return agents.Fail{Err: core.Errorf(core.CodeRefused, "the chooser of the team names %q, who is no member; there is: %s", c.Next, strings.Join(s.Definition.Team.Members, ", "))}
	}
	return give(len(p.rounds), task{c.Next, speech(p.task, spoken, c.Task)})
}

// said is what was said so far, in order.
func said(p progress) []contribution {
	var all []contribution
	for _, round := range p.rounds {
		all = append(all, round...)
	}
	return all
}

// inTurn lets the members speak one after the other; the last word is the answer.
func inTurn(s agents.State, p progress, spoken []contribution, turns int) agents.Action {
	n := len(p.rounds)
	if n < turns {
		return give(n, task{s.Definition.Team.Members[n%len(s.Definition.Team.Members)], speech(p.task, spoken, "")})
	}
	good, err := answered(spoken)
	if err != nil {
		return agents.Fail{Err: err}
	}
	return say(good[len(good)-1].text)
}

// speech is what a member is told before it speaks.
func speech(task string, spoken []contribution, wanted string) string {
	text := task
	if len(spoken) > 0 {
		text += "\n\nThe discussion so far:\n\n" + headed(spoken)
	}
	if wanted != "" {
		text += "\n\nYour part now: " + wanted
	}
	return text
}

// choose asks the model who speaks next.
func choose(s agents.State, p progress, spoken []contribution) agents.Action {
	names := append(slices.Clone(s.Definition.Team.Members), done)
	want, err := json.Marshal(map[string]any{
		"type": "object", "required": []string{"next", "task", "answer"}, "additionalProperties": false,
		"properties": map[string]any{
			"next":   map[string]any{"type": "string", "enum": names},
			"task":   map[string]any{"type": "string", "description": "what the next one should do; empty when done"},
			"answer": map[string]any{"type": "string", "description": "when done: the answer to the task; empty otherwise"},
		},
	})
	if err != nil {
		return agents.Fail{Err: core.Wrap(core.CodeInternal, err, "the choice of the team cannot be described")}
	}
	var who strings.Builder
	for _, t := range s.Tools {
		if member, ok := strings.CutPrefix(t.Name, agents.DelegatePrefix); ok {
			fmt.Fprintf(&who, "- %s: %s\n", member, t.Description)
		}
	}
	a, ok := put(s, "", "The members of the team:\n"+who.String()+"\nThe task:\n\n"+p.task+"\n\nThe discussion so far:\n\n"+headed(spoken)+
		"\n\nSay who speaks next and what they should do, or that it is done, with the answer.").(agents.CallModel)
	if !ok {
		return a
	}
	a.Request.Schema = want
	return a
}
