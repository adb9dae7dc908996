package tools

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// Skills loads know-how; *skills.Skills is one.
type Skills interface {
	Load(name string) (instructions string, files []core.File, err error)
}

// skillFolder is where the files of loaded skills are put in a workspace.
const skillFolder = "skills"

// loadSkill shows a skill's instructions and puts its files into the workspace, where other tools read and run them.
func loadSkill(r *Registry, skills Skills) Tool {
	type args struct {
		Name string `json:"name"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name:        "load_skill",
			Description: "Load one of your skills: read its instructions before you do what it is for.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"name":{"type":"string","minLength":1,"maxLength":64,"description":"Name of the skill."}},` +
				`"required":["name"],"additionalProperties":false}`),
			Effect: core.EffectIdempotent,
		},
		call: func(_ context.Context, inv core.ToolInvocation, a args) (string, error) {
			if !slices.Contains(inv.Skills, a.Name) {
				return "", core.Errorf(core.CodeNotFound, "you have no skill %q; you have: %s", clip(a.Name, 80), strings.Join(inv.Skills, ", "))
			}
			text, files, err := skills.Load(a.Name)
			if err != nil {
				return "", err
			}
			if len(files) == 0 {
				return text, nil
			}
			var list strings.Builder
			for i := range files {
				files[i].Name = path.Join(skillFolder, a.Name, files[i].Name)
				fmt.Fprintf(&list, "\n- %s", files[i].Name)
			}
			if err := r.Attach(inv.Workspace, files); err != nil {
				return "", err
			}
			return text + "\n\nFiles of this skill, now in the workspace:" + list.String(), nil
		},
	}
}
