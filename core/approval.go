package core

import (
	"encoding/json"
	"time"
)

// ApprovalReason says why a person is asked.
type ApprovalReason string

// The reasons.
const (
	ReasonPolicy      ApprovalReason = "policy"      // the agent's file asks for approval of this tool
	ReasonInterrupted ApprovalReason = "interrupted" // a crash came while an unsafe call was being made
	ReasonQuestion    ApprovalReason = "question"    // the agent asks the user something
	ReasonFlow        ApprovalReason = "flow"        // private data and what strangers wrote are both in the run, and the call sends data out
	ReasonPeer        ApprovalReason = "peer"        // the agent runs elsewhere, and asks whether it may do something
)

// ApprovalStatus is where an approval stands.
type ApprovalStatus string

// The statuses.
const (
	ApprovalPending   ApprovalStatus = "pending"
	ApprovalApproved  ApprovalStatus = "approved" // make the call (again), perhaps with edited arguments
	ApprovalDone      ApprovalStatus = "done"     // do not make it; a person gave its result
	ApprovalDenied    ApprovalStatus = "denied"
	ApprovalExpired   ApprovalStatus = "expired"
	ApprovalCancelled ApprovalStatus = "cancelled"
)

// Decision is what a person may say.
type Decision string

// The decisions. For an interrupted call "approve" and "retry" mean the same.
const (
	DecideApprove Decision = "approve"
	DecideDeny    Decision = "deny"
	DecideEdit    Decision = "edit"
	DecideDone    Decision = "done"
	DecideRetry   Decision = "retry"
)

// Approval is a question to a person that parks a run.
type Approval struct {
	ID        string          `json:"id"` // UUIDv7
	Run       string          `json:"run"`
	Step      int             `json:"step"`
	Agent     string          `json:"agent"`
	Tool      string          `json:"tool"`
	Effect    Effect          `json:"effect"`
	Arguments json.RawMessage `json:"arguments"`
	Reason    ApprovalReason  `json:"reason"`
	Status    ApprovalStatus  `json:"status"`
	Queue     string          `json:"queue,omitempty"` // who is asked; "" = whoever may decide
	Result    string          `json:"result,omitempty"`
	Comment   string          `json:"comment,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at"`
	DecidedBy string          `json:"decided_by,omitempty"`
	DecidedAt *time.Time      `json:"decided_at,omitempty"`
}

// Verdict is a person's decision about an approval.
type Verdict struct {
	Decision  Decision
	Arguments json.RawMessage // with edit
	Result    string          // with done
	Comment   string
	Actor     string
}
