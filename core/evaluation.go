package core

import (
	"encoding/json"
	"time"
)

// EvaluationSet says how an agent is tested: tasks, and what must be true of what it does with them.
type EvaluationSet struct {
	Agent   string           `json:"agent"`
	Version string           `json:"version"` // first 12 hex digits of the file's SHA-256
	Repeats int              `json:"repeats"` // tries of each case
	Pass    float64          `json:"pass"`    // share of tries that must pass, above 0 and at most 1
	Judge   string           `json:"judge"`   // model that judges; "" = the agent's
	Cases   []EvaluationCase `json:"cases"`
}

// EvaluationSetStatus is a set as it stands in its file.
type EvaluationSetStatus struct {
	Set    EvaluationSet `json:"set"`
	Source string        `json:"source"` // folder of its file; "shipped" = it comes with the program
	Errors []string      `json:"errors"` // "file:line: message"; with any, the set cannot be used
}

// EvaluationCase is one task with its checks, all of which must hold.
type EvaluationCase struct {
	Name   string            `json:"name"`
	Input  string            `json:"input"`
	Files  map[string]string `json:"files,omitempty"` // contents by name
	Checks []EvaluationCheck `json:"checks"`
	// Script is what a scripted model says in place of a real one, turn by turn; for tests without a model.
	Script []EvaluationTurn `json:"script,omitempty"`
}

// EvaluationTurn is one answer of a scripted model: text, calls of tools, or both.
type EvaluationTurn struct {
	To    string           `json:"to,omitempty"` // the conversation whose task is this text; "" = the case's own
	Say   string           `json:"say,omitempty"`
	Calls []EvaluationCall `json:"calls,omitempty"`
}

// EvaluationCall is a call that a scripted model makes.
type EvaluationCall struct {
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments"`
}

// CheckKind says what a check looks at.
type CheckKind string

// The kinds of checks.
const (
	CheckContains    CheckKind = "contains"     // the answer holds the text, whatever its case
	CheckNotContains CheckKind = "not_contains" // the answer does not
	CheckRegex       CheckKind = "regex"        // the answer matches the regular expression (RE2)
	CheckSchema      CheckKind = "schema"       // the answer is JSON that the schema accepts
	CheckTool        CheckKind = "tool_called"  // the run called the tool, or gave work to the agent of that name; a refused call is none
	CheckNoTool      CheckKind = "tool_not_called"
	CheckFile        CheckKind = "file_written" // the workspace holds the file at the end, and not as it was attached
	CheckCost        CheckKind = "max_cost_usd" // of the run with its sub-runs
	CheckSeconds     CheckKind = "max_seconds"  // from the run's start to its end
	CheckSteps       CheckKind = "max_steps"
	CheckJudge       CheckKind = "judge" // a model finds the sentence true of the answer
	CheckFails       CheckKind = "fails" // the run fails, and its error holds the text
	CheckAsks        CheckKind = "asks"  // the run stops to ask a person about a call of the tool; it is cancelled then
)

// EvaluationCheck is one thing that must be true.
type EvaluationCheck struct {
	Kind     CheckKind       `json:"kind"`
	Text     string          `json:"text,omitempty"`     // what the kind looks for: text, pattern, tool, file or sentence
	Contains string          `json:"contains,omitempty"` // of file_written: what the file holds, whatever its case
	Schema   json.RawMessage `json:"schema,omitempty"`
	Number   float64         `json:"number,omitempty"` // of the kinds that begin with max_
}

// EvaluationStatus is where an evaluation stands.
type EvaluationStatus string

// The statuses. All but the first are final.
const (
	EvaluationRunning   EvaluationStatus = "running"
	EvaluationPassed    EvaluationStatus = "passed"
	EvaluationFailed    EvaluationStatus = "failed"
	EvaluationCancelled EvaluationStatus = "cancelled"
)

// Evaluation is one execution of a set against a version of its agent.
type Evaluation struct {
	ID         string             `json:"id"` // UUIDv7
	Agent      string             `json:"agent"`
	Version    string             `json:"version"` // of the agent
	SetVersion string             `json:"set_version"`
	Status     EvaluationStatus   `json:"status"`
	Repeats    int                `json:"repeats"`
	Pass       float64            `json:"pass"`
	Passed     int                `json:"passed"` // tries
	Tried      int                `json:"tried"`
	Low        float64            `json:"low"` // Wilson's 95 % interval of the share that passes
	High       float64            `json:"high"`
	CostUSD    float64            `json:"cost_usd"`
	Cases      []EvaluationResult `json:"cases"`
	Error      string             `json:"error,omitempty"` // why it was cancelled
	CreatedAt  time.Time          `json:"created_at"`
	FinishedAt *time.Time         `json:"finished_at"`
	CreatedBy  string             `json:"created_by"`
}

// EvaluationResult is what became of one case.
type EvaluationResult struct {
	Name  string          `json:"name"`
	Tries []EvaluationTry `json:"tries"`
}

// EvaluationTry is one run of a case.
type EvaluationTry struct {
	Try      int      `json:"try"` // from 1
	Run      string   `json:"run"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures"` // what was not true
	Seconds  float64  `json:"seconds"`
	CostUSD  float64  `json:"cost_usd"` // with what its judge cost
}
