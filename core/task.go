package core

import "time"

// TaskState is a run as clients of the Agent2Agent protocol see it: a task.
type TaskState string

// The states. Those from TaskCompleted on are final.
const (
	TaskSubmitted     TaskState = "submitted"
	TaskWorking       TaskState = "working"
	TaskInputRequired TaskState = "input-required" // a person answers or decides
	TaskAuthRequired  TaskState = "auth-required"  // somebody must log in somewhere first
	TaskCompleted     TaskState = "completed"
	TaskFailed        TaskState = "failed"
	TaskRejected      TaskState = "rejected"
	TaskCanceled      TaskState = "canceled"
)

// Keys of a run's metadata that its task keeps there.
const (
	TaskContext = "a2a.context" // the conversation that the task belongs to; without it, its own
	TaskMessage = "a2a.message" // id of the message that began it
	TaskHistory = "a2a.history" // how many messages at the beginning are of earlier tasks
)

// TaskOf is what a run is as a task. The store of tasks selects by the same rules.
func TaskOf(r Run) TaskState {
	switch r.Status {
	case RunSucceeded:
		return TaskCompleted
	case RunCancelled:
		return TaskCanceled
	case RunFailed:
		if r.Error != nil && r.Error.Code == CodeRefused {
			return TaskRejected
		}
		return TaskFailed
	case RunWaiting:
		switch r.WaitReason {
		case WaitApproval, WaitQuestion:
			return TaskInputRequired
		}
		return TaskWorking
	case RunQueued:
		if r.StartedAt == nil {
			return TaskSubmitted
		}
	}
	return TaskWorking
}

// TaskFilter selects the tasks of one owner: runs that it has started itself.
type TaskFilter struct {
	Owner   string // the actor; always set
	Agent   string // "" = any
	Context string // "" = any
	State   TaskState
	Since   time.Time // of the latest change of state; zero = any
	After   TaskMark  // the last one of the page before; zero = the first page
	Limit   int
}

// TaskMark is a place in a list of tasks, which is sorted by the latest change of state, newest first.
type TaskMark struct {
	At  time.Time
	Run string
}

// TaskPage is a page of a list of tasks.
type TaskPage struct {
	Runs  []string
	Total int
	Next  TaskMark // zero at the end
}

// TaskAnswer is a message that answered something which a task waited for. It is kept so that a repeated message answers
// nothing else.
type TaskAnswer struct {
	Owner    string
	Message  string // its id
	Run      string
	Approval string
	Hash     string // of what it says
	At       time.Time
}

// TaskPush is where a client wants to be told of a task.
type TaskPush struct {
	Run       string
	ID        string
	Owner     string
	URL       string
	Sealed    string // token and credentials of the client's, encrypted; "" = none
	CreatedAt time.Time

	State    string // that was told last
	Attempts int    // that failed in a row
	NextAt   time.Time
	Failing  *time.Time // since when
	Error    string     // why the latest attempt failed
	Done     bool       // nothing more is told
}

// Place is what the encryption of the secrets is bound to.
func (p TaskPush) Place() string { return "a2a push\n" + p.Run + "\n" + p.ID }

// SigningKey is a private key of this installation, encrypted.
type SigningKey struct {
	ID        string
	Sealed    string
	CreatedAt time.Time
}

// Place is what its encryption is bound to.
func (k SigningKey) Place() string { return "signing key\n" + k.ID }
