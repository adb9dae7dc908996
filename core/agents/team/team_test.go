package team_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/agents"
	"github.com/sutazai/sutazai/core/agents/team"
)

// play executes a team: members and the model answer by functions. It returns the answer, or the failure.
func play(t *testing.T, d core.Agent, task string, member func(name, task string) string, model func(text string) string) string {
	t.Helper()
	d.Model = "m"
	s := agents.State{Definition: d, Messages: []core.Message{{Role: core.RoleUser, Text: task}}}
	for _, m := range d.Team.Members {
		s.Tools = append(s.Tools, agents.DelegateSpec(core.Agent{Name: m, Description: "Knows " + m + "."}))
	}
	add := func(m core.Message) {
		m.Index = len(s.Messages)
		s.Messages = append(s.Messages, m)
	}
	for range 100 {
		switch a := (team.Agent{}).Next(s).(type) {
		case agents.Say:
			a.Message.Role = core.RoleAssistant
			add(a.Message)
		case agents.CallModel:
			add(core.Message{Role: core.RoleAssistant, Text: model(a.Request.Messages[0].Text + "\n" + a.Request.Messages[1].Text)})
		case agents.CallTools:
			for _, c := range a.Calls {
				var in struct{ Task string }
				if err := json.Unmarshal(c.Arguments, &in); err != nil {
					t.Fatal(err)
				}
				text := member(strings.TrimPrefix(c.Name, agents.DelegatePrefix), in.Task)
				add(core.Message{Role: core.RoleTool, ToolCallID: c.ID, Text: text, IsError: strings.HasPrefix(text, "failed")})
			}
		case agents.Finish:
			return s.Messages[a.Message].Text
		case agents.Fail:
			return "FAIL " + a.Err.Message
		}
	}
	t.Fatal("the team does not come to an end")
	return ""
}

func TestTeamsWorkByTheirPattern(t *testing.T) {
	t.Parallel()
	abc := []string{"a", "b", "c"}
	echo := func(name, task string) string {
		return fmt.Sprintf("%s(%s)", name, strings.ReplaceAll(task, "\n", " "))
	}
	named := func(name, _ string) string { return name }
	for _, c := range []struct {
		name   string
		team   core.Team
		body   string
		member func(name, task string) string
		model  func(text string) string
		want   string
	}{
		{"sequential gives on what was made", core.Team{Pattern: core.TeamSequential, Members: []string{"a", "b"}}, "", echo, nil, "b(go  What a made of it:  a(go))"},
		{"sequential stops at a failure", core.Team{Pattern: core.TeamSequential, Members: abc}, "", func(n, _ string) string { return map[string]string{"a": "fine", "b": "failed: no"}[n] }, nil, "FAIL step 2 of 3: failed: no"},
		{"parallel puts answers under names", core.Team{Pattern: core.TeamParallel, Members: []string{"a", "b"}}, "", named, nil, "## a\n\na\n\n## b\n\nb"},
		{"parallel leaves out who failed", core.Team{Pattern: core.TeamParallel, Members: []string{"a", "b"}}, "", func(n, _ string) string { return map[string]string{"a": "failed: no", "b": "fine"}[n] }, nil, "## b\n\nfine"},
		{"parallel fails if all did", core.Team{Pattern: core.TeamParallel, Members: []string{"a", "b"}}, "", func(string, string) string { return "failed: no" }, nil, "FAIL no member of the team finished: failed: no"},
		{"parallel lets the model put together", core.Team{Pattern: core.TeamParallel, Members: []string{"a", "b"}}, "Mix.", named, func(text string) string {
			return fmt.Sprint(strings.HasPrefix(text, "Mix.\n"), strings.Contains(text, "## b\n\nb"))
		}, "true true"},
		{"debate reads the others", core.Team{Pattern: core.TeamDebate, Members: []string{"a", "b"}}, "", func(n, task string) string {
			return fmt.Sprint(n, " ", strings.Contains(task, "What the others say:"))
		}, func(text string) string { return text[strings.Index(text, "## a"):] }, "## a\n\na true\n\n## b\n\nb true"},
		{"vote", core.Team{Pattern: core.TeamVote, Members: abc, Choices: []string{"yes", "no"}}, "", func(n, _ string) string {
			return map[string]string{"a": "Surely\nNo.", "b": "yes", "c": "I thought yes, but\nno"}[n]
		}, nil, "no\n\n- no: 2 (a, c)\n- yes: 1 (b)"},
		{"a tie goes to the first vote", core.Team{Pattern: core.TeamVote, Members: []string{"a", "b"}, Choices: []string{"yes", "no"}}, "", func(n, _ string) string { return map[string]string{"a": "no", "b": "yes"}[n] }, nil, "no\n\n- no: 1 (a)\n- yes: 1 (b)"},
		{"no vote", core.Team{Pattern: core.TeamVote, Members: []string{"a", "b"}, Choices: []string{"yes", "no"}}, "", func(string, string) string { return "nobody knows" }, nil, "FAIL no member of the team voted for one of: yes, no"},
		{"a group without a chooser takes turns", core.Team{Pattern: core.TeamGroup, Members: []string{"a", "b"}, Rounds: 3}, "", func(n, task string) string { return fmt.Sprint(n, strings.Count(task, "## ")) }, nil, "a2"},
		{"a group's chooser", core.Team{Pattern: core.TeamGroup, Members: abc}, "You lead.", echo, func(text string) string {
			switch strings.Count(text, "## ") {
			case 0:
				return `{"next":"c","task":"begin","answer":""}`
			case 1:
				return `{"next":"a","task":"end","answer":""}`
			}
			return `{"next":"done","task":"","answer":"it is done"}`
		}, "it is done"},
		{"a chooser who names a stranger", core.Team{Pattern: core.TeamGroup, Members: abc}, "You lead.", named, func(string) string { return `{"next":"z","task":"","answer":""}` }, `FAIL the chooser of the team names "z", who is no member; there is: a, b, c`},
		{"a group out of time", core.Team{Pattern: core.TeamGroup, Members: abc, Rounds: 1}, "You lead.", named, func(text string) string {
			if strings.Contains(text, "no more time") {
				return "as it stands"
			}
			return `{"next":"a","task":"","answer":""}`
		}, "as it stands"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := core.Agent{Kind: core.AgentTeam, Team: &c.team, Instructions: c.body}
			if got := play(t, d, "go", c.member, c.model); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestATeamsAnswerFollowsItsSchema(t *testing.T) {
	t.Parallel()
	d := core.Agent{
		Kind: core.AgentTeam, Team: &core.Team{Pattern: core.TeamVote, Members: []string{"a", "b"}, Choices: []string{`"yes"`, `"no"`}},
		Output: json.RawMessage(`{"enum":["yes","no"]}`),
	}
	if got := play(t, d, "go", func(string, string) string { return `"yes"` }, nil); got != `"yes"` {
		t.Errorf("got %q", got)
	}
}
