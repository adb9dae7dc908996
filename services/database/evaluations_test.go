package database_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/database"
	"github.com/sutazai/sutazai/services/database/databasetest"
)

var evalTime = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

func putEvaluation(t *testing.T, s database.Evaluations, n int, holder string) core.Evaluation {
	t.Helper()
	e := core.Evaluation{ID: fmt.Sprintf("0190-%d", n), Agent: "clerk", Version: "v1", SetVersion: "s1", Status: core.EvaluationRunning, Cases: []core.EvaluationResult{}, CreatedAt: evalTime}
	set := core.EvaluationSet{Agent: "clerk", Cases: []core.EvaluationCase{{Name: "sums"}}}
	if err := s.Insert(t.Context(), e, set, core.Agent{Name: "clerk", Version: "v1", Instructions: "draft"}, holder, evalTime.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnEvaluationIsExecutedByOneProcessUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewEvaluations(db)
		e := putEvaluation(t, s, 1, "a")
		claim := func(holder string, at time.Time, want ...string) {
			t.Helper()
			got, err := s.Claim(t.Context(), holder, at, at.Add(time.Minute))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s at %s claims %v (%v), want %v", holder, at, got, err, want)
			}
		}
		claim("b", evalTime)
		claim("a", evalTime, e.ID)
		claim("b", evalTime.Add(2*time.Minute), e.ID)
		e.Passed = 1
		if mine, err := s.Put(t.Context(), e, "a"); err != nil || mine {
			t.Errorf("the one that lost it may write: %v %v", mine, err)
		}
		if mine, err := s.Put(t.Context(), e, "b"); err != nil || !mine {
			t.Errorf("the one that has it may not write: %v %v", mine, err)
		}
		work, set, err := s.Work(t.Context(), e.ID)
		if err != nil || work.Passed != 1 || len(set.Cases) != 1 || set.Cases[0].Name != "sums" {
			t.Errorf("work is %+v with %+v (%v)", work, set, err)
		}
		if a, err := database.NewVersions(db).Definition(t.Context(), "clerk", "v1"); err != nil || a.Instructions != "draft" {
			t.Errorf("the agent's definition is not kept: %+v %v", a, err)
		}
	})
}

func TestACancelledEvaluationIsWrittenNoMore(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewEvaluations(db)
		e := putEvaluation(t, s, 1, "a")
		e.Tried = 2
		if _, err := s.Put(t.Context(), e, "a"); err != nil {
			t.Fatal(err)
		}
		got, err := s.Cancel(t.Context(), e.ID, "enough", evalTime)
		if err != nil || got.Status != core.EvaluationCancelled || got.Tried != 2 || got.Error != "enough" || got.FinishedAt == nil {
			t.Errorf("cancelled as %+v %v", got, err)
		}
		e.Tried = 3
		if mine, err := s.Put(t.Context(), e, "a"); err != nil || mine {
			t.Errorf("written after the end: %v %v", mine, err)
		}
		if ids, err := s.Claim(t.Context(), "a", evalTime, evalTime); err != nil || len(ids) > 0 {
			t.Errorf("claimed after the end: %v %v", ids, err)
		}
		if _, err := s.Cancel(t.Context(), e.ID, "", evalTime); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("cancelled twice: %v", err)
		}
		if _, err := s.Cancel(t.Context(), "none", "", evalTime); core.CodeOf(err) != core.CodeNotFound {
			t.Errorf("cancelled what is not there: %v", err)
		}
	})
}

func TestTheLatestEndedEvaluationOfAVersionCounts(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := database.NewEvaluations(db)
		end := func(n int, status core.EvaluationStatus) {
			t.Helper()
			e := putEvaluation(t, s, n, "a")
			if e.Status = status; status == core.EvaluationRunning {
				return
			}
			if ok, err := s.Put(t.Context(), e, "a"); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		if _, found, err := s.Latest(t.Context(), "clerk", "v1", "s1"); err != nil || found {
			t.Errorf("found one where there is none: %v", err)
		}
		end(1, core.EvaluationPassed)
		end(2, core.EvaluationFailed)
		end(3, core.EvaluationCancelled)
		end(4, core.EvaluationRunning)
		if e, found, err := s.Latest(t.Context(), "clerk", "v1", "s1"); err != nil || !found || e.ID != "0190-2" {
			t.Errorf("the latest is %q %v %v", e.ID, found, err)
		}
		if _, found, _ := s.Latest(t.Context(), "clerk", "v1", "other set"); found {
			t.Error("an evaluation with another set counts")
		}
		page, err := s.List(t.Context(), "clerk", "0190-4", 2)
		if err != nil || len(page) != 2 || page[0].ID != "0190-3" || page[1].ID != "0190-2" {
			t.Errorf("listed %+v %v", page, err)
		}
		if none, err := s.List(t.Context(), "somebody", "", 2); err != nil || len(none) > 0 {
			t.Errorf("listed another agent's: %+v %v", none, err)
		}
	})
}
