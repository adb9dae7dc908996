package core

import "time"

// EventType names what happened to a run.
type EventType string

// The types.
const (
	EventRunStarted        EventType = "run.started"
	EventMessageDelta      EventType = "message.delta"
	EventMessageCompleted  EventType = "message.completed"
	EventStepStarted       EventType = "step.started"
	EventStepCompleted     EventType = "step.completed"
	EventApprovalRequested EventType = "approval.requested"
	EventApprovalDecided   EventType = "approval.decided"
	EventRunWaiting        EventType = "run.waiting"
	EventRunSucceeded      EventType = "run.succeeded"
	EventRunFailed         EventType = "run.failed"
	EventRunCancelled      EventType = "run.cancelled"
)

// Final says whether no event follows this one.
func (t EventType) Final() bool {
	return t == EventRunSucceeded || t == EventRunFailed || t == EventRunCancelled
}

// Event is something that happened to a run. N grows within a run; numbers of deltas are not stored, so stored
// numbers have gaps. Exactly one of the payload fields is set.
type Event struct {
	Run      string     `json:"run"`
	N        int64      `json:"n"`
	Type     EventType  `json:"type"`
	At       time.Time  `json:"at"`
	RunData  *Run       `json:"run_data,omitempty"`
	Step     *Step      `json:"step,omitempty"`
	Message  *Message   `json:"message,omitempty"`
	Approval *Approval  `json:"approval,omitempty"`
	Delta    *DeltaData `json:"delta,omitempty"`
}

// DeltaData is a piece of the message that is being written. Text starts at character Offset of the message; a client
// that knows more than Offset characters drops them first.
type DeltaData struct {
	Message int    `json:"message"`
	Attempt int    `json:"attempt"`
	Offset  int    `json:"offset"` // in UTF-16 code units, as browsers count
	Text    string `json:"text"`
}
