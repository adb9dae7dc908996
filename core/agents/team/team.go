// Package team is the agent that several agents are, working on one task in a fixed pattern. Each member's work is a
// durable sub-run; what comes next follows from the results so far. It decides only; it calls nothing.
package team

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
)

// Rounds where a team's file says none.
const (
	defaultGroupTurns   = 8
	defaultDebateRounds = 2
)

// Agent implements agents.Agent.
type Agent struct{}

// Next implements agents.Agent.
func (Agent) Next(s agents.State) agents.Action {
	if err := s.Exceeded(); err != nil {
		return agents.Fail{Err: err}
	}
	if open := s.Unanswered(); len(open) > 0 {
		return agents.Make(open)
	}
	p := progressOf(s)
	if p.final {
		return s.Answer()
	}
	switch s.Definition.Team.Pattern {
	case core.TeamSequential:
		return sequential(s, p)
	case core.TeamParallel:
		return parallel(s, p)
	case core.TeamGroup:
		return group(s, p)
	case core.TeamDebate:
		return debate(s, p)
	case core.TeamVote:
		return vote(s, p)
	}
	return agents.Fail{Err: core.Errorf(core.CodeInvalid, "the team has no pattern %q", s.Definition.Team.Pattern)}
}

// contribution is what one member gave in a round.
type contribution struct {
	member string
	text   string
	failed bool
}

// progress is how far the work on the user's latest message has come.
type progress struct {
	task   string
	rounds [][]contribution // by the calls that were made together
	words  []string         // what the model wrote meanwhile: choices of who speaks next
	final  bool             // the latest message is the answer
}

// progressOf reads the turn. What a model wrote is an answer, except for the choices in a group: those are JSON that names
// the next speaker.
func progressOf(s agents.State) progress {
	turn := s.Turn()
	p := progress{task: turn[0].Text}
	members := map[string]string{} // of calls
	for _, m := range turn[1:] {
		p.final = false
		switch {
		case m.Role == core.RoleTool:
			round := len(p.rounds) - 1
			p.rounds[round] = append(p.rounds[round], contribution{members[m.ToolCallID], m.Text, m.IsError})
		case len(m.ToolCalls) > 0:
			p.rounds = append(p.rounds, nil)
			for _, c := range m.ToolCalls {
				members[c.ID] = strings.TrimPrefix(c.Name, agents.DelegatePrefix)
			}
		default:
			if _, isChoice := choiceOf(m.Text); isChoice && s.Definition.Team.Pattern == core.TeamGroup && chooses(s) {
				p.words = append(p.words, m.Text)
				continue
			}
			p.final = true
		}
	}
	return p
}

// answered lists the contributions of a round that did not fail; err when there are none.
func answered(round []contribution) ([]contribution, *core.Error) {
	var good []contribution
	for _, c := range round {
		if !c.failed {
			good = append(good, c)
		}
	}
	if len(good) == 0 {
		return nil, core.Errorf(core.CodeUnavailable, "no member of the team finished: %s", round[0].text)
	}
	return good, nil
}

// task is one member's part.
type task struct{ member, text string }

// give makes the calls that give members their tasks.
func give(round int, tasks ...task) agents.Action {
	calls := make([]core.ToolCall, len(tasks))
	for i, t := range tasks {
		arguments, err := json.Marshal(map[string]string{"task": t.text})
		if err != nil {
			return agents.Fail{Err: core.Wrap(core.CodeInternal, err, "the task of %s cannot be written", t.member)}
		}
		calls[i] = core.ToolCall{ID: fmt.Sprintf("round%d_%d", round, i), Name: agents.DelegatePrefix + t.member, Arguments: arguments}
	}
	return agents.Say{Message: core.Message{ToolCalls: calls}}
}

// giveAll gives every member a task.
func giveAll(s agents.State, round int, text func(member string) string) agents.Action {
	tasks := make([]task, len(s.Definition.Team.Members))
	for i, member := range s.Definition.Team.Members {
		tasks[i] = task{member, text(member)}
	}
	return give(round, tasks...)
}

func say(text string) agents.Action { return agents.Say{Message: core.Message{Text: text}} }

// put asks the team's model to make one answer of several.
func put(s agents.State, instructions, text string) agents.Action {
	d := s.Definition
	if d.Instructions != "" {
		instructions = d.Instructions
	}
	return agents.CallModel{Request: core.ModelRequest{
		Model: d.Model, Schema: d.Output, MaxTokens: d.MaxTokens, Temperature: d.Temperature,
		Messages: []core.Message{
			{Role: core.RoleSystem, Text: instructions},
			{Role: core.RoleUser, Text: text},
		},
	}}
}

// headed writes contributions under their members' names.
func headed(cs []contribution) string {
	var b strings.Builder
	for i, c := range cs {
		if i > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "## %s\n\n%s", c.member, c.text)
	}
	return b.String()
}

// sequential gives each member the answer of the one before; the last one's answer is the team's.
func sequential(s agents.State, p progress) agents.Action {
	n := len(p.rounds)
	text := p.task
	if n > 0 {
		last := p.rounds[n-1][0]
		if last.failed {
			return agents.Fail{Err: core.Errorf(core.CodeUnavailable, "step %d of %d: %s", n, len(s.Definition.Team.Members), last.text)}
		}
		if n == len(s.Definition.Team.Members) {
			return say(last.text)
		}
		text += "\n\nWhat " + last.member + " made of it:\n\n" + last.text
	}
	if n == 0 && s.Definition.Instructions != "" {
		text = s.Definition.Instructions + "\n\n" + text
	}
	return give(n, task{s.Definition.Team.Members[n], text})
}

// parallel gives all members the task and puts their answers together: by the model where the file says how, under their
// names otherwise.
func parallel(s agents.State, p progress) agents.Action {
	if len(p.rounds) == 0 {
		return giveAll(s, 0, func(string) string { return p.task })
	}
	good, err := answered(p.rounds[0])
	switch {
	case err != nil:
		return agents.Fail{Err: err}
	case s.Definition.Instructions == "" && len(s.Definition.Output) == 0:
		return say(headed(good))
	}
	return put(s, "Make one answer to the task out of the answers of several agents.", "The task:\n\n"+p.task+"\n\nThe answers:\n\n"+headed(good))
}

// debate lets all answer, then read the others' answers and answer again; at the end a judge decides.
func debate(s agents.State, p progress) agents.Action {
	rounds := s.Definition.Team.Rounds
	if rounds == 0 {
		rounds = defaultDebateRounds
	}
	if len(p.rounds) == 0 {
		return giveAll(s, 0, func(string) string { return p.task })
	}
	good, err := answered(p.rounds[len(p.rounds)-1])
	if err != nil {
		return agents.Fail{Err: err}
	}
	if len(p.rounds) < rounds {
		return giveAll(s, len(p.rounds), func(member string) string {
			var others []contribution
			own := ""
			for _, c := range good {
				if c.member == member {
					own = "\n\nYour answer so far:\n\n" + c.text
				} else {
					others = append(others, c)
				}
			}
			return p.task + own + "\n\nWhat the others say:\n\n" + headed(others) + "\n\nSay where they are right and where they are wrong, and give your answer again, better if you can."
		})
	}
	return put(s, "You judge a debate. Decide which answer is right, or what follows from all of them, and answer the task. Give the answer alone.",
		"The task:\n\n"+p.task+"\n\nThe answers after the debate:\n\n"+headed(good))
}
