package a2a

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

// Bounds of what a task hands over.
const (
	maxFile  = 4 << 20 // bytes of one file
	maxFiles = 8 << 20 // of all together
	maxNames = 64      // files
)

// answerID is the artifact that holds an agent's answer.
const answerID a2a.ArtifactID = "answer"

// state is a task's state in the protocol's words.
func state(s core.TaskState) a2a.TaskState {
	switch s {
	case core.TaskSubmitted:
		return a2a.TaskStateSubmitted
	case core.TaskInputRequired:
		return a2a.TaskStateInputRequired
	case core.TaskAuthRequired:
		return a2a.TaskStateAuthRequired
	case core.TaskCompleted:
		return a2a.TaskStateCompleted
	case core.TaskFailed:
		return a2a.TaskStateFailed
	case core.TaskRejected:
		return a2a.TaskStateRejected
	case core.TaskCanceled:
		return a2a.TaskStateCanceled
	default:
		return a2a.TaskStateWorking
	}
}

// fromState is the opposite.
func fromState(s a2a.TaskState) core.TaskState {
	for _, c := range []core.TaskState{
		core.TaskSubmitted, core.TaskWorking, core.TaskInputRequired, core.TaskAuthRequired, core.TaskCompleted, core.TaskFailed, core.TaskRejected, core.TaskCanceled,
	} {
		if state(c) == s {
			return c
		}
	}
	return ""
}

// rests says whether a task does not go on by itself.
func rests(r core.Run) bool {
	t := core.TaskOf(r)
	return t == core.TaskInputRequired || t == core.TaskAuthRequired || r.Status.Final()
}

// contextOf is the conversation that a run belongs to.
func contextOf(r core.Run) string {
	if c := r.Metadata[core.TaskContext]; c != "" {
		return c
	}
	return r.ID
}

// info names a run in events.
func info(r core.Run) a2a.TaskInfo {
	return a2a.TaskInfo{TaskID: a2a.TaskID(r.ID), ContextID: contextOf(r)}
}

// view says how much of a task is shown.
type view struct {
	history   *int // messages; nil = all
	artifacts bool
}

// task is a run as a task.
func (s *Server) task(ctx context.Context, r core.Run, v view) (*a2a.Task, error) {
	status, err := s.status(ctx, r)
	if err != nil {
		return nil, err
	}
	t := &a2a.Task{
		ID: a2a.TaskID(r.ID), ContextID: contextOf(r), Status: status,
		Metadata: map[string]any{"agent": r.Agent, "agentVersion": r.AgentVersion, "usage": map[string]any{
			"inputTokens": float64(r.Usage.InputTokens), "outputTokens": float64(r.Usage.OutputTokens), "costUsd": float64(r.Usage.CostMicroUSD) / 1e6,
		}},
	}
	if v.history == nil || *v.history > 0 {
		if t.History, err = s.history(ctx, r); err != nil {
			return nil, err
		}
		if v.history != nil && len(t.History) > *v.history {
			t.History = t.History[len(t.History)-*v.history:]
		}
	}
	if v.artifacts && r.Status == core.RunSucceeded {
		if t.Artifacts, err = s.artifacts(ctx, r); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// status is where a run stands.
func (s *Server) status(ctx context.Context, r core.Run) (a2a.TaskStatus, error) {
	at := moment(r)
	st := a2a.TaskStatus{State: state(core.TaskOf(r)), Timestamp: &at}
	say := func(kind, text string) {
		if text != "" {
			st.Message = &a2a.Message{ID: r.ID + "-" + kind, Role: a2a.MessageRoleAgent, TaskID: a2a.TaskID(r.ID), ContextID: contextOf(r), Parts: a2a.ContentParts{a2a.NewTextPart(text)}}
		}
	}
	switch {
	case core.TaskOf(r) == core.TaskInputRequired:
		m, err := s.question(ctx, r)
		if err != nil {
			return st, err
		}
		st.Message = m
	case r.Error != nil:
		say("error", r.Error.Message)
	case r.Status == core.RunWaiting:
		say("wait", r.WaitDetail)
	}
	return st, nil
}

// moment is when the state changed last, as far as the run tells. The store of tasks sorts by the same.
func moment(r core.Run) time.Time {
	switch {
	case r.FinishedAt != nil:
		return r.FinishedAt.UTC()
	case r.StartedAt != nil:
		return r.StartedAt.UTC()
	}
	return r.CreatedAt.UTC()
}

// history is what the client and the agent have said in a task, without what belongs to earlier ones.
func (s *Server) history(ctx context.Context, r core.Run) ([]*a2a.Message, error) {
	messages, err := s.d.Runs.Messages(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	earlier, _ := strconv.Atoi(r.Metadata[core.TaskHistory]) // ours; what is no number is none
	out := []*a2a.Message{}
	for _, m := range messages {
		if m.Index < earlier || m.Text == "" {
			continue
		}
		if shown := s.message(r, m, m.Index == earlier); shown != nil {
			out = append(out, shown)
		}
	}
	return out, nil
}

// message is one of a conversation; nil for what is no concern of the client's.
func (s *Server) message(r core.Run, m core.Message, first bool) *a2a.Message {
	out := &a2a.Message{ID: fmt.Sprintf("%s-%d", r.ID, m.Index), TaskID: a2a.TaskID(r.ID), ContextID: contextOf(r), Parts: a2a.ContentParts{a2a.NewTextPart(m.Text)}}
	switch m.Role {
	case core.RoleUser:
		out.Role = a2a.MessageRoleUser
		if id := r.Metadata[core.TaskMessage]; first && id != "" {
			out.ID = id
		}
	case core.RoleAssistant:
		out.Role = a2a.MessageRoleAgent
	default:
		return nil
	}
	return out
}

// artifacts are what a run that is done hands over: its answer and the files that it has made.
func (s *Server) artifacts(ctx context.Context, r core.Run) ([]*a2a.Artifact, error) {
	var out []*a2a.Artifact
	if r.Output != "" {
		out = append(out, &a2a.Artifact{ID: answerID, Name: "answer", Parts: a2a.ContentParts{a2a.NewTextPart(r.Output)}})
	}
	files, err := s.files(ctx, r)
	return append(out, files...), err
}

// files are those in the run's workspace that did not come with its task.
func (s *Server) files(ctx context.Context, r core.Run) ([]*a2a.Artifact, error) {
	sizes, err := s.d.Files.Files(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	for _, name := range r.Files {
		delete(sizes, name)
	}
	var (
		out   []*a2a.Artifact
		total int64
	)
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if len(out) == maxNames {
			break
		}
		a := &a2a.Artifact{ID: a2a.ArtifactID("file-" + strconv.Itoa(len(out)+1)), Name: name}
		if sizes[name] > maxFile || total+sizes[name] > maxFiles {
			a.Description = fmt.Sprintf("The file holds %d bytes, which is too much to send; it is in the run's workspace.", sizes[name])
			a.Parts = a2a.ContentParts{a2a.NewDataPart(map[string]any{"name": name, "size": float64(sizes[name])})}
			out = append(out, a)
			continue
		}
		f, err := s.d.Files.Read(ctx, r.ID, name, maxFile)
		switch core.CodeOf(err) {
		case "":
		case core.CodeNotFound, core.CodeTooLarge, core.CodeInvalid:
			continue // it has changed meanwhile
		default:
			return nil, err
		}
		total += int64(len(f.Content))
		part := a2a.NewRawPart(f.Content)
		part.Filename, part.MediaType = name, mediaType(name)
		a.Parts = a2a.ContentParts{part}
		out = append(out, a)
	}
	return out, nil
}

// question is what a run waits for: the words for people, and a data part for each decision for programs.
func (s *Server) question(ctx context.Context, r core.Run) (*a2a.Message, error) {
	pending, err := s.pending(ctx, r)
	if err != nil {
		return nil, err
	}
	m := &a2a.Message{ID: r.ID + "-ask", Role: a2a.MessageRoleAgent, TaskID: a2a.TaskID(r.ID), ContextID: contextOf(r)}
	if len(pending) > 0 {
		m.ID = r.ID + "-ask-" + pending[0].ID
	}
	var texts []string
	for _, a := range pending {
		if a.Reason == core.ReasonQuestion {
			texts = append(texts, questionText(a, r.WaitDetail))
		} else {
			texts = append(texts, fmt.Sprintf("May %s be called with %s? Answer approve or deny.", a.Tool, a.Arguments))
		}
	}
	if len(texts) == 0 {
		texts = []string{r.WaitDetail}
	}
	m.Parts = a2a.ContentParts{a2a.NewTextPart(strings.Join(texts, "\n\n"))}
	for _, a := range pending {
		m.Parts = append(m.Parts, a2a.NewDataPart(map[string]any{"approval": approvalData(a), "decisions": decisions(a)}))
	}
	return m, nil
}

// pending lists what a run waits for a person to decide, oldest first.
func (s *Server) pending(ctx context.Context, r core.Run) ([]core.Approval, error) {
	return s.d.Runs.Approvals(ctx, core.ApprovalPending, r.ID)
}

func questionText(a core.Approval, otherwise string) string {
	var arguments struct {
		Question string `json:"question"`
	}
	if json.Unmarshal(a.Arguments, &arguments) == nil && arguments.Question != "" {
		return arguments.Question
	}
	return otherwise
}

func approvalData(a core.Approval) map[string]any {
	var arguments any = map[string]any{}
	_ = json.Unmarshal(a.Arguments, &arguments) // a JSON object, as it was stored
	return map[string]any{
		"id": a.ID, "run": a.Run, "step": float64(a.Step), "agent": a.Agent, "tool": a.Tool, "effect": string(a.Effect), "arguments": arguments,
		"reason": string(a.Reason), "expiresAt": a.ExpiresAt.UTC().Format(time.RFC3339),
	}
}

func decisions(a core.Approval) []any {
	switch a.Reason {
	case core.ReasonQuestion:
		return []any{string(core.DecideDone), string(core.DecideDeny)}
	case core.ReasonInterrupted:
		return []any{string(core.DecideRetry), string(core.DecideDone), string(core.DecideDeny), string(core.DecideEdit)}
	default:
		return []any{string(core.DecideApprove), string(core.DecideDeny), string(core.DecideEdit), string(core.DecideDone)}
	}
}
