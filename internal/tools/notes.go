package tools

import (
	"context"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// notesFolder holds the notes of a run and of those that work for it, a file each.
const notesFolder = "notes"

// topicPattern is what a topic may be, so that it can be a folder.
const topicPattern = `^[a-z0-9]+(-[a-z0-9]+)*$`

// addNote writes something down for all agents that work on the same task. The note's name comes from the call's key, so
// that a repeated call writes the same note.
func addNote(spaces *workspaces) Tool {
	type args struct {
		Topic string `json:"topic"`
		Text  string `json:"text"`
	}
	name := regexp.MustCompile(`[^A-Za-z0-9-]+`)
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "add_note",
			Description: "Write a note that every agent working on this task can read: a finding, a decision, what is left to do.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"topic":{"type":"string","maxLength":64,"pattern":"` + topicPattern + `","description":"What it is about, such as open-questions."},` +
				`"text":{"type":"string","minLength":1,"maxLength":20000,"description":"The note."}},` +
				`"required":["topic","text"],"additionalProperties":false}`),
			Effect: core.EffectIdempotent,
		},
		call: func(ctx context.Context, inv core.ToolInvocation, a args) (string, error) {
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			defer spaces.lock(inv.Workspace)()
			file := path.Join(notesFolder, a.Topic, name.ReplaceAllString(inv.IdempotencyKey, "-")+".md")
			text := a.Text
			if inv.Caller.Agent != "" {
				text = "From " + inv.Caller.Agent + ":\n" + text
			}
			if err := spaces.room(ctx, root, map[string]int64{file: int64(len(text))}); err != nil {
				return "", err
			}
			if err := put(root, file, []byte(text)); err != nil {
				return "", err
			}
			return "noted under " + a.Topic, nil
		},
	}
}

// readNotes shows the notes, in the order of their topics and of the steps that wrote them.
func readNotes(spaces *workspaces, outputMax func() int) Tool {
	type args struct {
		Topic string `json:"topic"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "read_notes",
			Description: "Read the notes of all agents working on this task.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"topic":{"type":"string","maxLength":64,"pattern":"` + topicPattern + `","description":"Only those of this topic; left out, all."}},` +
				`"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
			Flow:   core.FlowPrivate,
		},
		call: func(ctx context.Context, inv core.ToolInvocation, a args) (string, error) {
			root, err := spaces.open(inv.Workspace)
			if err != nil {
				return "", err
			}
			defer root.Close() //nolint:errcheck // nothing is written through it
			dir := path.Join(notesFolder, a.Topic)
			if info, err := root.Lstat(dir); err != nil || !info.IsDir() {
				return "there are no notes", nil
			}
			var b strings.Builder
			left := 0
			err = walk(ctx, root, dir, func(e entry) error {
				if b.Len()+int(e.size) > outputMax()-noteBytes {
					left++
					return nil
				}
				f, err := openRegular(root, e.path)
				if err != nil {
					return err
				}
				defer f.Close() //nolint:errcheck // read only
				content, err := io.ReadAll(io.LimitReader(f, e.size))
				if err != nil {
					return fileError(err, e.path)
				}
				fmt.Fprintf(&b, "[%s] %s\n\n", path.Base(path.Dir(e.path)), strings.TrimSpace(string(content)))
				return nil
			})
			if err != nil {
				return "", err
			}
			if left > 0 {
				fmt.Fprintf(&b, "[%d more; read a topic at a time, or the files in %s]", left, dir)
			}
			if b.Len() == 0 {
				return "there are no notes", nil
			}
			return strings.TrimSpace(b.String()), nil
		},
	}
}
