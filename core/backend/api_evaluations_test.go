package backend_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// evaluations is one evaluation, e1, and one set.
type evaluations struct{}

func (evaluations) Start(_ context.Context, agent string, repeats int, actor string) (core.Evaluation, error) {
	return core.Evaluation{ID: "e1", Agent: agent, Repeats: repeats, CreatedBy: actor, Status: core.EvaluationRunning}, nil
}

func (evaluations) Evaluation(_ context.Context, id string) (core.Evaluation, error) {
	if id != "e1" {
		return core.Evaluation{}, core.Errorf(core.CodeNotFound, "there is no evaluation %s", id)
	}
	return core.Evaluation{ID: id, Status: core.EvaluationFailed, Cases: []core.EvaluationResult{{Name: "adds"}, {Name: "asks", Tries: []core.EvaluationTry{{Try: 1}}}}}, nil
}

func (e evaluations) Evaluations(ctx context.Context, agent, before string, limit int) ([]core.Evaluation, string, error) {
	one, err := e.Evaluation(ctx, "e1")
	one.Agent, one.Version, one.Repeats = agent, before, limit
	return []core.Evaluation{one}, "e0", err
}

func (evaluations) Cancel(_ context.Context, id, _ string) (core.Evaluation, error) {
	return core.Evaluation{}, core.Errorf(core.CodeConflict, "the evaluation %s has ended already", id)
}

func (evaluations) SetList() ([]core.EvaluationSetStatus, error) {
	return []core.EvaluationSetStatus{{Set: core.EvaluationSet{Agent: "assistant", Cases: []core.EvaluationCase{}}, Source: "shipped", Errors: []string{}}}, nil
}

func (e evaluations) AddCase(_ context.Context, agent, run, name string) (core.EvaluationSetStatus, error) {
	return core.EvaluationSetStatus{Set: core.EvaluationSet{Agent: agent, Cases: []core.EvaluationCase{{Name: name, Input: run, Checks: []core.EvaluationCheck{}}}}, Errors: []string{}}, nil
}

func TestEvaluationsAreStartedShownAndCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.check(t, []scenario{
		{name: "start", method: "POST", url: "/api/v1/evaluations", key: "run", body: `{"agent":"assistant@draft","repeats":3}`, status: 201, has: []string{`"agent":"assistant@draft"`, `"cases":[]`}},
		{name: "too many repeats", method: "POST", url: "/api/v1/evaluations", key: "run", body: `{"agent":"assistant","repeats":51}`, status: 422, has: []string{"repeats"}},
		{name: "show", url: "/api/v1/evaluations/e1", key: "read", status: 200, has: []string{`{"name":"adds","tries":[]}`, `"failures":[]`}},
		{name: "show none", url: "/api/v1/evaluations/e2", key: "read", status: 404, has: []string{"there is no evaluation e2"}},
		{name: "list", url: "/api/v1/evaluations?agent=clerk&before=e9&limit=7", key: "read", status: 200, has: []string{`"agent":"clerk","version":"e9"`, `"repeats":7`, `"next":"e0"`}},
		{name: "cancel", method: "POST", url: "/api/v1/evaluations/e1/cancel", key: "run", status: 409, has: []string{"has ended already"}},
		{name: "sets", url: "/api/v1/evaluations/sets", key: "read", status: 200, has: []string{`"source":"shipped"`}},
		{name: "add a case", method: "POST", url: "/api/v1/evaluations/sets/assistant/cases", key: "admin", body: `{"run":"r1","name":"adds"}`, status: 201, has: []string{`"name":"adds","input":"r1"`}},
		{name: "add a case without the right", method: "POST", url: "/api/v1/evaluations/sets/assistant/cases", key: "run", body: `{"run":"r1"}`, status: 403},
	})
	if got := strings.Join(b.audit.actions(), ","); !strings.Contains(got, "evaluation.cancel") || !strings.Contains(got, "evaluation.add_case ok") {
		t.Errorf("the audit log holds %s", got)
	}
}
