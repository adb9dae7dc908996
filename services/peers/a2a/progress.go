package a2a

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

// progress puts the events of a task together.
type progress struct {
	delta    func(string)
	task     *a2a.Task // nil before anything has come
	size     int       // bytes of texts and files
	answered string    // id of the question that has its answer: a task that still shows it has not taken it in yet
}

func newProgress(delta func(string)) *progress { return &progress{delta: delta} }

// rests says whether the task will not go on by itself.
func (g *progress) rests() bool {
	if g.task == nil || !resting(g.task.Status.State) {
		return false
	}
	m := g.task.Status.Message
	return g.task.Status.State.Terminal() || m == nil || g.answered == "" || m.ID != g.answered
}

func resting(s a2a.TaskState) bool {
	return s.Terminal() || s == a2a.TaskStateInputRequired || s == a2a.TaskStateAuthRequired
}

// see takes an event in. CodeInvalid names what is wrong with it.
func (g *progress) see(event a2a.Event) error {
	switch e := event.(type) {
	case *a2a.Task:
		if e.ID == "" {
			return core.Errorf(core.CodeInvalid, "task.id: it is missing")
		}
		shown := artifactText(g.task)
		g.task = e
		if text := artifactText(e); text != shown { // what was shown in pieces is not shown again
			if rest, ok := strings.CutPrefix(text, shown); ok {
				g.show(rest)
			}
		}
	case *a2a.Message:
		// An agent that needs no task answers with a message alone.
		g.task = &a2a.Task{ContextID: e.ContextID, Status: a2a.TaskStatus{State: a2a.TaskStateCompleted, Message: e}}
		g.show(partsText(e.Parts))
	case *a2a.TaskStatusUpdateEvent:
		g.begin(e.TaskID, e.ContextID)
		g.task.Status = e.Status
	case *a2a.TaskArtifactUpdateEvent:
		if e.Artifact == nil {
			return core.Errorf(core.CodeInvalid, "artifactUpdate.artifact: it is missing")
		}
		g.begin(e.TaskID, e.ContextID)
		return g.artifact(e)
	default:
		return core.Errorf(core.CodeInvalid, "an event is of no known kind")
	}
	return g.bound()
}

func (g *progress) begin(id a2a.TaskID, contextID string) {
	if g.task == nil {
		g.task = &a2a.Task{ID: id, ContextID: contextID, Status: a2a.TaskStatus{State: a2a.TaskStateWorking}}
	}
}

func (g *progress) artifact(e *a2a.TaskArtifactUpdateEvent) error {
	for _, part := range e.Artifact.Parts {
		if part != nil {
			g.size += len(part.Text()) + len(part.Raw())
		}
	}
	if g.size > maxText+maxFileBytes {
		return core.Errorf(core.CodeInvalid, "artifactUpdate.artifact: together they hold more than %d bytes", maxText+maxFileBytes)
	}
	i := slices.IndexFunc(g.task.Artifacts, func(a *a2a.Artifact) bool { return a != nil && a.ID == e.Artifact.ID })
	switch {
	case i < 0 && len(g.task.Artifacts) >= 1000:
		return core.Errorf(core.CodeInvalid, "artifactUpdate.artifact: there are more than 1000")
	case i < 0:
		g.task.Artifacts = append(g.task.Artifacts, e.Artifact)
	case e.Append:
		g.task.Artifacts[i].Parts = append(g.task.Artifacts[i].Parts, e.Artifact.Parts...)
	default:
		g.task.Artifacts[i] = e.Artifact
	}
	g.show(textOf(e.Artifact.Parts))
	return nil
}

// bound holds a whole task to the bounds.
func (g *progress) bound() error {
	total := 0
	for _, a := range g.task.Artifacts {
		if a == nil {
			continue
		}
		for _, part := range a.Parts {
			if part != nil {
				total += len(part.Text()) + len(part.Raw())
			}
		}
	}
	if total > maxText+maxFileBytes {
		return core.Errorf(core.CodeInvalid, "task.artifacts: together they hold more than %d bytes", maxText+maxFileBytes)
	}
	return nil
}

func (g *progress) show(text string) {
	if text != "" {
		g.delta(core.CleanText(strings.ToValidUTF8(text, "\uFFFD")))
	}
}

// artifactText is the text of a task's artifacts.
func artifactText(t *a2a.Task) string {
	if t == nil {
		return ""
	}
	var texts []string
	for _, a := range t.Artifacts {
		if a == nil {
			continue
		}
		if text := partsText(a.Parts); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n\n")
}

// textOf joins text parts as a stream does: piece follows piece.
func textOf(parts a2a.ContentParts) string {
	var b strings.Builder
	for _, part := range parts {
		if part != nil {
			b.WriteString(part.Text())
		}
	}
	return b.String()
}

// partsText is what parts say: their texts, and structured data as JSON.
func partsText(parts a2a.ContentParts) string {
	text := textOf(parts)
	for _, part := range parts {
		if part == nil {
			continue
		}
		data, ok := part.Content.(a2a.Data)
		if !ok {
			continue
		}
		if object, is := data.Value.(map[string]any); is && object[approvalKey] != nil {
			continue // it is for programs, and its text says the same
		}
		b, err := json.Marshal(data.Value)
		if err != nil {
			continue
		}
		if text != "" {
			text += "\n\n"
		}
		text += string(b)
	}
	return text
}
