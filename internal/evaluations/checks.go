package evaluations

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
)

// maxQuote bounds how much of an answer a failure quotes, in characters.
const maxQuote = 200

// Outcome is what a run of a case has come to, as its checks see it.
type Outcome struct {
	Run        core.Run
	Steps      []core.Step
	Files      map[string]string // contents of the files that the checks name, at the end; those that are there
	Unreadable map[string]string // why a file cannot be looked into
	Asked      string            // the tool about whose call a person was asked, when that stopped the run
	Stopped    string            // why the run was stopped before its end, in words; "" = it was not
}

// Failures says what is not true of an outcome that the checks want, but for those of the kind judge.
func Failures(c core.EvaluationCase, o Outcome) []string {
	failures := []string{}
	if ended := unexpectedEnd(c, o); ended != "" {
		return append(failures, ended) // nothing can be said of an answer that is not there
	}
	for _, check := range c.Checks {
		if f := failure(check, c, o); f != "" {
			failures = append(failures, f)
		}
	}
	return failures
}

// unexpectedEnd says how a run ended that should have ended otherwise, or "".
func unexpectedEnd(c core.EvaluationCase, o Outcome) string {
	wants := func(kind core.CheckKind) bool {
		return slices.ContainsFunc(c.Checks, func(c core.EvaluationCheck) bool { return c.Kind == kind })
	}
	switch {
	case o.Asked != "" && wants(core.CheckAsks):
		return ""
	case o.Stopped != "":
		return o.Stopped
	case o.Run.Status == core.RunSucceeded && wants(core.CheckAsks):
		return "the run ended without asking a person; its answer is " + quote(o.Run.Output)
	case o.Run.Status == core.RunSucceeded && wants(core.CheckFails):
		return "the run did not fail; its answer is " + quote(o.Run.Output)
	case o.Run.Status == core.RunFailed && wants(core.CheckFails), o.Run.Status == core.RunSucceeded:
		return ""
	}
	if o.Run.Status == core.RunCancelled {
		return "the run was cancelled: " + runError(o.Run)
	}
	return "the run failed: " + runError(o.Run)
}

func runError(r core.Run) string {
	if r.Error == nil {
		return "no reason is known"
	}
	return r.Error.Message
}

// failure says how a check does not hold, or "".
func failure(check core.EvaluationCheck, c core.EvaluationCase, o Outcome) string {
	answer := o.Run.Output
	switch check.Kind {
	case core.CheckContains:
		if !holds(answer, check.Text) {
			return fmt.Sprintf("the answer does not contain %q: it is %s", check.Text, quote(answer))
		}
	case core.CheckNotContains:
		if holds(answer, check.Text) {
			return fmt.Sprintf("the answer contains %q: it is %s", check.Text, quote(answer))
		}
	case core.CheckRegex:
		if re, err := regexp.Compile(check.Text); err != nil || !re.MatchString(answer) {
			return fmt.Sprintf("the answer does not match %s: it is %s", check.Text, quote(answer))
		}
	case core.CheckSchema:
		if wrong := againstSchema(check, answer); wrong != "" {
			return fmt.Sprintf("the answer does not follow the schema: %s; it is %s", wrong, quote(answer))
		}
	case core.CheckTool:
		if !called(o.Steps, check.Text) {
			return fmt.Sprintf("%s was not called; %s", check.Text, calls(o.Steps))
		}
	case core.CheckNoTool:
		if called(o.Steps, check.Text) {
			return check.Text + " was called"
		}
	case core.CheckAsks:
		if o.Asked != check.Text {
			return fmt.Sprintf("a person was asked about %s, not about %s", o.Asked, check.Text)
		}
	case core.CheckFails:
		if !holds(runError(o.Run), check.Text) {
			return fmt.Sprintf("the run failed, but not with %q: %s", check.Text, runError(o.Run))
		}
	case core.CheckFile:
		return file(check, c, o)
	case core.CheckCost, core.CheckSeconds, core.CheckSteps:
		return beyond(check, o)
	case core.CheckJudge: // a model says
	}
	return ""
}

func holds(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

func againstSchema(check core.EvaluationCheck, answer string) string {
	compiled, err := schema.Compile(check.Schema)
	if err != nil {
		return "the schema is not valid"
	}
	value, err := schema.Decode([]byte(answer))
	if err != nil {
		return "it is not JSON"
	}
	if err := compiled.Validate(value); err != nil {
		return schema.Explain(err)
	}
	return ""
}

// called says whether the tool was called, or work given to the agent of that name.
func called(steps []core.Step, name string) bool {
	return slices.ContainsFunc(steps, func(s core.Step) bool { return made(s) && s.Name == name })
}

// made says whether a step is a call that was really made: one of a tool that the agent does not have, or that was denied,
// ends before any attempt.
func made(s core.Step) bool {
	return (s.Kind == core.StepTool || s.Kind == core.StepAgent) && (len(s.Attempts) > 0 || s.Status == core.StepSucceeded)
}

func calls(steps []core.Step) string {
	var names []string
	for _, s := range steps {
		if made(s) && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return "nothing was"
	}
	return "only " + strings.Join(names, ", ")
}

func file(check core.EvaluationCheck, c core.EvaluationCase, o Outcome) string {
	if why := o.Unreadable[check.Text]; why != "" {
		return fmt.Sprintf("the file %s cannot be checked: %s", check.Text, why)
	}
	content, there := o.Files[check.Text]
	if !there {
		return fmt.Sprintf("the file %s was not written", check.Text)
	}
	if before, attached := c.Files[check.Text]; attached && before == content {
		return fmt.Sprintf("the file %s was not changed", check.Text)
	}
	if check.Contains != "" && !holds(content, check.Contains) {
		return fmt.Sprintf("the file %s does not contain %q: it holds %s", check.Text, check.Contains, quote(content))
	}
	return ""
}

func beyond(check core.EvaluationCheck, o Outcome) string {
	switch check.Kind {
	case core.CheckCost:
		if cost := o.Run.Usage.CostUSD(); cost > check.Number {
			return fmt.Sprintf("the run cost $%g; at most $%g is allowed", cost, check.Number)
		}
	case core.CheckSeconds:
		if took := seconds(o.Run); took > check.Number {
			return fmt.Sprintf("the run took %.1f s; at most %g s are allowed", took, check.Number)
		}
	case core.CheckSteps:
		if float64(o.Run.Steps) > check.Number {
			return fmt.Sprintf("the run took %d steps; at most %g are allowed", o.Run.Steps, check.Number)
		}
	}
	return ""
}

// seconds is how long a run took from its start to its end.
func seconds(r core.Run) float64 {
	if r.StartedAt == nil || r.FinishedAt == nil {
		return 0
	}
	return max(0, r.FinishedAt.Sub(*r.StartedAt).Seconds())
}

// quote shows the beginning of a text.
func quote(s string) string {
	if r := []rune(s); len(r) > maxQuote {
		s = string(r[:maxQuote]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
