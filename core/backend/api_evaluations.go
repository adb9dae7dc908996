package backend

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sutazai/sutazai/core"
)

type listEvaluationsInput struct {
	Agent  string `query:"agent" maxLength:"64"`
	Before string `query:"before" maxLength:"64" doc:"The id that the previous page ended with."`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type startEvaluationInput struct {
	Body struct {
		Agent   string `json:"agent" minLength:"1" maxLength:"128" doc:"As new runs use it, or a version of it: name@draft, name@2."`
		Repeats int    `json:"repeats,omitempty" minimum:"0" maximum:"50" doc:"Tries of each case; 0 or left out: as the set says."`
	}
}

type addCaseInput struct {
	Agent string `path:"agent" maxLength:"64"`
	Body  struct {
		Run  string `json:"run" minLength:"1" maxLength:"64" doc:"A run of the agent that has succeeded."`
		Name string `json:"name,omitempty" maxLength:"90" doc:"Of the case; left out, it is made of the run's task."`
	}
}

func (s *server) evaluationRoutes() {
	const tag = "Evaluations"
	register(s, operation(get, "/evaluations", "list-evaluations", tag, "List evaluations"), func(ctx context.Context, in *listEvaluationsInput) (*output[page[core.Evaluation]], error) {
		items, next, err := s.evaluations.Evaluations(ctx, in.Agent, in.Before, in.Limit)
		if err != nil {
			return nil, err
		}
		return listOf(each(items, tidyEvaluation), next), nil
	})
	op := operation(post, "/evaluations", "start-evaluation", tag, "Evaluate an agent")
	op.DefaultStatus = http.StatusCreated
	op.Description = "Each case of the agent's set is tried as a run of its own. The evaluation goes on by itself; ask for it to see how far it is."
	register(s, op, func(ctx context.Context, in *startEvaluationInput) (*output[core.Evaluation], error) {
		return evaluationOutput(s.evaluations.Start(ctx, in.Body.Agent, in.Body.Repeats, actor(ctx)))
	})
	register(s, operation(get, "/evaluations/{id}", "get-evaluation", tag, "Show an evaluation"), func(ctx context.Context, in *byID) (*output[core.Evaluation], error) {
		return evaluationOutput(s.evaluations.Evaluation(ctx, in.ID))
	})
	register(s, operation(post, "/evaluations/{id}/cancel", "cancel-evaluation", tag, "Cancel an evaluation and its runs"), func(ctx context.Context, in *byID) (*output[core.Evaluation], error) {
		e, err := s.evaluations.Cancel(ctx, in.ID, actor(ctx))
		s.recordResult(ctx, "evaluation.cancel", in.ID, "", err)
		return evaluationOutput(e, err)
	})
	register(s, operation(get, "/evaluations/sets", "list-evaluation-sets", tag, "List the evaluation sets of all agents"), func(context.Context, *empty) (*output[page[core.EvaluationSetStatus]], error) {
		items, err := s.evaluations.SetList()
		if err != nil {
			return nil, err
		}
		return listOf(items, ""), nil
	})
	op = operation(post, "/evaluations/sets/{agent}/cases", "add-evaluation-case", tag, "Make a case of a past run")
	op.DefaultStatus = http.StatusCreated
	op.Description = "The case is appended to the agent's set in the agents folder: the run's task and files, the tools that it called, and its answer for a judge to compare with."
	register(s, op, func(ctx context.Context, in *addCaseInput) (*output[core.EvaluationSetStatus], error) {
		st, err := s.evaluations.AddCase(ctx, in.Agent, in.Body.Run, in.Body.Name)
		s.recordResult(ctx, "evaluation.add_case", in.Agent, fmt.Sprintf("run %s", in.Body.Run), err)
		if err != nil {
			return nil, err
		}
		return &output[core.EvaluationSetStatus]{st}, nil
	})
}

func evaluationOutput(e core.Evaluation, err error) (*output[core.Evaluation], error) {
	if err != nil {
		return nil, err
	}
	return &output[core.Evaluation]{tidyEvaluation(e)}, nil
}

// tidyEvaluation makes lists that are nil empty.
func tidyEvaluation(e core.Evaluation) core.Evaluation {
	e.Cases = append([]core.EvaluationResult{}, e.Cases...)
	for i := range e.Cases {
		c := &e.Cases[i]
		c.Tries = append([]core.EvaluationTry{}, c.Tries...)
		for j := range c.Tries {
			if c.Tries[j].Failures == nil {
				c.Tries[j].Failures = []string{}
			}
		}
	}
	return e
}
