//go:build evals

package evals

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

// player is a model that says what the scripts of evaluation sets say. It keeps no state of a conversation: what it has said
// already stands in the request.
type player struct {
	mu   sync.Mutex
	sets []core.EvaluationSet
}

func (p *player) learn(set core.EvaluationSet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets = append(p.sets, set)
}

// play is an aimodelstest.Script.
func (p *player) play(_ int, req core.ModelRequest) aimodelstest.Turn {
	if isJudge(req) {
		return aimodelstest.Text(`{"true": true, "reason": "The script says so."}`)
	}
	task, spoken := "", 0
	for _, m := range req.Messages {
		switch m.Role {
		case core.RoleUser:
			if task == "" {
				task = m.Text
			}
		case core.RoleAssistant:
			spoken++
		}
	}
	p.mu.Lock()
	turns := turnsFor(p.sets, task)
	p.mu.Unlock()
	if spoken >= len(turns) {
		return aimodelstest.Text(fmt.Sprintf("NO SCRIPT: %d turns are known for the task %q, and %d are spoken", len(turns), task, spoken))
	}
	var calls []core.ToolCall
	for i, c := range turns[spoken].Calls {
		calls = append(calls, core.ToolCall{ID: fmt.Sprintf("call_%d_%d", len(req.Messages), i+1), Name: strings.ReplaceAll(c.Tool, ".", "__"), Arguments: c.Arguments})
	}
	return aimodelstest.Answer(core.ModelResponse{Message: core.Message{Text: turns[spoken].Say, ToolCalls: calls}})
}

// isJudge says whether a request asks for the verdict of a check, not for an agent's work.
func isJudge(req core.ModelRequest) bool {
	return len(req.Tools) == 0 && len(req.Messages) == 2 && strings.Contains(req.Messages[1].Text, "The statement:\n<<<")
}

// turnsFor finds what is said in the conversation with this task: of several that stand in it, the longest is meant.
func turnsFor(sets []core.EvaluationSet, task string) []core.EvaluationTurn {
	var best []core.EvaluationTurn
	length := 0
	for _, set := range sets {
		for _, c := range set.Cases {
			byTask := map[string][]core.EvaluationTurn{}
			for _, t := range c.Script {
				of := c.Input
				if t.To != "" {
					of = t.To
				}
				byTask[of] = append(byTask[of], t)
			}
			for of, turns := range byTask {
				if strings.Contains(task, strings.TrimSpace(of)) && len(of) > length {
					best, length = turns, len(of)
				}
			}
		}
	}
	return best
}

func TestThePlayerFindsTheConversationByItsTask(t *testing.T) {
	t.Parallel()
	sets := []core.EvaluationSet{{Cases: []core.EvaluationCase{
		{Input: "Add", Script: []core.EvaluationTurn{{Say: "short"}}},
		{Input: "Add 1 and 2", Script: []core.EvaluationTurn{{Calls: []core.EvaluationCall{{Tool: "adder"}}}, {To: "1 + 2", Say: "3"}, {Say: "It is 3"}}},
	}}}
	if got := turnsFor(sets, "Add 1 and 2"); len(got) != 2 || got[1].Say != "It is 3" {
		t.Errorf("the task's own conversation: %+v", got)
	}
	if got := turnsFor(sets, "1 + 2"); len(got) != 1 || got[0].Say != "3" {
		t.Errorf("the conversation of who works for it: %+v", got)
	}
	if got := turnsFor(sets, "something else"); got != nil {
		t.Errorf("a conversation of nobody: %+v", got)
	}
}
