package jsonl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/jsonrpc"
)

// Methods. The names and objects are those of A2A 1.0; the last one is ours.
const (
	methodCard   = "GetExtendedAgentCard"
	methodSend   = "SendStreamingMessage"
	methodGet    = "GetTask"
	methodCancel = "CancelTask"
	methodAsk    = "RequestPermission"
)

const codeTaskNotFound = -32001

// state is where a task stands.
type state string

const (
	stateSubmitted state = "TASK_STATE_SUBMITTED"
	stateWorking   state = "TASK_STATE_WORKING"
	stateInput     state = "TASK_STATE_INPUT_REQUIRED"
	stateAuth      state = "TASK_STATE_AUTH_REQUIRED"
	stateCompleted state = "TASK_STATE_COMPLETED"
	stateFailed    state = "TASK_STATE_FAILED"
	stateRejected  state = "TASK_STATE_REJECTED"
	stateCanceled  state = "TASK_STATE_CANCELED"
)

func states() []state {
	return []state{stateSubmitted, stateWorking, stateInput, stateAuth, stateCompleted, stateFailed, stateRejected, stateCanceled}
}

// last says whether nothing comes after a state in this turn.
func (s state) last() bool { return s != stateSubmitted && s != stateWorking }

// part is a piece of a message or artifact: one of text, raw (base64), data and url.
type part struct {
	Text      *string         `json:"text,omitempty"`
	Raw       *string         `json:"raw,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	URL       *string         `json:"url,omitempty"`
	Filename  string          `json:"filename,omitempty"`
	MediaType string          `json:"mediaType,omitempty"`
}

type message struct {
	ID      string `json:"messageId"`
	Context string `json:"contextId,omitempty"`
	Task    string `json:"taskId,omitempty"`
	Role    string `json:"role"`
	Parts   []part `json:"parts"`
}

type artifact struct {
	ID    string `json:"artifactId"`
	Name  string `json:"name,omitempty"`
	Parts []part `json:"parts"`
}

type status struct {
	State   state    `json:"state"`
	Message *message `json:"message,omitempty"`
}

type task struct {
	ID        string     `json:"id"`
	Context   string     `json:"contextId"`
	Status    status     `json:"status"`
	Artifacts []artifact `json:"artifacts,omitempty"`
	Metadata  *metadata  `json:"metadata,omitempty"`
}

// metadata is what of the metadata is read.
type metadata struct {
	Usage *usage `json:"usage,omitempty"`
}

type usage struct {
	Input  int64 `json:"input_tokens"`
	Output int64 `json:"output_tokens"`
}

type statusUpdate struct {
	Task     string    `json:"taskId"`
	Context  string    `json:"contextId"`
	Status   status    `json:"status"`
	Metadata *metadata `json:"metadata,omitempty"`
}

type artifactUpdate struct {
	Task     string    `json:"taskId"`
	Context  string    `json:"contextId"`
	Artifact *artifact `json:"artifact"`
	Append   bool      `json:"append,omitempty"`
}

// response is one answer to a message: exactly one field is set.
type response struct {
	Task     *task           `json:"task"`
	Message  *message        `json:"message"`
	Status   *statusUpdate   `json:"statusUpdate"`
	Artifact *artifactUpdate `json:"artifactUpdate"`
}

type sendRequest struct {
	Message  message        `json:"message"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

type taskRequest struct {
	ID string `json:"id"`
}

// permissionRequest asks a person whether the program may do something.
type permissionRequest struct {
	Task      string          `json:"taskId"`
	Tool      string          `json:"tool"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Effect    core.Effect     `json:"effect,omitempty"`
}

// permissionResponse is what the person says: approve, deny, edit (with Arguments) or done (with Result).
type permissionResponse struct {
	Decision  core.Decision   `json:"decision"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Result    string          `json:"result,omitempty"`
	Comment   string          `json:"comment,omitempty"`
}

// check says what is wrong with a response.
func (r response) check() error {
	const at = "result"
	set := 0
	for _, is := range []bool{r.Task != nil, r.Message != nil, r.Status != nil, r.Artifact != nil} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return jsonrpc.Wrong(at, "must have one of task, message, statusUpdate and artifactUpdate")
	case r.Task != nil:
		return r.Task.check(at + ".task")
	case r.Message != nil:
		return r.Message.check(at + ".message")
	case r.Status != nil:
		if r.Status.Task == "" {
			return jsonrpc.Wrong(at+".statusUpdate.taskId", "is missing")
		}
		return r.Status.Status.check(at + ".statusUpdate.status")
	case r.Artifact.Task == "":
		return jsonrpc.Wrong(at+".artifactUpdate.taskId", "is missing")
	case r.Artifact.Artifact == nil:
		return jsonrpc.Wrong(at+".artifactUpdate.artifact", "is missing")
	}
	return r.Artifact.Artifact.check(at + ".artifactUpdate.artifact")
}

func (t task) check(at string) error {
	if t.ID == "" {
		return jsonrpc.Wrong(at+".id", "is missing")
	}
	for i, a := range t.Artifacts {
		if err := a.check(fmt.Sprintf("%s.artifacts.%d", at, i)); err != nil {
			return err
		}
	}
	return t.Status.check(at + ".status")
}

func (s status) check(at string) error {
	if !slices.Contains(states(), s.State) {
		var names []string
		for _, known := range states() {
			names = append(names, string(known))
		}
		return jsonrpc.Wrong(at+".state", "must be one of "+strings.Join(names, ", "))
	}
	if s.Message != nil {
		return checkParts(s.Message.Parts, at+".message.parts")
	}
	return nil
}

func (m message) check(at string) error {
	if m.Role != "ROLE_AGENT" {
		return jsonrpc.Wrong(at+".role", "must be ROLE_AGENT")
	}
	return checkParts(m.Parts, at+".parts")
}

func (a artifact) check(at string) error {
	if a.ID == "" {
		return jsonrpc.Wrong(at+".artifactId", "is missing")
	}
	return checkParts(a.Parts, at+".parts")
}

func checkParts(parts []part, at string) error {
	for i, p := range parts {
		set := 0
		for _, is := range []bool{p.Text != nil, p.Raw != nil, len(p.Data) > 0, p.URL != nil} {
			if is {
				set++
			}
		}
		if set != 1 {
			return jsonrpc.Wrong(fmt.Sprintf("%s.%d", at, i), "must have one of text, raw, data and url")
		}
	}
	return nil
}
