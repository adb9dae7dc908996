package core

import (
	"encoding/json"
	"time"
)

// RunStatus is where a run stands.
type RunStatus string

// The statuses. The last three are final.
const (
	RunQueued    RunStatus = "queued"
	RunRunning   RunStatus = "running"
	RunWaiting   RunStatus = "waiting" // for a person, a sub-agent or an outage to end
	RunSucceeded RunStatus = "succeeded"
	RunFailed    RunStatus = "failed"
	RunCancelled RunStatus = "cancelled"
)

// Final says whether the status can no longer change.
func (s RunStatus) Final() bool { return s == RunSucceeded || s == RunFailed || s == RunCancelled }

// WaitReason says what a waiting run waits for.
type WaitReason string

// The reasons.
const (
	WaitApproval WaitReason = "approval" // a person decides about a call
	WaitQuestion WaitReason = "question" // a person answers
	WaitAgent    WaitReason = "agent"    // a sub-agent works
	WaitModel    WaitReason = "model"    // the model cannot be reached; tried again at WakeAt
)

// RunError is why a run failed or was cancelled.
type RunError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Run is one piece of work given to an agent.
type Run struct {
	ID           string            `json:"id"` // UUIDv7
	Agent        string            `json:"agent"`
	AgentVersion string            `json:"agent_version"`
	Status       RunStatus         `json:"status"`
	WaitReason   WaitReason        `json:"wait_reason,omitempty"`
	WaitDetail   string            `json:"wait_detail,omitempty"`
	WakeAt       *time.Time        `json:"wake_at,omitempty"`
	Input        string            `json:"input"` // the task; later messages of the user are in the conversation
	Files        []string          `json:"files"` // names of the files attached to it, in the run's workspace
	Output       string            `json:"output"`
	Error        *RunError         `json:"error"`
	Usage        Usage             `json:"usage"`
	Steps        int               `json:"steps"`
	CreatedAt    time.Time         `json:"created_at"`
	StartedAt    *time.Time        `json:"started_at"`
	FinishedAt   *time.Time        `json:"finished_at"`
	Parent       string            `json:"parent,omitempty"`
	ForkedFrom   string            `json:"forked_from,omitempty"`
	Metadata     map[string]string `json:"metadata"`
	Limits       Limits            `json:"limits"`
	Depth        int               `json:"depth"`
	Recoveries   int               `json:"recoveries"` // how often it was resumed after a crash
	CreatedBy    string            `json:"created_by"` // key or user that started it
}

// StartRun is the wish to start a run.
type StartRun struct {
	Agent          string
	Input          string
	History        []Message // earlier turns of a conversation that a chat client sent along, oldest first
	Files          []File
	Metadata       map[string]string
	Limits         Limits
	IdempotencyKey string
	Actor          string
}

// File is an input that a user attaches; it is put into the run's workspace.
type File struct {
	Name    string
	Content []byte
}

// RunFilter selects runs, newest first. Before is the id of the last run of the previous page.
type RunFilter struct {
	Agent  string
	Status RunStatus
	Parent string
	Before string
	Limit  int
}

// StepKind is what a step does.
type StepKind string

// The kinds.
const (
	StepModel StepKind = "model"
	StepTool  StepKind = "tool"
	StepAgent StepKind = "agent"
	StepPeer  StepKind = "peer" // a turn of an agent that runs elsewhere
)

// StepStatus is where a step stands.
type StepStatus string

// The statuses. The last three are final.
const (
	StepPending   StepStatus = "pending"
	StepRunning   StepStatus = "running"
	StepWaiting   StepStatus = "waiting"
	StepSucceeded StepStatus = "succeeded"
	StepFailed    StepStatus = "failed"
	StepCancelled StepStatus = "cancelled"
)

// Final says whether the status can no longer change.
func (s StepStatus) Final() bool {
	return s == StepSucceeded || s == StepFailed || s == StepCancelled
}

// Attempt is one try of a step.
type Attempt struct {
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Target     string     `json:"target,omitempty"` // the model that was asked
	Error      string     `json:"error,omitempty"`
}

// Step is one model call, tool call, delegation or turn of a peer of a run. Contents live in messages; a step refers to them.
type Step struct {
	ID             string          `json:"id"` // "run:index", also the idempotency key
	Run            string          `json:"run"`
	Index          int             `json:"index"`
	Kind           StepKind        `json:"kind"`
	Name           string          `json:"name"` // model, tool or agent
	Effect         Effect          `json:"effect,omitempty"`
	Status         StepStatus      `json:"status"`
	Attempts       []Attempt       `json:"attempts"`
	InputRef       string          `json:"input_ref"`           // "messages/0-7" or "messages/8#call_id"
	OutputRef      string          `json:"output_ref"`          // "messages/9"
	Arguments      json.RawMessage `json:"arguments,omitempty"` // only where a person edited them
	CallID         string          `json:"call_id,omitempty"`
	ChildRun       string          `json:"child_run,omitempty"`
	Usage          Usage           `json:"usage"`
	Error          string          `json:"error,omitempty"`
	IdempotencyKey string          `json:"idempotency_key"`
	StartedAt      *time.Time      `json:"started_at"`
	FinishedAt     *time.Time      `json:"finished_at"`
}

// RunRecord is a run with what only its executor needs.
type RunRecord struct {
	Run
	OutputMessage  *int       // index of the message that is the answer
	Messages       int        // how many messages there are
	InputMessage   int        // index of the message that is the task
	ParentStep     int        // step of the parent that waits for this run
	Root           string     // first of the line of parents; names the workspace
	IdempotencyKey string     // "" = none
	RequestHash    string     // tells a retry from another request under the same key
	Segment        int        // number of the engine workflow that executes it
	EventSeq       int64      // number of the latest event
	ActiveMS       int64      // time spent running, without waits
	Turn           TurnBase   // where limits start to count
	OutageSince    *time.Time // when the model became unreachable
	CancelledBy    string     // who wants it stopped; "" = nobody
	PeerSession    string     // what its peer needs to go on with the conversation
	Flow           Flow       // what its tools, and those of its sub-runs, have let in
}

// TurnBase is what a run had used when the user's latest message came; limits count from there.
type TurnBase struct {
	Message      int // its index
	Steps        int
	Tokens       int64
	CostMicroUSD int64
	ActiveMS     int64
}

// StoredEvent is an event as it is kept: a reference to what it is about.
type StoredEvent struct {
	N    int64
	Type EventType
	Ref  string // index of the message or step, id of the approval, or ""
	At   time.Time
}

// QueuedRun is a run that some executor should take up.
type QueuedRun struct {
	ID      string
	Segment int
}
